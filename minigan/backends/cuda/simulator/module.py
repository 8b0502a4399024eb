"""What the names `cuda`, `math` and `libdevice` mean inside a running kernel."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from minigan.backends.cuda.simulator.memory import Memory, Own, unset
from minigan.backends.cuda.simulator.threads import STATE, WARP, Dim3, SimulatorError

FULL_MASK = 0xFFFFFFFF


def _place(depth: int = 2) -> Any:
    """Where the kernel calls from: the instruction, and its line."""
    frame = sys._getframe(depth)
    return frame.f_code, frame.f_lasti, frame.f_lineno


class _Shared:
    def array(self, shape: Any, dtype: Any) -> Memory:
        """The block's array made by this instruction."""
        key = _place()
        arrays = STATE.block.shared
        if key not in arrays:
            arrays[key] = Memory(unset(shape, dtype), f"shared array of line {key[2]}")
        return arrays[key]


class _Local:
    def array(self, shape: Any, dtype: Any) -> Own:
        """An array of the thread's own."""
        return Own(unset(shape, dtype), f"local array of line {_place()[2]}")


def _shuffle(source: Callable[[int, int], int]) -> Callable[..., Any]:
    def shuffle(self: Any, mask: int, value: Any, by: int) -> Any:
        if mask != FULL_MASK:
            raise SimulatorError(f"a shuffle has mask {mask:#x}, expected all lanes, {FULL_MASK:#x}")
        block, thread, place = STATE.block, STATE.thread, _place()
        thread.shuffled = value
        block.wait("warp", place)
        lane, first = source(thread.lane, int(by)), thread.warp * WARP
        there = block.threads[first + lane] if 0 <= lane < WARP and first + lane < len(block.threads) else thread
        got = there.shuffled
        block.wait("warp", place)  # until all have read
        return got

    return shuffle


class _Cuda:
    """The module `cuda` of a running kernel."""

    warpsize = WARP
    shared, local = _Shared(), _Local()
    gridDim = blockDim = blockIdx = Dim3(1)  # set by the launch

    @property
    def threadIdx(self) -> Dim3:
        """The running thread's place in its block."""
        return STATE.thread.idx

    @property
    def laneid(self) -> int:
        """The running thread's place in its warp."""
        return STATE.thread.lane

    def grid(self, dims: int) -> Any:
        """The thread's place in the whole grid."""
        x = self.blockIdx.x * self.blockDim.x + self.threadIdx.x
        y = self.blockIdx.y * self.blockDim.y + self.threadIdx.y
        z = self.blockIdx.z * self.blockDim.z + self.threadIdx.z
        return x if dims == 1 else (x, y, z)[:dims]

    def gridsize(self, dims: int) -> Any:
        """How many threads the grid has."""
        sizes = [getattr(self.gridDim, axis) * getattr(self.blockDim, axis) for axis in "xyz"]
        return sizes[0] if dims == 1 else tuple(sizes[:dims])

    def syncthreads(self) -> None:
        STATE.block.wait("block", _place())

    def syncwarp(self, mask: int = FULL_MASK) -> None:
        STATE.block.wait("warp", _place())

    shfl_sync = _shuffle(lambda lane, by: by)
    shfl_down_sync = _shuffle(lambda lane, by: lane + by)
    shfl_up_sync = _shuffle(lambda lane, by: lane - by)
    shfl_xor_sync = _shuffle(lambda lane, by: lane ^ by)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once (but for rare ties: float64 holds the product exactly, not always the sum)."""
        return np.float32(np.float64(a) * np.float64(b) + np.float64(c))


CUDA: Any = _Cuda()


def _rounded(of: Any) -> Callable[..., Any]:
    return lambda *args: np.float32(of(*(np.float64(a) for a in args)))


_FUNCTIONS = "exp log log1p expm1 tanh sqrt fabs sin cos floor ceil copysign"

# `math` in float32, rounded once; infinity where Python's raises
MATH: Any = SimpleNamespace(
    **{name: _rounded(getattr(np, name)) for name in _FUNCTIONS.split()},
    isnan=lambda x: bool(np.isnan(x)),
    isinf=lambda x: bool(np.isinf(x)),
    isfinite=lambda x: bool(np.isfinite(x)),
    inf=float("inf"),
    nan=float("nan"),
)

LIBDEVICE = {
    "fadd_rn": lambda a, b: np.float32(a) + np.float32(b),
    "fsub_rn": lambda a, b: np.float32(a) - np.float32(b),
    "fmul_rn": lambda a, b: np.float32(a) * np.float32(b),
    "fdiv_rn": lambda a, b: np.float32(a) / np.float32(b),
    "fsqrt_rn": lambda a: np.sqrt(np.float32(a)),
}


def unknown(name: str) -> Callable[..., Any]:
    """What stands in for a function of libdevice that has no row here: numba's own would give NaN without a word."""

    def refuse(*args: Any) -> Any:
        raise SimulatorError(
            f"libdevice.{name} is not in the simulator; give it a row in backends/cuda/simulator/module.py"
        )

    return refuse
