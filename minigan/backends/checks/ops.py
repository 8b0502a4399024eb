"""The rules of dense layers, convolutions, elementwise ops, norms, losses and updates."""

from minigan.backends.checks.rules import in_range, rule, two, with_channels
from minigan.backends.clock import SLOTS, WORDS
from minigan.errors import ShapeError
from minigan.models.shapes import (
    Act,
    Array,
    Pads,
    Pair,
    check_conv,
    check_conv_gradient,
    check_linear,
    expect,
    expect_same,
    expect_some,
)

LOSS_KINDS = ("bce", "mse", "hinge", "linear", "minimax")
NORM_KINDS = ("one", "zero")


def _clock(clock: Array, slot: int = 0) -> None:
    expect("clock", clock, WORDS)
    if not 0 <= slot < SLOTS:
        raise ShapeError(f"slot {slot} is not in the clock, expected 0 to {SLOTS - 1}")


# ----------------------------------------------------------------------------------------- dense layer and convolution


@rule("x w b?")
def linear(x: Array, w: Array, b: Array | None, act: Act | None = None) -> None:
    check_linear(x, w, b)


@rule("dy w")
def linear_dgrad(dy: Array, w: Array) -> None:
    expect_some("w", w, 2)
    expect("dy", dy, None, w.shape[1])


@rule("dy x dw! db!?")
def linear_wgrad(dy: Array, x: Array, dw: Array, db: Array | None) -> None:
    expect_some("dw", dw, 2)
    expect("x", x, None, dw.shape[0])
    expect("dy", dy, x.shape[0], dw.shape[1])
    if db is not None:
        expect("db", db, dw.shape[1])


@rule("labels# w")
def embedding(labels: Array, w: Array) -> None:
    expect_some("w", w, 2)
    expect("labels", labels, None)
    in_range("labels", labels, 0, w.shape[0] - 1)


@rule("dy labels# dw!")
def embedding_backward(dy: Array, labels: Array, dw: Array) -> None:
    embedding(labels, dw)
    expect("dy", dy, labels.shape[0], dw.shape[1])


@rule("x w b?")
def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None) -> None:
    check_conv(x, w, stride, padding)
    if b is not None:
        expect("b", b, w.shape[3])


@rule("dy w b?")
def conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
) -> None:
    check_conv_gradient(dy, w, stride, padding, out_hw)
    if b is not None:
        expect("b", b, w.shape[2])


@rule("dy x dw! db!?")
def conv2d_wgrad(dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    out = check_conv(x, dw, stride, padding)
    expect("dy", dy, x.shape[0], *out, dw.shape[3])
    if db is not None:
        expect("db", db, dw.shape[3])


@rule("dy db!")
def bias_grad(dy: Array, db: Array) -> None:
    with_channels("dy", dy)
    expect("db", db, dy.shape[-1])


# --------------------------------------------------------------------------------------------------------- elementwise


@rule("x")
def activation(x: Array, act: Act | None) -> None:
    expect_some("x", x)


@rule("dy y")
def activation_backward(dy: Array, y: Array, act: Act | None) -> None:
    expect_some("y", y)
    expect_same("dy", dy, "y", y)


@rule("tdy dy y ty")
def activation_backward_tangent(tdy: Array, dy: Array, y: Array, ty: Array, act: Act | None) -> None:
    activation_backward(dy, y, act)
    expect_same("tdy", tdy, "y", y)
    expect_same("ty", ty, "y", y)


@rule("x y")
def axpby(alpha: float, x: Array, beta: float, y: Array) -> None:
    two("x", x, "y", y)


@rule("x dp!")
def add_scaled(alpha: float, x: Array, dp: Array) -> None:
    two("x", x, "dp", dp)


@rule("x y")
def mul(x: Array, y: Array) -> None:
    two("x", x, "y", y)


@rule("x")
def scale(x: Array, alpha: float) -> None:
    expect_some("x", x)


@rule("x")
def exp(x: Array) -> None:
    expect_some("x", x)


@rule("p!")
def clip(p: Array, limit: float) -> None:
    expect_some("p", p)


@rule("x")
def mean(x: Array) -> None:
    expect_some("x", x)


@rule("x")
def sum_squares(x: Array) -> None:
    expect_some("x", x)


@rule("x")
def row_sum_squares(x: Array) -> None:
    with_channels("x", x)


@rule("x clock")
def dropout(x: Array, rate: float, clock: Array, offset: int) -> None:
    with_channels("x", x)
    _drawn(rate, clock, offset)


@rule("dy clock")
def dropout_backward(dy: Array, rate: float, clock: Array, offset: int) -> None:
    with_channels("dy", dy)
    _drawn(rate, clock, offset)


def _drawn(rate: float, clock: Array, offset: int) -> None:
    if not 0 <= rate < 1:
        raise ShapeError(f"dropout rate {rate} must lie in [0, 1)")
    if not 0 <= offset < 2**32:
        raise ShapeError(f"offset {offset} names no stream, expected 0 to {2**32 - 1}")
    _clock(clock)


# ------------------------------------------------------------------------------------------------------- normalisation


def _affine(x: Array, gamma: Array, beta: Array, name: str = "beta") -> None:
    with_channels("x", x)
    expect("gamma", gamma, x.shape[-1])
    expect(name, beta, x.shape[-1])


def _statistics(mean: Array, var: Array, *groups: int) -> None:
    expect("mean", mean, *groups)
    expect("var", var, *groups)


def _gradients(dy: Array, x: Array, gamma: Array, dgamma: Array, dbeta: Array) -> None:
    expect_same("dy", dy, "x", x)
    _affine(x, gamma, dbeta, "dbeta")
    expect("dgamma", dgamma, x.shape[-1])


@rule("x gamma beta")
def batchnorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> None:
    _affine(x, gamma, beta)


@rule("dy x gamma mean var dgamma! dbeta!")
def batchnorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> None:
    _gradients(dy, x, gamma, dgamma, dbeta)
    _statistics(mean, var, x.shape[-1])


@rule("x gamma beta mean var")
def batchnorm_running(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, act: Act | None = None
) -> None:
    _affine(x, gamma, beta)
    _statistics(mean, var, x.shape[-1])


@rule("dy x gamma mean var dgamma! dbeta!")
def batchnorm_running_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> None:
    batchnorm_backward(dy, x, gamma, mean, var, eps, dgamma, dbeta)


@rule("state! batch")
def running_update(state: Array, batch: Array, momentum: float) -> None:
    two("batch", batch, "state", state)


@rule("x gamma beta")
def layernorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> None:
    _affine(x, gamma, beta)
    _batched(x)


def _batched(x: Array) -> None:
    if x.ndim < 2:
        raise ShapeError(
            f"x has shape {tuple(x.shape)}, expected samples along the first axis and channels along the last"
        )


@rule("dy x gamma mean var dgamma! dbeta!")
def layernorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> None:
    _gradients(dy, x, gamma, dgamma, dbeta)
    _batched(x)
    _statistics(mean, var, x.shape[0])


@rule("tx x gamma mean var")
def layernorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> None:
    _affine(x, gamma, gamma)
    _batched(x)
    _statistics(mean, var, x.shape[0])
    expect_same("tx", tx, "x", x)


@rule("tdy dy tx x gamma mean var dgamma! dbeta!")
def layernorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> None:  # fmt: skip
    layernorm_backward(dy, x, gamma, mean, var, eps, dgamma, dbeta)
    expect_same("tdy", tdy, "x", x)
    expect_same("tx", tx, "x", x)


@rule("x gamma beta")
def instancenorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> None:
    expect_some("x", x, 4)
    _affine(x, gamma, beta)


@rule("dy x gamma mean var dgamma! dbeta!")
def instancenorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> None:
    expect_some("x", x, 4)
    _gradients(dy, x, gamma, dgamma, dbeta)
    _statistics(mean, var, x.shape[0], x.shape[-1])


@rule("tx x gamma mean var")
def instancenorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> None:
    expect_some("x", x, 4)
    _affine(x, gamma, gamma)
    _statistics(mean, var, x.shape[0], x.shape[-1])
    expect_same("tx", tx, "x", x)


@rule("tdy dy tx x gamma mean var dgamma! dbeta!")
def instancenorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> None:  # fmt: skip
    instancenorm_backward(dy, x, gamma, mean, var, eps, dgamma, dbeta)
    expect_same("tdy", tdy, "x", x)
    expect_same("tx", tx, "x", x)


# -------------------------------------------------------------------------------------------------------------- losses


@rule("x")
def logit_loss(x: Array, kind: str, target: float) -> None:
    expect_some("x", x)
    if kind not in LOSS_KINDS:
        raise ShapeError(f"loss kind {kind!r} is unknown; known: {', '.join(LOSS_KINDS)}")
    if kind == "hinge" and target not in (1, -1):
        raise ShapeError(f"the hinge's target is {target:g}, expected 1 (real) or -1 (generated)")


@rule("x labels#")
def softmax_cross_entropy(x: Array, labels: Array) -> None:
    expect_some("x", x, 2)
    expect("labels", labels, x.shape[0])
    in_range("labels", labels, 0, x.shape[1] - 1)


@rule("x target")
def l1_loss(x: Array, target: Array) -> None:
    two("x", x, "target", target)


@rule("x target")
def mse_loss(x: Array, target: Array) -> None:
    two("x", x, "target", target)


@rule("x")
def norm_loss(x: Array, kind: str) -> None:
    with_channels("x", x)
    if kind not in NORM_KINDS:
        raise ShapeError(f"norm kind {kind!r} is unknown; known: {', '.join(NORM_KINDS)}")


@rule("mean logvar")
def kl_gauss(mean: Array, logvar: Array) -> None:
    expect_some("mean", mean, 2)
    expect_same("logvar", logvar, "mean", mean)


# ------------------------------------------------------------------------------------------------------------- updates


def _slabs(p: Array, clock: Array, slot: int = 0, **others: Array) -> None:
    expect_some("p", p)
    for name, slab in others.items():
        expect_same(name, slab, "p", p)
    _clock(clock, slot)


@rule("p! dp m! v! clock")
def adam_step(
    p: Array, dp: Array, m: Array, v: Array, clock: Array, slot: int,
    beta1: float, beta2: float, eps: float, decay: float,
) -> None:  # fmt: skip
    _slabs(p, clock, slot, dp=dp, m=m, v=v)


@rule("p! dp m! clock")
def sgd_step(p: Array, dp: Array, m: Array, clock: Array, slot: int, momentum: float, decay: float) -> None:
    _slabs(p, clock, slot, dp=dp, m=m)


@rule("p! dp v! clock")
def rmsprop_step(p: Array, dp: Array, v: Array, clock: Array, slot: int, rho: float, eps: float, decay: float) -> None:
    _slabs(p, clock, slot, dp=dp, v=v)


@rule("state! p clock")
def ema_update(state: Array, p: Array, clock: Array) -> None:
    two("state", state, "p", p)
    _clock(clock)


@rule("value clock!")
def finite_flag(value: Array, clock: Array) -> None:
    expect("value", value)
    _clock(clock)


@rule("norm2 clock!")
def clip_scale(norm2: Array, limit: float, clock: Array, slot: int) -> None:
    expect("norm2", norm2)
    _clock(clock, slot)
