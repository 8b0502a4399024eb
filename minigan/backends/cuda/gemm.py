"""The matrix product that dense layers and convolutions share: C = A B, tile by tile through shared memory.

                  N                  A block of 16 x 16 threads makes one tile of C, SIDE x SIDE (64 x 64). It walks
            +----+----+---           along K in steps of DEPTH (16): all threads together copy a tile of A and one
            |    | bt |    DEPTH     of B from global to shared memory, wait, multiply the two, wait, go on. So an
            +----+----+---   |       element of A is read from global memory once per tile of columns instead of
            |    |    |      v  K    once per column: 64 times less.
       K
    +----+--+-                       A thread holds EACH x EACH (4 x 4) sums in registers: 8 numbers from shared
    |    |at|     +----+----+        memory serve 16 multiplications. Its rows are ty, ty + 16, ... and its columns
  M +----+--+-    |    |tile|        tx, tx + 16, ...: the threads of a warp, which differ in tx, then read neighbours
    |    |  |     +----+----+        in bt (no bank of it twice) and one number in at (broadcast), and write
    DEPTH -->     |    |    |        neighbours to C.

What A, B and C are is not said here: three functions of each product say where an element lies (`Operand`, `part`,
`place`), so that a convolution is this loop over windows that are never written down ("implicit GEMM").

K is walked in order, so the bits of a sum never depend on the run. A product with few tiles and a long K is cut into
`parts` along K, one block each, whose sums are written side by side and then added in order by a second kernel: how
many depends on the shape alone.
"""

from typing import Any, NamedTuple

from minigan.backends.cuda._numba import SIMULATED, cuda, device_function, float32, int32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.epilogue import NONE, activate, code
from minigan.backends.cuda.launch import Kernel, kernel
from minigan.models.shapes import Act, Array


class Tile(NamedTuple):
    """Sizes of the loop: a block has threads x threads threads."""

    threads: int
    each: int
    depth: int

    @property
    def side(self) -> int:
        """Rows and columns of C that a block makes."""
        return self.threads * self.each


FULL = Tile(threads=16, each=4, depth=16)
SMALL = Tile(threads=4, each=2, depth=4)  # so that small shapes, all that a simulator can do, have many tiles, too
TILE = SMALL if SIMULATED else FULL
FILLED = 256  # blocks that fill a GPU: a product of fewer tiles is cut along K ...
LEAST_STEPS = 16  # ... into parts of at least so many steps


class Operand(NamedTuple):
    """Where the elements of A (its lines are rows) or B (its lines are columns) lie.

    `k` is given as three digits (u, v, w), the last one counting fastest: kernel row, kernel column, channel, say.
    They are counted on like an odometer, for a division costs as much as twenty multiplications.
    """

    along: bool  # neighbours in memory are neighbours along k, else along lines: threads read in this order
    origin: Any  # (g, p, q, line) -> three numbers, worked out once per line
    at: Any  # (array, g, p, q, three numbers of origin, u, v, w) -> the element


@device_function
def digits(k, base_v, base_w):
    """k as u, v, w."""
    rest = k // max(base_w, 1)
    return rest // max(base_v, 1), rest % max(base_v, 1), k % max(base_w, 1)


@device_function
def count_on(u, v, w, step, base_v, base_w):
    """The digits of k + step."""
    w += step
    while w >= base_w:
        w -= base_w
        v += 1
        if v == base_v:
            v = 0
            u += 1
    return u, v, w


def product(name: str, size: int, a: Operand, b: Operand, part: Any, place: Any, tile: Tile = TILE) -> Kernel:
    """The kernel of one product.

    g          `size` numbers that the functions below read: shapes, strides, padding
    part       (g, z) -> rows, columns, first k, last k + 1, base_v, base_w, p, q: what blocks of grid plane z do;
               p and q are handed on to all other functions
    place      (g, p, q, row) -> where a row of C begins
    """
    THREADS, EACH, DEPTH, SIDE = tile.threads, tile.each, tile.depth, tile.side
    PITCH = SIDE + 1  # of a tile's rows: a column of it then lies in different banks
    COPIED = DEPTH * SIDE // THREADS**2  # elements of a tile that a thread copies
    STEP_LINES, STEP_K = THREADS**2 // DEPTH, THREADS**2 // SIDE  # from one to the next of them
    a_along, a_origin, a_at = a
    b_along, b_origin, b_at = b

    def multiply(a, b, bias, c, g, has_bias, kind, slope, add):
        """a, b, c flat, as the functions of the product read them, bias (N,); `add`: c += the product, else c = it."""
        at = cuda.shared.array((DEPTH, PITCH), float32)  # [k][row]
        bt = cuda.shared.array((DEPTH, PITCH), float32)  # [k][column]
        origins = cuda.shared.array((6, SIDE), int32)  # three of each row, three of each column
        starts = cuda.shared.array(SIDE, int32)  # where each row of C begins
        sums = cuda.local.array((EACH, EACH), float32)
        mine = cuda.local.array((6, COPIED), int32)  # origins of the lines that this thread copies
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        t = ty * THREADS + tx
        rows, columns, k, end, base_v, base_w, p, q = part(g, cuda.blockIdx.z)
        row0, column0 = cuda.blockIdx.x * SIDE, cuda.blockIdx.y * SIDE
        if row0 >= rows:
            k = end  # a whole block without rows: nothing to add up

        if t < SIDE:  # once per line, for this takes divisions
            row = row0 + t if row0 + t < rows else 0
            column = column0 + t if column0 + t < columns else 0
            origins[0, t], origins[1, t], origins[2, t] = a_origin(g, p, q, row)
            origins[3, t], origins[4, t], origins[5, t] = b_origin(g, p, q, column)
            starts[t] = place(g, p, q, row)
        cuda.syncthreads()

        # What this thread copies: a line and a k, then STEP_LINES or STEP_K further each time.
        a_line, a_k = (t // DEPTH, t % DEPTH) if a_along else (t % SIDE, t // SIDE)
        b_line, b_k = (t // DEPTH, t % DEPTH) if b_along else (t % SIDE, t // SIDE)
        for r in range(COPIED):
            for o in range(3):
                mine[o, r] = origins[o, a_line + (r * STEP_LINES if a_along else 0)]
                mine[3 + o, r] = origins[3 + o, b_line + (r * STEP_LINES if b_along else 0)]
        au, av, aw = digits(k + a_k, base_v, base_w)
        bu, bv, bw = digits(k + b_k, base_v, base_w)
        for i in range(EACH):
            for j in range(EACH):
                sums[i, j] = float32(0)

        while k < end:
            for r in range(COPIED):
                if a_along:
                    line, depth = a_line + r * STEP_LINES, a_k
                else:
                    line, depth = a_line, a_k + r * STEP_K
                value = float32(0)
                if row0 + line < rows and k + depth < end:
                    value = a_at(a, g, p, q, mine[0, r], mine[1, r], mine[2, r], au, av, aw)
                at[depth, line] = value
                if not a_along:
                    au, av, aw = count_on(au, av, aw, STEP_K, base_v, base_w)
            for r in range(COPIED):
                if b_along:
                    line, depth = b_line + r * STEP_LINES, b_k
                else:
                    line, depth = b_line, b_k + r * STEP_K
                value = float32(0)
                if column0 + line < columns and k + depth < end:
                    value = b_at(b, g, p, q, mine[3, r], mine[4, r], mine[5, r], bu, bv, bw)
                bt[depth, line] = value
                if not b_along:
                    bu, bv, bw = count_on(bu, bv, bw, STEP_K, base_v, base_w)
            cuda.syncthreads()
            for d in range(DEPTH):
                for i in range(EACH):
                    for j in range(EACH):
                        sums[i, j] += at[d, ty + i * THREADS] * bt[d, tx + j * THREADS]
            cuda.syncthreads()
            if a_along:
                au, av, aw = count_on(au, av, aw, DEPTH, base_v, base_w)
            if b_along:
                bu, bv, bw = count_on(bu, bv, bw, DEPTH, base_v, base_w)
            k += DEPTH

        for i in range(EACH):
            row = ty + i * THREADS
            for j in range(EACH):
                column = column0 + tx + j * THREADS
                if row0 + row < rows and column < columns:
                    where = starts[row] + column
                    c[where] = c[where] + sums[i, j] if add else sums[i, j]
        again = EACH * EACH if has_bias or kind != NONE else 0  # a loop that is not unrolled: tanh is long
        for e in range(again):
            row, column = ty + e // EACH * THREADS, column0 + tx + e % EACH * THREADS
            if row0 + row < rows and column < columns:
                where = starts[row] + column  # this thread's own
                c[where] = activate(c[where] + (bias[column] if has_bias else float32(0)), kind, slope)

    multiply.__name__ = multiply.__qualname__ = name
    arrays = ", ".join(["float32[::1]"] * 4)
    signature = f"void({arrays}, UniTuple(int32, {size}), int32, int32, float32, int32)"
    return kernel(signature, (THREADS, THREADS, 1), (SIDE, SIDE, 1))(multiply)


def parts(rows: int, columns: int, k: int, tile: Tile = TILE) -> tuple[int, int]:
    """How many parts K is cut into, and how long they are: whole steps of the loop."""
    tiles = -(-rows // tile.side) * -(-columns // tile.side)
    wanted = max(1, min(FILLED // tiles, k // (LEAST_STEPS * tile.depth)))
    chunk = -(-k // (wanted * tile.depth)) * tile.depth
    return -(-k // chunk), chunk


@kernel("void(float32[::1], float32[::1], float32[::1], int32, int32, int32, int32, float32, int32)")
def _add_parts(sums, bias, c, count, columns, has_bias, kind, slope, add):
    """sums (count, n), bias (columns,), c (n,): c = act(bias + sums[0] + sums[1] + ...), or c += it."""
    i = cuda.grid(1)
    if i < c.size:
        total = float32(0)
        for part in range(count):
            total += sums[part * c.size + i]
        if has_bias:
            total += bias[i % columns]
        total = activate(total, kind, slope)
        c[i] = c[i] + total if add else total


def add_parts(sums: Array, c: Array, bias: Array | None = None, act: Act | None = None, add: bool = False) -> None:
    """c = act(bias + the sum of `sums` (parts, c.size) in order), or c += it."""
    has_bias, bias = bias is not None, c if bias is None else bias  # a kernel takes an array in any case
    _add_parts(c.size, sums, bias, c, sums.shape[0], bias.size, has_bias, *code(act), add)


def once(
    multiply: Kernel, a: Array, b: Array, c: Array, g: tuple[int, ...], extent: tuple[int, int, int],
    bias: Array | None = None, act: Act | None = None, add: bool = False,
) -> None:  # fmt: skip
    """c = act(bias + the product `multiply` of a and b), or c += it; `extent`: rows, columns, planes of the grid."""
    multiply(extent, a, b, c if bias is None else bias, c, g, bias is not None, *code(act), add)


def run(
    multiply: Kernel, a: Array, b: Array, c: Array, g: tuple[int, ...], extent: tuple[int, int, int],
    bias: Array | None = None, act: Act | None = None, add: bool = False,
) -> None:  # fmt: skip
    """As `once`, where the planes are parts of K: if there are several, their sums are added afterwards."""
    if extent[2] == 1:
        once(multiply, a, b, c, g, extent, bias, act, add)
        return
    sums = device().empty((extent[2], c.size))
    once(multiply, a, b, sums, g, extent)
    add_parts(sums, c, bias, act, add)


def finish(c: Array, bias: Array | None, act: Act | None) -> None:
    """c = act(c + bias), in place, where there is something to do."""
    if bias is not None or act is not None:
        add_parts(c.reshape(1, -1), c, bias, act)
