"""metrics/modes.py against cases whose answer is known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.data import load, toys
from minigan.metrics.modes import WITHIN, modes

SETS = [("ring8", 8), ("grid25", 25)]


@pytest.mark.parametrize(("name", "count"), SETS)
def test_the_real_points_reach_every_mode_evenly(name: str, count: int) -> None:
    x, centres, std = load(name, value_range=None), toys.centres(name), toys.STD[name]
    found = modes(x.read(range(len(x))), centres, std)
    inside = 1 - math.exp(-(WITHIN**2) / 2)  # of a Gaussian in the plane: its squared radius is exponential
    assert (found.found, len(centres)) == (count, count)
    assert found.high_quality == pytest.approx(inside, abs=4 * math.sqrt(inside * (1 - inside) / len(x)))
    assert found.reverse_kl == pytest.approx(0, abs=1e-12)  # load_toy draws equally many of each


@pytest.mark.parametrize(("name", "count"), SETS)
@given(data=st.data())
def test_samples_on_some_centres(name: str, count: int, data: st.DataObject) -> None:
    """m centres with equal shares: m modes, all of high quality, log(M / m)."""
    chosen = data.draw(st.lists(st.integers(0, count - 1), min_size=1, unique=True))
    repeats = data.draw(st.integers(1, 5))
    found = modes(np.repeat(toys.centres(name)[chosen], repeats, axis=0), toys.centres(name), toys.STD[name])
    assert found[:2] == (len(chosen), 1.0)
    assert found.reverse_kl == pytest.approx(math.log(count / len(chosen)), abs=1e-12)


LINE = np.array([[0.0], [10.0]])


def test_high_quality_ends_at_three_standard_deviations() -> None:
    x = np.array([[2.999], [-2.999], [3.0], [-3.001], [7.001], [13.5]])
    found = modes(x, LINE, 1.0)
    assert found[:2] == (2, 3 / 6)


def test_a_mode_with_no_sample_of_high_quality_is_not_found_but_counts_in_the_kl() -> None:
    found = modes(np.array([[0.0], [1.0], [6.0]]), LINE, 1.0)
    assert found[:2] == (1, 2 / 3)
    assert found.reverse_kl == pytest.approx(2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3), abs=1e-15)


def test_one_sample_in_a_thousand_finds_a_mode_and_the_kl_tells() -> None:
    x = np.repeat(LINE, [999, 1], axis=0)
    found = modes(x, LINE, 1.0)
    assert found[:2] == (2, 1.0)
    assert found.reverse_kl == pytest.approx(0.999 * math.log(1.998) + 0.001 * math.log(0.002), abs=1e-15)


@pytest.mark.parametrize(
    ("samples", "centres", "std", "words"),
    [
        (np.zeros((3, 2)), np.zeros((2, 3)), 1.0, r"\(3, 2\).*\(2, 3\).*expected \(N,F\) and \(M,F\)"),
        (np.zeros(3), LINE, 1.0, r"expected \(N,F\)"),
        (np.zeros((3, 1)), np.zeros((0, 1)), 1.0, "M at least 1"),
        (np.zeros((0, 1)), LINE, 1.0, "at least one"),
        (np.array([[0.0], [np.nan]]), LINE, 1.0, "finite"),
        (np.array([[np.inf]]), LINE, 1.0, "finite"),
        (np.zeros((3, 1)), LINE, 0.0, "std = 0.0"),
        (np.zeros((3, 1)), LINE, np.nan, "std = nan"),
    ],
)
def test_what_cannot_be_counted_is_refused(samples: np.ndarray, centres: np.ndarray, std: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        modes(samples, centres, std)
