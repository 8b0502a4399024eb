"""Layers that are a matrix: Linear, and Embedding, which looks its rows up."""

from typing import Any

from minigan.models.init import Init, constant
from minigan.models.layers.base import DCGAN_NORMAL, How, Layer, Param, bent
from minigan.models.shapes import Act, Array, Shape


class Linear(Layer):
    """y = act(x w + b):   x (N,I), w (I,O), b (O,) -> y (N,O)"""

    w: Array
    b: Array | None
    dw: Array
    db: Array | None

    def __init__(self, out: int, bias: bool = True, act: Act | None = None, init: Init = DCGAN_NORMAL):
        self.out, self.bias, self.act, self.init = out, bias, act, init
        self.b = self.db = None

    def build(self, in_shape: Shape) -> Shape:
        self.in_shape = in_shape
        self._expect_axes(1, "features (F,)")
        self.params["w"] = Param((in_shape[0], self.out), self.init, in_shape[0], self.out)
        if self.bias:
            self.params["b"] = Param((self.out,), constant(0.0), in_shape[0], self.out, decay=False)
        return (self.out,)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        y = self.ops.linear(x, self.w, self.b, self.act)
        return y, (x, y)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, y = ctx
        dy = self.ops.activation_backward(dy, y, self.act)
        if need_dw:
            self.ops.linear_wgrad(dy, x, self.dw, self.db)
        return self.ops.linear_dgrad(dy, self.w) if need_dx else None

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        _, y = ctx
        ty = self.ops.activation_backward(self.ops.linear(tx, self.w, None), y, self.act)
        return ty, (tx, ty)

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        (x, y), (tx, ty) = ctx, tctx
        tdy, dy = bent(self.ops, tdy, dy, y, ty, self.act), self.ops.activation_backward(dy, y, self.act)
        if need_dw:
            self.ops.linear_wgrad(dy, tx, self.dw, None)  # b does not reach dx, so tx adds nothing to db
            if tdy is not None:
                self.ops.linear_wgrad(tdy, x, self.dw, self.db)
        return self.ops.linear_dgrad(tdy, self.w) if need_dx and tdy is not None else None


class Embedding(Layer):
    """labels (N,) integers in [0, K) -> y (N,F), y[n] = w[label_n]; labels have no gradient"""

    w: Array
    dw: Array

    def __init__(self, classes: int, features: int, init: Init = DCGAN_NORMAL):
        self.classes, self.features, self.init = classes, features, init

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(0, "labels ()")
        self.params["w"] = Param((self.classes, self.features), self.init, self.classes, self.features)
        return (self.features,)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        return self.ops.embedding(x, self.w), x

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        if need_dw:
            self.ops.embedding_backward(dy, ctx, self.dw)
        return None

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        return self.ops.zeros((len(ctx), self.features), self.w.dtype), None  # labels do not move

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        return None if tdy is None else self.backward(tdy, ctx, need_dx, need_dw)
