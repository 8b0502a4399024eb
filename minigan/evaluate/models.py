"""A user's classifier, to be judged: MODEL.onnx or module:function, either with ,RANGE behind it.

RANGE says what black and white are in the pictures it is given: 0..1 (where none is given), -1..1 or 0..255.

| given | gets | gives |
|---|---|---|
| module:function | (N,H,W,C) float32, channels last, any N | (N,K), K the run's classes in their order |
| FILE.onnx | (N,C,H,W) or (N,H,W,C), as its input's shape says (onnx_file.py) | (N,K), its first output of floats |

Scores (N,K) that are at least 0 and sum to 1 in each of the first rows it is asked about are probabilities; others are
taken for logits, and their softmax is what is judged.
"""

import hashlib
import importlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from minigan.errors import ConfigError, DataError
from minigan.evaluate.items import Items, as_floats
from minigan.evaluate.onnx_file import RANGES, OnnxFile, Use
from minigan.losses import plugin

_BLOCK = 1024  # pictures that a function is given at a time
_PROBE = 64
_CLASSIFIER = Use("", "classifier", "float scores (N,K) of {n} pictures, a column for each class")
DEFAULT_RANGE = "0..1"


class Answers(Protocol):
    """items (N,H,W,C) uint8 -> scores (N,K) as the model gives them; `about` is what a record says of it."""

    about: dict[str, Any]

    def __call__(self, items: Items) -> NDArray[Any]: ...


class Function:
    """A function of the user's."""

    def __init__(self, name: str, range_: str):
        self.name, self.range = name, range_
        self.function = plugin(name)
        if not callable(self.function):
            raise ConfigError(f"{name!r} is a {type(self.function).__name__}; name a function of pictures (N,H,W,C)")
        source = getattr(importlib.import_module(name.partition(":")[0]), "__file__", None)
        digest = hashlib.blake2b(Path(source).read_bytes(), digest_size=8).hexdigest() if source else None
        self.about = {"name": name, "layout": "NHWC", "range": range_, "source_blake2b": digest}

    def __call__(self, items: Items) -> NDArray[Any]:
        blocks = [self._block(items[start : start + _BLOCK]) for start in range(0, len(items), _BLOCK)]
        if len({block.shape[1:] for block in blocks}) > 1:
            shapes = ", ".join(str(block.shape) for block in blocks)
            raise DataError(f"{self.name} gave scores of shapes {shapes}; expected one column for each class, always")
        return np.concatenate(blocks)

    def _block(self, items: Items) -> NDArray[Any]:
        x = as_floats(items, *RANGES[self.range])
        try:
            scores = np.asarray(self.function(x))
        except Exception as e:  # whatever the user's function raises
            what = " ".join(f"{type(e).__name__}: {e}".split())[:200]
            raise DataError(f"{self.name} failed on {x.dtype} {x.shape} in {self.range} ({what}); mend it") from e
        if scores.ndim != 2 or len(scores) != len(x):
            raise DataError(
                f"{self.name} gave shape {scores.shape} for {len(x)} pictures; expected ({len(x)}, K), a score for "
                "each class, as predict_proba or decision_function give"
            )
        return scores


class Model:
    """A classifier of K classes: items (N,H,W,C) uint8 -> probabilities (N,K).

    It is asked about the first rows of `items` at once. Raises ConfigError or DataError, in a line, on a model that is
    not there, cannot be run, gives other shapes, other than len(classes) scores, or numbers that are not finite.
    """

    def __init__(self, word: str, items: Items, classes: tuple[str, ...]):
        base, _, range_ = word.rpartition(",") if word.endswith(tuple(f",{r}" for r in RANGES)) else (word, "", "")
        self.word, self.classes, range_ = word, classes, range_ or DEFAULT_RANGE
        self.of: Answers = _open(base, range_, items)
        scores = self._scores(items[:_PROBE])
        self.logits = not _sum_to_one(scores)
        self.about = self.of.about | {"model": word, "scores": "logits, by softmax" if self.logits else "probabilities"}

    def __call__(self, items: Items) -> NDArray[np.float64]:
        scores = self._scores(items)
        if self.logits:
            return softmax(scores, axis=1)
        if not _sum_to_one(scores):
            raise DataError(
                f"{self.word} gave probabilities for the first {_PROBE} real rows, but for others scores that are "
                "below 0 or do not sum to 1; give probabilities always, or logits"
            )
        return scores

    def _scores(self, items: Items) -> NDArray[np.float64]:
        scores = self.of(items)
        if scores.shape[1] != len(self.classes):
            raise DataError(
                f"{self.word} gives {scores.shape[1]} scores for a picture, but the run has {len(self.classes)} "
                f"classes; expected one for each of {', '.join(self.classes)}, in this order"
            )
        if scores.dtype.kind not in "fiub" or not np.isfinite(scores).all():
            raise DataError(
                f"{self.word} gives {scores.dtype} scores that are NaN, infinite or no numbers; expected finite ones"
            )
        return scores.astype(np.float64)


def _open(base: str, range_: str, items: Items) -> Answers:
    if "," in base and not base.endswith(".onnx"):  # behind it stands what is none of RANGES
        raise ConfigError(f"{base!r}: {base.rpartition(',')[2]} is no range; known: {', '.join(RANGES)}")
    if ".onnx" in Path(base).name:
        return OnnxFile(f"{base},{range_}", items, _CLASSIFIER)
    module, _, function = base.partition(":")
    if not module or not function:
        raise ConfigError(
            f"{base!r} is no model; give a FILE.onnx, or module:function of your own, one after the other"
        )
    return Function(base, range_)


def _sum_to_one(scores: NDArray[np.float64]) -> bool:
    return bool(scores.min() >= 0 and np.abs(scores.sum(axis=1) - 1).max() <= 1e-3)
