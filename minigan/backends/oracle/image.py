"""Ops that move or mix pixels without weights, each with its adjoint. x (N,H,W,C) throughout."""

import numpy as np

from minigan.backends import checks
from minigan.models.shapes import Array, Pads


def upsample2x(x: Array) -> Array:
    """x (N,H,W,C) -> y (N,2H,2W,C): nearest neighbour, y[n,h,v] = x[n, h//2, v//2]"""
    checks.upsample2x(x)
    return x.repeat(2, axis=1).repeat(2, axis=2)


def upsample2x_backward(dy: Array) -> Array:
    """dy (N,2H,2W,C) -> dx (N,H,W,C): the sum of each 2x2 block."""
    checks.upsample2x_backward(dy)
    return _blocks(dy).sum(axis=(2, 4))


def avgpool2x(x: Array) -> Array:
    """x (N,2P,2Q,C) -> y (N,P,Q,C): the mean of each 2x2 block. Raises ShapeError on odd sizes."""
    checks.avgpool2x(x)
    return _blocks(x).sum(axis=(2, 4)) * x.dtype.type(0.25)


def avgpool2x_backward(dy: Array) -> Array:
    """dy (N,P,Q,C) -> dx (N,2P,2Q,C): a quarter of dy to each pixel of the block."""
    checks.avgpool2x_backward(dy)
    return upsample2x(dy) * dy.dtype.type(0.25)


def _blocks(x: Array) -> Array:
    """(N,2P,2Q,C) -> (N,P,2,Q,2,C)"""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c)


def pad(x: Array, padding: Pads) -> Array:
    """x (N,H,W,C) -> (N, top+H+bottom, left+W+right, C), zeros around."""
    checks.pad(x, padding)
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def pad_backward(dy: Array, padding: Pads) -> Array:
    """dy (N, top+H+bottom, left+W+right, C) -> dx (N,H,W,C): the part inside."""
    checks.pad_backward(dy, padding)
    (top, bottom), (left, right) = padding
    h, w = dy.shape[1] - bottom, dy.shape[2] - right
    return dy[:, top:h, left:w].copy()


def concat(x: Array, y: Array) -> Array:
    """x (...,A), y (...,B) -> (...,A+B); its backward is `split`."""
    checks.concat(x, y)
    return np.concatenate([x, y], axis=-1)


def split(x: Array, first: int) -> tuple[Array, Array]:
    """x (...,A+B) -> (...,A), (...,B) with A = first; its backward is `concat`."""
    checks.split(x, first)
    return x[..., :first].copy(), x[..., first:].copy()


def gather_pixels(x: Array, index: Array) -> Array:
    """x (N,H,W,C), index (N,P) integers in [-1, H W) -> y (N,P,C)

    y[n,p] = x.reshape(N,HW,C)[n, index[n,p]], 0 for -1
    """
    checks.gather_pixels(x, index)
    flat = x.reshape(x.shape[0], -1, x.shape[3])
    y = np.take_along_axis(flat, np.maximum(index, 0)[..., None], axis=1)
    return np.where(index[..., None] < 0, x.dtype.type(0), y)


def gather_pixels_backward(dy: Array, index: Array, hw: tuple[int, int]) -> Array:
    """dy (N,P,C), index (N,P) -> dx (N,H,W,C): each dy[n,p] is added to the pixel it came from."""
    checks.gather_pixels_backward(dy, index, hw)
    dx = np.zeros((dy.shape[0], hw[0] * hw[1], dy.shape[2]), dy.dtype)
    n, p = np.nonzero(index >= 0)
    np.add.at(dx, (n, index[n, p]), dy[n, p])
    return dx.reshape(dy.shape[0], *hw, dy.shape[2])


def shift(x: Array, by: Array) -> Array:
    """x (N,H,W,C), by (N,2) integers (down, right) -> y[n,h,v] = x[n, h-down_n, v-right_n], 0 outside.

    Its backward is shift(dy, -by). Source: DiffAugment's translation, Zhao et al. 2020, arXiv:2006.10738.
    """
    checks.shift(x, by)
    n, h, w, _ = x.shape
    rows = np.arange(h) - by[:, :1]
    columns = np.arange(w) - by[:, 1:]
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
    moved = x[np.arange(n)[:, None, None], rows.clip(0, h - 1)[:, :, None], columns.clip(0, w - 1)[:, None, :]]
    return np.where(inside[..., None], moved, x.dtype.type(0))


def flip(x: Array, mask: Array) -> Array:
    """x (N,H,W,C), mask (N,) integers -> x with its columns reversed where mask is not 0. Its own backward."""
    checks.flip(x, mask)
    return np.where(mask[:, None, None, None] != 0, x[:, :, ::-1], x)


def cutout(x: Array, box: Array) -> Array:
    """x (N,H,W,C), box (N,4) integers (top, left, bottom, right) -> x with 0 inside the box. Its own backward.

    Source: DeVries & Taylor 2017, arXiv:1708.04552.
    """
    checks.cutout(x, box)
    top, left, bottom, right = (box[:, i, None] for i in range(4))
    rows, columns = np.arange(x.shape[1]), np.arange(x.shape[2])
    inside = ((rows >= top) & (rows < bottom))[:, :, None] & ((columns >= left) & (columns < right))[:, None, :]
    return np.where(inside[..., None], x.dtype.type(0), x)


def colour(x: Array, brightness: Array, saturation: Array, contrast: Array) -> Array:
    """x (N,H,W,C), three (N,) arrays -> y: add, scale about each pixel's mean over C, then about the sample's.

    a = x + brightness    s = m_C(a) + saturation (a - m_C(a))    y = m(s) + contrast (s - m(s))
    Source: DiffAugment's colour, Zhao et al. 2020, arXiv:2006.10738.
    """
    checks.colour(x, brightness, saturation, contrast)
    return _colour_linear(x + _column(brightness, x), saturation, contrast)


def colour_backward(dy: Array, saturation: Array, contrast: Array) -> Array:
    """dy (N,H,W,C) -> dx: the same linear map, without brightness.

    Each scaling about a mean is a symmetric matrix, and the two commute, so their product is symmetric.
    """
    checks.colour_backward(dy, saturation, contrast)
    return _colour_linear(dy, saturation, contrast)


def _column(factor: Array, x: Array) -> Array:
    return factor.astype(x.dtype)[:, None, None, None]


def _colour_linear(x: Array, saturation: Array, contrast: Array) -> Array:
    grey = x.mean(axis=3, keepdims=True)
    x = grey + _column(saturation, x) * (x - grey)
    level = x.mean(axis=(1, 2, 3), keepdims=True)
    return level + _column(contrast, x) * (x - level)


def minibatch_stddev(x: Array, group: int, eps: float) -> Array:
    """x (N,H,W,C), N = groups * group -> y (N,H,W,C+1): one more channel that says how much the group's samples differ.

    s_g = mean_{h,v,c} sqrt(var over the group's samples + eps); sample n belongs to group n // group.
    Source: Karras et al. 2018, arXiv:1710.10196, section 3.
    """
    checks.minibatch_stddev(x, group, eps)
    _, deviation = _deviation(x, group, eps)
    s = deviation.mean(axis=(1, 2, 3)).astype(x.dtype).repeat(group)
    plane = np.broadcast_to(s[:, None, None, None], (*x.shape[:3], 1))
    return np.concatenate([x, plane], axis=3)


def minibatch_stddev_backward(dy: Array, x: Array, group: int, eps: float) -> Array:
    """dy (N,H,W,C+1), x (N,H,W,C) -> dx.   d s_g / d x[n] = (x[n] - mean_g) / (group H W C sqrt(var_g + eps))"""
    checks.minibatch_stddev_backward(dy, x, group, eps)
    centred, deviation = _deviation(x, group, eps)
    ds = dy[..., -1].reshape(len(deviation), -1).sum(axis=1)
    dx = ds[:, None, None, None, None] * centred / (group * deviation[0].size * deviation[:, None])
    return dy[..., :-1] + dx.reshape(x.shape).astype(x.dtype)


def _deviation(x: Array, group: int, eps: float) -> tuple[Array, Array]:
    """x less its group's mean (G,group,H,W,C), and the deviation (G,H,W,C)."""
    grouped = x.reshape(-1, group, *x.shape[1:])
    centred = grouped - grouped.mean(axis=1, keepdims=True)
    return centred, np.sqrt((centred * centred).mean(axis=1) + eps)
