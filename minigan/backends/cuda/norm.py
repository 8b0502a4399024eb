"""Normalisation. With x^ = (x - mean) / sqrt(var + eps) over a group of M numbers, y = gamma x^ + beta:

    dgamma += sum dy x^      dbeta += sum dy      dx = (g - mean(g) - x^ mean(g x^)) / sqrt(var + eps),  g = gamma dy

Batchnorm and instancenorm take statistics by channel: x is seen as (groups, rows, C), with one group or one per sample.
(Layernorm, whose groups are whole samples: layernorm.py. How they move when x does: norm_tangent.py.) A block takes 32
channels of a chunk of rows,

               32 channels
    chunk   +-------------+   thread (lane, slice) takes channel `lane` of the rows slice, slice + 8, slice + 16, ...
    of      |  warp 0     |   a warp reads 32 neighbouring channels of one row: one line of 128 bytes
    rows    |  warp 1     |   8 slices are added up in shared memory, in order: one sum per channel and chunk
            |  ...        |   then the chunks, in order, by `_merge`: no atomics, so the same bits every time
            +-------------+

All in float32, which at mean 1000 and deviation 1 has no digits to spare. So each chunk first finds its rough mean,
then sums deviations from it and their squares; `_merge` puts chunks together about the first one's rough mean (Chan,
Golub & LeVeque 1983); and the mean stays in two parts, `centre` + `rest`, until it has been subtracted.
"""

import math
from typing import NamedTuple

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, device_function, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.epilogue import activate, code
from minigan.backends.cuda.launch import checked, kernel
from minigan.backends.cuda.optim import blend
from minigan.models.shapes import Act, Array

LANES, SLICES = 32, 8
BLOCK, COVERS = (LANES, SLICES), (1, LANES)  # a grid of (group and chunk, channel tile)
MOST_CHUNKS, LEAST_ROWS = 256, 64  # of a group; of a chunk


class Cut(NamedTuple):
    """(groups, rows, C), the rows of each group in chunks of `chunk`."""

    groups: int
    rows: int
    C: int

    @property
    def chunk(self) -> int:
        """How many rows a block takes."""
        return max(LEAST_ROWS, -(-self.rows // MOST_CHUNKS))

    @property
    def chunks(self) -> int:
        """Of each group."""
        return -(-self.rows // self.chunk)

    @property
    def blocks(self) -> tuple[int, int]:
        """The extent of a launch by chunks and channels."""
        return self.groups * self.chunks, self.C

    def partial(self, sums: int) -> Array:
        """Room for sums of every chunk, channel by channel: (sums, groups chunks, C)."""
        return device().empty((sums, self.groups * self.chunks, self.C))

    def statistics(self, count: int) -> Array:
        """Room for statistics of every group, channel by channel: (count, groups, C)."""
        return device().empty((count, self.groups, self.C))


@device_function
def over_slices(value, scratch):
    """The sum of the 8 slices' values, lane by lane, in every slice. `scratch` (SLICES, LANES) is shared."""
    lane = cuda.threadIdx.x
    scratch[cuda.threadIdx.y, lane] = value
    cuda.syncthreads()
    total = float32(0)
    for slice in range(SLICES):
        total += scratch[slice, lane]
    cuda.syncthreads()  # scratch may be written again
    return total


@device_function
def rows_of_block(rows, chunk):
    """(first row, end, group): what this block takes of (groups, rows), counted over all groups."""
    chunks = (rows + chunk - 1) // chunk
    group, piece = cuda.blockIdx.x // chunks, cuda.blockIdx.x % chunks
    first = group * rows + piece * chunk
    return first, min(first + chunk, (group + 1) * rows), group


@kernel("void(float32[:, ::1], int32, int32, float32[:, :, ::1])", BLOCK, COVERS)
def _moments(x, rows, chunk, partial):
    """x (groups rows, C) -> partial (3, groups chunks, C): rough mean, sums of deviations from it and their squares"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    begin, end, _ = rows_of_block(rows, chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    inside = c < x.shape[1]
    sum = float32(0)
    if inside:
        for r in range(begin + cuda.threadIdx.y, end, SLICES):
            sum += x[r, c]
    rough = over_slices(sum, scratch) / float32(end - begin)
    deviations = float32(0)
    squares = float32(0)
    if inside:
        for r in range(begin + cuda.threadIdx.y, end, SLICES):
            d = x[r, c] - rough
            deviations += d
            squares += d * d
    deviations = over_slices(deviations, scratch)
    squares = over_slices(squares, scratch)
    if inside and cuda.threadIdx.y == 0:
        partial[0, cuda.blockIdx.x, c] = rough
        partial[1, cuda.blockIdx.x, c] = deviations
        partial[2, cuda.blockIdx.x, c] = squares


@kernel("void(float32[:, :, ::1], int32, int32, float32[:, :, ::1])", BLOCK, COVERS)
def _merge(partial, rows, chunk, statistics):
    """partial (3, groups chunks, C) -> statistics (4, groups, C): centre, rest, mean = centre + rest, var"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    chunks = (rows + chunk - 1) // chunk
    group, c = cuda.blockIdx.x, cuda.blockIdx.y * LANES + cuda.threadIdx.x
    inside = c < partial.shape[2]
    first = group * chunks
    centre = float32(0)
    away = float32(0)
    if inside:
        centre = partial[0, first, c]
        for k in range(cuda.threadIdx.y, chunks, SLICES):
            size = float32(min(chunk, rows - k * chunk))
            away += (partial[0, first + k, c] - centre) * size + partial[1, first + k, c]
    rest = over_slices(away, scratch) / float32(rows)
    squares = float32(0)
    if inside:
        for k in range(cuda.threadIdx.y, chunks, SLICES):
            size = float32(min(chunk, rows - k * chunk))
            deviation = partial[1, first + k, c] / size
            off = (partial[0, first + k, c] - centre) + deviation - rest
            squares += partial[2, first + k, c] - deviation * partial[1, first + k, c] + size * off * off
    squares = over_slices(squares, scratch)
    if inside and cuda.threadIdx.y == 0:
        statistics[0, group, c] = centre
        statistics[1, group, c] = rest
        statistics[2, group, c] = centre + rest
        statistics[3, group, c] = squares / float32(rows)


@kernel(
    "void(float32[:, ::1], float32[::1], float32[::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], "
    "float32, int32, int32, int32, float32, float32[:, ::1])",
    BLOCK,
    COVERS,
)
def _apply(x, gamma, beta, centre, rest, var, eps, rows, chunk, act, slope, y):
    """x y (groups rows, C), gamma beta (C,), centre rest var (groups, C): act(gamma (x - centre - rest) inv + beta)"""
    begin, end, group = rows_of_block(rows, chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    if c < x.shape[1]:
        middle, left = centre[group, c], rest[group, c]
        factor, shift = gamma[c] / math.sqrt(var[group, c] + eps), beta[c]
        r = begin + cuda.threadIdx.y
        while r + 3 * SLICES < end:  # four loads are under way before the first store
            x0, x1, x2, x3 = x[r, c], x[r + SLICES, c], x[r + 2 * SLICES, c], x[r + 3 * SLICES, c]
            y[r, c] = activate((x0 - middle - left) * factor + shift, act, slope)
            y[r + SLICES, c] = activate((x1 - middle - left) * factor + shift, act, slope)
            y[r + 2 * SLICES, c] = activate((x2 - middle - left) * factor + shift, act, slope)
            y[r + 3 * SLICES, c] = activate((x3 - middle - left) * factor + shift, act, slope)
            r += 4 * SLICES
        while r < end:
            y[r, c] = activate((x[r, c] - middle - left) * factor + shift, act, slope)
            r += SLICES


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], int32, int32, float32[:, :, ::1])",
    BLOCK,
    COVERS,
)
def gradient_sums(dy, x, mean, rows, chunk, partial):
    """dy x (groups rows, C), mean (groups, C) -> partial (3, groups chunks, C): sums of dy, dy d, d; d = x - mean"""
    scratch = cuda.shared.array((SLICES, LANES), float32)
    begin, end, group = rows_of_block(rows, chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    inside = c < x.shape[1]
    sum_dy, sum_dy_d, sum_d = float32(0), float32(0), float32(0)
    if inside:
        middle = mean[group, c]
        for r in range(begin + cuda.threadIdx.y, end, SLICES):
            g, d = dy[r, c], x[r, c] - middle
            sum_dy += g
            sum_dy_d += g * d
            sum_d += d
    sum_dy = over_slices(sum_dy, scratch)
    sum_dy_d = over_slices(sum_dy_d, scratch)
    sum_d = over_slices(sum_d, scratch)
    if inside and cuda.threadIdx.y == 0:
        partial[0, cuda.blockIdx.x, c] = sum_dy
        partial[1, cuda.blockIdx.x, c] = sum_dy_d
        partial[2, cuda.blockIdx.x, c] = sum_d


# dx = gamma inv (dy - mean(dy)) - (d - off) gamma inv^2 mean(dy x^) = k dy + pull d + m, where d = x - mean and
# `off` is d's own mean: what rounding the mean to float32 left, 3e-5 at mean 1000
@kernel(
    "void(float32[:, :, ::1], float32[::1], float32[:, ::1], float32, int32, int32, int32, float32[:, :, ::1])",
    BLOCK,
    COVERS,
)
def _coefficients(partial, gamma, var, eps, rows, chunk, constant, to):
    """partial (3, groups chunks, C), gamma (C,), var (groups, C) -> to (5, groups, C): k, pull, m, sum dy x^, sum dy

    `constant`: not 0 where mean and var are no functions of x, so that dx = k dy.
    """
    scratch = cuda.shared.array((SLICES, LANES), float32)
    chunks = (rows + chunk - 1) // chunk
    group, c = cuda.blockIdx.x, cuda.blockIdx.y * LANES + cuda.threadIdx.x
    inside = c < partial.shape[2]
    sum_dy, sum_dy_d, sum_d = float32(0), float32(0), float32(0)
    if inside:
        for k in range(group * chunks + cuda.threadIdx.y, (group + 1) * chunks, SLICES):
            sum_dy += partial[0, k, c]
            sum_dy_d += partial[1, k, c]
            sum_d += partial[2, k, c]
    sum_dy = over_slices(sum_dy, scratch)
    sum_dy_d = over_slices(sum_dy_d, scratch)
    sum_d = over_slices(sum_d, scratch)
    if inside and cuda.threadIdx.y == 0:
        M = float32(rows)
        inv = float32(1) / math.sqrt(var[group, c] + eps)
        off = sum_d / M if constant == 0 else float32(0)
        scaled = inv * (sum_dy_d - off * sum_dy)
        pull = inv * inv * gamma[c] * scaled / M if constant == 0 else float32(0)
        push = inv * gamma[c] * sum_dy / M if constant == 0 else float32(0)
        to[0, group, c] = gamma[c] * inv
        to[1, group, c] = -pull
        to[2, group, c] = off * pull - push
        to[3, group, c] = scaled
        to[4, group, c] = sum_dy


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, :, ::1], int32, int32, float32[:, ::1])",
    BLOCK,
    COVERS,
)
def _gradient(dy, x, mean, to, rows, chunk, dx):
    """dy x dx (groups rows, C), mean (groups, C), to (5, groups, C): dx = k dy + pull (x - mean) + m"""
    begin, end, group = rows_of_block(rows, chunk)
    c = cuda.blockIdx.y * LANES + cuda.threadIdx.x
    if c < x.shape[1]:
        middle, k, pull, m = mean[group, c], to[0, group, c], to[1, group, c], to[2, group, c]
        r = begin + cuda.threadIdx.y
        while r + SLICES < end:  # four loads are under way before the first store
            s = r + SLICES
            g0, g1, x0, x1 = dy[r, c], dy[s, c], x[r, c], x[s, c]
            dx[r, c] = k * g0 + (pull * (x0 - middle) + m)
            dx[s, c] = k * g1 + (pull * (x1 - middle) + m)
            r += 2 * SLICES
        if r < end:
            dx[r, c] = k * dy[r, c] + (pull * (x[r, c] - middle) + m)


@kernel("void(float32[:, ::1], float32[:, ::1], float32[::1], float32[::1])")
def add_affine(to_gamma, to_beta, dgamma, dbeta):
    """to_gamma to_beta (n, C): their sums over n, in order, are added to dgamma, dbeta (C,); one thread per channel"""
    c = cuda.grid(1)
    if c < dgamma.size:
        gamma, beta = float32(0), float32(0)
        for n in range(to_gamma.shape[0]):
            gamma += to_gamma[n, c]
            beta += to_beta[n, c]
        dgamma[c] += gamma
        dbeta[c] += beta


# ------------------------------------------------------------------------------------------------------------- the ops


def _forward(cut: Cut, x: Array, gamma: Array, beta: Array, eps: float, act: Act | None) -> tuple[Array, Array]:
    """y, and (4, groups, C): centre, rest, mean, var"""
    partial, statistics = cut.partial(3), cut.statistics(4)
    flat = x.reshape(-1, cut.C)
    _moments(cut.blocks, flat, cut.rows, cut.chunk, partial)
    _merge((cut.groups, cut.C), partial, cut.rows, cut.chunk, statistics)
    return _normalised(cut, x, gamma, beta, statistics[0], statistics[1], statistics[3], eps, act), statistics


def _normalised(
    cut: Cut, x: Array, gamma: Array, beta: Array, centre: Array, rest: Array, var: Array, eps: float, act: Act | None
) -> Array:
    y = device().empty(x.shape)
    flat, to = x.reshape(-1, cut.C), y.reshape(-1, cut.C)
    _apply(cut.blocks, flat, gamma, beta, centre, rest, var, float(eps), cut.rows, cut.chunk, *code(act), to)
    return y


def along(
    cut: Cut, dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, constant: bool = False
) -> tuple[Array, Array]:
    """dx, and (5, groups, C), of which 3 and 4 are the sums of dy x^ and of dy."""
    dx, partial, to = device().empty(x.shape), cut.partial(3), cut.statistics(5)
    dy, flat, out = (a.reshape(-1, cut.C) for a in (dy, x, dx))
    mean, var = (a.reshape(cut.groups, cut.C) for a in (mean, var))
    gradient_sums(cut.blocks, dy, flat, mean, cut.rows, cut.chunk, partial)
    _coefficients((cut.groups, cut.C), partial, gamma, var, float(eps), cut.rows, cut.chunk, int(constant), to)
    _gradient(cut.blocks, dy, flat, mean, to, cut.rows, cut.chunk, out)
    return dx, to


def _backward(
    cut: Cut, dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, constant: bool,
    dgamma: Array, dbeta: Array,
) -> Array:  # fmt: skip
    dx, to = along(cut, dy, x, gamma, mean, var, eps, constant)
    add_affine(cut.C, to[3], to[4], dgamma, dbeta)
    return dx


def _batch(x: Array) -> Cut:
    return Cut(1, x.size // x.shape[-1], x.shape[-1])


def instances(x: Array) -> Cut:
    """One group per sample and channel of x (N,H,W,C)."""
    return Cut(x.shape[0], x.shape[1] * x.shape[2], x.shape[3])


def batchnorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (...,C), gamma beta (C,) -> y (...,C), mean (C,), var (C,) biased; one group per channel."""
    checked(checks.batchnorm, x, gamma, beta, eps, act)
    y, statistics = _forward(_batch(x), x, gamma, beta, eps, act)
    return y, statistics[2, 0], statistics[3, 0]


def batchnorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (...,C), gamma mean var (C,) -> dx (...,C); adds into dgamma, dbeta (C,)."""
    checked(checks.batchnorm_backward, dy, x, gamma, mean, var, eps, dgamma, dbeta)
    return _backward(_batch(x), dy, x, gamma, mean, var, eps, False, dgamma, dbeta)


def batchnorm_running(
    x: Array, gamma: Array, beta: Array, mean: Array, var: Array, eps: float, act: Act | None = None
) -> Array:
    """As batchnorm, with the given statistics (C,) instead of the batch's."""
    checked(checks.batchnorm_running, x, gamma, beta, mean, var, eps, act)
    cut = _batch(x)
    centre, rest = mean.reshape(1, cut.C), device().zeros((1, cut.C))
    return _normalised(cut, x, gamma, beta, centre, rest, var.reshape(1, cut.C), eps, act)


def batchnorm_running_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """The statistics are constants here, so dx = gamma dy / sqrt(var + eps); adds into dgamma, dbeta (C,)."""
    checked(checks.batchnorm_running_backward, dy, x, gamma, mean, var, eps, dgamma, dbeta)
    return _backward(_batch(x), dy, x, gamma, mean, var, eps, True, dgamma, dbeta)


def running_update(state: Array, batch: Array, momentum: float) -> None:
    """state <- momentum state + (1 - momentum) batch, in place, (C,)."""
    checked(checks.running_update, state, batch, momentum)
    blend(state.size, state, batch, float(momentum), float(1 - momentum))


def instancenorm(x: Array, gamma: Array, beta: Array, eps: float, act: Act | None = None) -> tuple[Array, Array, Array]:
    """x (N,H,W,C), gamma beta (C,) -> y, mean (N,C), var (N,C) biased; one group per sample and channel."""
    checked(checks.instancenorm, x, gamma, beta, eps, act)
    y, statistics = _forward(instances(x), x, gamma, beta, eps, act)
    return y, statistics[2], statistics[3]


def instancenorm_backward(
    dy: Array, x: Array, gamma: Array, mean: Array, var: Array, eps: float, dgamma: Array, dbeta: Array
) -> Array:
    """dy x (N,H,W,C), gamma (C,), mean var (N,C) -> dx; adds into dgamma, dbeta (C,)."""
    checked(checks.instancenorm_backward, dy, x, gamma, mean, var, eps, dgamma, dbeta)
    return _backward(instances(x), dy, x, gamma, mean, var, eps, False, dgamma, dbeta)
