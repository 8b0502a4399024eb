"""Kernels that each break a rule of compiled.py, so that the rule is known to see it."""

from types import SimpleNamespace
from typing import Any

from numba import cuda, float32

SIGNATURE = "void(float32[::1])"
LIVE = 300  # numbers that all live at once: more than the 255 registers of a thread


def double(x):
    """0.1 is a float64, and takes the product with it."""
    i = cuda.grid(1)
    x[i] = x[i] * 0.1


def atomic(x):
    """Added up in whichever order threads come."""
    cuda.atomic.add(x, 0, x[cuda.grid(1)])


def stack(x):
    """An array that is indexed by a number known only when it runs lies in memory, not in registers."""
    a = cuda.local.array(16, float32)
    i = cuda.grid(1)
    for k in range(16):
        a[(k * i) % 16] = x[k]
    x[i] = a[i % 16]


def large(x):
    """More shared memory than a block has."""
    s = cuda.shared.array(12_289, float32)
    s[cuda.threadIdx.x] = x[cuda.grid(1)]
    cuda.syncthreads()
    x[cuda.grid(1)] = s[0]


def _spilling() -> Any:
    lines = ["i = cuda.grid(1)", *(f"a{k} = x[i + {k}]" for k in range(LIVE)), "cuda.syncthreads()"]
    lines += [f"x[i * {k + 2}] = a{LIVE - 1 - k} * a{(k * 7) % LIVE}" for k in range(LIVE)]
    space: dict[str, Any] = {"cuda": cuda}
    exec("def spilling(x):\n" + "\n".join(f"    {line}" for line in lines), space)
    return space["spilling"]


def fused(x):
    """A product and a sum, which become one operation with one rounding."""
    i = cuda.grid(1)
    x[i] = x[i] * x[i + 1] + x[i + 2]


KERNELS = {
    f.__name__: SimpleNamespace(function=f, signature=SIGNATURE, block=(256,))
    for f in (double, atomic, stack, large, _spilling(), fused)
}
