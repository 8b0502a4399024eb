"""Launching in one place: every kernel of the backend stands in KERNELS, and is called with the extent it covers.

    @kernel("void(float32[::1], float32, float32[::1])")     explicit types: compiled once, at the first launch
    def _scale(x, alpha, y):
        i = cuda.grid(1)
        ...

    _scale(x.size, x, alpha, y)                              ceil(x.size / covers) blocks, queued on our stream

`extent` is a size or up to three of them; one block covers `covers` of it, which is the block's own shape unless the
kernel says otherwise (a tile of a matrix product). Where the signature has one axis, an array of any shape is seen
flat. Nothing here waits for the device.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.backends import checks
from minigan.backends.cuda._numba import SIMULATED, axes, compiled, launcher
from minigan.backends.cuda.device import device

Extent = int | tuple[int, ...]


class Kernel:
    """One Numba kernel: its Python function and all that a launch must know."""

    def __init__(self, function: Callable[..., None], signature: str, block: tuple[int, ...], covers: tuple[int, ...]):
        self.name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        self.function, self.signature, self.block, self.covers = function, signature, block, covers
        self._axes = axes(signature)
        self._compiled: Any = None
        self._launchers: dict[tuple[int, ...], Any] = {}  # by grid

    def grid(self, extent: Extent) -> tuple[int, ...]:
        """How many blocks cover the extent, per axis."""
        sizes = (extent,) if isinstance(extent, int) else extent
        return tuple(-(-size // covered) for size, covered in zip(sizes, self.covers, strict=True))

    def __call__(self, extent: Extent, *args: Any) -> None:
        if self._compiled is None:
            self._compiled = compiled(self.function, self.signature)
        wrap = device().view
        taken = [_number(a) if n is None else wrap(a, n) for n, a in zip(self._axes, args, strict=True)]
        grid = self.grid(extent)
        if grid not in self._launchers:
            self._launchers[grid] = launcher(self._compiled, grid, self.block, device().launch_stream)
        device().run(self._launchers[grid], *taken)


KERNELS: dict[str, Kernel] = {}  # "family.function": what the compile check walks over


def kernel(
    signature: str, block: int | tuple[int, ...] = 256, covers: int | tuple[int, ...] | None = None
) -> Callable[[Callable[..., None]], Kernel]:
    """Registers the function below as a kernel of these types, with blocks of this many threads."""

    def register(function: Callable[..., None]) -> Kernel:
        threads = _tuple(block)
        made = Kernel(function, signature, threads, threads if covers is None else _tuple(covers))
        if made.name in KERNELS:
            raise ValueError(f"two kernels are named {made.name}; rename one of them")
        KERNELS[made.name] = made
        return made

    return register


def _tuple(n: int | tuple[int, ...]) -> tuple[int, ...]:
    return (n,) if isinstance(n, int) else n


def _number(value: Any) -> Any:
    """As the types of the signature make it on a GPU: a float is a float32 in the simulator, too."""
    return np.float32(value) if SIMULATED and isinstance(value, float) else value


def checked(check: Callable[..., None], *args: Any) -> None:
    """Raises the ShapeError of backends/checks unless `args` are arrays of this backend that fit the op of `check`."""
    checks.require(check, args, device().array_type)
