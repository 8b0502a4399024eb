"""Does a classifier know how sure it may be? Of answers given with probability p, a share p should be right.

    ECE   = sum_b n_b / N |accuracy_b - confidence_b|        b: bins of equal width of the confidence max_k p_k
    Brier = mean_n sum_k (p_nk - [y_n = k])^2                0 sure and right, 2 sure and wrong, 1 - 1/K knowing nothing

ECE sees calibration alone, and from few rows it is too large; the Brier score sees calibration and accuracy together,
and is smallest in expectation for the true probabilities (a proper score).
Sources: Naeini, Cooper & Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning"; Guo et al.
2017, arXiv:1706.04599; Brier 1950, "Verification of forecasts expressed in terms of probability".
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.metrics.arrays import Numbers, class_labels, rows

BINS = 10


class Calibration(NamedTuple):
    """`accuracy`, `ece` and `brier` of all rows; of each bin (B,) how many rows it has, and their mean confidence and
    accuracy, NaN of an empty one: the reliability diagram.
    """

    accuracy: float
    ece: float
    brier: float
    counts: NDArray[np.int64]
    confidences: Numbers
    accuracies: Numbers


def calibration(probabilities: NDArray[Any], labels: NDArray[Any], bins: int = BINS) -> Calibration:
    """probabilities (N,K), rows that sum to 1; labels (N,) in 0..K-1 -> Calibration.

    Bin b has the rows with a confidence in (b/B, (b+1)/B]. A row's answer is its most probable class, the first of
    equal ones. Raises ValueError.
    """
    if bins < 1:
        raise ValueError(f"bins = {bins}, expected at least 1")
    p = rows("probabilities", probabilities, 1)
    if p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise ValueError("probabilities must be at least 0 and each row sum to 1; pass a softmax, not logits")
    y = class_labels("labels", labels, len(p))
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise ValueError(f"labels span {y.min()} to {y.max()}, expected 0 to {p.shape[1] - 1}: a column for each class")
    right, sure = p.argmax(axis=1) == y, p.max(axis=1)
    bin_of = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    of_bin = [np.bincount(bin_of, weights=a, minlength=bins) for a in (sure, right)]
    confidences, accuracies = (np.divide(a, counts, out=np.full(bins, np.nan), where=counts > 0) for a in of_bin)
    ece = float(np.abs(of_bin[0] - of_bin[1]).sum() / len(p))
    brier = float(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())
    return Calibration(float(right.mean()), ece, brier, counts, confidences, accuracies)
