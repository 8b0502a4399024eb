"""`clock`: the one small array that holds all that changes from step to step.

Kernels read it by the offsets below, so a step has no host scalar baked in and can be recorded once and replayed.
It has the run's dtype; counters are split in halves of 16 bits, each exact in float32.

    0 SEED   1 its high half   2 TICK   3 its high half   4 EMA   per optimizer LR, C1, C2 | per optimizer CLIP   BAD
    |<------------------- copied from the host before every sub-step ------------------->|<- written by kernels ->|

A *tick* counts sub-steps (each D step and each G step is one), so no two passes draw the same random numbers.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOTS = 4  # optimizers a task may own
SEED, TICK, EMA, RATES = 0, 2, 4, 5  # EMA: decay of the moving average in this step
LR, C1, C2 = 0, 1, 2  # within a slot: learning rate, 1 / (1 - beta1**t), 1 / (1 - beta2**t)
HOST_WORDS = RATES + 3 * SLOTS
CLIP = HOST_WORDS  # + slot: the factor that clips the gradient's norm, 1 when it is short enough
BAD = CLIP + SLOTS  # not 0 once a loss or gradient was NaN or infinite
WORDS = BAD + 1


def rate(slot: int, word: int) -> int:
    """Offset of LR, C1 or C2 of one optimizer."""
    return RATES + 3 * slot + word


def counter(clock: NDArray[Any], at: int) -> int:
    """The 32-bit number stored in two halves at SEED or TICK."""
    return int(clock[at]) | int(clock[at + 1]) << 16


def host_words(
    seed: int, tick: int, slots: Sequence[tuple[float, float, float]], dtype: Any, ema: float = 0.0
) -> NDArray[Any]:
    """The (HOST_WORDS,) values to copy: `slots` holds (learning rate, C1, C2), computed in float64."""
    words = np.zeros(HOST_WORDS, np.float64)
    words[SEED : SEED + 2] = seed & 0xFFFF, seed >> 16 & 0xFFFF
    words[TICK : TICK + 2] = tick & 0xFFFF, tick >> 16 & 0xFFFF
    words[EMA] = ema
    for i, numbers in enumerate(slots):
        words[rate(i, LR) : rate(i, LR) + 3] = numbers
    return words.astype(dtype)
