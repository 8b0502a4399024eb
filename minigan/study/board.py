"""The board that `train --watch` shows: how far, how fast, curves, gradients layer by layer, samples.

It fits the terminal it is shown on, as wide and as high as it may be then: samples stand beside the numbers where
there is room, else below them, and give way first; then the layers do.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from minigan.study.blocks import ASCII_HEIGHTS, HEIGHTS, levels, sparkline
from minigan.study.thumbnail import Thumbnail

_MOST = 512  # numbers that a curve keeps
_WIDE = 96  # columns, from which on samples stand beside the numbers
_SHARE = 0.6  # of the width is then theirs
_LINES = 5, 20  # of samples, at least and at most
_DECADES = len(HEIGHTS)  # that the bars of gradients span
_RANGE, _CURVE = 24, 12  # columns that say from where to where a curve reaches, where so many are left for it
_FRAME = 2, 4  # lines and columns of the border and what is within

Norms = dict[str, dict[str, float | None]]  # net -> layer -> the length of its gradient, None where it is frozen


class Curve:
    """A history of any length as at most _MOST numbers, each the mean of `per` values; and the `last` value itself."""

    def __init__(self) -> None:
        self.last, self.per = float("nan"), 1
        self._means: list[float] = []
        self._rest: list[float] = []

    def add(self, value: float) -> None:
        """One more."""
        self.last = value
        self._rest.append(value)
        if len(self._rest) == self.per:
            self._means.append(float(np.mean(self._rest)))
            self._rest.clear()
        if len(self._means) == _MOST:
            self._means = np.reshape(self._means, (-1, 2)).mean(axis=1).tolist()
            self.per *= 2

    def means(self, n: int) -> NDArray[np.float64]:
        """At most n means of consecutive values, oldest first."""
        values = np.array([*self._means, *([float(np.mean(self._rest))] if self._rest else [])])
        parts = np.array_split(values, min(n, len(values))) if len(values) else []
        return np.array([part.mean() for part in parts])


@dataclasses.dataclass
class Board:
    """What is shown; whoever looks at a run fills it in. Rates and times are NaN until they are known."""

    title: str
    step: int = 0
    total: int = 0
    epoch: float = 0.0
    images_per_s: float = float("nan")
    left_s: float = float("nan")
    ended: str = ""  # how the run came to its end, once it has
    curves: dict[str, Curve] = dataclasses.field(default_factory=dict)  # words -> history
    norms: Norms = dataclasses.field(default_factory=dict)
    samples: Thumbnail | None = None
    samples_step: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        heights = ASCII_HEIGHTS if options.ascii_only else HEIGHTS
        width, lines = options.max_width - _FRAME[1], console.size.height - 1 - _FRAME[0]
        beside = self.samples is not None and options.max_width >= _WIDE
        wide = int(_SHARE * width) if beside else width
        texts = self._texts(wide, lines, heights)
        body: RenderableType = Group(*texts)
        fewest, most = _LINES
        if self.samples and beside and lines > fewest:
            body = Table.grid(padding=(0, 2, 0, 0))
            body.add_column(width=wide)
            body.add_row(Group(*texts), self._drawn(self.samples, width - wide - 2, min(lines, most)))
        elif self.samples and lines - len(texts) > fewest:
            body = Group(*texts, self._drawn(self.samples, width, min(most, lines - len(texts))))
        yield Panel(body, title=Text(self.title), title_align="left", width=options.max_width)

    def _texts(self, width: int, lines: int, heights: str) -> list[Text]:
        """At most `lines` lines of at most `width` characters."""
        texts = [_line(self._progress(), width, "bold"), self._bar(width, heights)]
        texts += [_line(text, width) for text in _curves(self.curves, width, heights)]
        gradients = _gradients(self.norms, width, heights)
        if len(texts) + len(gradients) > lines:
            left = max(0, lines - len(texts) - 1)
            gradients = [*gradients[:left], "... more layers than lines"]
        elif len(texts) + len(gradients) < lines:
            gradients = ["", *gradients]
        return [*texts, *(_line(text, width) for text in gradients)][:lines]

    def _bar(self, width: int, heights: str) -> Text:
        done = width * self.step // max(1, self.total)
        full, rest = ("#", "-") if heights is ASCII_HEIGHTS else ("━", "━")
        return Text.assemble((full * done, "bar.complete"), (rest * (width - done), "bar.back"))

    def _progress(self) -> str:
        seconds = -1 if np.isnan(self.left_s) else round(self.left_s)
        left = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left" if seconds >= 0 else ""
        speed = "" if np.isnan(self.images_per_s) else f"{self.images_per_s:,.0f} images/s"
        parts = [f"step {self.step:,} of {self.total:,}", self.ended or left, speed, f"epoch {self.epoch:.1f}"]
        return "  ".join(filter(None, parts))

    def _drawn(self, samples: Thumbnail, width: int, lines: int) -> RenderableType:
        caption = _line(f"samples at step {self.samples_step:,}", width, "dim")
        return Group(caption, samples.fit(width, lines - 1))


def _line(text: str, width: int, style: str = "") -> Text:
    line = Text(text, style, no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line


def _curves(curves: dict[str, Curve], width: int, heights: str) -> list[str]:
    """A line for each: words, the last value, the history and, where there is room, from where to where it reaches."""
    known = {words: curve for words, curve in curves.items() if not np.isnan(curve.last)}
    wide = max(map(len, known), default=0)
    lines = []
    for words, curve in known.items():
        start = f"{words:<{wide}} {curve.last:>9.4g}  "
        room = max(1, width - len(start))
        ranged = room >= _RANGE + _CURVE
        means = curve.means(room - _RANGE * ranged)
        reach = f"  {means.min():.3g} to {means.max():.3g}" if ranged else ""
        lines.append(f"{start}{sparkline(means, heights):<{room - _RANGE * ranged}}{reach}")
    return lines


def _gradients(norms: Norms, width: int, heights: str) -> list[str]:
    """Cells of a layer, its bar and its norm, a few in a line; a net begins a line. A bar's step is a factor of ten."""
    largest = max((norm or 0.0 for layers in norms.values() for norm in layers.values()), default=0.0)
    wide = max((len(layer) for layers in norms.values() for layer in layers), default=0)
    lines = []
    for net, layers in norms.items():
        lines.append(f"gradient norms of {net.upper()}")
        cells = [f"{layer:<{wide}} {_bar(norm, largest, heights)}" for layer, norm in layers.items()]
        abreast = max(1, (width + 2) // (max(map(len, cells), default=0) + 2))
        lines += ["  ".join(cells[k : k + abreast]) for k in range(0, len(cells), abreast)]
    return lines


def _bar(norm: float | None, largest: float, heights: str) -> str:
    if norm is None:
        return f"  {'frozen':<7}"
    below = np.log10(largest / norm) if norm > 0 else np.inf  # decades below the largest
    height = levels(np.array([1 - (below + 0.5) / _DECADES]), heights) if below < _DECADES else " "
    return f"{height} {norm:<7.1e}"


def histories(plots: dict[str, dict[str, str]], lines: Sequence[dict[str, float]]) -> dict[str, tuple[str, Curve]]:
    """The curves of a task's plots by the key of a log line -> words, and the history that `lines` hold.

    Words that stand at several axes get the axis' label before them.
    """
    said = Counter(words for keys in plots.values() for words in keys.values())
    made = {
        key: (words if said[words] == 1 else f"{label}, {words}", Curve())
        for label, keys in plots.items()
        for key, words in keys.items()
    }
    for line in lines:
        for key, (_, curve) in made.items():
            if key in line:
                curve.add(line[key])
    return made
