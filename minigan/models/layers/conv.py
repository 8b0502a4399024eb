"""Convolutions: three kernels serve two layers, each a way round."""

from typing import Any

from minigan.errors import ShapeError
from minigan.models.init import Init, constant
from minigan.models.layers.base import DCGAN_NORMAL, How, Layer, Param, bent
from minigan.models.shapes import Act, Array, PaddingLike, Pads, Pair, Shape, conv_out, pads, pair


class _Convolution(Layer):
    """What Conv2d and ConvTranspose2d share: a kernel w (KH,KW,I,O) of the *forward* convolution.

    A transposed convolution runs that convolution backwards, so its own inputs stand last in w and its outputs before.
    """

    w: Array
    b: Array | None
    dw: Array
    db: Array | None
    padding: Pads
    ready: Any = None  # what the forward pass takes for w from Net.prepare to Net.release

    def __init__(
        self,
        out: int,
        kernel: int | Pair,
        stride: int | Pair = 1,
        padding: PaddingLike = "same",
        bias: bool = True,
        act: Act | None = None,
        init: Init = DCGAN_NORMAL,
    ):
        self.out, self.kernel, self.stride = out, pair(kernel, "kernel"), pair(stride, "stride")
        self.given_padding, self.bias, self.act, self.init = padding, bias, act, init
        self.b = self.db = None

    def release(self) -> None:
        self.ready = None

    def _image(self, x: Array) -> Any:
        """x (N,H,W,I) of the forward convolution as conv2d and conv2d_wgrad read it, where both are to come."""
        return self.ops.prepare_image(x, self.w, self.stride, self.padding)

    def _declare(self, w: Shape, fan_in: int) -> None:
        taps = self.kernel[0] * self.kernel[1]
        self.params["w"] = Param(w, self.init, taps * fan_in, taps * self.out)
        if self.bias:
            self.params["b"] = Param((self.out,), constant(0.0), taps * fan_in, taps * self.out, decay=False)


class Conv2d(_Convolution):
    """y = act(conv2d(x, w) + b):   x (N,H,W,I), w (KH,KW,I,O), b (O,) -> y (N,P,Q,O)

    forward conv2d, data gradient conv2d_dgrad, weight gradient conv2d_wgrad.
    """

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(3, "images (H,W,C)")
        h, w, c = in_shape
        self.padding = pads(self.given_padding, self.kernel, self.stride, (h, w))
        self._declare((*self.kernel, c, self.out), c)
        return (*conv_out((h, w), self.kernel, self.stride, self.padding), self.out)

    def prepare(self, n: int) -> None:
        self.ready = self.ops.prepare("conv2d", (n, *self.in_shape), self.w, self.stride, self.padding)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        w = self.w if self.ready is None else self.ready
        if how.mode == "batch":  # this net learns: its weight gradient takes x as well
            x = self._image(x)
        y = self.ops.conv2d(x, w, self.b, self.stride, self.padding, self.act)
        return y, (x, y)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, y = ctx
        dy = self.ops.activation_backward(dy, y, self.act)
        if need_dw:
            self.ops.conv2d_wgrad(dy, x, self.dw, self.db, self.stride, self.padding)
        if not need_dx:
            return None
        return self.ops.conv2d_dgrad(dy, self.w, None, self.stride, self.padding, self.in_shape[:2])

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        _, y = ctx
        ty = self.ops.conv2d(tx, self.w, None, self.stride, self.padding)
        ty = self.ops.activation_backward(ty, y, self.act)
        return ty, (tx, ty)

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        (x, y), (tx, ty) = ctx, tctx
        tdy, dy = bent(self.ops, tdy, dy, y, ty, self.act), self.ops.activation_backward(dy, y, self.act)
        if need_dw:
            self.ops.conv2d_wgrad(dy, tx, self.dw, None, self.stride, self.padding)
            if tdy is not None:
                self.ops.conv2d_wgrad(tdy, x, self.dw, self.db, self.stride, self.padding)
        if not need_dx or tdy is None:
            return None
        return self.ops.conv2d_dgrad(tdy, self.w, None, self.stride, self.padding, self.in_shape[:2])


class ConvTranspose2d(_Convolution):
    """The same three kernels with the roles turned:   x (N,P,Q,I), w (KH,KW,O,I), b (O,) -> y (N,H,W,O)

    forward conv2d_dgrad, data gradient conv2d, weight gradient conv2d_wgrad with x and dy swapped, bias gradient apart.
    "same" gives H = P sh, as Keras; other padding gives the smallest H: (P - 1) sh + KH - top - bottom.
    """

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(3, "images (H,W,C)")
        (p, q, c), (sh, sw) = in_shape, self.stride
        if self.given_padding == "same":
            out = (p * sh, q * sw)
            self.padding = pads("same", self.kernel, self.stride, out)
        else:
            self.padding = pads(self.given_padding, self.kernel, self.stride, (p, q))
            (top, bottom), (left, right) = self.padding
            out = ((p - 1) * sh + self.kernel[0] - top - bottom, (q - 1) * sw + self.kernel[1] - left - right)
            if min(out) < 1:
                raise ShapeError(f"{self.name} would make an image of {out[0]}x{out[1]}; give less padding")
        self._declare((*self.kernel, self.out, c), c)
        return (*out, self.out)

    def prepare(self, n: int) -> None:
        image, out_hw = (n, *self.in_shape), self.out_shape[:2]
        self.ready = self.ops.prepare("conv2d_dgrad", image, self.w, self.stride, self.padding, out_hw)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        w = self.w if self.ready is None else self.ready
        y = self.ops.conv2d_dgrad(x, w, self.b, self.stride, self.padding, self.out_shape[:2], self.act)
        return y, (x, y)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, y = ctx
        dy = self.ops.activation_backward(dy, y, self.act)
        image = self._image(dy) if need_dw and need_dx else dy
        if need_dw:
            self.ops.conv2d_wgrad(x, image, self.dw, None, self.stride, self.padding)
            if self.db is not None:
                self.ops.bias_grad(dy, self.db)
        return self.ops.conv2d(image, self.w, None, self.stride, self.padding) if need_dx else None

    def forward_tangent(self, tx: Array, ctx: Any) -> tuple[Array, Any]:
        _, y = ctx
        ty = self.ops.conv2d_dgrad(tx, self.w, None, self.stride, self.padding, self.out_shape[:2])
        ty = self.ops.activation_backward(ty, y, self.act)
        return ty, (tx, ty)

    def backward_tangent(
        self, tdy: Array | None, dy: Array, ctx: Any, tctx: Any, need_dx: bool = True, need_dw: bool = True
    ) -> Array | None:
        (x, y), (tx, ty) = ctx, tctx
        tdy, dy = bent(self.ops, tdy, dy, y, ty, self.act), self.ops.activation_backward(dy, y, self.act)
        if need_dw:
            self.ops.conv2d_wgrad(tx, dy, self.dw, None, self.stride, self.padding)
            if tdy is not None:
                self.ops.conv2d_wgrad(x, tdy, self.dw, None, self.stride, self.padding)
                if self.db is not None:
                    self.ops.bias_grad(tdy, self.db)
        return self.ops.conv2d(tdy, self.w, None, self.stride, self.padding) if need_dx and tdy is not None else None
