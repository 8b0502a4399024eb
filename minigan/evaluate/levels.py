"""Samples with labels, harder from level to level: the exam that a classifier is put to.

| axis | a level is |
|---|---|
| truncation | what z is multiplied by: below 1 nearer to its mean, which is easier; above 1 farther than in training |
| noise | the standard deviation of normal noise, where white minus black is 1; real rows get it, too |
| between | how much of another class, each other one in turn, G is told in place of so much of the class asked for |

Sample i has the same z and class at every level. Between classes is where G's tables of labels are: a row of the
label's embedding, or of its batchnorms' gains and shifts, is mixed with the other class's. The answer that counts as
right is always the class that was asked for.
Sources: truncation: Brock, Donahue & Simonyan 2018, arXiv:1809.11096, and Karras et al. 2019, arXiv:1812.04948 (its
scaling towards the mean); classes mixed where G is told them: the former, its interpolations between classes.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan import rng
from minigan.evaluate.items import Items, as_items
from minigan.models.layers import ConcatLabel, ConditionalBatchNorm
from minigan.models.net import Net
from minigan.training.run import Run

TABLES: dict[type, tuple[str, ...]] = {ConcatLabel: ("w",), ConditionalBatchNorm: ("gamma", "beta")}  # row k: class k


class Level(NamedTuple):
    """A place on an axis."""

    axis: str
    value: float

    @property
    def name(self) -> str:
        """As a table shows it."""
        return self.axis if self == PLAIN else f"{self.axis} {self.value:g}"


PLAIN = Level("plain", 0.0)  # z as G was trained on, no noise, one class
AXES = {"truncation": (0.5, 0.75, 1.25, 1.5), "noise": (0.1, 0.2, 0.3, 0.4), "between": (0.1, 0.2, 0.3, 0.4)}
NEUTRAL = {"truncation": 1.0, "noise": 0.0, "between": 0.0}  # where on its axis PLAIN lies
LEVELS = [PLAIN, *(Level(axis, value) for axis, values in AXES.items() for value in values)]
NOISE = [level for level in LEVELS if level.axis == "noise"]


class Exam:
    """n samples of a conditional run, each class in turn, at any level; `labels` (n,) are what was asked for."""

    def __init__(self, run: Run, n: int, seed: int):
        self.run, self.seed = run, seed
        self.classes = len(run.classes)
        self.labels = np.arange(n) % self.classes
        self.z = run.task.z("sample", 0, n, seed)
        self.plain = self._drawn(self.z)

    def at(self, level: Level) -> Items:
        """The samples of a level (n,H,W,C) uint8."""
        return self.plain if level == PLAIN else _MAKERS[level.axis](self, level.value)

    def _drawn(self, z: NDArray[Any], chosen: Any = slice(None)) -> Items:
        labels = self.labels[chosen]
        return as_items(self.run.task.samples(z[chosen], self.run.weights, labels), self.run.picture_range)

    def _truncated(self, psi: float) -> Items:
        return self._drawn((psi * self.z).astype(self.z.dtype))

    def _noisy(self, std: float) -> Items:
        return noisy(self.plain, std, self.seed)

    def _between(self, share: float) -> Items:
        out = self.plain.copy()
        others = 1 + np.arange(len(out)) // self.classes % (self.classes - 1)  # how many classes on the other one is
        for shift in np.unique(others):
            chosen = np.flatnonzero(others == shift)
            with mixed(self.run.task.nets[self.run.weights], share, int(shift)):
                out[chosen] = self._drawn(self.z, chosen)
        return out


_MAKERS: dict[str, Callable[[Exam, float], Items]] = {
    "truncation": Exam._truncated,
    "noise": Exam._noisy,
    "between": Exam._between,
}


def noisy(items: Items, std: float, seed: int) -> Items:
    """items (N,H,W,C) uint8 with normal noise, white minus black being 1, as eight bits; row i's depends on i alone."""
    noise = rng.host(seed, "evaluate-model/noise").standard_normal(items.shape, np.float32)
    return np.clip(np.rint(items + 255 * std * noise), 0, 255).astype(np.uint8)


@contextmanager
def mixed(net: Net, share: float, shift: int) -> Iterator[None]:
    """Within it, G told class k makes (1 - share) of k and `share` of class k + shift; then all is as before, bit for
    bit.
    """
    tables = [
        getattr(layer, name) for layer in net.layers for name in TABLES.get(type(layer), ())
    ]  # views of the net's slab
    before = [net.ops.to_numpy(table).copy() for table in tables]
    try:
        for table, rows in zip(tables, before, strict=True):
            other = np.roll(rows, -shift, axis=0)
            net.ops.copyto(table, ((1 - share) * rows + share * other).astype(rows.dtype))
        yield
    finally:
        for table, rows in zip(tables, before, strict=True):
            net.ops.copyto(table, rows)
