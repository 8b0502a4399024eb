"""What the figures of this folder are drawn with: an SVG picture, on white, and its colours."""

from collections.abc import Callable

INK, PALE, GRID = "#1f2933", "#e4e7eb", "#9aa5b1"
BLUE, ORANGE, GREEN, RED, PURPLE = "#0072b2", "#d98200", "#008060", "#c0392b", "#7a52aa"  # as in docs/backprop
FOUR = (BLUE, ORANGE, GREEN, PURPLE)
SMALL, NORMAL, LARGE = 11, 13, 15  # pixels of letters
WIDE = 850  # pixels of a picture


class Svg:
    """A picture of so many pixels, on white."""

    def __init__(self, width: int, height: int, says: str):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" fill="{INK}">',
            f"<title>{plain(says)}</title>",
            f'<rect width="{width}" height="{height}" fill="white"/>',
        ]

    def box(self, x: float, y: float, w: float, h: float, fill: str, line: str = INK, opacity: float = 1) -> None:
        """A rectangle."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}" '
            f'fill-opacity="{opacity:g}" stroke="{line}"/>'
        )

    def line(self, x0: float, y0: float, x1: float, y1: float, colour: str = INK, dash: str = "none") -> None:
        """A line."""
        self.parts.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" '
            f'stroke="{colour}" stroke-dasharray="{dash}"/>'
        )

    def arrow(self, x0: float, y0: float, x1: float, y1: float, colour: str = INK) -> None:
        """A line with a head."""
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        self.line(x0, y0, x1 - 4 * ux, y1 - 4 * uy, colour)
        corners = [(x1, y1), *((x1 - 9 * ux + s * 4 * uy, y1 - 9 * uy - s * 4 * ux) for s in (1, -1))]
        self.parts.append(f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in corners)}" fill="{colour}"/>')

    def text(self, x: float, y: float, words: str, size: int = NORMAL, anchor: str = "start") -> None:
        """A line of text; y is its base line."""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{plain(words)}</text>'
        )

    def cells(self, x: float, y: float, rows: int, columns: int, side: float, fill: Callable[[int, int], str]) -> None:
        """A grid of squares."""
        for r in range(rows):
            for c in range(columns):
                self.box(x + c * side, y + r * side, side, side, fill(r, c), GRID)

    def __str__(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def plain(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
