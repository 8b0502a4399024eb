"""Batches are a pure function of their position; reading ahead changes nothing."""

import gc
import itertools
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import data
from minigan.data import Batches
from minigan.data.dataset import Wanted, from_arrays
from minigan.errors import DataError


def numbered(count, labels=True):
    """A set whose row i holds (i, -i) and whose label is i % 3."""
    i = np.arange(count, dtype=np.float32)
    y = (np.arange(count) % 3).astype(np.int32) if labels else None
    return from_arrays("numbered", "numbered", np.stack([i, -i], axis=1), y, Wanted(None, None, None))


SIZES = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))
SEEDS = st.integers(0, 2**32 - 1)
QUICK = settings(max_examples=60, deadline=None)


@QUICK
@given(SIZES, SEEDS, st.integers(0, 5))
def test_an_epoch_is_the_beginning_of_a_permutation(sizes, seed, epoch):
    count, size = sizes
    batches = Batches(numbered(count), size, seed)
    assert batches.per_epoch == count // size
    rows = [batches.at(epoch * batches.per_epoch + k)[0][:, 0].astype(int).tolist() for k in range(batches.per_epoch)]
    assert all(len(r) == size for r in rows)
    flat = list(itertools.chain(*rows))
    assert len(set(flat)) == len(flat) == batches.per_epoch * size and set(flat) <= set(range(count))


@QUICK
@given(SIZES, SEEDS, st.lists(st.integers(0, 200), min_size=1, max_size=8))
def test_position_alone_decides(sizes, seed, positions):
    """Whatever was read before, and by which object, a position gives one batch; x and labels belong together."""
    dataset = numbered(sizes[0])
    walked = Batches(dataset, sizes[1], seed)
    for p in positions:
        x, labels = walked.at(p)
        fresh, fresh_labels = Batches(dataset, sizes[1], seed).at(p)
        assert np.array_equal(x, fresh) and np.array_equal(labels, fresh_labels), p
        assert np.array_equal(labels, x[:, 0].astype(int) % 3), p
        assert np.array_equal(x[:, 1], -x[:, 0]), p


def test_epochs_and_seeds_differ():
    dataset = numbered(1000)
    orders = [tuple(Batches(dataset, 1000, seed).index(epoch)) for seed, epoch in [(0, 0), (0, 1), (1, 0)]]
    assert len(set(orders)) == 3


def test_order_never_changes():
    """Resuming an old run under a new version must go on with the same order."""
    assert Batches(numbered(10), 5, 7).index(3).tolist() == [8, 1, 9, 7, 6]


@QUICK
@given(SIZES, SEEDS, st.integers(0, 30), st.integers(0, 12))
def test_stream_equals_at(sizes, seed, start, n):
    batches = Batches(numbered(sizes[0], labels=seed % 2 == 0), sizes[1], seed)
    streamed = list(batches.stream(start, n))
    assert len(streamed) == n
    for p, (x, labels) in enumerate(streamed, start):
        expected, expected_labels = batches.at(p)
        assert np.array_equal(x, expected), p
        assert (labels is None and expected_labels is None) or np.array_equal(labels, expected_labels), p


def test_two_streams_and_at_share_one_object():
    batches = Batches(numbered(20), 3, 0)
    expected = [batches.index(p).tolist() for p in range(40)]
    for p, (a, b) in enumerate(zip(batches.stream(0, 40), batches.stream(6, 34), strict=False)):
        assert a[0][:, 0].astype(int).tolist() == expected[p]
        assert b[0][:, 0].astype(int).tolist() == expected[p + 6]
        assert batches.index(39 - p).tolist() == expected[39 - p]


@pytest.mark.parametrize("size", [0, -1, 11])
def test_batch_that_does_not_fit(size):
    with pytest.raises(DataError, match=f"numbered: batch size {size} does not fit 10 rows"):
        Batches(numbered(10), size, 0)


def test_negative_position():
    batches = Batches(numbered(10), 5, 0)
    with pytest.raises(DataError, match="position -1"):
        batches.at(-1)
    with pytest.raises(DataError, match="position -2"):
        next(batches.stream(-2))


def prefetchers():
    return [t for t in threading.enumerate() if t.name == "minigan-prefetch"]


class Breaking:
    """Rows that count what is read, break at one read, and take `pause_s` for each."""

    def __init__(self, breaks_at=None, pause_s=0.0):
        self.reads, self.breaks_at, self.pause_s = 0, breaks_at, pause_s

    def __len__(self):
        return 100

    def __getitem__(self, index):
        time.sleep(self.pause_s)
        self.reads += 1
        if self.reads == self.breaks_at:
            raise DataError("row 3 is broken")
        return np.zeros((len(index), 2), np.float32)


def breaking(breaks_at=None, pause_s=0.0):
    rows = Breaking(breaks_at, pause_s)
    return rows, Batches(data.Dataset("broken", (2,), None, (), "", None, None, rows), 10, 0)


def test_errors_of_the_thread_are_raised_in_order():
    _, batches = breaking(breaks_at=4)
    seen = 0
    with pytest.raises(DataError, match="row 3 is broken"):
        for _ in batches.stream():
            seen += 1
    assert seen == 3 and not prefetchers()


def test_stream_reads_ahead_but_not_without_bound():
    rows, batches = breaking()
    stream = batches.stream()
    next(stream)
    deadline = time.monotonic() + 10
    while rows.reads < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.05)
    assert rows.reads == 4, "one given out, two waiting, one in the thread's hands"
    stream.close()


@pytest.mark.parametrize("how", ["close", "drop", "exhaust", "error in the consumer"])
@pytest.mark.parametrize("taken", [1, 2, 5])
def test_thread_ends(how, taken):
    _, batches = breaking()
    stream = batches.stream(0, 5)
    for _ in range(taken):
        next(stream)
    assert prefetchers() or taken == 5
    if how == "close":
        stream.close()
    elif how == "exhaust":
        assert len(list(stream)) == 5 - taken
    elif how == "error in the consumer":
        with pytest.raises(KeyError):
            stream.throw(KeyError("consumer"))
    del stream
    gc.collect()
    assert not prefetchers()


def test_closing_waits_for_the_read_under_way():
    """So that a source may be closed once its streams are."""
    rows, batches = breaking(pause_s=0.05)
    stream = batches.stream()
    next(stream)
    stream.close()
    reads = rows.reads
    assert not prefetchers()
    time.sleep(0.1)
    assert rows.reads == reads


def test_a_stream_that_is_never_started_has_no_thread():
    _, batches = breaking()
    stream = batches.stream()
    assert not prefetchers()
    del stream
    here = weakref.ref(batches)
    del batches
    gc.collect()
    assert here() is None


def test_streams_do_not_leak():
    _, batches = breaking()
    before = threading.active_count()
    for _ in range(50):
        next(batches.stream())
    gc.collect()
    assert threading.active_count() == before
