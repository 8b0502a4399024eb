"""Philox in Python integers, and dropout drawn number by number."""

from minigan.backends.clock import SEED, TICK
from minigan.models.shapes import Array
from naive.scalars import filled


def philox(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10 in Python integers. Source: Salmon et al. 2011, section 3.3."""
    (k0, k1), (c0, c1, c2, c3) = key, counter
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def dropout(x: Array, rate: float, clock: Array, offset: int) -> Array:
    seed = int(clock[SEED]) + 2**16 * int(clock[SEED + 1])
    tick = int(clock[TICK]) + 2**16 * int(clock[TICK + 1])

    def element(n: int, *at: int) -> float:
        e = 0
        for i, size in zip(at, x.shape[1:], strict=True):
            e = e * size + i
        bits = philox((seed, offset), (e // 4, n, tick, 0))[e % 4]
        return x[(n, *at)] / (1 - rate) if bits >= int(rate * 2**32) else 0.0

    return filled(x.shape, element)


dropout_backward = dropout  # the same linear map of dy
