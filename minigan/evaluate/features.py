"""The judge of generated images: a classifier of the data itself, trained here on first use and then kept.

Scores of GANs compare images by what a network sees in them (Salimans et al. 2016, arXiv:1606.03498; Heusel et al.
2017, arXiv:1706.08500). Theirs is Inception, which knows photographs; this one knows the very data, grey digits of 8x8
pixels as well, and needs nothing from anywhere. Its numbers are therefore none of theirs: whoever quotes one says
whose features they are, and `record` is what to say.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan import config as configs
from minigan.config import RANGES, Config, Data
from minigan.data import Dataset, mirrors
from minigan.data.heldout import split
from minigan.errors import ConfigError, ShapeError
from minigan.models.classifiers import features_at, stages
from minigan.models.net import Net
from minigan.models.shapes import Shape
from minigan.models.taps import forward_taps
from minigan.training import checkpoint, log, parts, run, trainer
from minigan.training.reporter import Reporter

RECIPE = 1  # to be raised when the same data would get another classifier
RANGE = "-1..1"  # what its images lie in, whatever the range of those it is asked about
_WIDTHS = (32, 64, 128, 128)
_BATCH, _STEPS, _EPOCHS, _LINES = 128, 1000, 3, 4
_SEEN = 256  # images run at a time, always, so that a row does not depend on how many there are


@dataclass(frozen=True)
class Record:
    """Whose eyes they are, to stand beside every number they gave."""

    recipe: int
    data: str  # fingerprints of what it learned from, and of what it was judged by
    held: str
    held_rows: int
    accuracy: float  # on those
    weights: str  # a digest


class Seen(NamedTuple):
    """What a classifier says of N images: probabilities (N,K) float64, and features (N,F) float32."""

    probabilities: NDArray[np.float64]
    features: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.intp]:
        """The most probable class of each (N,)."""
        return self.probabilities.argmax(axis=1)


class Extractor:
    """A trained classifier. `net` is bound to `ops`, for losses on what it sees (models/taps.py), on images in RANGE;
    `folder` is its run; `classes` names the classes.
    """

    def __init__(self, folder: Path, opened: run.Run, dataset: Dataset, record: Record):
        self.folder, self.classes, self.shape, self.record = folder, dataset.classes, dataset.shape, record
        self.net, self.ops = opened.task.nets["d"], opened.task.ops
        self.net.normalise_weights(iterate=False)
        self.given = dataset.stored and (dataset.value_range or dataset.stored)  # None: vectors
        self.stages = stages(self.net)

    def see(self, x: NDArray[Any]) -> Seen:
        """x (N, *shape) in the range of the data it was made for -> probabilities and features, in one pass each."""
        features, logits = self._run(x, (features_at(self.net), len(self.net.root.nodes) - 1))
        shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        return Seen(e / e.sum(axis=1, keepdims=True), features)

    def activations(self, x: NDArray[Any]) -> list[NDArray[np.float32]]:
        """x (N, *shape) -> what its stages see, (N,H,W,C) each: a convolution with its norm and activation."""
        return self._run(x, self.stages)

    def _run(self, x: NDArray[Any], taps: Sequence[int]) -> list[NDArray[np.float32]]:
        if x.ndim < 1 or x.shape[1:] != self.shape or not len(x):
            raise ShapeError(f"x has shape {x.shape}, but this classifier knows items of {self.shape}; give (N, *item)")
        return through(self.net, self.ops, x, taps, self._in_range)

    def _in_range(self, x: NDArray[Any]) -> NDArray[Any]:
        """From the data's range into the classifier's; vectors stay as they are."""
        low, high = RANGES[RANGE] or (0.0, 0.0)
        if self.given is None or self.given == (low, high):
            return x
        a, b = self.given
        return low + (high - low) * (x.astype(np.float64) - a) / (b - a)


def through(
    net: Net, ops: Any, x: NDArray[Any], taps: Sequence[int], change: Callable[[NDArray[Any]], NDArray[Any]]
) -> list[NDArray[np.float32]]:
    """change(x) of x (N, *shape), host -> what the nodes `taps` of the net give, host, in blocks of the same size."""
    blocks = []
    net.prepare(_SEEN)
    try:
        for start in range(0, len(x), _SEEN):
            rows = change(x[start : start + _SEEN])
            padded = np.zeros((_SEEN, *net.in_shape), np.float32)
            padded[: len(rows)] = rows
            outs, _ = forward_taps(net, ops.asarray(padded), taps)
            blocks.append([ops.to_numpy(y)[: len(rows)] for y in outs])
    finally:
        net.release()
    return [np.concatenate(column) for column in zip(*blocks, strict=True)]


def extractor(data: Data, backend: str = "auto", reporter: Reporter | None = None) -> Extractor:
    """The classifier for a data set as a configuration names it, trained when minigan's cache folder has none.

    `reporter` sees it train. Interrupted, it goes on the next time. Raises ConfigError when the data has no labels or
    fewer than two classes, and what reading it raises.
    """
    config, dataset, held = _recipe(data, backend)
    folder = mirrors.cache_folder("classifiers") / _key(config, dataset, held)
    if not _finished(folder):
        if (folder / trainer.CONFIG).is_file():  # begun, and goes on as it began
            before = trainer.recorded(folder)
            config = configs.from_dict(before.to_dict(), before.preset, [("data.name", config.data.name)])
            _, done = trainer.train(config, folder, resume=True, reporter=reporter)
        else:
            _, done = trainer.train(config, folder, reporter=reporter)
        if not done:
            raise KeyboardInterrupt
    opened = run.load(folder, backend)
    last = log.read(folder)[-1]
    weights = weights_digest(opened.task.nets["d"])
    record = Record(RECIPE, dataset.fingerprint, held.fingerprint, len(held), last["accuracy"], weights)
    return Extractor(folder, opened, dataset, record)


def _recipe(data: Data, backend: str) -> tuple[Config, Dataset, Dataset]:
    """How the classifier of a data set is trained; and the data, in the range asked about."""
    asked = configs.from_dict({"data": asdict(data)}, "data", [("model.output", "none")])
    dataset, held = split(parts.open_data(asked), data.size or None, data.channels or None)
    if dataset.labels is None:
        raise ConfigError(f"{dataset.name} has no labels, so no classifier can be trained on it; give other data")
    images = len(dataset.shape) == 3
    batch = min(_BATCH, len(dataset))
    steps = _LINES * math.ceil(max(_STEPS, _EPOCHS * (len(dataset) // batch)) / _LINES)
    words: dict[str, Any] = {
        "data.name": data.name,
        "data.size": data.size,
        "data.channels": data.channels,
        "data.range": RANGE if images else "raw",
        "model.widths_d": widths(dataset.shape),
        "d.horizon": steps,
        "train.backend": backend,
        "train.batch_size": batch,
        "train.steps": steps,
        "train.log_every": steps // _LINES,
        "train.grid_every": steps,
    }
    return configs.load("classifier-mnist", list(words.items())), dataset, held


def widths(shape: Shape) -> list[int]:
    """The widths of a classifier's first hidden layers: images are halved until they are 4 to 7 pixels."""
    depth = max(1, int(math.log2(min(shape[:2]) / 4))) if len(shape) == 3 else 2
    return list(_WIDTHS[:depth])


def _key(config: Config, dataset: Dataset, held: Dataset) -> str:
    """A name for the classifier of this recipe and these bytes, wherever they lie and whatever trains it."""
    said = [RECIPE, dataset.shape, dataset.fingerprint, held.fingerprint]
    return f"{config.preset}-{hashlib.blake2b(json.dumps(said).encode(), digest_size=8).hexdigest()}"


def _finished(folder: Path) -> bool:
    newest = checkpoint.newest(folder / checkpoint.FOLDER)
    return newest is not None and newest.name == f"step-{trainer.recorded(folder).train.steps:08d}.safetensors"


def weights_digest(net: Net) -> str:
    """16 hex digits for a net's values."""
    hasher = hashlib.blake2b(digest_size=8)
    for name, a in sorted(net.tensors().items()):
        hasher.update(name.encode() + net.ops.to_numpy(a).tobytes())
    return hasher.hexdigest()
