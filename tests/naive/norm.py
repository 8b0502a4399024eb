"""Normalisations, as loops over the members of each group."""

import math
from typing import Any

import numpy as np

from minigan.models.shapes import Act, Array
from naive.conv import bias_grad
from naive.pointwise import act_of
from naive.scalars import accumulate, average, filled, indices, total


def _groups(x: Array, kept: tuple[int, ...]) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """Indices of x by the values of their `kept` axes: the groups that share one mean and one variance."""
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for at in indices(x.shape):
        groups.setdefault(tuple(at[axis] for axis in kept), []).append(at)
    return groups


def _norm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None, kept: tuple[int, ...]) -> tuple[Array, ...]:
    y, groups = np.empty(x.shape), _groups(x, kept)
    mean, var = (np.empty([x.shape[axis] for axis in kept]) for _ in range(2))
    for group, members in groups.items():
        mean[group] = average(x[at] for at in members)
        var[group] = average((x[at] - mean[group]) ** 2 for at in members)
        for at in members:
            xhat = (x[at] - mean[group]) / math.sqrt(var[group] + eps)
            y[at] = act_of(gamma[at[-1]] * xhat + beta[at[-1]], act)
    return y, mean, var


def _norm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array,
    *, kept: tuple[int, ...], constant: bool = False,
) -> Array:  # fmt: skip
    """`constant`: mean and var do not depend on x. Else x^ has mean 0 over its group by definition, and its
    mean is taken anew from x: the given one is rounded, by 3e-5 in float32 when it is 1000."""
    dx, xhat = np.empty(x.shape), np.empty(x.shape)
    for group, members in _groups(x, kept).items():
        deviation = math.sqrt(var[group] + eps)
        centre = mean[group] if constant else average(x[at] for at in members)
        for at in members:
            xhat[at] = (x[at] - centre) / deviation
        g = {at: gamma[at[-1]] * dy[at] for at in members}
        through_mean = 0 if constant else average(g.values())
        through_var = 0 if constant else average(g[at] * xhat[at] for at in members)
        for at in members:
            dx[at] = (g[at] - through_mean - xhat[at] * through_var) / deviation
    accumulate(dgamma, lambda c: total(dy[(*at, c)] * xhat[(*at, c)] for at in indices(x.shape[:-1])))
    bias_grad(dy, dbeta)
    return dx


def _tangents(
    tx: Array, x: Array, mean: Array, var: Array, eps: float, kept: tuple[int, ...]
) -> tuple[Array, Array, Array, Array]:
    """x^, tx^, 1 / deviation and the tangent of that, element by element."""
    xhat, txhat, inv, tinv = (np.empty(x.shape) for _ in range(4))
    for group, members in _groups(x, kept).items():
        deviation, centre = math.sqrt(var[group] + eps), average(x[at] for at in members)
        t_centre = average(tx[at] for at in members)
        t_deviation = average((x[at] - centre) * (tx[at] - t_centre) for at in members) / deviation
        for at in members:
            xhat[at], inv[at] = (x[at] - centre) / deviation, 1 / deviation
            tinv[at] = -t_deviation / deviation**2
            txhat[at] = (tx[at] - t_centre) / deviation + (x[at] - centre) * tinv[at]
    return xhat, txhat, inv, tinv


def _norm_tangent(
    tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, *, kept: tuple[int, ...]
) -> Array:
    _, txhat, _, _ = _tangents(tx, x, mean, var, eps, kept)
    return filled(x.shape, lambda *at: gamma[at[-1]] * txhat[at])


def _norm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array, *, kept: tuple[int, ...],
) -> Array:  # fmt: skip
    """The product rule on every factor of dx = (g - mean(g) - x^ mean(g x^)) inv."""
    tdx = np.empty(x.shape)
    xhat, txhat, inv, tinv = _tangents(tx, x, mean, var, eps, kept)
    for members in _groups(x, kept).values():
        g, tg = ({at: gamma[at[-1]] * a[at] for at in members} for a in (dy, tdy))
        mean_g, mean_tg = average(g.values()), average(tg.values())
        along = average(g[at] * xhat[at] for at in members)
        t_along = average(tg[at] * xhat[at] + g[at] * txhat[at] for at in members)
        for at in members:
            inside = g[at] - mean_g - xhat[at] * along
            t_inside = tg[at] - mean_tg - txhat[at] * along - xhat[at] * t_along
            tdx[at] = t_inside * inv[at] + inside * tinv[at]
    rows = indices(x.shape[:-1])
    accumulate(dgamma, lambda c: total(tdy[(*i, c)] * xhat[(*i, c)] + dy[(*i, c)] * txhat[(*i, c)] for i in rows))
    bias_grad(tdy, dbeta)
    return tdx


def batchnorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, ...]:
    return _norm(x, gamma, beta, eps, act, (x.ndim - 1,))


def batchnorm_backward(dy: Array, x: Array, *rest: Any) -> Array:
    return _norm_backward(dy, x, *rest, kept=(x.ndim - 1,))


def batchnorm_running(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, act: Act | None = None
) -> Array:
    def element(*at: int) -> float:
        c = at[-1]
        return act_of(gamma[c] * (x[at] - mean[c]) / math.sqrt(var[c] + eps) + beta[c], act)

    return filled(x.shape, element)


def batchnorm_running_backward(dy: Array, x: Array, *rest: Any) -> Array:
    return _norm_backward(dy, x, *rest, kept=(x.ndim - 1,), constant=True)


def running_update(state: Array, batch: Array, momentum: float) -> None:
    for c in range(len(state)):
        state[c] = momentum * state[c] + (1 - momentum) * batch[c]


def layernorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, ...]:
    return _norm(x, gamma, beta, eps, act, (0,))


def layernorm_backward(dy: Array, x: Array, *rest: Any) -> Array:
    return _norm_backward(dy, x, *rest, kept=(0,))


def instancenorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, ...]:
    return _norm(x, gamma, beta, eps, act, (0, 3))


def instancenorm_backward(dy: Array, x: Array, *rest: Any) -> Array:
    return _norm_backward(dy, x, *rest, kept=(0, 3))


def layernorm_tangent(tx: Array, x: Array, *rest: Any) -> Array:
    return _norm_tangent(tx, x, *rest, kept=(0,))


def layernorm_backward_tangent(tdy: Array, dy: Array, tx: Array, x: Array, *rest: Any) -> Array:
    return _norm_backward_tangent(tdy, dy, tx, x, *rest, kept=(0,))


def instancenorm_tangent(tx: Array, x: Array, *rest: Any) -> Array:
    return _norm_tangent(tx, x, *rest, kept=(0, 3))


def instancenorm_backward_tangent(tdy: Array, dy: Array, tx: Array, x: Array, *rest: Any) -> Array:
    return _norm_backward_tangent(tdy, dy, tx, x, *rest, kept=(0, 3))
