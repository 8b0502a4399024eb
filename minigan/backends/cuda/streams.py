"""Streams, recording and memory pools: the part of the device layer that CUDA graphs need, and its twin on host arrays.

    run(call, *args)          does call(*args) in its turn on our stream: how every kernel is launched
    record(part, pool)        what part() returns and a graph of all that it queued, which is not done yet
    replay(graph)             queues all of it again, in one launch
    upload(slot)              host -> device on a second stream, beside the work of ours
    place(slot, p)            device -> device on our stream, once the upload has come

While a part is recorded nothing runs: what waits for the device or reads the host's memory cannot be replayed and is
refused, and arrays come from the graph's own pool, since replays use their memory as long as the graph lives.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from minigan.backends.cuda.blocks import Pool, bare, in_pool
from minigan.errors import BackendError
from minigan.models.shapes import Array, Shape


class Slot:
    """Where a batch waits on its way to the device: page-locked host memory, device memory, and two marks.

    `come`: the upload has arrived. `gone`: the numbers have been placed, so both memories may be written again.
    A slot that goes waits for its upload: CuPy gives page-locked memory to whoever asks next, read or not.
    """

    def __init__(self, pinned: Array, staged: Array, come: Any, gone: Any):
        self.pinned, self.staged, self.come, self.gone = pinned, staged, come, gone
        weakref.finalize(self, come.synchronize).atexit = False


class Streams:
    """What both sides share: the rules while a part is recorded."""

    recording = False

    def refuse(self, what: str) -> None:
        """Raises BackendError when a part is being recorded."""
        if self.recording:
            raise BackendError(f"it {what}, which no replay can do again")

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[None]:
        self.recording = True
        try:
            yield
        finally:
            self.recording = False


class CuPyStreams(Streams):
    """On a GPU. `stream` is ours; all that a part does is queued on it."""

    _cupy: Any
    stream: Any

    def run(self, call: Callable[..., Any], *args: Any) -> None:
        """Launches a kernel, which queues it."""
        call(*args)

    def pool(self) -> Any:
        """Memory for one graph."""
        return self._cupy.cuda.MemoryPool()

    def record(self, part: Callable[[], Any], pool: Any) -> tuple[Any, Any]:
        """A graph, and what part() returned. Raises what `part` or the driver raises; the stream is usable then."""
        shared = self._cupy.get_default_memory_pool()
        used = shared.used_bytes()
        with self._recorded(), self.stream, self._cupy.cuda.using_allocator(pool.malloc):
            self.stream.begin_capture()  # relaxed: the pool may grow meanwhile
            try:
                out = part()
            except BaseException:
                with contextlib.suppress(Exception):
                    self.stream.end_capture()
                raise
            graph = self.stream.end_capture()
        if shared.used_bytes() > used:
            raise BackendError("it keeps an array that is not of the graph's own memory")
        return graph, out

    def replay(self, graph: Any) -> None:
        """Queues the whole graph."""
        graph.launch(self.stream)

    @cached_property
    def _uploads(self) -> Any:
        return self._cupy.cuda.Stream(non_blocking=True)

    def slot(self, shape: Shape, dtype: Any) -> Slot:
        """A slot for arrays of this shape, free."""
        import cupyx

        pinned, staged = cupyx.empty_pinned(shape, dtype), self._cupy.empty(shape, dtype)
        come, gone = (self._cupy.cuda.Event(disable_timing=True) for _ in range(2))
        self._uploads.wait_event(self.stream.record())  # queued work may still read what this memory held before
        return Slot(pinned, staged, come, gone)

    def upload(self, slot: Slot) -> None:
        """Queues the copy of what stands in slot.pinned."""
        slot.staged.set(slot.pinned, stream=self._uploads)
        slot.come.record(self._uploads)

    def place(self, slot: Slot, p: Array) -> None:
        """Queues p <- slot.staged behind the upload."""
        self.stream.wait_event(slot.come)
        p.data.copy_from_device_async(slot.staged.data, p.nbytes, self.stream)
        slot.gone.record(self.stream)


class Done:
    """A mark on a stream where everything is done at once."""

    def synchronize(self) -> None:
        """Nothing to wait for."""


class HostStreams(Streams):
    """On host arrays. A graph is the list of calls; a recorded call knows memory alone, as one on a GPU does."""

    def __init__(self) -> None:
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._pool: Pool | None = None
        self._made: weakref.WeakValueDictionary[int, Array] = weakref.WeakValueDictionary()  # outside of pools, by id

    def run(self, call: Callable[..., Any], *args: Any) -> None:
        """Does call(*args), or writes it down."""
        if self.recording:
            self._calls.append((call, args))
        else:
            call(*args)

    def new(self, shape: Shape, dtype: Any) -> Array:
        """Memory for an array, of the graph's own pool while a part is recorded."""
        return self.made(np.empty(shape, dtype)) if self._pool is None else self._pool.array(shape, dtype)

    def made(self, a: Array) -> Array:
        """`a`, which from now on is memory of this device."""
        self._made[id(a)] = a
        return a

    def known(self, a: Array) -> Array:
        """The array as a queued call takes it. A recorded one takes its memory, without a claim on it."""
        if not self.recording:
            return a
        if in_pool(a):
            return bare(a)
        owner = a if a.base is None else a.base
        if self._made.get(id(owner)) is not owner:
            raise BackendError("it keeps an array that is not of the graph's own memory")
        return a

    def pool(self) -> Pool:
        """Memory for one graph."""
        return Pool()

    def record(self, part: Callable[[], Any], pool: Any) -> tuple[Any, Any]:
        """A graph, and what part() returned. Raises what `part` raises."""
        with self._recorded():
            self._calls, self._pool = [], pool
            try:
                out = part()
                return self._calls, out
            finally:
                self._calls, self._pool = [], None

    def replay(self, graph: Any) -> None:
        """Does all of it again."""
        for call, args in graph:
            self.run(call, *args)

    def slot(self, shape: Shape, dtype: Any) -> Slot:
        """A slot for arrays of this shape, free."""
        return Slot(np.empty(shape, dtype), self.new(shape, dtype), Done(), Done())

    def upload(self, slot: Slot) -> None:
        """Copies what stands in slot.pinned."""
        np.copyto(slot.staged, slot.pinned)

    def place(self, slot: Slot, p: Array) -> None:
        """p <- slot.staged"""
        self.run(np.copyto, p, slot.staged)
