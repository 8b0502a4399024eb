"""Packing: D judges m samples at once, joined along their channels, and so sees when they are too much alike.

A packed batch is real or generated throughout. Source: Lin et al. 2018, "PacGAN", arXiv:1712.04086.
"""

from functools import reduce
from typing import Any

from minigan.errors import ShapeError
from minigan.models.shapes import Array, Shape


def packed_shape(shape: Shape, m: int) -> Shape:
    """(..., C) of a sample -> (..., m C) of what D judges."""
    return (*shape[:-1], m * shape[-1])


def pack(ops: Any, x: Array, m: int) -> Array:
    """x (N, ..., C) -> y (N/m, ..., m C):  y[n] = x[n], x[n + N/m], x[n + 2 N/m], ... joined along the channels.

    Raises ShapeError when m does not divide N.
    """
    if m == 1:
        return x
    n, *shape = x.shape
    if n % m:
        raise ShapeError(f"a batch of {n} samples cannot be packed by {m}; give a multiple of {m}")
    parts = _apart(ops, x.reshape(1, -1), m)
    return reduce(ops.concat, [part.reshape(n // m, *shape) for part in parts])


def unpack(ops: Any, dy: Array, m: int) -> Array:
    """The backward of `pack`, which only moves numbers: dy (N/m, ..., m C) -> dx (N, ..., C)."""
    if m == 1:
        return dy
    n, *shape, c = dy.shape
    parts = _apart(ops, dy, m)
    return reduce(ops.concat, [part.reshape(1, -1) for part in parts]).reshape(n * m, *shape, c // m)


def _apart(ops: Any, x: Array, m: int) -> list[Array]:
    """x (..., m C) -> m arrays (..., C)."""
    size, parts = x.shape[-1] // m, []
    for _ in range(m - 1):
        part, x = ops.split(x, size)
        parts.append(part)
    return [*parts, x]
