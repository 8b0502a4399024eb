"""metrics/two_sample.py: sets apart, alike, and on top of each other."""

import math

import numpy as np
import pytest

from minigan.metrics.manifold import one_nearest
from minigan.metrics.two_sample import classifier_two_sample


def cloud(seed: int, n: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 3))


def test_sets_apart_are_told_apart() -> None:
    found = classifier_two_sample(cloud(1), cloud(2, 150) + 10)
    assert found == (1.0, pytest.approx(0.5**150, rel=1e-9), 150)  # half of 150 each; 150 heads in a row


def test_a_ring_around_a_cloud_is_told_too() -> None:
    """No straight line does."""
    ring = cloud(2)
    assert classifier_two_sample(cloud(1), 4 * ring / np.linalg.norm(ring, axis=1, keepdims=True)).accuracy > 0.9


def test_equal_distributions_are_not_and_p_is_the_binomial_tail() -> None:
    found = [classifier_two_sample(cloud(2 * seed), cloud(2 * seed + 1), seed) for seed in range(4)]
    held = found[0].held
    assert np.mean([each.accuracy for each in found]) == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(4 * held))
    for each in found[:2]:
        tail = sum(math.comb(held, i) for i in range(round(each.accuracy * held), held + 1)) / 2**held
        assert each.p_value == pytest.approx(tail, rel=1e-9)
    assert classifier_two_sample(cloud(0), cloud(1), 0) == found[0]


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_neighbours_on_a_line() -> None:
    """Real 0 1 9, samples 1.5 20 22: 0's neighbour is 1, 1's is 1.5, 9's 1.5; 1.5's is 1, 20's 22, 22's 20."""
    found = one_nearest(column(0, 1, 9), column(1.5, 20, 22))
    assert found == (pytest.approx(1 / 2), 1 / 3, 2 / 3)


def test_copies_apart_and_twins() -> None:
    x = cloud(1)
    assert one_nearest(x, x[::-1]) == (0, 0, 0)
    assert one_nearest(x, x + 100) == (1, 1, 1)
    assert one_nearest(x, np.repeat(cloud(2, 100), 2, axis=0)).fake == 1  # each sample has its twin


def test_equal_distributions_are_half_and_half() -> None:
    found = [one_nearest(cloud(2 * seed), cloud(2 * seed + 1)).accuracy for seed in range(30)]
    assert abs(np.mean(found) - 0.5) < 3 * np.std(found) / math.sqrt(30) < 0.03
