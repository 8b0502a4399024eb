"""One op at a time, per layer and pass, minigan beside PyTorch:   python -m benchmarks.ops

GFLOP/s counts the direct algorithm: 2 per multiply-add, padding included, whichever algorithm ran. "done" counts what
the implementation says that it really did, transforms included. The peak is measured in the same run, by a loop of
multiply-adds.
PyTorch's time is the better of its two memory formats.
"""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

import typer

from benchmarks import command, works
from benchmarks.processes import Worker
from minigan.study import measure

CONVOLUTIONS = ("conv2d", "conv2d_dgrad", "conv2d_wgrad")
FORMATS = {"contiguous": False, "channels-last": True}
Algorithm = Annotated[
    str, typer.Option(metavar="NAME", help="Force an implementation of the convolutions: direct, fft, ...")
]


def measured(
    work: works.Work, workers: dict[str, Worker], peak: float | None, rounds: int, show: Callable[..., None]
) -> dict[str, Any]:
    """A row of the result."""
    show(description=f"{work['name']} {work['pass']}")
    sides: dict[str, Callable[[int], list[float]]] = {}
    calls, facts = {}, {}
    for name, worker in workers.items():
        if name == "channels-last" and work["kind"] not in ("conv", "convT") and len(work.get("shape", ())) != 4:
            continue
        facts[name] = worker.ask("prepare", work)
        sides[name], calls[name] = partial(worker.ask, "run"), measure.calls_per_block(facts[name]["seconds"])
    blocks = measure.interleave(sides, calls, rounds, lambda: show(advance=1))
    row = {"name": work["name"], "pass": work["pass"]}
    row |= {key: facts["minigan"][key] for key in ("op", "implementation", "flops", "done_flops", "bytes")}
    row |= measure.compared(blocks, "minigan", {"pytorch": list(FORMATS)})
    return row | rates(row, row["minigan"]["median_s"], peak)


def rates(cost: dict[str, Any], seconds: float, peak: float | None) -> dict[str, float | None]:
    """What a second did, by the median, and the shares of the measured peak."""
    direct, done = (cost[key] / seconds / 1e9 for key in ("flops", "done_flops"))
    return {
        "gflop_per_s": direct,
        "done_gflop_per_s": done,
        "gb_per_s": cost["bytes"] / seconds / 1e9,
        "peak_share": direct / peak if peak else None,
        "done_peak_share": done / peak if peak else None,
    }


def ops(
    backend: command.Backend = "auto",
    rounds: command.Rounds = 10,
    threads: command.Threads = 0,
    torch_python: command.TorchPython = sys.executable,
    algorithm: Algorithm = "",
    only: command.Only = "",
    out: command.Out = None,
) -> None:
    """Times single ops: minigan, and PyTorch where it is installed, taking turns."""
    rows = works.chosen(works.OPS, only)
    command.check(rows, only)
    threads = command.threads_or_all(threads)
    result = command.machine("ops", threads, rounds=rounds)
    plan = {"MINIGAN_PLAN": ",".join(f"{op}={algorithm}" for op in CONVOLUTIONS)} if algorithm else {}
    result["variables"] |= plan
    with ExitStack() as stack:
        minigan = stack.enter_context(Worker("minigan_ops", {"threads": threads, "backend": backend}, **plan))
        workers = {"minigan": minigan}
        result["minigan"] = minigan.ask("about")
        command.note(result["minigan"]["chosen"])
        result["pytorch"] = command.pytorch("torch_ops", {"threads": threads}, torch_python)
        for name, channels_last in FORMATS.items() if result["pytorch"] else ():
            settings = {"threads": threads, "channels_last": channels_last}
            workers[name] = stack.enter_context(Worker("torch_ops", settings, torch_python))
        peak = result["minigan"]["peak_gflop_per_s"]
        with command.bar(len(rows) * rounds) as show:
            result["rows"] = [measured(row, workers, peak, rounds, show) for row in rows]
    command.finish(result, out)


if __name__ == "__main__":
    command.main(ops)
