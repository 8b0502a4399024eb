"""A task's samples in as few pixels as a terminal has: images beside each other, signals as curves, points as dots."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minigan.study.blocks import HalfBlocks
from minigan.training import pictures

_SMALLEST, _ABREAST = 8, 4  # pixels of an image, at least; so many stand beside each other where nothing else is asked
_ACROSS, _DOWN = 2, 3  # signals
REAL, FAKE = (110, 110, 110), (255, 80, 80)


class Thumbnail:
    """Samples x, and real points for those in the plane, drawn anew when the room for them changes.

    x (n,H,W,C), (n,1,L,C) or (n,2), in `value_range`; `columns` of images belong beside each other, 0: any number.
    """

    def __init__(self, x: NDArray[Any], value_range: tuple[float, float], real: NDArray[Any], columns: int = 0):
        self.x, self.value_range, self.real, self.columns = x, value_range, real, columns
        self._drawn: dict[tuple[int, int], HalfBlocks] = {}

    def fit(self, width: int, lines: int) -> HalfBlocks:
        """At most `width` cells by `lines`."""
        if (width, lines) not in self._drawn:
            self._drawn = {(width, lines): HalfBlocks(self._draw(width, 2 * lines))}
        return self._drawn[width, lines]

    def _draw(self, width: int, height: int) -> NDArray[np.uint8]:
        if self.x.ndim == 2:
            return dots([(self.real, REAL), (self.x, FAKE)], self.value_range, min(width, height))
        if pictures.is_signal(self.x.shape[1:]):
            panel = width // _ACROSS, height // _DOWN
            sheet = pictures.signals(self.x[: _ACROSS * _DOWN], self.value_range, _ACROSS, panel=panel)
            return np.asarray(sheet)
        return self._montage(width, height)

    def _montage(self, width: int, height: int) -> NDArray[np.uint8]:
        """As many images as there is room for, a column and a line between them; no larger than they are."""
        n, h, w, _ = self.x.shape
        columns = self.columns or int(np.ceil(np.sqrt(n)))
        side = min(w, max(_SMALLEST, width // (self.columns or _ABREAST) - 1))
        tall = max(1, round(side * h / w))
        across, down = (max(1, (room + 1) // (size + 1)) for room, size in ((width, side), (height, tall)))
        across, down = min(across, columns), min(down, -(-n // columns))
        sheet = Image.new("RGB", (across * (side + 1) - 1, down * (tall + 1) - 1))
        images = pictures.to_uint8(self.x, self.value_range)
        for row in range(down):
            for column, image in enumerate(images[row * columns : row * columns + across]):
                tile = pictures.as_image(image).resize((side, tall), Image.Resampling.BOX)
                sheet.paste(tile, (column * (side + 1), row * (tall + 1)))
        return np.asarray(sheet)[:height, :width]


def dots(
    sets: Sequence[tuple[NDArray[Any], tuple[int, int, int]]], limits: tuple[float, float], side: int
) -> NDArray[np.uint8]:
    """Sets of points (n,2), each with its colour, later ones above -> an image (side,side,3) that `limits` span.

    Points beyond the limits are left out.
    """
    image = np.zeros((side, side, 3), np.uint8)
    for points, colour in sets:
        at = places(points, limits, side)
        at = at[((at >= 0) & (at < side)).all(axis=1)]
        image[at[:, 1], at[:, 0]] = colour
    return image


def places(points: NDArray[Any], limits: tuple[float, float], side: int) -> NDArray[np.intp]:
    """(n,2) points -> (n,2) column and row of the pixel of each; the first axis runs right, the second upwards."""
    low, high = limits
    share = (np.asarray(points, np.float64) - low) / (high - low)
    return np.floor(np.stack([share[:, 0], 1 - share[:, 1]], axis=1) * side).astype(np.intp)
