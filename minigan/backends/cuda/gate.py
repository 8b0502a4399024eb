"""Whether CUDA kernels can run here, and if not, why not: one line, found out once, from the cheapest question on.

Importing this imports neither numba nor cupy.
"""

import ctypes
import os
from functools import cache
from importlib.util import find_spec

INSTALL = "pip install 'minigan[cuda]'"
SIMULATOR = "NUMBA_ENABLE_CUDASIM"


def simulated() -> bool:
    """Whether numba's simulator is asked for, which needs no GPU and no CuPy. Numba takes no word but a number."""
    try:
        return int(os.environ.get(SIMULATOR, "0")) != 0
    except ValueError:
        return False


@cache
def missing() -> str:
    """What the backend lacks here, as the end of "backend 'cuda' needs ..."; "" when a kernel has run."""
    if find_spec("numba_cuda") is None:
        return f"numba-cuda, which is not installed: {INSTALL}"
    if simulated():
        return "" if find_spec("greenlet") else "greenlet, for the simulator's threads: pip install 'minigan[cudasim]'"
    if find_spec("cupy") is None:
        return f"CuPy, which is not installed: {INSTALL}"
    return _driver() or _trial()


def _driver() -> str:
    """Asks the driver's library itself: no driver is the common case, and importing numba takes a second."""
    try:
        driver = ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
    except OSError:
        return f"an NVIDIA driver, and none is installed: use another backend, or simulate one by {SIMULATOR}=1"
    count = ctypes.c_int(0)
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status or not count.value:
        return f"an NVIDIA GPU, and the driver finds none (status {status}): see nvidia-smi and CUDA_VISIBLE_DEVICES"
    return ""


def _trial() -> str:
    """Compiles, launches and reads back one kernel by way of the backend's own layers."""
    try:
        from minigan.backends.cuda.trial import run

        wrong = run()
    except Exception as e:
        wrong = f"{type(e).__name__}, {(str(e).strip().splitlines() or [''])[0][:200]}"
    return f"a GPU that runs a kernel, and a trial failed: {wrong}" if wrong else ""
