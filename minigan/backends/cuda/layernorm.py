"""Layernorm: one mean and variance per sample; gamma and beta per channel. The formulas stand in norm.py.

A block takes a sample, a row of `size` = rows C numbers, thread t the numbers t, t + 256, ... It walks along the row
three times; after the first time it comes from the cache. The channel of a number is kept up by an addition, as a
remainder costs more than all else together.
"""

import math

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.epilogue import activate, code
from minigan.backends.cuda.launch import checked, kernel
from minigan.backends.cuda.norm import BLOCK, COVERS, LANES, SLICES, Cut, add_affine, over_slices, rows_of_block
from minigan.backends.cuda.reduce import THREADS, WARPS, block_sum
from minigan.models.shapes import Act, Array


@kernel(
    "void(float32[:, ::1], float32[::1], float32[::1], float32, int32, float32, "
    "float32[:, ::1], float32[::1], float32[::1])",
    block=THREADS,
    covers=1,
)
def _layernorm(x, gamma, beta, eps, act, slope, y, mean, var):
    """x y (N, size), gamma beta (C,), mean var (N,)"""
    scratch = cuda.shared.array(WARPS, float32)
    n, size, C = cuda.blockIdx.x, x.shape[1], gamma.size
    sum = float32(0)
    for e in range(cuda.threadIdx.x, size, THREADS):
        sum += x[n, e]
    centre = block_sum(sum, scratch) / float32(size)
    deviations, squares = float32(0), float32(0)
    for e in range(cuda.threadIdx.x, size, THREADS):
        d = x[n, e] - centre
        deviations += d
        squares += d * d
    rest = block_sum(deviations, scratch) / float32(size)  # of the mean, what its own rounding lost
    variance = block_sum(squares, scratch) / float32(size) - rest * rest
    inv = float32(1) / math.sqrt(variance + eps)
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        y[n, e] = activate((x[n, e] - centre - rest) * (gamma[c] * inv) + beta[c], act, slope)
        c += THREADS % C
        c -= C if c >= C else 0
    if cuda.threadIdx.x == 0:
        mean[n] = centre + rest
        var[n] = variance


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32[::1], float32, "
    "float32[::1], float32[:, ::1])",
    block=THREADS,
    covers=1,
)
def _gradient(dy, x, gamma, mean, var, eps, off, dx):
    """dy x dx (N, size), gamma (C,), mean var (N,) -> off (N,): the mean of x - mean, which rounding left"""
    scratch = cuda.shared.array(WARPS, float32)
    n, size, C = cuda.blockIdx.x, x.shape[1], gamma.size
    M = float32(size)
    sum_d, sum_g, sum_g_d = float32(0), float32(0), float32(0)
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        g, d = gamma[c] * dy[n, e], x[n, e] - mean[n]
        sum_d += d
        sum_g += g
        sum_g_d += g * d
        c += THREADS % C
        c -= C if c >= C else 0
    left = block_sum(sum_d, scratch) / M
    mean_g = block_sum(sum_g, scratch) / M
    inv = float32(1) / math.sqrt(var[n] + eps)
    mean_g_x = inv * (block_sum(sum_g_d, scratch) / M - left * mean_g)  # of g x^
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        normal = (x[n, e] - mean[n] - left) * inv
        dx[n, e] = (gamma[c] * dy[n, e] - mean_g - normal * mean_g_x) * inv
        c += THREADS % C
        c -= C if c >= C else 0
    if cuda.threadIdx.x == 0:
        off[n] = left


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32[::1], float32, int32, int32, "
    "float32[:, :, ::1])",
    BLOCK,
    COVERS,
)
def _affine_sums(dy, x, mean, off, var, eps, rows, chunk, partial):
    """dy x (N rows, C), mean off var (N,) -> partial (2, chunks, C): sums of dy x^ and of dy, tiled as in norm.py"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    begin, end, _ = rows_of_block(x.shape[0], chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    inside = c < x.shape[1]
    sum_dy_x, sum_dy = float32(0), float32(0)
    if inside:
        for r in range(begin + cuda.threadIdx.y, end, SLICES):
            n = r // rows
            inv = float32(1) / math.sqrt(var[n] + eps)
            sum_dy_x += dy[r, c] * ((x[r, c] - mean[n] - off[n]) * inv)
            sum_dy += dy[r, c]
    sum_dy_x = over_slices(sum_dy_x, scratch)
    sum_dy = over_slices(sum_dy, scratch)
    if inside and cuda.threadIdx.y == 0:
        partial[0, cuda.blockIdx.x, c] = sum_dy_x
        partial[1, cuda.blockIdx.x, c] = sum_dy


def layernorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (N,...,C), gamma beta (C,) -> y (N,...,C), mean (N,), var (N,) biased; one group per sample."""
    checked(checks.layernorm, x, gamma, beta, eps, act)
    N = x.shape[0]
    y, mean, var = (device().empty(shape) for shape in (x.shape, (N,), (N,)))
    _layernorm(N, x.reshape(N, -1), gamma, beta, float(eps), *code(act), y.reshape(N, -1), mean, var)
    return y, mean, var


def layernorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (N,...,C), gamma (C,), mean var (N,) -> dx; adds into dgamma, dbeta (C,)."""
    checked(checks.layernorm_backward, dy, x, gamma, mean, var, eps, dgamma, dbeta)
    N, C = x.shape[0], x.shape[-1]
    dx, off = device().empty(x.shape), device().empty((N,))
    _gradient(N, *(a.reshape(N, -1) for a in (dy, x)), gamma, mean, var, float(eps), off, dx.reshape(N, -1))
    cut = Cut(1, x.size // C, C)
    partial = cut.partial(2)
    rows = x.size // (N * C)
    _affine_sums(
        cut.blocks, dy.reshape(-1, C), x.reshape(-1, C), mean, off, var, float(eps), rows, cut.chunk, partial
    )  # fmt: skip
    add_affine(C, partial[0], partial[1], dgamma, dbeta)
    return dx
