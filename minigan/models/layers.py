"""Layers: each knows its shapes, owns views of its parameters, and composes a backend's ops.

forward returns (y, ctx); what backward needs is in ctx, an immutable value, and nowhere else, so a layer may run
forward on real, fake and mixed images before any backward. Data gradients are returned, parameter gradients are added.
"""

import zlib
from typing import Any, NamedTuple

from minigan.errors import ShapeError
from minigan.models.init import Init, constant, normal
from minigan.models.shapes import Act, Array, PaddingLike, Pads, Pair, Shape, conv_out, pads, pair

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
    """How a pass runs: batchnorm's mode, the clock that dropout reads, the number of this pass within the sub-step."""

    mode: str
    clock: Array
    call: int


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

    def prepare(self, n: int) -> None:
        """Makes the weights ready for many forward passes of n samples; see Net.prepare. Most layers need nothing."""

    def release(self) -> None:
        """Forgets what `prepare` made."""

    def _expect_axes(self, n: int, words: str) -> None:
        if len(self.in_shape) != n:
            raise ShapeError(f"{self.name} ({type(self).__name__}) takes {words}, but is given {self.in_shape}")


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
            x = self.ops.prepare_image(x, self.w, self.stride, self.padding)
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
        both = need_dw and need_dx
        image = self.ops.prepare_image(dy, self.w, self.stride, self.padding) if both else dy
        if need_dw:
            self.ops.conv2d_wgrad(x, image, self.dw, None, self.stride, self.padding)
            if self.db is not None:
                self.ops.bias_grad(dy, self.db)
        return self.ops.conv2d(image, self.w, None, self.stride, self.padding) if need_dx else None


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


class LayerNorm(_Norm):
    """One group per sample; see layernorm in the oracle."""

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        y, mean, var = self.ops.layernorm(x, self.gamma, self.beta, self.eps, self.act)
        return y, (x, mean, var, y)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, mean, var, y = ctx
        dy = self.ops.activation_backward(dy, y, self.act)
        return self.ops.layernorm_backward(dy, x, self.gamma, mean, var, self.eps, *_or_scratch(self, need_dw))


class InstanceNorm(_Norm):
    """One group per sample and channel; see instancenorm in the oracle."""

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        y, mean, var = self.ops.instancenorm(x, self.gamma, self.beta, self.eps, self.act)
        return y, (x, mean, var, y)

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        x, mean, var, y = ctx
        dy = self.ops.activation_backward(dy, y, self.act)
        return self.ops.instancenorm_backward(dy, x, self.gamma, mean, var, self.eps, *_or_scratch(self, need_dw))


def _or_scratch(norm: _Norm, need_dw: bool) -> tuple[Array, Array]:
    """Where a norm's parameter gradients go: its own buffers, or thrown-away ones when they are not wanted."""
    if need_dw:
        return norm.dgamma, norm.dbeta
    return norm.ops.zeros(norm.gamma.shape, norm.gamma.dtype), norm.ops.zeros(norm.beta.shape, norm.beta.dtype)


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


class Dropout(Layer):
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


class Reshape(Layer):
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


class Upsample2x(Layer):
    """Nearest neighbour: (N,H,W,C) -> (N,2H,2W,C)"""

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(3, "images (H,W,C)")
        return 2 * in_shape[0], 2 * in_shape[1], in_shape[2]

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        return self.ops.upsample2x(x), None

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        return self.ops.upsample2x_backward(dy)


class AvgPool2x(Layer):
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


class MinibatchStddev(Layer):
    """One more channel that says how much the samples of a group differ: (N,H,W,C) -> (N,H,W,C+1)"""

    def __init__(self, group: int = 4, eps: float = 1e-8):
        self.group, self.eps = group, eps

    def build(self, in_shape: Shape) -> Shape:
        self._expect_axes(3, "images (H,W,C)")
        return (*in_shape[:2], in_shape[2] + 1)

    def forward(self, x: Array, how: How) -> tuple[Array, Any]:
        return self.ops.minibatch_stddev(x, self.group, self.eps), x

    def backward(self, dy: Array, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Array | None:
        return self.ops.minibatch_stddev_backward(dy, ctx, self.group, self.eps)


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
