"""Diagrams of the algorithms that the pages of this folder tell of."""

from collections.abc import Callable

from drawing import BLUE, FOUR, GREEN, GRID, LARGE, NORMAL, ORANGE, PALE, SMALL, WIDE, Svg


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
