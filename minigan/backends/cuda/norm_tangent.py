"""How instancenorm and layernorm move with x: the derivatives of norm.py's formulas, as the oracle states them.

Along tx, with q = mean(tx x^) / sqrt(var + eps), a group's x^ moves by tx^; along tdy, too, dx moves by tdx:

    tx^ = (tx - mean(tx)) / sqrt(var + eps) - x^ q      ty = gamma tx^
    tdx = (tg - mean(tg) - tx^ mean(g x^) - x^ mean(tg x^ + g tx^)) / sqrt(var + eps) - q dx,  tg = gamma tdy
    dgamma += sum (tdy x^ + dy tx^)      dbeta += sum tdy

Three walks over a group: the sums of tx, from which tx^ comes; the sums that hold tx^; tdx. Were all sums taken in one
walk, that of dy tx^ would be a difference of large numbers wherever tx has a mean. Instancenorm is tiled as in norm.py,
and a group's gamma is one number, so tx goes to ty as dy goes to dx. Layernorm has a block for each sample.
"""

import math

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, device_function, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.launch import checked, kernel
from minigan.backends.cuda.norm import (
    BLOCK,
    COVERS,
    LANES,
    SLICES,
    Cut,
    add_affine,
    along,
    gradient_sums,
    instances,
    over_slices,
    rows_of_block,
)
from minigan.backends.cuda.reduce import THREADS, WARPS, block_sum
from minigan.models.shapes import Array


@device_function
def motion(sum_tx, sum_tx_d, sum_d, M, inv):
    """(off, mean_tx, q) of a group of M numbers, d = x - mean; `off` is what rounding the mean left (norm.py)"""
    off, mean_tx = sum_d / M, sum_tx / M
    return off, mean_tx, inv * inv * (sum_tx_d / M - off * mean_tx)


# ---------------------------------------------------------------------------------------------------- by channel: tiles


@kernel("void(float32[:, :, ::1], int32, int32, float32[:, :, ::1])", (*BLOCK, 1), (*COVERS, 1))
def _over_chunks(partial, rows, chunk, sums):
    """partial (S, groups chunks, C) -> sums (S, groups, C): over each group's chunks"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    chunks = (rows + chunk - 1) // chunk
    group, c, which = cuda.blockIdx.x, cuda.blockIdx.y * LANES + cuda.threadIdx.x, cuda.blockIdx.z
    inside = c < partial.shape[2]
    sum = float32(0)
    if inside:
        for k in range(group * chunks + cuda.threadIdx.y, (group + 1) * chunks, SLICES):
            sum += partial[which, k, c]
    sum = over_slices(sum, scratch)
    if inside and cuda.threadIdx.y == 0:
        sums[which, group, c] = sum


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], "
    "float32, float32[:, :, ::1], int32, int32, float32[:, :, ::1])",
    BLOCK,
    COVERS,
)
def _moved_sums(tdy, dy, tx, x, mean, var, eps, first, rows, chunk, partial):
    """tdy dy tx x (groups rows, C), mean var (groups, C) -> partial (4, groups chunks, C)

    `first` (3, groups, C): the sums of tx, tx d, d. Of dy, dy x^, tdy, tdy x^ + dy tx^ the sums are made.
    """
    scratch = cuda.shared.array((SLICES, LANES), float32)
    begin, end, group = rows_of_block(rows, chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    inside = c < x.shape[1]
    sum_dy, sum_dy_x, sum_tdy, sum_moved = float32(0), float32(0), float32(0), float32(0)
    if inside:
        inv = float32(1) / math.sqrt(var[group, c] + eps)
        off, mean_tx, q = motion(first[0, group, c], first[1, group, c], first[2, group, c], float32(rows), inv)
        for r in range(begin + cuda.threadIdx.y, end, SLICES):
            normal = (x[r, c] - mean[group, c] - off) * inv
            sum_dy += dy[r, c]
            sum_dy_x += dy[r, c] * normal
            sum_tdy += tdy[r, c]
            sum_moved += tdy[r, c] * normal + dy[r, c] * ((tx[r, c] - mean_tx) * inv - normal * q)
    sum_dy = over_slices(sum_dy, scratch)
    sum_dy_x = over_slices(sum_dy_x, scratch)
    sum_tdy = over_slices(sum_tdy, scratch)
    sum_moved = over_slices(sum_moved, scratch)
    if inside and cuda.threadIdx.y == 0:
        partial[0, cuda.blockIdx.x, c] = sum_dy
        partial[1, cuda.blockIdx.x, c] = sum_dy_x
        partial[2, cuda.blockIdx.x, c] = sum_tdy
        partial[3, cuda.blockIdx.x, c] = sum_moved


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[:, ::1], "
    "float32[:, ::1], float32, float32[:, :, ::1], float32[:, :, ::1], int32, int32, float32[:, ::1])",
    BLOCK,
    COVERS,
)
def _gradient_tangent(tdy, dy, tx, x, gamma, mean, var, eps, first, sums, rows, chunk, tdx):
    """tdy dy tx x tdx (groups rows, C), gamma (C,), mean var (groups, C); first, sums: over _moved_sums' chunks"""
    begin, end, group = rows_of_block(rows, chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    if c < x.shape[1]:
        M = float32(rows)
        inv = float32(1) / math.sqrt(var[group, c] + eps)
        off, mean_tx, q = motion(first[0, group, c], first[1, group, c], first[2, group, c], M, inv)
        mean_dy, mean_dy_x = sums[0, group, c] / M, sums[1, group, c] / M
        mean_tdy, mean_moved = sums[2, group, c] / M, sums[3, group, c] / M
        factor = gamma[c] * inv
        for r in range(begin + cuda.threadIdx.y, end, SLICES):
            normal = (x[r, c] - mean[group, c] - off) * inv
            moved = (tx[r, c] - mean_tx) * inv - normal * q
            own = tdy[r, c] - mean_tdy - moved * mean_dy_x - normal * mean_moved
            tdx[r, c] = factor * (own - q * (dy[r, c] - mean_dy - normal * mean_dy_x))


def instancenorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> Array:
    """tx x (N,H,W,C), gamma (C,), mean var (N,C) -> ty like x: how y, before its act, moves when x moves along tx."""
    checked(checks.instancenorm_tangent, tx, x, gamma, mean, var, eps)
    ty, _ = along(instances(x), tx, x, gamma, mean, var, eps)
    return ty


def instancenorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    """tdy dy tx x (N,H,W,C), gamma (C,), mean var (N,C) -> tdx; adds into dgamma, dbeta (C,) how they move."""
    checked(checks.instancenorm_backward_tangent, tdy, dy, tx, x, gamma, mean, var, eps, dgamma, dbeta)
    cut, tdx, eps = instances(x), device().empty(x.shape), float(eps)
    flat, out = [a.reshape(-1, cut.C) for a in (tdy, dy, tx, x)], tdx.reshape(-1, cut.C)
    few, many, first, sums = cut.partial(3), cut.partial(4), cut.statistics(3), cut.statistics(4)
    gradient_sums(cut.blocks, flat[2], flat[3], mean, cut.rows, cut.chunk, few)
    _over_chunks((cut.groups, cut.C, 3), few, cut.rows, cut.chunk, first)
    _moved_sums(cut.blocks, *flat, mean, var, eps, first, cut.rows, cut.chunk, many)
    _over_chunks((cut.groups, cut.C, 4), many, cut.rows, cut.chunk, sums)
    _gradient_tangent(cut.blocks, *flat, gamma, mean, var, eps, first, sums, cut.rows, cut.chunk, out)
    add_affine(cut.C, sums[3], sums[2], dgamma, dbeta)
    return tdx


# --------------------------------------------------------------------------------------------- by sample: a block each


@device_function
def motion_of_row(tx, x, mean, inv, scratch):
    """(off, mean_tx, q) of this block's sample of tx x (N, size), in every thread"""
    n, size = cuda.blockIdx.x, x.shape[1]
    sum_tx, sum_tx_d, sum_d = float32(0), float32(0), float32(0)
    for e in range(cuda.threadIdx.x, size, THREADS):
        t, d = tx[n, e], x[n, e] - mean[n]
        sum_tx += t
        sum_tx_d += t * d
        sum_d += d
    sum_tx = block_sum(sum_tx, scratch)
    sum_tx_d = block_sum(sum_tx_d, scratch)
    sum_d = block_sum(sum_d, scratch)
    return motion(sum_tx, sum_tx_d, sum_d, float32(size), inv)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32[::1], float32, float32[:, ::1])",
    block=THREADS,
    covers=1,
)
def _row_tangent(tx, x, gamma, mean, var, eps, ty):
    """tx x ty (N, size), gamma (C,), mean var (N,)"""
    scratch = cuda.shared.array(WARPS, float32)
    n, size, C = cuda.blockIdx.x, x.shape[1], gamma.size
    inv = float32(1) / math.sqrt(var[n] + eps)
    off, mean_tx, q = motion_of_row(tx, x, mean, inv, scratch)
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        normal = (x[n, e] - mean[n] - off) * inv
        ty[n, e] = gamma[c] * ((tx[n, e] - mean_tx) * inv - normal * q)
        c += THREADS % C
        c -= C if c >= C else 0


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], "
    "float32[::1], float32, float32[:, ::1], float32[:, ::1])",
    block=THREADS,
    covers=1,
)
def _row_gradient_tangent(tdy, dy, tx, x, gamma, mean, var, eps, motions, tdx):
    """tdy dy tx x tdx (N, size), gamma (C,), mean var (N,) -> motions (3, N): off, mean(tx), q"""
    scratch = cuda.shared.array(WARPS, float32)
    n, size, C = cuda.blockIdx.x, x.shape[1], gamma.size
    M = float32(size)
    inv = float32(1) / math.sqrt(var[n] + eps)
    off, mean_tx, q = motion_of_row(tx, x, mean, inv, scratch)
    sum_g, sum_g_x, sum_tg, sum_moved = float32(0), float32(0), float32(0), float32(0)
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        g, tg, normal = gamma[c] * dy[n, e], gamma[c] * tdy[n, e], (x[n, e] - mean[n] - off) * inv
        sum_g += g
        sum_g_x += g * normal
        sum_tg += tg
        sum_moved += tg * normal + g * ((tx[n, e] - mean_tx) * inv - normal * q)
        c += THREADS % C
        c -= C if c >= C else 0
    mean_g = block_sum(sum_g, scratch) / M
    mean_g_x = block_sum(sum_g_x, scratch) / M
    mean_tg = block_sum(sum_tg, scratch) / M
    mean_moved = block_sum(sum_moved, scratch) / M
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        normal = (x[n, e] - mean[n] - off) * inv
        moved = (tx[n, e] - mean_tx) * inv - normal * q
        own = gamma[c] * tdy[n, e] - mean_tg - moved * mean_g_x - normal * mean_moved
        tdx[n, e] = inv * (own - q * (gamma[c] * dy[n, e] - mean_g - normal * mean_g_x))
        c += THREADS % C
        c -= C if c >= C else 0
    if cuda.threadIdx.x == 0:
        motions[0, n] = off
        motions[1, n] = mean_tx
        motions[2, n] = q


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32, "
    "float32[:, ::1], int32, int32, float32[:, :, ::1])",
    BLOCK,
    COVERS,
)
def _affine_tangent_sums(tdy, dy, tx, x, mean, var, eps, motions, rows, chunk, partial):
    """tdy dy tx x (N rows, C), mean var (N,), motions (3, N) -> partial (2, chunks, C): sums of tdy x^ + dy tx^, tdy"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    begin, end, _ = rows_of_block(x.shape[0], chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    inside = c < x.shape[1]
    sum_moved, sum_tdy = float32(0), float32(0)
    if inside:
        for r in range(begin + cuda.threadIdx.y, end, SLICES):
            n = r // rows
            inv = float32(1) / math.sqrt(var[n] + eps)
            normal = (x[r, c] - mean[n] - motions[0, n]) * inv
            sum_moved += tdy[r, c] * normal + dy[r, c] * ((tx[r, c] - motions[1, n]) * inv - normal * motions[2, n])
            sum_tdy += tdy[r, c]
    sum_moved = over_slices(sum_moved, scratch)
    sum_tdy = over_slices(sum_tdy, scratch)
    if inside and cuda.threadIdx.y == 0:
        partial[0, cuda.blockIdx.x, c] = sum_moved
        partial[1, cuda.blockIdx.x, c] = sum_tdy


def layernorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> Array:
    """tx x (N,...,C), gamma (C,), mean var (N,) -> ty like x: how y, before its act, moves when x moves along tx."""
    checked(checks.layernorm_tangent, tx, x, gamma, mean, var, eps)
    N, ty = x.shape[0], device().empty(x.shape)
    _row_tangent(N, tx.reshape(N, -1), x.reshape(N, -1), gamma, mean, var, float(eps), ty.reshape(N, -1))
    return ty


def layernorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    """tdy dy tx x (N,...,C), gamma (C,), mean var (N,) -> tdx; adds into dgamma, dbeta (C,) how they move."""
    checked(checks.layernorm_backward_tangent, tdy, dy, tx, x, gamma, mean, var, eps, dgamma, dbeta)
    N, C, eps = x.shape[0], x.shape[-1], float(eps)
    given, tdx, motions = (tdy, dy, tx, x), device().empty(x.shape), device().empty((3, N))
    _row_gradient_tangent(
        N, *(a.reshape(N, -1) for a in given), gamma, mean, var, eps, motions, tdx.reshape(N, -1)
    )  # fmt: skip
    cut = Cut(1, x.size // C, C)
    partial, rows = cut.partial(2), x.size // (N * C)
    _affine_tangent_sums(
        cut.blocks, *(a.reshape(-1, C) for a in given), mean, var, eps, motions, rows, cut.chunk, partial
    )  # fmt: skip
    add_affine(C, partial[0], partial[1], dgamma, dbeta)
    return tdx
