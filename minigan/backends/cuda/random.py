"""Randomness that kernels draw themselves: Philox4x32-10, the oracle's masks to the bit.

key = (seed, stream), counter = (block, sample, tick, 0); a thread draws one block: four numbers, for the elements
4 block to 4 block + 3 of its sample.

    sample n    | 0 1 2 3 | 4 5 6 7 | 8 9          the last block of a sample may be cut
    thread        n B + 0   n B + 1   n B + 2      B blocks per sample

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

import numpy as np

from minigan.backends import checks
from minigan.backends.clock import SEED, TICK
from minigan.backends.cuda._numba import cuda, device_function, float32, uint32, uint64
from minigan.backends.cuda.device import device
from minigan.backends.cuda.indices import divide
from minigan.backends.cuda.launch import checked, kernel
from minigan.models.shapes import Array

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@device_function
def philox(c0, c1, c2, k0, k1):
    """Counter (c0, c1, c2, 0) and key (k0, k1), uint32 -> four uint32; the rounds are the oracle's."""
    c3 = uint32(0)
    for _ in range(10):
        a, b = _M0 * uint64(c0), _M1 * uint64(c2)
        c0, c1 = uint32(uint32(b >> _HALF) ^ c1 ^ k0), uint32(b & _LOW)
        c2, c3 = uint32(uint32(a >> _HALF) ^ c3 ^ k1), uint32(a & _LOW)
        k0, k1 = uint32(k0 + _W0), uint32(k1 + _W1)
    return c0, c1, c2, c3


@device_function
def _counter(clock, at):
    """The 32-bit number that stands in `clock` in two halves."""
    return uint32(uint64(clock[at]) + uint64(clock[at + 1]) * uint64(65536))


@device_function
def _kept(x, drawn, threshold, factor):
    """x factor where it is kept, x 0 where not"""
    return x * (factor if drawn >= threshold else float32(0))


@kernel("void(float32[::1], int32, int32, uint32, float32, float32[::1], uint32, float32[::1])")
def _dropout(x, size, blocks, threshold, factor, clock, stream, y):
    """x y (N size,), `blocks` per sample: kept where the number drawn is at least `threshold`"""
    i = cuda.grid(1)
    n, block = divide(i, blocks)
    if n * size < x.size:
        k0, tick = _counter(clock, SEED), _counter(clock, TICK)
        w0, w1, w2, w3 = philox(uint32(block), uint32(n), tick, k0, stream)
        e, end = n * size + 4 * block, (n + 1) * size
        y[e] = _kept(x[e], w0, threshold, factor)
        if e + 1 < end:
            y[e + 1] = _kept(x[e + 1], w1, threshold, factor)
        if e + 2 < end:
            y[e + 2] = _kept(x[e + 2], w2, threshold, factor)
        if e + 3 < end:
            y[e + 3] = _kept(x[e + 3], w3, threshold, factor)


def _drop(x: Array, rate: float, clock: Array, offset: int) -> Array:
    y = device().empty(x.shape)
    size = x.size // x.shape[0]
    blocks = -(-size // 4)
    _dropout(x.shape[0] * blocks, x, size, blocks, int(rate * 2**32), float(1 / (1 - rate)), clock, int(offset), y)
    return y


def dropout(x: Array, rate: float, clock: Array, offset: int) -> Array:
    """x (N,...) -> y: each element is 0 with probability `rate`, else x / (1 - rate)."""
    checked(checks.dropout, x, rate, clock, offset)
    return _drop(x, rate, clock, offset)


def dropout_backward(dy: Array, rate: float, clock: Array, offset: int) -> Array:
    """dy (N,...) -> dx: the same mask, drawn again from the same (clock, offset)."""
    checked(checks.dropout_backward, dy, rate, clock, offset)
    return _drop(dy, rate, clock, offset)
