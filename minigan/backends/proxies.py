"""Wrappers of a backend, a few lines each, because a backend is a flat list of functions."""

from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np

from minigan.backends import costs
from minigan.errors import MiniganError
from minigan.models.shapes import Shape


class NotFinite(MiniganError, ArithmeticError):
    """An op gave NaN or infinity."""


class Proxy:
    """What every wrapper knows: the backend, the layer that calls it, and the pass that is under way."""

    def __init__(self, ops: Any):
        self._ops, self._where, self._place = ops, "", {"pass": ""}

    def named(self, where: str) -> Self:
        """The same proxy as one layer sees it."""
        seen = object.__new__(type(self))
        seen.__dict__.update(self.__dict__, _where=where)
        return seen

    def announce(self, which: str) -> None:
        """Which pass begins."""
        self._place["pass"] = which


PLUMBING = {"asarray", "copyto", "empty", "to_numpy"}  # moves numbers of which none is the result of an op


class Finite(Proxy):
    """Runs every op and raises NotFinite naming net, layer, pass, op and tensor at the first NaN or infinity."""

    def __getattr__(self, key: str) -> Any:
        if key == "prepare_image":  # convolutions are to be given numbers that can be looked at
            return lambda x, *rest: x
        op = getattr(self._ops, key)
        if not callable(op) or key in PLUMBING:
            return op

        def checked(*args: Any) -> Any:
            given = [i for i, a in enumerate(args) if not self._finite(a)]
            out = op(*args)
            outputs = out if isinstance(out, tuple) else (out,)
            bad = [f"input {i}" for i in given]
            bad += [f"output {i}" for i, a in enumerate(outputs) if not self._finite(a)]
            bad += [f"input {i}" for i, a in enumerate(args) if not self._finite(a)]
            if bad:
                raise NotFinite(
                    f"{self._where or 'step'}, {self._place['pass'] or 'loss'}: {key}, {bad[0]} is not finite"
                )
            return out

        return checked

    def _finite(self, a: Any) -> bool:
        if not hasattr(a, "dtype") or np.dtype(a.dtype).kind not in "fc":
            return True
        return bool(np.isfinite(self._ops.to_numpy(a)).all())


class Calls(NamedTuple):
    """The calls of an op with arrays of equal shapes: the first one's arguments, arrays as shapes, and each one's time.

    What one of them costs: costs.flops(op, *args), costs.touched_flops, costs.bytes_moved.
    """

    args: tuple[Any, ...]
    elapsed_s: list[float]


class Timed(Proxy):
    """Runs every op and notes its time: `calls`, by layer, pass, op and the shapes of its arrays, as they appear.

    Only what stands in the table of costs counts as an op; asarray, zeros and their like are passed on.
    """

    def __init__(self, ops: Any):
        super().__init__(ops)
        self.calls: dict[tuple[str, str, str, tuple[Shape, ...]], Calls] = {}

    def __getattr__(self, key: str) -> Any:
        op = getattr(self._ops, key)
        if key not in costs.TABLE:
            return op

        def timed(*args: Any) -> Any:
            start = perf_counter()
            out = op(*args)
            self._ops.synchronize()
            elapsed_s = perf_counter() - start
            row = self._where, self._place["pass"], key, tuple(a.shape for a in args if hasattr(a, "shape"))
            if row not in self.calls:
                self.calls[row] = Calls(costs.shapes(args), [])
            self.calls[row].elapsed_s.append(elapsed_s)
            return out

        return timed
