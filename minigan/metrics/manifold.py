"""Are samples where the data is, and is the data where samples are? Balls around points tell, and nearest neighbours.

A set's manifold is the union of balls around its points, each out to the point's k-th neighbour within the set.

    precision = share of samples in the real manifold               recall = share of real items in the samples' one
    density   = mean over samples of (real balls it lies in) / k    coverage = share of real balls with a sample inside

Precision and density are quality, recall and coverage variety. One real outlier has a huge ball, which precision
credits and density hardly does; coverage uses real balls only, so outliers among the samples cannot raise it. Of equal
distributions, density is 1 in expectation and coverage 1 - 2^-k at N = M and many points: at k = 5, 0.97.

The same distances say whether a row's nearest neighbour is of its own kind (`one_nearest`): of equal distributions it
is for one row in two; above 0.5 the sets lie apart, below it samples lie on the real rows as copies do.
Sources: Kynkaanniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797; the leave-one-out neighbour as
a test: Lopez-Paz & Oquab 2017, arXiv:1610.06545; Xu et al. 2018, arXiv:1806.07755.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from minigan.metrics.arrays import Numbers, pair, rows

K_PRECISION, K_DENSITY = 3, 5  # as in the papers
_BLOCK = 2**20  # distances held at a time: 8 MB


class PrecisionRecall(NamedTuple):
    """Both in 0..1."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Density is 0 or more, and may be above 1; coverage is in 0..1."""

    density: float
    coverage: float


class OneNearest(NamedTuple):
    """The share of rows whose nearest neighbour is of their own kind: of all, of the real ones, of the samples."""

    accuracy: float
    real: float
    fake: float


class Near(NamedTuple):
    """All that the distances of two sets say; `one_nearest` says something where they are equally large."""

    precision_recall: PrecisionRecall
    density_coverage: DensityCoverage
    one_nearest: OneNearest


def precision_recall(real: NDArray[Any], fake: NDArray[Any], k: int = K_PRECISION) -> PrecisionRecall:
    """real (N,F), fake (M,F) -> precision and recall. Raises ValueError on fewer than k + 1 rows too."""
    return near(real, fake, k, k).precision_recall


def density_coverage(real: NDArray[Any], fake: NDArray[Any], k: int = K_DENSITY) -> DensityCoverage:
    """real (N,F), fake (M,F) -> density and coverage. Raises ValueError on fewer than k + 1 rows too."""
    return near(real, fake, k, k).density_coverage


def one_nearest(real: NDArray[Any], fake: NDArray[Any]) -> OneNearest:
    """real (N,F), fake (N,F), equally many -> leave-one-out accuracy of the nearest neighbour. Raises ValueError."""
    found = near(real, fake, 1, 1).one_nearest
    if len(real) != len(fake):
        raise ValueError(f"{len(real)} real and {len(fake)} fake rows: expected equally many; cut the longer set")
    return found


def within(x: NDArray[Any], k: int = max(K_PRECISION, K_DENSITY)) -> Numbers:
    """x (N,F) -> distances (N,k) of its rows to their k nearest others, nearest first. Raises ValueError."""
    if k < 1:
        raise ValueError(f"k = {k}, expected at least 1: the ball around a point ends at its k-th neighbour")
    x = rows("x", x, k + 1)
    x = x - x.mean(axis=0)  # distances do not change, their rounding shrinks
    distances, others = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x).kneighbors()  # none its own
    distances[:, 0] = np.linalg.norm(x - x[others[:, 0]], axis=1)  # the search's own round a twin's 0 up
    return distances


def near(
    real: NDArray[Any],
    fake: NDArray[Any],
    k: int = K_PRECISION,
    k_density: int = K_DENSITY,
    within_real: Numbers | None = None,
) -> Near:
    """real (N,F), fake (M,F) -> Near, by one product of the two. Raises ValueError.

    `within_real` is within(real), where it is known already.
    """
    most = max(k, k_density)
    real, fake = pair(real, fake, most + 1)
    of_real = within(real, most) if within_real is None else within_real
    of_fake = within(fake, most)
    centre = real.mean(axis=0)
    found = _crossed(real - centre, fake - centre, of_real[:, k - 1], of_real[:, k_density - 1], of_fake[:, k - 1])
    own_real, own_fake = (
        _own(own[:, 0], np.linalg.norm(a - b[nearest], axis=1))
        for own, a, b, nearest in (
            (of_real, real, fake, found.fake_nearest),
            (of_fake, fake, real, found.real_nearest),
        )
    )
    return Near(
        PrecisionRecall(float(found.in_real.mean()), float(found.in_fake.mean())),
        DensityCoverage(float(found.balls.mean()) / k_density, float(found.reached.mean())),
        OneNearest((own_real + own_fake) / 2, own_real, own_fake),
    )


def _own(own: Numbers, other: Numbers) -> float:
    """The share of rows that are nearer to their own kind; those as near to both count half."""
    return float((own < other).mean() + (own == other).mean() / 2)


class _Crossed(NamedTuple):
    """Of each sample: is it in a ball of the real k-th neighbours, in how many of the other radius, its nearest real
    row. Of each real row: is it in a sample's ball, is a sample in its own of the other radius, its nearest sample.
    """

    in_real: NDArray[np.bool_]
    balls: NDArray[np.int64]
    real_nearest: NDArray[np.int64]
    in_fake: NDArray[np.bool_]
    reached: NDArray[np.bool_]
    fake_nearest: NDArray[np.int64]


def _crossed(real: Numbers, fake: Numbers, radii: Numbers, radii_density: Numbers, radii_fake: Numbers) -> _Crossed:
    """-d^2 / 2 = p.q - |p|^2 / 2 - |q|^2 / 2 is one matrix product, a block of real rows p at a time.

    It rounds by up to F roundings of the squared norms, and points at the very edge of a ball lie in it.
    """
    n, m = len(real), len(fake)
    pp, qq = (np.einsum("nf,nf->n", a, a) for a in (real, fake))
    rounding = real.shape[1] * np.finfo(np.float64).eps
    edge, edge_density = (-((r**2) / 2 + rounding * (pp + qq.max()))[:, None] for r in (radii, radii_density))
    edge_fake = -((radii_fake**2) / 2 + rounding * (qq + pp.max()))
    left = np.column_stack([real, np.ones(n), -pp / 2])
    right = np.column_stack([fake, -qq / 2, np.ones(m)]).T
    found = _Crossed(
        np.zeros(m, np.bool_), np.zeros(m, np.int64), np.zeros(m, np.int64),
        np.empty(n, np.bool_), np.empty(n, np.bool_), np.empty(n, np.int64),
    )  # fmt: skip
    best, each = np.full(m, -np.inf), np.arange(m)
    step = max(1, _BLOCK // m)
    for start in range(0, n, step):
        here = slice(start, start + step)
        near_by = left[here] @ right
        found.in_real[:] |= (near_by >= edge[here]).any(axis=0)
        inside = near_by >= edge_density[here]
        found.balls[:] += np.count_nonzero(inside, axis=0)
        found.reached[here] = inside.any(axis=1)
        found.in_fake[here] = (near_by >= edge_fake).any(axis=1)
        found.fake_nearest[here] = near_by.argmax(axis=1)
        first = near_by.argmax(axis=0)
        nearer = near_by[first, each] > best
        best[nearer] = near_by[first[nearer], each[nearer]]
        found.real_nearest[nearer] = start + first[nearer]
    return found
