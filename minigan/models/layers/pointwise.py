"""Layers that take each number by itself: Activation, Dropout."""

import zlib
from typing import Any

from minigan.errors import ShapeError
from minigan.models.layers.base import How, Layer, Straight, bent
from minigan.models.shapes import Act, Array, Shape


class Activation(Layer):
    """y = act(x), where no layer before it can take the activation as its epilogue."""

    def __init__(self, act: Act):
        self.act = act

    def build(self, in_shape: Shape) -> Shape:
        return in_shape

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        y = self.ops.activation(x, self.act)
        return y, y

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        return self.ops.activation_backward(dy, ctx, self.act)

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        ty = self.ops.activation_backward(tx, ctx, self.act)
        return ty, ty

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        return bent(self.ops, tdy, dy, ctx, tctx, self.act)


class Dropout(Straight):
    """Drops with probability `rate` and scales by 1 / (1 - rate); the identity in mode "running".

    Its ctx is the clock and an offset, not a mask: valid until the clock's next tick.
    """

    def __init__(self, rate: float):
        if not 0 <= rate < 1:
            raise ShapeError(f"dropout rate {rate} must lie in [0, 1)")
        self.rate = rate

    def build(self, in_shape: Shape) -> Shape:
        self.stream = zlib.crc32(self.name.encode()) & 0xFFFFFF00  # the low byte numbers the passes of a sub-step
        return in_shape

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        if how.mode == "running":
            return x, None
        if how.clock is None:
            raise ShapeError(f"{self.name} draws from the clock; bind the net with one, or run it in mode 'running'")
        offset = self.stream | how.call
        return self.ops.dropout(x, self.rate, how.clock, offset), (how.clock, offset)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        return dy if ctx is None else self.ops.dropout_backward(dy, self.rate, *ctx)

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        return tx if ctx is None else self.ops.dropout(tx, self.rate, *ctx), None  # the mask that x met
