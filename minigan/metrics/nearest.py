"""Are samples copies of training items? Their nearest ones, and whether they are nearer than unseen real items are.

A generator that has learned the distribution is as far from its training set as held-out data is. The distances of
samples and of held-out items, each to its nearest training item, are compared by rank (Mann & Whitney 1947): z far
below 0 is copying, far above 0 samples that lie off the data. A generator that copies now and then may hide behind its
poor samples; `copied` tells: the share of samples nearer to a training item than 99 in 100 held-out items are, 0.01 of
a generator that does not copy.
Source: Meehan, Chaudhuri & Dasgupta 2020, "A non-parametric test to detect data-copying in generative models",
arXiv:2004.05675 (its Z_U, here of the whole space as one cell).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, norm
from sklearn.neighbors import NearestNeighbors

from minigan.metrics.arrays import Numbers, rows, same_width

NEAR = 0.01  # of held-out items are nearer than this is near


class Nearest(NamedTuple):
    """For each row its k nearest training rows, nearest first: indices (N,k), Euclidean distances (N,k)."""

    indices: NDArray[np.int64]
    distances: Numbers


class Memorisation(NamedTuple):
    """Median distance of samples over that of held-out items; the rank test's z and one-sided p; the share copied."""

    ratio: float
    z: float
    p_value: float
    copied: float


def nearest_training(fake: NDArray[Any], train: NDArray[Any], k: int = 1) -> Nearest:
    """fake (N,F), train (M,F) -> the k training rows nearest to each. Raises ValueError on fewer than k of them too."""
    if k < 1:
        raise ValueError(f"k = {k}, expected at least 1")
    fake, train = rows("fake", fake, 1), rows("train", train, k)
    same_width("fake", fake, "train", train)
    found = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(train).kneighbors(fake, return_distance=False)
    distances = np.linalg.norm(fake[:, None] - train[found], axis=2)  # the search's own round a copy's 0 up
    order = np.argsort(distances, axis=1, kind="stable")
    return Nearest(np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1))


def memorisation(
    fake: NDArray[Any], train: NDArray[Any], held: NDArray[Any], of_held: NDArray[Any] | None = None
) -> Memorisation:
    """fake (N,F), train (M,F), held (L,F) that the generator never saw -> Memorisation.

    `of_held` (L,) are distances of the held rows to their nearest training rows, where they are known already.

    z = (U - N L / 2) / sqrt(N L (N + L + 1) / 12), U the pairs in which the sample is the farther one (ties: half);
    p_value is that of z or less if samples were held-out items. The ratio is infinite when half the held-out items are
    training items.
    Raises ValueError on fewer than 20 samples or held-out rows too.
    """
    fake, held = rows("fake", fake, 20), rows("held", held, 20)
    of_fake = nearest_training(fake, train).distances[:, 0]
    of_held = nearest_training(held, train).distances[:, 0] if of_held is None else of_held
    n, m = len(of_fake), len(of_held)
    farther = float(mannwhitneyu(of_fake, of_held, method="asymptotic").statistic)
    z = (farther - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)  # itself, for p is 0 from z = -38 on
    middle = float(np.median(of_held))
    return Memorisation(
        ratio=float(np.median(of_fake)) / middle if middle else np.inf,
        z=z,
        p_value=float(norm.cdf(z)),
        copied=float((of_fake < np.quantile(of_held, NEAR)).mean()),
    )
