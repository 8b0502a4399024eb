"""Activations and elementwise arithmetic: csrc/pointwise.inl."""

from minigan.backends import checks
from minigan.backends.cpp.table import kernels, run
from minigan.models.shapes import Act, Array


def activation(x: Array, act: Act | None) -> Array:
    """x any shape -> y = act(x); None is the identity. tanh and sigmoid within 8 ULP."""
    return x if act is None else run(kernels.activation, checks.activation, x, act)


def activation_backward(dy: Array, y: Array, act: Act | None) -> Array:
    """dy and y = act(x), same shape -> dx = dy act'(x)."""
    return dy if act is None else run(kernels.activation_backward, checks.activation_backward, dy, y, act)


def activation_backward_tangent(tdy: Array, dy: Array, y: Array, ty: Array, act: Act | None) -> Array:
    """tdy dy y ty, same shape -> tdx = tdy act'(x) + dy act''(x) tx, where ty = act'(x) tx."""
    if act is None:
        return tdy
    return run(kernels.activation_backward_tangent, checks.activation_backward_tangent, tdy, dy, y, ty, act)


def axpby(alpha: float, x: Array, beta: float, y: Array) -> Array:
    """alpha x + beta y, same shapes."""
    return run(kernels.axpby, checks.axpby, alpha, x, beta, y)


def add_scaled(alpha: float, x: Array, dp: Array) -> None:
    """dp += alpha x, same shapes."""
    run(kernels.add_scaled, checks.add_scaled, alpha, x, dp)


def mul(x: Array, y: Array) -> Array:
    """x y, elementwise, same shapes."""
    return run(kernels.mul, checks.mul, x, y)


def scale(x: Array, alpha: float) -> Array:
    """alpha x"""
    return run(kernels.scale, checks.scale, x, alpha)


def exp(x: Array) -> Array:
    """e^x, elementwise; its own derivative, so its backward is mul(dy, y). In double: few numbers need it."""
    return run(kernels.exp, checks.exp, x)


def clip(p: Array, limit: float) -> None:
    """p <- min(max(p, -limit), limit), in place; NaN stays NaN."""
    run(kernels.clip, checks.clip, p, limit)


def mean(x: Array) -> Array:
    """The mean of all elements, a 0-d array."""
    return run(kernels.mean, checks.mean, x)


def sum_squares(x: Array) -> Array:
    """sum x^2 over all elements, a 0-d array."""
    return run(kernels.sum_squares, checks.sum_squares, x)


def row_sum_squares(x: Array) -> Array:
    """x (N,...) -> (N,): sum x^2 of each sample."""
    return run(kernels.row_sum_squares, checks.row_sum_squares, x)
