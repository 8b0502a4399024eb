"""Compiles kernels for real GPUs where there is none, and finds what must not be in them. Runs in a process of its own:
the simulator, once it is on, replaces the compiler.

    python compiled.py [FAMILY ...]     every kernel of the backend, or of these families
    python compiled.py bad              those of bad_kernels.py, each of which breaks a rule

prints one JSON object, "family.kernel" -> a list of Findings.
"""

import importlib
import json
import math
import multiprocessing
import os
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

CAPABILITIES = ((8, 0), (9, 0), (12, 0))  # A100, H100, and the consumer cards of 2025
SHARED_BYTES = 48 * 1024  # what every GPU gives a block without asking

# what no kernel may hold, in its PTX
RULES = {
    "float64 arithmetic": re.compile(r"\.f64\b"),
    "a float atomic, whose order is never the same": re.compile(r"\b(atom|red)\.\S*\.(f16|bf16|f32|f64)"),
    "the stack": re.compile(r"\b__local_depot"),
}
# what a kernel that promises each operation's own rounding may not hold: a product or sum that the assembler may fuse
FUSABLE = re.compile(r"\b(fma\.|mad\.|(mul|add|sub)\.f32)")


class Findings(NamedTuple):
    """What compiling one kernel for one capability showed. `registers` are a thread's, of `threads` in a block."""

    capability: tuple[int, int]
    threads: int
    broken: list[str]  # rules, each with the line that breaks it
    fusable: list[str]
    shared_bytes: int
    registers: int = 0
    spilled_bytes: int = 0


def kernels() -> dict[str, Any]:
    """The backend's registry, filled by importing all of its modules; the backend itself asks for a GPU first."""
    import minigan.backends

    package = ModuleType("minigan.backends.cuda")
    package.__path__ = [str(Path(minigan.backends.__file__).parent / "cuda")]
    sys.modules[package.__name__] = package
    device = importlib.import_module(f"{package.__name__}.device")
    device.device = lambda: SimpleNamespace(model="none")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not module.ispkg:
            importlib.import_module(module.name)
    return importlib.import_module(f"{package.__name__}.launch").KERNELS


def offending(ptx: str) -> list[str]:
    """ "rule: line" for every line of PTX that breaks one."""
    return [
        f"{rule}: {line.strip()}" for line in ptx.splitlines() for rule, found in RULES.items() if found.search(line)
    ]


def compiled(made: Any) -> list[Findings]:
    """A kernel's findings for each capability: Python to PTX to machine code, as numba-cuda does it on a GPU.

    Type inference and lowering, most of the time, do not look at the capability: they are done once, and the library
    that comes of it is asked for the PTX of each.
    """
    from numba import cuda
    from numba.core import sigutils
    from numba.cuda import dispatcher
    from numba.cuda.codegen import CUDACodeLibrary

    # device functions ask for the GPU that is there
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=CAPABILITIES[0])
    asked: list[Any] = []
    ptx_of = CUDACodeLibrary.get_asm_strs
    CUDACodeLibrary.get_asm_strs = lambda self, cc: asked.append(self) or ptx_of(self, cc)
    try:
        types, _ = sigutils.normalize_signature(made.signature)
        cuda.compile(made.function, types, cc=CAPABILITIES[0], device=False, abi="numba", output="ptx")
    finally:
        CUDACodeLibrary.get_asm_strs = ptx_of
    return [_findings("".join(ptx_of(asked[-1], cc)), cc, math.prod(made.block)) for cc in CAPABILITIES]


def _findings(ptx: str, capability: tuple[int, int], threads: int) -> Findings:
    shared = sum(int(size) for size in re.findall(r"\.shared .*\[(\d+)\];", ptx))
    fusable = [line.strip() for line in ptx.splitlines() if FUSABLE.search(line)]
    found = Findings(capability, threads, offending(ptx), fusable, shared)
    return found if shared > SHARED_BYTES else found._replace(**_linked(ptx, capability))


def _linked(ptx: str, capability: tuple[int, int]) -> dict[str, int]:
    """What the assembler says of registers and spills, which PTX does not show."""
    from cuda.core import Linker, LinkerOptions, ObjectCode

    options = LinkerOptions(arch=f"sm_{capability[0]}{capability[1]}", ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    linker.link("cubin")
    log = linker.get_info_log()
    spilled, registers = re.findall(r"(\d+) bytes spill", log), re.search(r"Used (\d+) registers", log)
    if registers is None or not spilled:
        raise RuntimeError(f"the linker says nothing of registers and spills: {log}")
    return {"registers": int(registers[1]), "spilled_bytes": sum(map(int, spilled))}


_CHOSEN: list[Any] = []  # what to compile: forked processes find it here


def _nth(i: int) -> list[Findings]:
    return compiled(_CHOSEN[i])


def main(wanted: list[str]) -> None:
    """Prints the findings, worked out by as many processes as this one may use CPUs."""
    made = importlib.import_module("bad_kernels").KERNELS if wanted == ["bad"] else kernels()
    chosen = {name: one for name, one in made.items() if wanted in ([], ["bad"]) or name.split(".")[0] in wanted}
    _CHOSEN[:] = chosen.values()
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
        found = pool.map(_nth, range(len(_CHOSEN)), chunksize=1)
    print(json.dumps(dict(zip(chosen, found, strict=True))))


if __name__ == "__main__":
    main(sys.argv[1:])
