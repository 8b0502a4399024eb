"""The classifier score: "Inception score" when the classifier is Inception.

    exp( E_x KL( p(y|x) || p(y) ) ),   p(y) = E_x p(y|x)

1 when every sample gets the same probabilities, K when each is surely of one of K classes and all are equally many.
It compares with no real data: one perfect picture of each class has K, so it does not see a collapse within classes.
Source: Salimans et al. 2016, arXiv:1606.03498, section 4; its limits: Barratt & Sharma 2018, arXiv:1801.01973.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from minigan.metrics.arrays import rows

GOLDEN = (5**0.5 - 1) / 2


class Score(NamedTuple):
    """Mean and standard deviation of the score over splits."""

    mean: float
    std: float


def classifier_score(probabilities: NDArray[Any], splits: int = 10) -> Score:
    """probabilities (N,K), rows that sum to 1 -> the score of each of `splits` parts, mean and spread.

    Rows are dealt to the parts by multiples of the golden ratio, modulo 1: a part has its share of any stretch of rows,
    and of every m-th row for any m, so samples may be sorted by class, or of each class in turn.
    Raises ValueError on rows that are no probabilities, and on fewer rows than splits.
    """
    if splits < 1:
        raise ValueError(f"splits = {splits}, expected at least 1")
    p = rows("probabilities", probabilities, splits)
    if p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("probabilities must be at least 0 and each row sum to 1; pass a softmax, not logits")
    parts = np.array_split(p[np.argsort(np.arange(len(p)) * GOLDEN % 1)], splits)
    found = [np.exp(rel_entr(part, part.mean(axis=0)).sum(axis=1).mean()) for part in parts]
    return Score(float(np.mean(found)), float(np.std(found)))
