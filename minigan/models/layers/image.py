"""Layers that move pixels, or say how the samples of a batch differ."""

from typing import Any

from minigan.errors import ShapeError
from minigan.models.layers.base import How, Layer, Straight
from minigan.models.shapes import Array, Shape


class Reshape(Straight):
    """x (N, ...) -> (N, *shape), the same values in the same order; -1 in one place stands for what is left."""

    def __init__(self, *shape: int):
        self.shape = shape

    def build(self, in_shape: Shape) -> Shape:
        size = known = 1
        for n in in_shape:
            size *= n
        for n in self.shape:
            known *= n if n != -1 else 1
        shape = tuple(size // known if n == -1 else n for n in self.shape)
        total = 1
        for n in shape:
            total *= n
        if total != size:
            raise ShapeError(f"{self.name} cannot reshape {in_shape} ({size} values) to {self.shape}")
        return shape

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        return x.reshape(x.shape[0], *self.out_shape), None

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        return dy.reshape(dy.shape[0], *self.in_shape)

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        return tx.reshape(tx.shape[0], *self.out_shape), None


class Upsample2x(Straight):
    """Nearest neighbour: (N,H,W,C) -> (N,2H,2W,C)"""

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(3, "images (H,W,C)")
        return 2 * in_shape[0], 2 * in_shape[1], in_shape[2]

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        return self.ops.upsample2x(x), None

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        return self.ops.upsample2x_backward(dy)

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        return self.ops.upsample2x(tx), None


class AvgPool2x(Straight):
    """The mean of each 2x2 block: (N,2P,2Q,C) -> (N,P,Q,C)"""

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(3, "images (H,W,C)")
        if in_shape[0] % 2 or in_shape[1] % 2:
            raise ShapeError(f"{self.name} halves images, but {in_shape[0]}x{in_shape[1]} is odd")
        return in_shape[0] // 2, in_shape[1] // 2, in_shape[2]

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        return self.ops.avgpool2x(x), None

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        return self.ops.avgpool2x_backward(dy)

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        return self.ops.avgpool2x(tx), None


class MinibatchStddev(Layer):
    """One more channel that says how much the samples of a group differ: (N,H,W,C) -> (N,H,W,C+1)"""

    couples = True

    def __init__(self, group: int = 4, eps: float = 1e-8):
        self.group, self.eps = group, eps

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(3, "images (H,W,C)")
        return (*in_shape[:2], in_shape[2] + 1)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        return self.ops.minibatch_stddev(x, self.group, self.eps), x

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        return self.ops.minibatch_stddev_backward(dy, ctx, self.group, self.eps)
