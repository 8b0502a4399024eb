"""Can a network tell samples from real items? 0.5 says that it cannot.

A small one is trained to tell them apart and tested on rows it has not seen: what the discriminator's 0.5 would say if
it could be trusted. The nearest neighbour as the judge: manifold.py.
Source: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests", arXiv:1610.06545.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
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
