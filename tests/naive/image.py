"""Ops that move or mix pixels, as loops."""

import math

import numpy as np

from minigan.models.shapes import Array, Pads, Pair
from naive.scalars import average, filled, indices, total


def upsample2x(x: Array) -> Array:
    n, h, w, c = x.shape
    return filled((n, 2 * h, 2 * w, c), lambda n, h, v, c: x[n, h // 2, v // 2, c])


def _block(x: Array, n: int, p: int, q: int, c: int) -> float:
    return total(x[n, 2 * p + i, 2 * q + j, c] for i in range(2) for j in range(2))


def upsample2x_backward(dy: Array) -> Array:
    n, h, w, c = dy.shape
    return filled((n, h // 2, w // 2, c), lambda *at: _block(dy, *at))


def avgpool2x(x: Array) -> Array:
    n, h, w, c = x.shape
    return filled((n, h // 2, w // 2, c), lambda *at: _block(x, *at) / 4)


def avgpool2x_backward(dy: Array) -> Array:
    n, p, q, c = dy.shape
    return filled((n, 2 * p, 2 * q, c), lambda n, h, v, c: dy[n, h // 2, v // 2, c] / 4)


def _pixel(x: Array, n: int, h: int, v: int, c: int) -> float:
    return float(x[n, h, v, c]) if 0 <= h < x.shape[1] and 0 <= v < x.shape[2] else 0.0


def pad(x: Array, padding: Pads) -> Array:
    (n, h, w, c), ((top, bottom), (left, right)) = x.shape, padding
    return filled((n, top + h + bottom, left + w + right, c), lambda n, h, v, c: _pixel(x, n, h - top, v - left, c))


def pad_backward(dy: Array, padding: Pads) -> Array:
    (n, h, w, c), ((top, bottom), (left, right)) = dy.shape, padding
    return filled((n, h - top - bottom, w - left - right, c), lambda n, h, v, c: dy[n, h + top, v + left, c])


def concat(x: Array, y: Array) -> Array:
    a = x.shape[-1]
    shape = (*x.shape[:-1], a + y.shape[-1])
    return filled(shape, lambda *at: x[at] if at[-1] < a else y[(*at[:-1], at[-1] - a)])


def split(x: Array, first: int) -> tuple[Array, Array]:
    *lead, channels = x.shape
    return (
        filled((*lead, first), lambda *at: x[at]),
        filled((*lead, channels - first), lambda *at: x[(*at[:-1], at[-1] + first)]),
    )


def gather_pixels(x: Array, index: Array) -> Array:
    width = x.shape[2]

    def element(n: int, p: int, c: int) -> float:
        return 0.0 if index[n, p] == -1 else x[n, index[n, p] // width, index[n, p] % width, c]

    return filled((*index.shape, x.shape[3]), element)


def gather_pixels_backward(dy: Array, index: Array, hw: Pair) -> Array:
    def element(n: int, h: int, v: int, c: int) -> float:
        return total(dy[n, p, c] for p in range(index.shape[1]) if index[n, p] == h * hw[1] + v)

    return filled((len(dy), *hw, dy.shape[2]), element)


def shift(x: Array, by: Array) -> Array:
    return filled(x.shape, lambda n, h, v, c: _pixel(x, n, h - by[n, 0], v - by[n, 1], c))


def flip(x: Array, mask: Array) -> Array:
    return filled(x.shape, lambda n, h, v, c: x[n, h, x.shape[2] - 1 - v if mask[n] else v, c])


def cutout(x: Array, box: Array) -> Array:
    def element(n: int, h: int, v: int, c: int) -> float:
        top, left, bottom, right = box[n]
        return 0.0 if top <= h < bottom and left <= v < right else x[n, h, v, c]

    return filled(x.shape, element)


def colour(x: Array, brightness: Array, saturation: Array, contrast: Array) -> Array:
    y = np.empty(x.shape)
    for n in range(len(x)):
        pixels = indices(x.shape[1:3])
        s = {}
        for at in pixels:
            a = [x[(n, *at, c)] + brightness[n] for c in range(x.shape[3])]
            s[at] = [average(a) + saturation[n] * (value - average(a)) for value in a]
        level = average(value for values in s.values() for value in values)
        for at in pixels:
            for c, value in enumerate(s[at]):
                y[(n, *at, c)] = level + contrast[n] * (value - level)
    return y


def colour_backward(dy: Array, saturation: Array, contrast: Array) -> Array:
    return colour(dy, np.zeros(len(dy)), saturation, contrast)


def _group_deviation(x: Array, group: int, eps: float, g: int, at: tuple[int, ...]) -> tuple[float, float]:
    """Mean and deviation of one pixel and channel over the samples of group g."""
    values = [x[(n, *at)] for n in range(g * group, (g + 1) * group)]
    centre = average(values)
    return centre, math.sqrt(average((value - centre) ** 2 for value in values) + eps)


def minibatch_stddev(x: Array, group: int, eps: float) -> Array:
    items = indices(x.shape[1:])
    s = [average(_group_deviation(x, group, eps, g, at)[1] for at in items) for g in range(len(x) // group)]
    return filled((*x.shape[:3], x.shape[3] + 1), lambda n, *at: x[(n, *at)] if at[2] < x.shape[3] else s[n // group])


def minibatch_stddev_backward(dy: Array, x: Array, group: int, eps: float) -> Array:
    def element(n: int, *at: int) -> float:
        g, size = n // group, math.prod(x.shape[1:])
        ds = total(dy[(m, *hw, -1)] for m in range(g * group, (g + 1) * group) for hw in indices(x.shape[1:3]))
        centre, deviation = _group_deviation(x, group, eps, g, at)
        return dy[(n, *at)] + ds * (x[(n, *at)] - centre) / (group * size * deviation)

    return filled(x.shape, element)
