"""Philox against published vectors and NumPy's Philox family; dropout's mask."""

import naive
import numpy as np
import pytest
from draws import Draw

from minigan.backends import oracle
from minigan.backends.clock import HOST_WORDS, WORDS, host_words
from minigan.backends.oracle.random import philox, random_bits
from minigan.models.shapes import Array

# key, counter, output. Source: Random123 1.14, tests/kat_vectors, philox4x32 10
VECTORS = [
    ("00000000 00000000", "00000000 00000000 00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff", "ffffffff ffffffff ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("a4093822 299f31d0", "243f6a88 85a308d3 13198a2e 03707344", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def _words(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())


def _clock(seed: int, tick: int) -> Array:
    clock = np.zeros(WORDS, np.float32)
    clock[:HOST_WORDS] = host_words(seed, tick, [], np.float32)
    return clock


@pytest.mark.parametrize(("key", "counter", "out"), VECTORS)
def test_philox_gives_the_published_numbers(key: str, counter: str, out: str) -> None:
    k, c = _words(key), _words(counter)
    assert tuple(philox((k[0], k[1]), np.array([c], np.uint32))[0]) == _words(out)
    assert naive.philox((k[0], k[1]), (c[0], c[1], c[2], c[3])) == _words(out)


def test_philox_equals_its_integer_loop_on_random_counters() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**32, (200, 4), np.uint32)
    key = (0xDEADBEEF, 0x12345678)
    expected = [naive.philox(key, tuple(map(int, row))) for row in words]
    assert np.array_equal(philox(key, words), np.array(expected, np.uint32))


def test_random_bits_read_seed_tick_and_offset_in_full() -> None:
    seed, tick, offset = 0xFFFE0001, 0x8001FFFF, 0x7FFFFFFF
    bits = random_bits((2, 6), _clock(seed, tick), offset)
    blocks = [[naive.philox((seed, offset), (block, n, tick, 0)) for block in range(2)] for n in range(2)]
    assert np.array_equal(bits, np.array(blocks, np.uint32).reshape(2, 8)[:, :6])


def test_bits_look_uniform_and_streams_independent() -> None:
    """Every bit is set half of the time, and differs half of the time between neighbouring seeds, ticks and offsets."""
    draws = [random_bits((64, 64), _clock(*at), offset) for *at, offset in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2))]
    views = [draws[0], *(draws[0] ^ other for other in draws[1:]), draws[0][:-1] ^ draws[0][1:]]
    for view in views:
        share = np.unpackbits(np.ascontiguousarray(view).view(np.uint8)).reshape(-1, 32).mean(axis=0)
        assert np.abs(share - 0.5).max() < 5 * 0.5 / np.sqrt(view.size)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_rate_and_scale(rate: float) -> None:
    x = np.ones((50, 400), np.float32)
    y = oracle.dropout(x, rate, _clock(3, 4), 5)
    dropped = (y == 0).mean()
    assert abs(dropped - rate) <= 5 * np.sqrt(rate * (1 - rate) / x.size)
    assert np.array_equal(np.unique(y[y != 0]), [np.float32(1 / (1 - rate))])
    per_sample = (y == 0).mean(axis=1)
    assert np.abs(per_sample - rate).max() <= 5 * np.sqrt(rate * (1 - rate) / 400)


def test_dropout_backward_has_the_same_mask() -> None:
    x = np.ones((7, 5, 3, 2), np.float32)
    where = _clock(0xFFFFFFFF, 0xFFFFFFFF), 11
    assert np.array_equal(oracle.dropout(x, 0.4, *where), oracle.dropout_backward(x, 0.4, *where))


def test_dropout_mask_of_a_sample_does_not_depend_on_the_batch() -> None:
    x = Draw(1, 2, np.float32, False).array(9, 4, 5)
    whole = oracle.dropout(x, 0.5, _clock(1, 2), 3)
    assert np.array_equal(whole[:4], oracle.dropout(x[:4].copy(), 0.5, _clock(1, 2), 3))
    assert not np.array_equal(whole[0] == 0, whole[1] == 0)


@pytest.mark.parametrize("other", [(2, 1, 1), (2**16 + 1, 1, 1), (1, 2, 1), (1, 2**16 + 1, 1), (1, 1, 2)])
def test_dropout_mask_changes_with_seed_tick_and_offset(other: tuple[int, int, int]) -> None:
    x = np.ones((4, 50), np.float32)
    seed, tick, offset = other
    assert not np.array_equal(
        oracle.dropout(x, 0.5, _clock(1, 1), 1), oracle.dropout(x, 0.5, _clock(seed, tick), offset)
    )
