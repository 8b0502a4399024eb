"""metrics/score.py against probabilities whose score is known."""

import math

import numpy as np
import pytest

from minigan.metrics.score import classifier_score


def sure(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[labels]


@pytest.mark.parametrize(
    "labels", [np.repeat(np.arange(10), 1000), np.arange(10_000) % 10, np.arange(10_000) // 10 % 10]
)
def test_sure_and_even_is_the_number_of_classes(labels: np.ndarray) -> None:
    assert classifier_score(sure(labels, 10), splits=1) == pytest.approx((10, 0), abs=1e-12)
    parts = classifier_score(sure(labels, 10))  # 1,000 rows each, which have every class about as often
    assert 9.99 < parts.mean <= 10 and parts.std < 0.01


def test_the_same_for_all_is_1() -> None:
    assert classifier_score(np.full((40, 5), 0.2)) == pytest.approx((1, 0), abs=1e-12)
    assert classifier_score(np.tile([0.7, 0.3, 0.0], (40, 1))) == pytest.approx((1, 0), abs=1e-12)
    assert classifier_score(sure(np.full(40, 3), 5)) == pytest.approx((1, 0), abs=1e-12)


def test_half_sure() -> None:
    """Rows (p, 1-p) and (1-p, p), as many of each: exp(log 2 - H(p))."""
    p = 0.9
    entropy = -p * math.log(p) - (1 - p) * math.log(1 - p)
    rows = np.repeat([[p, 1 - p], [1 - p, p]], 30, axis=0)
    assert classifier_score(rows, splits=1).mean == pytest.approx(2 * math.exp(-entropy), rel=1e-12)


def test_parts_have_their_own_scores() -> None:
    """Of 0 0 0 1 in two parts one has both classes and one has only 0: 2 and 1."""
    assert classifier_score(sure(np.array([0, 0, 0, 1]), 2), splits=2) == pytest.approx((1.5, 0.5), abs=1e-12)
