"""Update rules, one call per slab, and the guard that keeps NaN out of the weights.

All read their rates from `clock` (backends/clock.py) and do nothing once clock[BAD] is set. g = clock[CLIP] dp.
"""

import numpy as np

from minigan.backends import checks
from minigan.backends.clock import BAD, C1, C2, CLIP, EMA, LR, rate
from minigan.models.shapes import Array


def adam_step(
    p: Array, dp: Array, m: Array, v: Array, clock: Array, slot: int,
    beta1: float, beta2: float, eps: float, decay: float,
) -> None:  # fmt: skip
    """p dp m v, same shape; p, m, v in place; rounded operation by operation in this order:

    m <- beta1 m + (1 - beta1) g        v <- beta2 v + (1 - beta2) g g
    p <- p - lr decay p                 p <- p - lr (m C1) / (sqrt(v C2) + eps),   C_i = 1 / (1 - beta_i^t)
    Source: Kingma & Ba 2015, arXiv:1412.6980; `decay` is decoupled, Loshchilov & Hutter 2019, arXiv:1711.05101.
    """
    checks.adam_step(p, dp, m, v, clock, slot, beta1, beta2, eps, decay)
    if clock[BAD] != 0:
        return
    f = p.dtype.type
    lr, c1, c2 = (clock[rate(slot, word)] for word in (LR, C1, C2))
    g = dp * clock[CLIP + slot]
    m[...] = f(beta1) * m + f(1 - beta1) * g
    v[...] = f(beta2) * v + f(1 - beta2) * g * g
    p -= lr * f(decay) * p
    p -= lr * (m * c1) / (np.sqrt(v * c2) + f(eps))


def sgd_step(p: Array, dp: Array, m: Array, clock: Array, slot: int, momentum: float, decay: float) -> None:
    """m <- momentum m + g        p <- p - lr decay p        p <- p - lr m.   Source: Polyak 1964."""
    checks.sgd_step(p, dp, m, clock, slot, momentum, decay)
    if clock[BAD] != 0:
        return
    f, lr = p.dtype.type, clock[rate(slot, LR)]
    m[...] = f(momentum) * m + dp * clock[CLIP + slot]
    p -= lr * f(decay) * p
    p -= lr * m


def rmsprop_step(p: Array, dp: Array, v: Array, clock: Array, slot: int, rho: float, eps: float, decay: float) -> None:
    """v <- rho v + (1 - rho) g g      p <- p - lr decay p      p <- p - lr g / (sqrt(v) + eps)

    Source: Tieleman & Hinton 2012.
    """
    checks.rmsprop_step(p, dp, v, clock, slot, rho, eps, decay)
    if clock[BAD] != 0:
        return
    f, lr = p.dtype.type, clock[rate(slot, LR)]
    g = dp * clock[CLIP + slot]
    v[...] = f(rho) * v + f(1 - rho) * g * g
    p -= lr * f(decay) * p
    p -= lr * g / (np.sqrt(v) + f(eps))


def ema_update(state: Array, p: Array, clock: Array) -> None:
    """state <- decay state + (1 - decay) p, in place, decay = clock[EMA].

    Source: Yazici et al. 2019, arXiv:1806.04498.
    """
    checks.ema_update(state, p, clock)
    if clock[BAD] != 0:
        return
    decay = clock[EMA]
    state *= decay
    state += (1 - decay) * p


def finite_flag(value: Array, clock: Array) -> None:
    """Sets clock[BAD] to 1 unless the 0-d `value` (a loss, a gradient's sum of squares) is finite."""
    checks.finite_flag(value, clock)
    if not np.isfinite(value):
        clock[BAD] = 1


def clip_scale(norm2: Array, limit: float, clock: Array, slot: int) -> None:
    """clock[CLIP + slot] <- min(1, limit / sqrt(norm2)): a gradient of that squared norm gets at most length `limit`.

    Source: Pascanu et al. 2013, arXiv:1211.5063.
    """
    checks.clip_scale(norm2, limit, clock, slot)
    norm = np.sqrt(norm2)
    clock[CLIP + slot] = limit / norm if norm > limit else 1
