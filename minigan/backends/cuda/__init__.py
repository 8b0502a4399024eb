"""The CUDA backend: the oracle's functions on float32, C-contiguous arrays on an NVIDIA GPU (labels int32).

Same signatures, same meaning: backends/oracle says what each one computes, in families of the same names. The kernels
are written in Python, for Numba-CUDA, and are launched by launch.py on arrays of CuPy (device.py). Results are the same
bits from run to run. NUMBA_ENABLE_CUDASIM=1 runs the kernels in Numba's simulator, on host arrays and without a GPU:
slow, and made for tests. What arguments must be is said by backends/checks, in a ShapeError.

Raises BackendError on import, in one line, when something is missing for a kernel to run here.
"""

from minigan.backends.cuda import gate
from minigan.errors import BackendError

if _why := gate.missing():
    raise BackendError(f"backend 'cuda' needs {_why}")

from minigan.backends.cuda.facts import BUILD as BUILD
from minigan.backends.cuda.facts import ISA as ISA
from minigan.backends.cuda.plumbing import asarray, copyto, empty, prepare, synchronize, to_numpy, zeros
from minigan.backends.cuda.plumbing import graphs as graphs
from minigan.backends.cuda.pointwise import scale

NAME = "cuda"
LATE = True  # nobody waits for a step: its finite flag is read when a number of it is wanted

__all__ = [
    "asarray",
    "copyto",
    "empty",
    "prepare",
    "scale",
    "synchronize",
    "to_numpy",
    "zeros",
]
