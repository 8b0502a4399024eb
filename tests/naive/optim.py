"""Update rules, as literal loops that round in the arrays' own type, operation by operation."""

import math

import numpy as np

from minigan.backends.clock import BAD, C1, C2, CLIP, EMA, LR, rate
from minigan.models.shapes import Array
from naive.scalars import indices


def adam_step(
    p: Array, dp: Array, m: Array, v: Array, clock: Array, slot: int,
    beta1: float, beta2: float, eps: float, decay: float,
) -> None:  # fmt: skip
    if clock[BAD] != 0:
        return
    f, lr, c1, c2 = p.dtype.type, clock[rate(slot, LR)], clock[rate(slot, C1)], clock[rate(slot, C2)]
    for i in indices(p.shape):
        g = dp[i] * clock[CLIP + slot]
        m[i] = f(beta1) * m[i] + f(1 - beta1) * g
        v[i] = f(beta2) * v[i] + f(1 - beta2) * g * g
        p[i] = p[i] - lr * f(decay) * p[i]
        p[i] = p[i] - lr * (m[i] * c1) / (np.sqrt(v[i] * c2) + f(eps))


def sgd_step(p: Array, dp: Array, m: Array, clock: Array, slot: int, momentum: float, decay: float) -> None:
    if clock[BAD] != 0:
        return
    f, lr = p.dtype.type, clock[rate(slot, LR)]
    for i in indices(p.shape):
        m[i] = f(momentum) * m[i] + dp[i] * clock[CLIP + slot]
        p[i] = p[i] - lr * f(decay) * p[i]
        p[i] = p[i] - lr * m[i]


def rmsprop_step(p: Array, dp: Array, v: Array, clock: Array, slot: int, rho: float, eps: float, decay: float) -> None:
    if clock[BAD] != 0:
        return
    f, lr = p.dtype.type, clock[rate(slot, LR)]
    for i in indices(p.shape):
        g = dp[i] * clock[CLIP + slot]
        v[i] = f(rho) * v[i] + f(1 - rho) * g * g
        p[i] = p[i] - lr * f(decay) * p[i]
        p[i] = p[i] - lr * g / (np.sqrt(v[i]) + f(eps))


def ema_update(state: Array, p: Array, clock: Array) -> None:
    if clock[BAD] != 0:
        return
    decay = clock[EMA]
    for i in indices(p.shape):
        state[i] = decay * state[i] + (1 - decay) * p[i]


def finite_flag(value: Array, clock: Array) -> None:
    if not math.isfinite(value):
        clock[BAD] = 1


def clip_scale(norm2: Array, limit: float, clock: Array, slot: int) -> None:
    norm = math.sqrt(norm2)
    clock[CLIP + slot] = limit / norm if norm > limit else 1
