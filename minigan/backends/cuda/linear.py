"""The dense layer: three products of matrices as they lie (matrices.py), by the implementation that the plan chooses.

             A               B               C           K
linear       x (N,I)         w (I,O)         y (N,O)     I
dgrad        dy (N,O)        w^T (O,I)       dx (N,I)    O
wgrad        x^T (I,N)       dy (N,O)        dw (I,O)    N
"""

from minigan.backends import checks
from minigan.backends.cuda.choice import chosen
from minigan.backends.cuda.columns import column_sums
from minigan.backends.cuda.cublas import Matrices
from minigan.backends.cuda.device import device
from minigan.backends.cuda.launch import checked
from minigan.backends.cuda.matrices import multiply_by
from minigan.models.shapes import Act, Array


def linear(x: Array, w: Array, b: Array | None, act: Act | None = None) -> Array:
    """x (N,I), w (I,O), b (O,) or None -> y (N,O) = act(x w + b)."""
    return linear_by("", x, w, b, act)


def linear_by(impl: str, x: Array, w: Array, b: Array | None, act: Act | None = None) -> Array:
    """linear by the implementation `impl`; "": the plan's."""
    checked(checks.linear, x, w, b, act)
    y = device().empty((len(x), w.shape[1]))
    multiply_by(chosen("linear", x.shape, w.shape, impl=impl), _matrix(x), _matrix(w), _matrix(y), b, act)
    return y


def linear_dgrad(dy: Array, w: Array) -> Array:
    """dy (N,O), w (I,O) -> dx (N,I) = dy w^T."""
    return linear_dgrad_by("", dy, w)


def linear_dgrad_by(impl: str, dy: Array, w: Array) -> Array:
    """linear_dgrad by the implementation `impl`; "": the plan's."""
    checked(checks.linear_dgrad, dy, w)
    dx = device().empty((len(dy), w.shape[0]))
    multiply_by(chosen("linear_dgrad", dy.shape, w.shape, impl=impl), _matrix(dy), _matrix(w, True), _matrix(dx))
    return dx


def linear_wgrad(dy: Array, x: Array, dw: Array, db: Array | None) -> None:
    """dy (N,O), x (N,I); adds x^T dy into dw (I,O) and, unless None, the sum of dy's rows into db (O,)."""
    linear_wgrad_by("", dy, x, dw, db)


def linear_wgrad_by(impl: str, dy: Array, x: Array, dw: Array, db: Array | None) -> None:
    """linear_wgrad by the implementation `impl`; "": the plan's."""
    checked(checks.linear_wgrad, dy, x, dw, db)
    name = chosen("linear_wgrad", x.shape, dw.shape, impl=impl)
    multiply_by(name, _matrix(x, True), _matrix(dy), _matrix(dw), add=True)
    if db is not None:
        column_sums(dy, db)


def _matrix(a: Array, turned: bool = False) -> Matrices:
    return Matrices(a, a.shape[0], a.shape[1], turned)
