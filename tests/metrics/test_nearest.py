"""metrics/nearest.py: neighbours by loops, and copies."""

import math

import numpy as np
import pytest

from minigan.metrics.nearest import memorisation, nearest_training


def cloud(seed: int, n: int, features: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, features))


def test_neighbours_by_loops() -> None:
    fake, train = cloud(1, 20), cloud(2, 50)
    distances = np.array([[math.dist(f, t) for t in train] for f in fake])
    found = nearest_training(fake, train, 3)
    assert found.indices.tolist() == np.argsort(distances, axis=1)[:, :3].tolist()
    assert found.distances == pytest.approx(np.sort(distances, axis=1)[:, :3], rel=1e-12)


def test_a_copy_is_at_0_wherever_it_lies() -> None:
    train = cloud(1, 100) + 1e4
    found = nearest_training(train[::-1], train, 2)
    assert found.indices[:, 0].tolist() == list(range(99, -1, -1))
    assert not found.distances[:, 0].any()
    assert (found.distances[:, 1] > 0).all()


def test_samples_like_the_data_are_not_copies() -> None:
    z = []
    for seed in range(30):
        train, held, fake = (cloud(3 * seed + i, 100) for i in range(3))
        z.append(memorisation(fake, train, held).z)
    assert abs(np.mean(z)) < 3 / math.sqrt(30)
    assert 0.6 < np.std(z) < 1.4  # 1, known from 30 to 13 %


def test_what_is_nearer_than_all_held_out_items() -> None:
    train, held = cloud(1, 200), cloud(2, 50)
    found = memorisation(train[:80], train, held)
    z = -(80 * 50 / 2) / math.sqrt(80 * 50 * 131 / 12)  # U = 0
    assert found == (0, pytest.approx(z), pytest.approx(0.5 * math.erfc(-z / math.sqrt(2)), rel=1e-9), 1)


def test_held_out_items_themselves() -> None:
    train, held = cloud(1, 200), cloud(2, 100)
    found = memorisation(held, train, held)
    assert found == (1, pytest.approx(0, abs=1e-12), pytest.approx(0.5), 0.01)


def test_a_few_copies_among_poor_samples() -> None:
    """By rank they pass for poor samples only; `copied` tells."""
    train, held = cloud(1, 500), cloud(2, 200)
    found = memorisation(np.concatenate([train[:60], cloud(3, 140) + 3]), train, held)
    assert found.z > 2
    assert found.copied == 60 / 200


def test_duplicates_in_the_data_leave_no_ratio() -> None:
    train = cloud(1, 100)
    assert memorisation(cloud(2, 30), train, train[:30]).ratio == math.inf


def test_distances_that_are_known_are_taken_for_the_held_out_rows() -> None:
    fake, train, held = cloud(1, 40), cloud(2, 50), cloud(3, 30)
    known = nearest_training(held, train).distances[:, 0]
    assert memorisation(fake, train, held, known) == memorisation(fake, train, held)
    assert memorisation(fake, train, held, 2 * known).ratio == pytest.approx(memorisation(fake, train, held).ratio / 2)
