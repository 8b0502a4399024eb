"""What a plan and a run's record say of this device: its model, and the versions that made its kernels."""

from importlib.metadata import PackageNotFoundError, version

from minigan.backends.cuda.device import device

ISA: str = device().model  # in the place that an instruction set has on a CPU


def _version(*names: str) -> str:
    for name in names:
        try:
            return f"{names[0]} {version(name)}"
        except PackageNotFoundError:
            pass
    return f"{names[0]} of unknown version"


BUILD = f"{_version('numba-cuda')}, {_version('cupy', 'cupy-cuda13x', 'cupy-cuda12x')}"
