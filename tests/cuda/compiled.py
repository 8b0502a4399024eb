"""Compiles kernels for real GPUs where there is none, and finds what must not be in them. Runs in a process of its own:
the simulator, once it is on, replaces the compiler.

    python compiled.py [FAMILY ...]     every kernel of the backend, or of these families
prints one JSON object, "family.kernel" -> a list of Findings.
"""

import importlib
import json
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
    """What compiling one kernel for one capability showed."""

    capability: tuple[int, int]
    broken: list[str]  # rules, each with the line that breaks it
    fusable: list[str]
    registers: int
    spilled_bytes: int
    shared_bytes: int


def kernels() -> dict[str, Any]:
    """The backend's registry, filled by every module that has kernels, as the backend is not loaded without a GPU."""
    import minigan.backends

    folder = Path(minigan.backends.__file__).parent / "cuda"
    package = ModuleType("minigan.backends.cuda")
    package.__path__ = [str(folder)]
    sys.modules[package.__name__] = package
    for path in sorted(folder.glob("*.py")):
        if "@kernel" in path.read_text() or " kernel(" in path.read_text():
            importlib.import_module(f"{package.__name__}.{path.stem}")
    return importlib.import_module(f"{package.__name__}.launch").KERNELS


def offending(ptx: str) -> list[str]:
    """ "rule: line" for every line of PTX that breaks one."""
    return [
        f"{rule}: {line.strip()}" for line in ptx.splitlines() for rule, found in RULES.items() if found.search(line)
    ]


def compile_for(function: Any, signature: str, capability: tuple[int, int]) -> Findings:
    """Python to PTX to machine code, by the compiler and linker of numba-cuda's own."""
    from cuda.core import Linker, LinkerOptions, ObjectCode
    from numba import cuda
    from numba.core import sigutils
    from numba.cuda import dispatcher

    # device functions ask for the GPU that is there
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capability)
    types, _ = sigutils.normalize_signature(signature)
    ptx, _ = cuda.compile(function, types, cc=capability, device=False, abi="numba", output="ptx")
    options = LinkerOptions(arch=f"sm_{capability[0]}{capability[1]}", ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ptx(ptx.encode()), options=options)
    linker.link("cubin")
    log = linker.get_info_log()
    spilled = re.findall(r"(\d+) bytes spill", log)
    registers = re.search(r"Used (\d+) registers", log)
    if registers is None or not spilled:
        raise RuntimeError(f"the linker says nothing of registers and spills: {log}")
    fusable = [line.strip() for line in ptx.splitlines() if FUSABLE.search(line)]
    shared = sum(int(size) for size in re.findall(r"\.shared .*\[(\d+)\];", ptx))
    return Findings(capability, offending(ptx), fusable, int(registers[1]), sum(map(int, spilled)), shared)


def main() -> None:
    """Prints the findings of all kernels."""
    wanted = sys.argv[1:]
    found = {
        name: [compile_for(made.function, made.signature, capability) for capability in CAPABILITIES]
        for name, made in kernels().items()
        if not wanted or name.split(".")[0] in wanted
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
