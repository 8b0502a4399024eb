"""Activations and elementwise arithmetic."""

from collections.abc import Callable

import numpy as np

from minigan.backends import checks
from minigan.models.shapes import Act, Array


def _real(x: Array) -> Array:
    return x.real if np.iscomplexobj(x) else x


def absolute(x: Array) -> Array:
    """|x|, analytic on either side of 0, so that the complex step can pass through it."""
    return np.where(_real(x) < 0, -x, x)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows and no digits are lost on either side."""
    e = np.exp(-absolute(x))
    return np.where(_real(x) < 0, e, 1) / (1 + e)


def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|)"""
    return np.where(_real(x) < 0, 0, x) + np.log1p(np.exp(-absolute(x)))


# kind: (y from x, dy/dx from y). Both pass NaN on: a comparison with NaN is False, and the False branch keeps x or y.
_ACTIVATIONS: dict[str, tuple[Callable[[Array, float], Array], Callable[[Array, float], Array]]] = {
    "relu": (lambda x, slope: np.where(_real(x) <= 0, 0 * x.dtype.type(0), x), lambda y, slope: _step(y, 0.0)),
    "leaky_relu": (lambda x, slope: np.where(_real(x) <= 0, slope * x, x), lambda y, slope: _step(y, slope)),
    "tanh": (lambda x, slope: np.tanh(x), lambda y, slope: (1 - y) * (1 + y)),
    "sigmoid": (lambda x, slope: sigmoid(x), lambda y, slope: y * (1 - y)),
}


def _step(y: Array, slope: float) -> Array:
    """1 where y > 0, `slope` where y <= 0, NaN where y is NaN."""
    return np.where(_real(y) > 0, 1, np.where(_real(y) <= 0, slope, y)).astype(y.dtype)


def activation(x: Array, act: Act | None) -> Array:
    """x any shape -> y = act(x), same shape; None is the identity.

    relu max(x,0)    leaky_relu x > 0 ? x : slope x    tanh    sigmoid 1/(1+e^-x)
    relu and leaky_relu pass NaN on. Source: Maas et al. 2013 (leaky_relu).
    """
    checks.activation(x, act)
    return x if act is None else _ACTIVATIONS[act.kind][0](x, x.dtype.type(act.slope))


def activation_backward(dy: Array, y: Array, act: Act | None) -> Array:
    """dy and y (the activation's *output*), same shape -> dx = dy act'(x), with act' written in y:

    relu [y > 0]    leaky_relu y > 0 ? 1 : slope    tanh (1-y)(1+y)    sigmoid y(1-y)
    """
    checks.activation_backward(dy, y, act)
    return dy if act is None else dy * _ACTIVATIONS[act.kind][1](y, y.dtype.type(act.slope))


# kind: d act'/dy, of those whose slope changes with y. act''(x) = d act'/dy . dy/dx, so along ty it is this times ty.
_CURVATURES: dict[str, Callable[[Array], Array]] = {"tanh": lambda y: -2 * y, "sigmoid": lambda y: 1 - 2 * y}


def activation_backward_tangent(tdy: Array, dy: Array, y: Array, ty: Array, act: Act | None) -> Array:
    """tdy dy y ty, same shape -> tdx, how dx = dy act'(x) changes when dy moves along tdy and y along ty = act'(x) tx:

    tdx = tdy act'(x) + dy act''(x) tx, the last two written in y as c(y) ty:   tanh -2 y    sigmoid 1 - 2 y    else 0
    Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".
    """
    checks.activation_backward_tangent(tdy, dy, y, ty, act)
    tdx = activation_backward(tdy, y, act)
    if act is None or act.kind not in _CURVATURES:
        return tdx
    return tdx + dy * _CURVATURES[act.kind](y) * ty


def axpby(alpha: float, x: Array, beta: float, y: Array) -> Array:
    """alpha x + beta y, same shapes."""
    checks.axpby(alpha, x, beta, y)
    return x.dtype.type(alpha) * x + x.dtype.type(beta) * y


def add_scaled(alpha: float, x: Array, dp: Array) -> None:
    """dp += alpha x, same shapes (2 lambda theta of an L2 penalty into the gradient)."""
    checks.add_scaled(alpha, x, dp)
    dp += dp.dtype.type(alpha) * x


def mul(x: Array, y: Array) -> Array:
    """x y, elementwise, same shapes."""
    checks.mul(x, y)
    return x * y


def scale(x: Array, alpha: float) -> Array:
    """alpha x"""
    checks.scale(x, alpha)
    return x.dtype.type(alpha) * x


def exp(x: Array) -> Array:
    """e^x, elementwise; its own derivative, so its backward is mul(dy, y)."""
    checks.exp(x)
    return np.exp(x)


def clip(p: Array, limit: float) -> None:
    """p <- min(max(p, -limit), limit), in place; NaN stays NaN.

    Source: weight clipping, Arjovsky et al. 2017, arXiv:1701.07875.
    """
    checks.clip(p, limit)
    np.clip(p, -limit, limit, out=p)


def mean(x: Array) -> Array:
    """The mean of all elements, a 0-d array."""
    checks.mean(x)
    return np.asarray(x.mean(), x.dtype)


def sum_squares(x: Array) -> Array:
    """sum x^2 over all elements, a 0-d array."""
    checks.sum_squares(x)
    return np.asarray((x * x).sum(), x.dtype)


def row_sum_squares(x: Array) -> Array:
    """x (N,...) -> (N,): sum x^2 of each sample."""
    checks.row_sum_squares(x)
    rows = x.reshape(x.shape[0], -1)
    return (rows * rows).sum(axis=1)
