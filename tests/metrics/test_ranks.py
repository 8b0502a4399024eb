"""metrics/ranks.py: pairs by hand, ties, and halves of rows."""

import math

import numpy as np
import pytest

from minigan.metrics.ranks import agreement, halves


def test_pairs_by_hand() -> None:
    """1 2 3 4 and 1 2 4 3: five pairs of six agree."""
    assert agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 4, 3])).tau == pytest.approx(4 / 6)
    assert agreement(np.array([1, 2, 3]), np.array([3, 2, 1])).tau == pytest.approx(-1)
    same = agreement(np.arange(5), np.arange(5) ** 2)
    assert same == (pytest.approx(1), pytest.approx(2 / math.factorial(5)))  # of 120 orders two are so extreme


def test_ties_count_for_neither() -> None:
    """0 0 1 and 0 1 2: of three pairs two agree, one is tied in a: 2 / sqrt(2 * 3)."""
    assert agreement(np.array([0, 0, 1]), np.array([0, 1, 2])).tau == pytest.approx(2 / math.sqrt(6))


def test_no_order_has_no_agreement() -> None:
    assert agreement(np.ones(4), np.arange(4)) == agreement(np.arange(4), np.ones(4)) == (None, None)


def test_halves_of_rows_agree_as_far_as_the_models_differ() -> None:
    rng = np.random.default_rng(0)
    share = np.array([0.2, 0.4, 0.6, 0.8, 0.99])[:, None]
    assert halves(rng.random((5, 2000)) < share) == pytest.approx(1)
    assert 0.3 < halves(rng.random((5, 20)) < share) < 0.95
    assert abs(halves(rng.random((5, 2000)) < 0.5)) < 0.6
    assert halves(np.ones((3, 10), np.bool_)) is None
    drawn = rng.random((5, 20)) < share
    assert halves(drawn, 1) == halves(drawn, 1) != halves(drawn, 2)


def test_one_model_and_other_shapes_are_refused() -> None:
    for a, b in ((np.ones(1), np.ones(1)), (np.ones(3), np.ones(2)), (np.ones((2, 2)), np.ones((2, 2)))):
        with pytest.raises(ValueError, match="two or more models"):
            agreement(a, b)
    for right in (np.ones((1, 9), np.bool_), np.ones((3, 1), np.bool_), np.ones(4, np.bool_)):
        with pytest.raises(ValueError, match="two or more models, two or more rows"):
            halves(right)
