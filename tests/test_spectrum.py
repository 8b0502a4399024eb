"""The distance of spectra, against closed forms: sines, white noise, silence, and what must not win."""

import numpy as np
import pytest

from minigan.metrics.spectrum import SILENCE, powers, spectrum, spectrum_distance

L = 256
RNG = np.random.default_rng(0)


def sines(n: int, k: int, a: float = 1.0, length: int = L) -> np.ndarray:
    """n sines of k cycles a window, of amplitude a, each with another phase."""
    phase = np.linspace(0, 6, n)[:, None]
    return a * np.sin(2 * np.pi * k * np.arange(length) / length + phase)


def test_a_sine_is_three_lines() -> None:
    """A Hann window is 1/2 - cos/2: a whole number of cycles gives a L/4 at its own frequency, half of it beside."""
    power = powers(sines(3, 10, 0.5))
    want = np.zeros(L // 2 + 1)
    want[9:12] = (0.5 * L / 4) ** 2 * np.array([0.25, 1.0, 0.25])
    np.testing.assert_allclose(power, np.tile(want, (3, 1)), atol=1e-20 * L**4)


def test_twice_as_loud_is_six_decibels_where_there_is_sound() -> None:
    """Three of 129 frequencies differ, by 20 log10 2; silence is equal, and no signal differs from another."""
    x = sines(4, 10)
    assert spectrum_distance(x, 2 * x) == pytest.approx(20 * np.log10(2) * np.sqrt(3 / 129), rel=1e-9)


def test_silence_is_60_db_below_the_mean() -> None:
    """Against nothing at all: what the three lines are above silence, and 0 elsewhere."""
    x = sines(4, 10)
    line = (L / 4) ** 2
    silence = SILENCE * 1.5 * line / 129
    above = 10 * np.log10(line * np.array([0.25, 1, 0.25]) / silence)
    assert spectrum_distance(x, 0 * x) == pytest.approx(np.sqrt((above**2).sum() / 129), rel=1e-9)


def test_white_noise_has_the_logarithm_of_an_exponential_distribution() -> None:
    """Its power is exponential: mean of 10 log10 is 10 log10(mean) - 2.5068 dB (Euler's gamma), deviation 5.5698 dB.

    Frequencies 0 and L/2 (and their neighbours, through the window) are real and so of another law.
    """
    n, std = 20_000, 0.3
    found = spectrum(powers(std * RNG.standard_normal((n, 64))), 1e-12)
    mean = 10 * np.log10(std**2 * 64 * 3 / 8) - 10 / np.log(10) * np.euler_gamma
    spread = 10 / np.log(10) * np.pi / np.sqrt(6)
    np.testing.assert_allclose(found.mean[2:-2], mean, atol=5 * spread / np.sqrt(n))
    np.testing.assert_allclose(found.std[2:-2], spread, atol=5 * 1.1 * spread / np.sqrt(n))


def test_white_noise_of_two_levels() -> None:
    """Every frequency by 20 log10 of the ratio, up to what 4,000 signals leave to chance."""
    a, b = RNG.standard_normal((2, 4_000, 64))
    assert spectrum_distance(a, 4 * b) == pytest.approx(20 * np.log10(4), abs=0.02)


def test_equal_sets_are_at_0_and_order_does_not_count() -> None:
    x = RNG.standard_normal((10, L))
    assert spectrum_distance(x, x) == 0
    assert spectrum_distance(x, x[::-1]) == pytest.approx(0, abs=1e-12)


def test_a_block_more_changes_nothing() -> None:
    x = RNG.standard_normal((2050, 16))
    np.testing.assert_array_equal(powers(x)[[0, 1023, 1024, 2049]], powers(x[[0, 1023, 1024, 2049]]))


def test_channels_are_each_heard() -> None:
    x = np.stack([sines(4, 10), sines(4, 20)], axis=-1)
    assert powers(x).shape == (4, 258)
    np.testing.assert_array_equal(powers(x), np.hstack([powers(x[..., 0]), powers(x[..., 1])]))
    assert spectrum_distance(x, x[..., ::-1]) > 10


def test_one_signal_repeated_does_not_win() -> None:
    """Half of them 12 dB louder, half 12 dB quieter: one between them is at the mean, and lacks the spread."""
    gain = np.tile([4.0, 0.25], 10)[:, None]
    x, between = gain * sines(20, 10), np.tile(sines(1, 10), (20, 1))
    assert spectrum_distance(x, between) == pytest.approx(20 * np.log10(4) * np.sqrt(3 / 129), rel=1e-9)
    assert spectrum_distance(x, x[:10]) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (np.ones((3, 8)), np.ones((3, 9)), "two sets of one length"),
        (np.ones((1, 8)), np.ones((3, 8)), "N at least 2"),
        (np.ones((3, 8)), np.full((3, 8), np.nan), "finite"),
        (np.zeros((3, 8)), np.ones((3, 8)), "nothing but zeros"),
        (np.ones(8), np.ones(8), r"expected \(N,L\)"),
    ],
)
def test_bad_signals_are_refused(a: np.ndarray, b: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        spectrum_distance(a, b)
