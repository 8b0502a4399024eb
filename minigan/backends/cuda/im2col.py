"""Convolutions by cuBLAS: windows are copied into rows, and a product of matrices does the rest.

    columns (N P Q, KH KW I): row n, p, q holds the pixels under the kernel, tap after tap      (im2col)

    conv2d          y  (N P Q, O)       = columns  w (KH KW I, O)
    conv2d_dgrad    columns             = dy (N P Q, O)  w^T;   then each pixel adds up the taps that met it    (col2im)
    conv2d_wgrad    dw (KH KW I, O)    += columns^T  dy

Rows repeat a pixel as often as taps meet it, so images are taken a few at a time: as many as fit into MOST_NUMBERS.
Source: Chellapilla, Puri & Simard 2006, "High Performance Convolutional Neural Networks for Document Processing".
"""

from collections.abc import Iterator

from minigan.backends.cuda._numba import cuda, float32
from minigan.backends.cuda.cublas import Matrices, cublas
from minigan.backends.cuda.device import device
from minigan.backends.cuda.epilogue import activate, code
from minigan.backends.cuda.gemm import count_on, digits, finish
from minigan.backends.cuda.geometry import (
    KH,
    KW,
    LEFT,
    SH,
    SIZE,
    SW,
    TOP,
    C,
    H,
    P,
    Q,
    V,
    geometry,
    window,
)  # fmt: skip
from minigan.backends.cuda.launch import kernel
from minigan.models.shapes import Act, Array, Pads, Pair, Shape

MOST_NUMBERS = 1 << 24  # 64 MiB of columns
LANES, LINES = 32, 8  # a warp walks along one row's numbers, which lie together; a block takes 8 rows
_G = f"UniTuple(int32, {SIZE})"


@kernel(f"void(float32[::1], float32[::1], {_G})", block=(LANES, LINES, 1), covers=LINES)
def _gather(x, columns, g):
    """x (n,H,V,C), columns (n P Q, KH KW C)"""
    k, row = cuda.threadIdx.x, cuda.blockIdx.x * LINES + cuda.threadIdx.y
    length = g[KH] * g[KW] * g[C]
    if row * length < columns.size:
        n, top, left = window(g, row)
        i, j, c = digits(k, g[KW], g[C])
        while k < length:
            h, v = top + i, left + j
            value = float32(0)
            if h >= 0 and h < g[H] and v >= 0 and v < g[V]:
                value = x[((n * g[H] + h) * g[V] + v) * g[C] + c]
            columns[row * length + k] = value
            i, j, c = count_on(i, j, c, LANES, g[KW], g[C])
            k += LANES


@kernel(
    f"void(float32[::1], float32[::1], float32[::1], {_G}, int32, int32, float32)",
    block=(LANES, LINES, 1), covers=LINES,
)  # fmt: skip
def _add_up(columns, bias, dx, g, has_bias, kind, slope):
    """columns (n P Q, KH KW C), bias (C,), dx (n,H,V,C): each pixel's sum over the taps that met it, in their order"""
    c, pixel = cuda.threadIdx.x, cuda.blockIdx.x * LINES + cuda.threadIdx.y
    if pixel * g[C] < dx.size:
        v, rest = pixel % g[V], pixel // g[V]
        h, n = rest % g[H], rest // g[H]
        while c < g[C]:
            total = float32(0)
            for i in range((h + g[TOP]) % g[SH], g[KH], g[SH]):
                p = (h + g[TOP] - i) // g[SH]
                for j in range((v + g[LEFT]) % g[SW], g[KW], g[SW]):
                    q = (v + g[LEFT] - j) // g[SW]
                    if p >= 0 and p < g[P] and q >= 0 and q < g[Q]:
                        row = (n * g[P] + p) * g[Q] + q
                        total += columns[((row * g[KH] + i) * g[KW] + j) * g[C] + c]
            if has_bias:
                total += bias[c]
            dx[pixel * g[C] + c] = activate(total, kind, slope)
            c += LANES


def _chunks(images: int, numbers: int) -> Iterator[slice]:
    """Images a few at a time, each with so many numbers in its columns."""
    step = max(1, MOST_NUMBERS // numbers)
    return (slice(first, min(first + step, images)) for first in range(0, images, step))


def _as_it_lies(image: Shape, w: Shape, stride: Pair, padding: Pads) -> bool:
    """Whether the columns are the image, number for number: kernels of one pixel, or of the whole image."""
    pixel = (tuple(w[:2]), stride) == ((1, 1), (1, 1))
    return padding == ((0, 0), (0, 0)) and (pixel or tuple(w[:2]) == tuple(image[1:3]))


def conv2d(
    x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None, y: Array, mode: str
) -> None:
    """Fills y (N,P,Q,O)."""
    (o, k), pixels = (w.shape[3], w.size // w.shape[3]), y.shape[1] * y.shape[2]
    for part in _chunks(len(x), pixels * k):
        rows = y[part].size // o
        columns = _columns(x[part], w.shape, y.shape[1:3], stride, padding)
        cublas().multiply(Matrices(columns, rows, k), Matrices(w, k, o), Matrices(y[part], rows, o), mode=mode)
    finish(y, b, act)


def conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None, dx: Array, mode: str
) -> None:
    """Fills dx (N,H,W,I)."""
    (o, k), pixels = (w.shape[3], w.size // w.shape[3]), dy.shape[1] * dy.shape[2]
    plain = _as_it_lies(dx.shape, w.shape, stride, padding)
    for part in _chunks(len(dy), pixels * k):
        rows = dy[part].size // o
        columns = dx[part] if plain else device().empty((rows, k))
        cublas().multiply(Matrices(dy[part], rows, o), Matrices(w, k, o, True), Matrices(columns, rows, k), mode=mode)
        if not plain:
            g = geometry(dx[part].shape, w.shape, dy.shape[1:3], stride, padding)
            bias = dx if b is None else b
            _add_up(dx[part].size // w.shape[2], columns, bias, dx[part], g, b is not None, *code(act))
    if plain:
        finish(dx, b, act)


def conv2d_wgrad(dy: Array, x: Array, dw: Array, stride: Pair, padding: Pads, mode: str) -> None:
    """Adds into dw (KH,KW,I,O)."""
    (o, k), pixels = (dw.shape[3], dw.size // dw.shape[3]), dy.shape[1] * dy.shape[2]
    for part in _chunks(len(x), pixels * k):
        rows = dy[part].size // o
        columns = _columns(x[part], dw.shape, dy.shape[1:3], stride, padding)
        cublas().multiply(
            Matrices(columns, rows, k, True), Matrices(dy[part], rows, o), Matrices(dw, k, o), add=True, mode=mode
        )


def _columns(x: Array, w: Shape, out: Pair, stride: Pair, padding: Pads) -> Array:
    """x (n,H,W,I) -> columns (n P Q, KH KW I)."""
    if _as_it_lies(x.shape, w, stride, padding):
        return x
    rows = x.shape[0] * out[0] * out[1]
    columns = device().empty((rows, w[0] * w[1] * w[2]))
    _gather(rows, x, columns, geometry(x.shape, w, out, stride, padding))
    return columns
