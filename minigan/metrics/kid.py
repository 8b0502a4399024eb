"""The kernel distance of two sets: "KID" when the features are Inception's.

    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i,j} k(x_i, y_j),   k(a,b) = (a.b/F + 1)^3

The squared maximum mean discrepancy, unbiased at every number of samples: between equal distributions its expectation
is 0, so it is below 0 as often as above. The cubic kernel sees means, covariances and third moments.
Source: Binkowski et al. 2018, "Demystifying MMD GANs", arXiv:1801.01401, section 4.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.metrics.arrays import Numbers, pair


class KID(NamedTuple):
    """Mean and standard deviation of the distance over subsets; the mean's standard error is std / sqrt(subsets)."""

    mean: float
    std: float


def kid(real: NDArray[Any], fake: NDArray[Any], subsets: int = 100, size: int = 1000, seed: int = 0) -> KID:
    """real (N,F), fake (M,F) -> the distance of `subsets` pairs of random subsets of `size` rows each.

    Raises ValueError when a set has fewer than `size` rows too.
    """
    real, fake = pair(real, fake)
    if subsets < 1 or not 2 <= size <= min(len(real), len(fake)):
        raise ValueError(
            f"{subsets} subsets of size {size} of {len(real)} real and {len(fake)} fake rows: expected at least one "
            f"subset, of 2..{min(len(real), len(fake))} rows"
        )
    rng = np.random.default_rng(seed)
    found = [
        mmd(*(a[rng.choice(len(a), size, replace=False)] for a in (real, fake)))  # one subset of each
        for _ in range(subsets)
    ]
    return KID(float(np.mean(found)), float(np.std(found)))


def mmd(x: Numbers, y: Numbers) -> float:
    """x (N,F), y (M,F) -> the unbiased squared discrepancy of the whole sets; N and M at least 2."""
    return _within(x) + _within(y) - 2 * float(_kernel(x, y).mean())


def _kernel(a: Numbers, b: Numbers) -> Numbers:
    base = a @ b.T / a.shape[1] + 1
    return base * base * base


def _within(x: Numbers) -> float:
    """The kernel's mean over pairs of two different rows."""
    k = _kernel(x, x)
    return float(k.sum() - np.trace(k)) / (len(x) * (len(x) - 1))
