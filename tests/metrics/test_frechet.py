"""metrics/frechet.py: Gaussians whose distance is known, and samples whose error is."""

import numpy as np
import pytest
from scipy import linalg, stats

from minigan.metrics.frechet import POINTS, frechet, frechet_infinity, gaussian_frechet, with_interval

ROTATION = stats.ortho_group.rvs(3, random_state=0)


def turned(*variances: float) -> np.ndarray:
    return ROTATION @ np.diag(variances) @ ROTATION.T


ZERO, ONE = np.zeros(3), np.eye(3)

# mean, covariance, mean, covariance, and the squared distance
KNOWN = {
    "equal": (ZERO, turned(1, 4, 9), ZERO, turned(1, 4, 9), 0.0),
    "means apart": (np.array([1.0, 2.0, 3.0]), ONE, ZERO, ONE, 14.0),
    "axes of one direction": (ZERO, turned(1, 4, 9), ZERO, turned(16, 1, 4), 9.0 + 1.0 + 1.0),  # sum (s - s')^2
    "both": (np.array([0.0, 0.0, 2.0]), turned(1, 4, 9), ZERO, turned(4, 4, 16), 4.0 + 1.0 + 0.0 + 1.0),
    "a point and a Gaussian": (ZERO, np.zeros((3, 3)), ZERO, turned(1, 4, 9), 14.0),
    "two lines at right angles": (ZERO, turned(4, 0, 0), ZERO, turned(0, 9, 0), 13.0),
    "a line in a plane": (ZERO, turned(4, 0, 0), ZERO, turned(9, 1, 0), 2.0),
}


@pytest.mark.parametrize("name", KNOWN)
def test_gaussians_of_known_distance(name: str) -> None:
    mean_a, cov_a, mean_b, cov_b, squared = KNOWN[name]
    # a rounding of an eigenvalue that is 0 enters by its square root
    assert gaussian_frechet(mean_a, cov_a, mean_b, cov_b) == pytest.approx(squared, abs=1e-6)
    assert gaussian_frechet(mean_b, cov_b, mean_a, cov_a) == pytest.approx(squared, abs=1e-6)


def test_the_root_of_a_product_is_scipys() -> None:
    rng = np.random.default_rng(1)
    a, b = (np.cov(rng.standard_normal((6, 20)) * rng.uniform(0.5, 2, (6, 1))) for _ in range(2))
    expected = np.trace(a + b - 2 * linalg.sqrtm(a @ b).real) + 6 * 0.25
    assert gaussian_frechet(np.full(6, 0.5), a, np.zeros(6), b) == pytest.approx(expected, rel=1e-10)


def test_samples_give_the_distance_of_their_moments() -> None:
    rng = np.random.default_rng(2)
    real, fake = rng.standard_normal((50, 4)) + 7, 2 * rng.standard_normal((30, 4))
    expected = gaussian_frechet(real.mean(0), np.cov(real.T), fake.mean(0), np.cov(fake.T))
    assert frechet(real, fake) == pytest.approx(expected, rel=1e-12)
    assert frechet(real.astype(np.float32), fake.astype(np.float32)) == pytest.approx(expected, rel=1e-5)
    assert frechet(real, real[::-1]) == pytest.approx(0, abs=1e-12)


def line(mean: float, std: float, n: int, seed: int) -> np.ndarray:
    return mean + std * np.random.default_rng(seed).standard_normal((n, 1))


@pytest.mark.parametrize("swapped", [False, True])
def test_the_interval_is_as_wide_as_one_dimension_says(swapped: bool) -> None:
    """There d^2 = (m - m')^2 + (s - s')^2, and a mean's variance is s^2 / N, a standard deviation's s^2 / 2N."""
    n = 5000
    sets = line(0, 1, n, 1), line(3, 2, n, 2)  # most of the error is the second's
    found = with_interval(*(sets[::-1] if swapped else sets))
    std = np.sqrt(4 * 3**2 * (1 + 4) / n + 4 * 1**2 * (1 + 4) / (2 * n))
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(10, abs=4 * std)
    width = found.high - found.low
    assert width == pytest.approx(2 * 1.96 * std, rel=0.12)  # a quantile of 1000 resamples is known to 4 %, two to 6


def cloud(n: int, rng: np.random.Generator, scale: float = 1.0) -> np.ndarray:
    return scale * rng.standard_normal((n, 4)) @ np.array([[1, 0.5, 0, 0], [0, 1, 0, 0.3], [0, 0, 2, 0], [0, 0, 0, 1]])


def test_the_interval_is_as_wide_as_other_samples_spread() -> None:
    rng = np.random.default_rng(3)
    pairs = [(cloud(400, rng), cloud(400, rng, 1.5) + 0.3) for _ in range(60)]
    spread = np.std([frechet(*sets) for sets in pairs])
    widths = [
        (found.high - found.low) / (2 * 1.96) for found in (with_interval(*sets, resamples=400) for sets in pairs[:10])
    ]
    assert np.mean(widths) == pytest.approx(spread, rel=0.25)  # the spread of 60 is known to 9 %


def test_a_feature_that_never_changes_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    real, fake = cloud(200, rng), cloud(100, rng, 1.5)
    wider = [
        np.column_stack([a, np.full(len(a), 5.0), a[:, 0]]) for a in (real, fake)
    ]  # and one that is another's copy
    stretched = [a * [np.sqrt(2), 1, 1, 1] for a in (real, fake)]
    assert with_interval(*wider) == pytest.approx(with_interval(*stretched), rel=1e-6)


def test_at_infinity_the_bias_is_gone() -> None:
    """d^2 = 1 between N(0,I) and N(e,I) in ten dimensions; from 300 samples it comes out too large every time."""
    rng = np.random.default_rng(5)
    real = rng.standard_normal((20_000, 10))
    sets = [rng.standard_normal((300, 10)) + np.eye(10)[0] for _ in range(20)]
    plain = np.array([frechet(real, fake) for fake in sets])
    found = [frechet_infinity(real, fake, seed) for seed, fake in enumerate(sets)]
    values = np.array([each.value for each in found])
    assert abs(values.mean() - 1) < 3 * values.std() / np.sqrt(len(sets)) < plain.mean() - 1
    assert all(each.slope > 0 for each in found)


def test_the_line_goes_through_its_points() -> None:
    rng = np.random.default_rng(6)
    real, fake = cloud(500, rng), cloud(400, rng)
    found = frechet_infinity(real, fake)
    assert (found.sizes[0], found.sizes[-1], len(found.sizes)) == (40, 400, POINTS)
    assert found.distances[-1] == pytest.approx(frechet(real, fake), rel=1e-12)  # all of them, in another order
    terms = np.column_stack([np.ones(POINTS), 1 / found.sizes])
    assert [found.value, found.slope] == pytest.approx(np.linalg.lstsq(terms, found.distances)[0], rel=1e-9)
