"""Steps of a run, whole and taken apart: the very step that trains, on the very data, with every op's time noted.

Blocks of whole steps and of steps taken apart take turns (measure.py), so a clock that drifts or a neighbour who wakes
up meets both alike. Weights move as in training; nothing is written. The batch is read within the step, where training
reads it ahead in a thread, so that its whole cost is seen. What a step taken apart consists of:

    start_s  reading the batch  fetched_s  host: draws of z, ...  [part: ops, and Python between them] ...  end_s
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from minigan import config as configs
from minigan.backends.proxies import PAUSE, Event, Timed
from minigan.config import Config
from minigan.errors import ConfigError
from minigan.models.net import Net
from minigan.study import measure
from minigan.study.roofs import caches
from minigan.study.work import MOVES
from minigan.training import checkpoint, trainer
from minigan.training.parts import Parts, prepare
from minigan.training.wrapping import wrapped

FEWEST, MOST, ABOUT_S = 10, 300, 4.0  # steps of a kind, when nobody says how many: as many as take ABOUT_S
WARM, _WARMEST, _WARM_S = 3, 30, 0.3
_FLUSH_BYTES = 64 << 20
_BLOCKS = 20
# what noting an op costs within a step, where its code is out of the nearest caches (in a loop of its own it is a
# quarter of that), and the share of a step that it may cost
_NOTING_S, _MOST_NOTING = 2e-6, 0.02


class Step(NamedTuple):
    """One step, in seconds of one clock: `parts` are its sub-steps, from when to when, `events` its ops.

    `quiet`: all the while the system left us the cores (no involuntary switch to another process). Of its ops those of
    `share` are noted; see Recording.share_out.
    """

    start_s: float
    fetched_s: float
    end_s: float
    quiet: bool
    parts: tuple[tuple[float, float], ...] = ()
    events: tuple[Event, ...] = ()
    share: int = 0

    @property
    def elapsed_s(self) -> float:
        """Without what went into flushing caches."""
        return self.end_s - self.start_s - sum(e.end_s - e.start_s for e in self.events if e.op == PAUSE)


class _Runner:
    """A task's `run`, which notes from when to when each part runs."""

    def __init__(self, run: Callable[..., Any], parts: list[tuple[float, float]]):
        self._run, self._parts = run, parts

    def __call__(self, *args: Any) -> Any:
        start = time.perf_counter()
        out = self._run(*args)
        self._parts.append((start, time.perf_counter()))
        return out


class Recording:
    """A run opened to be taken apart: `whole(n)` and `apart(n)` make n steps, kept in `whole_steps` and `steps`."""

    def __init__(self, parts: Parts, cold: bool = False):
        self.parts, self.task, self.cold = parts, parts.task, cold
        if self.task.lacks:
            raise ConfigError(self.task.lacks)
        self.timed = Timed(parts.ops, MOVES, flusher(parts.ops) if cold else None)
        self.shares = [self.timed]
        self.whole_steps: list[Step] = []
        self.steps: list[Step] = []
        self.number = 0

    def whole(self, n: int) -> None:
        """n steps as they are."""
        self.whole_steps += [self._step() for _ in range(n)]

    def apart(self, n: int) -> None:
        """n steps whose ops are noted: every one of them, or each step's share in turn."""
        for share, timed in enumerate(self.shares):
            self.steps += self._taken(n // len(self.shares) + (share < n % len(self.shares)), share, timed)

    def timeline(self, n: int) -> list[Step]:
        """n steps, every op of them noted, beside those that are kept."""
        return self._taken(n, 0, self.timed)

    def share_out(self, shares: int, step: Step) -> None:
        """From now on a step taken apart notes the ops of some layers alone, so that noting costs it less; `shares`
        kinds of steps together note all. `step`, all of whose ops are noted, says how many each layer has.
        """
        load = Counter(e.where for e in step.events)
        groups: list[set[str]] = [set() for _ in range(shares)]
        for where, _ in load.most_common():
            min(groups, key=lambda group: sum(load[one] for one in group)).add(where)
        self.shares = [Timed(self.parts.ops, MOVES, None, group) for group in groups]
        for timed in self.shares:
            timed.args = self.timed.args

    def _taken(self, n: int, share: int, timed: Timed) -> list[Step]:
        spans: list[tuple[float, float]] = []
        kept = self.task.run
        self.task.use(timed)
        self.task.run = _Runner(self.task.run, spans)
        events, made = timed.events, []
        events.clear()
        try:
            for _ in range(n):  # as little as possible is done between steps, where it would cool the caches
                timed.announce("")  # what comes before the first pass belongs to none, whatever step was before
                made.append((self._step(), len(events), len(spans)))
        finally:
            self.task.use(self.parts.ops)
            self.task.run = kept
        first, part, out = 0, 0, []
        for step, last, parts in made:
            noted = tuple(map(Event._make, events[first:last]))
            out.append(step._replace(parts=tuple(spans[part:parts]), events=noted, share=share))
            first, part = last, parts
        return out

    def _step(self) -> Step:
        """One step. Raises ConfigError on a number that is not finite."""
        before = measure.switches()
        start = time.perf_counter()
        n = self.task.batches_per_step
        batches, labels = self.parts.given([self.parts.batches.at(self.number * n + k) for k in range(n)])
        fetched = time.perf_counter()
        self.task.step(batches, self.number, labels)
        bad = not self.task.late and self.task.bad()
        self.parts.ops.synchronize()
        end = time.perf_counter()
        self.number += 1
        if bad:
            raise ConfigError(f"step {self.number} was not finite, so it is no training step; minigan train says where")
        return Step(start, fetched, end, measure.switches() == before)

    def saved_bytes(self) -> dict[str, int]:
        """Layer -> bytes that its forward pass keeps for its backward pass: in one step, the pass that keeps most.

        Counts once what two layers share: the output of one that is the input of the next is the first one's.
        """
        called = partial(self.timeline, 1)  # by a proxy, so not replayed by a graph
        return saved_bytes(list(self.task.nets.values()), called)


def flusher(ops: Any) -> Callable[[], None]:
    """What drives everything else out of the caches: a walk through twice the bytes that they hold."""
    held = max((size for _, size, _ in caches()), default=0)
    large = ops.zeros((max(_FLUSH_BYTES, 2 * held) // 4,))

    def flush() -> None:
        ops.clip(large, 1.0)
        ops.synchronize()

    return flush


def prepared(name: str, overrides: list[configs.Override], complete: Callable[[Config], Config] | None = None) -> Parts:
    """A preset, a TOML file or a run folder, with its newest checkpoint's weights, as it trains.

    `complete` may fill in what a configuration leaves to be found.
    """
    path = Path(name)
    if not (path / trainer.CONFIG).is_file():
        config = configs.load(name, overrides)
        return prepare(complete(config) if complete else config)
    config = configs.from_dict(trainer.recorded(path).to_dict(), str(path), overrides)
    parts = prepare(complete(config) if complete else config, resume=True)
    saved = checkpoint.newest(path / checkpoint.FOLDER)
    if saved:
        trainer.restore(parts.task, checkpoint.load(saved))
    return parts


def warmed(recording: Recording) -> float:
    """Runs the first steps, which count for nothing; the seconds of a warm one."""
    recording.whole(WARM)
    recording.apart(1)
    seconds = min(step.elapsed_s for step in recording.whole_steps)
    recording.whole(min(_WARMEST, round(_WARM_S / seconds)))  # many where they are short: a neighbour may be in a few
    seconds = min(step.elapsed_s for step in recording.whole_steps)
    recording.whole_steps.clear()
    recording.steps.clear()
    return seconds


def record(recording: Recording, steps: int, tick: Callable[[float], None]) -> None:
    """Makes `steps` whole steps and as many that are taken apart, in turns. `tick(share)` says how much is done.

    `steps` 0: as many as take about ABOUT_S seconds of each kind.
    """
    seconds = warmed(recording)
    steps = steps or min(MOST, max(FEWEST, round(ABOUT_S / seconds)))
    (step,) = recording.timeline(1)
    shares = min(math.ceil(len(step.events) * _NOTING_S / seconds / _MOST_NOTING), steps // FEWEST)
    if shares > 1 and not recording.cold and not recording.task.late:  # flushes and waits are for every op
        recording.share_out(shares, step)
    block = min(measure.calls_per_block(seconds), max(-(-steps // _BLOCKS), len(recording.shares)))
    order = [recording.whole, recording.apart]
    while (done := len(recording.steps)) < steps:
        for make in order:
            make(min(block, steps - done))
        order.reverse()
        tick(len(recording.steps) / steps)


def saved_bytes(nets: list[Net], step: Callable[[], object]) -> dict[str, int]:
    """As Recording.saved_bytes, of the layers of `nets` during `step()`."""
    seen: set[int] = set()
    kept: list[Any] = []  # nothing is freed meanwhile, so no address comes twice
    found: dict[str, int] = {}

    def watched(layer: Any, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            y, ctx = forward(*args, **more)
            kept.append(ctx)
            size = 0
            for a in _arrays(ctx):
                if (at := _address(a)) not in seen:
                    seen.add(at)
                    size += int(a.nbytes)
            found[layer.name] = max(found.get(layer.name, 0), size)
            return y, ctx

        return run

    with wrapped([layer for net in nets for layer in net.layers], "forward", watched):
        step()
    return found


def _arrays(ctx: Any) -> Iterator[Any]:
    if isinstance(ctx, dict | list | tuple):
        for part in ctx.values() if isinstance(ctx, dict) else ctx:
            yield from _arrays(part)
    elif hasattr(ctx, "shape"):
        if hasattr(ctx, "x"):  # an image made ready: the array, and what was made of it
            yield ctx.x
        yield ctx


def _address(a: Any) -> int:
    """Where its numbers lie: the same for an array and for its reshaped view."""
    for key in ("__array_interface__", "__cuda_array_interface__"):
        if hasattr(a, key):
            return int(getattr(a, key)["data"][0])
    return id(a)
