"""Layers that are told the samples' labels (how.labels), and do otherwise with each. Labels have no gradient."""

from typing import Any

from minigan.errors import ShapeError
from minigan.models.init import Init, constant, normal
from minigan.models.layers.base import DCGAN_NORMAL, How, Layer, Param
from minigan.models.shapes import Act, Array, Shape

UNIT_NORMAL = normal(1.0)  # as large as what the label is joined to: z, or a picture in -1..1


class ConcatLabel(Layer):
    """y = [x, e] along the last axis, e[n] = w[label_n]:   x (N,...,C), w (K, ... F) flat -> y (N,...,C+F)

    Features get F more of them; an image gets F more planes, learned pixel by pixel.
    Source: Mirza & Osindero 2014, arXiv:1411.1784.
    """

    w: Array
    dw: Array

    def __init__(self, classes: int, features: int, init: Init = UNIT_NORMAL):
        self.classes, self.features, self.init = classes, features, init

    def build(self, in_shape: Shape) -> Shape:
        *self.axes, c = in_shape
        size = self.features
        for n in self.axes:
            size *= n
        self.params["w"] = Param((self.classes, size), self.init, self.classes, size)
        return (*self.axes, c + self.features)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        labels = told(self, how)
        e = self.ops.embedding(labels, self.w).reshape(x.shape[0], *self.axes, self.features)
        return self.ops.concat(x, e), labels

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        dx, de = self.ops.split(dy, self.in_shape[-1])
        if need_dw:
            self.ops.embedding_backward(de.reshape(dy.shape[0], -1), ctx, self.dw)
        return dx if need_dx else None

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        still = self.ops.zeros((tx.shape[0], *self.axes, self.features), tx.dtype)
        return self.ops.concat(tx, still), None

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        return None if tdy is None else self.backward(tdy, ctx, need_dx, need_dw)  # dw knows no x, dx no w


class Projection(Layer):
    """How far x points where its label does:   x (N,F), w (K,F) -> y (N,1), y[n] = sum_f w[label_n, f] x[n,f]

    Source: Miyato & Koyama 2018, arXiv:1802.05637.
    """

    w: Array
    dw: Array

    def __init__(self, classes: int, init: Init = DCGAN_NORMAL):
        self.classes, self.init = classes, init

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(1, "features (F,)")
        self.params["w"] = Param((self.classes, *in_shape), self.init, in_shape[0], 1)
        return (1,)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        labels = told(self, how)
        e = self.ops.embedding(labels, self.w)
        return self._row_sums(self.ops.mul(x, e)), (x, e, labels)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, e, labels = ctx
        if need_dw:
            self.ops.embedding_backward(self._times(dy, x), labels, self.dw)
        return self._times(dy, e) if need_dx else None

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        _, e, _ = ctx
        return self._row_sums(self.ops.mul(tx, e)), tx

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        _, _, labels = ctx
        if need_dw:
            self.ops.embedding_backward(self._times(dy, tctx), labels, self.dw)
        return None if tdy is None else self.backward(tdy, ctx, need_dx, need_dw)

    def _ones(self, like: Array) -> Array:
        return ones(self.ops, (self.in_shape[0], 1), like.dtype)

    def _row_sums(self, x: Array) -> Array:
        return self.ops.linear(x, self._ones(x), None)

    def _times(self, dy: Array, x: Array) -> Array:
        """dy (N,1), x (N,F) -> dy[n] x[n,f]"""
        return self.ops.mul(self.ops.linear_dgrad(dy, self._ones(dy)), x)


class ConditionalBatchNorm(Layer):
    """y = act(gamma[label_n] h + beta[label_n]), h = (x - mean) / sqrt(var + eps):   gamma, beta (K,C)

    mean and var (C,) are those of the whole batch, whatever its labels, in BatchNorm's modes.
    Source: Dumoulin et al. 2017, arXiv:1610.07629; de Vries et al. 2017, arXiv:1707.00683.
    """

    gamma: Array
    beta: Array
    dgamma: Array
    dbeta: Array
    mean: Array
    var: Array
    couples = True

    def __init__(self, classes: int, eps: float = 1e-5, momentum: float = 0.9, act: Act | None = None):
        self.classes, self.eps, self.momentum, self.act = classes, eps, momentum, act

    def build(self, in_shape: Shape) -> Shape:
        *axes, c = in_shape
        self.pixels = 1
        for n in axes:
            self.pixels *= n
        self.params["gamma"] = Param((self.classes, c), constant(1.0), c, c, decay=False)
        self.params["beta"] = Param((self.classes, c), constant(0.0), c, c, decay=False)
        self.state.update(mean=0.0, var=1.0)
        return in_shape

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        labels, (gain, shift) = told(self, how), self._plain(x)
        if how.mode == "running":
            mean, var = (self.ops.scale(a, 1.0) for a in (self.mean, self.var))  # copies: these move before backward
            h = self.ops.batchnorm_running(x, gain, shift, mean, var, self.eps)
            rule = self.ops.batchnorm_running_backward
        else:
            h, mean, var = self.ops.batchnorm(x, gain, shift, self.eps)
            rule = self.ops.batchnorm_backward
        if how.mode == "batch":
            self.ops.running_update(self.mean, mean, self.momentum)
            self.ops.running_update(self.var, var, self.momentum)
        gamma, beta = (self._spread(self.ops.embedding(labels, a), x) for a in (self.gamma, self.beta))
        y = self.ops.activation(self.ops.axpby(1.0, self.ops.mul(gamma, h), 1.0, beta), self.act)
        return y, (x, h, gamma, mean, var, y, labels, rule)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, h, gamma, mean, var, y, labels, rule = ctx
        dy = self.ops.activation_backward(dy, y, self.act)
        if need_dw:
            self.ops.embedding_backward(self._gathered(self.ops.mul(dy, h)), labels, self.dgamma)
            self.ops.embedding_backward(self._gathered(dy), labels, self.dbeta)
        if not need_dx:
            return None
        gain, scratch = self._plain(x)
        return rule(self.ops.mul(dy, gamma), x, gain, mean, var, self.eps, self.ops.scale(scratch, 1.0), scratch)

    def _plain(self, x: Array) -> tuple[Array, Array]:
        """A gamma of ones and a beta of zeros, (C,)."""
        c = self.in_shape[-1:]
        return ones(self.ops, c, x.dtype), self.ops.zeros(c, x.dtype)

    def _spread(self, v: Array, x: Array) -> Array:
        """v (N,C) -> like x (N,...,C), the same at every pixel."""
        return tiled(self.ops, v, self.pixels).reshape(x.shape)

    def _gathered(self, dx: Array) -> Array:
        """The backward of `_spread`: dx (N,...,C) -> dv (N,C), the sum over the pixels."""
        return folded(self.ops, dx.reshape(dx.shape[0], -1), self.pixels)


def told(layer: Layer, how: How) -> Array:
    """The labels (N,) of this pass. Raises ShapeError when it was given none."""
    if how.labels is None:
        raise ShapeError(f"{layer.name} ({type(layer).__name__}) is told labels; give forward(x, labels=labels)")
    return how.labels


def ones(ops: Any, shape: Shape, dtype: Any) -> Array:
    a = ops.zeros(shape, dtype)
    ops.copyto(a, 1)
    return a


def tiled(ops: Any, v: Array, m: int) -> Array:
    """v (N,C) -> (N, m C), m copies of every row side by side, by doubling."""
    if m == 1:
        return v
    half = tiled(ops, v, m // 2)
    y = ops.concat(half, half)
    return ops.concat(y, v) if m % 2 else y


def folded(ops: Any, dy: Array, m: int) -> Array:
    """The backward of `tiled`: dy (N, m C) -> dv (N,C), the sum of the m parts of every row, by halving."""
    if m == 1:
        return dy
    c = dy.shape[1] // m
    if m % 2:
        first, rest = ops.split(dy, c)
        return ops.axpby(1.0, first, 1.0, folded(ops, rest, m - 1))
    a, b = ops.split(dy, m // 2 * c)
    return folded(ops, ops.axpby(1.0, a, 1.0, b), m // 2)
