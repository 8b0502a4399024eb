"""The figures of the handbook, drawn as SVG: python docs/backprop/figures.py [FOLDER], by default into its own.

Numbers in them come from minigan's ops, and from the examples that `minigan explain` prints.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from minigan import backends
from minigan.backends.clock import CLIP, HOST_WORDS, WORDS, host_words
from minigan.study.registry import find

BLUE, ORANGE, GREEN, RED = "#0072b2", "#d98200", "#008060", "#c0392b"  # apart for colour-blind eyes as well
FOUR = (BLUE, ORANGE, GREEN, RED)
INK, GREY, FAINT = "#222222", "#777777", "#e4e4e4"
CELL = 34

ops = backends.load("numpy")


class Figure:
    """An SVG picture of the given size in pixels, on white, so that it is read on a dark page, too."""

    def __init__(self, width: int, height: int, title: str):
        view = {"width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
        self.root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "role": "img", **view})
        self.root.set("font-family", "DejaVu Sans, Verdana, sans-serif")
        self._add("title").text = title
        self._add("rect", width=width, height=height, fill="#ffffff")

    def _add(self, tag: str, **attributes: Any) -> ElementTree.Element:
        words = {
            key.replace("_", "-"): f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
            for key, value in attributes.items()
        }
        return ElementTree.SubElement(self.root, tag, words)

    def text(self, x: float, y: float, words: object, colour: str = INK, size: int = 14, **more: Any) -> None:
        """`words` about x, y."""
        at = {"text_anchor": "middle", "dominant_baseline": "central", **more}
        self._add("text", x=x, y=y, fill=colour, font_size=size, **at).text = str(words)

    def rect(self, x: float, y: float, width: float, height: float, fill: str = "none", **more: Any) -> None:
        """A box; `more` are SVG's attributes."""
        self._add("rect", x=x, y=y, width=width, height=height, fill=fill, **{"stroke": GREY, **more})

    def arrow(self, points: Sequence[tuple[float, float]], colour: str = GREY, width: float = 2, **more: Any) -> None:
        """A line through `points`, with a head at its end."""
        (x0, y0), (x1, y1) = points[-2:]
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        bx, by = x1 - 10 * ux, y1 - 10 * uy
        head = [(x1, y1), (bx - 5 * uy, by + 5 * ux), (bx + 5 * uy, by - 5 * ux)]
        self.line([*points[:-1], (bx, by)], colour, width, **more)
        self._add("polygon", points=_points(head), fill=colour)

    def line(self, points: Iterable[tuple[float, float]], colour: str = GREY, width: float = 2, **more: Any) -> None:
        """A line through `points`."""
        self._add("polyline", points=_points(points), fill="none", stroke=colour, stroke_width=width, **more)

    def grid(
        self, x: float, y: float, shape: tuple[int, int], words: Callable[[int, int], object] = lambda i, j: "",
        fill: Callable[[int, int], str] = lambda i, j: "", cell: int = CELL, size: int = 14,
    ) -> None:  # fmt: skip
        """Cells of `shape` from the corner x, y on: what stands in each, and its colour, "" for none."""
        for i, j in np.ndindex(shape):
            colour = fill(i, j)
            tint = {"fill": colour, "fill_opacity": 0.3} if colour else {}
            self.rect(x + j * cell, y + i * cell, cell, cell, stroke=INK, **tint)
            self.text(x + (j + 0.5) * cell, y + (i + 0.5) * cell, words(i, j), size=size)

    def box(self, x: float, y: float, words: str, colour: str = INK, width: float = 64, height: float = 44) -> None:
        """A rounded box with `words` in it, about x, y."""
        self.rect(x - width / 2, y - height / 2, width, height, "#ffffff", stroke=colour, stroke_width=2, rx=8)
        self.text(x, y, words, colour, 16)

    def svg(self) -> str:
        """The file's text."""
        ElementTree.indent(self.root, " ")
        return ElementTree.tostring(self.root, "unicode") + "\n"


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _whole(value: float) -> str:
    return f"{value:.0f}".replace("-", "−")


def _product(a: float, b: float) -> str:
    return f"{_whole(a)} · {_whole(b)}" if b >= 0 else f"{_whole(a)} · ({_whole(b)})"


def linear() -> Figure:
    """Three products; in each, the row and the column that make one entry."""
    f = Figure(900, 245, "y = x w, dx = dy w transposed, dw = x transposed dy: what makes one entry of each")
    N, I, O = 4, 3, 2  # noqa: E741
    panels = (
        (
            "y[n,o] = Σᵢ x[n,i] w[i,o]",
            ("x (N,I)", (N, I), lambda i, j: i == 1),
            ("w (I,O)", (I, O), lambda i, j: j == 0),
            ("y (N,O)", (N, O), lambda i, j: (i, j) == (1, 0)),
        ),
        (
            "dx[n,i] = Σₒ dy[n,o] w[i,o]",
            ("dy (N,O)", (N, O), lambda i, j: i == 1),
            ("w (I,O)", (I, O), lambda i, j: i == 2),
            ("dx (N,I)", (N, I), lambda i, j: (i, j) == (1, 2)),
        ),
        (
            "dw[i,o] = Σₙ x[n,i] dy[n,o]",
            ("x (N,I)", (N, I), lambda i, j: j == 2),
            ("dy (N,O)", (N, O), lambda i, j: j == 0),
            ("dw (I,O)", (I, O), lambda i, j: (i, j) == (2, 0)),
        ),
    )
    for k, (formula, *arrays) in enumerate(panels):
        left, cell = 20 + 300 * k, 24
        f.text(left + 125, 32, formula, FOUR[k], 16)
        for name, (rows, columns), marked in arrays:
            f.grid(left, 90, (rows, columns), fill=lambda i, j, on=marked, k=k: FOUR[k] if on(i, j) else "", cell=cell)
            f.text(left + columns * cell / 2, 72, name, size=13)
            left += columns * cell + 36
    f.text(450, 220, "The sum runs along the coloured row or column of both factors; it makes the one coloured entry.")
    return f


def windows() -> Figure:
    """The convolution of `minigan explain conv2d`: four windows, and the pixel in which all of them meet."""
    f = Figure(900, 400, "Four windows of a 3x3 kernel with stride 2, and the pixel that lies in all of them")
    x, w, dy = (find("conv2d").example.inputs[name] for name in ("x", "w", "dy"))
    dx = ops.conv2d_dgrad(dy, w, None, (2, 2), ((0, 1), (0, 1)), (4, 4))[0, :, :, 0]
    image, kernel, slopes = np.pad(x[0, :, :, 0], ((0, 1), (0, 1))), w[:, :, 0, 0], dy[0, :, :, 0]
    cell, top = 44, 80
    f.text(150, 40, "x, padded by a row and a column")
    f.grid(40, top, (5, 5), lambda i, j: _whole(image[i, j]), lambda i, j: "" if max(i, j) < 4 else FAINT, cell)
    for k, (p, q) in enumerate(np.ndindex(2, 2)):
        inset = 3 + 3 * k
        corner = 40 + 2 * q * cell + inset, top + 2 * p * cell + inset
        side = 3 * cell - 2 * inset
        f.rect(*corner, side, side, stroke=FOUR[k], stroke_width=3)
    f.text(370, 40, "w")
    f.grid(370 - 1.5 * cell, top, (3, 3), lambda i, j: _whole(kernel[i, j]), cell=cell)
    f.text(540, 40, "dy")
    f.grid(540 - cell, top, (2, 2), lambda p, q: _whole(slopes[p, q]), lambda p, q: FOUR[2 * p + q], cell)
    f.text(750, 40, "dx")
    f.grid(750 - 2 * cell, top, (4, 4), lambda i, j: _whole(dx[i, j]), lambda i, j: FAINT if i == j == 2 else "", cell)
    f.rect(750, top + 2 * cell, cell, cell, stroke=INK, stroke_width=3)
    f.text(60, 342, "dx[2,2]  =", text_anchor="start", size=16)
    for k, (p, q) in enumerate(np.ndindex(2, 2)):
        i, j = 2 - 2 * p, 2 - 2 * q
        f.text(250 + 170 * k, 342, f"dy[{p},{q}] w[{i},{j}]", FOUR[k], 16)
        f.text(250 + 170 * k, 372, _product(slopes[p, q], kernel[i, j]), FOUR[k], 16)
        f.text(335 + 170 * k, 342, "+" if k < 3 else "", size=16)
        f.text(335 + 170 * k, 372, "+" if k < 3 else f"=  {_whole(dx[2, 2])}", size=16)
    return f


def phases() -> Figure:
    """Which taps of a 5x5 kernel meet which pixels at stride 2."""
    f = Figure(900, 330, "At stride 2 a 5x5 kernel falls into four parts, one for each parity of row and column")
    cell, top = 34, 70
    parity = lambda i, j: FOUR[2 * (i % 2) + j % 2]  # noqa: E731
    f.text(115, 35, "w, 5x5: tap i,j")
    w = np.array([[f"{i},{j}" for j in range(5)] for i in range(5)])
    f.grid(30, top, (5, 5), lambda i, j: w[i, j], parity, cell, 12)
    f.text(350, 35, "dx: pixels h,v (top = left = 1)")
    f.grid(248, top, (6, 6), lambda h, v: f"{h},{v}", lambda h, v: parity(h + 1, v + 1), cell, 12)
    f.text(690, 35, "four kernels of stride 1 over dy")
    for k, (a, b) in enumerate(np.ndindex(2, 2)):
        rows, columns = 3 - a, 3 - b
        x, y = 510 + 200 * b, top + 118 * a
        turned = w[a::2, b::2][::-1, ::-1]
        f.grid(x, y, turned.shape, lambda i, j, w=turned: w[i, j], lambda i, j, k=k: FOUR[k], cell, 12)
        f.text(x + columns * cell + 30, y + rows * cell / 2, f"{rows}x{columns}", FOUR[k], 16)
    f.text(450, 310, "A pixel meets the taps of its own colour: h + top − i must be even, and so must v + left − j.")
    return f


def stamps() -> Figure:
    """The transposed convolution that the page works out by hand."""
    f = Figure(
        900, 330, "A transposed convolution: each pixel of x puts the kernel on y, where copies overlap they add"
    )
    x, w = np.array([2.0, -1, 3]), np.array([1.0, 4, -2])
    y = ops.conv2d_dgrad(x.reshape(1, 1, 3, 1), w.reshape(1, 3, 1, 1), None, (1, 2), ((0, 0), (1, 0)), (1, 6)).ravel()
    cell, left = 80, 160
    f.text(60, 50, "x", size=18)
    f.text(60, 260, "y", size=18)
    for p in range(3):
        height, start = 96 + 44 * p, left + 2 * p * cell
        f.rect(start + cell, 30, cell, 40, FOUR[p], fill_opacity=0.3, stroke=INK)
        f.text(start + 1.5 * cell, 50, f"x[{p}] = {_whole(x[p])}")
        f.arrow([(start + 1.5 * cell, 70), (start + 1.5 * cell, height)], FOUR[p])
        for i in range(3):
            f.rect(start + i * cell, height, cell, 34, FOUR[p], fill_opacity=0.3, stroke=INK)
            f.text(start + (i + 0.5) * cell, height + 17, _product(x[p], w[i]), size=15)
    f.rect(left, 240, cell, 40, stroke=GREY, stroke_dasharray="4 4")
    f.text(left + cell / 2, 260, "cut off", GREY, 13)
    for h in range(6):
        f.rect(left + (h + 1) * cell, 240, cell, 40, stroke=INK)
        f.text(left + (h + 1.5) * cell, 260, f"{_whole(y[h])}", size=16)
        f.text(left + (h + 1.5) * cell, 298, f"h = {h}", GREY, 12)
    f.text(left + cell / 2, 298, "h = −1", GREY, 12)
    f.text(820, 130, "w = 1, 4, −2", size=15)
    f.text(820, 155, "s = 2, top = 1", size=15)
    return f


def paths() -> Figure:
    """Batchnorm's three paths, with the factor on every edge."""
    f = Figure(900, 380, "The three paths by which x[k] acts on the outputs of batchnorm")
    at = {"x[k]": (90, 190), "m": (330, 310), "v": (330, 70), "x̂[j]": (600, 190), "y[j]": (800, 190)}
    f.arrow([(122, 190), (566, 190)], BLUE, 3)
    f.text(445, 172, "1/s, for j = k alone", BLUE)
    f.arrow([(110, 168), (300, 82)], ORANGE, 3)
    f.text(150, 100, "2 (x[k] − m) / M", ORANGE)
    f.arrow([(362, 80), (578, 168)], ORANGE, 3)
    f.text(535, 105, "−x̂[j] / (2 s²), every j", ORANGE)
    f.arrow([(110, 212), (300, 298)], GREEN, 3)
    f.text(165, 282, "1/M", GREEN)
    f.arrow([(362, 300), (578, 212)], GREEN, 3)
    f.text(530, 278, "−1/s, every j", GREEN)
    f.arrow([(330, 288), (330, 92)], GREY, 1.5, stroke_dasharray="4 4")
    f.text(370, 225, "0", GREY)
    f.arrow([(634, 190), (768, 190)], INK)
    f.text(700, 172, "γ")
    for words, (x, y) in at.items():
        f.box(x, y, words)
    f.text(450, 355, "dx[k] = sum over paths of dy[j] times the factors along the path, backwards", size=15)
    return f


def _axes(
    f: Figure, x: Sequence[float], y: Sequence[float]
) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Axes with ticks at x and y; how a value becomes a pixel along each."""
    to_x = lambda v: 90 + (v - x[0]) / (x[-1] - x[0]) * 560  # noqa: E731
    to_y = lambda v: 290 - (v - y[0]) / (y[-1] - y[0]) * 250  # noqa: E731
    for v in x:
        f.line([(to_x(v), 290), (to_x(v), 40)], FAINT, 1)
        f.text(to_x(v), 308, f"{v:g}".replace("-", "−"), size=13)
    for v in y:
        f.line([(90, to_y(v)), (650, to_y(v))], FAINT, 1)
        f.text(70, to_y(v), f"{v:g}".replace("-", "−"), size=13)
    return to_x, to_y


def slopes() -> Figure:
    """The gradient by D's logit of both losses of G."""
    f = Figure(
        900, 350, "The gradient by D's logit: minimax vanishes where D is sure of a fake, non-saturating does not"
    )
    to_x, to_y = _axes(f, (-6, -4, -2, 0, 2, 4, 6), (-1, -0.75, -0.5, -0.25, 0))
    x = np.linspace(-6, 6, 61)
    for kind, target, colour, words, height in (
        ("minimax", 0.0, ORANGE, "minimax", 60),
        ("bce", 1.0, BLUE, "non-saturating", 250),
    ):
        dx = len(x) * ops.logit_loss(x, kind, target)[1]
        f.line([(to_x(a), to_y(b)) for a, b in zip(x, dx, strict=True)], colour, 3)
        f.text(765, height, words, colour, 16)
    f.text(765, 80, "0 where D is sure of the fake", size=13)
    f.text(765, 270, "−1 where D is sure of the fake", size=13)
    f.text(370, 332, "x, D's logit of a generated sample")
    f.text(110, 20, "N · dx", text_anchor="start")
    return f


def correction() -> Figure:
    """Adam's steps at a gradient that is 1 all the time."""
    f = Figure(
        900, 350, "Steps of Adam at a steady gradient: without the correction the first ones are 16 times too long"
    )
    to_x, to_y = _axes(f, (0, 20, 40, 60, 80, 100), (0, 4, 8, 12, 16, 20))
    for corrected, colour, words, height in ((False, RED, "without the correction", 165), (True, BLUE, "Adam", 276)):
        p, m, v, clock = np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(WORDS)
        clock[CLIP] = 1
        places = [0.0]
        for t in range(1, 101):
            rates = (1.0, 1 / (1 - 0.5**t), 1 / (1 - 0.999**t)) if corrected else (1.0, 1.0, 1.0)
            clock[:HOST_WORDS] = host_words(0, t, [rates], np.float64)
            ops.adam_step(p, np.ones(1), m, v, clock, 0, 0.5, 0.999, 0.0, 0.0)
            places.append(-p[0])
        f.line([(to_x(t), to_y(step)) for t, step in enumerate(np.diff(places), start=1)], colour, 3)
        f.text(765, height, words, colour, 16)
    f.text(370, 332, "t, the step's number (β₁ = 0.5, β₂ = 0.999)")
    f.text(110, 20, "length of the step / lr", text_anchor="start")
    return f


def step() -> Figure:
    """Which arrows are drawn backwards in D's step, and in G's."""
    f = Figure(900, 470, "D's step stops at D's input, G's step passes through D and ends in G")
    for top, whose in ((0, "D's step"), (235, "G's step")):
        mine = whose == "D's step"
        f.text(70, top + 30, whose, BLUE if mine else GREEN, 18)
        y = top + 130
        for a, b in ((92, 158), (222, 308), (372, 458), (522, 608)):
            f.arrow([(a, y - 8), (b, y - 8)], GREY, 1.5)
        nets = (GREY, BLUE) if mine else (GREEN, GREY)
        for x, words, colour in zip(
            (60, 190, 340, 490, 640), ("z", "G", "x fake", "D", "r, L"), (INK, nets[0], INK, nets[1], INK), strict=True
        ):
            f.box(x, y, words, colour)
        f.text(640, y + 38, "loss of D" if mine else "loss of G", size=13)
        if mine:
            f.box(340, top + 65, "x real")
            f.arrow([(372, top + 65), (430, top + 65), (466, y - 26)], GREY, 1.5)
            f.arrow([(608, y + 8), (522, y + 8)], BLUE, 3)
            f.text(565, y + 24, "dr of both", BLUE, 13)
            f.arrow([(490, y + 22), (490, y + 62)], BLUE, 3)
            f.text(490, y + 76, "dw, db: real + fake", BLUE)
            f.text(415, y + 14, "no dx", GREY, 13)
            f.text(190, y + 38, "makes fakes, keeps nothing", GREY, 13)
        else:
            for a, b, words in ((608, 522, "dr"), (458, 372, "dx"), (308, 222, "dy of G")):
                f.arrow([(a, y + 8), (b, y + 8)], GREEN, 3)
                f.text((a + b) / 2, y + 38, words, GREEN, 13)
            f.arrow([(190, y + 22), (190, y + 62)], GREEN, 3)
            f.text(190, y + 76, "dw, db", GREEN)
            f.text(490, y + 38, "frozen: no dw", GREY, 13)
        f.text(800, y - 20, "→ forward", GREY, 14)
        f.text(800, y + 10, "← gradient", BLUE if mine else GREEN, 14)
    f.line([(20, 235), (880, 235)], FAINT, 1)
    return f


FIGURES = (linear, windows, phases, stamps, paths, slopes, correction, step)

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for draw in FIGURES:
        (folder / f"{draw.__name__}.svg").write_text(draw().svg(), encoding="utf-8")
