"""Learning-rate schedules: factor(step, horizon, floor, every, decay) in [0, 1], computed on the host in float64.

`horizon` is a key of its own, not the run's length, so that a resumed or prolonged run follows the same curve.
"""

import math
from collections.abc import Callable

Factor = Callable[[int, int, float, int, float], float]


def constant(step: int, horizon: int, floor: float, every: int, decay: float) -> float:
    """1"""
    return 1.0


def stepwise(step: int, horizon: int, floor: float, every: int, decay: float) -> float:
    """decay ^ floor(step / every), not below `floor`"""
    return max(floor, decay ** (step // every))


def linear(step: int, horizon: int, floor: float, every: int, decay: float) -> float:
    """From 1 at step 0 straight to `floor` at `horizon`, then `floor`"""
    return floor + (1 - floor) * max(0.0, 1 - step / horizon)


def cosine(step: int, horizon: int, floor: float, every: int, decay: float) -> float:
    """floor + (1 - floor) (1 + cos(pi step / horizon)) / 2, then `floor`

    Source: Loshchilov & Hutter 2017, arXiv:1608.03983
    """
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(step / horizon, 1.0)))


SCHEDULES: dict[str, Factor] = {"constant": constant, "step": stepwise, "linear": linear, "cosine": cosine}
