"""The CUDA backend as the simulator runs it, in this very process and beside the other backends.

numba reads NUMBA_ENABLE_CUDASIM when it is imported. The variable and the modules are taken away again, so that nobody
else, `load("auto")` or a child process, takes the simulator for a GPU.
"""

import importlib
import os
import sys
from functools import cache
from importlib.util import find_spec
from types import ModuleType

import pytest

PACKAGE = "minigan.backends.cuda"
VARIABLE = "NUMBA_ENABLE_CUDASIM"


@cache
def load() -> ModuleType:
    """The backend; the test is skipped where numba-cuda or greenlet is not installed."""
    for name in ("numba_cuda", "greenlet"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install 'minigan[cudasim]'")
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(PACKAGE)}
    kept = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = "1"
    try:
        return importlib.import_module(PACKAGE)
    finally:
        del os.environ[VARIABLE]
        if kept is not None:
            os.environ[VARIABLE] = kept
        for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
            del sys.modules[name]
        sys.modules.update(before)
