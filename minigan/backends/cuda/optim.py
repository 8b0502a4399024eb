"""Update rules and the guard, a slab at a time: one thread per parameter. Updates do nothing once clock[BAD] is set.

Each operation is rounded by itself, in the oracle's order, so that the bits are those of the same float32 expression
in NumPy: a compiler would otherwise make one fused multiply-add of a product and a sum. Rates are read from `clock` on
the device, so that a recorded step is replayed with new ones.
"""

import math

from minigan.backends import checks
from minigan.backends.clock import BAD, C1, C2, CLIP, EMA, LR, RATES
from minigan.backends.cuda._numba import cuda, device_function, float32, libdevice
from minigan.backends.cuda.launch import checked, kernel
from minigan.models.shapes import Array

_LR, _C1, _C2 = RATES + LR, RATES + C1, RATES + C2  # of slot 0; each slot has three words
_add, _minus, _times = libdevice.fadd_rn, libdevice.fsub_rn, libdevice.fmul_rn
_over, _root = libdevice.fdiv_rn, libdevice.fsqrt_rn


@device_function
def _mix(a, x, b, y):
    """a x + b y, three roundings"""
    return _add(_times(a, x), _times(b, y))


@device_function
def _decayed(p, lr, decay):
    """p - lr decay p"""
    return _minus(p, _times(_times(lr, decay), p))


@kernel(
    "void(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], int32, "
    "float32, float32, float32, float32, float32, float32)"
)
def _adam(p, dp, m, v, clock, slot, beta1, rest1, beta2, rest2, eps, decay):
    """p dp m v (n,); rest = 1 - beta"""
    i = cuda.grid(1)
    if i < p.size and clock[BAD] == 0:
        lr, c1, c2 = clock[_LR + 3 * slot], clock[_C1 + 3 * slot], clock[_C2 + 3 * slot]
        g = _times(dp[i], clock[CLIP + slot])
        mean = _mix(beta1, m[i], rest1, g)
        square = _add(_times(beta2, v[i]), _times(_times(rest2, g), g))
        step = _over(_times(lr, _times(mean, c1)), _add(_root(_times(square, c2)), eps))
        m[i] = mean
        v[i] = square
        p[i] = _minus(_decayed(p[i], lr, decay), step)


@kernel("void(float32[::1], float32[::1], float32[::1], float32[::1], int32, float32, float32)")
def _sgd(p, dp, m, clock, slot, momentum, decay):
    """p dp m (n,)"""
    i = cuda.grid(1)
    if i < p.size and clock[BAD] == 0:
        lr = clock[_LR + 3 * slot]
        mean = _mix(momentum, m[i], dp[i], clock[CLIP + slot])
        m[i] = mean
        p[i] = _minus(_decayed(p[i], lr, decay), _times(lr, mean))


@kernel("void(float32[::1], float32[::1], float32[::1], float32[::1], int32, float32, float32, float32, float32)")
def _rmsprop(p, dp, v, clock, slot, rho, rest, eps, decay):
    """p dp v (n,); rest = 1 - rho"""
    i = cuda.grid(1)
    if i < p.size and clock[BAD] == 0:
        lr = clock[_LR + 3 * slot]
        g = _times(dp[i], clock[CLIP + slot])
        square = _add(_times(rho, v[i]), _times(_times(rest, g), g))
        v[i] = square
        p[i] = _minus(_decayed(p[i], lr, decay), _over(_times(lr, g), _add(_root(square), eps)))


@kernel("void(float32[::1], float32[::1], float32[::1])")
def _ema(state, p, clock):
    """state p (n,)"""
    i = cuda.grid(1)
    if i < p.size and clock[BAD] == 0:
        decay = clock[EMA]
        state[i] = _mix(state[i], decay, _minus(float32(1), decay), p[i])


@kernel("void(float32[::1], float32[::1], float32, float32)")
def blend(state, batch, momentum, rest):
    """state batch (n,): state <- momentum state + rest batch; rest = 1 - momentum"""
    i = cuda.grid(1)
    if i < state.size:
        state[i] = _mix(state[i], momentum, rest, batch[i])


@kernel("void(float32[::1], float32[::1])", block=1)
def _flag(value, clock):
    """value (1,), clock: BAD becomes 1 unless value is finite"""
    if not math.isfinite(value[0]):
        clock[BAD] = float32(1)


@kernel("void(float32[::1], float32, float32[::1], int32)", block=1)
def _clip_factor(norm2, limit, clock, slot):
    """norm2 (1,), clock: CLIP + slot becomes min(1, limit / sqrt(norm2))"""
    norm = _root(norm2[0])
    clock[CLIP + slot] = _over(limit, norm) if norm > limit else float32(1)


def adam_step(
    p: Array, dp: Array, m: Array, v: Array, clock: Array, slot: int,
    beta1: float, beta2: float, eps: float, decay: float,
) -> None:  # fmt: skip
    """p dp m v, same shape; p, m, v in place; the oracle's float32 bits."""
    checked(checks.adam_step, p, dp, m, v, clock, slot, beta1, beta2, eps, decay)
    hyper = (beta1, 1 - beta1, beta2, 1 - beta2, eps, decay)
    _adam(p.size, p, dp, m, v, clock, int(slot), *map(float, hyper))


def sgd_step(p: Array, dp: Array, m: Array, clock: Array, slot: int, momentum: float, decay: float) -> None:
    """p dp m, same shape; p, m in place; the oracle's float32 bits."""
    checked(checks.sgd_step, p, dp, m, clock, slot, momentum, decay)
    _sgd(p.size, p, dp, m, clock, int(slot), float(momentum), float(decay))


def rmsprop_step(p: Array, dp: Array, v: Array, clock: Array, slot: int, rho: float, eps: float, decay: float) -> None:
    """p dp v, same shape; p, v in place; the oracle's float32 bits."""
    checked(checks.rmsprop_step, p, dp, v, clock, slot, rho, eps, decay)
    _rmsprop(p.size, p, dp, v, clock, int(slot), *map(float, (rho, 1 - rho, eps, decay)))


def ema_update(state: Array, p: Array, clock: Array) -> None:
    """state <- decay state + (1 - decay) p, in place, decay = clock[EMA]."""
    checked(checks.ema_update, state, p, clock)
    _ema(p.size, state, p, clock)


def finite_flag(value: Array, clock: Array) -> None:
    """Sets clock[BAD] to 1 unless the 0-d `value` is finite."""
    checked(checks.finite_flag, value, clock)
    _flag(1, value, clock)


def clip_scale(norm2: Array, limit: float, clock: Array, slot: int) -> None:
    """clock[CLIP + slot] <- min(1, limit / sqrt(norm2))."""
    checked(checks.clip_scale, norm2, limit, clock, slot)
    _clip_factor(1, norm2, float(limit), clock, int(slot))
