"""Pictures and curves in the characters of a terminal: two pixels in a cell, or eight heights."""

from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

HALF = "▀"  # its ink is the upper pixel, its ground the lower one
SHADES = " ░▒▓█"  # for terminals without colours
ASCII_SHADES = " .:-=+*#%@"  # ... and for those without these either
HEIGHTS = "▁▂▃▄▅▆▇█"
ASCII_HEIGHTS = "_.-:=+*#"
_GREY = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


class HalfBlocks:
    """An image (H,W,3) uint8 as W cells by H/2 lines, in the nearest colours that the terminal has, else in shades.

    An odd H gets a black line below.
    """

    def __init__(self, image: NDArray[np.uint8]):
        self.image = np.concatenate([image, np.zeros((len(image) % 2, *image.shape[1:]), np.uint8)])

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.image.shape[1], self.image.shape[1])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        coloured = console.color_system and not console.no_color and not options.ascii_only
        for upper, lower in zip(self.image[::2], self.image[1::2], strict=True):
            if coloured:
                pairs = np.concatenate([upper, lower], axis=1).tolist()
                yield from (Segment(HALF * len(list(run)), _style(*pair)) for pair, run in groupby(map(tuple, pairs)))
            else:
                grey = np.stack([upper, lower]).mean(axis=0) @ _GREY
                yield Segment(levels(grey / 255, ASCII_SHADES if options.ascii_only else SHADES))
            yield Segment.line()


@lru_cache(1 << 14)
def _style(r: int, g: int, b: int, r2: int, g2: int, b2: int) -> Style:
    return Style(color=Color.from_rgb(r, g, b), bgcolor=Color.from_rgb(r2, g2, b2))


def levels(shares: NDArray[np.floating], characters: str) -> str:
    """(n,) numbers in 0 .. 1 -> a character for each, the first for 0 and the last for 1; a blank where not finite."""
    known = np.isfinite(shares)
    places = np.clip(np.where(known, shares, 0) * len(characters), 0, len(characters) - 1).astype(int)
    return "".join(characters[place] if there else " " for place, there in zip(places, known, strict=True))


def sparkline(values: NDArray[np.floating], characters: str = HEIGHTS) -> str:
    """(n,) numbers -> n characters, from the lowest of them to the highest; all in the middle when they are equal."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    flat = np.where(np.isfinite(values), 0.5, np.nan)
    return levels((values - low) / (high - low) if high > low else flat, characters)
