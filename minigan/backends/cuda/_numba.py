"""The only place that imports numba.cuda, so that a successor of numba-cuda needs a change here alone.

Kernels may use what `cuda` has in the simulator too: NUMBA_ENABLE_CUDASIM=1, read once, when this is imported.
"""

import os
from typing import Any

os.environ.setdefault("NUMBA_CUDA_ARRAY_INTERFACE_SYNC", "0")  # all runs on one stream: nothing to wait for
os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")  # small GANs have small grids

from numba import cuda, float32, int32, uint32, uint64
from numba.core import config, sigutils
from numba.cuda import libdevice

__all__ = [
    "SIMULATED",
    "axes",
    "compiled",
    "cuda",
    "device_function",
    "float32",
    "int32",
    "launcher",
    "libdevice",
    "on_host",
    "uint32",
    "uint64",
]

SIMULATED = bool(config.ENABLE_CUDASIM)
if SIMULATED:
    from numpy import float32, int32, uint32, uint64  # the same numbers, made ten times as fast as by numba's types

    from minigan.backends.cuda import simulator

    simulator.install()


def axes(signature: str) -> tuple[int | None, ...]:
    """Per argument of a kernel's signature: how many axes the array has, None for a number."""
    return tuple(getattr(kind, "ndim", None) for kind in sigutils.normalize_signature(signature)[0])


def compiled(function: Any, signature: str) -> Any:
    """The kernel of `function`, for these types alone."""
    return cuda.jit(signature)(function)


def launcher(kernel: Any, grid: tuple[int, ...], block: tuple[int, ...], stream: Any) -> Any:
    """What launches the kernel so when it is called, to be kept: numba keeps the newest 128 for all kernels together,
    about what two GANs need, and makes those beyond anew each time."""
    if SIMULATED:  # whose kernels know the newest grid alone
        return lambda *args: kernel[grid, block, stream](*args)
    return kernel[grid, block, stream]


def device_function(function: Any) -> Any:
    """A function that kernels call. The simulator runs it as it is: calling a cuda.jit function takes longer there."""
    return simulator.watch(function) if SIMULATED else cuda.jit(device=True)(function)


def on_host(a: Any) -> Any:
    """The NumPy array `a` as the simulator's kernels take it in place of device memory, without a copy."""
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    return FakeCUDAArray(a)
