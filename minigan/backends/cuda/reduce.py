"""Sums in a fixed order: over a warp, over a block, over all numbers. No atomics, so the same bits every time.

numbers     | 4096 of block 0 | 4096 of block 1 | ...        thread t of 256 adds up t, t + 256, ... of its block's
threads     v v v v v v v v                                  neighbours read neighbours: a warp reads one line
warp        32 -> 16 -> 8 -> 4 -> 2 -> 1                     by shuffles, no memory
block       8 warps -> 1                                     by 8 numbers in shared memory
grid        sums of blocks -> 1                              by a second launch of one block
"""

from minigan.backends.cuda._numba import cuda, device_function, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.launch import kernel
from minigan.models.shapes import Array

THREADS = 256
WARPS = THREADS // 32
CHUNK = 16 * THREADS  # numbers a block adds up
ALL = 0xFFFFFFFF  # every lane of the warp takes part


@device_function
def warp_sum(value):
    """The sum of the warp's 32 values, the same bits in every lane: a + b = b + a, and all lanes build one tree."""
    value += cuda.shfl_xor_sync(ALL, value, 16)
    value += cuda.shfl_xor_sync(ALL, value, 8)
    value += cuda.shfl_xor_sync(ALL, value, 4)
    value += cuda.shfl_xor_sync(ALL, value, 2)
    value += cuda.shfl_xor_sync(ALL, value, 1)
    return value


@device_function
def warp_max(value):
    """The largest of the warp's 32 values, in every lane."""
    for half in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(ALL, value, half)
        value = other if other > value else value
    return value


@device_function
def block_sum(value, scratch):
    """The sum of the block's 256 values, in every thread. `scratch` (WARPS,) is shared; all threads must come here."""
    value = warp_sum(value)
    if cuda.threadIdx.x % 32 == 0:
        scratch[cuda.threadIdx.x // 32] = value
    cuda.syncthreads()
    total = float32(0)
    for warp in range(WARPS):
        total += scratch[warp]
    cuda.syncthreads()  # scratch may be written again
    return total


@device_function
def keep_sum(sum, divisor, partial):
    """partial (blocks,): the block's sum; or, where it is the only one, sum / divisor: nothing is left to do then."""
    if cuda.threadIdx.x == 0:
        partial[cuda.blockIdx.x] = sum / divisor if cuda.gridDim.x == 1 else sum


@kernel("void(float32[::1], float32, float32[::1])", block=THREADS, covers=CHUNK)
def _sums(x, divisor, partial):
    """x (n,) -> partial (blocks,): the sum of each block's numbers, by keep_sum"""
    scratch = cuda.shared.array(WARPS, float32)
    begin = cuda.blockIdx.x * CHUNK
    total = float32(0)
    for i in range(begin + cuda.threadIdx.x, min(begin + CHUNK, x.size), THREADS):
        total += x[i]
    keep_sum(block_sum(total, scratch), divisor, partial)


@kernel("void(float32[::1], float32, float32[::1])", block=THREADS)
def _total(x, divisor, to):
    """x (n,) -> to (1,): the sum of all / divisor, by one block"""
    scratch = cuda.shared.array(WARPS, float32)
    total = float32(0)
    for i in range(cuda.threadIdx.x, x.size, THREADS):
        total += x[i]
    keep_sum(block_sum(total, scratch), divisor, to)


def partial_sums(n: int) -> Array:
    """Room for the sum of each block, of n numbers."""
    return device().empty((-(-n // CHUNK),))


def sum_of(x: Array, divisor: float) -> Array:
    """The sum of x (n,) / divisor, 0-d, by one block: for few numbers."""
    to = device().empty(())
    _total(1, x, float(divisor), to)
    return to


def total(partial: Array, divisor: float = 1.0) -> Array:
    """What keep_sum left in `partial`, added up and divided, 0-d."""
    return partial.reshape(()) if partial.size == 1 else sum_of(partial, divisor)


def mean_of(x: Array) -> Array:
    """The mean of all elements, 0-d."""
    partial = partial_sums(x.size)
    _sums(x.size, x, float(x.size), partial)
    return total(partial, x.size)
