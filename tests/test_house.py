"""Who may import whom, and other rules of the house, held against the source itself."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minigan.backends import oracle

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "minigan").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MOST_LINES = 450

_MODELS = "models errors rng config backends.clock backends.eager"
_TASKS = f"{_MODELS} losses penalties optim schedules tasks"
_TRAINING = f"{_TASKS} training data metrics presets backends"

# module (its longest prefix here counts): what it may import of minigan, by prefix. `load` and `choose` are for LOADS.
MAY_IMPORT = {
    "errors": "",
    "rng": "errors",
    "config": "errors config",
    "schedules": "errors",
    "presets": "",
    "data": "errors rng data",
    "metrics": "metrics",
    "models.shapes": "errors",
    "models.init": "errors",
    "models.layers": "errors models.shapes models.init models.layers",
    "models.spectral": "errors models.shapes models.layers",
    "models.slabs": "models.shapes",
    "models.trees": "errors models.shapes models.layers",
    "models.net": "errors rng models.shapes models.layers models.slabs models.spectral models.trees",
    "models": _MODELS,
    "backends.clock": "",
    "backends.eager": "models.shapes",
    "backends.costs": "models.shapes",
    "backends.bounds": "models.shapes backends.checks",
    "backends.checked": "errors backends.bounds backends.plan",
    "backends.proxies": "errors models.shapes backends.costs",
    "backends.plan": "errors models.shapes",
    "backends.plan_gpu": "errors models.shapes backends.plan",
    "backends.planned": "models.shapes backends.plan",
    "backends.checks": "errors models.shapes backends.clock backends.checks",
    "backends.oracle": "errors models.shapes backends.clock backends.checks backends.oracle",
    "backends.cpp": "errors models.shapes backends.clock backends.checks backends.cpp backends.plan _cpp",
    "backends.cuda": (
        "errors models.shapes backends.clock backends.checks backends.cuda backends.plan backends.plan_gpu"
    ),
    "backends": "errors backends.oracle",
    "losses": "errors models.shapes",
    "penalties": "errors rng config models",
    "optim": f"{_MODELS} schedules",
    "tasks": _TASKS,
    "training": _TRAINING,
    "evaluate": f"{_TRAINING} evaluate",
    "study": f"{_TRAINING} study",
    "study.roofs": f"{_TRAINING} study _cpp",
    "study.report": f"{_TRAINING} evaluate study",
    "api": f"{_TRAINING} evaluate study",
    "progress": "",
    "commands": f"{_TRAINING} evaluate study progress commands",
    "cli": f"{_TRAINING} evaluate study progress commands",
    "__main__": "cli",
    "": "api config losses models.layers",
}
LIBRARIES = {"metrics": "numpy scipy sklearn"}  # all that a room may import beside Python's own and minigan
LOADS = {"", "api", "cli", "training", "evaluate", "study"}  # may call backends.load and backends.choose


def _name(path: Path) -> str:
    """The module's dotted name below minigan; "" is the package itself."""
    parts = path.relative_to(ROOT / "minigan").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {_name(path) for path in MODULES}


def _below(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def _imports(name: str, source: str, package: bool) -> Iterator[str]:
    """Full dotted names that a module of minigan imports; an imported submodule counts as such, not as its package."""
    here = f"minigan.{name}".rstrip(".").split(".")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + package] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full.removeprefix("minigan.") in {*KNOWN, "_cpp"} else base


def violations(name: str, source: str, package: bool = False) -> list[str]:
    """What a module of minigan imports and may not."""
    rule = max((p for p in MAY_IMPORT if p == name or (p and _below(name, p))), key=len, default=None)
    if rule is None:
        return [f"minigan.{name} stands in no row of MAY_IMPORT"]
    allowed, found = MAY_IMPORT[rule].split(), []
    for full in _imports(name, source, package):
        top, _, rest = full.partition(".")
        if top == "torch":
            found.append(f"minigan.{name} imports torch")
            continue
        libraries = LIBRARIES.get(name.split(".")[0])
        if libraries and top not in {*libraries.split(), "minigan", *sys.stdlib_module_names}:
            found.append(f"minigan.{name} imports {full}, allowed: {libraries}")
        if top != "minigan" or not rest:
            continue
        loads = rest == "backends"
        if not (name.split(".")[0] in LOADS if loads else any(_below(rest, prefix) for prefix in allowed)):
            found.append(f"minigan.{name} imports {full}, allowed: {', '.join(allowed) or 'nothing'}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: _name(path) or "minigan")
def test_imports_follow_the_table(path: Path) -> None:
    assert violations(_name(path), path.read_text(), path.name == "__init__.py") == []


# A module and what it may not hold.
MADE_UP = [
    ("models.net", "from minigan.backends import load"),
    ("models.net", "import minigan.backends.oracle"),
    ("models.layers", "from minigan.models.net import Net"),
    ("models.layers", "from .net import Net"),
    ("tasks.gan", "from minigan import backends"),
    ("tasks.gan", "from minigan.training.checkpoint import save"),
    ("losses", "from minigan.tasks.gan import GAN"),
    ("backends.cpp", "from minigan.backends import oracle"),
    ("backends.oracle.conv", "from minigan.backends.proxies import Finite"),
    ("backends.oracle.conv", "def f():\n    from minigan.models.layers import Linear"),
    ("data.idx", "from minigan.config import Config"),
    ("errors", "import minigan.rng"),
    ("metrics.fid", "from minigan.models.shapes import Array"),
    ("metrics.fid", "import torch"),
    ("metrics.fid", "def f():\n    from PIL import Image"),
    ("metrics.fid", "import onnxruntime"),
    ("training.trainer", "from minigan.cli import main"),
    ("training.trainer", "from minigan.study import gradcheck"),
    ("tasks.vae", "import torch.nn"),
    ("nowhere", ""),
]


@pytest.mark.parametrize(("name", "source"), MADE_UP)
def test_a_violation_is_seen(name: str, source: str) -> None:
    assert len(violations(name, source)) == 1


def test_what_is_allowed_is_not_held_against_anyone() -> None:
    assert (
        violations("training.trainer", "from minigan.backends import choose\nfrom minigan.tasks.gan import GAN") == []
    )
    assert violations("backends.oracle.conv", "from minigan.models.shapes import Act\nimport numpy") == []
    assert violations("metrics.fid", "import math\nfrom scipy import linalg\nfrom sklearn.svm import SVC") == []
    assert violations("cli", "from minigan import backends, config\nfrom minigan.study import gradcheck") == []


def _docstringless(path: Path) -> list[str]:
    public = (n for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef | ast.ClassDef))
    return [f"{path.name}: {n.name}" for n in public if not n.name.startswith("_") and not ast.get_docstring(n)]


def test_every_op_is_documented() -> None:
    assert [name for name in oracle.__all__ if not (getattr(oracle, name).__doc__ or "").strip()] == []
    folder = ROOT / "minigan" / "backends" / "oracle"
    assert [missing for path in sorted(folder.glob("*.py")) for missing in _docstringless(path)] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_tests_need_no_torch() -> None:
    names = {
        (path.name, name.split(".")[0])
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert ("conftest.py", "hypothesis") in names
    assert sorted(file for file, top in names if top == "torch") == []
