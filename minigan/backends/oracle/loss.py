"""Losses: each returns (loss, dx), the mean over all elements and its gradient. GAN losses take logits."""

from collections.abc import Callable

import numpy as np

from minigan.backends import checks
from minigan.backends.oracle.pointwise import _real, absolute, sigmoid, softplus
from minigan.models.shapes import Array


def _mean(loss: Array) -> Array:
    return np.asarray(loss.mean(), loss.dtype)


# kind: (loss of each element, its derivative), of logits x and a target t.
LOGIT_LOSSES: dict[str, tuple[Callable[[Array, float], Array], Callable[[Array, float], Array]]] = {
    "bce": (
        lambda x, t: (1 - t) * softplus(x) + t * softplus(-x),
        lambda x, t: (1 - t) * sigmoid(x) - t * sigmoid(-x),
    ),
    "mse": (lambda x, t: (x - t) ** 2, lambda x, t: 2 * (x - t)),
    # max(0, 1 - t x); a NaN fails the comparison and is passed on
    "hinge": (
        lambda x, t: np.where(_real(t * x) >= 1, 0, 1 - t * x),
        lambda x, t: np.where(_real(t * x) >= 1, 0, np.where(np.isnan(x), x, -t)),
    ),
    "linear": (lambda x, t: t * x, lambda x, t: t + 0 * x),
    "minimax": (lambda x, t: -softplus(x), lambda x, t: -sigmoid(x)),
}


def logit_loss(x: Array, kind: str, target: float) -> tuple[Array, Array]:
    """x any shape, target t a number -> loss (0-d), dx; the mean over all elements of

    bce      (1-t) softplus(x) + t softplus(-x)      (the form softplus(x) - t x loses everything at x = 15 in float32)
    mse      (x - t)^2                               Mao et al. 2017, arXiv:1611.04076
    hinge    max(0, 1 - t x), t = +1 or -1           Lim & Ye 2017, arXiv:1705.02894
    linear   t x                                     Arjovsky et al. 2017, arXiv:1701.07875
    minimax  -softplus(x) = log(1 - sigmoid(x))      Goodfellow et al. 2014, arXiv:1406.2661; t is not used
    Raises ShapeError on an unknown kind, and on a hinge of another target.
    """
    checks.logit_loss(x, kind, target)
    value, derivative = LOGIT_LOSSES[kind]
    t = x.dtype.type(target)
    return _mean(value(x, t)), (derivative(x, t) / x.dtype.type(x.size)).astype(x.dtype)


def softmax_cross_entropy(x: Array, labels: Array) -> tuple[Array, Array]:
    """logits x (N,K), labels (N,) integers in [0, K) -> loss (0-d), dx (N,K).

    loss = mean_n (log sum_k e^x[n,k] - x[n,label_n])      dx = (softmax(x) - onehot) / N
    """
    checks.softmax_cross_entropy(x, labels)
    rows = np.arange(x.shape[0])
    shifted = x - _real(x).max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    loss = np.log(total[:, 0]) - shifted[rows, labels]
    dx = e / total
    dx[rows, labels] -= 1
    return _mean(loss), dx / x.dtype.type(x.shape[0])


def l1_loss(x: Array, target: Array) -> tuple[Array, Array]:
    """x, target same shape -> mean |x - target|, dx = sign(x - target) / size."""
    checks.l1_loss(x, target)
    d = x - target
    return _mean(absolute(d)), np.sign(_real(d)).astype(x.dtype) / x.dtype.type(x.size)


def mse_loss(x: Array, target: Array) -> tuple[Array, Array]:
    """x, target same shape -> mean (x - target)^2, dx = 2 (x - target) / size."""
    checks.mse_loss(x, target)
    d = x - target
    return _mean(d * d), 2 * d / x.dtype.type(x.size)


# kind: (loss of each norm, what the derivative multiplies x by); a norm of 0 has no direction, so its gradient is 0
NORM_LOSSES: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "one": (lambda norm: (norm - 1) ** 2, lambda norm: 2 - 2 / np.where(norm == 0, 1, norm)),
    "zero": (lambda norm: norm**2 / 2, lambda norm: 1 + 0 * norm),
}


def norm_loss(x: Array, kind: str) -> tuple[Array, Array, Array]:
    """x (N,...), r_n = sqrt(sum x[n]^2) -> loss (0-d), dx, the mean of r (0-d); the loss is the mean over samples of

    one     (r - 1)^2    dx[n] = 2 (1 - 1 / r_n) x[n] / N      Gulrajani et al. 2017, arXiv:1704.00028
    zero    r^2 / 2      dx[n] = x[n] / N                      Mescheder et al. 2018, arXiv:1801.04406
    Where r_n = 0, dx[n] = 0. Raises ShapeError on an unknown kind.
    """
    checks.norm_loss(x, kind)
    rows = x.reshape(x.shape[0], -1)
    norm = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    value, factor = NORM_LOSSES[kind]
    dx = rows * (factor(norm) / x.dtype.type(x.shape[0]))
    return _mean(value(norm)), dx.reshape(x.shape).astype(x.dtype), _mean(norm)


def kl_gauss(mean: Array, logvar: Array) -> tuple[Array, Array, Array]:
    """mean, logvar (N,F) -> KL(N(mean, e^logvar) || N(0, 1)) summed over F, averaged over N; dmean, dlogvar.

    loss = mean_n 1/2 sum_f (mean^2 + e^logvar - 1 - logvar).   Source: Kingma & Welling 2014, arXiv:1312.6114.
    """
    checks.kl_gauss(mean, logvar)
    n = mean.dtype.type(mean.shape[0])
    beyond = np.expm1(logvar)  # var - 1, whose digits e^logvar - 1 would lose near logvar = 0
    loss = 0.5 * (mean * mean + beyond - logvar).sum(axis=1)
    return _mean(loss), mean / n, 0.5 * beyond / n
