"""Words and rules of shapes, shared by layers and backends, and the only home of their error texts.

The same mistake reads the same on every backend.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

from minigan.errors import ShapeError

Array = Any  # an array of whichever backend runs
Shape = tuple[int, ...]
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]  # ((top, bottom), (left, right))
PaddingLike = str | int | Sequence[Any]

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid")
CURVED = ("tanh", "sigmoid")  # whose slope changes with x; the others have a kink and are straight on either side


class Act(NamedTuple):
    """An activation as an epilogue: y = kind(x); `slope` is leaky_relu's factor below zero, >= 0."""

    kind: str
    slope: float = 0.0


def make_act(kind: str | None, slope: float = 0.2) -> Act | None:
    """None, or the checked Act. `slope` counts for leaky_relu alone; Act.slope is 0 for the others."""
    if kind is None:
        return None
    if kind not in ACTIVATIONS:
        raise ShapeError(f"activation {kind!r} is unknown; known: {', '.join(ACTIVATIONS)}")
    if kind == "leaky_relu" and not slope >= 0:
        raise ShapeError(f"leaky_relu got slope {slope}, but its backward reads only y, so slope must be >= 0")
    return Act(kind, float(slope) if kind == "leaky_relu" else 0.0)


def pair(value: int | Sequence[int], what: str) -> Pair:
    """An int or (height, width) as a pair of positive ints."""
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2 or not all(isinstance(n, Integral) for n in both):
        raise ShapeError(f"{what} {value!r} must be a whole number or two of them (height, width)")
    h, w = int(both[0]), int(both[1])
    if min(h, w) < 1:
        raise ShapeError(f"{what} {value!r} must be at least 1 in both directions")
    return h, w


def pads(padding: PaddingLike, kernel: Pair, stride: Pair, in_hw: Pair) -> Pads:
    """ "same", "valid", an int, (h, w) or ((top, bottom), (left, right)), made explicit for one input size.

    "same" is Keras': P = ceil(H / s), total = max((P - 1) s + KH - H, 0), the odd row goes to the bottom
    (28 -> 14 with a 5x5 kernel and stride 2 pads 1 and 2).
    """
    if padding == "same":
        out = []
        for size, k, s in zip(in_hw, kernel, stride, strict=True):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            out.append((total // 2, total - total // 2))
        return out[0], out[1]
    if padding == "valid":
        return (0, 0), (0, 0)
    if isinstance(padding, str):
        raise ShapeError(
            f"padding {padding!r} is unknown; give 'same', 'valid', an int or ((top, bottom), (left, right))"
        )
    sides = [padding, padding] if isinstance(padding, int) else list(padding)
    full = [(side, side) if isinstance(side, int) else tuple(side) for side in sides]
    if len(full) != 2 or any(len(side) != 2 or min(side) < 0 for side in full):
        raise ShapeError(f"padding {padding!r} must be two pairs of numbers >= 0")
    return (full[0][0], full[0][1]), (full[1][0], full[1][1])


def conv_out(in_hw: Pair, kernel: Pair, stride: Pair, padding: Pads) -> Pair:
    """(P, Q) with P = (H + top + bottom - KH) // sh + 1. Raises ShapeError when the kernel does not fit."""
    out = []
    for size, k, s, (before, after) in zip(in_hw, kernel, stride, padding, strict=True):
        if size + before + after < k:
            raise ShapeError(
                f"a {kernel[0]}x{kernel[1]} kernel does not fit an input of {in_hw[0]}x{in_hw[1]} "
                f"with padding {padding}; give larger images, more padding or a smaller kernel"
            )
        out.append((size + before + after - k) // s + 1)
    return out[0], out[1]


def expect(what: str, array: Any, *expected: int | None) -> None:
    """`array.shape` must equal `expected`, where None stands for any size but zero."""
    shape = tuple(array.shape)
    fits = len(shape) == len(expected) and all(e is None or e == s for e, s in zip(expected, shape, strict=True))
    if not fits or 0 in shape:
        words = ", ".join("any" if e is None else str(e) for e in expected)
        hint = "; an axis of size 0 holds no data" if 0 in shape else ""
        raise ShapeError(f"{what} has shape {shape}, expected ({words}){hint}")


def expect_some(what: str, array: Any, ndim: int | None = None) -> None:
    """`array` must hold data, and have `ndim` axes when given."""
    if 0 in array.shape:
        raise ShapeError(f"{what} has shape {tuple(array.shape)}; an axis of size 0 holds no data")
    if ndim is not None and array.ndim != ndim:
        raise ShapeError(f"{what} has {array.ndim} axes, shape {tuple(array.shape)}, expected {ndim} axes")


def expect_same(what: str, array: Any, other: str, like: Any) -> None:
    """`array` must have the shape of `like`."""
    if tuple(array.shape) != tuple(like.shape):
        raise ShapeError(f"{what} has shape {tuple(array.shape)}, expected {tuple(like.shape)} as {other}")


def check_linear(x: Any, w: Any, b: Any) -> None:
    """x (N,I), w (I,O), b (O,) or None."""
    expect_some("w", w, 2)
    expect("x", x, None, w.shape[0])
    if b is not None:
        expect("b", b, w.shape[1])


def check_conv(x: Any, w: Any, stride: Pair, padding: Pads) -> Pair:
    """x (N,H,W,I), w (KH,KW,I,O) -> (P, Q)."""
    expect_some("w", w, 4)
    expect("x", x, None, None, None, w.shape[2])
    return conv_out(x.shape[1:3], w.shape[:2], stride, padding)


def check_conv_gradient(dy: Any, w: Any, stride: Pair, padding: Pads, out_hw: Pair) -> None:
    """dy (N,P,Q,O) must be what a forward convolution of an (out_hw) image with w (KH,KW,I,O) gives."""
    expect_some("w", w, 4)
    p, q = conv_out(out_hw, w.shape[:2], stride, padding)
    expect("dy", dy, None, p, q, w.shape[3])
