"""Activations and elementwise arithmetic.

One kernel for all functions of one array, one for those of two. A block of 256 threads takes 1024 neighbours, thread t
the numbers t, t + 256, t + 512, t + 768 of them:

    block b     | 256 | 256 | 256 | 256 |        a warp's 32 loads are one line of 128 bytes;
    thread t      t     t     t     t            four loads are under way before the first store waits for one
"""

import math
from collections.abc import Callable
from typing import Any

from minigan.backends import checks
from minigan.backends.cuda import epilogue
from minigan.backends.cuda._numba import cuda, device_function, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.launch import Kernel, checked, kernel
from minigan.backends.cuda.reduce import CHUNK, THREADS, WARPS, block_sum, keep_sum, mean_of, partial_sums, total
from minigan.models.shapes import Act, Array

TAKEN = 4 * THREADS  # numbers a block takes


def _of_one(f: Any) -> Callable[..., None]:
    """x (n,) -> y (n,): y = f(x, a, b), a and b numbers"""

    def of_one(x, a, b, y):
        n = x.size
        i = cuda.blockIdx.x * TAKEN + cuda.threadIdx.x
        j, k, m = i + THREADS, i + 2 * THREADS, i + 3 * THREADS
        if m < n:
            first, second, third, fourth = x[i], x[j], x[k], x[m]
            y[i] = f(first, a, b)
            y[j] = f(second, a, b)
            y[k] = f(third, a, b)
            y[m] = f(fourth, a, b)
        else:  # the last block
            for e in range(i, n, THREADS):
                y[e] = f(x[e], a, b)

    return of_one


def _of_two(f: Any) -> Callable[..., None]:
    """x y (n,) -> z (n,), which may be y: z = f(x, y, a, b), a and b numbers"""

    def of_two(x, y, a, b, z):
        n = x.size
        i = cuda.blockIdx.x * TAKEN + cuda.threadIdx.x
        j, k, m = i + THREADS, i + 2 * THREADS, i + 3 * THREADS
        if m < n:
            x0, x1, x2, x3 = x[i], x[j], x[k], x[m]
            y0, y1, y2, y3 = y[i], y[j], y[k], y[m]
            z[i] = f(x0, y0, a, b)
            z[j] = f(x1, y1, a, b)
            z[k] = f(x2, y2, a, b)
            z[m] = f(x3, y3, a, b)
        else:
            for e in range(i, n, THREADS):
                z[e] = f(x[e], y[e], a, b)

    return of_two


def _of_four(f: Any) -> Callable[..., None]:
    """w x y z (n,) -> to (n,): to = f(w, x, y, z). Each number has four loads that may be under way at once."""

    def of_four(w, x, y, z, to):
        begin = cuda.blockIdx.x * TAKEN
        for e in range(begin + cuda.threadIdx.x, min(begin + TAKEN, to.size), THREADS):
            to[e] = f(w[e], x[e], y[e], z[e])

    return of_four


_ONE = "void(float32[::1], float32, float32, float32[::1])"
_TWO = "void(float32[::1], float32[::1], float32, float32, float32[::1])"
_FOUR = "void(float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])"


def _kernels(body: Callable[[Any], Callable[..., None]], signature: str, rows: dict[str, Any]) -> dict[str, Kernel]:
    """A kernel of each function, named by its row."""
    made = {}
    for name, f in rows.items():
        function = body(device_function(f))
        function.__name__ = name
        made[name] = kernel(signature, block=THREADS, covers=TAKEN)(function)
    return made


@device_function
def _step(y, below):
    """1 where y > 0, `below` where y <= 0, NaN where y is NaN."""
    return float32(1) if y > 0 else (below if y <= 0 else y)


_ACTIVATIONS = _kernels(_of_one, _ONE, {
    "relu": lambda x, slope, _: float32(0) if x <= 0 else x,  # a comparison with NaN is false: NaN passes
    "leaky_relu": lambda x, slope, _: slope * x if x <= 0 else x,
    "tanh": lambda x, slope, _: float32(math.tanh(x)),
    "sigmoid": lambda x, slope, _: epilogue.sigmoid(x),
})  # fmt: skip
_ACTIVATION_BACKWARDS = _kernels(_of_two, _TWO, {
    "relu_backward": lambda dy, y, slope, _: dy * _step(y, float32(0)),
    "leaky_relu_backward": lambda dy, y, slope, _: dy * _step(y, slope),
    "tanh_backward": lambda dy, y, slope, _: dy * ((float32(1) - y) * (float32(1) + y)),
    "sigmoid_backward": lambda dy, y, slope, _: dy * (y * (float32(1) - y)),
})  # fmt: skip
# of those that bend: tdy act'(x) + dy c(y) ty, as the oracle has it
_ACTIVATION_BACKWARD_TANGENTS = _kernels(_of_four, _FOUR, {
    "tanh_backward_tangent": lambda tdy, dy, y, ty: (
        tdy * ((float32(1) - y) * (float32(1) + y)) - dy * (float32(2) * y) * ty
    ),
    "sigmoid_backward_tangent": lambda tdy, dy, y, ty: (
        tdy * (y * (float32(1) - y)) + dy * (float32(1) - float32(2) * y) * ty
    ),
})  # fmt: skip
_OF_ONE = _kernels(_of_one, _ONE, {
    "scale": lambda x, alpha, _: alpha * x,
    "exp": lambda x, _, __: float32(math.exp(x)),
    "clip": lambda p, limit, _: -limit if p < -limit else (limit if p > limit else p),
})  # fmt: skip
_OF_TWO = _kernels(_of_two, _TWO, {
    "axpby": lambda x, y, alpha, beta: alpha * x + beta * y,
    "add_scaled": lambda x, dp, alpha, _: dp + alpha * x,
    "mul": lambda x, y, _, __: x * y,
})  # fmt: skip


def activation(x: Array, act: Act | None) -> Array:
    """x any shape -> y = act(x); None is the identity."""
    if act is None:
        return x
    checked(checks.activation, x, act)
    y = device().empty(x.shape)
    _ACTIVATIONS[act[0]](x.size, x, float(act[1]), 0.0, y)
    return y


def activation_backward(dy: Array, y: Array, act: Act | None) -> Array:
    """dy and y = act(x), same shape -> dx = dy act'(x)."""
    if act is None:
        return dy
    checked(checks.activation_backward, dy, y, act)
    dx = device().empty(dy.shape)
    _ACTIVATION_BACKWARDS[f"{act[0]}_backward"](dy.size, dy, y, float(act[1]), 0.0, dx)
    return dx


def activation_backward_tangent(tdy: Array, dy: Array, y: Array, ty: Array, act: Act | None) -> Array:
    """tdy dy y ty, same shape -> tdx, how dx = dy act'(x) moves when dy moves along tdy and y along ty."""
    checked(checks.activation_backward_tangent, tdy, dy, y, ty, act)
    bent = _ACTIVATION_BACKWARD_TANGENTS.get(f"{act[0]}_backward_tangent") if act else None
    if bent is None:
        return activation_backward(tdy, y, act)
    tdx = device().empty(y.shape)
    bent(y.size, tdy, dy, y, ty, tdx)
    return tdx


def axpby(alpha: float, x: Array, beta: float, y: Array) -> Array:
    """alpha x + beta y, same shapes."""
    checked(checks.axpby, alpha, x, beta, y)
    z = device().empty(x.shape)
    _OF_TWO["axpby"](x.size, x, y, float(alpha), float(beta), z)
    return z


def add_scaled(alpha: float, x: Array, dp: Array) -> None:
    """dp += alpha x, same shapes."""
    checked(checks.add_scaled, alpha, x, dp)
    _OF_TWO["add_scaled"](x.size, x, dp, float(alpha), 0.0, dp)


def mul(x: Array, y: Array) -> Array:
    """x y, elementwise, same shapes."""
    checked(checks.mul, x, y)
    z = device().empty(x.shape)
    _OF_TWO["mul"](x.size, x, y, 0.0, 0.0, z)
    return z


def scale(x: Array, alpha: float) -> Array:
    """alpha x"""
    checked(checks.scale, x, alpha)
    y = device().empty(x.shape)
    _OF_ONE["scale"](x.size, x, float(alpha), 0.0, y)
    return y


def exp(x: Array) -> Array:
    """e^x, elementwise; its own derivative, so its backward is mul(dy, y)."""
    checked(checks.exp, x)
    y = device().empty(x.shape)
    _OF_ONE["exp"](x.size, x, 0.0, 0.0, y)
    return y


def clip(p: Array, limit: float) -> None:
    """p <- min(max(p, -limit), limit), in place; NaN stays NaN."""
    checked(checks.clip, p, limit)
    _OF_ONE["clip"](p.size, p, float(limit), 0.0, p)


def mean(x: Array) -> Array:
    """The mean of all elements, a 0-d array."""
    checked(checks.mean, x)
    return mean_of(x)


@kernel("void(float32[::1], float32[::1])", block=THREADS, covers=CHUNK)
def _squares(x, partial):
    """x (n,) -> partial (blocks,): the sum of squares of each block's numbers"""
    scratch = cuda.shared.array(WARPS, float32)
    begin = cuda.blockIdx.x * CHUNK
    sum = float32(0)
    for i in range(begin + cuda.threadIdx.x, min(begin + CHUNK, x.size), THREADS):
        sum += x[i] * x[i]
    keep_sum(block_sum(sum, scratch), float32(1), partial)


def sum_squares(x: Array) -> Array:
    """sum x^2 over all elements, a 0-d array."""
    checked(checks.sum_squares, x)
    partial = partial_sums(x.size)
    _squares(x.size, x, partial)
    return total(partial)


@kernel("void(float32[::1], int32, float32[::1])", block=THREADS, covers=1)
def _row_squares(x, size, to):
    """x (N size,) -> to (N,): one block per row"""
    scratch = cuda.shared.array(WARPS, float32)
    row = cuda.blockIdx.x * size
    sum = float32(0)
    for e in range(cuda.threadIdx.x, size, THREADS):
        sum += x[row + e] * x[row + e]
    sum = block_sum(sum, scratch)
    if cuda.threadIdx.x == 0:
        to[cuda.blockIdx.x] = sum


def row_sum_squares(x: Array) -> Array:
    """x (N,...) -> (N,): sum x^2 of each sample."""
    checked(checks.row_sum_squares, x)
    to = device().empty((x.shape[0],))
    _row_squares(x.shape[0], x, x.size // x.shape[0], to)
    return to
