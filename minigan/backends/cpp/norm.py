"""Normalisation layers, sums in blocks of float32 and then float64: csrc/norm.inl."""

from minigan.backends import checks
from minigan.backends.cpp.table import kernels, run
from minigan.models.shapes import Act, Array


def batchnorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (...,C), gamma beta (C,) -> y (...,C), mean (C,), var (C,) biased; one group per channel."""
    return run(kernels.batchnorm, checks.batchnorm, x, gamma, beta, eps, act)


def batchnorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (...,C), gamma mean var (C,) -> dx (...,C); adds into dgamma, dbeta (C,)."""
    return run(
        kernels.batchnorm_backward, checks.batchnorm_backward, dy, x, gamma, mean, var, eps, dgamma, dbeta
    )  # fmt: skip


def batchnorm_running(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, act: Act | None = None
) -> Array:
    """As batchnorm, with the given statistics (C,) instead of the batch's."""
    return run(kernels.batchnorm_running, checks.batchnorm_running, x, gamma, beta, mean, var, eps, act)


def batchnorm_running_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """The statistics are constants here, so dx = gamma dy / sqrt(var + eps); adds into dgamma, dbeta (C,)."""
    return run(
        kernels.batchnorm_running_backward, checks.batchnorm_running_backward,
        dy, x, gamma, mean, var, eps, dgamma, dbeta,
    )  # fmt: skip


def running_update(state: Array, batch: Array, momentum: float) -> None:
    """state <- momentum state + (1 - momentum) batch, in place, (C,)."""
    run(kernels.running_update, checks.running_update, state, batch, momentum)


def layernorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (N,...,C), gamma beta (C,) -> y (N,...,C), mean (N,), var (N,) biased; one group per sample."""
    return run(kernels.layernorm, checks.layernorm, x, gamma, beta, eps, act)


def layernorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (N,...,C), gamma (C,), mean var (N,) -> dx; adds into dgamma, dbeta (C,)."""
    return run(
        kernels.layernorm_backward, checks.layernorm_backward, dy, x, gamma, mean, var, eps, dgamma, dbeta
    )  # fmt: skip


def layernorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> Array:
    """tx x (N,...,C), gamma (C,), mean var (N,) -> ty: how y, before its activation, moves when x moves along tx."""
    return run(kernels.layernorm_tangent, checks.layernorm_tangent, tx, x, gamma, mean, var, eps)


def layernorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    """tdy dy tx x (N,...,C) -> tdx: how dx moves along tdy and tx; adds into dgamma, dbeta (C,) how they move."""
    return run(
        kernels.layernorm_backward_tangent, checks.layernorm_backward_tangent,
        tdy, dy, tx, x, gamma, mean, var, eps, dgamma, dbeta,
    )  # fmt: skip


def instancenorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (N,H,W,C), gamma beta (C,) -> y, mean (N,C), var (N,C) biased; one group per sample and channel."""
    return run(kernels.instancenorm, checks.instancenorm, x, gamma, beta, eps, act)


def instancenorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (N,H,W,C), gamma (C,), mean var (N,C) -> dx; adds into dgamma, dbeta (C,)."""
    return run(
        kernels.instancenorm_backward, checks.instancenorm_backward, dy, x, gamma, mean, var, eps, dgamma, dbeta
    )  # fmt: skip


def instancenorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> Array:
    """tx x (N,H,W,C), gamma (C,), mean var (N,C) -> ty: how y, before its activation, moves when x moves along tx."""
    return run(kernels.instancenorm_tangent, checks.instancenorm_tangent, tx, x, gamma, mean, var, eps)


def instancenorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    """tdy dy tx x (N,H,W,C) -> tdx: how dx moves along tdy and tx; adds into dgamma, dbeta (C,) how they move."""
    return run(
        kernels.instancenorm_backward_tangent, checks.instancenorm_backward_tangent,
        tdy, dy, tx, x, gamma, mean, var, eps, dgamma, dbeta,
    )  # fmt: skip
