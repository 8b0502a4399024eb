"""What the update rules promise beyond their formula: see the rows of cases.py for the numbers themselves."""

import numpy as np
import pytest
from cases import ROWS, Row

from minigan.backends import oracle
from minigan.backends.clock import BAD, C1, C2, CLIP, HOST_WORDS, LR, WORDS, host_words, rate
from minigan.models.shapes import Array

UPDATES = [row for row in ROWS if row.op in ("adam_step", "sgd_step", "rmsprop_step")]


def _clock(*slots: tuple[float, float, float]) -> Array:
    clock = np.zeros(WORDS)
    clock[:HOST_WORDS] = host_words(0, 0, slots, np.float64)
    clock[CLIP:BAD] = 1
    return clock


GUARDED = [*UPDATES, *(row for row in ROWS if row.op == "ema_update")]


@pytest.mark.parametrize("row", GUARDED, ids=lambda row: row.name)
def test_bad_flag_leaves_everything_untouched(row: Row) -> None:
    for bad in (1.0, np.nan):
        args = row.args(0, np.float32, integer=False)
        clock = next(a for a in args if isinstance(a, np.ndarray) and a.shape == (WORDS,))
        clock[BAD], args[1][:] = bad, np.nan
        before = [a.copy() for a in args if isinstance(a, np.ndarray)]
        getattr(oracle, row.op)(*args)
        after = [a for a in args if isinstance(a, np.ndarray)]
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("row", UPDATES, ids=lambda row: row.name)
def test_clip_factor_is_that_of_the_slot(row: Row) -> None:
    """A clip factor of 1/2 is a gradient of half the size; other slots' factors and rates do not count."""
    args = list(row.args(0, np.float64, integer=True))
    at = next(i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.shape == (WORDS,))
    args[at], args[at + 1] = _clock((9, 9, 9), (0.1, 1.5, 2.5), (9, 9, 9)), 1
    clipped = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    halved = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    clipped[at][CLIP : CLIP + 3] = 9, 0.5, 9
    halved[1] *= 0.5
    getattr(oracle, row.op)(*clipped)
    getattr(oracle, row.op)(*halved)
    assert not np.array_equal(clipped[0], args[0])
    assert all(np.array_equal(clipped[i], halved[i]) for i in row.writes)


def test_first_adam_step_has_the_length_of_the_learning_rate() -> None:
    p, dp = np.zeros(3), np.array([3.0, -0.01, 200.0])
    clock = _clock((0.1, 1 / (1 - 0.5), 1 / (1 - 0.999)))
    oracle.adam_step(p, dp, np.zeros(3), np.zeros(3), clock, 0, 0.5, 0.999, 1e-12, 0.0)
    assert np.allclose(p, [-0.1, 0.1, -0.1], rtol=1e-9)


def test_clock_layout_holds_what_host_words_put_there() -> None:
    clock = _clock((1, 2, 3), (4, 5, 6))
    assert [clock[rate(slot, word)] for slot in (0, 1) for word in (LR, C1, C2)] == [1, 2, 3, 4, 5, 6]


def test_clip_scale_limits_the_norm() -> None:
    dp, clock = np.array([3.0, 4.0]), _clock()
    oracle.clip_scale(oracle.sum_squares(dp), 2.0, clock, 1)
    assert clock[CLIP + 1] * np.linalg.norm(dp) == pytest.approx(2.0, rel=1e-15)
    oracle.clip_scale(oracle.sum_squares(dp), 5.5, clock, 1)
    assert clock[CLIP + 1] == 1
