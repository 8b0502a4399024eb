"""One training step and sampling, minigan beside PyTorch:   python -m benchmarks.step

Every side and variant is a process of its own, since thread pools of two libraries in one process get in each other's
way; they take turns (benchmarks/measure.py). PyTorch runs in every variant that could be its fastest: "PyTorch's best
float32" is the best median among those; bf16 autocast, which computes less exactly, is reported apart. A variant whose
first calls take more than 5 times as long as the best float32 ones is measured in fewer rounds; the result names it.
"""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks import command, works
from benchmarks.processes import Failed, Worker
from minigan import config as configs
from minigan.errors import MiniganError
from minigan.study import measure

FLAGS = {"channels_last": "channels-last", "fused": "fused Adam", "compile": "torch.compile", "bf16": "bf16"}
VARIANTS = [
    (),
    ("channels_last",),
    ("fused",),
    ("channels_last", "fused"),
    ("fused", "compile"),
    ("channels_last", "fused", "compile"),
    ("fused", "bf16"),
    ("channels_last", "fused", "bf16"),
]


def variants(work: works.Work) -> dict[str, dict[str, bool]]:
    """Name -> flags of PyTorch's variants that differ for this work: no images, no layout; no update, no Adam."""
    idle = {
        flag
        for flag, used in [("channels_last", "dcgan" in work["preset"]), ("fused", work["kind"] == "step")]
        if not used
    }
    out = {}
    for given in VARIANTS:
        on = [flag for flag in given if flag not in idle]
        out[" + ".join(FLAGS[flag] for flag in on) or "eager"] = {flag: flag in on for flag in FLAGS}
    return out


def measured(
    work: works.Work, backend: str, threads: int, rounds: int, python: str | None, show: Callable[..., None]
) -> dict[str, Any]:
    """A row of the result; without PyTorch when `python` is None."""
    work = work | {"config": configs.load(work["preset"], work.get("set", [])).to_dict()}
    kinds = variants(work) if python else {}
    sides: dict[str, Callable[[int], list[float]]] = {}
    seconds: dict[str, float] = {}
    skipped, parameters = {}, {}
    with ExitStack() as stack:

        def start(name: str, worker: Worker) -> None:
            show(description=f"{work['name']}: preparing {name}")
            ready = stack.enter_context(worker).ask("prepare", work)
            sides[name], seconds[name] = (lambda n: worker.ask("run", n)), ready["seconds"]
            parameters[name] = ready["parameters"]

        start("minigan", Worker("minigan_nets", {"threads": threads, "backend": backend}))
        for name, flags in kinds.items():
            try:
                start(name, Worker("torch_nets", {"threads": threads, **flags}, python or ""))
            except Failed as e:
                skipped[name] = str(e)
                command.note(f"{work['name']}: without {name}: {e}")
        for name, found in parameters.items():
            if found != parameters["minigan"]:
                raise MiniganError(
                    f"{work['name']}: minigan's nets have {parameters['minigan']} parameters, {name}'s {found}"
                )
        bf16 = [name for name, flags in kinds.items() if flags["bf16"]]
        float32 = [name for name in kinds if name not in bf16]
        theirs = {name: s for name, s in seconds.items() if name != "minigan"}
        seldom = measure.far_behind(theirs, [name for name in float32 if name in theirs])
        for name in seldom:
            command.note(f"{work['name']}: {name} takes {seconds[name]:.2g} s a call: measured in fewer rounds")
        show(description=work["name"])
        calls = {name: measure.calls_per_block(s) for name, s in seconds.items()}
        blocks = measure.interleave(sides, calls, rounds, lambda: show(advance=1), seldom)
    row = {key: work[key] for key in ("name", "kind", "preset", "batch")}
    row |= measure.compared(blocks, "minigan", {"pytorch": float32, "pytorch_bf16": bf16})
    fewer = {name: sum(map(bool, blocks[name])) for name in seldom}
    return row | {"skipped": skipped, "rounds_if_fewer": fewer, "parameters": parameters["minigan"]}


def step(
    backend: command.Backend = "auto",
    rounds: command.Rounds = 20,
    threads: command.Threads = 0,
    torch_python: command.TorchPython = sys.executable,
    only: command.Only = "",
    out: command.Out = None,
) -> None:
    """Times one training step and sampling: minigan, and PyTorch where it is installed, taking turns."""
    rows = works.chosen(works.STEPS, only)
    command.check(rows, only)
    threads = command.threads_or_all(threads)
    result = command.machine("step", threads, rounds=rounds)
    with Worker("minigan_nets", {"threads": threads, "backend": backend}) as worker:
        result["minigan"] = worker.ask("about")
    command.note(result["minigan"]["chosen"])
    result["pytorch"] = command.pytorch("torch_nets", {"threads": threads}, torch_python)
    python = torch_python if result["pytorch"] else None
    with command.bar(len(rows) * rounds) as show:
        result["rows"] = [measured(row, backend, threads, rounds, python, show) for row in rows]
    command.finish(result, out)


if __name__ == "__main__":
    command.main(step)
