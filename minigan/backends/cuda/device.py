"""The device layer: all that the backend needs of CuPy, and its twin on host arrays for the simulator.

    device().empty((64, 100))        a float32 array; `device()` is made at its first use, so that importing a family
    device().to_numpy(a)             of kernels needs no driver

All work is queued on one stream of our own, in order; only to_numpy and synchronize wait. Memory comes from CuPy's
caching pool, which hands a freed block to later work of the same stream: an array may be dropped while a kernel that
reads it is still queued. How a queue is recorded and replayed: streams.py.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import numpy as np

from minigan.backends.checks.rules import MOST_ELEMENTS
from minigan.backends.cuda._numba import SIMULATED, cuda, on_host
from minigan.backends.cuda.streams import CuPyStreams, HostStreams
from minigan.backends.cuda.views import Views
from minigan.errors import ShapeError
from minigan.models.shapes import Array, Shape


def countable(shape: Shape) -> Shape:
    """The shape of a result, unless it has more elements than a kernel's int32 counts: a ShapeError."""
    if math.prod(shape) > MOST_ELEMENTS:
        raise ShapeError(
            f"the result would have shape {tuple(shape)}, expected fewer than {MOST_ELEMENTS + 1} elements; "
            "give smaller arrays"
        )
    return shape


class Host(HostStreams):
    """NumPy arrays in the place of device memory."""

    array_type: type = np.ndarray
    launch_stream: Any = 0  # as a Numba launch takes it
    stream_address = 0  # as a C library takes it
    model = "simulator"

    def empty(self, shape: Shape, dtype: Any = np.float32) -> Array:
        """Uninitialised."""
        return self.new(countable(shape), dtype)

    def zeros(self, shape: Shape, dtype: Any = np.float32) -> Array:
        """Zeros."""
        a = self.new(shape, dtype)
        self.copyto(a, 0)
        return a

    def asarray(self, host: Array) -> Array:
        """The host array's values on the device, C-contiguous."""
        self.refuse("reads the host's memory")
        return self.made(np.array(host, order="C"))

    def to_numpy(self, a: Array) -> Array:
        """The array's values on the host, once they are computed."""
        self.refuse("waits for a number")
        return np.array(a)

    def copyto(self, p: Array, host: Any) -> None:
        """Overwrites `p` with an array's values, or all of it with one number."""
        self.run(np.copyto, self.known(p), self.known(host) if isinstance(host, np.ndarray) else host)

    def synchronize(self) -> None:
        """Waits until all that was queued is done."""
        self.refuse("waits for the device")

    def span(self, name: str) -> AbstractContextManager[object]:
        """Nobody watches."""
        return nullcontext()

    def view(self, a: Array, axes: int) -> Any:
        """`a` as kernels take it: with its own axes, or as one."""
        return on_host(self.known(a if a.ndim == axes else a.reshape(-1)))

    def address(self, a: Array) -> int:
        """Where its first element lies."""
        return int(a.ctypes.data)


class CuPy(CuPyStreams):
    """CuPy arrays on the current GPU."""

    def __init__(self) -> None:
        import cupy

        self._cupy = cupy
        self.array_type: type = cupy.ndarray
        self.stream = cupy.cuda.Stream()
        self.stream.__enter__()  # for good, so that `dp[...] = 0` and the like are queued with the kernels: what use()
        # sets is forgotten at the end of the next `with stream`, of which CuPy's own functions have some
        self.stream_address: int = self.stream.ptr
        self.launch_stream = cuda.external_stream(self.stream_address)
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
        self.model = properties["name"].decode()
        self.view = Views(self._wrap)  # an array as kernels take it: with its own axes, or as one
        self.capability = (properties["major"], properties["minor"])

    def empty(self, shape: Shape, dtype: Any = np.float32) -> Array:
        """Uninitialised."""
        return self._cupy.empty(countable(shape), dtype)

    def zeros(self, shape: Shape, dtype: Any = np.float32) -> Array:
        """Zeros."""
        return self._cupy.zeros(shape, dtype)

    def asarray(self, host: Array) -> Array:
        """The host array's values on the device, C-contiguous."""
        if not isinstance(host, self.array_type):
            self.refuse("reads the host's memory")
        return self._cupy.asarray(host, order="C")

    def to_numpy(self, a: Array) -> Array:
        """The array's values on the host, once they are computed."""
        self.refuse("waits for a number")
        return a.get(stream=self.stream)

    def copyto(self, p: Array, host: Any) -> None:
        """Overwrites `p` with an array's values, or all of it with one number."""
        if isinstance(host, int | float):
            p.fill(host)
        else:
            p[...] = self.asarray(host if isinstance(host, self.array_type) else np.asarray(host, p.dtype))

    def synchronize(self) -> None:
        """Waits until all that was queued is done."""
        self.refuse("waits for the device")
        self.stream.synchronize()

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """A range of this name (NVTX) around what is done meanwhile, for Nsight Systems and Nsight Compute."""
        nvtx = self._cupy.cuda.nvtx
        if not nvtx.available:
            yield
            return
        nvtx.RangePush(name)
        try:
            yield
        finally:
            nvtx.RangePop()

    def _wrap(self, a: Array, axes: int) -> Any:
        shape = a.shape if a.ndim == axes else (a.size,)
        facts = {**a.__cuda_array_interface__, "shape": shape, "strides": None, "stream": None}
        return cuda.from_cuda_array_interface(facts, owner=None, sync=False)

    def address(self, a: Array) -> int:
        """Where its first element lies."""
        return int(a.data.ptr)


@cache
def device() -> Any:
    """The one device of this process: a GPU by CuPy, or host arrays where the simulator is on."""
    return Host() if SIMULATED else CuPy()
