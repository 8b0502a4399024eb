"""Steps and ops on a GPU beside PyTorch, and the ceilings they run under:   python -m benchmarks.gpu

Each side is a process of its own: minigan in float32, minigan with its products in TF32 (MINIGAN_PLAN=cublas_tf32), and
PyTorch. On a GPU they run one after the other. A step is timed in blocks, by the host's clock over a block and its wait
at the end ("host") and by events around it ("device"); single ops as graphs, over sets of random arrays that no cache
holds. What --seconds leaves no time for is left out and named; the most important comes first.
"""

import json
import re
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import command, gpu_table, works
from benchmarks.processes import Failed, Worker
from minigan import config as configs
from minigan.errors import MiniganError
from minigan.study import measure

PRECISIONS = {"float32": {}, "tf32": {"MINIGAN_PLAN": "cublas_tf32"}}
VARIANTS = [  # PyTorch's: how it runs, in which memory format; compiling takes longest
    ("eager", False), ("graph", False), ("eager", True), ("graph", True), ("compile", False),
]  # fmt: skip
MINIGAN = {
    "minigan graph": {"kind": "step", "graph": True},
    "minigan, graphs alone": {"kind": "replay", "graph": True},
    "minigan eager": {"kind": "step", "graph": False},
}
COMPILE_S = 60  # what a compilation may take; with less left it is not begun


@dataclass(frozen=True)
class Sizes:
    """What is measured, and how often."""

    nets: dict[str, str] = field(default_factory=lambda: works.GPU_NETS)
    batches: tuple[int, ...] = works.GPU_BATCHES
    words: tuple[str, ...] = ()  # overrides of the presets
    shape: tuple[int, ...] = works.SHAPE  # of minigan's images
    ops: list[works.Work] = field(default_factory=lambda: works.GPU_OPS)
    copy_bytes: int = works.COPY_BYTES
    gemm_side: int = works.GEMM_SIDE
    precisions: tuple[str, ...] = tuple(PRECISIONS)
    blocks: int = 11
    steps: int = 20  # a block
    replays: int = 10  # of an op's graph a block
    few: int = 2  # of a large one's


TRIAL = Sizes(  # for any device, the simulator included
    nets={"MLP GAN": "mlp-mnist"}, batches=(1,), words=("model.widths_g=[1]", "model.widths_d=[1]", "model.z=1"),
    shape=(2, 2, 1),
    ops=[{"name": "linear 3x5x2", "op": "linear", "pass": "forward", "n": 3, "i": 5, "o": 2}],
    copy_bytes=1 << 10, gemm_side=4, precisions=("float32",), blocks=2, steps=1, replays=1, few=1,
)  # fmt: skip


class Sides:
    """The worker processes, and how much time is left."""

    def __init__(self, stack: ExitStack, seconds: float, sizes: Sizes):
        self.end, self.stack, self.sizes = time.monotonic() + seconds, stack, sizes
        self.workers: dict[str, Worker] = {}
        self.left_out: dict[str, str] = {}

    def start(self, name: str, side: str, settings: dict[str, Any], python: str, **variables: str) -> dict[str, Any]:
        """A worker, and what it says of itself. Raises Failed."""
        worker = self.stack.enter_context(Worker(side, settings, python, **variables))
        facts: dict[str, Any] = worker.ask("about")
        self.workers[name] = worker
        return facts

    def measured(self, name: str, what: str, work: dict[str, Any], least_s: float = 0.0) -> Any:
        """Summaries of a work's host and device seconds per step or op, and its facts; None, and why, without."""
        if self.end - time.monotonic() < least_s:
            self.left_out[what] = "no time was left"
            return None
        calls = self.sizes.blocks
        try:
            facts = self.workers[name].ask("prepare", work)
            host = self.workers[name].ask("run", calls)
            device = self.workers[name].ask("take", calls)
        except Failed as e:
            self.left_out[what] = str(e)
            return None
        per = work["count"] * facts.get("calls", 1)
        found = {"host": measure.summary([[s / per for s in host]])}
        found |= {"device": measure.summary([[s / per for s in device]])} if device else {}
        return {**found, "facts": facts}


def ceilings(sides: Sides) -> dict[str, float]:
    """Bytes a second of a copy, and operations a second of a large product in each precision, whoever's is best."""
    out, sizes = {}, sides.sizes
    copy = sides.measured("float32", "copy", {"kind": "copy", "bytes": sizes.copy_bytes, "count": sizes.few})
    if copy:
        out["copy_gb_per_s"] = copy["facts"]["bytes"] / _seconds(copy) / 1e9
    n = sizes.gemm_side
    work = {"kind": "op", "op": "linear", "pass": "forward", "n": n, "i": n, "o": n, "count": sizes.few}
    for precision in sizes.precisions:
        found = [sides.measured(precision, f"{precision} product", work)]
        if "pytorch" in sides.workers:
            more = {"tf32": precision == "tf32", "variant": "graph", "channels_last": False, "bytes": 12 * n * n}
            found.append(sides.measured("pytorch", f"{precision} product, PyTorch", work | more))
        seconds = [_seconds(f) for f in found if f]
        if seconds:
            out[f"{precision}_gflop_per_s"] = 2 * n**3 / min(seconds) / 1e9
    return out


def _seconds(found: dict[str, Any]) -> float:
    """The device's median, the host's where no events are."""
    return float(found.get("device", found["host"])["median_s"])


def steps(sides: Sides) -> list[dict[str, Any]]:
    """A row per net, batch and precision; PyTorch's compiled variants come when all else is done."""
    rows, sizes = [], sides.sizes
    for name, preset in sizes.nets.items():
        config = configs.load(preset, sizes.words).to_dict()
        for batch, precision in product(sizes.batches, sizes.precisions):
            work = {"preset": preset, "batch": batch, "set": sizes.words, "config": config, "shape": sizes.shape}
            work["count"] = sizes.steps
            row = {"name": name, "preset": preset, "batch": batch, "precision": precision, "sides": {}, "work": work}
            for side, more in MINIGAN.items():
                _add(sides, row, precision, side, work | more)
            rows.append(row)
    if "pytorch" in sides.workers:
        for variant, last in VARIANTS:
            for row in rows:
                if last and row["preset"] == "mlp-mnist":
                    continue  # no images, no memory format
                side = f"PyTorch {variant}{', channels-last' if last else ''}"
                more = {"variant": variant, "channels_last": last, "tf32": row["precision"] == "tf32", "kind": "step"}
                _add(sides, row, "pytorch", side, row["work"] | more, COMPILE_S if variant == "compile" else 0)
    for row in rows:
        del row["work"]
    return rows


def _add(sides: Sides, row: dict[str, Any], worker: str, side: str, work: dict[str, Any], least_s: float = 0) -> None:
    what = f"{row['name']}, batch {row['batch']}, {row['precision']}: {side}"
    command.note(what)
    if found := sides.measured(worker, what, work, least_s):
        row["sides"][side] = found


def ops(sides: Sides, peaks: dict[str, float]) -> list[dict[str, Any]]:
    """A row per op and precision, with its shares of the ceilings."""
    out, sizes = [], sides.sizes
    for given in sizes.ops:
        work = given | {"kind": "op", "count": sizes.few if given.get("large") else sizes.replays}
        for precision in sizes.precisions if work["op"] in works.PRODUCTS else ["float32"]:
            what = f"{work['name']}, {work['pass']}, {precision}"
            mine = sides.measured(precision, what, work)
            if not mine:
                continue
            row = {**{k: work[k] for k in ("name", "op", "pass")}, "precision": precision, "minigan": mine}
            if "pytorch" in sides.workers:
                found = {}
                for last in (False, True) if "conv" in work["op"] or len(work.get("shape", ())) == 4 else (False,):
                    more = {"variant": "graph", "channels_last": last, "tf32": precision == "tf32"}
                    more["bytes"] = mine["facts"]["bytes"]
                    name = "channels-last" if last else "contiguous"
                    if theirs := sides.measured("pytorch", f"{what}, PyTorch {name}", work | more):
                        found[name] = theirs
                row["pytorch"] = found
            out.append(row | shares(mine, peaks, precision))
    return out


def shares(found: dict[str, Any], peaks: dict[str, float], precision: str) -> dict[str, float | None]:
    """What the op did in a second, and what part of the ceilings that is; None where one was not measured."""
    seconds, facts = _seconds(found), found["facts"]
    gb, gflop = facts["bytes"] / seconds / 1e9, facts["flops"] / seconds / 1e9
    copy, gemm = peaks.get("copy_gb_per_s"), peaks.get(f"{precision}_gflop_per_s")
    return {
        "gb_per_s": gb,
        "gflop_per_s": gflop,
        "copy_share": gb / copy if copy else None,
        "gemm_share": gflop / gemm if gemm else None,
    }


def _result_file(folder: Path, result: dict[str, Any]) -> Path:
    model = result["minigan"]["device"][0].split(",")[0]
    return folder / f"{result['date'][:10]}-{re.sub(r'[^a-z0-9]+', '-', model.lower()).strip('-')}-gpu.json"


def gpu(
    seconds: Annotated[float, typer.Option(metavar="S", help="Time for all of it.", min=1)] = 240,
    torch_python: command.TorchPython = sys.executable,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where both result files go.")] = command.RESULTS,
    checks: Annotated[str, typer.Option(metavar="TEXT", help="What the checks before said, for the result.")] = "",
    trial: Annotated[bool, typer.Option("--trial", help="The smallest of everything, on any device.")] = False,
) -> None:
    """Times steps and ops on the GPU, minigan and PyTorch where it is installed; writes a JSON and a text table."""
    cpus, sizes = command.threads_or_all(0), TRIAL if trial else Sizes()
    result = command.machine("gpu", cpus, rounds=sizes.blocks)
    settings = {"threads": 1 if trial else cpus, "backend": "cuda", "device": "cpu" if trial else "cuda"}
    with ExitStack() as stack:
        sides = Sides(stack, seconds, sizes)
        for precision in sizes.precisions:
            facts = sides.start(precision, "gpu_minigan", settings, sys.executable, **PRECISIONS[precision])
            result["minigan"] = facts
        try:
            compilers = {"TORCHINDUCTOR_COMPILE_THREADS": str(cpus)}
            result["pytorch"] = sides.start("pytorch", "gpu_torch", settings, torch_python, **compilers)
        except Failed as e:
            command.note(f"without PyTorch: {e}")
            result["pytorch"] = None
        result["checks"] = checks
        result["ceilings"] = ceilings(sides)
        result["steps"] = steps(sides)
        result["ops"] = ops(sides, result["ceilings"])
        result["left_out"] = sides.left_out
    path = _result_file(out, result)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = gpu_table.text(result)
    path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    print(text)
    command.note(f"written: {path} and {path.with_suffix('.txt').name}")
    if not result["steps"] or not all("minigan graph" in row["sides"] for row in result["steps"]):
        raise MiniganError("not every step of minigan could be measured; see left_out in the result")


if __name__ == "__main__":
    command.main(gpu)
