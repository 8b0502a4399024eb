"""What a dense layer or convolution of this backend really does. All other ops do what backends/costs.py counts."""

from math import prod
from typing import Any

from minigan.backends import plan
from minigan.backends.cuda.choice import chosen
from minigan.backends.cuda.fft import cycle
from minigan.models.shapes import Pads, Pair, Shape, conv_out


def work_of(op: str, *args: Any, impl: str = "") -> tuple[str, int] | None:
    """The implementation `impl`, or the one that the plan chooses, and its additions and multiplications; None for what
    has but one.

    `args` are the op's own, with a shape in the place of each array (costs.shapes).
    """
    if op in plan.DENSE:
        image, w = (args[i] for i in plan.DENSE[op])
        return impl or chosen(op, image, w), 2 * image[0] * prod(w)
    if op not in plan.OPS:
        return None
    image, w, stride = (args[i] for i in plan.OPS[op])
    padding = args[plan.OPS[op][2] + 1]
    in_hw = args[5] if op == "conv2d_dgrad" else image[1:3]
    out_hw = conv_out(in_hw, w[:2], stride, padding)
    name = impl or chosen(op, image, w, stride)
    if name == "fft":
        return name, _of_spectra(op, image[0], in_hw, out_hw, w, padding)
    taps = prod(out_hw) * w[0] * w[1]
    if name == "numba" and op == "conv2d_dgrad":
        taps = prod(_taps(*axis) for axis in zip(in_hw, w[:2], stride, padding, strict=True))
    return name, 2 * image[0] * taps * w[2] * w[3]


def _taps(size: int, kernel: int, stride: int, sides: Pair) -> int:
    """Of one axis: pixels times taps of their class, summed over classes."""
    return sum(len(range((h + sides[0]) % stride, kernel, stride)) for h in range(size))


def _of_spectra(op: str, n: int, in_hw: Pair, out_hw: Pair, w: Shape, padding: Pads) -> int:
    """Products of frequencies, and the transforms of x, y and w: one of the three is the result."""
    kh, kw, i, o = w
    lengths = cycle(in_hw, padding)
    columns = lengths.columns
    transforms = ((n * i, in_hw), (n * o, out_hw), (i * o, (kh, kw)))  # channels in all, and their height and width
    each = (4 * c * h * columns * v + 8 * c * h * lengths.frequencies for c, (h, v) in transforms)
    return 8 * lengths.frequencies * n * i * o + sum(each)
