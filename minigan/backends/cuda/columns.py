"""Sums of columns: the gradient of a bias.

dy (R,C)    | 32 columns | 32 columns | ...      a block of 32 x 8 threads walks down one strip of 32 columns:
8 rows      |            |            |          thread (tx, ty) adds up rows ty, ty + 8, ... of column tx, so that
8 rows      |            |            |          a warp reads 32 neighbours; then the 8 sums of a column are added.
...                                              Rows are cut into parts, whose sums are added in order at the end.
"""

from minigan.backends.cuda._numba import cuda, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.gemm import FILLED, add_parts
from minigan.backends.cuda.launch import kernel
from minigan.models.shapes import Array

STRIP, WALKERS = 32, 8
LEAST_ROWS = 8 * WALKERS  # of a part


@kernel("void(float32[::1], float32[:, ::1], int32, int32)", block=(STRIP, WALKERS, 1), covers=(STRIP, WALKERS, 1))
def _column_sums(dy, sums, rows, chunk):
    """dy (R,C) flat -> sums (parts,C): part z adds up rows z chunk, ..., (z + 1) chunk - 1"""
    found = cuda.shared.array((WALKERS, STRIP), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    column, part, columns = cuda.blockIdx.x * STRIP + tx, cuda.blockIdx.z, sums.shape[1]
    total = float32(0)
    if column < columns:
        for row in range(part * chunk + ty, min((part + 1) * chunk, rows), WALKERS):
            total += dy[row * columns + column]
    found[ty, tx] = total
    cuda.syncthreads()
    if ty == 0 and column < columns:
        total = found[0, tx]
        for walker in range(1, WALKERS):
            total += found[walker, tx]
        sums[part, column] = total


def column_sums(dy: Array, db: Array) -> None:
    """dy (...,C); adds its sum over all axes but the last into db (C,)."""
    columns = db.size
    rows = dy.size // columns
    wanted = max(1, min(FILLED // -(-columns // STRIP), rows // LEAST_ROWS))
    chunk = -(-rows // wanted)
    sums = device().empty((-(-rows // chunk), columns))
    _column_sums((columns, 1, sums.shape[0]), dy, sums, rows, chunk)
    add_parts(sums, db, add=True)
