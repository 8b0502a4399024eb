"""Convolutions of stride 1 in the frequency domain: products of spectra instead of windows.

A correlation is a product of spectra, frequency by frequency. With X[f] = sum_h x[h] e^{-2 pi i f h / L} in both
directions, W likewise with tap i at place i - top, and L long enough that no wanted pixel reaches round the cycle to
another one, L = H + max(top, bottom),

    conv2d          Y  = X conj(W)          y[p] = sum_i x[p + i - top] w[i]
    conv2d_dgrad    dX = dY W               dx[h] = sum_i dy[h + top - i] w[i]
    conv2d_wgrad    dW = X conj(dY)         dw[i] = sum_p x[p + i - top] dy[p]

each a product of matrices per frequency, samples x channels times channels x channels. x is real, so only the columns
of frequencies without a mirror image are made, G = L / 2 + 1. A complex product is a real one of twice the size, so all
three are products with one real matrix B per frequency, or its gradient:

    [Yr Yi] = [Xr Xi] B,   B = | Wr -Wi |        [dXr dXi] = [dYr dYi] B^T        dB = [Xr Xi]^T [dYr dYi]
                               | Wi  Wr |

For a 5x5 kernel on 14x14 pixels L is 16: 144 frequencies of 4 multiplications, where windows take 25 x 196.
The transforms are sums over rows, then over columns, by a table of the L roots of unity: L is small.
Source: Mathieu, Henaff & LeCun 2014, "Fast Training of Convolutional Networks through FFTs", arXiv:1312.5851.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

from minigan.backends import plan_gpu
from minigan.backends.cuda import matrices
from minigan.backends.cuda._numba import cuda, float32
from minigan.backends.cuda.cublas import Matrices, cublas
from minigan.backends.cuda.device import device
from minigan.backends.cuda.epilogue import activate, code
from minigan.backends.cuda.facts import isa
from minigan.backends.cuda.launch import kernel
from minigan.models.shapes import Act, Array, Pads, Pair

LANES, LINES = 32, 8  # a warp walks along the channels, a block takes 8 lines of them
_BLOCK = (LANES, LINES, 1)


@kernel("void(float32[:, :, :, ::1], float32[:, ::1], float32[:, :, :, :, ::1], int32)", block=_BLOCK, covers=LINES)
def _rows_forth(x, roots, t, before):
    """x (n,H,V,C) -> t (n,H,G,2,C), roots (2,L): t[g] = sum_v x[v] e^{-2 pi i g (v - before) / L}"""
    c, line, length = cuda.threadIdx.x, cuda.blockIdx.x * LINES + cuda.threadIdx.y, roots.shape[1]
    g, rest = line % t.shape[2], line // t.shape[2]
    h, n = rest % x.shape[1], rest // x.shape[1]
    if n < x.shape[0]:
        while c < x.shape[3]:
            real, imaginary = float32(0), float32(0)
            turn = (length - before % length) * g % length
            for v in range(x.shape[2]):
                real += x[n, h, v, c] * roots[0, turn]
                imaginary -= x[n, h, v, c] * roots[1, turn]
                turn += g
                turn -= length if turn >= length else 0
            t[n, h, g, 0, c] = real
            t[n, h, g, 1, c] = imaginary
            c += LANES


@kernel("void(float32[:, :, :, :, ::1], float32[:, ::1], float32[::1], int32, int32)", block=_BLOCK, covers=LINES)
def _columns_forth(t, roots, spectrum, before, outputs):
    """t (n,H,G,2,C), roots (2,L) -> spectrum (L,G,n,2,C): the same sum over h, of complex numbers

    Where `outputs` O is not 0, n is 1 and C stands for I x O, and the spectrum is that of a kernel: B (L,G,2,I,2,O).
    """
    c, line, length = cuda.threadIdx.x, cuda.blockIdx.x * LINES + cuda.threadIdx.y, roots.shape[1]
    images, columns, channels = t.shape[0], t.shape[2], t.shape[4]
    n, plane = line % images, line // images
    f, g = plane // columns, plane % columns
    if f < length:
        while c < channels:
            real, imaginary = float32(0), float32(0)
            turn = (length - before % length) * f % length
            for h in range(t.shape[1]):
                a, b = t[n, h, g, 0, c], t[n, h, g, 1, c]
                cosine, sine = roots[0, turn], roots[1, turn]
                real += a * cosine + b * sine
                imaginary += b * cosine - a * sine
                turn += f
                turn -= length if turn >= length else 0
            if outputs == 0:
                at = (plane * images + n) * 2 * channels + c
                spectrum[at] = real
                spectrum[at + channels] = imaginary
            else:
                at = plane * 4 * channels + c // outputs * 2 * outputs + c % outputs
                spectrum[at] = real
                spectrum[at + outputs] = -imaginary
                spectrum[at + 2 * channels] = imaginary
                spectrum[at + 2 * channels + outputs] = real
            c += LANES


@kernel("void(float32[::1], float32[:, ::1], float32[:, :, :, :, ::1], int32, int32)", block=_BLOCK, covers=LINES)
def _columns_back(spectrum, roots, t, before, outputs):
    """spectrum (L,G,n,2,C), roots (2,L) -> t (n,P,G,2,C): t[p] = sum_f spectrum[f] e^{+2 pi i f (p - before) / L}

    Where `outputs` O is not 0, the spectrum is that of a kernel's gradient, dB (L,G,2,I,2,O), to be put together first.
    """
    c, line, length = cuda.threadIdx.x, cuda.blockIdx.x * LINES + cuda.threadIdx.y, roots.shape[1]
    images, columns, channels = t.shape[0], t.shape[2], t.shape[4]
    g, rest = line % columns, line // columns
    p, n = rest % t.shape[1], rest // t.shape[1]
    if n < images:
        while c < channels:
            real, imaginary = float32(0), float32(0)
            step = (p + length - before % length) % length
            turn = 0
            for f in range(length):
                plane = f * columns + g
                if outputs == 0:
                    at = (plane * images + n) * 2 * channels + c
                    a, b = spectrum[at], spectrum[at + channels]
                else:
                    at = plane * 4 * channels + c // outputs * 2 * outputs + c % outputs
                    a = spectrum[at] + spectrum[at + 2 * channels + outputs]
                    b = spectrum[at + 2 * channels] - spectrum[at + outputs]
                cosine, sine = roots[0, turn], roots[1, turn]
                real += a * cosine - b * sine
                imaginary += b * cosine + a * sine
                turn += step
                turn -= length if turn >= length else 0
            t[n, p, g, 0, c] = real
            t[n, p, g, 1, c] = imaginary
            c += LANES


@kernel(
    "void(float32[:, :, :, :, ::1], float32[:, ::1], float32[::1], float32[:, :, :, ::1], "
    "int32, float32, int32, int32, float32, int32)",
    block=_BLOCK, covers=LINES,
)  # fmt: skip
def _rows_back(t, roots, bias, y, before, factor, has_bias, kind, slope, add):
    """t (n,P,G,2,C), roots (2,L) -> y (n,P,Q,C): factor times the sum over all L columns of frequencies, of which those
    beyond G mirror those before; then bias (C,) and activation, or y += it"""
    c, line, length = cuda.threadIdx.x, cuda.blockIdx.x * LINES + cuda.threadIdx.y, roots.shape[1]
    q, rest = line % y.shape[2], line // y.shape[2]
    p, n = rest % y.shape[1], rest // y.shape[1]
    if n < y.shape[0]:
        while c < y.shape[3]:
            step = (q + length - before % length) % length
            turn, total = step, t[n, p, 0, 0, c]
            for g in range(1, t.shape[2]):
                part = t[n, p, g, 0, c] * roots[0, turn] - t[n, p, g, 1, c] * roots[1, turn]
                total += part if 2 * g == length else part + part
                turn += step
                turn -= length if turn >= length else 0
            total *= factor
            if has_bias:
                total += bias[c]
            total = activate(total, kind, slope)
            y[n, p, q, c] = y[n, p, q, c] + total if add else total
            c += LANES


@cache
def _roots(length: int) -> Array:
    """(2, L): cosine and sine of 2 pi k / L."""
    turns = 2 * np.pi * np.arange(length) / length
    return device().asarray(np.stack([np.cos(turns), np.sin(turns)]).astype(np.float32))


class Cycle(NamedTuple):
    """The cycle's lengths in both directions, and the paddings before."""

    high: int
    wide: int
    top: int
    left: int

    @property
    def columns(self) -> int:
        """G"""
        return self.wide // 2 + 1

    @property
    def frequencies(self) -> int:
        """Products of matrices."""
        return self.high * self.columns


def cycle(in_hw: Pair, padding: Pads) -> Cycle:
    """The shortest one in which no wanted pixel reaches round to another."""
    high, wide = (size + max(sides) for size, sides in zip(in_hw, padding, strict=True))
    return Cycle(high, wide, padding[0][0], padding[1][0])


def _spectrum(lengths: Cycle, x: Array) -> Matrices:
    """x (n,H,V,C) -> n x 2 C matrices, one per frequency."""
    n, h, _, c = x.shape
    t = device().empty((n, h, lengths.columns, 2, c))
    spectrum = device().empty((lengths.frequencies, n, 2 * c))
    _rows_forth(n * h * lengths.columns, x, _roots(lengths.wide), t, 0)
    _columns_forth(n * lengths.frequencies, t, _roots(lengths.high), spectrum, 0, 0)
    return Matrices(spectrum, n, 2 * c, batch=lengths.frequencies)


def _spectrum_of_kernel(lengths: Cycle, w: Array) -> Matrices:
    """w (KH,KW,I,O) -> B: 2 I x 2 O matrices, one per frequency."""
    kh, kw, i, o = w.shape
    t = device().empty((1, kh, lengths.columns, 2, i * o))
    spectrum = device().empty((lengths.frequencies, 2 * i, 2 * o))
    _rows_forth(kh * lengths.columns, w.reshape(1, kh, kw, i * o), _roots(lengths.wide), t, lengths.left)
    _columns_forth(lengths.frequencies, t, _roots(lengths.high), spectrum, lengths.top, o)
    return Matrices(spectrum, 2 * i, 2 * o, batch=lengths.frequencies)


def _image(lengths: Cycle, spectrum: Matrices, y: Array, b: Array | None, act: Act | None) -> None:
    """Fills y (n,P,Q,C) from n x 2 C matrices, one per frequency."""
    n, p, q, c = y.shape
    t = device().empty((n, p, lengths.columns, 2, c))
    _columns_back(n * p * lengths.columns, spectrum.array, _roots(lengths.high), t, 0, 0)
    bias, factor = y if b is None else b, 1 / (lengths.high * lengths.wide)
    _rows_back(n * p * q, t, _roots(lengths.wide), bias, y, 0, factor, b is not None, *code(act), False)


def _multiply(lengths: Cycle, a: Matrices, b: Matrices, rows: int, columns: int) -> Matrices:
    """a b, frequency by frequency: by cuBLAS, where there is one."""
    c = Matrices(device().empty((lengths.frequencies, rows, columns)), rows, columns, batch=lengths.frequencies)
    if plan_gpu.rule(isa()).cublas:
        cublas().multiply(a, b, c)
    else:
        matrices.multiply(a, b, c)
    return c


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None, y: Array) -> None:
    """Fills y (N,P,Q,O)."""
    lengths = cycle(x.shape[1:3], padding)
    spectrum = _multiply(lengths, _spectrum(lengths, x), _spectrum_of_kernel(lengths, w), len(x), 2 * w.shape[3])
    _image(lengths, spectrum, y, b, act)


def conv2d_dgrad(dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None, dx: Array) -> None:
    """Fills dx (N,H,W,I)."""
    lengths = cycle(dx.shape[1:3], padding)
    turned = _spectrum_of_kernel(lengths, w)._replace(turned=True)
    _image(lengths, _multiply(lengths, _spectrum(lengths, dy), turned, len(dy), 2 * w.shape[2]), dx, b, act)


def conv2d_wgrad(dy: Array, x: Array, dw: Array, stride: Pair, padding: Pads) -> None:
    """Adds into dw (KH,KW,I,O)."""
    kh, kw, i, o = dw.shape
    lengths = cycle(x.shape[1:3], padding)
    turned = _spectrum(lengths, x)._replace(turned=True)
    gradient = _multiply(lengths, turned, _spectrum(lengths, dy), 2 * i, 2 * o)
    t = device().empty((1, kh, lengths.columns, 2, i * o))
    _columns_back(kh * lengths.columns, gradient.array, _roots(lengths.high), t, lengths.top, o)
    taps, factor = dw.reshape(1, kh, kw, i * o), 1 / (lengths.high * lengths.wide)
    _rows_back(kh * kw, t, _roots(lengths.wide), dw, taps, lengths.left, factor, False, *code(None), True)
