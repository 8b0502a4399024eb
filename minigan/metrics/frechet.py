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


def with_interval(real: NDArray[Any], fake: NDArray[Any], resamples: int = 100, seed: int = 0) -> Interval:
    """real (N,F), fake (M,F) -> the distance, and the 95 % bootstrap interval of what other samples would have given.

    Both sets are resampled. A resample is a row of counts, and its moments are one weighted product, so that 100 of
    them at N = M = 10,000 and F = 128 take seconds. Drawing with replacement makes distances larger; the interval is
    therefore the resamples' spread around their median, laid around the value: it says how far the value at *this* N
    and M would move with other samples, not where the one at infinity is.
    Raises ValueError on fewer than 2 resamples too.
    """
    if resamples < 2:
        raise ValueError(f"resamples = {resamples}, expected at least 2, and 100 for an interval worth its name")
    real, fake = pair(real, fake)
    rng = np.random.default_rng(seed)
    found = [gaussian_frechet(*_resampled(real, rng), *_resampled(fake, rng)) for _ in range(resamples)]
    low, middle, high = np.quantile(found, [LOW, 0.5, HIGH])
    value = gaussian_frechet(*_moments(real), *_moments(fake))
    return Interval(value, max(0.0, value + float(low - middle)), value + float(high - middle))


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


def _moments(x: Numbers) -> tuple[Numbers, Numbers]:
    mean = x.mean(axis=0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


def _resampled(x: Numbers, rng: np.random.Generator) -> tuple[Numbers, Numbers]:
    """The moments of as many rows, drawn with replacement: a row that is drawn c times has the weight c."""
    counts = np.bincount(rng.integers(len(x), size=len(x)), minlength=len(x))
    drawn = x[counts > 0]
    weights = counts[counts > 0, None]
    mean = (weights * drawn).sum(axis=0) / len(x)
    scaled = np.sqrt(weights) * (drawn - mean)
    return mean, scaled.T @ scaled / (len(x) - 1)


def _root(cov: Numbers) -> Numbers:
    """The symmetric square root; an eigenvalue below 0 is one of 0 and a rounding error."""
    values, vectors = linalg.eigh(cov)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def _distance(mean_a: Numbers, cov_a: Numbers, root_a: Numbers, mean_b: Numbers, cov_b: Numbers) -> float:
    cross = linalg.svdvals(root_a @ _root(cov_b)).sum()
    squared = np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return max(0.0, float(squared))
