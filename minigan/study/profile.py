"""Where a training step's time goes: a row per layer, pass and op, and what is left, so that the column adds up.

    median of whole steps  =  ops of layers, losses, optimizers  +  data  +  host  +  python  +  unaccounted

A row's time is the median over steps of what its calls took together. "python" is the time between the ops of a
sub-step; "host" what the step does outside of them (draws of z, the clock's words, looking at the finite flag); and
"unaccounted" what the sum lacks, since medians do not add. What it takes to note the times is in none of these.
"""

import dataclasses
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import numpy as np

from minigan import __version__
from minigan.backends.proxies import PAUSE, Event, Timed
from minigan.study import measure
from minigan.study.recording import Recording, Step, record
from minigan.study.roofs import Roofs, roofs
from minigan.study.work import MOVES, cost

FORMAT = "minigan-profile-1"
LOSSES = {"logit_loss", "softmax_cross_entropy", "l1_loss", "mse_loss", "norm_loss", "kl_gauss"}
WEIGHTS = {"bias_grad", "embedding_backward"}  # beside those named _wgrad: they add into gradients of parameters
BOTH = {"batchnorm_backward", "batchnorm_running_backward", "layernorm_backward", "instancenorm_backward"}
DATA, HOST, PYTHON, UNACCOUNTED = "data", "host", "python", "unaccounted"
WORDS = {
    DATA: "reading the batch (training reads ahead)",
    HOST: "draws of z, clock words, the finite flag",
    PYTHON: "between the ops",
    UNACCOUNTED: "what the rows lack of the step",
}
Round = tuple[Step, ...]  # steps that together note every op once
Key = tuple[str, str, str, tuple[Any, ...]]  # layer, pass, op, shape of each argument


@dataclasses.dataclass(frozen=True)
class Row:
    """A layer's op in one pass, all its calls of one step: seconds, costs, and how near the roof it comes.

    `flops` are those of the direct algorithm, `done_flops` those really done; `roof` is the least time over the
    measured one, and `bound` says what sets it. Without a device that can be timed all seconds are None.
    """

    layer: str
    which: str
    op: str
    shapes: tuple[tuple[int, ...], ...] = ()
    by: str = ""
    calls: int = 0
    median_s: float | None = None
    p20_s: float | None = None
    p80_s: float | None = None
    flops: int = 0
    done_flops: int = 0
    bytes: int = 0
    compute_s: float = 0.0
    memory_s: float = 0.0
    saved_bytes: int = 0

    @property
    def name(self) -> str:
        """Layer, pass and op in one."""
        return " ".join(filter(None, [self.layer, self.which, self.op]))

    @property
    def least_s(self) -> float:
        """What the roofs leave at least."""
        return max(self.compute_s, self.memory_s)

    @property
    def bound(self) -> str:
        """What sets the roof: compute or memory; "" for what is no op."""
        return "" if not self.bytes else "compute" if self.compute_s >= self.memory_s else "memory"

    @property
    def roof(self) -> float | None:
        """The share of the roof; None for what has none."""
        return self.least_s / self.median_s if self.median_s and self.bytes and self.least_s else None

    @property
    def intensity(self) -> float | None:
        """Operations really done per byte."""
        return self.done_flops / self.bytes if self.bytes else None

    def rate(self, what: str) -> float | None:
        """Giga-`what` a second: of "flops", "done_flops" or "bytes"."""
        return getattr(self, what) / self.median_s / 1e9 if self.median_s and getattr(self, what) else None


@dataclasses.dataclass(frozen=True)
class Profile:
    """What was measured of one step: facts about how, the step's time whole and taken apart, rows that add up to it."""

    facts: dict[str, Any]
    rows: tuple[Row, ...]
    step: measure.Spread | None
    apart: measure.Spread | None
    roofs: Roofs | None

    @property
    def overhead(self) -> float:
        """How much longer a step takes while every op is timed."""
        assert self.step and self.apart
        return self.apart.median_s / self.step.median_s - 1

    @property
    def too_fast(self) -> list[Row]:
        """Rows beyond their roof: something is counted wrong."""
        return [row for row in self.rows if row.roof is not None and row.roof > 1]

    def share(self, row: Row) -> float:
        """Of the step."""
        assert self.step and row.median_s is not None
        return row.median_s / self.step.median_s


def profile(recording: Recording, steps: int, tick: Callable[[float], None]) -> Profile:
    """Measures `steps` steps whole and as many taken apart; 0: as many as fit into some seconds."""
    if measurable(recording.parts.ops):
        record(recording, steps, tick)
    else:
        recording.apart(1)
    return made(recording)


def made(recording: Recording) -> Profile:
    """The profile of what was recorded."""
    ops = recording.parts.ops
    timed = measurable(ops)
    found = roofs(ops) if timed else None
    whole = measure.quiet(recording.whole_steps)
    taken, rest = rounds(recording.steps, len(recording.shares))
    said = facts(recording) | {"steps": len(recording.steps), "other_steps": rest}
    said |= {"used_whole": len(whole), "used_apart": sum(map(len, taken)), "shares": len(recording.shares)}
    said |= {"device": found.device, "threads": found.threads} if found else {"device": "simulator", "threads": 1}
    rows = rows_of(recording, taken, found, recording.saved_bytes())
    if not timed:
        bare: dict[str, Any] = {"median_s": None, "p20_s": None, "p80_s": None}
        return Profile(said, tuple(dataclasses.replace(row, **bare) for row in rows), None, None, None)
    apart, step = (measure.spread([s.elapsed_s for s in steps]) for steps in ([s for r in taken for s in r], whole))
    step = apart if recording.cold else step
    left = step.median_s - sum(row.median_s or 0.0 for row in rows)
    rows.append(Row(UNACCOUNTED, "", "", median_s=left, p20_s=left, p80_s=left))
    return Profile(said, tuple(rows), step, apart, found)


def measurable(ops: Any) -> bool:
    """Whether its times mean anything: not those of a simulator."""
    return not getattr(ops, "SIMULATED", False)


def rounds(steps: list[Step], shares: int) -> tuple[list[Round], int]:
    """Steps of every share side by side, each the quiet ones of its most common kind; and how many were of another."""
    found = [common(measure.quiet([step for step in steps if step.share == share])) for share in range(shares)]
    return list(zip(*(kept for kept, _ in found), strict=False)), sum(rest for _, rest in found)


def common(steps: list[Step]) -> tuple[list[Step], int]:
    """The steps of the most common kind, that is, of the same ops in the same order; and how many were of another.

    A lazy penalty makes every sixteenth step another kind.
    """
    kinds = [tuple(e[:4] for e in step.events if e.op != PAUSE) for step in steps]
    ((kind, count),) = Counter(kinds).most_common(1)
    return [step for step, own in zip(steps, kinds, strict=True) if own == kind], len(steps) - count


def role(e: Event) -> str:
    """What the layer, or the step, calls it: forward, dX, dW; zero, loss, optimizer, ..."""
    if e.op in MOVES:
        return "zero" if e.where else "copies"
    if "." not in e.where:
        return "loss" if e.op in LOSSES else "step" if e.which != "update" else "optimizer" if e.where else "record"
    tangent = " tangent" if e.which.endswith("tangent") else ""
    if e.op.endswith("_wgrad") or e.op in WEIGHTS:
        return "dW" + tangent
    return ("forward" if e.which.startswith("forward") else "dX, dW" if e.op in BOTH else "dX") + tangent


def rows_of(recording: Recording, rounds: list[Round], found: Roofs | None, saved: dict[str, int]) -> list[Row]:
    """A row per layer, pass, op and shapes, in the order of the step, and those of what lies between the ops."""
    seconds: dict[Key, list[float]] = {}
    calls: Counter[Key] = Counter()
    for k, steps in enumerate(rounds):
        for e in chain.from_iterable(step.events for step in steps):
            if e.op != PAUSE:
                key = e.where, role(e), e.op, e.shapes
                of_rounds = seconds.setdefault(key, [0.0] * len(rounds))
                of_rounds[k] += e.end_s - e.start_s
                calls[key] += k == 0
    out, said = [], set()
    for (where, which, op, shapes), spent in seconds.items():
        args = recording.timed.args[where, op][shapes]
        counted = cost(recording.parts.ops, op, *args)
        if not counted["flops"] and not counted["bytes"]:
            continue  # an activation that is none
        kept = saved.get(where, 0) if which == "forward" and where not in said else 0
        said |= {where} if which == "forward" else set()
        times = calls[where, which, op, shapes]
        given = tuple(tuple(s) for s in shapes if s is not None)
        by = served(recording.parts.ops, counted["implementation"])
        row = Row(where or "step", which, op, given, by, times, saved_bytes=kept, **measure.spread(spent)._asdict())
        out.append(_counted(row, counted, times, found, by, recording.cold))
    return [*out, *(_plain(name, spent) for name, spent in between(rounds, timer_cost_s()).items())]


def _counted(row: Row, counted: dict[str, Any], calls: int, found: Roofs | None, by: str, cold: bool) -> Row:
    """The row with its costs, and with its roofs where there are some."""
    flops, done, size = (counted[key] * calls for key in ("flops", "done_flops", "bytes"))
    if found is None:
        return dataclasses.replace(row, flops=flops, done_flops=done, bytes=size)
    memory_s = calls * found.memory_s(counted["bytes"], cold)
    compute_s = found.compute_s(done, by.split()[-1] if by else "")
    return dataclasses.replace(row, flops=flops, done_flops=done, bytes=size, compute_s=compute_s, memory_s=memory_s)


def served(ops: Any, implementation: str) -> str:
    """Which implementation and instruction set ran, as far as the backend has several."""
    return " ".join(filter(None, [implementation, getattr(ops, "ISA", "numpy")]))


def between(rounds: Iterable[Round], timer_s: float = 0.0) -> dict[str, list[float]]:
    """Per round: seconds of reading data, of Python between the ops of its parts, and of the host outside parts.

    These are means over the steps of the round, less the ops, which each of them notes a share of. `timer_s`, what
    noting an op's time takes, comes off: a step that is not taken apart has none of it.
    """
    out: dict[str, list[float]] = {DATA: [], HOST: [], PYTHON: []}
    for steps in rounds:
        inside, spent, noted = 0.0, {True: 0.0, False: 0.0}, {True: 0, False: 0}
        for step in steps:
            inside += sum(end - start for start, end in step.parts) / len(steps)
            for e in step.events:
                within = any(start <= e.start_s < end for start, end in step.parts)
                spent[within] += e.end_s - e.start_s
                noted[within] += 1
        read, rest = (
            sum(seconds) / len(steps)
            for seconds in ([s.fetched_s - s.start_s for s in steps], [s.end_s - s.fetched_s for s in steps])
        )
        each = timer_s / len(steps)
        out[DATA].append(read)
        out[PYTHON].append(inside - spent[True] - each * noted[True])
        out[HOST].append(rest - inside - spent[False] - each * noted[False])
    return out


def timer_cost_s() -> float:
    """The seconds that noting one op's time adds to a step, outside of the op's own time."""

    class Nothing:
        def mul(self, x: Any, y: Any) -> None: ...

    bare, x = Nothing(), np.zeros((2, 3), np.float32)
    timed = Timed(bare).named("a.0")
    noted, plain = ([_of_100(call, x) for _ in range(30)] for call in (timed.mul, bare.mul))
    inside = float(np.median([e[-1] - e[-2] for e in timed.events]))
    return max(0.0, float(np.median(noted)) - float(np.median(plain)) - inside)


def _of_100(call: Callable[..., object], x: Any) -> float:
    start = time.perf_counter()
    for _ in range(100):
        call(x, x)
    return (time.perf_counter() - start) / 100


def _plain(name: str, seconds: list[float]) -> Row:
    return Row(name, "", "", **measure.spread(seconds)._asdict())


def facts(recording: Recording) -> dict[str, Any]:
    """What is measured, by what, with which settings."""
    parts, clock = recording.parts, time.get_clock_info("perf_counter")
    ops, config = parts.ops, parts.config
    return {
        "preset": config.preset,
        "data": parts.dataset.name,
        "task": config.task.name,
        "batch": config.train.batch_size,
        "backend": ops.NAME,
        "isa": getattr(ops, "ISA", ""),
        "note": parts.backend_note,
        "minigan": __version__,
        "build": getattr(ops, "BUILD", ""),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "timer": f"{clock.implementation}, {clock.resolution * 1e9:.0f} ns",
        "cold": recording.cold,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def to_dict(given: Profile) -> dict[str, Any]:
    """As JSON."""
    rows = [dataclasses.asdict(row) | {"roof": row.roof, "bound": row.bound} for row in given.rows]
    return {
        "format": FORMAT,
        "facts": given.facts,
        "step": given.step and given.step._asdict(),
        "apart": given.apart and given.apart._asdict(),
        "roofs": given.roofs and given.roofs.to_dict(),
        "rows": rows,
    }
