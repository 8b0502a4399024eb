"""Wrappers of a backend, a few lines each, because a backend is a flat list of functions."""

from collections.abc import Callable, Collection
from contextlib import nullcontext
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


PAUSE = "pause"  # an event that is no op: what `before` did


class Event(NamedTuple):
    """One call: which layer made it, in which pass, of which op, the shape of each argument (None for what is no
    array), and from when to when."""

    where: str
    which: str
    op: str
    shapes: tuple[Shape | None, ...]
    start_s: float
    end_s: float


class Timed(Proxy):
    """Runs every op and notes its time: `events`, plain tuples, in order; and `calls`, by layer, pass, op and shapes.

    Only what stands in the table of costs counts as an op; asarray, zeros and their like are passed on, unless `also`
    names them; `only` leaves the ops of all but these layers as they are. `before` is called before each op, outside
    its time (to flush caches). A backend that has `span(name)` is shown which op runs, for profilers of its own. All
    this is lean: a small net's op takes a few microseconds.
    """

    def __init__(
        self,
        ops: Any,
        also: Collection[str] = (),
        before: Callable[[], object] | None = None,
        only: Collection[str] | None = None,
    ):
        super().__init__(ops)
        self._noted, self._before, self._only = costs.TABLE.keys() | set(also), before, only
        self._layers: dict[str, Self] = {}  # whoever uses this proxy again finds its ops ready
        self.events: list[tuple[str, str, str, tuple[Shape | None, ...], float, float]] = []
        # layer and op -> shapes -> the arguments, arrays as shapes, of the first such call
        self.args: dict[tuple[str, str], dict[tuple[Shape | None, ...], tuple[Any, ...]]] = {}

    def named(self, where: str) -> Self:
        if where not in self._layers:
            seen = self._layers[where] = super().named(where)
            for key in self._noted & vars(seen).keys():  # made for another layer
                del vars(seen)[key]
        return self._layers[where]

    @property
    def calls(self) -> dict[tuple[str, str, str, tuple[Shape, ...]], Calls]:
        """The events by what was called, in the order of first calls."""
        found: dict[tuple[str, str, str, tuple[Shape, ...]], Calls] = {}
        for where, which, op, shapes, start, end in self.events:
            if op != PAUSE:
                key = where, which, op, tuple(s for s in shapes if s is not None)
                found.setdefault(key, Calls(self.args[where, op][shapes], [])).elapsed_s.append(end - start)
        return found

    def __getattr__(self, key: str) -> Any:
        op = getattr(self._ops, key)
        noted = key in self._noted and (self._only is None or self._where in self._only)
        vars(self)[key] = found = self._timed(key, op) if noted else op  # found at once the next time
        return found

    def _timed(self, key: str, op: Callable[..., Any]) -> Callable[..., Any]:
        where, place, note = self._where, self._place, self.events.append
        run, shapes_of = self._shown(key, op), self._shapes(key)

        def timed(*args: Any) -> Any:
            start = perf_counter()
            out = run(*args)
            end = perf_counter()
            note((where, place["pass"], key, shapes_of(args), start, end))
            return out

        before = self._before
        if before is None:
            return timed

        def paused(*args: Any) -> Any:
            start = perf_counter()
            before()
            note(("", "", PAUSE, (), start, perf_counter()))
            return timed(*args)

        return paused

    def _shown(self, key: str, op: Callable[..., Any]) -> Callable[..., Any]:
        """The op under its span, and waited for, where the backend has the one and needs the other."""
        span = getattr(self._ops, "span", None)
        synchronize = self._ops.synchronize if getattr(self._ops, "LATE", False) else None
        if not span and not synchronize:
            return op

        def run(*args: Any) -> Any:
            with span(f"{self._where or 'step'} {self._place['pass']} {key}") if span else nullcontext():
                out = op(*args)
            if synchronize:
                synchronize()
            return out

        return run

    def _shapes(self, key: str) -> Callable[[tuple[Any, ...]], tuple[Shape | None, ...]]:
        """What tells the shapes of an op's arguments, and notes the first arguments that have them."""
        known = self.args.setdefault((self._where, key), {})
        alike: dict[Shape | None, tuple[Shape | None, ...]] = {}  # a layer's first array says what the others are
        of_layer = "." in self._where

        def shapes_of(args: tuple[Any, ...]) -> tuple[Shape | None, ...]:
            first = getattr(args[0], "shape", None)
            shapes = alike.get(first)
            if shapes is None:
                found = (getattr(a, "shape", None) for a in args)
                shapes = tuple(s if isinstance(s, tuple) else None for s in found)  # a NumPy type has no tuple there
                if shapes not in known:
                    known[shapes] = costs.shapes(args)
                if first is not None and of_layer:
                    alike[first] = shapes
            return shapes

        return shapes_of
