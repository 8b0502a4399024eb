"""Randomness that kernels draw themselves: counter-based, equal in bits on every backend.

philox4x32-10: key = (seed, stream), counter = (block, sample, step, 0) -> four 32-bit numbers per block.
Compared as integers, never as floats. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from typing import Any

import numpy as np

from minigan.backends import checks
from minigan.backends.clock import SEED, TICK, counter
from minigan.models.shapes import Array

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(key: tuple[int, int], words: Array) -> Array:
    """key (k0, k1), words (...,4) uint32 counters -> (...,4) uint32, ten rounds of

    (c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0)),  k <- k + weyl
    """
    low = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = (words[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(_ROUNDS):
        a, b = np.uint64(_MULTIPLIERS[0]) * c0, np.uint64(_MULTIPLIERS[1]) * c2
        c0, c1 = (b >> np.uint64(32)) ^ c1 ^ np.uint64(k0), b & low
        c2, c3 = (a >> np.uint64(32)) ^ c3 ^ np.uint64(k1), a & low
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def random_bits(shape: tuple[int, ...], clock: Array, offset: int) -> Array:
    """shape (N,...) -> uint32 of that shape: element e of sample n is word e % 4 of the block with
    key (seed, offset) and counter (e // 4, n, tick, 0); seed and tick stand in `clock`."""
    n, size = shape[0], int(np.prod(shape[1:], dtype=np.int64))
    blocks = -(-size // 4)
    words = np.zeros((n, blocks, 4), np.uint32)
    words[..., 0] = np.arange(blocks, dtype=np.uint32)
    words[..., 1] = np.arange(n, dtype=np.uint32)[:, None]
    words[..., 2] = counter(clock, TICK)
    bits = philox((counter(clock, SEED), offset), words)
    return bits.reshape(n, -1)[:, :size].reshape(shape)


def _kept(shape: tuple[int, ...], rate: float, clock: Array, offset: int, dtype: Any) -> Array:
    """1 / (1 - rate) where kept, 0 where dropped: kept when bits >= floor(rate 2^32)."""
    kept = random_bits(shape, clock, offset) >= np.uint32(int(rate * 2**32))
    return kept * np.dtype(dtype).type(1 / (1 - rate))


def dropout(x: Array, rate: float, clock: Array, offset: int) -> Array:
    """x (N,...) -> y: each element is 0 with probability `rate` (0 <= rate < 1), else x / (1 - rate).

    The mask is a function of (clock, offset), so nothing is stored for backward. Source: Srivastava et al. 2014.
    """
    checks.dropout(x, rate, clock, offset)
    return x * _kept(x.shape, rate, clock, offset, x.dtype)


def dropout_backward(dy: Array, rate: float, clock: Array, offset: int) -> Array:
    """dy (N,...) -> dx: the same mask, drawn again from the same (clock, offset)."""
    checks.dropout_backward(dy, rate, clock, offset)
    return dy * _kept(dy.shape, rate, clock, offset, dy.dtype)
