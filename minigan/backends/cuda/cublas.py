"""cuBLAS by ctypes, with a handle of our own: CuPy's refuses to be captured in a CUDA graph.

The handle is bound to our stream and to a workspace that is allocated once, so that a call allocates nothing.
Everything in and out is float32; the computation may round its factors first (MODES).

cuBLAS stores matrices by columns, we by rows. A matrix of R x S by rows is, number for number, its transpose, S x R, by
columns; so C = A B is asked for as C^T = B^T A^T, factors exchanged and nothing moved:

    ours, by rows               cuBLAS, by columns
    C (M,N) = A (M,K) B (K,N)   (N,M) = (N,K) (K,M): m = N, n = M, k = K, first B with rows of N, then A with rows of K
    A lies as (K,M)             then the second factor is transposed for cuBLAS as well; its rows are M long
    B lies as (N,K)             then the first one is; its rows are K long
"""

import ctypes
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minigan.backends.cuda._numba import SIMULATED
from minigan.backends.cuda.device import device
from minigan.errors import BackendError
from minigan.models.shapes import Array

WORKSPACE_BYTES = 32 << 20
FLOAT32 = 0  # cudaDataType_t CUDA_R_32F
MODES = {"cublas": 68, "cublas_tf32": 77, "cublas_bf16": 75}  # cublasComputeType_t COMPUTE_32F, _FAST_TF32, _FAST_16BF
DEFAULT_MATH, DEFAULT_ALGORITHM = 0, -1
_ONE, _ZERO = ctypes.c_float(1), ctypes.c_float(0)


class Matrices(NamedTuple):
    """One matrix of rows x columns by rows, or a batch of them one after another; `turned`: read as its transpose."""

    array: Array
    rows: int
    columns: int
    turned: bool = False
    batch: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        """As a factor of the product."""
        return (self.columns, self.rows) if self.turned else (self.rows, self.columns)


class Cublas:
    """One handle of a cuBLAS library, on the stream and with the workspace given."""

    def __init__(self, library: Any, stream: int, workspace: Array):
        self._library, self._workspace = library, workspace
        self._handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        self._call("cublasSetStream_v2", self._handle, ctypes.c_void_p(stream))
        where, size = ctypes.c_void_p(device().address(workspace)), ctypes.c_size_t(workspace.nbytes)
        self._call("cublasSetWorkspace_v2", self._handle, where, size)  # after SetStream, which undoes it
        self._call("cublasSetMathMode", self._handle, DEFAULT_MATH)  # a call's mode says all

    def _call(self, name: str, *args: Any) -> None:
        if status := getattr(self._library, name)(*args):
            raise BackendError(f"cuBLAS refused {name} with status {status}; force another implementation, as numba")

    def multiply(self, a: Matrices, b: Matrices, c: Matrices, add: bool = False, mode: str = "cublas") -> None:
        """c (M,N) = a (M,K) b (K,N), or c += it; of a batch of matrices each."""
        (m, k), (_, n) = a.shape, b.shape
        assert (a.shape[1], c.shape, c.turned) == (b.shape[0], (m, n), False), f"{a.shape} {b.shape} {c.shape}"
        alpha, beta = (ctypes.byref(x) for x in (_ONE, _ONE if add else _ZERO))
        batched = c.batch > 1
        device().run(
            self._call, "cublasGemmStridedBatchedEx" if batched else "cublasGemmEx",
            self._handle, int(b.turned), int(a.turned), n, m, k,
            alpha, *_operand(b, batched), *_operand(a, batched), beta, *_operand(c, batched),
            *([c.batch] if batched else []), MODES[mode], DEFAULT_ALGORITHM,
        )  # fmt: skip


def _operand(x: Matrices, batched: bool) -> tuple[Any, ...]:
    """Address, type, length of a row; and how far it is from one matrix to the next."""
    where = ctypes.c_void_p(device().address(x.array)), FLOAT32, x.columns
    return (*where, ctypes.c_longlong(x.rows * x.columns)) if batched else where


def library() -> Any:
    """The cuBLAS that is installed, loaded, or None."""
    if SIMULATED:
        return None
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except (ImportError, OSError, RuntimeError):
        return None


@cache
def cublas() -> Cublas:
    """The one handle of this process. Raises BackendError where there is no cuBLAS."""
    found = library()
    if found is None:
        raise BackendError("cuBLAS is not here: the simulator has none, a GPU needs the package nvidia-cublas")
    return Cublas(found, device().stream_address, device().empty((WORKSPACE_BYTES,), np.uint8))
