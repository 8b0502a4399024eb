"""What every layer is, and what a tangent needs of an activation."""

from typing import Any, NamedTuple

from minigan.errors import ShapeError
from minigan.models.init import Init, normal
from minigan.models.shapes import CURVED, Act, Array, Shape

MODES = ("batch", "frozen", "running")
DCGAN_NORMAL = normal(0.02)


class Param(NamedTuple):
    """A parameter to be: weight decay and lambda ||theta||^2 touch it only when `decay`."""

    shape: Shape
    init: Init
    fan_in: int
    fan_out: int
    decay: bool = True


class How(NamedTuple):
    """How a pass runs: batchnorm's mode, the clock that dropout reads, the number of this pass within the sub-step, and
    the samples' labels (N,) int32 for layers that are told them.
    """

    mode: str
    clock: Array
    call: int
    labels: Array | None = None


class Layer:
    """A leaf of a net. Subclasses fill `params` and `state` in `build` and find the bound views as attributes.

    For a parameter `w` the bound attributes are self.w and self.dw; for a state `mean` it is self.mean.
    """

    ops: Any
    name: str
    in_shape: Shape
    out_shape: Shape
    params: dict[str, Param]
    state: dict[str, float]  # name -> initial value; every state here is (C,)
    frozen = False  # whether its parameters stay as they are; see Net
    couples = False  # whether a sample's y depends on the other samples of its batch

    def attach(self, name: str, in_shape: Shape) -> Shape:
        """Names the layer, works out its shapes (without N) and declares its parameters."""
        self.name, self.in_shape, self.params, self.state = name, in_shape, {}, {}
        self.out_shape = self.build(in_shape)
        return self.out_shape

    def build(self, in_shape: Shape) -> Shape:
        """in_shape -> out_shape, both without N. Raises ShapeError when the layer cannot take in_shape."""
        raise NotImplementedError(f"{type(self).__name__} has no build")

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        """x (N, *in_shape) -> y (N, *out_shape), ctx"""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        """dy (N, *out_shape) -> dx (N, *in_shape), or None when not needed; adds parameter gradients when need_dw."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        """How y moves when x moves along tx (N, *in_shape) -> ty (N, *out_shape), tctx."""
        raise NotImplementedError(f"{type(self).__name__} has no forward_tangent")

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        """How dx moves when x moves along tx (in tctx) and dy along tdy -> tdx; adds how dw moves when need_dw.

        None stands for a tdy of zeros, and is what is returned where tdx would be that, or is not needed.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward_tangent")

    def prepare(self, n: int) -> None:
        """Makes the weights ready for many forward passes of n samples; see Net.prepare. Most layers need nothing."""

    def release(self) -> None:
        """Forgets what `prepare` made."""

    def _expect_axes(self, n: int, words: str) -> None:
        if len(self.in_shape) != n:
            raise ShapeError(f"{self.name} ({type(self).__name__}) takes {words}, but is given {self.in_shape}")


class Straight(Layer):
    """Linear in x and without parameters: a tangent goes forward like x and back like dy."""

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        return None if tdy is None else self.backward(tdy, ctx)


def bent(ops: Any, tdy: Array | None, dy: Array, y: Array, ty: Array, act: Act | None) -> Array | None:
    """The tangent of dy act'(x): tdy act'(x) + dy act''(x) tx, of which a straight act has no second part."""
    if act is not None and act.kind in CURVED:
        return ops.activation_backward_tangent(or_zeros(ops, tdy, dy), dy, y, ty, act)
    return None if tdy is None else ops.activation_backward(tdy, y, act)


def or_zeros(ops: Any, tdy: Array | None, dy: Array) -> Array:
    """`tdy`, or the zeros like dy that None stands for."""
    return ops.zeros(dy.shape, dy.dtype) if tdy is None else tdy
