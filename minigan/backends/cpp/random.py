"""Dropout with counter-based randomness, the oracle's masks to the bit: csrc/random.inl."""

from minigan.backends import checks
from minigan.backends.cpp.table import kernels, run
from minigan.models.shapes import Array


def dropout(x: Array, rate: float, clock: Array, offset: int) -> Array:
    """x (N,...) -> y: each element is 0 with probability `rate`, else x / (1 - rate)."""
    return run(kernels.dropout, checks.dropout, x, rate, clock, offset)


def dropout_backward(dy: Array, rate: float, clock: Array, offset: int) -> Array:
    """dy (N,...) -> dx: the same mask, drawn again from the same (clock, offset)."""
    return run(kernels.dropout, checks.dropout_backward, dy, rate, clock, offset)
