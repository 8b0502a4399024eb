"""Starting other Python processes on the very minigan that is being tested, whichever folder they run in."""

import os
import sys
from pathlib import Path

import minigan

PYTHON = (sys.executable, "-P")  # -P: the current folder, which may hold minigan's source, stays off the path


def environment(**more: str) -> dict[str, str]:
    """This process's variables, with the tested package's home and this folder on the path, and one BLAS thread."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(p) for p in (Path(minigan.__file__).parents[1], Path(__file__).parent)),
        "OPENBLAS_NUM_THREADS": "1",
        **more,
    }
