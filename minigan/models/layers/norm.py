"""Normalisations: batchnorm over the batch, layernorm and instancenorm within each sample."""

from typing import Any

from minigan.models.init import constant
from minigan.models.layers.base import How, Layer, Param, bent, or_zeros
from minigan.models.shapes import Act, Array, Shape


class _Norm(Layer):
    gamma: Array
    beta: Array
    dgamma: Array
    dbeta: Array

    def __init__(self, eps: float = 1e-5, act: Act | None = None):
        self.eps, self.act = eps, act

    def build(self, in_shape: Shape) -> Shape:
        c = in_shape[-1]
        self.params["gamma"] = Param((c,), constant(1.0), c, c, decay=False)
        self.params["beta"] = Param((c,), constant(0.0), c, c, decay=False)
        return in_shape


class BatchNorm(_Norm):
    """Modes: "batch" (batch statistics, running ones updated), "frozen" (batch statistics, running ones untouched),
    "running" (running statistics, constants in backward).   running = momentum running + (1 - momentum) batch
    """

    mean: Array
    var: Array
    couples = True

    def __init__(self, eps: float = 1e-5, momentum: float = 0.9, act: Act | None = None):
        super().__init__(eps, act)
        self.momentum = momentum

    def build(self, in_shape: Shape) -> Shape:
        self.state.update(mean=0.0, var=1.0)
        return super().build(in_shape)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        if how.mode == "running":
            mean, var = (self.ops.scale(a, 1.0) for a in (self.mean, self.var))  # copies: these move before backward
            y = self.ops.batchnorm_running(x, self.gamma, self.beta, mean, var, self.eps, self.act)
            return y, (x, mean, var, y, self.ops.batchnorm_running_backward)
        y, mean, var = self.ops.batchnorm(x, self.gamma, self.beta, self.eps, self.act)
        if how.mode == "batch":
            self.ops.running_update(self.mean, mean, self.momentum)
            self.ops.running_update(self.var, var, self.momentum)
        return y, (x, mean, var, y, self.ops.batchnorm_backward)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, mean, var, y, rule = ctx
        dy = self.ops.activation_backward(dy, y, self.act)
        return rule(dy, x, self.gamma, mean, var, self.eps, *_or_scratch(self, need_dw))


class _WithinSample(_Norm):
    """y = act(op(x)): statistics of one sample alone, so there are no modes, and second derivatives.

    `op` begins the names of its four ops in the oracle: op, op_backward, op_tangent, op_backward_tangent.
    """

    op: str

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        y, mean, var = self._op("")(x, self.gamma, self.beta, self.eps, self.act)
        return y, (x, mean, var, y)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, mean, var, y = ctx
        dy = self.ops.activation_backward(dy, y, self.act)
        return self._op("_backward")(dy, x, self.gamma, mean, var, self.eps, *_or_scratch(self, need_dw))

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        x, mean, var, y = ctx
        ty = self._op("_tangent")(tx, x, self.gamma, mean, var, self.eps)
        ty = self.ops.activation_backward(ty, y, self.act)
        return ty, (tx, ty)

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        (x, mean, var, y), (tx, ty) = ctx, tctx
        tdy, dy = bent(self.ops, tdy, dy, y, ty, self.act), self.ops.activation_backward(dy, y, self.act)
        return self._op("_backward_tangent")(
            or_zeros(self.ops, tdy, dy), dy, tx, x, self.gamma, mean, var, self.eps, *_or_scratch(self, need_dw)
        )

    def _op(self, which: str) -> Any:
        return getattr(self.ops, self.op + which)


class LayerNorm(_WithinSample):
    """One group per sample; see layernorm in the oracle."""

    op = "layernorm"


class InstanceNorm(_WithinSample):
    """One group per sample and channel; see instancenorm in the oracle."""

    op = "instancenorm"


def _or_scratch(norm: _Norm, need_dw: bool) -> tuple[Array, Array]:
    """Where a norm's parameter gradients go: its own buffers, or thrown-away ones when they are not wanted."""
    if need_dw:
        return norm.dgamma, norm.dbeta
    return norm.ops.zeros(norm.gamma.shape, norm.gamma.dtype), norm.ops.zeros(norm.beta.shape, norm.beta.dtype)
