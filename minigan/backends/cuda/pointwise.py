"""Activations and elementwise arithmetic: one thread per element."""

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda
from minigan.backends.cuda.device import device
from minigan.backends.cuda.launch import checked, kernel
from minigan.models.shapes import Array


@kernel("void(float32[::1], float32, float32[::1])")
def _scale(x, alpha, y):
    """x (n,), y (n,): y = alpha x"""
    i = cuda.grid(1)
    if i < x.size:
        y[i] = alpha * x[i]


def scale(x: Array, alpha: float) -> Array:
    """alpha x"""
    checked(checks.scale, x, alpha)
    y = device().empty(x.shape)
    _scale(x.size, x, float(alpha), y)
    return y
