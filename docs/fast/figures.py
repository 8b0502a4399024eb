"""Draws the figures of this folder:   python docs/fast/figures.py [FOLDER]

Diagrams show an algorithm; those named ...-measured show the newest result of `python -m benchmarks.fast`. The same
result gives the same bytes.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "benchmarks" / "results"

INK, PALE, GRID = "#1f2933", "#e4e7eb", "#9aa5b1"
BLUE, ORANGE, GREEN, RED, PURPLE = "#0072b2", "#d98200", "#008060", "#c0392b", "#7a52aa"  # as in docs/backprop
FOUR = (BLUE, ORANGE, GREEN, PURPLE)
SMALL, NORMAL, LARGE = 11, 13, 15  # pixels of letters


class Svg:
    """A picture of so many pixels, on white."""

    def __init__(self, width: int, height: int, says: str):
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" font-family="sans-serif" fill="{INK}">',
            f"<title>{_plain(says)}</title>",
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
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{_plain(words)}</text>'
        )

    def cells(self, x: float, y: float, rows: int, columns: int, side: float, fill: Callable[[int, int], str]) -> None:
        """A grid of squares."""
        for r in range(rows):
            for c in range(columns):
                self.box(x + c * side, y + r * side, side, side, fill(r, c), GRID)

    def __str__(self) -> str:
        return "\n".join([*self.parts, "</svg>", ""])


def _plain(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --------------------------------------------------------------------------------------------------------- measurements


def newest() -> dict[str, Any]:
    """The newest result of benchmarks.fast."""
    return json.loads(max(RESULTS.glob("*-fast.json")).read_text(encoding="utf-8"))


def found(result: dict[str, Any], page: str, op: str, shape: str) -> list[dict[str, Any]]:
    """The rows that were measured for a page, of an op of these sizes."""
    return next(work["rows"] for work in result["pages"][page] if (work["op"], work["shape"]) == (op, shape))


def where(result: dict[str, Any]) -> str:
    """The line below a measurement."""
    return (
        f"{result['cpu']}, one thread, {result['date'][:10]}; minigan profile --op, medians, 20 to 80 % as whiskers. "
        "Ratios within a figure count."
    )


def name_of(row: dict[str, Any]) -> str:
    """Who computed it."""
    if row["backend"] == "numpy":
        return "numpy: the oracle"
    return " ".join(filter(None, [row["isa"], row["implementation"]]))


Bar = tuple[str, float, float, float, str, str]  # label, value, its 20th and 80th percentile, what is said, colour

LEFT_PX, BAR_PX, RIGHT_PX = 210, 380, 260
WIDE = LEFT_PX + BAR_PX + RIGHT_PX


def bars(title: str, groups: list[tuple[str, list[Bar]]], foot: str, unit: str) -> Svg:
    """Groups of bars that begin at 0, a scale for each group."""
    height = 66 + sum(30 + 22 * len(rows) for _, rows in groups)
    svg = Svg(WIDE, height, title)
    svg.text(12, 24, title, LARGE)
    y = 40.0
    for heading, rows in groups:
        svg.text(12, y + 14, heading)
        y += 24
        scale = BAR_PX / max(high for _, _, _, high, _, _ in rows)
        for label, value, low, high, said, colour in rows:
            svg.text(LEFT_PX - 8, y + 13, label, SMALL, "end")
            svg.box(LEFT_PX, y + 2, value * scale, 14, colour, colour)
            svg.line(LEFT_PX + low * scale, y + 9, LEFT_PX + high * scale, y + 9)
            svg.text(LEFT_PX + high * scale + 8, y + 13, f"{value:.3g} {unit}{said}", SMALL)
            y += 22
        y += 6
    svg.text(12, height - 10, foot, SMALL)
    return svg


def _bar(row: dict[str, Any], colour: str, said: str = "", label: str = "") -> Bar:
    ms = [1e3 * row[key] for key in ("median_s", "p20_s", "p80_s")]
    return (label or name_of(row), *ms, said, colour)


COLOURS = {"direct": BLUE, "im2col": ORANGE, "fft": GREEN, "": PURPLE}


def _done(row: dict[str, Any]) -> str:
    """Rate and share of the roof."""
    least = max(row["compute_s"], row["memory_s"])
    return f", {row['done_flops'] / row['median_s'] / 1e9:.0f} GFLOP/s done, {least / row['median_s']:.0%} of the roof"


def _every(result: dict[str, Any], page: str, works: list[tuple[str, str, str]], title: str) -> Svg:
    groups = []
    for op, shape, words in works:
        rows = found(result, page, op, shape)
        heading = f"{words}: {rows[0]['flops'] / 1e9:.3g} GFLOP by the formula"
        groups.append((heading, [_bar(row, COLOURS[row["implementation"]], _done(row)) for row in rows]))
    return bars(title, groups, where(result), "ms")


def loops_measured(result: dict[str, Any]) -> Svg:
    """Implementations of two convolutions."""
    works = [
        ("conv2d", "n64h28w28c1k5o64s2", "1 channel: 64 x 28x28x1, kernel 5, stride 2, to 64 channels"),
        ("conv2d", "n64h14w14c64k5o128s2", "64 channels: 64 x 14x14x64, kernel 5, stride 2, to 128 channels"),
    ]
    return _every(result, "loops", works, "One convolution, by every implementation and instruction set")


def gemm_measured(result: dict[str, Any]) -> Svg:
    """The dense layer by instruction set."""
    works = [("linear", "n128c784o256", "128 x 784 times 784 x 256")]
    return _every(result, "gemm", works, "One matrix product (numpy: its BLAS)")


def stride_measured(result: dict[str, Any]) -> Svg:
    """Phases beside zeros between the pixels."""
    rows = found(result, "stride-two", "conv2d_dgrad", "n64h14w14c64k5o128s2")
    zeros = found(result, "stride-two", "conv2d", "n64h14w14c128k5o64s1")[0]
    best = [row for row in rows if row["isa"] == result["isa"]]
    drawn = [_bar(row, COLOURS[row["implementation"]], _done(row)) for row in best]
    drawn.append(_bar(zeros, RED, _done(zeros), "zeros between pixels, direct"))
    heading = "64 x 7x7x128 to 64 x 14x14x64, kernel 5, stride 2"
    return bars("A transposed convolution of stride 2", [(heading, drawn)], where(result), "ms")


def frequency_measured(result: dict[str, Any]) -> Svg:
    """The spectra of a large layer."""
    works = [("conv2d_dgrad", "n64h7w7c128k5o256s1", "64 x 7x7x256 to 64 x 7x7x128, kernel 5, stride 1")]
    return _every(result, "frequency", works, "The DCGAN's largest layer: a transposed convolution of stride 1")


def _gain(result: dict[str, Any], op: str, shape: str, label: str) -> Bar:
    rows = {row["implementation"]: row for row in found(result, "frequency", op, shape)}
    direct, fft = rows["direct"], rows["fft"]
    ratio = direct["median_s"] / fft["median_s"]
    spread = direct["p20_s"] / fft["p80_s"], direct["p80_s"] / fft["p20_s"]
    said = f": {1e3 * direct['median_s']:.3g} ms by direct, {1e3 * fft['median_s']:.3g} ms by fft"
    return label, ratio, *spread, said, GREEN if ratio > 1 else RED


def frequency_pays(result: dict[str, Any]) -> Svg:
    """How many times as fast fft is as direct, over kernels and channels."""
    groups = [
        (
            f"64 images of 14x14x64, to 64 channels, stride {s}",
            [_gain(result, "conv2d", f"n64h14w14c64k{k}o64s{s}", f"kernel {k}x{k}") for k in (1, 3, 5, 7)],
        )
        for s in (1, 2)
    ]
    channels = [_gain(result, "conv2d", f"n64h14w14c{c}k5o{c}s1", f"{c} channels to {c}") for c in (16, 32, 64, 128)]
    groups.append(("64 images of 14x14, kernel 5x5, stride 1", channels))
    title = f"How many times as fast the frequency domain is ({result['isa']})"
    return bars(title, groups, where(result), "times")


def threads_measured(result: dict[str, Any]) -> Svg:
    """One thread beside all."""
    groups = []
    for work in result["pages"]["threads"]:
        rows = sorted(work["rows"], key=lambda row: row["threads"])
        alone = rows[0]["median_s"]
        drawn = [_bar(rows[0], BLUE, label="1 thread")]
        for row in rows[1:]:
            said = f", {alone / row['median_s']:.2f} times as fast"
            drawn.append(_bar(row, ORANGE, said, f"{row['threads']} threads"))
        groups.append((f"{work['op']} {work['shape']}", drawn))
    foot = where(result).replace("one thread", f"{result['threads']} CPUs")
    return bars(f"One thread beside {result['threads']} ({result['isa']})", groups, foot, "ms")


def gpu_compiled(result: dict[str, Any]) -> Svg:
    """What the compiler says of the kernels."""
    found_ = result["gpu"]["compiled"]
    names = [name for name, rows in found_.items() if rows[0]["shared_bytes"] or name.startswith("fft")]
    columns = [20, 250, 350, 450, 550, 650]
    svg = Svg(WIDE, 78 + 22 * len(names), "Registers and shared memory of the GPU's kernels")
    svg.text(20, 24, "What the compiler gives a kernel", LARGE)
    capabilities = ["registers, {}.{}".format(*row["capability"]) for row in found_[names[0]]]
    for x, words in zip(columns, ["kernel", "threads", "shared bytes", *capabilities], strict=True):
        svg.text(x, 46, words, SMALL)
    svg.line(20, 52, WIDE - 20, 52, GRID)
    for i, name in enumerate(names):
        rows = found_[name]
        cells = [name, rows[0]["threads"], rows[0]["shared_bytes"], *(row["registers"] for row in rows)]
        for x, cell in zip(columns, cells, strict=True):
            svg.text(x, 70 + 22 * i, str(cell), SMALL)
    spilled = sum(row["spilled_bytes"] for name in names for row in found_[name])
    words = f"By compute capability; registers of a thread, of which {spilled} bytes are spilled to memory."
    svg.text(20, 72 + 22 * len(names), words, SMALL)
    return svg


def gpu_launches(result: dict[str, Any]) -> Svg:
    """Kernels of a step."""
    drawn: list[Bar] = [
        (preset, *[float(count)] * 3, f", {kinds} different ones", BLUE)
        for preset, (count, kinds) in result["gpu"]["launches"].items()
    ]
    foot = "Counted in the simulator, whose tiles are smaller and which has no cuBLAS: a GPU's counts are near these."
    return bars("Kernels that one training step launches", [("by preset", drawn)], foot, "kernels")


# ------------------------------------------------------------------------------------------------------------- diagrams


def loops_windows() -> Svg:
    """A window becomes a row."""
    svg = Svg(WIDE, 250, "im2col: the window of each output pixel becomes a row of a matrix")
    side, x0, y0 = 24.0, 30.0, 60.0
    svg.text(x0, 44, "x, padded: a pixel has I channels")
    svg.cells(x0, y0, 6, 6, side, lambda r, c: GRID if 1 <= r <= 4 and 1 <= c <= 4 else "white")
    for q, colour in ((0, BLUE), (2, ORANGE)):
        svg.box(x0 + q * side, y0, 3 * side, 3 * side, colour, colour, 0.5)
    svg.text(x0, y0 + 6 * side + 20, "kernel 3x3, stride 2; white: zeros", SMALL)
    svg.arrow(x0 + 6 * side + 12, y0 + 40, 250, y0 + 40)
    cx, cw = 262.0, 20.0
    svg.text(cx, 44, "windows (N P Q, KH KW I)")
    svg.cells(cx, y0, 6, 9, cw, lambda r, c: {0: BLUE, 1: ORANGE}.get(r, PALE))
    svg.text(cx, y0 + 6 * cw + 18, "one row per output pixel", SMALL)
    svg.text(cx, y0 + 6 * cw + 34, "one column per tap and channel", SMALL)
    svg.text(cx + 9 * cw + 12, y0 + 66, "@", LARGE)
    wx = cx + 9 * cw + 38
    svg.text(wx, 44, "w (KH KW I, O)")
    svg.cells(wx, y0, 9, 4, 16, lambda r, c: GREEN if c == 1 else PALE)
    svg.text(wx + 4 * 16 + 14, y0 + 66, "=", LARGE)
    yx = wx + 4 * 16 + 42
    svg.text(yx, 44, "y (N P Q, O)")
    svg.cells(yx, y0, 6, 4, cw, lambda r, c: BLUE if (r, c) == (0, 1) else ORANGE if (r, c) == (1, 1) else PALE)
    return svg


def gemm_blocking() -> Svg:
    """What of A, B and C is where."""
    svg = Svg(WIDE, 345, "Blocks of a matrix product: C's MR x NR block in registers, B's panel in the second cache")
    ax, ay, m, k, n = 40.0, 150.0, 130.0, 260.0, 230.0
    bx, by = ax + k + 40, 24.0
    kh = 104.0
    svg.box(ax, ay, k, m, PALE)
    svg.box(bx, by, n, kh, PALE)
    svg.box(bx, ay, n, m, PALE)
    svg.text(ax, ay - 8, "A: M x K, rows by pointers, never copied")
    svg.text(bx + n + 10, by + 14, "B: K x N")
    svg.text(bx + n + 10, ay + 14, "C: M x N")
    kc, mr, nr = 150.0, 30.0, 56.0
    svg.box(ax, ay + 40, kc, mr, BLUE, BLUE, 0.75)
    svg.box(bx + 60, by, nr, kh * kc / k, ORANGE, ORANGE, 0.8)
    svg.box(bx + 60, ay + 40, nr, mr, GREEN, GREEN, 0.9)
    svg.line(ax + kc, ay, ax + kc, ay + m, GRID, "4 3")
    svg.line(bx, by + kh * kc / k, bx + n, by + kh * kc / k, GRID, "4 3")
    svg.text(ax + kc / 2, ay + 36, "KC terms", SMALL, "middle")
    svg.text(ax - 6, ay + 60, "MR", SMALL, "end")
    svg.text(bx + 60 + nr / 2, by - 6, "NR", SMALL, "middle")
    svg.text(bx - 8, by + 30, "KC", SMALL, "end")
    legend = [
        (ORANGE, "packed panel KC x NR of B: read once per block of rows, stays in the second cache"),
        (BLUE, "MR rows of A: MR numbers per term, each copied to all lanes of a vector"),
        (GREEN, "MR x NR of C: in registers over all KC terms, then added to memory once"),
    ]
    for i, (colour, words) in enumerate(legend):
        svg.box(ax, ay + m + 13 + 16 * i, 10, 10, colour, colour)
        svg.text(ax + 18, ay + m + 22 + 16 * i, words, SMALL)
    return svg


def gemm_packing() -> Svg:
    """B's memory, before and after."""
    svg = Svg(WIDE, 200, "Packing: a panel of NR columns becomes one run of memory")
    svg.text(20, 24, "B as it lies: row after row, so that a panel's next row is N numbers away")
    colours = (BLUE, ORANGE, GREEN)
    side = 26.0
    for r in range(3):
        for c in range(12):
            at = r * 12 + c
            svg.box(20 + c * side, 36 + r * side, side, side, colours[c // 4], "white", 0.35 + 0.3 * (r == 1))
            svg.text(20 + (c + 0.5) * side, 53 + r * side, str(at), SMALL, "middle")
    svg.text(360, 60, "N = 12, NR = 4: three panels", SMALL)
    svg.text(20, 142, "packed: panel after panel; the micro-kernel reads straight ahead")
    narrow = 22.5
    for i in range(36):
        panel, rest = divmod(i, 12)
        r, c = divmod(rest, 4)
        svg.box(20 + i * narrow, 154, narrow, side, colours[panel], "white", 0.35 + 0.3 * (r == 1))
        svg.text(20 + (i + 0.5) * narrow, 171, str(r * 12 + 4 * panel + c), SMALL, "middle")
    return svg


def stride_phases() -> Svg:
    """The four phases of a transposed convolution of stride 2."""
    svg = Svg(WIDE, 250, "Stride 2: output pixels of equal remainder meet the same taps of the kernel")
    side = 22.0
    svg.text(20, 24, "dx, 8x8, padding 1 before")
    svg.cells(20, 36, 8, 8, side, lambda r, c: FOUR[2 * ((r + 1) % 2) + (c + 1) % 2])  # top = left = 1
    svg.text(240, 24, "w, 5x5: its taps, by phase")
    svg.cells(240, 36, 5, 5, 26, lambda r, c: FOUR[2 * (r % 2) + c % 2])
    svg.text(240, 186, "9 + 6 + 6 + 4 = 25 taps", SMALL)
    svg.text(430, 24, "with zeros between dy's pixels instead")
    svg.cells(430, 36, 7, 7, side, lambda r, c: "white" if r % 2 or c % 2 else GRID)
    svg.text(430, 206, "25 taps for every pixel of dx, of which", SMALL)
    svg.text(430, 222, "9, 6, 6 or 4 do not meet a zero", SMALL)
    svg.text(640, 70, "grey: a pixel of dy", SMALL)
    svg.text(640, 86, "white: a zero", SMALL)
    return svg


def frequency_tiles() -> Svg:
    """Overlap-save."""
    svg = Svg(WIDE, 260, "Overlap-save: tiles of the outer image overlap, those of the inner one do not")
    side, x0 = 34.0, 30.0
    svg.text(x0, 24, "outer image (x), in tiles of length 8, kernel of 3 taps")
    for i in range(20):
        svg.box(x0 + i * side, 36, side, 22, PALE, GRID)
        svg.text(x0 + (i + 0.5) * side, 51, str(i), SMALL, "middle")
    for t, colour in enumerate((BLUE, ORANGE, GREEN)):
        begin = 6 * t
        y = 70 + 26 * t
        svg.box(x0 + begin * side, y, 8 * side, 18, colour, colour, 0.5)
        svg.text(x0 + (begin + 4) * side, y + 13, f"tile {t}: transform, multiply, transform back", SMALL, "middle")
    words = "inner image (y): of a tile's 8 numbers the first 8 - 3 + 1 = 6 are right; the rest reached round the cycle"
    svg.text(x0, 170, words)
    for i in range(18):
        svg.box(x0 + i * side, 182, side, 22, (BLUE, ORANGE, GREEN)[i // 6], GRID, 0.5)
        svg.text(x0 + (i + 0.5) * side, 197, str(i), SMALL, "middle")
    words = "In two directions a tile is a square. A small image is one tile, with its padding's zeros around it."
    svg.text(x0, 232, words, SMALL)
    return svg


def threads_partition() -> Svg:
    """Parts, shares and who takes them."""
    svg = Svg(WIDE, 240, "The parts depend on the shape alone; threads only decide who computes which")
    side, x0 = 60.0, 150.0
    rows = [("parts", [PALE] * 10), ("1 thread", [BLUE] * 10)]
    rows += [("2 threads", [BLUE] * 5 + [ORANGE] * 5), ("3 threads", [BLUE] * 3 + [ORANGE] * 3 + [GREEN] * 4)]
    rows += [("2, one is late", [BLUE] * 5 + [BLUE] + [ORANGE] * 4)]
    for i, (label, colours) in enumerate(rows):
        y = 24 + 36 * i
        svg.text(x0 - 10, y + 17, label, SMALL, "end")
        for p, colour in enumerate(colours):
            svg.box(x0 + p * side, y, side - 3, 26, colour, GRID, 0.6)
            svg.text(x0 + (p + 0.5) * side, y + 17, str(p), SMALL, "middle")
    svg.text(x0, 222, "A part adds up its own numbers in its own order: who does it, and when, changes no bit.", SMALL)
    return svg


def gpu_tile() -> Svg:
    """A block of threads and what it reads."""
    svg = Svg(WIDE, 320, "A block of 16 x 16 threads makes a tile of C of 64 x 64 through shared memory")
    ax, ay, k = 60.0, 130.0, 250.0
    bx, side = ax + k + 30, 130.0
    svg.box(ax, ay, k, side, PALE)
    svg.box(bx, 30, side, 84, PALE)
    svg.box(bx, ay, side, side, "#d7eadf")
    svg.box(ax + 96, ay, 34, side, BLUE, BLUE, 0.75)
    svg.box(bx, 60, side, 14, ORANGE, ORANGE, 0.8)
    svg.text(ax, ay - 8, "A: rows of C x K, in global memory")
    svg.text(bx + side + 10, 44, "B: K x columns of C")
    svg.text(ax + 113, ay + side + 16, "DEPTH 16", SMALL, "middle")
    svg.text(bx + side / 2, ay + side + 16, "SIDE 64", SMALL, "middle")
    svg.arrow(ax + 140, ay + 65, ax + 200, ay + 65)
    svg.text(bx + side + 30, 120, "a block, for 16 terms of the sum:", NORMAL)
    steps = [
        "1  256 threads copy 64 x 16 of A, 16 x 64 of B to shared memory",
        "2  all wait",
        "3  each adds 16 terms to its 4 x 4 sums in registers:",
        "    per term 8 numbers from shared memory, 16 multiply-adds",
        "4  all wait; on to the next 16 terms",
    ]
    for i, words in enumerate(steps):
        svg.text(bx + side + 30, 142 + 20 * i, words, SMALL)
    for r in range(4):
        for c in range(4):
            svg.box(bx + 12 + 32 * c, ay + 12 + 32 * r, 6, 6, GREEN, GREEN)
    says = "Green: the 16 numbers of one thread, 16 rows and 16 columns apart, so that neighbouring threads"
    svg.text(ax, ay + side + 44, says, SMALL)
    svg.text(ax, ay + side + 60, "read neighbours of B's tile and the same number of A's.", SMALL)
    return svg


DIAGRAMS: dict[str, Callable[[], Svg]] = {
    "loops-windows": loops_windows,
    "gemm-blocking": gemm_blocking,
    "gemm-packing": gemm_packing,
    "stride-phases": stride_phases,
    "frequency-tiles": frequency_tiles,
    "threads-partition": threads_partition,
    "gpu-tile": gpu_tile,
}
MEASURED: dict[str, Callable[[dict[str, Any]], Svg]] = {
    "loops-measured": loops_measured,
    "gemm-measured": gemm_measured,
    "stride-measured": stride_measured,
    "frequency-measured": frequency_measured,
    "frequency-pays": frequency_pays,
    "threads-measured": threads_measured,
    "gpu-compiled": gpu_compiled,
    "gpu-launches": gpu_launches,
}


def main(folder: Path) -> None:
    """Writes every figure."""
    result = newest()
    pictures = {name: str(draw()) for name, draw in DIAGRAMS.items()}
    pictures |= {name: str(draw(result)) for name, draw in MEASURED.items()}
    for name, svg in pictures.items():
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
