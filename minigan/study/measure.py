"""Interleaved timing and its statistics.

Sides take turns in blocks of a few calls, over many rounds, so that a clock that drifts or a neighbour who wakes up
meets all of them alike. Between blocks all sleep: thread pools (BLAS, OpenMP) spin for some milliseconds after work.
A side that is far behind is measured in fewer rounds: its seconds would be most of the run and decide nothing.
What was measured while another process took the core does not count, where there is enough else.
"""

import resource
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

PAUSE_S = 0.05
_BLOCK_S = 0.2
FEWEST, _MOST = 2, 200
ENOUGH_QUIET = 8
FAR, FEW_ROUNDS = 5, 3  # what takes FAR times as long as the best is measured in FEW_ROUNDS rounds of FEWEST calls

Blocks = dict[str, list[list[float]]]  # side -> per round the seconds of its calls, none where it sat the round out
Summary = dict[str, float]
T = TypeVar("T")


class Timed(Protocol):
    """`quiet`: all the while the system left us the cores (no involuntary switch to another process)."""

    @property
    def quiet(self) -> bool: ...


TimedT = TypeVar("TimedT", bound=Timed)


class Call(NamedTuple):
    """One call."""

    seconds: float
    quiet: bool


def switches() -> int:
    """How often any thread of this process had to make room for another process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def quiet(measured: list[TimedT]) -> list[TimedT]:
    """What was measured while the system took no core away, if there is some; else all."""
    found = [one for one in measured if one.quiet]
    return found if len(found) >= ENOUGH_QUIET else measured


def calls_per_block(seconds: float) -> int:
    """How many calls of that length make a block of about 0.2 s."""
    return min(_MOST, max(FEWEST, round(_BLOCK_S / max(seconds, 1e-9))))


def far_behind(seconds: dict[str, float], against: list[str]) -> list[str]:
    """Those of `seconds` that take more than FAR times as long as the fastest one named in `against`."""
    limit = FAR * min((seconds[name] for name in against), default=float("inf"))
    return [name for name, s in seconds.items() if s > limit]


def interleave(
    sides: dict[str, Callable[[int], list[T]]],
    calls: dict[str, int],
    rounds: int,
    tick: Callable[[], None],
    seldom: Collection[str] = (),
) -> dict[str, list[list[T]]]:
    """sides[name](n) gives what was measured of n calls; a round runs a block of each, every second round backwards.

    Those in `seldom` take part in FEW_ROUNDS rounds, evenly spread, with FEWEST calls each.
    """
    blocks: dict[str, list[list[T]]] = {name: [] for name in sides}
    apart = -(-rounds // FEW_ROUNDS)
    for i in range(rounds):
        for name in list(sides)[:: -1 if i % 2 else 1]:
            if name in seldom and i % apart:
                blocks[name].append([])
                continue
            time.sleep(PAUSE_S)
            blocks[name].append(sides[name](FEWEST if name in seldom else calls[name]))
        tick()
    return blocks


class Spread(NamedTuple):
    """Median, 20th and 80th percentile."""

    median_s: float
    p20_s: float
    p80_s: float


def spread(seconds: Sequence[float]) -> Spread:
    """Of all that was measured."""
    p20, median, p80 = np.quantile(seconds, [0.2, 0.5, 0.8])
    return Spread(float(median), float(p20), float(p80))


def summary(blocks: list[list[float]]) -> Summary:
    """Median, quartiles and minimum over all calls."""
    seconds = np.concatenate(blocks)
    q1, median, q3 = np.quantile(seconds, [0.25, 0.5, 0.75])
    return {
        "median_s": float(median),
        "q1_s": float(q1),
        "q3_s": float(q3),
        "min_s": float(seconds.min()),
        "calls": len(seconds),
    }


def best(summaries: dict[str, Summary]) -> str | None:
    """The name with the smallest median; None when there is none."""
    return min(summaries, key=lambda name: summaries[name]["median_s"], default=None)


def ratio(theirs: list[list[float]], ours: list[list[float]]) -> dict[str, float]:
    """How many times as fast as theirs: the medians' ratio, and quartiles of the ratios of single rounds."""
    by_round = [np.median(t) / np.median(o) for t, o in zip(theirs, ours, strict=True) if t and o]
    q1, q3 = np.quantile(by_round, [0.25, 0.75])
    return {"ratio": summary(theirs)["median_s"] / summary(ours)["median_s"], "q1": float(q1), "q3": float(q3)}


def compared(blocks: Blocks, ours: str, groups: dict[str, list[str]]) -> dict[str, Any]:
    """The summary of `ours`, and per group of others all summaries, the best of them and how it compares."""
    out: dict[str, Any] = {ours: summary(blocks[ours])}
    for group, names in groups.items():
        found = {name: summary(blocks[name]) for name in names if name in blocks}
        first = best(found)
        out[group] = {"variants": found, "best": first}
        if first:
            out[group] |= ratio(blocks[first], blocks[ours])
    return out
