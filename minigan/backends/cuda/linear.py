"""The dense layer: the product of gemm.py over matrices as they lie.

                 A               B               C           K
    linear       x (N,I)         w (I,O)         y (N,O)     I
    dgrad        dy (N,O)        w^T (O,I)       dx (N,I)    O
    wgrad        x^T (I,N)       dy (N,O)        dw (I,O)    N

A transposed matrix is read where it lies, with its indices exchanged.
"""

from minigan.backends import checks
from minigan.backends.cuda._numba import device_function
from minigan.backends.cuda.columns import column_sums
from minigan.backends.cuda.device import device
from minigan.backends.cuda.gemm import Operand, parts, product, run
from minigan.backends.cuda.launch import checked
from minigan.models.shapes import Act, Array

# What the functions below read of g: sizes of the product, and how much of K a block takes
_ROWS, _COLUMNS, _K, _CHUNK = range(4)
_NO_DIGITS = 1 << 30  # k counts in one digit, w


@device_function
def _part(g, z):
    """Plane z takes the k's from z chunk on."""
    begin = z * g[_CHUNK]
    return g[_ROWS], g[_COLUMNS], begin, min(begin + g[_CHUNK], g[_K]), 1, _NO_DIGITS, z, 0


@device_function
def _place(g, p, q, row):
    """C (ROWS, COLUMNS) of part p."""
    return (p * g[_ROWS] + row) * g[_COLUMNS]


@device_function
def _line_of_k(g, p, q, line):
    """A line of K numbers that lie together."""
    return line * g[_K], 0, 0


@device_function
def _along(array, g, p, q, start, o1, o2, u, v, k):
    return array[start + k]


@device_function
def _row_of_a(g, p, q, line):
    return line, g[_ROWS], 0


@device_function
def _column_of_b(g, p, q, line):
    return line, g[_COLUMNS], 0


@device_function
def _across(array, g, p, q, line, lines, o2, u, v, k):
    return array[k * lines + line]


_TOGETHER = Operand(True, _line_of_k, _along)  # (lines, K)
_A_ACROSS, _B_ACROSS = Operand(False, _row_of_a, _across), Operand(False, _column_of_b, _across)  # (K, lines)
_linear = product("linear", 4, _TOGETHER, _B_ACROSS, _part, _place)
_linear_dgrad = product("linear_dgrad", 4, _TOGETHER, _TOGETHER, _part, _place)
_linear_wgrad = product("linear_wgrad", 4, _A_ACROSS, _B_ACROSS, _part, _place)


def linear(x: Array, w: Array, b: Array | None, act: Act | None = None) -> Array:
    """x (N,I), w (I,O), b (O,) or None -> y (N,O) = act(x w + b)."""
    checked(checks.linear, x, w, b, act)
    (rows, k), columns = x.shape, w.shape[1]
    count, chunk = parts(rows, columns, k)
    y = device().empty((rows, columns))
    run(_linear, x, w, y, (rows, columns, k, chunk), (rows, columns, count), b, act)
    return y


def linear_dgrad(dy: Array, w: Array) -> Array:
    """dy (N,O), w (I,O) -> dx (N,I) = dy w^T."""
    checked(checks.linear_dgrad, dy, w)
    (rows, k), columns = dy.shape, w.shape[0]
    count, chunk = parts(rows, columns, k)
    dx = device().empty((rows, columns))
    run(_linear_dgrad, dy, w, dx, (rows, columns, k, chunk), (rows, columns, count))
    return dx


def linear_wgrad(dy: Array, x: Array, dw: Array, db: Array | None) -> None:
    """dy (N,O), x (N,I); adds x^T dy into dw (I,O) and, unless None, the sum of dy's rows into db (O,)."""
    checked(checks.linear_wgrad, dy, x, dw, db)
    (rows, columns), k = dw.shape, dy.shape[0]
    count, chunk = parts(rows, columns, k)
    run(_linear_wgrad, x, dy, dw, (rows, columns, k, chunk), (rows, columns, count), add=True)
    if db is not None:
        column_sums(dy, db)
