"""Ops that move or mix pixels without weights: one thread per number of the result. x (N,H,W,C) throughout.

A thread finds its place in the result from its number, i = ((n H + h) W + w) C + c, and reads where that comes from:
each gradient is gathered, too, never scattered, so no two threads write one number. Where the place depends on the
sample: augment.py. How samples differ: stddev.py.
"""

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.indices import divide, place
from minigan.backends.cuda.launch import checked, kernel
from minigan.models.shapes import Array, Pads


@kernel("void(float32[:, :, :, ::1], float32, float32[:, :, :, ::1])")
def _spread(x, factor, y):
    """x (N,H,W,C), y (N,2H,2W,C): each number factor times to the four of its block"""
    i = cuda.grid(1)
    if i < y.size:
        n, h, w, c = place(i, y.shape[1], y.shape[2], y.shape[3])
        y[n, h, w, c] = factor * x[n, h // 2, w // 2, c]


@kernel("void(float32[:, :, :, ::1], float32, float32[:, :, :, ::1])")
def _gather(x, factor, y):
    """x (N,2P,2Q,C), y (N,P,Q,C): factor times the sum of each block of four"""
    i = cuda.grid(1)
    if i < y.size:
        n, p, q, c = place(i, y.shape[1], y.shape[2], y.shape[3])
        top = x[n, 2 * p, 2 * q, c] + x[n, 2 * p, 2 * q + 1, c]
        y[n, p, q, c] = factor * (top + x[n, 2 * p + 1, 2 * q, c] + x[n, 2 * p + 1, 2 * q + 1, c])


@kernel("void(float32[:, :, :, ::1], int32, int32, float32[:, :, :, ::1])")
def _window(x, top, left, y):
    """x (N,H,W,C), y (N,P,Q,C): y[n, p, q] = x[n, p + top, q + left], 0 outside"""
    i = cuda.grid(1)
    if i < y.size:
        n, p, q, c = place(i, y.shape[1], y.shape[2], y.shape[3])
        h, w = p + top, q + left
        inside = 0 <= h < x.shape[1] and 0 <= w < x.shape[2]
        y[n, p, q, c] = x[n, h, w, c] if inside else float32(0)


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def _concat(x, y, to):
    """x (M,A), y (M,B), to (M,A+B)"""
    i = cuda.grid(1)
    if i < to.size:
        A = x.shape[1]
        m, c = divide(i, to.shape[1])
        to[m, c] = x[m, c] if c < A else y[m, c - A]


@kernel("void(float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def _split(x, a, b):
    """x (M,A+B), a (M,A), b (M,B)"""
    i = cuda.grid(1)
    if i < x.size:
        A = a.shape[1]
        m, c = divide(i, x.shape[1])
        if c < A:
            a[m, c] = x[m, c]
        else:
            b[m, c - A] = x[m, c]


def _spread2x(x: Array, factor: float) -> Array:
    n, h, w, c = x.shape
    y = device().empty((n, 2 * h, 2 * w, c))
    _spread(y.size, x, factor, y)
    return y


def _gather2x(x: Array, factor: float) -> Array:
    n, h, w, c = x.shape
    y = device().empty((n, h // 2, w // 2, c))
    _gather(y.size, x, factor, y)
    return y


def upsample2x(x: Array) -> Array:
    """x (N,H,W,C) -> y (N,2H,2W,C): nearest neighbour."""
    checked(checks.upsample2x, x)
    return _spread2x(x, 1.0)


def upsample2x_backward(dy: Array) -> Array:
    """dy (N,2H,2W,C) -> dx (N,H,W,C): the sum of each 2x2 block."""
    checked(checks.upsample2x_backward, dy)
    return _gather2x(dy, 1.0)


def avgpool2x(x: Array) -> Array:
    """x (N,2P,2Q,C) -> y (N,P,Q,C): the mean of each 2x2 block."""
    checked(checks.avgpool2x, x)
    return _gather2x(x, 0.25)


def avgpool2x_backward(dy: Array) -> Array:
    """dy (N,P,Q,C) -> dx (N,2P,2Q,C): a quarter of dy to each pixel of the block."""
    checked(checks.avgpool2x_backward, dy)
    return _spread2x(dy, 0.25)


def pad(x: Array, padding: Pads) -> Array:
    """x (N,H,W,C) -> (N, top+H+bottom, left+W+right, C), zeros around."""
    checked(checks.pad, x, padding)
    ((top, bottom), (left, right)), (n, h, w, c) = padding, x.shape
    y = device().empty((n, top + h + bottom, left + w + right, c))
    _window(y.size, x, -top, -left, y)
    return y


def pad_backward(dy: Array, padding: Pads) -> Array:
    """dy (N, top+H+bottom, left+W+right, C) -> dx (N,H,W,C): the part inside."""
    checked(checks.pad_backward, dy, padding)
    ((top, bottom), (left, right)), (n, h, w, c) = padding, dy.shape
    dx = device().empty((n, h - top - bottom, w - left - right, c))
    _window(dx.size, dy, top, left, dx)
    return dx


def concat(x: Array, y: Array) -> Array:
    """x (...,A), y (...,B) -> (...,A+B); its backward is `split`."""
    checked(checks.concat, x, y)
    a, b = x.shape[-1], y.shape[-1]
    to = device().empty((*x.shape[:-1], a + b))
    _concat(to.size, x.reshape(-1, a), y.reshape(-1, b), to.reshape(-1, a + b))
    return to


def split(x: Array, first: int) -> tuple[Array, Array]:
    """x (...,A+B) -> (...,A), (...,B) with A = first; its backward is `concat`."""
    checked(checks.split, x, first)
    rest = x.shape[-1] - first
    a, b = (device().empty((*x.shape[:-1], size)) for size in (first, rest))
    _split(x.size, x.reshape(-1, first + rest), a.reshape(-1, first), b.reshape(-1, rest))
    return a, b
