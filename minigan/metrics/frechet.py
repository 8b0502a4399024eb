"""The Frechet distance of two sets, each taken for a Gaussian: "FID" when the features are Inception's.

    d^2 = ||m - m'||^2 + tr(S + S' - 2 (S S')^(1/2)),   m, m' the means, S, S' the covariances (divided by N - 1)

It is 0 between equal Gaussians and sees whatever moves a mean or a covariance, nothing else. From finite samples it is
too large, by about c / N, so values at other N are not comparable; `frechet_infinity` removes that.
Sources: Heusel et al. 2017, arXiv:1706.08500; Dowson & Landau 1982, "The Frechet distance between multivariate normal
distributions"; Chong & Forsyth 2020, "Effectively Unbiased FID", arXiv:1911.07023.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from minigan.metrics.arrays import Numbers, pair

POINTS = 15  # of the line that frechet_infinity fits, as in the paper
Moments = tuple[Numbers, Numbers]  # mean (F,) and covariance (F,F)
LOW, HIGH = 0.025, 0.975  # quantiles of with_interval


class Interval(NamedTuple):
    """A distance and the 95 % interval around it."""

    value: float
    low: float
    high: float


class Infinity(NamedTuple):
    """The distance at infinitely many samples; the line is value + slope / n through (sizes, distances), (P,) each."""

    value: float
    slope: float
    sizes: NDArray[np.int64]
    distances: Numbers


def frechet(real: NDArray[Any], fake: NDArray[Any]) -> float:
    """real (N,F), fake (M,F) -> the squared Frechet distance. Raises ValueError."""
    real, fake = pair(real, fake)
    return gaussian_frechet(*_moments(real), *_moments(fake))


def gaussian_frechet(mean_a: Numbers, cov_a: Numbers, mean_b: Numbers, cov_b: Numbers) -> float:
    """Means (F,) and covariances (F,F) of two Gaussians -> their squared Frechet distance.

    tr (S S')^(1/2) is the sum of the singular values of S^(1/2) S'^(1/2), which holds for singular covariances too.
    Raises ValueError on shapes that do not fit together.
    """
    f = len(mean_a)
    if not (mean_a.shape == mean_b.shape == (f,) and cov_a.shape == cov_b.shape == (f, f)):
        given = ", ".join(str(a.shape) for a in (mean_a, cov_a, mean_b, cov_b))
        raise ValueError(
            f"mean, covariance, mean and covariance have shapes {given}; expected (F,), (F,F), (F,), (F,F)"
        )
    return _distance(mean_a, cov_a, _root(cov_a), mean_b, cov_b)


def with_interval(real: NDArray[Any], fake: NDArray[Any], resamples: int = 1000, seed: int = 0) -> Interval:
    """real (N,F), fake (M,F) -> the distance, and the 95 % bootstrap interval of what other samples would have given.

    Both sets are resampled, rows drawn with replacement. A resample's distance is taken to first order: the value and
    the mean of what each drawn row adds to it (`_influence`), so that 1000 resamples take no further square root and
    cost less than the value. The interval is that of the value at *this* N and M, which is too large by its bias as
    the value is; near equal distributions it is too wide, by up to sqrt(2).
    Raises ValueError on fewer than 2 resamples too.
    """
    if resamples < 2:
        raise ValueError(f"resamples = {resamples}, expected at least 2, and 1000 for an interval worth its name")
    real, fake = pair(real, fake)
    a, b = _moments(real), _moments(fake)
    rng = np.random.default_rng(seed)
    change = np.zeros(resamples)
    for added in (_influence(real, a, b), _influence(fake, b, a)):
        change += [added[rng.integers(len(added), size=len(added))].mean() for _ in range(resamples)]
    value = gaussian_frechet(*a, *b)
    low, high = value + np.quantile(change, [LOW, HIGH])
    return Interval(value, max(0.0, float(low)), float(high))


def frechet_infinity(real: NDArray[Any], fake: NDArray[Any], seed: int = 0) -> Infinity:
    """real (N,F), fake (M,F) -> the distance extrapolated to infinitely many samples.

    A line in 1/n through the distances of POINTS random subsets of the samples, n evenly from M / 10 to M, read at
    1/n = 0. `real` stays whole: what its own N adds is not removed, and the value may be a little below 0.
    Raises ValueError on fewer than 20 samples too.
    """
    real, fake = pair(real, fake)
    if len(fake) < 20:
        raise ValueError(f"fake has {len(fake)} rows, expected at least 20 to extrapolate from; draw more")
    rng = np.random.default_rng(seed)
    mean, cov = _moments(real)
    root = _root(cov)
    sizes = np.linspace(len(fake) // 10, len(fake), POINTS).round().astype(np.int64)
    subsets = (fake[rng.choice(len(fake), n, replace=False)] for n in sizes)
    distances = np.array([_distance(mean, cov, root, *_moments(x)) for x in subsets])
    slope, value = np.polyfit(1 / sizes, distances, 1)
    return Infinity(float(value), float(slope), sizes, distances)


def _moments(x: Numbers) -> Moments:
    mean = x.mean(axis=0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


def _influence(x: Numbers, own: Moments, other: Moments) -> Numbers:
    """x (N,F) of moments `own` -> what a little more weight on each row would add to the distance to `other` (N,).

    2 (m - m').d + d^T (I - T) d less its mean, d = x - m, T = S^(-1/2) (S^(1/2) S' S^(1/2))^(1/2) S^(-1/2) the map
    that carries N(0,S) to N(0,S'): I - T is the distance's derivative by S. Rows lie in the range of S, where it has an
    inverse.
    """
    (mean, cov), (other_mean, other_cov) = own, other
    root = _root(cov)
    inverse = linalg.pinvh(root, rtol=np.sqrt(len(root) * np.finfo(np.float64).eps))  # the root of S's rounding
    apart = np.eye(len(mean)) - inverse @ _root(root @ other_cov @ root) @ inverse
    d = x - mean
    added: Numbers = 2 * d @ (mean - other_mean) + np.einsum("nf,nf->n", d @ apart, d)
    return added - added.mean()


def _root(cov: Numbers) -> Numbers:
    """The symmetric square root; an eigenvalue below 0 is one of 0 and a rounding error."""
    values, vectors = linalg.eigh(cov)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _distance(mean_a: Numbers, cov_a: Numbers, root_a: Numbers, mean_b: Numbers, cov_b: Numbers) -> float:
    cross = linalg.svdvals(root_a @ _root(cov_b)).sum()
    squared = np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return max(0.0, float(squared))
