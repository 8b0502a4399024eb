"""Convolution and its gradients; which implementation serves which shape is the plan's decision (backends/plan_gpu.py).

`by` forces one for a single call, of these and of dense layers: by("fft", "conv2d", x, w, b, stride, padding).
"""

from typing import Any

from minigan.backends import checks
from minigan.backends.cuda import fft, im2col, implicit
from minigan.backends.cuda.choice import chosen
from minigan.backends.cuda.columns import column_sums
from minigan.backends.cuda.device import device
from minigan.backends.cuda.launch import checked
from minigan.models.shapes import Act, Array, Pads, Pair, conv_out


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None) -> Array:
    """x (N,H,W,I), w (KH,KW,I,O), b (O,) or None -> y (N,P,Q,O)."""
    return conv2d_by("", x, w, b, stride, padding, act)


def conv2d_by(
    impl: str, x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None
) -> Array:
    """conv2d by the implementation `impl`; "": the plan's."""
    checked(checks.conv2d, x, w, b, stride, padding, act)
    y = device().empty((x.shape[0], *conv_out(x.shape[1:3], w.shape[:2], stride, padding), w.shape[3]))
    _run("conv2d", chosen("conv2d", x.shape, w.shape, stride, impl), x, w, b, stride, padding, act, y)
    return y


def conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
) -> Array:
    """dy (N,P,Q,O), w (KH,KW,I,O), b (I,) or None -> dx (N,H,W,I) with (H, W) = out_hw."""
    return conv2d_dgrad_by("", dy, w, b, stride, padding, out_hw, act)


def conv2d_dgrad_by(
    impl: str, dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
) -> Array:
    """conv2d_dgrad by the implementation `impl`; "": the plan's."""
    checked(checks.conv2d_dgrad, dy, w, b, stride, padding, out_hw, act)
    dx = device().empty((dy.shape[0], *out_hw, w.shape[2]))
    _run("conv2d_dgrad", chosen("conv2d_dgrad", dy.shape, w.shape, stride, impl), dy, w, b, stride, padding, act, dx)
    return dx


def conv2d_wgrad(dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    """dy (N,P,Q,O), x (N,H,W,I); adds into dw (KH,KW,I,O) and, unless None, db (O,)."""
    conv2d_wgrad_by("", dy, x, dw, db, stride, padding)


def conv2d_wgrad_by(impl: str, dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    """conv2d_wgrad by the implementation `impl`; "": the plan's."""
    checked(checks.conv2d_wgrad, dy, x, dw, db, stride, padding)
    _run("conv2d_wgrad", chosen("conv2d_wgrad", x.shape, dw.shape, stride, impl), dy, x, dw, stride, padding)
    if db is not None:
        column_sums(dy, db)


def bias_grad(dy: Array, db: Array) -> None:
    """dy (...,C); adds its sum over all axes but the last into db (C,)."""
    checked(checks.bias_grad, dy, db)
    column_sums(dy, db)


def _run(op: str, name: str, *args: Any) -> None:
    if name.startswith("cublas"):
        getattr(im2col, op)(*args, name)
    else:
        getattr({"numba": implicit, "fft": fft}[name], op)(*args)
