"""Can anything tell samples from real items? Two classifiers try; 0.5 says that they cannot.

`classifier_two_sample` trains a small network to tell them apart and tests it on rows it has not seen: what the
discriminator's 0.5 would say if it could be trusted. `one_nearest` asks each row whether its nearest neighbour is of
its own kind: above 0.5 the sets lie apart, below it samples lie on the real rows as copies do.
Source: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests", arXiv:1610.06545; the leave-one-out form: Xu
et al. 2018, arXiv:1806.07755.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from minigan.metrics.arrays import pair

HIDDEN, EPOCHS = 20, 100  # the paper's network: 20 relu units, 100 epochs of Adam ...
STEPS, BATCH = 20, 200  # ... in batches of 200 rows, of fewer when that gives an epoch fewer than 20 steps


class TwoSample(NamedTuple):
    """The share of unseen rows told right; how likely guessing is to be that good; the number of unseen rows."""

    accuracy: float
    p_value: float
    held: int


class OneNearest(NamedTuple):
    """The share of rows whose nearest neighbour is of their own kind: of all, of the real ones, of the samples."""

    accuracy: float
    real: float
    fake: float


def classifier_two_sample(real: NDArray[Any], fake: NDArray[Any], seed: int = 0) -> TwoSample:
    """real (N,F), fake (M,F) -> accuracy on the held-out half of min(N, M) rows of each, drawn at random.

    p_value is that of at least so many right guesses by a fair coin. Raises ValueError on fewer than 20 rows too.
    """
    real, fake = pair(real, fake, 20)
    rng = np.random.default_rng(seed)
    n = min(len(real), len(fake))
    x = np.concatenate([a[rng.choice(len(a), n, replace=False)] for a in (real, fake)])
    y = np.repeat([0, 1], n)
    x_train, x_held, y_train, y_held = train_test_split(x, y, test_size=0.5, stratify=y, random_state=seed)
    batch = max(1, min(BATCH, len(x_train) // STEPS))
    network = MLPClassifier((HIDDEN,), batch_size=batch, max_iter=EPOCHS, n_iter_no_change=EPOCHS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the budget is the budget
        told = make_pipeline(StandardScaler(), network).fit(x_train, y_train).predict(x_held)
    right = int((told == y_held).sum())
    p_value = binomtest(right, len(y_held), 0.5, alternative="greater").pvalue
    return TwoSample(right / len(y_held), float(p_value), len(y_held))


def one_nearest(real: NDArray[Any], fake: NDArray[Any]) -> OneNearest:
    """real (N,F), fake (N,F), equally many -> leave-one-out accuracy of the nearest neighbour. Raises ValueError."""
    real, fake = pair(real, fake)
    if len(real) != len(fake):
        raise ValueError(f"{len(real)} real and {len(fake)} fake rows: expected equally many; cut the longer set")
    x = np.concatenate([real, fake])
    nearest = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(x).kneighbors(return_distance=False)[:, 0]
    n = len(real)
    real_right, fake_right = float((nearest[:n] < n).mean()), float((nearest[n:] >= n).mean())
    return OneNearest((real_right + fake_right) / 2, real_right, fake_right)
