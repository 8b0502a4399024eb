"""metrics/calibration.py: bins by hand, and what answers of known worth must get."""

import numpy as np
import pytest

from minigan.metrics.calibration import calibration


def two(*sure: float) -> np.ndarray:
    """Probabilities of two classes, of which the first has these."""
    return np.array([[p, 1 - p] for p in sure])


def test_bins_by_hand() -> None:
    """Confidences .6 .7 | .9 1.: the first bin right once in two, the second always."""
    found = calibration(two(0.6, 0.3, 0.9, 1.0), np.array([0, 0, 0, 0]), bins=4)
    assert found.accuracy == 3 / 4 and found.counts.tolist() == [0, 0, 2, 2]
    assert found.confidences[2:].tolist() == pytest.approx([0.65, 0.95]) and np.isnan(found.confidences[:2]).all()
    assert found.accuracies[2:].tolist() == [0.5, 1.0]
    assert found.ece == pytest.approx((2 * 0.15 + 2 * 0.05) / 4)
    assert found.brier == pytest.approx(2 * (0.4**2 + 0.7**2 + 0.1**2) / 4)


def test_an_edge_belongs_to_the_bin_below_it() -> None:
    assert calibration(two(0.75, 0.5), np.array([0, 0]), bins=4).counts.tolist() == [0, 1, 1, 0]


def test_the_scores_of_the_sure_and_of_the_clueless() -> None:
    y = np.array([0, 1, 2, 3])
    assert calibration(np.eye(4), y)[:3] == (1, 0, 0)
    assert calibration(np.eye(4), (y + 1) % 4)[:3] == (0, 1, 2)
    clueless = calibration(np.full((4, 4), 0.25), y)
    assert (clueless.accuracy, clueless.ece, clueless.brier) == (1 / 4, 0, pytest.approx(1 - 1 / 4))


def test_answers_that_are_as_often_right_as_they_say_are_calibrated_and_surer_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), 20_000)
    y = (p.cumsum(axis=1) < rng.random((len(p), 1))).sum(axis=1).clip(0, 4)
    sharper = p**2 / (p**2).sum(axis=1, keepdims=True)
    honest, sure = calibration(p, y), calibration(sharper, y)
    assert honest.ece < 0.02 < 0.1 < sure.ece and honest.accuracy == sure.accuracy
    assert honest.brier < sure.brier


@pytest.mark.parametrize(
    ("p", "y", "said"),
    [
        (two(0.5), np.array([0.0]), "of whole numbers"),
        (two(0.5), np.array([2]), "labels span 2 to 2, expected 0 to 1"),
        (np.array([[2.0, 1.0]]), np.array([0]), "pass a softmax"),
        (np.array([[np.nan, 1.0]]), np.array([0]), "not finite"),
    ],
)
def test_what_is_no_answer_is_refused(p: np.ndarray, y: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        calibration(p, y)


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="bins = 0"):
        calibration(two(0.5), np.array([0]), bins=0)
