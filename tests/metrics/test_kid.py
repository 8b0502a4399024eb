"""metrics/kid.py: loops, points, and what unbiased means."""

from itertools import combinations

import numpy as np
import pytest

from minigan.metrics.kid import kid, mmd

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((5, 3)), RNG.standard_normal((5, 3)) + 1


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    return float((sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3)


def test_it_is_what_loops_give() -> None:
    x, y = X, Y[:4]
    within = [np.mean([kernel(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j]) for s in (x, y)]
    expected = sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])
    assert mmd(x, y) == pytest.approx(expected, rel=1e-12)


def test_two_points_are_as_far_apart_as_the_kernel_says() -> None:
    """k(a,a) + k(b,b) - 2 k(a,b), a = (1,0), b = (1,2): 1.5^3 + 3.5^3 - 2 * 1.5^3."""
    a, b = np.tile([1.0, 0.0], (6, 1)), np.tile([1.0, 2.0], (4, 1))
    assert mmd(a, b) == pytest.approx(3.5**3 - 1.5**3, rel=1e-12)
    assert mmd(a, a) == 0


def test_the_mean_over_all_subsets_is_the_whole() -> None:
    """So it is unbiased: not just at large sizes, but exactly at each."""
    found = [mmd(X[list(i)], Y[list(j)]) for i in combinations(range(5), 3) for j in combinations(range(5), 2)]
    assert np.mean(found) == pytest.approx(mmd(X, Y), rel=1e-12)


def test_equal_distributions_are_at_0_from_both_sides() -> None:
    rng = np.random.default_rng(1)
    found = np.array([mmd(*rng.standard_normal((2, 30, 4))) for _ in range(200)])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert 0.3 < (found < 0).mean() < 0.8


def test_subsets() -> None:
    whole = kid(X, Y, subsets=3, size=5)
    assert whole.mean == pytest.approx(mmd(X, Y), rel=1e-12)
    assert whole.std == pytest.approx(0, abs=1e-12)
    some = kid(X, Y, subsets=800, size=3)
    assert some.mean == pytest.approx(mmd(X, Y), abs=4 * some.std / np.sqrt(800))
    assert some.std > 0.1
    assert kid(X, Y, 5, 3, seed=1) == kid(X, Y, 5, 3, seed=1) != kid(X, Y, 5, 3, seed=2)
    assert kid(X.astype(np.float32), Y, 5, 3) == pytest.approx(kid(X, Y, 5, 3), rel=1e-5)
