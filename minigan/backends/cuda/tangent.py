"""How the passes back move when x does: tangents of activations, layernorm and instancenorm, and a loss of norms.

The formulas stand in the oracle; docs/second-order.md derives them. As in norm.py, d = x - mean, whose own mean `off`
is what rounding the mean left. With inv = 1 / sqrt(var + eps), x^ = (d - off) inv, grow = inv mean(tx x^):

    tx^ = inv (tx - mean(tx)) - grow x^
    g = gamma dy,  tg = gamma tdy
    tdx = inv (tg - mean(tg) - tx^ mean(g x^) - x^ mean(tg x^ + g tx^)) - grow inv (g - mean(g) - x^ mean(g x^))

Layernorm: a block takes a sample, as in layernorm.py. Instancenorm: a block takes 32 channels of a sample, 8 slices of
its rows, as in norm.py, but all rows of it, since a critic's images are small.
"""

import math
from typing import Any

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, device_function, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.launch import Kernel, checked, kernel
from minigan.backends.cuda.norm import BLOCK, COVERS, LANES, SLICES, Cut, add_affine, over_slices, rows_of_block
from minigan.backends.cuda.pointwise import row_sum_squares
from minigan.backends.cuda.reduce import THREADS, WARPS, block_sum, total
from minigan.models.shapes import Act, Array

# --------------------------------------------------------------------------------------------------------- activations


def _bend(f: Any, name: str) -> Kernel:
    """tdy dy y ty (n,) -> tdx (n,): tdx = f(tdy, dy, y, ty, slope), one thread per number"""
    of = device_function(f)

    def bend(tdy, dy, y, ty, slope, tdx):
        i = cuda.grid(1)
        if i < tdx.size:
            tdx[i] = of(tdy[i], dy[i], y[i], ty[i], slope)

    bend.__name__ = f"{name}_backward_tangent"
    return kernel("void(float32[::1], float32[::1], float32[::1], float32[::1], float32, float32[::1])")(bend)


_BENDS = {
    name: _bend(f, name)
    for name, f in {
        "relu": lambda tdy, dy, y, ty, slope: tdy * (float32(1) if y > 0 else (float32(0) if y <= 0 else y)),
        "leaky_relu": lambda tdy, dy, y, ty, slope: tdy * (float32(1) if y > 0 else (slope if y <= 0 else y)),
        "tanh": lambda tdy, dy, y, ty, slope: tdy * ((float32(1) - y) * (float32(1) + y)) + dy * (float32(-2) * y) * ty,
        "sigmoid": lambda tdy, dy, y, ty, slope: tdy * (y * (float32(1) - y)) + dy * (float32(1) - float32(2) * y) * ty,
    }.items()
}


def activation_backward_tangent(tdy: Array, dy: Array, y: Array, ty: Array, act: Act | None) -> Array:
    """tdy dy y ty, same shape -> tdx = tdy act'(x) + dy act''(x) tx, where ty = act'(x) tx."""
    if act is None:
        return tdy
    checked(checks.activation_backward_tangent, tdy, dy, y, ty, act)
    tdx = device().empty(y.shape)
    _BENDS[act[0]](y.size, tdy, dy, y, ty, float(act[1]), tdx)
    return tdx


# --------------------------------------------------------------------------------------------------------------- norms


@kernel("void(float32[::1], int32, float32[::1], float32[::1], float32[::1])")
def _of_norms(squares, one, losses, norms, factors):
    """squares (N,) -> losses norms factors (N,): (r - 1)^2 when `one`, else r^2 / 2; r; what dx multiplies x by"""
    n = cuda.grid(1)
    if n < squares.size:
        N, norm = float32(squares.size), math.sqrt(squares[n])
        away = norm - float32(1)
        norms[n] = norm
        losses[n] = away * away if one != 0 else squares[n] / float32(2)
        factor = float32(1)
        if one != 0:
            factor = float32(0) if norm == 0 else float32(2) * (away / norm)
        factors[n] = factor / N


@kernel("void(float32[:, ::1], float32[::1], float32[:, ::1])", block=THREADS, covers=1)
def _rows_by(x, factors, dx):
    """x dx (N, size), factors (N,): one block per row"""
    n = cuda.blockIdx.x
    for e in range(cuda.threadIdx.x, x.shape[1], THREADS):
        dx[n, e] = factors[n] * x[n, e]


def norm_loss(x: Array, kind: str) -> tuple[Array, Array, Array]:
    """x (N,...), r its samples' norms -> mean of (r - 1)^2 ("one") or r^2 / 2 ("zero"), dx, mean r."""
    checked(checks.norm_loss, x, kind)
    N, dx = x.shape[0], device().empty(x.shape)
    losses, norms, factors = (device().empty((N,)) for _ in range(3))
    _of_norms(N, row_sum_squares(x), int(kind == "one"), losses, norms, factors)
    _rows_by(N, x.reshape(N, -1), factors, dx.reshape(N, -1))
    return total(losses, N), dx, total(norms, N)


# ----------------------------------------------------------------------------------------------------------- layernorm


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32[::1], float32, float32[:, ::1])",
    block=THREADS,
    covers=1,
)
def _layer_tangent(tx, x, gamma, mean, var, eps, ty):
    """tx x ty (N, size), gamma (C,), mean var (N,)"""
    scratch = cuda.shared.array(WARPS, float32)
    n, size, C = cuda.blockIdx.x, x.shape[1], gamma.size
    M, inv = float32(size), float32(1) / math.sqrt(var[n] + eps)
    sum_t, sum_td, sum_d = float32(0), float32(0), float32(0)
    for e in range(cuda.threadIdx.x, size, THREADS):
        d = x[n, e] - mean[n]
        sum_t += tx[n, e]
        sum_td += tx[n, e] * d
        sum_d += d
    mean_t, off = block_sum(sum_t, scratch) / M, block_sum(sum_d, scratch) / M
    along = inv * (block_sum(sum_td, scratch) / M - off * mean_t)  # mean(tx x^)
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        normal = (x[n, e] - mean[n] - off) * inv
        ty[n, e] = gamma[c] * ((tx[n, e] - mean_t - normal * along) * inv)
        c += THREADS % C
        c -= C if c >= C else 0


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], "
    "float32[::1], float32, float32[:, ::1], float32[:, ::1])",
    block=THREADS,
    covers=1,
)
def _layer_backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, kept, tdx):
    """tdy dy tx x tdx (N, size), gamma (C,), mean var (N,) -> kept (3, N): off, mean(tx), grow, for _affine_tangent"""
    scratch = cuda.shared.array(WARPS, float32)
    n, size, C = cuda.blockIdx.x, x.shape[1], gamma.size
    M, inv = float32(size), float32(1) / math.sqrt(var[n] + eps)
    sum_t, sum_td, sum_d, sum_g, sum_gd, sum_gt = float32(0), float32(0), float32(0), float32(0), float32(0), float32(0)
    sum_tg, sum_tgd = float32(0), float32(0)
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        d, t, g, tg = x[n, e] - mean[n], tx[n, e], gamma[c] * dy[n, e], gamma[c] * tdy[n, e]
        sum_t += t
        sum_td += t * d
        sum_d += d
        sum_g += g
        sum_gd += g * d
        sum_gt += g * t
        sum_tg += tg
        sum_tgd += tg * d
        c += THREADS % C
        c -= C if c >= C else 0
    mean_t, off, mean_g = block_sum(sum_t, scratch) / M, block_sum(sum_d, scratch) / M, block_sum(sum_g, scratch) / M
    mean_tg = block_sum(sum_tg, scratch) / M
    grow = inv * inv * (block_sum(sum_td, scratch) / M - off * mean_t)
    mean_gx = inv * (block_sum(sum_gd, scratch) / M - off * mean_g)
    mean_gtx = inv * (block_sum(sum_gt, scratch) / M - mean_t * mean_g) - grow * mean_gx  # of g tx^
    change = inv * (block_sum(sum_tgd, scratch) / M - off * mean_tg) + mean_gtx
    c = cuda.threadIdx.x % C
    for e in range(cuda.threadIdx.x, size, THREADS):
        normal = (x[n, e] - mean[n] - off) * inv
        t_normal = inv * (tx[n, e] - mean_t) - grow * normal
        dx = gamma[c] * dy[n, e] - mean_g - normal * mean_gx
        inside = gamma[c] * tdy[n, e] - mean_tg - t_normal * mean_gx - normal * change
        tdx[n, e] = inv * (inside - grow * dx)
        c += THREADS % C
        c -= C if c >= C else 0
    if cuda.threadIdx.x == 0:
        kept[0, n] = off
        kept[1, n] = mean_t
        kept[2, n] = grow


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[::1], float32, "
    "float32[:, ::1], int32, int32, float32[:, :, ::1])",
    BLOCK,
    COVERS,
)
def _affine_tangent(tdy, dy, tx, x, mean, var, eps, kept, rows, chunk, partial):
    """tdy dy tx x (N rows, C), mean var (N,), kept (3, N) -> partial (2, chunks, C): tdy x^ + dy tx^, and tdy"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    begin, end, _ = rows_of_block(x.shape[0], chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    inside = c < x.shape[1]
    to_gamma, to_beta = float32(0), float32(0)
    if inside:
        for r in range(begin + cuda.threadIdx.y, end, SLICES):
            n = r // rows
            inv = float32(1) / math.sqrt(var[n] + eps)
            normal = (x[r, c] - mean[n] - kept[0, n]) * inv
            to_gamma += tdy[r, c] * normal + dy[r, c] * (inv * (tx[r, c] - kept[1, n]) - kept[2, n] * normal)
            to_beta += tdy[r, c]
    to_gamma = over_slices(to_gamma, scratch)
    to_beta = over_slices(to_beta, scratch)
    if inside and cuda.threadIdx.y == 0:
        partial[0, cuda.blockIdx.x, c] = to_gamma
        partial[1, cuda.blockIdx.x, c] = to_beta


def layernorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> Array:
    """tx x (N,...,C), gamma (C,), mean var (N,) -> ty: how y, before its act, moves when x moves along tx."""
    checked(checks.layernorm_tangent, tx, x, gamma, mean, var, eps)
    N, ty = x.shape[0], device().empty(x.shape)
    _layer_tangent(N, *(a.reshape(N, -1) for a in (tx, x)), gamma, mean, var, float(eps), ty.reshape(N, -1))
    return ty


def layernorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    """tdy dy tx x (N,...,C) -> tdx: how dx moves along tdy and tx; adds into dgamma, dbeta (C,) how they move."""
    checked(checks.layernorm_backward_tangent, tdy, dy, tx, x, gamma, mean, var, eps, dgamma, dbeta)
    N, C = x.shape[0], x.shape[-1]
    tdx, kept = device().empty(x.shape), device().empty((3, N))
    samples = (a.reshape(N, -1) for a in (tdy, dy, tx, x))
    _layer_backward_tangent(N, *samples, gamma, mean, var, float(eps), kept, tdx.reshape(N, -1))
    cut = Cut(1, x.size // C, C)
    partial = cut.partial(2)
    flat = (a.reshape(-1, C) for a in (tdy, dy, tx, x))
    _affine_tangent(cut.blocks, *flat, mean, var, float(eps), kept, x.size // (N * C), cut.chunk, partial)
    add_affine(C, partial[0], partial[1], dgamma, dbeta)
    return tdx


# -------------------------------------------------------------------------------------------------------- instancenorm


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[::1], float32[:, ::1], float32[:, ::1], float32, int32, "
    "float32[:, ::1])",
    BLOCK,
    COVERS,
)
def _instance_tangent(tx, x, gamma, mean, var, eps, rows, ty):
    """tx x ty (N rows, C), gamma (C,), mean var (N, C)"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    n, c, M = cuda.blockIdx.x, cuda.blockIdx.y * LANES + cuda.threadIdx.x, float32(rows)
    begin, end = n * rows + cuda.threadIdx.y, (n + 1) * rows
    inside = c < x.shape[1]
    sum_t, sum_td, sum_d = float32(0), float32(0), float32(0)
    if inside:
        for r in range(begin, end, SLICES):
            d = x[r, c] - mean[n, c]
            sum_t += tx[r, c]
            sum_td += tx[r, c] * d
            sum_d += d
    mean_t, off = over_slices(sum_t, scratch) / M, over_slices(sum_d, scratch) / M
    mean_td = over_slices(sum_td, scratch) / M
    if inside:
        inv = float32(1) / math.sqrt(var[n, c] + eps)
        along = inv * (mean_td - off * mean_t)
        for r in range(begin, end, SLICES):
            normal = (x[r, c] - mean[n, c] - off) * inv
            ty[r, c] = gamma[c] * ((tx[r, c] - mean_t - normal * along) * inv)


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1], float32[:, ::1], "
    "float32[:, ::1], float32, int32, float32[:, :, ::1], float32[:, ::1])",
    BLOCK,
    COVERS,
)
def _instance_backward_tangent(tdy, dy, tx, x, gamma, mean, var, eps, rows, affine, tdx):
    """tdy dy tx x tdx (N rows, C), gamma (C,), mean var (N, C) -> affine (2, N, C): sums of tdy x^ + dy tx^, and tdy"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    n, c, M = cuda.blockIdx.x, cuda.blockIdx.y * LANES + cuda.threadIdx.x, float32(rows)
    begin, end = n * rows + cuda.threadIdx.y, (n + 1) * rows
    inside = c < x.shape[1]
    sum_t, sum_td, sum_d, sum_o, sum_od, sum_ot = float32(0), float32(0), float32(0), float32(0), float32(0), float32(0)
    sum_to, sum_tod = float32(0), float32(0)
    if inside:
        for r in range(begin, end, SLICES):
            d, t, o, to = x[r, c] - mean[n, c], tx[r, c], dy[r, c], tdy[r, c]
            sum_t += t
            sum_td += t * d
            sum_d += d
            sum_o += o
            sum_od += o * d
            sum_ot += o * t
            sum_to += to
            sum_tod += to * d
    mean_t, off = over_slices(sum_t, scratch) / M, over_slices(sum_d, scratch) / M
    mean_o, mean_od = over_slices(sum_o, scratch) / M, over_slices(sum_od, scratch) / M
    mean_td, mean_ot = over_slices(sum_td, scratch) / M, over_slices(sum_ot, scratch) / M
    mean_to, mean_tod = over_slices(sum_to, scratch) / M, over_slices(sum_tod, scratch) / M
    if inside:
        inv = float32(1) / math.sqrt(var[n, c] + eps)
        grow = inv * inv * (mean_td - off * mean_t)
        mean_ox = inv * (mean_od - off * mean_o)  # of dy x^
        change = inv * (mean_tod - off * mean_to) + inv * (mean_ot - mean_t * mean_o) - grow * mean_ox
        for r in range(begin, end, SLICES):
            normal = (x[r, c] - mean[n, c] - off) * inv
            t_normal = inv * (tx[r, c] - mean_t) - grow * normal
            dx = dy[r, c] - mean_o - normal * mean_ox
            within = tdy[r, c] - mean_to - t_normal * mean_ox - normal * change
            tdx[r, c] = gamma[c] * inv * (within - grow * dx)
        if cuda.threadIdx.y == 0:
            affine[0, n, c] = M * change
            affine[1, n, c] = M * mean_to


def instancenorm_tangent(tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float) -> Array:
    """tx x (N,H,W,C), gamma (C,), mean var (N,C) -> ty: how y, before its act, moves when x moves along tx."""
    checked(checks.instancenorm_tangent, tx, x, gamma, mean, var, eps)
    (N, H, W, C), ty = x.shape, device().empty(x.shape)
    flat = (a.reshape(-1, C) for a in (tx, x))
    _instance_tangent((N, C), *flat, gamma, mean, var, float(eps), H * W, ty.reshape(-1, C))
    return ty


def instancenorm_backward_tangent(
    tdy: Array, dy: Array, tx: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    """tdy dy tx x (N,H,W,C) -> tdx: how dx moves along tdy and tx; adds into dgamma, dbeta (C,) how they move."""
    checked(checks.instancenorm_backward_tangent, tdy, dy, tx, x, gamma, mean, var, eps, dgamma, dbeta)
    (N, H, W, C), tdx = x.shape, device().empty(x.shape)
    affine = device().empty((2, N, C))
    flat = (a.reshape(-1, C) for a in (tdy, dy, tx, x))
    _instance_backward_tangent((N, C), *flat, gamma, mean, var, float(eps), H * W, affine, tdx.reshape(-1, C))
    add_affine(C, affine[0], affine[1], dgamma, dbeta)
    return tdx
