"""What a convolution of this backend really does. All other ops do the work that backends/costs.py counts."""

from collections.abc import Callable
from typing import Any

from minigan.backends.cpp.conv import chosen
from minigan.backends.cpp.table import kernels

# op's arguments, arrays as shapes -> the image that the plan decides by, x (N,H,W,I), w (KH,KW,I,O), stride, padding
_CONVOLUTIONS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "conv2d": lambda x, w, b, stride, padding, act=None: (x, x, w, stride, padding),
    "conv2d_dgrad": lambda dy, w, b, stride, padding, out_hw, act=None: (
        dy, (dy[0], *out_hw, w[2]), w, stride, padding,
    ),
    "conv2d_wgrad": lambda dy, x, dw, db, stride, padding: (x, x, dw, stride, padding),
}  # fmt: skip


def work_of(op: str, *args: Any, impl: str = "") -> tuple[str, int] | None:
    """The implementation `impl`, or the one that the plan chooses, and its additions and multiplications; None for what
    is no convolution.

    `args` are the op's own, with a shape in the place of each array (costs.shapes). What was made ready beforehand
    counts as if the call had made it.
    """
    if op not in _CONVOLUTIONS:
        return None
    image, x, w, stride, padding = _CONVOLUTIONS[op](*args)
    name = chosen(op, image, w, stride, impl)
    return name, round(sum(kernels.conv_flops(name, op, x, w, stride, padding)))
