"""A part of a training step as a CUDA graph: called once, recorded at the second call, replayed from then on.

A GAN step is some hundred kernels of a few microseconds; launching each from Python takes longer than running it. A
graph is launched in one call. It holds addresses and numbers, so all that changes is where it was when recorded:

    host            pinned slot 0 | 1      clock words, real batch, z of the next part, while the one before still runs
    second stream   upload to staged slot 0 | 1
    our stream      [place in the clock and the input arrays] [the graph] [place] [the graph] ...

Slots take turns, so the host is at most SLOTS parts of a kind ahead, and waits for a slot's last numbers to have been
placed before it writes there again. What a part returns is the same arrays every time, written anew by each replay.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from minigan.backends.cuda.streams import Slot
from minigan.errors import BackendError, MiniganError
from minigan.models.shapes import Array

SLOTS = 2


class Feed:
    """Brings the host's arrays, one after the other, into the device array `p`, which recorded parts read."""

    def __init__(self, device: Any, p: Array):
        self.device, self.p = device, p
        self.slots: list[Slot] = [device.slot(p.shape, p.dtype) for _ in range(SLOTS)]
        self.sent = 0

    def send(self, host: Array) -> None:
        """Queues p <- host, and keeps no hold of `host`."""
        slot = self.slots[self.sent % SLOTS]
        self.sent += 1
        slot.gone.synchronize()
        slot.pinned[...] = host
        self.device.upload(slot)
        self.device.place(slot, self.p)


class Part:
    """One key's input arrays with their feeds, and its graph once there is one."""

    def __init__(self, device: Any, clock: Array, inputs: Sequence[Array]):
        self.inputs = [device.empty(a.shape, a.dtype) for a in inputs]
        self.feeds = [Feed(device, p) for p in (clock, *self.inputs)]
        self.calls = 0
        self.graph: Any = None
        self.pool: Any = None  # the graph's memory, which must live as long
        self.left: Any = None  # what the graph reads of an earlier part's
        self.out: Any = None  # what it returns


class Graphs:
    """Runs parts as backends/eager.py says; `clock` is the part of the clock that the host writes.

    Raises BackendError when a part cannot be recorded, which a user's own loss or network may cause.
    """

    def __init__(self, device: Any, clock: Array):
        self.device, self.clock = device, clock
        self.parts: dict[Hashable, Part] = {}

    def __call__(
        self, key: Hashable, part: Callable[..., Any], words: Array, inputs: Sequence[Array], left: Any = None
    ) -> Any:
        """part(left, *inputs), with `words` in the clock; what it returned when recorded, once it is replayed."""
        key = key, tuple((a.shape, a.dtype.str) for a in inputs)
        if key not in self.parts:
            self.parts[key] = Part(self.device, self.clock, inputs)
        known = self.parts[key]
        for feed, host in zip(known.feeds, (words, *inputs), strict=True):
            feed.send(host)
        known.calls += 1
        if known.calls == 1:  # compiles its kernels and makes what libraries keep; the graph's memory is another
            return part(left, *known.inputs)
        if known.graph is None or known.left is not left:
            self._record(known, part, left)
        self.device.replay(known.graph)
        return known.out

    def _record(self, known: Part, part: Callable[..., Any], left: Any) -> None:
        pool = self.device.pool()
        try:
            known.graph, known.out = self.device.record(lambda: part(left, *known.inputs), pool)
        except Exception as e:
            why = str(e) if isinstance(e, MiniganError) else f"{type(e).__name__}: {e}"
            raise BackendError(f"the step cannot be recorded as a CUDA graph: {why}; run it with --no-graph") from e
        known.left, known.pool = left, pool
