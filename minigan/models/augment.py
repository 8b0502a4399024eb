"""DiffAugment: D sees real and generated images moved, cut, coloured and flipped alike, so it cannot learn the few real
ones by heart; G's gradient goes back through the same maps, so its images need not be moved.

The host draws what happens to each sample, which the maps take as arrays beside x: the same bits on every backend.
Source: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", arXiv:2006.10738.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan.errors import ConfigError, nearest
from minigan.models.shapes import Array, Shape

TRANSLATION = 1 / 8  # of height and width, at most, in each direction
CUTOUT = 1 / 2  # of height and width
BRIGHTNESS, SATURATION, CONTRAST = 1 / 4, (0.0, 2.0), (0.5, 1.5)  # brightness: of the distance from black to white

Draw = Callable[[np.random.Generator, int, Shape], tuple[Array, ...]]


class Row(NamedTuple):
    """`draw` gives, for n samples of a shape, integers or numbers about each, (n, ...); forward(ops, x, *drawn) -> y;
    backward(ops, dy, *drawn) -> dx. `drawn` is how many arrays there are.
    """

    draw: Draw
    forward: Callable[..., Array]
    backward: Callable[..., Array]
    drawn: int


def _shifts(g: np.random.Generator, n: int, shape: Shape) -> tuple[Array, ...]:
    """(down, right) of each sample, and the way back, which the gradient goes."""
    most = [int(size * TRANSLATION + 0.5) for size in shape[:2]]
    by = np.stack([g.integers(-m, m + 1, n) for m in most], axis=1).astype(np.int32)
    return by, -by


def _boxes(g: np.random.Generator, n: int, shape: Shape) -> tuple[Array, ...]:
    """(top, left, bottom, right): of half the image's size, its centre anywhere, so that some of it may lie outside."""
    size = np.array([int(size * CUTOUT + 0.5) for size in shape[:2]])
    corner = np.stack([g.integers(0, h + 1 - s % 2, n) for h, s in zip(shape, size, strict=False)], axis=1) - size // 2
    return (np.concatenate([corner, corner + size], axis=1).astype(np.int32),)


def _colours(g: np.random.Generator, n: int, shape: Shape) -> tuple[Array, ...]:
    """Brightness in distances from black to white, saturation, contrast."""
    return g.uniform(-BRIGHTNESS, BRIGHTNESS, n), g.uniform(*SATURATION, n), g.uniform(*CONTRAST, n)


def _masks(g: np.random.Generator, n: int, shape: Shape) -> tuple[Array, ...]:
    return (g.integers(0, 2, n).astype(np.int32),)


AUGMENTATIONS = {
    "translation": Row(
        _shifts, lambda ops, x, by, back: ops.shift(x, by), lambda ops, dy, by, back: ops.shift(dy, back), 2
    ),
    "cutout": Row(_boxes, lambda ops, x, box: ops.cutout(x, box), lambda ops, dy, box: ops.cutout(dy, box), 1),
    "colour": Row(
        _colours,
        lambda ops, x, brightness, *more: ops.colour(x, brightness, *more),
        lambda ops, dy, brightness, *more: ops.colour_backward(dy, *more),
        3,
    ),
    "flip": Row(_masks, lambda ops, x, mask: ops.flip(x, mask), lambda ops, dy, mask: ops.flip(dy, mask), 1),
}


class Augment:
    """T: the augmentations that `names` lists, one after the other, on items of `shape` = (H,W,C).

    `span` is the distance from black to white, None where nobody knows. What T moves in, or cuts out, is 0. Raises
    ConfigError on an unknown name, items that are no images, and colours without a span.
    """

    def __init__(self, names: Sequence[str], shape: Shape, span: float | None):
        for name in names:
            if name not in AUGMENTATIONS:
                raise ConfigError(f"train.augment names {name!r}, which is unknown; {nearest(name, AUGMENTATIONS)}")
        if names and len(shape) != 3:
            raise ConfigError(f"train.augment changes images, but the data's items are {shape}; leave it out")
        if "colour" in names and span is None:
            raise ConfigError(
                "train.augment colour must know what black and white are, but data.range is raw; give model.output "
                "tanh or sigmoid"
            )
        self.rows = [AUGMENTATIONS[name] for name in names]
        self.shape, self.span = shape, span or 0.0

    @property
    def drawn(self) -> int:
        """How many arrays `draw` gives."""
        return sum(row.drawn for row in self.rows)

    def draw(self, g: np.random.Generator, n: int, dtype: Any) -> list[Array]:
        """What happens to each of n samples, on the host: arrays (n, ...), int32 or of `dtype`."""
        out: list[Array] = []
        for row in self.rows:
            arrays = row.draw(g, n, self.shape)
            if row is AUGMENTATIONS["colour"]:
                arrays = (self.span * arrays[0], *arrays[1:])
            out += [a if a.dtype == np.int32 else a.astype(dtype) for a in arrays]
        return out

    def forward(self, ops: Any, x: Array, drawn: Sequence[Array]) -> Array:
        """x (N,H,W,C) -> T(x); `drawn` is what `draw` gave, on the backend. Where nothing was drawn, x as it is."""
        for row, arrays in self._each(drawn):
            x = row.forward(ops, x, *arrays)
        return x

    def backward(self, ops: Any, dy: Array, drawn: Sequence[Array]) -> Array:
        """dy (N,H,W,C), by T(x) -> dx, by x. T is linear in x but for the brightness it adds, so x is not needed."""
        for row, arrays in reversed(list(self._each(drawn))):
            dy = row.backward(ops, dy, *arrays)
        return dy

    def _each(self, drawn: Sequence[Array]) -> Iterator[tuple[Row, Sequence[Array]]]:
        start = 0
        for row in self.rows if drawn else ():
            yield row, drawn[start : start + row.drawn]
            start += row.drawn
