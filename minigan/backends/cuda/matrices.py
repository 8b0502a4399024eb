"""Products of matrices as they lie, one or a batch of them: by numba's kernels (gemm.py) or by cuBLAS.

                    A               B               C               K
    plain           (M,K)           (K,N)           (M,N)           K        C = A B
    B turned        (M,K)           (N,K)           (M,N)           K        C = A B^T
    A turned        (K,M)           (K,N)           (M,N)           K        C = A^T B

A turned matrix is read where it lies, with its indices exchanged. A grid plane is a matrix of a batch, or a part of K.
"""

from minigan.backends.cuda._numba import device_function
from minigan.backends.cuda.cublas import Matrices, cublas
from minigan.backends.cuda.gemm import Operand, finish, once, parts, product, run
from minigan.models.shapes import Act, Array

# What the functions below read of g: sizes of the product, how much of K a plane takes, and whether that is all of it
_ROWS, _COLUMNS, _K, _CHUNK, _BATCH = range(5)
_NO_DIGITS = 1 << 30  # k counts in one digit, w


@device_function
def _part(g, z):
    """Plane z takes the k's from z chunk on, or all of matrix z; q: which matrix."""
    begin = 0 if g[_BATCH] else z * g[_CHUNK]
    return g[_ROWS], g[_COLUMNS], begin, min(begin + g[_CHUNK], g[_K]), 1, _NO_DIGITS, z, z if g[_BATCH] else 0


@device_function
def _place(g, z, matrix, row):
    """C (ROWS, COLUMNS) of plane z."""
    return (z * g[_ROWS] + row) * g[_COLUMNS]


@device_function
def _row_of_k(g, z, matrix, row):
    """A (ROWS, K)"""
    return (matrix * g[_ROWS] + row) * g[_K], 0, 0


@device_function
def _column_of_k(g, z, matrix, column):
    """B (COLUMNS, K)"""
    return (matrix * g[_COLUMNS] + column) * g[_K], 0, 0


@device_function
def _along(array, g, z, matrix, start, o1, o2, u, v, k):
    return array[start + k]


@device_function
def _row_across(g, z, matrix, row):
    """A (K, ROWS)"""
    return matrix * g[_K] * g[_ROWS] + row, g[_ROWS], 0


@device_function
def _column_across(g, z, matrix, column):
    """B (K, COLUMNS)"""
    return matrix * g[_K] * g[_COLUMNS] + column, g[_COLUMNS], 0


@device_function
def _across(array, g, z, matrix, start, length, o2, u, v, k):
    return array[start + k * length]


_A, _A_TURNED = Operand(True, _row_of_k, _along), Operand(False, _row_across, _across)
_B, _B_TURNED = Operand(False, _column_across, _across), Operand(True, _column_of_k, _along)
_PRODUCTS = {  # by whether A and B are turned
    (False, False): product("plain", 5, _A, _B, _part, _place),
    (False, True): product("b_turned", 5, _A, _B_TURNED, _part, _place),
    (True, False): product("a_turned", 5, _A_TURNED, _B, _part, _place),
}


def multiply(
    a: Matrices, b: Matrices, c: Matrices, bias: Array | None = None, act: Act | None = None, add: bool = False,
) -> None:  # fmt: skip
    """c = act(a b + bias), or c += it, by numba's kernels."""
    (rows, k), columns = a.shape, b.shape[1]
    kernel = _PRODUCTS[a.turned, b.turned]
    if c.batch > 1:
        g = (rows, columns, k, k, 1)
        once(kernel, a.array, b.array, c.array, g, (rows, columns, c.batch), bias, act, add)
    else:
        count, chunk = parts(rows, columns, k)
        run(kernel, a.array, b.array, c.array, (rows, columns, k, chunk, 0), (rows, columns, count), bias, act, add)


def multiply_by(
    name: str, a: Matrices, b: Matrices, c: Matrices, bias: Array | None = None, act: Act | None = None,
    add: bool = False,
) -> None:  # fmt: skip
    """As `multiply`, by the implementation named."""
    if name == "numba":
        multiply(a, b, c, bias, act, add)
        return
    cublas().multiply(a, b, c, add, name)
    finish(c.array, bias, act)
