"""metrics/transfer.py: three clusters that any classifier tells apart."""

import numpy as np
import pytest

from minigan.metrics.transfer import learned, transfer


def clusters(seed: int, *counts: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(len(counts)), counts)
    return 100 * np.eye(3)[labels] + np.random.default_rng(seed).standard_normal((len(labels), 3)), labels


REAL, HELD, FAKE = clusters(1, 40, 40, 40), clusters(2, 10, 20, 30), clusters(3, 50, 50, 50)


def test_good_samples() -> None:
    assert transfer(REAL, HELD, FAKE) == (1, 1, 1, 120)
    assert transfer(REAL, HELD, FAKE, budget=60).budget == 60


def test_wrong_labels_are_seen_both_ways() -> None:
    assert transfer(REAL, HELD, (FAKE[0], (FAKE[1] + 1) % 3)) == (0, 0, 1, 120)


def test_a_class_without_samples_is_seen_by_what_is_trained_on_them_only() -> None:
    assert transfer(REAL, HELD, clusters(3, 50, 50)) == (pytest.approx(30 / 60), 1, 1, 100)


def test_samples_of_one_class_where_another_lies() -> None:
    """Samples of class 1 look like class 0."""
    x, labels = clusters(3, 100, 0, 50)
    found = transfer(REAL, HELD, (x, np.where(np.arange(150) < 50, 1, labels)), budget=120)
    assert found.trts == pytest.approx(100 / 150)
    assert found.tstr < 1
    assert found.trtr == 1


def test_the_seed_draws_the_budget() -> None:
    noisy = (FAKE[0] + 60 * np.random.default_rng(4).standard_normal(FAKE[0].shape), FAKE[1])
    found = [transfer(REAL, HELD, noisy, 20, seed) for seed in (1, 1, 2, 3)]
    assert found[0] == found[1]
    assert len(set(found)) > 1


def test_learned_from_real_rows_is_the_yardstick_alone() -> None:
    rng = np.random.default_rng(4)
    real, held = ((x + 60 * rng.standard_normal(x.shape), y) for x, y in (REAL, HELD))
    for budget in (20, 1000):
        assert learned(real, held, budget, seed=3) == transfer(real, held, FAKE, budget, seed=3).trtr < 1
