"""The one kernel that must run before the backend is handed out."""

import numpy as np

from minigan.backends.cuda._numba import cuda, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.launch import kernel


@kernel("void(float32[::1])", block=32)
def _add_one(x):
    """x (n,) += 1"""
    i = cuda.grid(1)
    if i < x.size:
        x[i] += float32(1)


def run() -> str:
    """What is wrong with its result; "" when nothing is."""
    x = device().asarray(np.arange(40, dtype=np.float32))
    _add_one(x.size, x)
    got = device().to_numpy(x)
    return "" if np.array_equal(got, np.arange(1, 41)) else f"adding 1 to 0, 1, ... gave {got[0]:g}, {got[1]:g}, ..."
