"""CUDA threads as greenlets, and the scheduler that takes a block from barrier to barrier."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from greenlet import getcurrent, greenlet

WARP = 32


class SimulatorError(RuntimeError):
    """A kernel did what a GPU leaves undefined."""


STATE = SimpleNamespace(block=None, thread=None)  # what runs now


class Dim3:
    """threadIdx and its like."""

    __slots__ = ("x", "y", "z")

    def __init__(self, x: int, y: int = 1, z: int = 1):
        self.x, self.y, self.z = x, y, z


Stamp = tuple[int, int, int, int, int]  # block, thread, warp, and how many barriers of block and warp lie behind


class Thread:
    """One CUDA thread. `waits`: None, or the scope of the barrier it stands at, "block" or "warp", and its place."""

    __slots__ = ("greenlet", "idx", "lane", "number", "shuffled", "stamp", "waits", "warp")

    def __init__(self, block: int, number: int, idx: Dim3):
        self.number, self.idx = number, idx
        self.warp, self.lane = divmod(number, WARP)
        self.stamp: Stamp = (block, number, self.warp, 0, 0)
        self.waits: tuple[str, Any] | None = None
        self.shuffled: Any = None
        self.greenlet: Any = None

    def passed(self, of_block: bool) -> None:
        """A barrier lies behind."""
        block, number, warp, block_phase, warp_phase = self.stamp
        self.stamp = (block, number, warp, block_phase + of_block, warp_phase + 1)


class Block:
    """The block that runs: its threads, its shared arrays by the line that made them, and whose turn it is."""

    def __init__(self, number: int, shape: tuple[int, int, int]):
        x, y, z = shape
        places = [(i, j, k) for k in range(z) for j in range(y) for i in range(x)]
        self.threads = [Thread(number, n, Dim3(*place)) for n, place in enumerate(places)]
        self.number, self.shared = number, dict[Any, Any]()
        self.hub: Any = None

    def run(self, kernel: Callable[[], None]) -> None:
        """All threads from the first line to the last. Raises SimulatorError where they part at a barrier."""
        hub = self.hub = getcurrent()
        for thread in self.threads:
            thread.greenlet = greenlet(kernel, hub)
            thread.greenlet.gr_context = hub.gr_context  # NumPy's errstate lives there
        live, ready, falling = self.threads, self.threads, False
        while ready:
            for thread in reversed(ready) if falling else ready:
                STATE.thread, thread.waits = thread, None
                thread.greenlet.switch()
            live = [thread for thread in live if not thread.greenlet.dead]
            ready, falling = self._released(live), not falling

    def wait(self, scope: str, place: Any) -> None:
        """The running thread stops at a barrier."""
        STATE.thread.waits = scope, place
        self.hub.switch()

    def _released(self, live: list[Thread]) -> list[Thread]:
        """Those that may go on: whole warps first, then the whole block."""
        if not live:
            return []
        ready: list[Thread] = []
        for warp in {thread.warp for thread in live}:
            lanes = self.threads[warp * WARP : (warp + 1) * WARP]
            if lanes[0].waits and lanes[0].waits[0] == "warp" and len({thread.waits for thread in lanes}) == 1:
                ready += lanes
        for thread in ready:
            thread.passed(of_block=False)
        if ready:
            return ready
        if live[0].waits and live[0].waits[0] == "block" and len({thread.waits for thread in self.threads}) == 1:
            for thread in live:
                thread.passed(of_block=True)
            return self.threads
        raise SimulatorError(f"divergent barrier in block {self.number}: {self._where()}")

    def _where(self) -> str:
        """Which threads wait where, in words."""
        groups: dict[str, list[int]] = {}
        for thread in self.threads:
            waits = thread.waits if not thread.greenlet.dead else None
            place = f"at line {waits[1][2]} for their {waits[0]}" if waits else "ended"
            groups.setdefault(place, []).append(thread.number)
        return "; ".join(f"threads {n[0]} to {n[-1]} ({len(n)} of them) {place}" for place, n in groups.items())
