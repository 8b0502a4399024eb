"""Ops that move or mix pixels without weights: csrc/image.inl. x (N,H,W,C) throughout."""

from minigan.backends import checks
from minigan.backends.cpp.table import kernels, run
from minigan.models.shapes import Array, Pads


def upsample2x(x: Array) -> Array:
    """x (N,H,W,C) -> y (N,2H,2W,C): nearest neighbour."""
    return run(lambda x: kernels.spread2x(x, 1.0), checks.upsample2x, x)


def upsample2x_backward(dy: Array) -> Array:
    """dy (N,2H,2W,C) -> dx (N,H,W,C): the sum of each 2x2 block."""
    return run(lambda dy: kernels.gather2x(dy, 1.0), checks.upsample2x_backward, dy)


def avgpool2x(x: Array) -> Array:
    """x (N,2P,2Q,C) -> y (N,P,Q,C): the mean of each 2x2 block."""
    return run(lambda x: kernels.gather2x(x, 0.25), checks.avgpool2x, x)


def avgpool2x_backward(dy: Array) -> Array:
    """dy (N,P,Q,C) -> dx (N,2P,2Q,C): a quarter of dy to each pixel of the block."""
    return run(lambda dy: kernels.spread2x(dy, 0.25), checks.avgpool2x_backward, dy)


def pad(x: Array, padding: Pads) -> Array:
    """x (N,H,W,C) -> (N, top+H+bottom, left+W+right, C), zeros around."""
    return run(_padded, checks.pad, x, padding)


def _padded(x: Array, padding: Pads) -> Array:
    (top, bottom), (left, right) = padding
    return kernels.window(x, top + x.shape[1] + bottom, left + x.shape[2] + right, -top, -left)


def pad_backward(dy: Array, padding: Pads) -> Array:
    """dy (N, top+H+bottom, left+W+right, C) -> dx (N,H,W,C): the part inside."""
    return run(_inside, checks.pad_backward, dy, padding)


def _inside(dy: Array, padding: Pads) -> Array:
    (top, bottom), (left, right) = padding
    return kernels.window(dy, dy.shape[1] - top - bottom, dy.shape[2] - left - right, top, left)


def concat(x: Array, y: Array) -> Array:
    """x (...,A), y (...,B) -> (...,A+B); its backward is `split`."""
    return run(kernels.concat, checks.concat, x, y)


def split(x: Array, first: int) -> tuple[Array, Array]:
    """x (...,A+B) -> (...,A), (...,B) with A = first; its backward is `concat`."""
    return run(kernels.split, checks.split, x, first)


def gather_pixels(x: Array, index: Array) -> Array:
    """x (N,H,W,C), index (N,P) int32 in [-1, H W) -> y (N,P,C), 0 for -1."""
    return run(kernels.gather_pixels, checks.gather_pixels, x, index)


def gather_pixels_backward(dy: Array, index: Array, hw: tuple[int, int]) -> Array:
    """dy (N,P,C), index (N,P) -> dx (N,H,W,C): each dy[n,p] is added to the pixel it came from."""
    return run(kernels.gather_pixels_backward, checks.gather_pixels_backward, dy, index, hw)


def shift(x: Array, by: Array) -> Array:
    """x (N,H,W,C), by (N,2) int32 (down, right) -> y, 0 outside."""
    return run(kernels.shift, checks.shift, x, by)


def flip(x: Array, mask: Array) -> Array:
    """x (N,H,W,C), mask (N,) int32 -> x with its columns reversed where mask is not 0."""
    return run(kernels.flip, checks.flip, x, mask)


def cutout(x: Array, box: Array) -> Array:
    """x (N,H,W,C), box (N,4) int32 (top, left, bottom, right) -> x with 0 inside the box."""
    return run(kernels.cutout, checks.cutout, x, box)


def colour(x: Array, brightness: Array, saturation: Array, contrast: Array) -> Array:
    """x (N,H,W,C), three (N,) arrays -> y: add, scale about each pixel's mean over C, then about the sample's."""
    return run(_coloured, checks.colour, x, brightness, saturation, contrast)


def _coloured(x: Array, brightness: Array, saturation: Array, contrast: Array) -> Array:
    if brightness is None:
        raise TypeError("brightness is None")
    return kernels.colour(x, brightness, saturation, contrast)


def colour_backward(dy: Array, saturation: Array, contrast: Array) -> Array:
    """dy (N,H,W,C) -> dx: the same linear map, without brightness."""
    return run(_colour_backward, checks.colour_backward, dy, saturation, contrast)


def _colour_backward(dy: Array, saturation: Array, contrast: Array) -> Array:
    return kernels.colour(dy, None, saturation, contrast)


def minibatch_stddev(x: Array, group: int, eps: float) -> Array:
    """x (N,H,W,C) -> y (N,H,W,C+1): one more channel that says how much each group's samples differ."""
    return run(kernels.minibatch_stddev, checks.minibatch_stddev, x, group, eps)


def minibatch_stddev_backward(dy: Array, x: Array, group: int, eps: float) -> Array:
    """dy (N,H,W,C+1), x (N,H,W,C) -> dx."""
    return run(kernels.minibatch_stddev_backward, checks.minibatch_stddev_backward, dy, x, group, eps)
