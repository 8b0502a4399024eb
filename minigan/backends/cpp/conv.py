"""Convolution and its gradients; which implementation serves which shape is the plan's decision (backends/plan.py).

`by` forces one for a single call: by("fft", "conv2d", x, w, b, stride, padding).
"""

from functools import partial
from typing import Any

from minigan.backends import checks
from minigan.backends.cpp.table import ISA, kernels, run
from minigan.backends.plan import choose, require
from minigan.models.shapes import Act, Array, Pads, Pair, Shape


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None) -> Array:
    """x (N,H,W,I), w (KH,KW,I,O), b (O,) or None -> y (N,P,Q,O)."""
    return run(_conv2d, checks.conv2d, x, w, b, stride, padding, act)


def _conv2d(
    x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None, impl: str = ""
) -> Array:
    name = chosen("conv2d", x.shape, w.shape, stride, impl, type(w) is kernels.ReadyWeights)
    return kernels.conv2d(name, x, w, b, stride, padding, act)


def conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
) -> Array:
    """dy (N,P,Q,O), w (KH,KW,I,O), b (I,) or None -> dx (N,H,W,I) with (H, W) = out_hw."""
    return run(_conv2d_dgrad, checks.conv2d_dgrad, dy, w, b, stride, padding, out_hw, act)


def _conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None,
    impl: str = "",
) -> Array:  # fmt: skip
    name = chosen("conv2d_dgrad", dy.shape, w.shape, stride, impl, type(w) is kernels.ReadyWeights)
    return kernels.conv2d_dgrad(name, dy, w, b, stride, padding, out_hw, act)


def conv2d_wgrad(dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    """dy (N,P,Q,O), x (N,H,W,I); adds into dw (KH,KW,I,O) and, unless None, db (O,)."""
    run(_conv2d_wgrad, checks.conv2d_wgrad, dy, x, dw, db, stride, padding)


def _conv2d_wgrad(
    dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads, impl: str = ""
) -> None:
    name = chosen("conv2d_wgrad", x.shape, dw.shape, stride, impl)
    kernels.conv2d_wgrad(name, dy, x, dw, db, stride, padding)


def bias_grad(dy: Array, db: Array) -> None:
    """dy (...,C); adds its sum over all axes but the last into db (C,)."""
    run(kernels.bias_grad, checks.bias_grad, dy, db)


def prepare(op: str, image: Shape, w: Array, stride: Pair, padding: Pads, out_hw: Pair | None = None) -> Any:
    """w (KH,KW,I,O) as the implementation that serves `op` reads it; w itself where that is as it is."""
    return prepare_by("", op, image, w, stride, padding, out_hw)


def prepare_by(
    impl: str, op: str, image: Shape, w: Array, stride: Pair, padding: Pads, out_hw: Pair | None = None
) -> Any:
    """As `prepare`, for the implementation `impl`, or the built-in plan's where it is empty."""
    name = chosen(op, image, w.shape, stride, impl, ready=True)
    made = _READY[op](name, w, out_hw or image[1:3], stride, padding)
    return w if made is None else made


def prepare_image(x: Array, w: Array, stride: Pair, padding: Pads) -> Any:
    """x (N,H,W,I) as the implementation reads it that serves both conv2d and conv2d_wgrad; x itself where it is as it
    is, or where two implementations do."""
    names = {chosen(op, x.shape, w.shape, stride) for op in ("conv2d", "conv2d_wgrad")}
    return image_by(names.pop(), x, w, stride, padding) if len(names) == 1 else x


def image_by(impl: str, x: Array, w: Array, stride: Pair, padding: Pads) -> Any:
    """x as the implementation `impl` reads it, in conv2d and conv2d_wgrad."""
    made = kernels.ready_image(impl, x, w, stride, padding)
    return x if made is None else made


_READY: dict[str, Any] = {"conv2d": kernels.ready_conv2d, "conv2d_dgrad": kernels.ready_conv2d_dgrad}


def chosen(op: str, image: Shape, w: Shape, stride: Pair, impl: str = "", ready: bool = False) -> str:
    """The implementation that serves such a call: `impl`, where it is given and can, else the built-in plan's."""
    return require(impl, op, w, stride, "the call") if impl else choose(op, image, w, stride, ISA, ready)


def by(impl: str, op: str, *args: Any) -> Any:
    """op(*args) by the implementation `impl`, whatever the plan says.

    Raises BackendError when it is unknown or cannot serve the shape, and ShapeError as the op does.
    """
    call, check = _CALLS[op]
    return run(partial(call, impl=impl), check, *args)


_CALLS: dict[str, Any] = {
    "conv2d": (_conv2d, checks.conv2d),
    "conv2d_dgrad": (_conv2d_dgrad, checks.conv2d_dgrad),
    "conv2d_wgrad": (_conv2d_wgrad, checks.conv2d_wgrad),
}
