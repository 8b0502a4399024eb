"""A CuPy that does nothing but keep books, for what the host does with streams: which one is current, who waits.

As CuPy 14 documents it: `with stream` puts a stream on a stack, and its end makes the stack's top the current one;
`use()` makes a stream current without touching the stack. Below the stack lies the null stream.
"""

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np


class Stream:
    """A stream. What is queued on it is a line of `Fake.log`."""

    def __init__(self, fake: "Fake", non_blocking: bool = False):
        self.fake, self.ptr, self.capturing = fake, 16 * (1 + len(fake.streams)), False
        fake.streams.append(self)

    def __enter__(self) -> "Stream":
        self.fake.stack.append(self)
        self.fake.current = self
        return self

    def __exit__(self, *_: object) -> None:
        self.fake.stack.pop()
        self.fake.current = self.fake.stack[-1]

    def use(self) -> None:
        self.fake.current = self

    def begin_capture(self) -> None:
        assert not self.capturing
        self.capturing = True

    def end_capture(self) -> Any:
        assert self.capturing
        self.capturing = False
        return SimpleNamespace(launch=lambda stream: self.fake.log.append(("launch", stream)))

    def record(self) -> "Event":
        event = Event(self.fake)
        event.record(self)
        return event

    def wait_event(self, event: "Event") -> None:
        self.fake.log.append(("wait", event, self))


class Event:
    """A mark on a stream."""

    def __init__(self, fake: "Fake", disable_timing: bool = False):
        self.fake = fake

    def record(self, stream: Stream) -> None:
        self.fake.log.append(("record", self, stream))

    def synchronize(self) -> None:
        self.fake.log.append(("synchronize", self))


class Memory:
    """Where an array lies."""

    def __init__(self, fake: "Fake"):
        self.fake, self.ptr = fake, 0

    def copy_from_device_async(self, source: "Memory", size: int, stream: Stream) -> None:
        self.fake.log.append(("copy", size, stream))


class Pinned:
    """Page-locked host memory; its end is noted, since CuPy may give it to somebody else from then on."""

    def __init__(self, fake: "Fake", shape: tuple[int, ...], dtype: Any):
        self.fake, self.numbers = fake, np.empty(shape, dtype)

    def __setitem__(self, where: Any, numbers: Any) -> None:
        self.numbers[where] = numbers

    def __del__(self) -> None:
        self.fake.log.append(("pinned memory is free",))


class Fake:
    """The modules cupy and cupyx, and what was asked of them."""

    def __init__(self) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.streams: list[Stream] = []
        self.null = Stream(self)
        self.stack, self.current = [self.null], self.null
        self.allocator: Callable[..., Any] | None = None
        fake = self

        class ndarray:  # as CuPy's is named
            def __init__(self, shape: tuple[int, ...], dtype: Any = np.float32):
                self.shape, self.dtype, self.data = shape, np.dtype(dtype), Memory(fake)
                self.nbytes = int(np.prod(shape)) * self.dtype.itemsize
                fake.log.append(("empty", fake.current, fake.allocator))

            def fill(self, value: float) -> None:
                fake.log.append(("fill", fake.current))

            def set(self, host: Any, stream: Stream) -> None:
                fake.log.append(("upload", stream))

        runtime = SimpleNamespace(
            getDevice=lambda: 0, getDeviceProperties=lambda n: {"name": b"fake", "major": 9, "minor": 0}
        )
        self.cupy = SimpleNamespace(
            ndarray=ndarray,
            empty=ndarray,
            get_default_memory_pool=lambda: SimpleNamespace(used_bytes=lambda: 0),
            cuda=SimpleNamespace(
                runtime=runtime,
                Stream=lambda **words: Stream(self, **words),
                Event=lambda **words: Event(self, **words),
                MemoryPool=lambda: SimpleNamespace(malloc=lambda size: None),
                using_allocator=self._using,
            ),
        )
        self.cupyx = SimpleNamespace(empty_pinned=lambda shape, dtype: Pinned(self, shape, dtype))

    @contextlib.contextmanager
    def _using(self, allocator: Callable[..., Any]) -> Iterator[None]:
        before, self.allocator = self.allocator, allocator
        try:
            yield
        finally:
            self.allocator = before
