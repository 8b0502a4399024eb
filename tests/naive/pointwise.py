"""Activations and elementwise arithmetic, as loops."""

import math

import numpy as np

from minigan.models.shapes import Act, Array
from naive.scalars import accumulate, average, filled, indices, sigmoid, total

_FORWARD = {
    "relu": lambda x, slope: 0.0 if x <= 0 else x,
    "leaky_relu": lambda x, slope: slope * x if x <= 0 else x,
    "tanh": lambda x, slope: math.tanh(x),
    "sigmoid": lambda x, slope: sigmoid(x),
}
_DERIVATIVE = {
    "relu": lambda y, slope: y if math.isnan(y) else float(y > 0),
    "leaky_relu": lambda y, slope: y if math.isnan(y) else (1.0 if y > 0 else slope),
    "tanh": lambda y, slope: (1 - y) * (1 + y),
    "sigmoid": lambda y, slope: y * (1 - y),
}


def act_of(x: float, act: Act | None) -> float:
    return x if act is None else _FORWARD[act.kind](x, act.slope)


def activation(x: Array, act: Act | None) -> Array:
    return filled(x.shape, lambda *at: act_of(x[at], act))


def activation_backward(dy: Array, y: Array, act: Act | None) -> Array:
    slope = (lambda y: 1.0) if act is None else (lambda y: _DERIVATIVE[act.kind](y, act.slope))
    return filled(y.shape, lambda *at: dy[at] * slope(y[at]))


_CURVATURE = {"relu": None, "leaky_relu": None, "tanh": lambda y: -2 * y, "sigmoid": lambda y: 1 - 2 * y}


def activation_backward_tangent(tdy: Array, dy: Array, y: Array, ty: Array, act: Act | None) -> Array:
    curvature = None if act is None else _CURVATURE[act.kind]
    tdx = activation_backward(tdy, y, act)
    if curvature is None:
        return tdx
    return filled(y.shape, lambda *at: tdx[at] + dy[at] * curvature(y[at]) * ty[at])


def axpby(alpha: float, x: Array, beta: float, y: Array) -> Array:
    return filled(x.shape, lambda *at: alpha * x[at] + beta * y[at])


def add_scaled(alpha: float, x: Array, dp: Array) -> None:
    accumulate(dp, lambda *at: alpha * x[at])


def mul(x: Array, y: Array) -> Array:
    return filled(x.shape, lambda *at: x[at] * y[at])


def scale(x: Array, alpha: float) -> Array:
    return filled(x.shape, lambda *at: alpha * x[at])


def exp(x: Array) -> Array:
    return filled(x.shape, lambda *at: math.exp(x[at]))


def clip(p: Array, limit: float) -> None:
    for at in indices(p.shape):
        if p[at] > limit:
            p[at] = limit
        if p[at] < -limit:
            p[at] = -limit


def mean(x: Array) -> Array:
    return np.asarray(average(x[at] for at in indices(x.shape)))


def sum_squares(x: Array) -> Array:
    return np.asarray(total(x[at] ** 2 for at in indices(x.shape)))


def row_sum_squares(x: Array) -> Array:
    return filled(x.shape[:1], lambda n: total(x[(n, *at)] ** 2 for at in indices(x.shape[1:])))
