"""Backends: modules of equally named functions, got by `load`. The oracle (NumPy) is the definition of every op."""

import importlib
import re
from types import ModuleType

from minigan.backends import oracle
from minigan.errors import BackendError, nearest

BACKENDS = {"numpy": "minigan.backends.oracle", "cpp": "minigan.backends.cpp", "cuda": "minigan.backends.cuda"}
PREFERENCE = ("cuda", "cpp", "numpy")


def load(name: str) -> ModuleType:
    """The backend "numpy", "cpp" or "cuda", complete, or "auto": the first of cuda, cpp, numpy that can be had.

    Raises BackendError naming what is missing: a backend that lacks an op is not handed out.
    """
    if name == "auto":
        return choose()[0]
    if name not in BACKENDS:
        raise BackendError(f"backend {name!r} is unknown; {nearest(name, [*BACKENDS, 'auto'])}")
    try:
        module = importlib.import_module(BACKENDS[name])
    except ModuleNotFoundError as e:
        raise BackendError(f"backend {name!r} is not in this version of minigan; use --backend numpy") from e
    missing = sorted(set(oracle.__all__) - set(module.__all__))
    if missing:
        have = len(oracle.__all__) - len(missing)
        raise BackendError(
            f"backend {name!r} is incomplete: it has {have} of {len(oracle.__all__)} ops "
            f"and lacks {', '.join(missing[:3])} ...; use --backend numpy"
        )
    return module


def choose() -> tuple[ModuleType, str]:
    """The backend that "auto" takes, and a line that says which and why not the faster ones."""
    refused: list[str] = []
    for name in PREFERENCE:
        try:
            module = load(name)
            if getattr(module, "SIMULATED", False):
                raise BackendError(f"backend {name!r} is simulated: ask for it by name, to test or study it")
        except BackendError as e:
            refused.append(re.split("[:;]", str(e))[0].removeprefix("backend "))
        else:
            return module, f"backend {name}" + (f" ({', '.join(refused)}; see minigan doctor)" if refused else "")
    raise BackendError("; ".join(refused))
