"""The source of an op in Python, found by name: a definition, and what it refers to in its own module.

For CUDA, whose kernels are Python too, also what it takes from the other modules there. Nothing is imported for it, so
that kernels can be read where there is no GPU.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import minigan

PACKAGE = Path(minigan.__file__).resolve().parent
MOST_LINES = 120  # of one listing; what follows is named by file and line


class Listing(NamedTuple):
    """A piece of source: where it begins, and its text."""

    file: str
    line: int
    name: str
    text: str

    @property
    def at(self) -> str:
        """Where to read on: csrc/linear.inl:92 linear_forward"""
        return f"{self.file}:{self.line} {self.name}"


def shortened(listings: list[Listing]) -> tuple[list[Listing], list[Listing]]:
    """Those that fit in MOST_LINES, the first in any case, and those that are only named."""
    shown: list[Listing] = []
    left: list[Listing] = []
    for listing in listings:
        lines = sum(one.text.count("\n") + 1 for one in (*shown, listing))
        (shown if not shown or lines <= MOST_LINES else left).append(listing)
    return shown, left


# -------------------------------------------------------------------------------------------------------------- Python


class _Module:
    """A module's own source: what it defines at its top, and what it imports from where."""

    def __init__(self, name: str):
        self.path = PACKAGE.parent / Path(*name.split("."))
        self.path = self.path / "__init__.py" if self.path.is_dir() else self.path.with_suffix(".py")
        self.lines = self.path.read_text().splitlines()
        self.nodes: dict[str, ast.stmt] = {}
        self.imports: dict[str, tuple[str, str]] = {}  # local name -> module, its name there ("" for a module itself)
        for node in ast.parse("\n".join(self.lines)).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.nodes[node.name] = node
            for target in _targets(node):
                self.nodes[target] = node
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("minigan"):
                for alias in node.names:
                    self.imports[alias.asname or alias.name] = (node.module, alias.name)

    def listing(self, name: str) -> Listing:
        node = self.nodes[name]
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        while first > 1 and self.lines[first - 2].startswith("#") and "---" not in self.lines[first - 2]:
            first -= 1
        text = "\n".join(self.lines[first - 1 : node.end_lineno])
        return Listing(str(self.path.relative_to(PACKAGE.parent)), first, name, text)

    def referred(self, name: str) -> Iterator[str]:
        """Names that a definition reads and does not make itself, in order."""
        inside = list(ast.walk(self.nodes[name]))
        own = {node.arg for node in inside if isinstance(node, ast.arg)}
        own |= {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        yield from (node.id for node in inside if isinstance(node, ast.Name) and node.id not in own)


def _targets(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.AnnAssign) and node.value:
        return [node.target.id] if isinstance(node.target, ast.Name) else []
    return [t.id for t in node.targets if isinstance(t, ast.Name)] if isinstance(node, ast.Assign) else []


_module = cache(_Module)


def python(module: str, name: str) -> list[Listing]:
    """A definition of `module`, and those of the same module that it refers to, directly or not."""
    found, todo = [], [name]
    source = _module(module)
    while todo:
        key = todo.pop(0)
        if key in found or key not in source.nodes:
            continue
        found.append(key)
        todo += source.referred(key)
    return [source.listing(key) for key in found]


def referred(module: str, name: str) -> list[str]:
    """The names that a definition of `module` refers to."""
    return list(_module(module).referred(name))


def entry(module: str, table: str, key: str) -> list[Listing]:
    """The row `key` of a module's dict, with its comment, and what of the same module it names."""
    source = _module(module)
    made = source.nodes[table]
    assert isinstance(made, ast.Assign | ast.AnnAssign) and isinstance(made.value, ast.Dict)
    rows = zip(made.value.keys, made.value.values, strict=True)
    node, value = next((k, v) for k, v in rows if isinstance(k, ast.Constant) and k.value == key)
    first = node.lineno
    while source.lines[first - 2].strip().startswith("#"):
        first -= 1
    lines = [line.removeprefix("    ") for line in source.lines[first - 1 : value.end_lineno]]
    row = Listing(str(source.path.relative_to(PACKAGE.parent)), first, f"{table}[{key!r}]", "\n".join(lines))
    named = dict.fromkeys(node.id for node in ast.walk(value) if isinstance(node, ast.Name))
    return [row, *(source.listing(name) for name in named if name in source.nodes)]


def defined(package: str, name: str) -> str:
    """The module of `package` that its __init__ takes `name` from."""
    return _module(package).imports[name][0]


ORACLE, CPP, CUDA = (f"minigan.backends.{name}" for name in ("oracle", "cpp", "cuda"))


def oracle(op: str) -> list[Listing]:
    """The definition of an op."""
    return python(defined(ORACLE, op), op)


def family(op: str) -> str:
    """What the oracle's file says of the ops in it."""
    return ast.get_docstring(ast.parse("\n".join(_module(defined(ORACLE, op)).lines))) or ""


# ---------------------------------------------------------------------------------------------------------------- CUDA

_ROOM = re.compile(r"minigan\.backends\.cuda\.\w+$")
_MACHINERY = {"device", "launch", "_numba", "choice", "cublas", "plumbing", "facts", "forced", "geometry"}
_CONSTANT = re.compile(r"[A-Z_]+$")


def cuda(op: str) -> list[Listing]:
    """The function that launches, and then the kernels and device functions that it reaches."""
    start = (defined(CUDA, op), op)
    found: list[tuple[str, str]] = []
    todo = [start]
    while todo:
        here = todo.pop(0)
        module, name = here
        source = _module(module)
        if here in found or name not in source.nodes:
            continue
        found.append(here)
        for word in source.referred(name):
            there, its_name = source.imports.get(word, (module, word))
            if f"{there}.{its_name}" in _rooms():  # a module; the op has its own name in it
                there, its_name = f"{there}.{its_name}", op
            elsewhere = there != start[0] and _CONSTANT.match(its_name)
            if _ROOM.match(there) and there.rpartition(".")[2] not in _MACHINERY and not elsewhere:
                todo.append((there, its_name))
    listings = [_module(module).listing(name) for module, name in found]
    return [listings[0], *(a for a in listings[1:] if _is_kernel(a)), *(a for a in listings[1:] if not _is_kernel(a))]


@cache
def _rooms() -> frozenset[str]:
    return frozenset(f"{CUDA}.{path.stem}" for path in (PACKAGE / "backends" / "cuda").glob("*.py"))


def _is_kernel(listing: Listing) -> bool:
    return bool(re.match(r"(#.*\n)*(@kernel|@device_function|_\w+ = _kernels|\w+ = product|_PRODUCTS)", listing.text))
