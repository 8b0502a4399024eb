"""How arrays get in and out. For the oracle a backend array is a NumPy array, float32 or float64."""

from typing import Any

import numpy as np

from minigan.errors import ShapeError
from minigan.models.shapes import Array, Pads, Pair, Shape


def asarray(host: Any) -> Array:
    """`host` as a C-contiguous array of the backend; floats and int32 keep their type, other integers become int32.

    Raises ShapeError for anything that is not numbers.
    """
    a = np.asarray(host)
    if a.dtype.kind in "iub":
        if a.size and (a.min() < -(2**31) or a.max() >= 2**31):
            raise ShapeError(f"integers from {a.min()} to {a.max()} were given; they must fit int32")
        return np.asarray(a, np.int32, order="C")
    if a.dtype not in (np.float32, np.float64, np.complex128):
        raise ShapeError(f"an array of {a.dtype} was given; the numpy backend takes float32, float64 or integers")
    return np.asarray(a, order="C")


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


def prepare(op: str, image: Shape, w: Array, stride: Pair, padding: Pads, out_hw: Pair | None = None) -> Any:
    """What `op`, "conv2d" or "conv2d_dgrad", takes in place of w (KH,KW,I,O) for its `image`; here w itself.

    A backend may pack or transform w once and for all: it must be made anew as soon as w is written. `image` (N,H,W,C)
    is the shape of conv2d's x or of conv2d_dgrad's dy, which has out_hw besides.
    """
    return w


def prepare_image(x: Array, w: Array, stride: Pair, padding: Pads) -> Any:
    """What conv2d and conv2d_wgrad take in place of x (N,H,W,I) with a kernel like w (KH,KW,I,O); here x itself.

    A backend whose kernels read x transformed does it here, once for both: for a pass whose backward is to come.
    """
    return x


def synchronize() -> None:
    """Waits until all work is done (here nothing runs behind one's back)."""
