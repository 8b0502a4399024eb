"""What there is to say about this device and what drives it, for `minigan doctor`."""

from collections.abc import Iterator
from typing import Any

from minigan.backends.cuda._numba import SIMULATED
from minigan.backends.cuda.device import device
from minigan.backends.cuda.facts import BUILD


def describe() -> Iterator[str]:
    """Lines: the device, then the versions of what makes and launches its kernels."""
    if SIMULATED:
        yield "the simulator, on host arrays and without a GPU, because NUMBA_ENABLE_CUDASIM is set"
        yield BUILD
        return
    import cupy

    runtime: Any = cupy.cuda.runtime
    free, total = runtime.memGetInfo()
    major, minor = device().capability
    yield (
        f"{device().model}, compute capability {major}.{minor}, {total / 2**30:.1f} GiB of memory, "
        f"{free / 2**30:.1f} of them free, driver for CUDA {_cuda(runtime.driverGetVersion())}"
    )
    yield f"{BUILD}, CUDA runtime {_cuda(runtime.runtimeGetVersion())}"


def _cuda(number: int) -> str:
    """13020 -> 13.2"""
    return f"{number // 1000}.{number % 1000 // 10}"
