"""Arrays as kernels see them: bounds, types and races are watched."""

from typing import Any

import numpy as np

from minigan.backends.cuda.simulator.threads import STATE, SimulatorError, Stamp

_SEVERAL = -1  # the number of a reader that stands for many


class Memory:
    """An array as a kernel sees it: bounds, types and races are watched. `where` names it in errors."""

    __slots__ = ("_f32", "_flat", "_reads", "_writes", "a", "dtype", "shape", "size", "where")

    def __init__(self, a: Any, where: str):
        self.a, self.where, self.shape, self.size, self.dtype = a, where, a.shape, a.size, a.dtype
        self._f32, self._flat = a.dtype == np.float32, a.ndim == 1
        self._reads: dict[Any, Stamp] = {}  # by index
        self._writes: dict[Any, Stamp] = {}

    def __len__(self) -> int:
        return len(self.a)

    def _outside(self, at: Any) -> SimulatorError:
        return SimulatorError(f"{self.where}: index {at} is outside of {self.shape}, {_who()}")

    def _check(self, at: Any) -> None:
        """Each access comes here: what is usual is answered first."""
        if self._flat:
            if 0 <= at < self.size:
                return
        elif len(at) == len(self.shape):
            for i, size in zip(at, self.shape):  # noqa: B905  (as many)
                if not 0 <= i < size:
                    raise self._outside(at)
            return
        raise self._outside(at)

    def _check_type(self, at: Any, value: Any) -> None:
        if self._f32 and type(value) is np.float64:
            raise SimulatorError(f"{self.where}: float64 stored at {at} by {_who()}, expected float32")

    def __getitem__(self, at: Any) -> Any:
        self._check(at)
        stamp = STATE.thread.stamp
        last = self._writes.get(at)
        if last is not None and last is not stamp and _clash(last, stamp):
            raise SimulatorError(f"{self.where}: race at {at}, read by {_who()}, written by thread {last[1]}")
        before = self._reads.get(at)
        if before is not stamp:
            if before is not None and _clash(before, stamp):
                block, _, warp, *phases = stamp
                stamp = (block, _SEVERAL, warp if before[2] == warp else _SEVERAL, *phases)
            self._reads[at] = stamp
        return self.a[at]

    def __setitem__(self, at: Any, value: Any) -> None:
        self._check(at)
        self._check_type(at, value)
        stamp = STATE.thread.stamp
        for seen, did in ((self._writes.get(at), "written"), (self._reads.get(at), "read")):
            if seen is not None and seen is not stamp and _clash(seen, stamp):
                by = "several threads" if seen[1] == _SEVERAL else f"thread {seen[1]} of block {seen[0]}"
                raise SimulatorError(f"{self.where}: race at {at}, written by {_who()}, {did} by {by}")
        self._writes[at] = stamp
        self.a[at] = value


def _clash(seen: Stamp, now: Stamp) -> bool:
    """Do two accesses, one made earlier and one made now, stand side by side with no barrier between them?"""
    if seen[0] != now[0]:  # another block's: nothing orders the two
        return True
    if seen[3] < now[3] or seen[1] == now[1]:
        return False
    return seen[2] != now[2] or seen[4] >= now[4]


def _who() -> str:
    return f"thread {STATE.thread.number} of block {STATE.thread.stamp[0]}"


class Own(Memory):
    """A thread's own array, which nobody races for."""

    __slots__ = ()

    def __getitem__(self, at: Any) -> Any:
        self._check(at)
        return self.a[at]

    def __setitem__(self, at: Any, value: Any) -> None:
        self._check(at)
        self._check_type(at, value)
        self.a[at] = value


def unset(shape: Any, dtype: Any) -> Any:
    """An array that nobody wrote to yet: NaN, or the largest integer."""
    kind = np.dtype(getattr(dtype, "name", dtype))  # numba's types are named as NumPy's
    return np.full(shape, np.nan if kind.kind == "f" else np.iinfo(kind).max, kind)
