"""Arrays in and out. They live on the GPU, as CuPy arrays; in the simulator they are NumPy arrays."""

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from minigan.backends.cuda.device import device
from minigan.backends.cuda.graph import Graphs
from minigan.errors import ShapeError
from minigan.models.shapes import Array, Pads, Pair, Shape


def asarray(host: Any) -> Array:
    """`host` as a C-contiguous array of the backend: floats become float32, integers int32.

    Raises ShapeError for anything that is not real numbers.
    """
    a = host if isinstance(host, device().array_type) else np.asarray(host)
    if a.dtype.kind not in "fiub":
        raise ShapeError(f"an array of {a.dtype} was given; the cuda backend takes floats or integers")
    return device().asarray(a.astype(np.float32 if a.dtype.kind == "f" else np.int32, copy=False))


def to_numpy(a: Array) -> Array:
    """The same values as a NumPy array on the host; waits for them."""
    return device().to_numpy(a)


def empty(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Uninitialised."""
    return device().empty(shape, dtype)


def zeros(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Zeros."""
    return device().zeros(shape, dtype)


def copyto(p: Array, host: Any) -> None:
    """Overwrites `p` with the host's values, or all of it with one number."""
    device().copyto(p, host)


def prepare(op: str, image: Shape, w: Array, stride: Pair, padding: Pads, out_hw: Pair | None = None) -> Any:
    """w itself: all implementations read weights as they are."""
    return w


def prepare_image(x: Array, w: Array, stride: Pair, padding: Pads) -> Any:
    """x itself: all implementations read images as they are."""
    return x


def synchronize() -> None:
    """Waits until all work is done."""
    device().synchronize()


def span(name: str) -> AbstractContextManager[object]:
    """A range that NVIDIA's profilers show under this name."""
    return device().span(name)


def graphs(clock: Array) -> Graphs:
    """What records parts of a step and replays them; `clock` is the part of the clock that the host writes."""
    return Graphs(device(), clock)
