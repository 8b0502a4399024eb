"""What the host draws: pure functions of (seed, stream, step), rows independent of their number; initial values."""

import numpy as np
import pytest
from scipy import stats

from minigan.errors import ConfigError
from minigan.models.init import INITS, make_init
from minigan.rng import NOISE, draw_z, host

KINDS = pytest.mark.parametrize("kind", NOISE)


@KINDS
@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_a_row_does_not_depend_on_how_many_are_drawn(kind: str, size: int) -> None:
    """Byte for byte; 400 rows of truncated noise redraw some 5 % of their values."""
    most = draw_z(7, "z", 3, 400, size, kind)
    for n in (1, 2, 3, 64, 399):
        assert draw_z(7, "z", 3, n, size, kind).tobytes() == most[:n].tobytes(), f"{kind}, n={n}, size={size}"


@KINDS
def test_the_same_key_gives_the_same_bits(kind: str) -> None:
    assert draw_z(1, "z", 2, 50, 3, kind).tobytes() == draw_z(1, "z", 2, 50, 3, kind).tobytes()


@KINDS
@pytest.mark.parametrize("other", [(2, "z", 2), (2**32 + 1, "z", 2), (1, "Z", 2), (1, "z", 3), (1, "z", 2**40)])
def test_other_keys_share_no_value(kind: str, other: tuple[int, str, int]) -> None:
    a, b = draw_z(1, "z", 2, 500, 3, kind), draw_z(*other, 500, 3, kind)
    assert not np.intersect1d(a, b).size


# kind: (distribution, bound of |z|)
DISTRIBUTIONS = {
    "normal": (stats.norm(), 6.0),
    "uniform": (stats.uniform(-1, 2), 1.0),
    "truncated": (stats.truncnorm(-2, 2), 2.0),
}


@KINDS
def test_noise_has_its_distribution(kind: str) -> None:
    distribution, limit = DISTRIBUTIONS[kind]
    z = draw_z(0, "z", 0, 4000, 5, kind)
    assert z.dtype == np.float64 and np.abs(z).max() <= limit
    assert stats.kstest(z.ravel(), distribution.cdf).pvalue > 1e-3
    assert np.abs(np.corrcoef(z.T) - np.eye(5)).max() < 5 / np.sqrt(len(z))


def test_unknown_noise_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^noise 'gauss' is unknown; known: normal, uniform, truncated$"):
        draw_z(0, "z", 0, 1, 1, "gauss")


def test_steps_never_run_into_each_other() -> None:
    """A long draw of one step holds no number of the next ones."""
    assert not np.intersect1d(host(0, "z", 0).integers(0, 2**63, 100_000), host(0, "z", 1).integers(0, 2**63, 100)).size


def test_permutations_are_functions_of_their_key() -> None:
    a, b, c = (host(0, "shuffle", epoch).permutation(1000) for epoch in (0, 0, 1))
    assert np.array_equal(a, b) and not np.array_equal(a, c) and np.array_equal(np.sort(a), np.arange(1000))


# name: the variance it promises for (fan_in, fan_out)
VARIANCE = {
    "normal": lambda fan_in, fan_out: 0.02**2,
    "glorot_uniform": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
}


@pytest.mark.parametrize("name", VARIANCE)
@pytest.mark.parametrize("shape", [(300, 500), (5, 3, 40, 60)])
def test_initial_values_have_their_moments(name: str, shape: tuple[int, ...]) -> None:
    taps = int(np.prod(shape[:-2]))
    fan_in, fan_out = taps * shape[-2], taps * shape[-1]
    w = make_init(name, 0.02)(host(0, name), shape, fan_in, fan_out)
    variance = VARIANCE[name](fan_in, fan_out)
    assert w.shape == shape and w.dtype == np.float64
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)
    assert abs(w.var() / variance - 1) < 5 * np.sqrt(2 / w.size)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (20, 20), (5, 3, 4, 7), (2, 1, 4, 33)])
def test_orthogonal_is(shape: tuple[int, ...]) -> None:
    w = make_init("orthogonal", 0.02)(host(0, "o"), shape, 1, 1).reshape(-1, shape[-1])
    gram = w @ w.T if len(w) < shape[-1] else w.T @ w
    assert np.allclose(gram, np.eye(len(gram)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign() -> None:
    """Signs made unique: the first element is as often positive as negative, which plain QR is not."""
    positive = [make_init("orthogonal", 0.02)(host(seed, "o"), (4, 4), 4, 4)[0, 0] > 0 for seed in range(400)]
    assert abs(np.mean(positive) - 0.5) < 5 * 0.5 / np.sqrt(400)


def test_every_initialiser_is_covered_and_an_unknown_one_named() -> None:
    assert set(INITS) == {*VARIANCE, "orthogonal"}
    with pytest.raises(ConfigError, match=r"^initialiser 'glorot' is unknown; did you mean 'glorot_uniform'\?$"):
        make_init("glorot", 0.02)
