"""The cpp backend on every instruction set that this machine runs, side by side in one process.

A backend takes its kernels when it is imported, from MINIGAN_ISA; so each is a copy of the package, imported anew.
"""

import importlib
import os
import sys
from types import ModuleType

import pytest

_cpp = pytest.importorskip("minigan._cpp", reason="the extension is not built", exc_type=ImportError)

PACKAGE = "minigan.backends.cpp"


def _imported_on(isa: str) -> ModuleType:
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(PACKAGE)}
    kept = os.environ.get("MINIGAN_ISA")
    os.environ["MINIGAN_ISA"] = isa
    try:
        return importlib.import_module(PACKAGE)
    finally:
        del os.environ["MINIGAN_ISA"]
        if kept is not None:
            os.environ["MINIGAN_ISA"] = kept
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(before)


ISAS = _cpp.isas()
BACKENDS = {isa: _imported_on(isa) for isa in ISAS}
