"""Losses, as loops."""

import math
from collections.abc import Callable

import numpy as np

from minigan.models.shapes import Array
from naive.scalars import average, filled, indices, sigmoid, softplus, total

# kind: (loss of one element, its derivative)
_LOGIT_LOSSES: dict[str, tuple[Callable[[float, float], float], Callable[[float, float], float]]] = {
    "bce": (
        lambda x, t: (1 - t) * softplus(x) + t * softplus(-x),
        lambda x, t: (1 - t) * sigmoid(x) - t * sigmoid(-x),
    ),
    "mse": (lambda x, t: (x - t) ** 2, lambda x, t: 2 * (x - t)),
    "hinge": (
        lambda x, t: 0.0 if t * x >= 1 else 1 - t * x,
        lambda x, t: 0.0 if t * x >= 1 else (x if math.isnan(x) else -t),
    ),
    "linear": (lambda x, t: t * x, lambda x, t: t),
    "minimax": (lambda x, t: -softplus(x), lambda x, t: -sigmoid(x)),
}


def logit_loss(x: Array, kind: str, target: float) -> tuple[Array, Array]:
    value, derivative = _LOGIT_LOSSES[kind]
    loss = average(value(x[at], target) for at in indices(x.shape))
    return np.asarray(loss), filled(x.shape, lambda *at: derivative(x[at], target) / x.size)


def softmax_cross_entropy(x: Array, labels: Array) -> tuple[Array, Array]:
    dx, losses = np.empty(x.shape), []
    for n in range(len(x)):
        row = list(x[n])
        e = [math.exp(value - max(row)) for value in row]
        losses.append(math.log(total(e)) + max(row) - row[labels[n]])
        for k in range(len(row)):
            dx[n, k] = (e[k] / total(e) - (k == labels[n])) / len(x)
    return np.asarray(average(losses)), dx


def l1_loss(x: Array, target: Array) -> tuple[Array, Array]:
    d = filled(x.shape, lambda *at: x[at] - target[at])
    sign = filled(x.shape, lambda *at: float(d[at] > 0) - float(d[at] < 0))
    return np.asarray(average(abs(d[at]) for at in indices(d.shape))), filled(d.shape, lambda *at: sign[at] / d.size)


def mse_loss(x: Array, target: Array) -> tuple[Array, Array]:
    d = filled(x.shape, lambda *at: x[at] - target[at])
    return np.asarray(average(d[at] ** 2 for at in indices(d.shape))), filled(d.shape, lambda *at: 2 * d[at] / d.size)


def norm_loss(x: Array, kind: str) -> tuple[Array, Array, Array]:
    norms = [math.sqrt(total(x[(n, *at)] ** 2 for at in indices(x.shape[1:]))) for n in range(len(x))]
    loss = average((r - 1) ** 2 if kind == "one" else r**2 / 2 for r in norms)
    factors = [1.0 if kind == "zero" else 2 * (1 - 1 / r) if r else 0.0 for r in norms]
    dx = filled(x.shape, lambda n, *at: factors[n] * x[(n, *at)] / len(x))
    return np.asarray(loss), dx, np.asarray(average(norms))


def kl_gauss(mean: Array, logvar: Array) -> tuple[Array, Array, Array]:
    def half(n: int, f: int) -> float:
        return 0.5 * (mean[n, f] ** 2 + math.exp(logvar[n, f]) - 1 - logvar[n, f])

    n = len(mean)
    return (
        np.asarray(average(total(half(i, f) for f in range(mean.shape[1])) for i in range(n))),
        filled(mean.shape, lambda *at: mean[at] / n),
        filled(mean.shape, lambda *at: 0.5 * (math.exp(logvar[at]) - 1) / n),
    )
