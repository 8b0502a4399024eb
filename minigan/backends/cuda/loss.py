"""Losses: (loss, dx), the mean over all elements and its gradient, in one pass.

A block takes 4096 numbers, writes their gradients and one sum of their losses; where there are several, a second launch
of one block adds these sums up. One kernel for all losses of logits and a number, one for those of two arrays, one for
rows of logits, one for the lengths of samples.
"""

import math
from collections.abc import Callable
from typing import Any

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, device_function, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.epilogue import sigmoid
from minigan.backends.cuda.launch import Kernel, checked, kernel
from minigan.backends.cuda.reduce import (
    CHUNK,
    THREADS,
    WARPS,
    block_sum,
    keep_sum,
    partial_sums,
    sum_of,
    total,
    warp_max,
    warp_sum,
)
from minigan.models.shapes import Array


@device_function
def softplus(x):
    """log(1 + e^x) = max(x, 0) + log1p(e^-|x|)"""
    return (float32(0) if x < 0 else x) + float32(math.log1p(math.exp(-abs(x))))


def _of_number(value: Any, derivative: Any) -> Callable[..., None]:
    """x (n,), t a number -> partial (blocks,): sums of value(x, t); dx (n,) = derivative(x, t) / n"""

    def of_number(x, t, partial, dx):
        scratch = cuda.shared.array(WARPS, float32)
        begin, n = cuda.blockIdx.x * CHUNK, float32(x.size)
        sum = float32(0)
        for i in range(begin + cuda.threadIdx.x, min(begin + CHUNK, x.size), THREADS):
            sum += value(x[i], t)
            dx[i] = derivative(x[i], t) / n
        keep_sum(block_sum(sum, scratch), n, partial)

    return of_number


def _of_array(value: Any, derivative: Any) -> Callable[..., None]:
    """As _of_number, with a target for each element: t (n,)"""

    def of_array(x, t, partial, dx):
        scratch = cuda.shared.array(WARPS, float32)
        begin, n = cuda.blockIdx.x * CHUNK, float32(x.size)
        sum = float32(0)
        for i in range(begin + cuda.threadIdx.x, min(begin + CHUNK, x.size), THREADS):
            sum += value(x[i], t[i])
            dx[i] = derivative(x[i], t[i]) / n
        keep_sum(block_sum(sum, scratch), n, partial)

    return of_array


def _of_norm(value: Any, factor: Any) -> Callable[..., None]:
    """x dx (N, size) -> losses norms (N,): r = ||x[n]||, value(r), dx[n] = factor(r) x[n] / N; a block per sample

    It walks along its sample twice; the second time it comes from the cache.
    """

    def of_norm(x, losses, norms, dx):
        scratch = cuda.shared.array(WARPS, float32)
        n, size = cuda.blockIdx.x, x.shape[1]
        sum = float32(0)
        for e in range(cuda.threadIdx.x, size, THREADS):
            sum += x[n, e] * x[n, e]
        norm = math.sqrt(block_sum(sum, scratch))
        times = factor(norm) / float32(x.shape[0])
        for e in range(cuda.threadIdx.x, size, THREADS):
            dx[n, e] = times * x[n, e]
        if cuda.threadIdx.x == 0:
            losses[n] = value(norm)
            norms[n] = norm

    return of_norm


_NUMBER = "void(float32[::1], float32, float32[::1], float32[::1])"
_ARRAY = "void(float32[::1], float32[::1], float32[::1], float32[::1])"
_NORM = "void(float32[:, ::1], float32[::1], float32[::1], float32[:, ::1])"


def _kernels(
    body: Callable[[Any, Any], Callable[..., None]], signature: str, rows: dict[str, tuple[Any, Any]], covers: int
) -> dict[str, Kernel]:
    """A kernel of each (value, derivative), named by its row."""
    made = {}
    for name, terms in rows.items():
        function = body(*(device_function(term) for term in terms))
        function.__name__ = name
        made[name] = kernel(signature, block=THREADS, covers=covers)(function)
    return made


# kind: (loss of each element, its derivative), of logits x and a target t. Comparisons let NaN pass.
_LOGIT_LOSSES = _kernels(_of_number, _NUMBER, {
    "bce": (
        lambda x, t: (float32(1) - t) * softplus(x) + t * softplus(-x),
        lambda x, t: (float32(1) - t) * sigmoid(x) - t * sigmoid(-x),
    ),
    "mse": (lambda x, t: (x - t) * (x - t), lambda x, t: float32(2) * (x - t)),
    "hinge": (
        lambda x, t: float32(0) if t * x >= 1 else float32(1) - t * x,
        lambda x, t: float32(0) if t * x >= 1 else (x if x != x else -t),
    ),
    "linear": (lambda x, t: t * x, lambda x, t: t + float32(0) * x),
    "minimax": (lambda x, t: -softplus(x), lambda x, t: -sigmoid(x)),
}, CHUNK)  # fmt: skip
_PAIR_LOSSES = _kernels(_of_array, _ARRAY, {
    "absolute": (
        lambda x, t: abs(x - t),
        lambda x, t: float32(1) if x > t else (float32(-1) if x < t else x - t),
    ),
    "squared": (lambda x, t: (x - t) * (x - t), lambda x, t: float32(2) * (x - t)),
}, CHUNK)  # fmt: skip
# kind: (loss of each norm, what its gradient multiplies the sample by); a norm of 0 has no direction
_NORM_LOSSES = _kernels(_of_norm, _NORM, {
    "one": (
        lambda norm: (norm - float32(1)) * (norm - float32(1)),
        lambda norm: float32(0) if norm == 0 else float32(2) - float32(2) / norm,
    ),
    "zero": (lambda norm: norm * norm / float32(2), lambda norm: float32(1) + float32(0) * norm),
}, 1)  # fmt: skip


def _loss(made: Kernel, x: Array, target: Any) -> tuple[Array, Array]:
    dx, partial = device().empty(x.shape), partial_sums(x.size)
    made(x.size, x, target, partial, dx)
    return total(partial, x.size), dx


def logit_loss(x: Array, kind: str, target: float) -> tuple[Array, Array]:
    """x any shape, target a number -> loss (0-d), dx; the kinds are the oracle's."""
    checked(checks.logit_loss, x, kind, target)
    return _loss(_LOGIT_LOSSES[kind], x, float(target))


def l1_loss(x: Array, target: Array) -> tuple[Array, Array]:
    """x, target same shape -> mean |x - target|, dx."""
    checked(checks.l1_loss, x, target)
    return _loss(_PAIR_LOSSES["absolute"], x, target)


def mse_loss(x: Array, target: Array) -> tuple[Array, Array]:
    """x, target same shape -> mean (x - target)^2, dx."""
    checked(checks.mse_loss, x, target)
    return _loss(_PAIR_LOSSES["squared"], x, target)


def norm_loss(x: Array, kind: str) -> tuple[Array, Array, Array]:
    """x (N,...), r_n = ||x[n]|| -> loss (0-d), the mean over samples; dx; the mean of r (0-d). Kinds: the oracle's."""
    checked(checks.norm_loss, x, kind)
    N = x.shape[0]
    dx, losses, norms = device().empty(x.shape), device().empty((N,)), device().empty((N,))
    _NORM_LOSSES[kind](N, x.reshape(N, -1), losses, norms, dx.reshape(N, -1))
    return sum_of(losses, N), dx, sum_of(norms, N)


@kernel("void(float32[::1], int32[::1], int32, float32[::1], float32[::1])", block=THREADS, covers=WARPS)
def _softmax(x, labels, K, losses, dx):
    """x dx (N K,), labels (N,) -> losses (N,): a warp per row, a lane for every 32nd logit; no such label: NaN"""
    n, lane = cuda.blockIdx.x * WARPS + cuda.threadIdx.x // 32, cuda.threadIdx.x % 32
    if n < labels.size:  # the same for all lanes of a warp
        row, N = n * K, float32(labels.size)
        label = labels[n]
        top = float32(-math.inf)
        for k in range(lane, K, 32):
            top = max(top, x[row + k])
        top = warp_max(top)
        sum = float32(0)
        for k in range(lane, K, 32):
            sum += float32(math.exp(x[row + k] - top))
        sum = warp_sum(sum)
        for k in range(lane, K, 32):
            hit = float32(1) if k == label else float32(0)
            dx[row + k] = (float32(math.exp(x[row + k] - top)) / sum - hit) / N
        if lane == 0:
            known = 0 <= label < K
            losses[n] = float32(math.log(sum)) - (x[row + label] - top) if known else float32(math.nan)


def softmax_cross_entropy(x: Array, labels: Array) -> tuple[Array, Array]:
    """logits x (N,K), labels (N,) int32 in [0, K) -> loss (0-d), dx (N,K)."""
    checked(checks.softmax_cross_entropy, x, labels)
    dx, losses = device().empty(x.shape), device().empty(labels.shape)
    _softmax(x.shape[0], x, labels, x.shape[1], losses, dx)
    return sum_of(losses, x.shape[0]), dx


@kernel("void(float32[::1], float32[::1], float32, float32[::1], float32[::1], float32[::1])", THREADS, CHUNK)
def _kl(mean, logvar, N, partial, dmean, dlogvar):
    """mean logvar dmean dlogvar (N F,) -> partial (blocks,): sums of 1/2 (mean^2 + e^logvar - 1 - logvar)"""
    scratch = cuda.shared.array(WARPS, float32)
    begin, half = cuda.blockIdx.x * CHUNK, float32(0.5)
    sum = float32(0)
    for i in range(begin + cuda.threadIdx.x, min(begin + CHUNK, mean.size), THREADS):
        beyond = float32(math.expm1(logvar[i]))  # var - 1, whose digits e^logvar - 1 would lose near logvar = 0
        sum += half * (mean[i] * mean[i] + beyond - logvar[i])
        dmean[i] = mean[i] / N
        dlogvar[i] = half * beyond / N
    keep_sum(block_sum(sum, scratch), N, partial)


def kl_gauss(mean: Array, logvar: Array) -> tuple[Array, Array, Array]:
    """mean, logvar (N,F) -> KL(N(mean, e^logvar) || N(0, 1)), summed over F, averaged over N; dmean, dlogvar."""
    checked(checks.kl_gauss, mean, logvar)
    dmean, dlogvar, partial = device().empty(mean.shape), device().empty(mean.shape), partial_sums(mean.size)
    _kl(mean.size, mean, logvar, float(mean.shape[0]), partial, dmean, dlogvar)
    return total(partial, mean.shape[0]), dmean, dlogvar
