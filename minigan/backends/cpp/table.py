"""The kernels of the instruction set in use, and how they are called.

Raises BackendError on import when the extension is not there, MINIGAN_ISA names none that this machine runs, or
MINIGAN_NUM_THREADS is no number of threads.
"""

from collections.abc import Callable
from typing import Any

from minigan.backends import checks
from minigan.errors import BackendError, ShapeError

try:
    from minigan import _cpp
except ImportError as error:
    raise BackendError(
        "the cpp backend needs minigan._cpp, which is not here; it was installed with MINIGAN_NO_EXT=1, or minigan "
        "runs from its source folder: do `pip install .` and run from elsewhere, or `pip install -e .`"
    ) from error

_cpp.threads()  # a MINIGAN_NUM_THREADS that is none is refused now
kernels = _cpp.kernels(_cpp.isa())
ISA: str = kernels.isa
BUILD = " ".join(_cpp.build().values())  # the compiler and its version


def run(kernel: Callable[..., Any], check: Callable[..., Any], *args: Any) -> Any:
    """kernel(*args); when it refuses them, `check` and checks.explain say why in a ShapeError."""
    try:
        return kernel(*args)
    except ShapeError:
        raise
    except (
        _cpp.Refused,
        AttributeError,
        TypeError,
        ValueError,
        IndexError,
    ):  # no array, no pair: read before the kernel
        checks.explain(check, args)
