"""metrics/classes.py: shares by hand."""

import math

import numpy as np
import pytest

from minigan.metrics.classes import class_shares

EVEN = np.full(4, 0.25)


def test_even_shares_of_some_classes() -> None:
    for m in (1, 2, 3, 4):
        found = class_shares(np.repeat(np.arange(m), 5), EVEN, 4)
        assert found[:2] == (m, 4)
        assert found.reverse_kl == pytest.approx(math.log(4 / m), abs=1e-12)
    assert found.shares.tolist() == EVEN.tolist()


def test_the_reference_is_labels_or_their_shares() -> None:
    samples, data = np.array([0, 0, 1]), np.array([0, 1, 1, 1])
    by_labels, by_shares = class_shares(samples, data, 2), class_shares(samples, np.array([0.25, 0.75]), 2)
    expected = 2 / 3 * math.log(2 / 3 / 0.25) + 1 / 3 * math.log(1 / 3 / 0.75)
    assert by_labels.reverse_kl == pytest.approx(expected, rel=1e-12)
    assert by_labels[:3] == by_shares[:3]
    assert by_labels.reference.tolist() == by_shares.reference.tolist() == [0.25, 0.75]


@pytest.mark.parametrize(("strays", "found"), [(2, 1), (3, 2)])
def test_a_class_counts_from_a_tenth_of_its_share(strays: int, found: int) -> None:
    """Of 100 samples, with a real share of 0.3, three are needed."""
    samples = np.repeat([0, 1], [100 - strays, strays])
    assert class_shares(samples, np.array([0.7, 0.3]), 2).found == found
    assert class_shares(samples, np.array([0.7, 0.3]), 2, least=0).found == 2


def test_classes_that_the_data_lacks() -> None:
    real = np.array([0.5, 0.5, 0.0])
    assert class_shares(np.array([0, 1]), real, 3, least=0)[:3] == (2, 2, 0)
    assert class_shares(np.array([0, 1, 2]), real, 3, least=0)[:3] == (2, 2, math.inf)
