"""Update rules and the guard: csrc/optim.inl. Updates do nothing once clock[BAD] is set."""

from minigan.backends import checks
from minigan.backends.cpp.table import kernels, run
from minigan.models.shapes import Array


def adam_step(
    p: Array, dp: Array, m: Array, v: Array, clock: Array, slot: int,
    beta1: float, beta2: float, eps: float, decay: float,
) -> None:  # fmt: skip
    """p dp m v, same shape; p, m, v in place; the oracle's float32 bits on every instruction set."""
    run(kernels.adam_step, checks.adam_step, p, dp, m, v, clock, slot, beta1, beta2, eps, decay)


def sgd_step(p: Array, dp: Array, m: Array, clock: Array, slot: int, momentum: float, decay: float) -> None:
    """p dp m, same shape; p, m in place; the oracle's float32 bits."""
    run(kernels.sgd_step, checks.sgd_step, p, dp, m, clock, slot, momentum, decay)


def rmsprop_step(p: Array, dp: Array, v: Array, clock: Array, slot: int, rho: float, eps: float, decay: float) -> None:
    """p dp v, same shape; p, v in place; the oracle's float32 bits."""
    run(kernels.rmsprop_step, checks.rmsprop_step, p, dp, v, clock, slot, rho, eps, decay)


def ema_update(state: Array, p: Array, clock: Array) -> None:
    """state <- decay state + (1 - decay) p, in place, decay = clock[EMA]."""
    run(kernels.ema_update, checks.ema_update, state, p, clock)


def finite_flag(value: Array, clock: Array) -> None:
    """Sets clock[BAD] to 1 unless the 0-d `value` is finite."""
    run(kernels.finite_flag, checks.finite_flag, value, clock)


def clip_scale(norm2: Array, limit: float, clock: Array, slot: int) -> None:
    """clock[CLIP + slot] <- min(1, limit / sqrt(norm2))."""
    run(kernels.clip_scale, checks.clip_scale, norm2, limit, clock, slot)
