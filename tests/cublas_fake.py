"""A cuBLAS of NumPy, for the host's side of calls: it reads matrices by columns, from addresses, as cuBLAS does."""

import ctypes
from typing import Any

import numpy as np

NOT_SUPPORTED, INVALID_VALUE = 15, 7


def _matrix(where: ctypes.c_void_p, rows: int, columns: int, ld: int) -> np.ndarray:
    """Element (i, j) at i + j ld."""
    assert where.value is not None
    numbers = np.ctypeslib.as_array((ctypes.c_float * (ld * (columns - 1) + rows)).from_address(where.value))
    return np.lib.stride_tricks.as_strided(numbers, (rows, columns), (4, 4 * ld))


class Fake:
    """The functions that the backend calls, and `calls`: (name, computation type or what was set) of each."""

    def __init__(self, refuses: str = "") -> None:
        self.calls: list[tuple[str, Any]] = []
        self.refuses = refuses

    def _note(self, name: str, what: Any) -> int:
        self.calls.append((name, what))
        return NOT_SUPPORTED if name == self.refuses else 0

    def cublasCreate_v2(self, handle: Any) -> int:
        handle._obj.value = 42
        return self._note("create", None)

    def cublasSetStream_v2(self, handle: Any, stream: Any) -> int:
        return self._note("stream", (handle.value, stream.value))

    def cublasSetWorkspace_v2(self, handle: Any, where: Any, size: Any) -> int:
        return self._note("workspace", (handle.value, size.value, where.value % 256))

    def cublasSetMathMode(self, handle: Any, mode: int) -> int:
        return self._note("math", (handle.value, mode))

    def cublasGemmEx(
        self, handle: Any, op_a: int, op_b: int, m: int, n: int, k: int, alpha: Any,
        a: Any, a_type: int, lda: int, b: Any, b_type: int, ldb: int, beta: Any, c: Any, c_type: int, ldc: int,
        computation: int, algorithm: int,
    ) -> int:  # fmt: skip
        if (a_type, b_type, c_type, algorithm, handle.value) != (0, 0, 0, -1, 42):
            return INVALID_VALUE
        if lda < (k if op_a else m) or ldb < (n if op_b else k) or ldc < m or min(m, n, k) < 1:
            return INVALID_VALUE
        first = _matrix(a, k, m, lda).T if op_a else _matrix(a, m, k, lda)
        second = _matrix(b, n, k, ldb).T if op_b else _matrix(b, k, n, ldb)
        to = _matrix(c, m, n, ldc)
        before = beta._obj.value * to if beta._obj.value else 0  # what stands there is not read for beta = 0
        to[...] = alpha._obj.value * (first @ second) + before
        return self._note("gemm", computation)

    def cublasGemmStridedBatchedEx(
        self, handle: Any, op_a: int, op_b: int, m: int, n: int, k: int, alpha: Any,
        a: Any, a_type: int, lda: int, a_next: Any, b: Any, b_type: int, ldb: int, b_next: Any, beta: Any,
        c: Any, c_type: int, ldc: int, c_next: Any, count: int, computation: int, algorithm: int,
    ) -> int:  # fmt: skip
        for i in range(count):
            at = [ctypes.c_void_p(x.value + 4 * i * step.value) for x, step in ((a, a_next), (b, b_next), (c, c_next))]
            status = self.cublasGemmEx(
                handle, op_a, op_b, m, n, k, alpha, at[0], a_type, lda, at[1], b_type, ldb, beta, at[2], c_type, ldc,
                computation, algorithm,
            )  # fmt: skip
            if status:
                return status
            self.calls.pop()
        return self._note("batch", computation)
