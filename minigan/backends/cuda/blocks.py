"""A memory pool on the host that reuses memory as a device's does: at once, and whoever still looks there.

A recorded call on a GPU knows an address. When the array that was there goes while the rest is recorded, its memory is
given to a later array of the same graph, which is right, since replays run in the same order; but what is wanted after
a replay must be kept. With host arrays a forgotten one would live on in the recorded call, so the call gets the memory
without a claim on it (`bare`).
"""

import weakref
from typing import Any

import numpy as np

from minigan.models.shapes import Array, Shape

_UNIT = 512  # bytes, as CuPy rounds


class Pool:
    """Blocks of host memory; `array` takes one from the free ones of that size, and the array's end gives it back."""

    def __init__(self) -> None:
        self._free: dict[int, list[bytearray]] = {}
        self.blocks = 0

    def array(self, shape: Shape, dtype: Any) -> Array:
        """Uninitialised, C-contiguous."""
        size = max(1, -(-int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize // _UNIT)) * _UNIT
        free = self._free.setdefault(size, [])
        if not free:
            free.append(bytearray(b"\xff" * size))  # as floats: NaN
            self.blocks += 1
        block = free.pop()
        a: Array = np.ndarray(shape, dtype, buffer=block)
        weakref.finalize(a, free.append, block)
        return a


def _block(a: Array) -> Any:
    owner = a.base if isinstance(a.base, np.ndarray) else a
    return owner.base


def in_pool(a: Array) -> bool:
    """Whether the array's memory is a pool's."""
    return isinstance(_block(a), bytearray)


def bare(a: Array) -> Array:
    """An array of a pool, or a view of one, as an array on the same memory that has no claim on it."""
    block = _block(a)
    start = np.frombuffer(block, np.uint8).ctypes.data
    return np.ndarray(a.shape, a.dtype, buffer=block, offset=a.ctypes.data - start, strides=a.strides)
