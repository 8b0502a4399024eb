"""A classifier: which class an item belongs to, learned from labels, and judged on rows that it never learned from.

    logits = D(x);   loss = mean_n (log sum_k e^logits[n,k] - logits[n,label_n]);   D learns

It is the net of D, with its section [d], alone. What it gives beside a verdict are features: what its last hidden layer
says of an image is what images are compared by (evaluate/features.py).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from minigan.config import RANGES, Config
from minigan.models.classifiers import make_classifier
from minigan.models.shapes import Array, Shape
from minigan.optim import Optimizer
from minigan.tasks.base import Record, Task

SHOWN = 16  # classes in a picture, at most: those that the most mistakes are about
_ROWS = 1024  # held-out rows read at a time


class Classifier(Task):
    """One net, one optimizer. `held` are the rows to judge by: what a log line says of them, all of them say."""

    labelled = judged = True
    plots: ClassVar = {
        "cross-entropy": {"loss": "a training batch", "loss_held": "held-out rows"},
        "accuracy": {"accuracy": "held-out rows"},
    }
    words = (
        "loss {loss:.4f}  held-out loss {loss_held:.4f}  accuracy {accuracy:.4f}",
        "loss {loss:.3f} accuracy {accuracy:.3f}",
    )

    def __init__(self, config: Config, ops: Any, shape: Shape, classes: int = 0):
        super().__init__(config, ops, shape, classes)
        self.D = make_classifier(config.model, self.shape, classes, config.d.l2, config.d.freeze)
        self.own({"d": self.D})
        self.opt_d = Optimizer(config.d, [self.D], 0, self.dtype)
        self.optimizers["d"] = self.opt_d

    def mover(self, sub: int) -> Optimizer:
        return self.opt_d

    def part(self, batches: Sequence[Array], labels: Sequence[Array], step: int, sub: int, update: bool) -> Record:
        return self.play("d", partial(self._part, update), step, sub, [batches[0], labels[0]])

    def _part(self, update: bool, left: None, x: Array, labels: Array) -> Record:
        record = self.d_step(x, labels, update)
        self.count_bad()
        return record

    def d_step(self, x: Array, labels: Array, update: bool = True) -> Record:
        """x (N, *shape), labels (N,) int32: one update of D."""
        D, ops = self.D, self.D.ops
        D.normalise_weights(iterate=True)
        logits, ctx = D.forward(x)
        loss, dlogits = ops.softmax_cross_entropy(logits, labels)
        loss = D.add_penalty(loss)
        D.zero_grad()
        D.backward(dlogits, ctx, need_dx=False)
        D.finish_gradients()
        norm2 = self.opt_d.guard(ops, loss, self.clock.array)
        if update:
            self.opt_d.step(ops, self.clock.array)
        return {"loss": loss, "grad_norm2_d": norm2}

    def logits(self, x: Array) -> Array:
        """x (N, *shape) host -> (N, classes) host, with running statistics."""
        self.D.normalise_weights(iterate=False)
        return self.drawn(self.D, x)

    def line(self, values: dict[str, float], step: int) -> dict[str, float]:
        return super().line(values | self.judge(), step)

    def judge(self) -> dict[str, float]:
        """The mean cross-entropy over all held-out rows, without l2, and the share of them that D gets right."""
        loss, right = 0.0, 0
        for labels, logp in self._held():
            loss -= float(logp[np.arange(len(labels)), labels].sum())
            right += int((logp.argmax(axis=1) == labels).sum())
        return {"loss_held": loss / len(self.held), "accuracy": right / len(self.held)}

    def picture(self, stream: str, n: int, real: Array) -> Array | None:
        """A table of held-out images: a row per class, a column per verdict, and in each cell the image of that class
        of which D is surest that it belongs to that column's, dark where there is none.

        The diagonal shows what D takes for the best of each class, all else its worst mistakes. Of more than SHOWN
        classes, those that the most mistakes are about.
        """
        if len(self.shape) != 3:
            return None
        found = [(labels, logp.argmax(axis=1), logp.max(axis=1)) for labels, logp in self._held()]
        true, said, sure = (np.concatenate(column) for column in zip(*found, strict=True))
        wrong = true != said
        mistakes = np.bincount(np.concatenate([true[wrong], said[wrong]]), minlength=self.classes)
        shown = np.sort(np.argsort(-mistakes, kind="stable")[:SHOWN])
        low, _ = RANGES[self.config.data.range] or (0.0, 1.0)
        table = np.full((len(shown), len(shown), *self.shape), low, np.float32)
        for i, row in enumerate(shown):
            for j, column in enumerate(shown):
                cell = np.flatnonzero((true == row) & (said == column))
                if len(cell):
                    table[i, j] = self.held.read(cell[[sure[cell].argmax()]])[0]
        return table.reshape(-1, *self.shape)

    def _held(self) -> Iterator[tuple[Array, Array]]:
        """Labels and log-probabilities (rows, classes) float64 of the held-out rows, block by block."""
        for start in range(0, len(self.held), _ROWS):
            index = np.arange(start, min(start + _ROWS, len(self.held)))
            x = self.logits(self.held.read(index)).astype(np.float64)
            x -= x.max(axis=1, keepdims=True)
            yield self.held.labels[index], x - np.log(np.exp(x).sum(axis=1, keepdims=True))
