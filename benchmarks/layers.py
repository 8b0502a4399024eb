"""Where a training step's time goes, per layer, pass and op:   python -m benchmarks.layers

The real GAN.step of a preset, with every op timed (proxies.Timed), beside the same step not taken apart; the two take
turns (benchmarks/measure.py). A row's time is the median over steps of what its calls took together. "outside ops" is
what is left of the step's median: Python, NumPy's part (draws of z, zeroed gradients), the timers themselves. So the
column adds up. Operations and bytes are counted as in benchmarks.ops.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import command, works
from benchmarks.ops import rates
from benchmarks.processes import Worker
from minigan import config as configs
from minigan.study import measure

STEPS = [work for work in works.STEPS if work["kind"] == "step" and "set" not in work]


def merged(takes: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The takes of all rounds as one: a row per layer, pass, op and shapes, with the seconds of all steps."""
    rows: dict[str, dict[str, Any]] = {}
    for row in (row for take in takes for row in take):
        key = str([row[name] for name in ("layer", "pass", "op", "shapes")])
        rows.setdefault(key, row | {"seconds": []})["seconds"].extend(row["seconds"])
    return list(rows.values())


def taken_apart(rows: list[dict[str, Any]], whole_s: float, peak: float | None) -> list[dict[str, Any]]:
    """Rows with medians, shares of the step and rates, and the row of what is outside ops: they add up to whole_s."""
    out = []
    for row in rows:
        seconds = float(np.median(row.pop("seconds")))
        out.append(row | {"median_s": seconds, "share": seconds / whole_s} | rates(row, seconds, peak))
    rest = whole_s - sum(row["median_s"] for row in out)
    names = {"layer": "outside ops", "pass": "", "op": "", "shapes": [], "implementation": ""}
    idle = {"calls": 0, "flops": 0, "done_flops": 0, "bytes": 0, "median_s": rest, "share": rest / whole_s}
    return [*out, names | idle | rates(idle, whole_s, peak)]


def measured(
    work: works.Work, workers: dict[str, Worker], peak: float | None, rounds: int, show: Callable[..., None]
) -> dict[str, Any]:
    """A work's rows, and the summaries of its step whole and apart."""
    show(description=work["name"])
    given = work | {"config": configs.load(work["preset"], work.get("set", [])).to_dict()}
    ready = {name: worker.ask("prepare", given) for name, worker in workers.items()}
    takes = []

    def apart(n: int) -> list[float]:
        seconds = workers["apart"].ask("run", n)
        takes.append(workers["apart"].ask("take", n))
        return seconds

    calls = {name: measure.calls_per_block(facts["seconds"]) for name, facts in ready.items()}
    sides = {"whole": partial(workers["whole"].ask, "run"), "apart": apart}
    blocks = measure.interleave(sides, calls, rounds, lambda: show(advance=1))
    row = {key: work[key] for key in ("name", "kind", "preset", "batch")}
    row |= {name: measure.summary(blocks[name]) for name in blocks}
    return row | {"rows": taken_apart(merged(takes), row["apart"]["median_s"], peak)}


def layers(
    backend: command.Backend = "auto",
    rounds: command.Rounds = 10,
    threads: command.Threads = 0,
    only: command.Only = "",
    out: command.Out = None,
) -> None:
    """Times every op within the training steps of the presets, minigan alone."""
    rows = works.chosen(STEPS, only)
    command.check(rows, only)
    threads = command.threads_or_all(threads)
    result = command.machine("layers", threads, rounds=rounds)
    settings = {"threads": threads, "backend": backend}
    with Worker("minigan_nets", settings) as whole, Worker("minigan_layers", settings) as apart:
        result["minigan"] = apart.ask("about")
        command.note(result["minigan"]["chosen"])
        peak, workers = result["minigan"]["peak_gflop_per_s"], {"whole": whole, "apart": apart}
        with command.bar(len(rows) * rounds) as show:
            result["rows"] = [measured(row, workers, peak, rounds, show) for row in rows]
    command.finish(result, out)


if __name__ == "__main__":
    command.main(layers)
