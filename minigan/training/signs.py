"""What a log says of how G and D play, in figures that mean the same whatever the loss and the size of the nets.

Medians over the last quarter of the lines, so that single batches do not count:

d_loss      (L_D - least) / (blind - least): D's loss on the scale from a D that is always right, 0, to one that cannot
            tell, 1. Both ends are those of the loss itself, see STAKES; a loss without them has no such figure.
g_gradient  the length of G's gradient over that of the best eighth of the run: 1 while G still learns as it did.
g_swing     the standard deviation of log ||gradient of G|| about its trend, over the last half of the lines: that of
            batches is a few tenths, and of a game whose players take turns at winning above 1.

A D that is always right leaves nothing to learn where the loss saturates (Goodfellow et al. 2014, arXiv:1406.2661,
section 3), and where it does not, gradients that swing (Arjovsky & Bottou 2017, arXiv:1701.04862).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.config import Config

LEAST_LINES = 24  # below it, neither a quarter nor a trend means anything
LOG_SIGNS = ("d_loss", "g_gradient", "g_swing")
_EIGHTHS = 8
_NOTHING = 1e-6  # of the longest gradient: what is shorter counts as this long


class Signs(NamedTuple):
    """Figures by name, and why others are missing."""

    values: dict[str, float]
    missing: dict[str, str]


def _bce(smoothing: float) -> tuple[float, float]:
    """Real samples' target is 1 - smoothing: the entropy of that, and of the half-and-half verdict on both."""
    return _entropy(smoothing), 2 * _entropy((1 - smoothing) / 2)


# loss.name -> of loss.smoothing, D's loss when it is always right, and when it says the same of everything
STAKES: dict[str, Any] = {
    "minimax": _bce,
    "non-saturating": _bce,
    "feature-matching": _bce,
    "least-squares": lambda smoothing: (0.0, 0.5),
    "hinge": lambda smoothing: (0.0, 2.0),
    "relativistic": lambda smoothing: (0.0, math.log(2)),
}


def of_log(config: Config, lines: Sequence[dict[str, Any]]) -> Signs:
    """The signs in a GAN's log lines, oldest first."""
    if len(lines) < LEAST_LINES:
        why = f"the log has {len(lines)} lines, {LEAST_LINES} are needed: lower train.log_every, or train longer"
        return Signs({}, dict.fromkeys(LOG_SIGNS, why))
    gradients = _series(lines, "grad_norm_g")
    values = {"g_gradient": _faded(gradients), "g_swing": _swing(gradients)}
    why = _unreadable(config)
    if why:
        return Signs(values, {"d_loss": why})
    least, blind = STAKES[config.loss.name](config.loss.smoothing)
    loss = float(np.median(_last(_series(lines, "loss_d"))))
    return Signs({"d_loss": (loss - least) / (blind - least)} | values, {})


def _unreadable(config: Config) -> str:
    """Why D's loss cannot be put on a scale; "" when it can."""
    if config.loss.name not in STAKES:
        return f"loss.name {config.loss.name} has no value at which D is always right"
    if config.d.l2:
        return "loss_d holds lambda ||theta||^2 (d.l2)"
    if config.model.condition in ("acgan", "infogan"):
        return f"loss_d holds that of D's second head (model.condition {config.model.condition})"
    return ""


def _series(lines: Sequence[dict[str, Any]], key: str) -> NDArray[np.float64]:
    return np.array([line[key] for line in lines], np.float64)


def _last(a: NDArray[np.float64]) -> NDArray[np.float64]:
    return a[-(len(a) // 4) :]


def _faded(gradients: NDArray[np.float64]) -> float:
    best = max(np.median(part) for part in np.array_split(gradients, _EIGHTHS))
    return float(np.median(_last(gradients)) / best) if best else 0.0


def _swing(gradients: NDArray[np.float64]) -> float:
    y = np.log(np.maximum(gradients[len(gradients) // 2 :], _NOTHING * (gradients.max() or 1.0)))
    x = np.arange(len(y))
    return float(np.std(y - np.polyval(np.polyfit(x, y, 1), x)))


def _entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q)
