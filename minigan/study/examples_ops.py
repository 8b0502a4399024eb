"""An example for each family of ops: those that are each other's forward and backward pass share their numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.models.shapes import Act, Array, Pads
from minigan.study import examples_losses
from minigan.study.example import (
    Example,
    Given,
    Out,
    added,
    clock,
    counted,
    linear_in,
    moved,
    product_of,
)

_LEAKY, _TANH, _SIGMOID = Act("leaky_relu", 0.25), Act("tanh"), Act("sigmoid")
_SAME: Pads = ((0, 1), (0, 1))  # of a 4x4 image under a 3x3 kernel with stride 2
_PADS: Pads = ((1, 0), (0, 2))
_STRIDE = (2, 2)
_EPS = 3.0  # of the norms: x is 1 from its mean, so that x^ = +-1 / sqrt(1 + 3) = +-0.5


def about_mean(*shape: int) -> Any:
    """2 +- 1, half of each, in every group that a norm takes: along the first axis and along the last."""
    return 2.0 + (-1.0) ** np.indices(shape).sum(axis=0)


def _dense() -> Example:
    inputs = {"x": counted(2, 3), "w": counted(3, 2, start=2), "b": counted(2, start=5), "dy": counted(2, 2, start=3)}
    return Example(
        inputs,
        {
            "y": Out("linear", lambda o, a: o.linear(a.x, a.w, a.b), product_of("x", "w") + linear_in("b")),
            "dx": Out("linear_dgrad", lambda o, a: o.linear_dgrad(a.dy, a.w), product_of("dy", "w")),
            "dw": Out(
                "linear_wgrad",
                lambda o, a: added(o, lambda dw: o.linear_wgrad(a.dy, a.x, dw, None), a.w),
                product_of("x", "dy"),
            ),
            "db": Out(
                "linear_wgrad",
                lambda o, a: added(o, lambda dw, db: o.linear_wgrad(a.dy, a.x, dw, db), a.b, 1, (a.w, a.b)),
                linear_in("dy"),
            ),
        },
        ("linear", "linear_dgrad"),
    )


def _convolution() -> Example:
    inputs = {"x": counted(1, 4, 4, 1), "w": counted(3, 3, 1, 1, start=4)}
    inputs |= {"b": counted(1, start=3), "dy": counted(1, 2, 2, 1, start=1)}
    return Example(
        inputs,
        {
            "y": Out(
                "conv2d",
                lambda o, a: o.conv2d(a.x, a.w, a.b, _STRIDE, _SAME),
                product_of("x", "w") + linear_in("b"),
            ),
            "dx": Out(
                "conv2d_dgrad",
                lambda o, a: o.conv2d_dgrad(a.dy, a.w, None, _STRIDE, _SAME, (4, 4)),
                product_of("dy", "w"),
            ),
            "dw": Out(
                "conv2d_wgrad",
                lambda o, a: added(o, lambda dw: o.conv2d_wgrad(a.dy, a.x, dw, None, _STRIDE, _SAME), a.w),
                product_of("x", "dy"),
            ),
            "db": Out("bias_grad", lambda o, a: added(o, lambda db: o.bias_grad(a.dy, db), a.b), linear_in("dy")),
        },
        ("conv2d", "conv2d_dgrad"),
    )


def _embedding() -> Example:
    return Example(
        {"labels": np.array([2, 0, 2], np.int32), "w": counted(3, 2), "dy": counted(3, 2, start=2)},
        {
            "y": Out("embedding", lambda o, a: o.embedding(a.labels, a.w), linear_in("w")),
            "dw": Out(
                "embedding_backward",
                lambda o, a: added(o, lambda dw: o.embedding_backward(a.dy, a.labels, dw), a.w),
                linear_in("dy"),
            ),
        },
        ("embedding",),
    )


def _activation() -> Example:
    """y of the two smooth ones are outputs that they might have given, whose act' is not rounded."""
    kinked, smooth = "y (leaky_relu)", "y (tanh, sigmoid)"
    x = np.array([-2.0, 3.0, -1.0])
    inputs = {"x": x, kinked: np.where(x > 0, x, _LEAKY.slope * x), smooth: np.array([0.5, 0.75, 0.25])}
    inputs |= {"dy": np.array([1.0, -2.0, 4.0]), "tdy": np.array([3.0, 1.0, -2.0]), "ty": np.array([2.0, -1.0, 1.0])}
    outs = {"y (leaky_relu 0.25)": Out("activation", lambda o, a: o.activation(a.x, _LEAKY))}

    def backward(act: Act, y: str) -> Callable[[Any, Given], Array]:
        return lambda o, a: o.activation_backward(a.dy, a[y], act)

    def tangent(act: Act, y: str) -> Callable[[Any, Given], Array]:
        return lambda o, a: o.activation_backward_tangent(a.tdy, a.dy, a[y], a.ty, act)

    for act, y in ((_LEAKY, kinked), (_TANH, smooth), (_SIGMOID, smooth)):
        outs[f"dx ({act.kind})"] = Out("activation_backward", backward(act, y), linear_in("dy"))
        groups = linear_in("tdy") + product_of("dy", "ty")
        outs[f"tdx ({act.kind})"] = Out("activation_backward_tangent", tangent(act, y), groups)
    return Example(inputs, outs, ("activation", "activation_backward_tangent"))


_NUMBERS = {"x": counted(3), "y": counted(3, start=2), "dy": counted(3, start=4), "dp": counted(3, start=6)}


def _elementwise(inputs: str, **outs: Out) -> Example:
    """An op of each number by itself; it is also its own family."""
    op = outs[next(iter(outs))].op
    return Example({name: _NUMBERS[name] for name in inputs.split()}, outs, (op,))


def _sums() -> Example:
    return Example(
        {"x": counted(2, 2)},
        {
            "m": Out("mean", lambda o, a: o.mean(a.x), linear_in("x")),
            "s": Out("sum_squares", lambda o, a: o.sum_squares(a.x), product_of("x", "x")),
            "r": Out("row_sum_squares", lambda o, a: o.row_sum_squares(a.x), product_of("x", "x")),
        },
    )


def _dropout() -> Example:
    return Example(
        {"x": counted(2, 4), "dy": counted(2, 4, start=3), "clock": clock()},
        {
            "y": Out("dropout", lambda o, a: o.dropout(a.x, 0.5, a.clock, 5), linear_in("x")),
            "dx": Out("dropout_backward", lambda o, a: o.dropout_backward(a.dy, 0.5, a.clock, 5), linear_in("dy")),
        },
        ("dropout",),
    )


def _norm(op: str, *shape: int, tangents: bool = True) -> Example:
    """batchnorm, layernorm, instancenorm: gamma and beta per channel, all other sums within the op's group."""
    inputs = {"x": about_mean(*shape), "gamma": counted(shape[-1], start=1), "beta": counted(shape[-1], start=3)}
    inputs |= {"dy": counted(*shape), "tx": counted(*shape, start=4), "tdy": counted(*shape, start=7)}

    def forward(o: Any, a: Given) -> Any:
        return getattr(o, op)(a.x, a.gamma, a.beta, _EPS)

    def backward(o: Any, a: Given, *affine: Array) -> Any:
        _, mean, var = forward(o, a)
        return getattr(o, f"{op}_backward")(a.dy, a.x, a.gamma, mean, var, _EPS, *affine)

    def tangent(o: Any, a: Given) -> Any:
        _, mean, var = forward(o, a)
        return getattr(o, f"{op}_tangent")(a.tx, a.x, a.gamma, mean, var, _EPS)

    def backward_tangent(o: Any, a: Given, *affine: Array) -> Any:
        _, mean, var = forward(o, a)
        rule = getattr(o, f"{op}_backward_tangent")
        return rule(a.tdy, a.dy, a.tx, a.x, a.gamma, mean, var, _EPS, *affine)

    outs = {"y": Out(op, lambda o, a: forward(o, a)[0]), **_by_affine(f"{op}_backward", backward, linear_in("dy"), "d")}
    if tangents:
        groups = linear_in("tdy") + product_of("dy", "tx")
        outs["ty"] = Out(f"{op}_tangent", tangent, linear_in("tx"))
        outs |= _by_affine(f"{op}_backward_tangent", backward_tangent, groups, "td")
        outs["tdbeta"] = outs["tdbeta"]._replace(groups=linear_in("tdy"))
    return Example(inputs, outs, (op, *([f"{op}_tangent"] if tangents else [])))


def _by_affine(op: str, rule: Callable[..., Any], groups: Any, prefix: str) -> dict[str, Out]:
    """The three outputs of a norm's backward pass: dx, and what is added to dgamma and dbeta."""

    def of(which: int) -> Callable[[Any, Given], Array]:
        return lambda o, a: added(o, lambda *affine: rule(o, a, *affine), a.gamma, which, (a.gamma, a.beta))

    def dx(o: Any, a: Given) -> Array:
        return rule(o, a, *(o.zeros(tuple(a.gamma.shape), a.gamma.dtype) for _ in range(2)))

    return {
        f"{prefix}x": Out(op, dx, groups),
        f"{prefix}gamma": Out(op, of(0), groups),
        f"{prefix}beta": Out(op, of(1), groups),
    }


def _batchnorm_running() -> Example:
    inputs = {
        "x": counted(2, 2),
        "gamma": counted(2, start=1),
        "beta": counted(2, start=3),
        "dy": counted(2, 2, start=5),
    }
    inputs |= {"mean": np.array([1.0, 0.0]), "var": np.array([1.0, 13.0]), "batch": np.array([3.0, 1.0])}

    def backward(o: Any, a: Given, *affine: Array) -> Any:
        return o.batchnorm_running_backward(a.dy, a.x, a.gamma, a.mean, a.var, _EPS, *affine)

    return Example(
        inputs,
        {
            "y": Out("batchnorm_running", lambda o, a: o.batchnorm_running(a.x, a.gamma, a.beta, a.mean, a.var, _EPS)),
            **_by_affine("batchnorm_running_backward", backward, linear_in("dy"), "d"),
            "mean": Out(
                "running_update",
                lambda o, a: moved(o, lambda state: o.running_update(state, a.batch, 0.75), a.mean),
                linear_in("mean", "batch"),
            ),
        },
        ("batchnorm_running",),
    )


def _pixels(forward: Out, backward: Out | None, x: tuple[int, ...], dy: tuple[int, ...], **more: Any) -> Example:
    """An op that moves or mixes pixels: y from x, and dx from dy."""
    outs = {"y": forward} | ({"dx": backward} if backward else {})
    return Example({"x": counted(*x), "dy": counted(*dy, start=3), **more}, outs, (forward.op,))


def _moving(op: str, back: str, *names: str, backward: Callable[[Any, Given], Array] | None = None) -> tuple[Out, Out]:
    """op(x, *names) and its backward pass: back(dy, *names), or `backward`."""

    def run(o: Any, a: Given) -> Array:
        return getattr(o, op)(a.x, *(a[name] for name in names))

    def run_back(o: Any, a: Given) -> Array:
        return getattr(o, back)(a.dy, *(a[name] for name in names))

    return Out(op, run, linear_in("x")), Out(back, backward or run_back, linear_in("dy"))


def _join() -> Example:
    inputs = {"x": counted(2, 2), "y": counted(2, 1, start=3), "dz": counted(2, 3, start=5)}
    return Example(
        inputs,
        {
            "z": Out("concat", lambda o, a: o.concat(a.x, a.y), linear_in("x", "y")),
            "dx": Out("split", lambda o, a: o.split(a.dz, 2)[0], linear_in("dz")),
            "dy": Out("split", lambda o, a: o.split(a.dz, 2)[1], linear_in("dz")),
        },
        ("concat", "split"),
    )


def _colour() -> Example:
    factors = {"brightness": np.array([2.0]), "saturation": np.array([0.5]), "contrast": np.array([3.0])}
    forward = Out(
        "colour", lambda o, a: o.colour(a.x, a.brightness, a.saturation, a.contrast), linear_in("x", "brightness")
    )
    backward = Out("colour_backward", lambda o, a: o.colour_backward(a.dy, a.saturation, a.contrast), linear_in("dy"))
    return _pixels(forward, backward, (1, 1, 2, 2), (1, 1, 2, 2), **factors)


def _stddev() -> Example:
    shape = (2, 1, 2, 1)
    forward = Out("minibatch_stddev", lambda o, a: o.minibatch_stddev(a.x, 2, _EPS))
    back = Out(
        "minibatch_stddev_backward", lambda o, a: o.minibatch_stddev_backward(a.dy, a.x, 2, _EPS), linear_in("dy")
    )
    return _pixels(forward, back, shape, (2, 1, 2, 2))._replace(
        inputs={"x": about_mean(*shape), "dy": counted(2, 1, 2, 2, start=3)}
    )


_PIXEL, _HALF = (1, 2, 2, 1), (1, 1, 1, 1)

EXAMPLES: dict[str, Example] = {
    "linear": _dense(),
    "conv2d": _convolution(),
    "embedding": _embedding(),
    "activation": _activation(),
    "axpby": _elementwise("x y", z=Out("axpby", lambda o, a: o.axpby(2.0, a.x, -3.0, a.y), linear_in("x", "y"))),
    "mul": _elementwise(
        "x y dy",
        z=Out("mul", lambda o, a: o.mul(a.x, a.y), product_of("x", "y")),
        dx=Out("mul", lambda o, a: o.mul(a.dy, a.y), product_of("dy", "y")),
    ),
    "scale": _elementwise(
        "x dy",
        y=Out("scale", lambda o, a: o.scale(a.x, -1.5), linear_in("x")),
        dx=Out("scale", lambda o, a: o.scale(a.dy, -1.5), linear_in("dy")),
    ),
    "exp": _elementwise(
        "x dy",
        y=Out("exp", lambda o, a: o.exp(a.x)),
        dx=Out("exp", lambda o, a: o.mul(a.dy, o.exp(a.x)), linear_in("dy")),
    ),
    "add_scaled": _elementwise(
        "x dp",
        dp=Out("add_scaled", lambda o, a: moved(o, lambda dp: o.add_scaled(0.5, a.x, dp), a.dp), linear_in("dp", "x")),
    )._replace(rows=()),
    "clip": _elementwise("x", p=Out("clip", lambda o, a: moved(o, lambda p: o.clip(p, 2.0), a.x)))._replace(rows=()),
    "sums": _sums(),
    "dropout": _dropout(),
    "batchnorm": _norm("batchnorm", 4, 2, tangents=False),
    "batchnorm_running": _batchnorm_running(),
    "layernorm": _norm("layernorm", 2, 2),
    "instancenorm": _norm("instancenorm", 1, 1, 2, 2),
    "upsample2x": _pixels(*_moving("upsample2x", "upsample2x_backward"), _HALF, _PIXEL),
    "avgpool2x": _pixels(*_moving("avgpool2x", "avgpool2x_backward"), _PIXEL, _HALF),
    "pad": _pixels(
        Out("pad", lambda o, a: o.pad(a.x, _PADS), linear_in("x")),
        Out("pad_backward", lambda o, a: o.pad_backward(a.dy, _PADS), linear_in("dy")),
        _PIXEL,
        (1, 3, 4, 1),
    ),
    "concat": _join(),
    "gather_pixels": _pixels(
        *_moving(
            "gather_pixels",
            "gather_pixels_backward",
            "index",
            backward=lambda o, a: o.gather_pixels_backward(a.dy, a.index, (2, 2)),
        ),
        _PIXEL,
        (1, 3, 1),
        index=np.array([[2, -1, 2]], np.int32),
    ),
    "shift": _pixels(
        *_moving("shift", "shift", "by", backward=lambda o, a: o.shift(a.dy, a.back)),
        _PIXEL,
        _PIXEL,
        by=np.array([[1, 0]], np.int32),
        back=np.array([[-1, 0]], np.int32),
    ),
    "flip": _pixels(*_moving("flip", "flip", "mask"), _PIXEL, _PIXEL, mask=np.array([1], np.int32)),
    "cutout": _pixels(*_moving("cutout", "cutout", "box"), _PIXEL, _PIXEL, box=np.array([[0, 0, 1, 1]], np.int32)),
    "colour": _colour(),
    "minibatch_stddev": _stddev(),
    **examples_losses.EXAMPLES,
}
