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
from sklearn.neighbors import NearestNeighbors

from minigan.metrics.arrays import Numbers, pair

_BLOCK = 2**21  # distances held at a time: 16 MB


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
    """points (N,F), others (M,F) -> in how many balls of points each other lies (M,); is one in each ball (N,).

    ||p - q||^2 <= r^2 just when p.q - |q|^2 / 2 >= (|p|^2 - r^2) / 2, of which the left is one matrix product. Either
    side rounds by up to F roundings of the squared norms, and points at the very edge of a ball lie in it.
    """
    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points).kneighbors()[0]  # none its own
    pp, qq = (np.einsum("nf,nf->n", a, a) for a in (points, others))
    slack = points.shape[1] * np.finfo(np.float64).eps * (pp + qq.max())
    least = (pp - neighbours[:, -1] ** 2) / 2 - slack
    left, right = np.column_stack([points, np.ones(len(points))]), np.column_stack([others, -qq / 2])
    balls, reached = np.zeros(len(others), np.int64), np.empty(len(points), np.bool_)
    step = max(1, _BLOCK // len(others))
    for start in range(0, len(points), step):
        here = slice(start, start + step)
        inside = left[here] @ right.T >= least[here, None]
        balls += np.count_nonzero(inside, axis=0)
        reached[here] = inside.any(axis=1)
    return balls, reached
