"""The figures of docs/fast:   python -m benchmarks.fast

Every row is `minigan profile --op OP --shape SHAPE`: implementations and instruction sets in turns, on one thread that
keeps to one CPU; last, one thread beside all that there are. Calls during which the core was taken away do not count;
a machine with other work leaves few, unless it is told to let these go first. On Linux, as root, for some minutes:

    setsid bash -c 'echo -20 > /proc/self/autogroup; exec python -m benchmarks.fast'

What a GPU is given is no time: registers and shared memory as its compiler says, kernels of a training step as the
simulator counts them. docs/fast/figures.py draws the result.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from benchmarks import command
from benchmarks.processes import ROOT
from minigan import __version__, backends
from minigan.errors import MiniganError
from minigan.study import one_op
from minigan.study.roofs import extension
from minigan.training import environment

ROUNDS, FEW_ROUNDS = 7, 5

# page -> what every implementation on every instruction set is asked for
ALL: dict[str, list[tuple[str, str]]] = {
    "loops": [("conv2d", "n64h28w28c1k5o64s2"), ("conv2d", "n64h14w14c64k5o128s2")],
    "gemm": [("linear", "n128c784o256")],
    "stride-two": [("conv2d_dgrad", "n64h14w14c64k5o128s2")],
    "frequency": [("conv2d_dgrad", "n64h7w7c128k5o256s1")],
}
# page -> what the best instruction set alone is asked for, by these implementations
SWEEPS: dict[str, tuple[tuple[str, ...], list[tuple[str, str]]]] = {
    # the image with its zeros between the pixels, which stride 2 spares: 14x14 pixels of 128 channels to 64
    "stride-two": (("direct",), [("conv2d", "n64h14w14c128k5o64s1")]),
    "frequency": (
        ("direct", "fft"),
        [
            *(("conv2d", f"n64h14w14c64k{k}o64s{s}") for s in (1, 2) for k in (1, 3, 5, 7)),
            *(("conv2d", f"n64h14w14c{c}k5o{c}s1") for c in (16, 32, 128)),
        ],
    ),
}
THREADS = [
    ("conv2d_dgrad", "n64h7w7c128k5o256s1"),
    ("conv2d", "n64h14w14c64k5o128s2"),
    ("linear", "n128c784o256"),
    ("activation", "n64h14w14c64"),
    ("activation", "n64c256"),
]
# what tests/cuda/compiled.py says of a kernel, per capability
COMPILED = ("capability", "threads", "broken", "fusable", "shared_bytes", "registers", "spilled_bytes")
FAMILIES = ("gemm", "fft")  # kernels of the GPU that are compiled
PRESETS = ("digits", "mlp-mnist", "dcgan-mnist")  # whose steps' kernels are counted


@contextmanager
def one_cpu() -> Iterator[None]:
    """This process, and those that it starts, keep to the last CPU that it may use (where the system can be told)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def work(op: str, shape: str, by: Iterable[one_op.Side], rounds: int, threads: Sequence[int]) -> dict[str, Any]:
    """What `minigan profile --op --json` writes."""
    rows = one_op.measured(one_op.work(op, shape), by, lambda: None, rounds, threads)
    return {"op": op, "shape": shape, "rows": rows}


def plans(isa: str, threads: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """All that is measured: the page, and what `work` takes."""
    for page, works in ALL.items():
        yield from ((page, (op, shape, one_op.sides(op, "", True), ROUNDS, [1])) for op, shape in works)
    for page, (names, works) in SWEEPS.items():
        yield from ((page, (op, shape, [("cpp", isa, names)], FEW_ROUNDS, [1])) for op, shape in works)
    for op, shape in THREADS:
        yield "threads", (op, shape, [("cpp", isa, ("",))], ROUNDS, sorted({1, threads}))


def said(*words: str, **variables: str) -> Any:
    """What a Python program prints, as JSON."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    given = {**os.environ, "PYTHONPATH": path, **variables}
    done = subprocess.run([sys.executable, *words], env=given, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1]
        raise MiniganError(f"{words[-1]}: {last}; pip install '.[test]' brings what compiles the GPU's kernels")
    return json.loads(done.stdout)


def _facts(row: list[Any]) -> dict[str, Any]:
    found = dict(zip(COMPILED, row, strict=True))
    return {key: found[key] for key in ("capability", "threads", "shared_bytes", "registers", "spilled_bytes")}


def gpu() -> dict[str, Any]:
    """What can be said of the GPU's kernels without a GPU."""
    compiled = said("tests/cuda/compiled.py", *FAMILIES)
    return {
        "launches": said("-m", "benchmarks.fast_launches", *PRESETS, NUMBA_ENABLE_CUDASIM="1"),
        "compiled": {name: [_facts(row) for row in rows] for name, rows in compiled.items()},
    }


def fast(out: command.Out = None) -> None:
    """Measures what the pages of docs/fast show."""
    cpp = extension()
    if not cpp:
        raise MiniganError("the C++ backend is not here, which these pages are about; minigan doctor says why")
    isa, threads = cpp.isas()[0], environment.threads()
    result = command.machine("fast", threads, rounds=ROUNDS)
    result |= {"isa": isa, "minigan": {"version": __version__, "build": backends.load("cpp").BUILD}}
    result["pages"] = {}
    todo = list(plans(isa, threads))
    with command.bar(len(todo) + 1) as show:
        for page, given in todo:
            show(description=" ".join(given[:2]))
            with one_cpu() if given[-1] == [1] else nullcontext():
                result["pages"].setdefault(page, []).append(work(*given))
            show(advance=1)
        show(description="kernels of the GPU")
        result["gpu"] = gpu()
        show(advance=1)
    command.write(result, out)


if __name__ == "__main__":
    command.main(fast)
