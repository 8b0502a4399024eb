"""How a bug is planted in a module that runs, and which standing checks see it.

A bug is a textual replacement. The changed module is compiled aside, and the code of its functions (or the rows of its
tables) takes the place of the code in use, wherever it was imported to; afterwards everything is put back.
"""

import ast
import contextlib
import importlib
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cases
import numpy as np
import pytest
import test_conditional
import test_cyclegan
import test_features
import test_layers
import test_regular
import test_second
import test_spectral
import test_wiring

import minigan
from minigan.backends import load
from minigan.study import gradcheck

ROOT = Path(minigan.__file__).parent


class Bug(NamedTuple):
    """`old`, which stands exactly once in minigan/`file`, becomes `new`; each of `checks` must see it."""

    what: str
    file: str
    old: str
    new: str
    checks: tuple[str, ...]

    @property
    def text(self) -> str:
        """The module as it stands. Raises AssertionError when `old` is not there once."""
        text = (ROOT / self.file).read_text("utf-8")
        count = text.count(self.old)
        assert count == 1, (
            f"{self.what}: {self.old!r} stands {count} times in {self.file}, expected once; renew the bug"
        )
        return text

    @property
    def place(self) -> str:
        """What holds the bug: "function", "Class.method" or "TABLE"."""
        line = self.text[: self.text.index(self.old) + len(self.old) - len(self.old.lstrip())].count("\n") + 1
        names, body = [], ast.parse(self.text).body
        while inside := [node for node in body if _first_line(node) <= line <= (node.end_lineno or 0)]:
            (node,) = inside
            if isinstance(node, ast.Assign | ast.AnnAssign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                names += [target.id] if isinstance(target, ast.Name) and not names else []
                break
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                break
            names.append(node.name)
            body = node.body if isinstance(node, ast.ClassDef) else []
        return ".".join(names)


def _first_line(node: Any) -> int:
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])


def _functions(module: types.ModuleType) -> dict[str, types.FunctionType]:
    """Every function and method that the module defines, by qualified name."""
    found = {}
    for holder in (module, *(v for v in vars(module).values() if isinstance(v, type))):
        for value in vars(holder).values():
            function = value.fget if isinstance(value, property) else value
            if isinstance(function, types.FunctionType) and function.__module__ == module.__name__:
                found[function.__qualname__] = function
    return found


@contextlib.contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The bug in place."""
    name = "minigan." + bug.file.removesuffix(".py").replace("/", ".")
    module = importlib.import_module(name)
    changed = types.ModuleType(name)
    changed.__file__ = module.__file__
    exec(compile(bug.text.replace(bug.old, bug.new), f"{bug.file} ({bug.what})", "exec"), changed.__dict__)
    functions, new = _functions(module), _functions(changed)
    codes = {key: function.__code__ for key, function in functions.items()}
    table = vars(module).get(bug.place)
    rows = dict(table) if isinstance(table, dict) else None
    try:
        for key, function in functions.items():
            function.__code__ = new[key].__code__
        if rows is not None:
            table.update(vars(changed)[bug.place])
        yield
    finally:
        for key, function in functions.items():
            function.__code__ = codes[key]
        if rows is not None:
            table.update(rows)


def _gradcheck(row: str) -> None:
    result = gradcheck.check_row(row)
    assert result.ok, str(result)


def _naive(name: str) -> None:
    row = next(row for row in cases.ROWS if row.name == name)
    for seed in range(30):
        for integer in (True, False):
            cases.compare(load("numpy"), row, seed, np.float64, integer)


def _test(module: types.ModuleType) -> Callable[[str], None]:
    def run(name: str) -> None:
        name, _, case = name.removesuffix("]").partition("[")
        getattr(module, f"test_{name}")(*([case] if case else []))

    return run


CHECKS: dict[str, Callable[[str], None]] = {
    "gradcheck": _gradcheck,
    "naive": _naive,
    "conditional": _test(test_conditional),
    "features": _test(test_features),
    "layers": _test(test_layers),
    "regular": _test(test_regular),
    "second": _test(test_second),
    "spectral": _test(test_spectral),
    "wiring": _test(test_wiring),
    "cyclegan": _test(test_cyclegan),
}


def sees(check: str) -> str | None:
    """What "family: name" says against the code as it is now, or None when all is well."""
    family, _, name = check.partition(": ")
    try:
        with np.errstate(all="ignore"):
            CHECKS[family](name)
    except (Exception, pytest.fail.Exception) as e:
        return f"{type(e).__name__}: {e}"
    return None
