"""Two profiles of the same step held against each other: what became slower, what faster, as far as noise lets tell.

A row's verdict stands only where the intervals from the 20th to the 80th percentile do not overlap, and lie apart by
more than runs of one build drift. The earlier times are scaled by the ceilings that were measured on both machines:
memory-bound rows by the bandwidth, all else by the peak.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigan.errors import ConfigError
from minigan.study.profile import FORMAT, UNACCOUNTED
from minigan.study.roofs import from_dict
from minigan.training.atomic import reported

SAME_STEP = ("preset", "task", "batch", "backend", "cold")
DRIFT = {True: 0.05, False: 0.02}  # of two runs, one after the other; of two builds in turns
LEAST_SHARE = 0.01  # of the step: what takes less is not judged
SLOWER, FASTER, OPEN = "slower", "faster", ""
REGRESSION = 3  # the exit status


@dataclass(frozen=True)
class Change:
    """One row: milliseconds then (scaled) and now, and the verdict, which is "" where the intervals overlap."""

    name: str
    then: tuple[float, float, float]  # median, 20th, 80th percentile, in seconds
    now: tuple[float, float, float]
    verdict: str

    @property
    def ratio(self) -> float:
        """Now over then."""
        return self.now[0] / self.then[0]


def read(path: Path) -> dict[str, Any]:
    """A file of --json. Raises ConfigError when it is none."""
    with reported("read", path):
        data = path.read_bytes()
    try:
        found = json.loads(data)
        if found["format"] != FORMAT or not found["step"]:
            raise KeyError
    except (ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{path} holds no profile with times; give what minigan profile --json wrote") from e
    return found


def check(then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises ConfigError unless both facts are of the same step."""
    for key in SAME_STEP:
        if then[key] != now[key]:
            raise ConfigError(
                f"the two profiles are not of the same step: {key} is {then[key]!r} in the earlier one and "
                f"{now[key]!r} now"
            )


def changes(then: dict[str, Any], now: dict[str, Any], scaled: bool = True) -> list[Change]:
    """Of two profiles as JSON: the step, then each row of both that takes its share.

    Without `scaled` times are held against each other as they are. Raises ConfigError on profiles of different steps.
    """
    check(then["facts"], now["facts"])
    factors = _factors(then, now) if scaled else dict.fromkeys(("compute", "memory", ""), 1.0)
    drift = DRIFT[scaled]
    out = [_change("step", then["step"], now["step"], factors["compute"], drift)]
    earlier = {_key(row): row for row in then["rows"]}
    for row in now["rows"]:
        old = earlier.get(_key(row))
        if old is None or row["layer"] == UNACCOUNTED:
            continue
        if max(row["median_s"] / now["step"]["median_s"], old["median_s"] / then["step"]["median_s"]) >= LEAST_SHARE:
            name = " ".join(filter(None, [row["layer"], row["which"], row["op"]]))
            out.append(_change(name, old, row, factors[row["bound"]], drift))
    return out


def _key(row: dict[str, Any]) -> str:
    return json.dumps([row[k] for k in ("layer", "which", "op", "shapes")])


def _factors(then: dict[str, Any], now: dict[str, Any]) -> dict[str, float]:
    """bound -> what the earlier machine's seconds are worth here."""
    old, new = (from_dict(profile["roofs"]) for profile in (then, now))
    peaks = (r.peak(profile["facts"]["isa"]) for r, profile in ((old, then), (new, now)))
    ratio = next(peaks) / next(peaks)
    size = 8 << 20  # of a large layer's arrays
    return {"compute": ratio, "memory": new.memory_s(size) / old.memory_s(size), "": ratio}


def _change(name: str, then: dict[str, Any], now: dict[str, Any], factor: float, drift: float) -> Change:
    a, b = ([row[k] for k in ("median_s", "p20_s", "p80_s")] for row in (then, now))
    old: tuple[float, float, float] = (a[0] * factor, a[1] * factor, a[2] * factor)
    slower, faster = b[1] > old[2] * (1 + drift), b[2] < old[1] * (1 - drift)
    verdict = SLOWER if slower else FASTER if faster else OPEN
    return Change(name, old, (b[0], b[1], b[2]), verdict)


def lines(found: list[Change]) -> list[str]:
    """The table: the step, and every row that a verdict stands for."""
    shown = [found[0], *(c for c in found[1:] if c.verdict)]
    width = max(len(c.name) for c in shown)
    out = [
        f"{c.name.ljust(width)}  {1e3 * c.then[0]:9.3f} ms -> {1e3 * c.now[0]:9.3f} ms  {c.ratio:5.2f}x  "
        f"{c.verdict or 'no verdict: the intervals overlap'}"
        for c in shown
    ]
    counts = [sum(c.verdict == v for c in found[1:]) for v in (SLOWER, FASTER, OPEN)]
    return [*out, "of the rows of 1 % and more: {} slower, {} faster, {} the same within noise".format(*counts)]


def regressed(found: list[Change]) -> bool:
    """Whether the step or a row became slower."""
    return any(c.verdict == SLOWER for c in found)
