"""What a plan and a run's record say of this device: its model, and the versions that made its kernels."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from minigan.backends import plan_gpu
from minigan.backends.cuda._numba import SIMULATED
from minigan.backends.cuda.cublas import library
from minigan.backends.cuda.device import device


@cache
def isa() -> str:
    """The GPU's model, and whether cuBLAS is missing: in the place that an instruction set has on a CPU."""
    return device().model + ("" if SIMULATED or library() is not None else plan_gpu.WITHOUT)


def _version(*names: str) -> str:
    for name in names:
        try:
            return f"{names[0]} {version(name)}"
        except PackageNotFoundError:
            pass
    return f"{names[0]} of unknown version"


BUILD = _version("numba-cuda") + ("" if SIMULATED else f", {_version('cupy', 'cupy-cuda13x', 'cupy-cuda12x')}")
