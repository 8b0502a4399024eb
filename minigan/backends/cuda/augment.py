"""Augmentation: pixels moved, mirrored, cut out and tinted, each sample in its own way. x (N,H,W,C) throughout."""

import math

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, device_function, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.indices import place
from minigan.backends.cuda.launch import checked, kernel
from minigan.backends.cuda.reduce import THREADS, WARPS, block_sum
from minigan.models.shapes import Array


@kernel("void(float32[:, :, ::1], int32[:, ::1], float32[:, :, ::1])")
def _gather(x, index, y):
    """x (N,HW,C), index (N,P), y (N,P,C): 0 for -1, NaN for what is no pixel"""
    i = cuda.grid(1)
    if i < y.size:
        _, n, p, c = place(i, y.shape[0], y.shape[1], y.shape[2])
        at = index[n, p]
        outside = float32(0) if at == -1 else float32(math.nan)
        y[n, p, c] = x[n, at, c] if 0 <= at < x.shape[1] else outside


@kernel("void(float32[:, :, ::1], int32[:, ::1], float32[:, :, ::1])")
def _gather_back(dy, index, dx):
    """dy (N,P,C), index (N,P), dx (N,HW,C): each thread walks through all P in order, and adds up those of its pixel"""
    i = cuda.grid(1)
    if i < dx.size:
        _, n, pixel, c = place(i, dx.shape[0], dx.shape[1], dx.shape[2])
        sum = float32(0)
        for p in range(index.shape[1]):
            if index[n, p] == pixel:
                sum += dy[n, p, c]
        dx[n, pixel, c] = sum


@kernel("void(float32[:, :, :, ::1], int32[:, ::1], float32[:, :, :, ::1])")
def _shift(x, by, y):
    """x y (N,H,W,C), by (N,2) (down, right)"""
    i = cuda.grid(1)
    if i < y.size:
        n, h, w, c = place(i, y.shape[1], y.shape[2], y.shape[3])
        row, column = h - by[n, 0], w - by[n, 1]
        inside = 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
        y[n, h, w, c] = x[n, row, column, c] if inside else float32(0)


@kernel("void(float32[:, :, :, ::1], int32[::1], float32[:, :, :, ::1])")
def _flip(x, mask, y):
    """x y (N,H,W,C), mask (N,)"""
    i = cuda.grid(1)
    if i < y.size:
        n, h, w, c = place(i, y.shape[1], y.shape[2], y.shape[3])
        column = x.shape[2] - 1 - w if mask[n] != 0 else w
        y[n, h, w, c] = x[n, h, column, c]


@kernel("void(float32[:, :, :, ::1], int32[:, ::1], float32[:, :, :, ::1])")
def _cutout(x, box, y):
    """x y (N,H,W,C), box (N,4) (top, left, bottom, right)"""
    i = cuda.grid(1)
    if i < y.size:
        n, h, w, c = place(i, y.shape[1], y.shape[2], y.shape[3])
        inside = box[n, 0] <= h < box[n, 2] and box[n, 1] <= w < box[n, 3]
        y[n, h, w, c] = float32(0) if inside else x[n, h, w, c]


@device_function
def _grey(x, n, pixel, brightness):
    """The mean over C of x[n, pixel] + brightness"""
    sum = float32(0)
    for c in range(x.shape[2]):
        sum += x[n, pixel, c] + brightness
    return sum / float32(x.shape[2])


@kernel(
    "void(float32[:, :, ::1], float32[::1], float32[::1], float32[::1], float32[:, :, ::1])", block=THREADS, covers=1
)
def _colour(x, brightness, saturation, contrast, y):
    """x y (N,HW,C), three (N,): a block per sample, a thread per pixel; first the sample's mean, then y"""
    scratch = cuda.shared.array(WARPS, float32)
    n, pixels, C = cuda.blockIdx.x, x.shape[1], x.shape[2]
    bright, deep, strong = brightness[n], saturation[n], contrast[n]
    sum = float32(0)
    for pixel in range(cuda.threadIdx.x, pixels, THREADS):
        grey = _grey(x, n, pixel, bright)
        for c in range(C):
            sum += grey + deep * (x[n, pixel, c] + bright - grey)
    level = block_sum(sum, scratch) / float32(pixels * C)
    for pixel in range(cuda.threadIdx.x, pixels, THREADS):
        grey = _grey(x, n, pixel, bright)
        for c in range(C):
            y[n, pixel, c] = level + strong * (grey + deep * (x[n, pixel, c] + bright - grey) - level)


def gather_pixels(x: Array, index: Array) -> Array:
    """x (N,H,W,C), index (N,P) int32 in [-1, H W) -> y (N,P,C), 0 for -1."""
    checked(checks.gather_pixels, x, index)
    n, h, w, c = x.shape
    y = device().empty((*index.shape, c))
    _gather(y.size, x.reshape(n, h * w, c), index, y)
    return y


def gather_pixels_backward(dy: Array, index: Array, hw: tuple[int, int]) -> Array:
    """dy (N,P,C), index (N,P) -> dx (N,H,W,C): each dy[n,p] is added to the pixel it came from."""
    checked(checks.gather_pixels_backward, dy, index, hw)
    n, _, c = dy.shape
    dx = device().empty((n, *hw, c))
    _gather_back(dx.size, dy, index, dx.reshape(n, hw[0] * hw[1], c))
    return dx


def shift(x: Array, by: Array) -> Array:
    """x (N,H,W,C), by (N,2) int32 (down, right) -> y, 0 outside."""
    checked(checks.shift, x, by)
    y = device().empty(x.shape)
    _shift(y.size, x, by, y)
    return y


def flip(x: Array, mask: Array) -> Array:
    """x (N,H,W,C), mask (N,) int32 -> x with its columns reversed where mask is not 0."""
    checked(checks.flip, x, mask)
    y = device().empty(x.shape)
    _flip(y.size, x, mask, y)
    return y


def cutout(x: Array, box: Array) -> Array:
    """x (N,H,W,C), box (N,4) int32 (top, left, bottom, right) -> x with 0 inside the box."""
    checked(checks.cutout, x, box)
    y = device().empty(x.shape)
    _cutout(y.size, x, box, y)
    return y


def colour(x: Array, brightness: Array, saturation: Array, contrast: Array) -> Array:
    """x (N,H,W,C), three (N,) arrays -> y: add, scale about each pixel's mean over C, then about the sample's."""
    checked(checks.colour, x, brightness, saturation, contrast)
    return _coloured(x, brightness, saturation, contrast)


def colour_backward(dy: Array, saturation: Array, contrast: Array) -> Array:
    """dy (N,H,W,C) -> dx: the same linear map, without brightness."""
    checked(checks.colour_backward, dy, saturation, contrast)
    return _coloured(dy, device().zeros((dy.shape[0],)), saturation, contrast)


def _coloured(x: Array, brightness: Array, saturation: Array, contrast: Array) -> Array:
    n, h, w, c = x.shape
    y = device().empty(x.shape)
    flat, to = x.reshape(n, h * w, c), y.reshape(n, h * w, c)
    _colour(n, flat, brightness, saturation, contrast, to)
    return y
