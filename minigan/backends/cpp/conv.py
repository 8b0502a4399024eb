"""Convolution and its gradients; which implementation serves which shape is the plan's decision (backends/plan.py)."""

from typing import Any

from minigan.backends import checks
from minigan.backends.cpp.table import kernels, run
from minigan.backends.plan import choose
from minigan.models.shapes import Act, Array, Pads, Pair, Shape


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None) -> Array:
    """x (N,H,W,I), w (KH,KW,I,O), b (O,) or None -> y (N,P,Q,O)."""
    return run(_conv2d, checks.conv2d, x, w, b, stride, padding, act)


def _conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None) -> Array:
    name = choose("conv2d", x.shape, w.shape, stride, type(w) is kernels.ReadyWeights)
    return kernels.conv2d(name, x, w, b, stride, padding, act)


def conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
) -> Array:
    """dy (N,P,Q,O), w (KH,KW,I,O), b (I,) or None -> dx (N,H,W,I) with (H, W) = out_hw."""
    return run(_conv2d_dgrad, checks.conv2d_dgrad, dy, w, b, stride, padding, out_hw, act)


def _conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None
) -> Array:
    name = choose("conv2d_dgrad", dy.shape, w.shape, stride, type(w) is kernels.ReadyWeights)
    return kernels.conv2d_dgrad(name, dy, w, b, stride, padding, out_hw, act)


def conv2d_wgrad(dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    """dy (N,P,Q,O), x (N,H,W,I); adds into dw (KH,KW,I,O) and, unless None, db (O,)."""
    run(_conv2d_wgrad, checks.conv2d_wgrad, dy, x, dw, db, stride, padding)


def _conv2d_wgrad(dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    name = chosen("conv2d_wgrad", x.shape, dw.shape, stride)
    kernels.conv2d_wgrad(name, dy, x, dw, db, stride, padding)


def prepare(op: str, w: Array, n: int, image_hw: Pair, stride: Pair, padding: Pads) -> Any:
    """w (KH,KW,I,O) as the implementation that serves `op` on n samples reads it; w itself where that is as it is."""
    ready = {"conv2d": kernels.ready_conv2d, "conv2d_dgrad": kernels.ready_conv2d_dgrad}[op]
    name = choose(op, (n, *image_hw, w.shape[2 if op == "conv2d" else 3]), w.shape, stride, prepared=True)
    made = ready(name, w, image_hw, stride, padding)
    return w if made is None else made


def bias_grad(dy: Array, db: Array) -> None:
    """dy (...,C); adds its sum over all axes but the last into db (C,)."""
    run(kernels.bias_grad, checks.bias_grad, dy, db)


def chosen(op: str, image: Shape, w: Shape, stride: Pair) -> str:
    """The implementation that serves such a call: the plan's."""
    return choose(op, image, w, stride)
