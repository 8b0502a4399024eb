"""What a row of the gradient table is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan.backends import load
from minigan.backends.clock import SEED, TICK, WORDS
from minigan.models.shapes import Array
from minigan.study.differences import EPS

ops = load("numpy")
Numbers = np.random.Generator


class Problem(NamedTuple):
    """forward(*inputs) -> y, backward(dy, *inputs) -> gradients, and inputs by name."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: dict[str, Array]


class Row(NamedTuple):
    """A problem for each draw of shapes and values. `points`: entries per input, unless all are checked."""

    make: Callable[[Numbers], Problem]
    smooth: bool = True
    points: int = 24
    eps: float = EPS


def clock(seed: int = 7, tick: int = 3) -> Array:
    """A clock from which dropout draws."""
    words = np.zeros(WORDS)
    words[SEED], words[TICK] = seed, tick
    return words


def added(rule: Callable[..., Any], *like: Array) -> tuple[Any, ...]:
    """(what `rule` returns, what it adds to each buffer shaped `like`); the buffers do not begin at zero."""
    buffers = [np.full(a.shape, 0.5) for a in like]
    out = rule(*buffers)
    return (out, *(b - 0.5 for b in buffers))


def apart(g: Numbers, *shape: int) -> Array:
    """Values of size 0.1 and more, so that none lies on a kink at zero."""
    return g.choice([-1.0, 1.0], shape) * g.uniform(0.1, 2.0, shape)
