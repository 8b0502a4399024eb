"""The C++ backend: the oracle's functions on float32, C-contiguous host arrays (labels int32).

Same signatures, same meaning: backends/oracle says what each one computes. The kernels live in csrc/, once per
instruction set; MINIGAN_ISA forces one, which is read when this module is imported. The import raises BackendError when
the extension is not there or MINIGAN_ISA names none that this machine runs.
"""

from typing import Any

import numpy as np

from minigan.backends.clock import BAD, C1, C2, CLIP, LR, SLOTS, WORDS, rate
from minigan.errors import BackendError, ShapeError
from minigan.models.shapes import Act, Array, expect

try:
    from minigan import _cpp
except ImportError as error:
    raise BackendError(
        "the cpp backend needs minigan._cpp, which is not here; it was installed with MINIGAN_NO_EXT=1, or minigan "
        "runs from its source folder: do `pip install .` and run from elsewhere, or `pip install -e .`"
    ) from error

__all__ = [
    "activation",
    "adam_step",
    "asarray",
    "copyto",
    "empty",
    "synchronize",
    "to_numpy",
    "zeros",
]


_kernels = _cpp.kernels(_cpp.isa())


def asarray(host: Any) -> Array:
    """`host` as a C-contiguous array of the backend: floats become float32, integers int32.

    Raises ShapeError for anything that is not real numbers.
    """
    a = np.asarray(host)
    if a.dtype.kind not in "fiub":
        raise ShapeError(f"an array of {a.dtype} was given; the cpp backend takes floats or integers")
    return np.ascontiguousarray(a, np.float32 if a.dtype.kind == "f" else np.int32)


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
    """Overwrites `p` with the host's values."""
    np.copyto(p, host)


def synchronize() -> None:
    """Waits until all work is done (here nothing runs behind one's back)."""


def activation(x: Array, act: Act | None) -> Array:
    """x any shape -> y = act(x), same shape; None is the identity. tanh and sigmoid within 8 ULP.

    Raises ShapeError when x is not float32, C-contiguous and aligned, or is empty.
    """
    return x if act is None else _kernels.activation(x, act.kind, act.slope)


def adam_step(
    p: Array, dp: Array, m: Array, v: Array, clock: Array, slot: int,
    beta1: float, beta2: float, eps: float, decay: float,
) -> None:  # fmt: skip
    """p dp m v, same shape; p, m, v in place; the oracle's float32 bits on every instruction set.

    Raises ShapeError when one is not float32, C-contiguous and aligned, is empty, or is read-only but written.
    """
    expect("clock", clock, WORDS)
    if not 0 <= slot < SLOTS:
        raise ShapeError(f"slot {slot} is not in the clock, expected 0 to {SLOTS - 1}")
    lr, c1, c2, clip, bad = (float(clock[at]) for at in (*(rate(slot, w) for w in (LR, C1, C2)), CLIP + slot, BAD))
    if bad != 0:
        return
    _kernels.adam_step(
        p, dp, m, v, beta1=beta1, beta2=beta2, eps=eps, decay=decay, lr=lr, c1=c1, c2=c2, clip=clip
    )  # fmt: skip
