"""Are samples where the data is, and is the data where samples are? Balls around points tell.

A set's manifold is the union of balls around its points, each out to the point's k-th neighbour within the set.

    precision = share of samples in the real manifold               recall = share of real items in the samples' one
    density   = mean over samples of (real balls it lies in) / k    coverage = share of real balls with a sample inside

Precision and density are quality, recall and coverage variety. One real outlier has a huge ball, which precision
credits and density hardly does; coverage uses real balls only, so outliers among the samples cannot raise it. Of equal
distributions, density is 1 in expectation and coverage 1 - 2^-k at N = M and many points: at k = 5, 0.97.
Sources: Kynkaanniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.metrics.arrays import Numbers, pair, squared_distances


class PrecisionRecall(NamedTuple):
    """Both in 0..1."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density is 0 or more, and may be above 1; coverage is in 0..1."""

    density: float
    coverage: float


def precision_recall(real: NDArray[Any], fake: NDArray[Any], k: int = 3) -> PrecisionRecall:
    """real (N,F), fake (M,F) -> precision and recall. Raises ValueError on fewer than k + 1 rows too."""
    real, fake = _centred(real, fake, k)
    return PrecisionRecall(*(float((_balls_around(a, b, k)[0] > 0).mean()) for a, b in ((real, fake), (fake, real))))


def density_coverage(real: NDArray[Any], fake: NDArray[Any], k: int = 5) -> DensityCoverage:
    """real (N,F), fake (M,F) -> density and coverage. Raises ValueError on fewer than k + 1 rows too."""
    balls, reached = _balls_around(*_centred(real, fake, k), k)
    return DensityCoverage(float(balls.mean()) / k, float(reached.mean()))


def _centred(real: NDArray[Any], fake: NDArray[Any], k: int) -> tuple[Numbers, Numbers]:
    """Distances do not change, their rounding shrinks."""
    if k < 1:
        raise ValueError(f"k = {k}, expected at least 1: the ball around a point ends at its k-th neighbour")
    real, fake = pair(real, fake, k + 1)
    return real - real.mean(axis=0), fake - real.mean(axis=0)


def _balls_around(points: Numbers, others: Numbers, k: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """points (N,F), others (M,F) -> in how many balls of points each other lies (M,); is one in each ball (N,)."""
    radii = np.empty(len(points))
    for here, squared in squared_distances(points, points):
        radii[here] = np.partition(squared, k, axis=1)[:, k]  # a point is its own neighbour number 0
    balls, reached = np.zeros(len(others), np.int64), np.empty(len(points), np.bool_)
    for here, squared in squared_distances(points, others):
        inside = squared <= radii[here, None]
        balls += inside.sum(axis=0)
        reached[here] = inside.any(axis=1)
    return balls, reached
