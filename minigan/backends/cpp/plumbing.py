"""Arrays in and out. All are NumPy arrays on the host; what kernels return comes from the cache of csrc/alloc.cpp."""

from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.models.shapes import Array


def asarray(host: Any) -> Array:
    """`host` as a C-contiguous array of the backend: floats become float32, integers int32.

    Raises ShapeError for anything that is not real numbers.
    """
    a = np.asarray(host)
    if a.dtype.kind not in "fiub":
        raise ShapeError(f"an array of {a.dtype} was given; the cpp backend takes floats or integers")
    return np.require(a, np.float32 if a.dtype.kind == "f" else np.int32, ["C", "A"])


def to_numpy(a: Array) -> Array:
    """The same values as a NumPy array on the host (here: `a` itself)."""
    return np.asarray(a)


def empty(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Uninitialised."""
    return np.empty(shape, dtype)


def zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Zeros."""
    return np.zeros(shape, dtype)


def copyto(p: Array, host: Any) -> None:
    """Overwrites `p` with the host's values, or all of it with one number."""
    np.copyto(p, host)


def synchronize() -> None:
    """Waits until all work is done (here nothing runs behind one's back)."""
