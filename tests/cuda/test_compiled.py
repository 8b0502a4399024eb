"""Every kernel of the registry compiles for real GPUs, and holds nothing that a float32 kernel must not hold."""

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from compiled import CAPABILITIES, SHARED_BYTES, Findings
from processes import PYTHON, environment

REGISTERS = 65_536  # of a multiprocessor: a block that needs more cannot be launched
ROUNDED = {"optim"}  # families whose bits are the oracle's: no operation may be fused with another


def _compiled(*wanted: str) -> dict[str, list[Findings]]:
    for name in ("numba-cuda", "nvidia-nvvm", "nvidia-cuda-nvrtc", "nvidia-nvjitlink"):
        try:
            version(name)
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed: pip install 'minigan[test]'")
    here = Path(__file__).parent
    run = subprocess.run(
        [*PYTHON, here / "compiled.py", *wanted],
        env=environment(PYTHONPATH=f"{environment()['PYTHONPATH']}:{here}"),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return {name: [Findings(*found) for found in rows] for name, rows in json.loads(run.stdout).items()}


@pytest.fixture(scope="module")
def good() -> dict[str, list[Findings]]:
    """The backend's kernels."""
    return _compiled()


@pytest.fixture(scope="module")
def bad() -> dict[str, list[Findings]]:
    """Kernels that break a rule each."""
    return _compiled("bad")


def _too_large(found: Findings) -> bool:
    return found.shared_bytes > SHARED_BYTES


def _too_wide(found: Findings) -> bool:
    return found.threads * (-(-found.registers // 8) * 8) > REGISTERS


def test_every_family_is_compiled_for_every_capability(good: dict[str, list[Findings]]) -> None:
    families = {name.split(".")[0] for name in good}
    assert families >= {"pointwise", "reduce", "random", "norm", "layernorm", "loss", "optim", "image", "augment"}
    for name, rows in good.items():
        assert [tuple(found.capability) for found in rows] == list(CAPABILITIES), name
        assert all(found.registers > 0 for found in rows), name


def test_no_kernel_holds_doubles_or_float_atomics_or_a_stack(good: dict[str, list[Findings]]) -> None:
    assert {name: found.broken for name, rows in good.items() for found in rows if found.broken} == {}


def test_no_kernel_spills_or_needs_more_than_a_multiprocessor_has(good: dict[str, list[Findings]]) -> None:
    rows = [(name, found) for name, rows in good.items() for found in rows]
    assert {name: found.spilled_bytes for name, found in rows if found.spilled_bytes} == {}
    assert {name: found.shared_bytes for name, found in rows if _too_large(found)} == {}
    assert {name: (found.threads, found.registers) for name, found in rows if _too_wide(found)} == {}


def test_no_update_rule_holds_an_operation_that_may_be_fused(good: dict[str, list[Findings]]) -> None:
    rows = [(name, found) for name, rows in good.items() for found in rows if name.split(".")[0] in ROUNDED]
    assert rows
    assert {name: found.fusable for name, found in rows if found.fusable} == {}


SEEN: dict[str, Any] = {
    "double": lambda found: any(rule.startswith("float64 arithmetic: mul") for rule in found.broken),
    "atomic": lambda found: any("a float atomic" in rule for rule in found.broken),
    "stack": lambda found: any("the stack" in rule for rule in found.broken),
    "large": _too_large,
    "spilling": lambda found: found.spilled_bytes > 0,
    "fused": lambda found: any(line.startswith("fma.") for line in found.fusable),
}


@pytest.mark.parametrize("name", SEEN)
def test_each_rule_sees_a_kernel_that_breaks_it(name: str, bad: dict[str, list[Findings]]) -> None:
    assert [SEEN[name](found) for found in bad[name]] == [True] * len(CAPABILITIES), bad[name]


def test_too_many_registers_for_a_block_are_seen(bad: dict[str, list[Findings]]) -> None:
    assert [_too_wide(found._replace(threads=1024)) for found in bad["spilling"]] == [True] * len(CAPABILITIES)
