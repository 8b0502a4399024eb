"""Normalisation layers. Statistics are taken in float64 (float32 loses them at mean 1000 and std 1), two passes.

With x^ = (x - mean) / sqrt(var + eps) over a group of M values, y = gamma x^ + beta, the backward pass is

    dgamma += sum dy x^      dbeta += sum dy      dx = (g - mean(g) - x^ mean(g x^)) / sqrt(var + eps),  g = gamma dy

because mean and var depend on every x of the group: the two subtracted means are those two paths.
Source: Ioffe & Szegedy 2015, arXiv:1502.03167 (batchnorm); Ba et al. 2016, arXiv:1607.06450 (layernorm); Ulyanov et al.
2016, arXiv:1607.08022 (instancenorm).

With x the statistics move, too. Along tx, with q = mean(tx x^) / sqrt(var + eps) (the deviation grows by the part q):

    tx^ = (tx - mean(tx) - x^ mean(tx x^)) / sqrt(var + eps)      ty = gamma tx^
    tdx = (tg - mean(tg) - tx^ mean(g x^) - x^ mean(tg x^ + g tx^)) / sqrt(var + eps) - q dx,  tg = gamma tdy
    dgamma += sum (tdy x^ + dy tx^)      dbeta += sum tdy

The groups: batchnorm all axes but the last; layernorm all axes but the first; instancenorm all axes between.
"""

import numpy as np

from minigan.backends import checks
from minigan.backends.oracle.pointwise import activation
from minigan.models.shapes import Act, Array

Axes = tuple[int, ...]


def _wide(x: Array) -> Array:
    return x if np.iscomplexobj(x) else x.astype(np.float64)


def _batch_axes(x: Array) -> Axes:
    return tuple(range(x.ndim - 1))


def _layer_axes(x: Array) -> Axes:
    return tuple(range(1, x.ndim))


def _instance_axes(x: Array) -> Axes:
    return tuple(range(1, x.ndim - 1))


def _statistics(x: Array, axes: Axes) -> tuple[Array, Array]:
    """Mean and biased variance over `axes`, kept as axes of size 1, in float64."""
    mean = _wide(x).mean(axis=axes, keepdims=True)
    return mean, ((x - mean) ** 2).mean(axis=axes, keepdims=True)


def _apply(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, act: Act | None) -> Array:
    y = gamma * ((x - mean) / np.sqrt(var + eps)) + beta
    return activation(y.astype(x.dtype), act)


def _normalised(x: Array, mean: Array, var: Array, eps: float, axes: Axes) -> tuple[Array, Array]:
    """x^ from given statistics, and 1 / sqrt(var + eps)."""
    inv = 1 / np.sqrt(_wide(var) + eps)
    xhat = (x - _wide(mean)) * inv
    xhat -= xhat.mean(axis=axes, keepdims=True)  # what rounding `mean` to x's type left: 3e-5 in float32 at mean 1000
    return xhat, inv


def _along(t: Array, xhat: Array, inv: Array, axes: Axes) -> Array:
    """The derivative of x^ along t. It is symmetric, so the same takes g = gamma dy back to dx."""
    return (t - t.mean(axis=axes, keepdims=True) - xhat * (t * xhat).mean(axis=axes, keepdims=True)) * inv


def _backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, axes: Axes, dgamma: Array, dbeta: Array
) -> Array:
    xhat, inv = _normalised(x, mean, var, eps, axes)
    _affine_gradients(dy, xhat, dgamma, dbeta)
    return _along(gamma * _wide(dy), xhat, inv, axes).astype(x.dtype)


def _affine_gradients(dy: Array, xhat: Array, dgamma: Array, dbeta: Array) -> None:
    axes = _batch_axes(dy)
    dgamma += (dy * xhat).sum(axis=axes).astype(dgamma.dtype)
    dbeta += _wide(dy).sum(axis=axes).astype(dbeta.dtype)


def _tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, axes: Axes) -> Array:
    xhat, inv = _normalised(x, mean, var, eps, axes)
    return (gamma * _along(_wide(tx), xhat, inv, axes)).astype(x.dtype)


def _backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, axes: Axes,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    def average(a: Array) -> Array:
        return a.mean(axis=axes, keepdims=True)

    xhat, inv = _normalised(x, mean, var, eps, axes)
    txhat = _along(_wide(tx), xhat, inv, axes)
    dgamma += (tdy * xhat + dy * txhat).sum(axis=_batch_axes(dy)).astype(dgamma.dtype)
    dbeta += _wide(tdy).sum(axis=_batch_axes(dy)).astype(dbeta.dtype)
    g, tg = gamma * _wide(dy), gamma * _wide(tdy)
    growth = inv * average(tx * xhat)
    tdx = inv * (tg - average(tg) - txhat * average(g * xhat) - xhat * average(tg * xhat + g * txhat))
    return (tdx - growth * _along(g, xhat, inv, axes)).astype(x.dtype)


def batchnorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (...,C), gamma beta (C,) -> y (...,C), mean (C,), var (C,) biased; one group per channel.

    y = act(gamma (x - mean) / sqrt(var + eps) + beta).   Source: Ioffe & Szegedy 2015, arXiv:1502.03167.
    """
    checks.batchnorm(x, gamma, beta, eps, act)
    mean, var = _statistics(x, _batch_axes(x))
    y = _apply(x, gamma, beta, mean, var, eps, act)
    return y, mean.ravel().astype(x.dtype), var.ravel().astype(x.dtype)


def batchnorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (...,C), gamma mean var (C,) -> dx (...,C); adds into dgamma, dbeta (C,).

    dy is after activation_backward.
    """
    checks.batchnorm_backward(dy, x, gamma, mean, var, eps, dgamma, dbeta)
    return _backward(dy, x, gamma, mean, var, eps, _batch_axes(x), dgamma, dbeta)


def batchnorm_running(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, act: Act | None = None
) -> Array:
    """As batchnorm, with the given statistics (C,) instead of the batch's."""
    checks.batchnorm_running(x, gamma, beta, mean, var, eps, act)
    return _apply(x, gamma, beta, _wide(mean), _wide(var), eps, act)


def batchnorm_running_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """The statistics are constants here, so dx = gamma dy / sqrt(var + eps); adds into dgamma, dbeta (C,)."""
    checks.batchnorm_running_backward(dy, x, gamma, mean, var, eps, dgamma, dbeta)
    inv = 1 / np.sqrt(_wide(var) + eps)
    _affine_gradients(dy, (x - _wide(mean)) * inv, dgamma, dbeta)
    return (dy * (gamma * inv)).astype(x.dtype)


def running_update(state: Array, batch: Array, momentum: float) -> None:
    """state <- momentum state + (1 - momentum) batch, in place, (C,)."""
    checks.running_update(state, batch, momentum)
    state *= state.dtype.type(momentum)
    state += state.dtype.type(1 - momentum) * batch


def layernorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (N,...,C), gamma beta (C,) -> y (N,...,C), mean (N,), var (N,) biased; one group per sample (all axes but 0).

    y = act(gamma (x - mean) / sqrt(var + eps) + beta).   Source: Ba et al. 2016, arXiv:1607.06450.
    """
    checks.layernorm(x, gamma, beta, eps, act)
    mean, var = _statistics(x, _layer_axes(x))
    y = _apply(x, gamma, beta, mean, var, eps, act)
    return y, mean.ravel().astype(x.dtype), var.ravel().astype(x.dtype)


def layernorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (N,...,C), gamma (C,), mean var (N,) -> dx; adds into dgamma, dbeta (C,).

    dy is after activation_backward.
    """
    checks.layernorm_backward(dy, x, gamma, mean, var, eps, dgamma, dbeta)
    one = (-1, *(1 for _ in x.shape[1:]))
    return _backward(dy, x, gamma, mean.reshape(one), var.reshape(one), eps, _layer_axes(x), dgamma, dbeta)


def layernorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> Array:
    """tx x (N,...,C), gamma (C,), mean var (N,) -> ty like x: how y, before its act, moves when x moves along tx.

    ty = gamma (tx - mean(tx) - x^ mean(tx x^)) / sqrt(var + eps)
    """
    checks.layernorm_tangent(tx, x, gamma, mean, var, eps)
    one = (-1, *(1 for _ in x.shape[1:]))
    mean, var = mean.reshape(one), var.reshape(one)
    return _tangent(tx, x, gamma, mean, var, eps, _layer_axes(x))


def layernorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    """tdy dy tx x (N,...,C), gamma (C,), mean var (N,) -> tdx: how dx moves when dy moves along tdy and x along tx.

    Adds into dgamma, dbeta (C,) how they move. dy and tdy are after the activation's own passes. Formula: see above.
    """
    checks.layernorm_backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, dgamma, dbeta)
    one = (-1, *(1 for _ in x.shape[1:]))
    mean, var = mean.reshape(one), var.reshape(one)
    return _backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, _layer_axes(x), dgamma, dbeta)


def instancenorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (N,H,W,C), gamma beta (C,) -> y, mean (N,C), var (N,C) biased; one group per sample and channel (axes 1, 2).

    y = act(gamma (x - mean) / sqrt(var + eps) + beta).   Source: Ulyanov et al. 2016, arXiv:1607.08022.
    """
    checks.instancenorm(x, gamma, beta, eps, act)
    mean, var = _statistics(x, _instance_axes(x))
    y = _apply(x, gamma, beta, mean, var, eps, act)
    return y, mean[:, 0, 0].astype(x.dtype), var[:, 0, 0].astype(x.dtype)


def instancenorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (N,H,W,C), gamma (C,), mean var (N,C) -> dx; adds into dgamma, dbeta (C,).

    dy is after activation_backward.
    """
    checks.instancenorm_backward(dy, x, gamma, mean, var, eps, dgamma, dbeta)
    mean, var = mean[:, None, None], var[:, None, None]
    return _backward(dy, x, gamma, mean, var, eps, _instance_axes(x), dgamma, dbeta)


def instancenorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> Array:
    """tx x (N,H,W,C), gamma (C,), mean var (N,C) -> ty like x: how y, before its act, moves when x moves along tx.

    ty = gamma (tx - mean(tx) - x^ mean(tx x^)) / sqrt(var + eps)
    """
    checks.instancenorm_tangent(tx, x, gamma, mean, var, eps)
    mean, var = mean[:, None, None], var[:, None, None]
    return _tangent(tx, x, gamma, mean, var, eps, _instance_axes(x))


def instancenorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    """tdy dy tx x (N,H,W,C), gamma (C,), mean var (N,C) -> tdx: how dx moves when dy moves along tdy and x along tx.

    Adds into dgamma, dbeta (C,) how they move. dy and tdy are after the activation's own passes. Formula: see above.
    """
    checks.instancenorm_backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, dgamma, dbeta)
    mean, var = mean[:, None, None], var[:, None, None]
    return _backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, _instance_axes(x), dgamma, dbeta)
