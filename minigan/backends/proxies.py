"""Wrappers of a backend, a few lines each, because a backend is a flat list of functions."""

from typing import Any

import numpy as np

from minigan.errors import MiniganError


class NotFinite(MiniganError, ArithmeticError):
    """An op gave NaN or infinity."""


class Finite:
    """Runs every op and raises NotFinite naming net, layer, pass, op and tensor at the first NaN or infinity."""

    def __init__(self, ops: Any, where: str = "", place: dict[str, str] | None = None):
        self._ops, self._where, self._place = ops, where, {"pass": ""} if place is None else place

    def named(self, where: str) -> "Finite":
        """The same proxy as one layer sees it."""
        return Finite(self._ops, where, self._place)

    def announce(self, which: str) -> None:
        """Which pass begins."""
        self._place["pass"] = which

    def __getattr__(self, key: str) -> Any:
        op = getattr(self._ops, key)
        if not callable(op) or key in ("empty", "to_numpy"):
            return op

        def checked(*args: Any) -> Any:
            given = [i for i, a in enumerate(args) if not _finite(a)]
            out = op(*args)
            outputs = out if isinstance(out, tuple) else (out,)
            bad = [f"input {i}" for i in given]
            bad += [f"output {i}" for i, a in enumerate(outputs) if not _finite(a)]
            bad += [f"input {i}" for i, a in enumerate(args) if not _finite(a)]
            if bad:
                raise NotFinite(
                    f"{self._where or 'step'}, {self._place['pass'] or 'loss'}: {key}, {bad[0]} is not finite"
                )
            return out

        return checked


def _finite(a: Any) -> bool:
    return not hasattr(a, "dtype") or np.dtype(a.dtype).kind not in "fc" or bool(np.isfinite(np.asarray(a)).all())
