"""minibatch_stddev: how much the samples of a group differ, as one more channel, and its backward.

A group is `group` samples of `size` = H W C numbers; a place is one of these, seen through all samples of the group.
"""

import math

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, device_function, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.indices import divide, place
from minigan.backends.cuda.launch import checked, kernel
from minigan.backends.cuda.reduce import THREADS, WARPS, block_sum
from minigan.models.shapes import Array


@device_function
def _mean_at(x, first, group, e):
    """The mean of place e over the samples first, first + 1, ..., first + group - 1."""
    sum = float32(0)
    for n in range(first, first + group):
        sum += x[n, e]
    return sum / float32(group)


@device_function
def _deviation_at(x, first, group, e, mean, eps):
    """sqrt(var + eps) of place e; about the mean, so two passes"""
    sum = float32(0)
    for n in range(first, first + group):
        d = x[n, e] - mean
        sum += d * d
    return math.sqrt(sum / float32(group) + eps)


@kernel("void(float32[:, ::1], int32, float32, float32[::1])", block=THREADS, covers=1)
def _deviations(x, group, eps, s):
    """x (groups group, size) -> s (groups,): the mean deviation of all places; a block per group"""
    scratch = cuda.shared.array(WARPS, float32)
    first = cuda.blockIdx.x * group
    sum = float32(0)
    for e in range(cuda.threadIdx.x, x.shape[1], THREADS):
        sum += _deviation_at(x, first, group, e, _mean_at(x, first, group, e), eps)
    sum = block_sum(sum, scratch)
    if cuda.threadIdx.x == 0:
        s[cuda.blockIdx.x] = sum / float32(x.shape[1])


@kernel("void(float32[:, :, ::1], float32[::1], int32, float32[:, :, ::1])")
def _with_plane(x, s, group, y):
    """x (N,HW,C), s (groups,), y (N,HW,C+1)"""
    i = cuda.grid(1)
    if i < y.size:
        C = x.shape[2]
        _, n, p, c = place(i, x.shape[0], x.shape[1], C + 1)
        y[n, p, c] = x[n, p, c] if c < C else s[n // group]


@kernel("void(float32[:, :, ::1], int32, float32[::1])", block=THREADS, covers=1)
def _plane_sums(dy, group, ds):
    """dy (N,HW,C+1) -> ds (groups,): the sum of the last channel over the group; a block per group"""
    scratch = cuda.shared.array(WARPS, float32)
    pixels, last = dy.shape[1], dy.shape[2] - 1
    sum = float32(0)
    for k in range(cuda.threadIdx.x, group * pixels, THREADS):
        sum += dy[cuda.blockIdx.x * group + k // pixels, k % pixels, last]
    sum = block_sum(sum, scratch)
    if cuda.threadIdx.x == 0:
        ds[cuda.blockIdx.x] = sum


@kernel("void(float32[:, :, ::1], float32[:, ::1], float32[::1], int32, float32, float32[:, ::1])")
def _gradient(dy, x, ds, group, eps, dx):
    """dy (N,HW,C+1), x dx (N, size), ds (groups,): a thread per place of a group walks through its samples"""
    i = cuda.grid(1)
    size, C = x.shape[1], dy.shape[2] - 1
    if i < ds.size * size:
        number, e = divide(i, size)
        first = number * group
        mean = _mean_at(x, first, group, e)
        pull = ds[number] / (float32(group * size) * _deviation_at(x, first, group, e, mean, eps))
        pixel, c = divide(e, C)
        for n in range(first, first + group):
            dx[n, e] = dy[n, pixel, c] + pull * (x[n, e] - mean)


def minibatch_stddev(x: Array, group: int, eps: float) -> Array:
    """x (N,H,W,C) -> y (N,H,W,C+1): one more channel that says how much each group's samples differ."""
    checked(checks.minibatch_stddev, x, group, eps)
    n, h, w, c = x.shape
    s, y = device().empty((n // group,)), device().empty((n, h, w, c + 1))
    _deviations(s.size, x.reshape(n, -1), int(group), float(eps), s)
    _with_plane(y.size, x.reshape(n, h * w, c), s, int(group), y.reshape(n, h * w, c + 1))
    return y


def minibatch_stddev_backward(dy: Array, x: Array, group: int, eps: float) -> Array:
    """dy (N,H,W,C+1), x (N,H,W,C) -> dx."""
    checked(checks.minibatch_stddev_backward, dy, x, group, eps)
    n, h, w, c = x.shape
    ds, dx = device().empty((n // group,)), device().empty(x.shape)
    planes = dy.reshape(n, h * w, c + 1)
    _plane_sums(ds.size, planes, int(group), ds)
    _gradient(x.size // group, planes, x.reshape(n, -1), ds, int(group), float(eps), dx.reshape(n, -1))
    return dx
