"""Kernels run on the CPU, for machines without a GPU: numba-cuda's simulator, made fast and strict.

numba-cuda's own runs every CUDA thread as a thread of the system, seconds for a small kernel. Here a CUDA thread is a
greenlet, and one scheduler walks through a block: each thread runs up to its next barrier, then the next thread, one
round in rising order and one in falling order. It is quick, always the same, and sees what hardware leaves undefined:

    divergent barrier   some threads of a block wait at a __syncthreads that others do not reach
    race                two threads touch one number, one of them writes, and no barrier lies between the two
    out of bounds       an index below 0 or beyond the end, of any array
    uninitialised       shared and local memory begins as NaN, integers as the largest number
    float64             a float64 number is stored where float32 is due; math is rounded to float32

Warp shuffles work. `install` puts it in place, once, when NUMBA_ENABLE_CUDASIM=1 (backends/cuda/_numba.py).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import libdevice
from numba.cuda.simulator import kernel

from minigan.backends.cuda.simulator.memory import Memory
from minigan.backends.cuda.simulator.module import CUDA, LIBDEVICE, MATH, unknown
from minigan.backends.cuda.simulator.threads import STATE, Block, Dim3, SimulatorError

_spaces: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}  # globals of kernels, and what of it is lent
_REAL = (cuda, math)


def watch(fn: Any) -> Any:
    """fn itself. While a launch runs, `cuda` and `math` among its globals are the simulator's."""
    space = fn.__globals__
    if id(space) not in _spaces:
        _spaces[id(space)] = space, {}
        if STATE.block is not None:
            _lend(space)
    return fn


def _lend(space: dict[str, Any]) -> None:
    found = {name: value for name, value in space.items() if any(value is real for real in _REAL)}
    _spaces[id(space)] = space, found
    space.update({name: CUDA if value is cuda else MATH for name, value in found.items()})


def _give_back() -> None:
    for space, found in _spaces.values():
        space.update(found)


def _blocks(grid: tuple[int, int, int]) -> Iterator[tuple[int, Dim3]]:
    x, y, z = grid
    for n in range(x * y * z):
        yield n, Dim3(n % x, n // x % y, n // (x * y))


def _call(fake: Any, *args: Any) -> Any:
    """FakeCUDAKernel.__call__: a launch from the host; within a kernel, the call of a device function."""
    if STATE.block is not None:
        return watch(fake.fn)(*args)
    grid, block = ((*dims, 1, 1)[:3] for dims in (fake.grid_dim, fake.block_dim))
    if grid[0] > 2**31 - 1 or max(grid[1:]) > 65_535 or math.prod(block) > 1024 or block[2] > 64:
        raise SimulatorError(f"{fake.fn.__name__} is launched with grid {grid}, block {block}: no GPU takes as many")
    seen = [_visible(a, f"{fake.fn.__name__}, argument {i}") for i, a in enumerate(args)]
    CUDA.gridDim, CUDA.blockDim = Dim3(*grid), Dim3(*block)
    watch(fake.fn)
    for space, _ in [*_spaces.values()]:
        _lend(space)
    try:
        with np.errstate(all="ignore"):
            for number, CUDA.blockIdx in _blocks(grid):
                STATE.block = Block(number, block)
                STATE.block.run(lambda: fake.fn(*seen))
    finally:
        STATE.block = None
        _give_back()
    return None


def _visible(a: Any, where: str) -> Any:
    """The argument as the kernel sees it: host arrays, and numba's fake device arrays, watched."""
    array = getattr(a, "_ary", a)
    return Memory(array, where) if isinstance(array, np.ndarray) else a


def install() -> None:
    """Puts all this in the place of numba-cuda's own, once."""
    kernel.FakeCUDAKernel.__call__ = _call
    for name in [name for name in vars(libdevice) if not name.startswith("_")]:
        setattr(libdevice, name, LIBDEVICE.get(name) or unknown(name))
