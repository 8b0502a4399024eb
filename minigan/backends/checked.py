"""A wrapper of a backend that replays every call on the oracle, in float64: what stands behind `--verify`."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigan.backends import bounds, plan
from minigan.errors import MiniganError


class Breach(MiniganError, ArithmeticError):
    """An op gave numbers that are further from the oracle's than its bound."""


@dataclass
class Found:
    """One op's calls so far, and the output that came nearest to its bound: `share` is error / bound, above 1 a breach;
    `bound` is None where numbers must be equal."""

    calls: int = 0
    share: float = 0.0
    error: float = 0.0
    bound: float | None = None
    where: str = ""


@dataclass
class Ledger:
    """What one run's Checked proxies found, by op ("conv2d (fft)" where a plan chose); and the place they are at."""

    step: int = 0
    which: str = ""
    found: dict[str, Found] = field(default_factory=dict)


class Checked:
    """Runs every op, then the oracle's op of that name on copies of the same arguments in float64, and holds what was
    returned and what was written in place against the bound of bounds.py. The results themselves are not touched.

    Raises Breach naming net, layer, pass, op, output and element at the first number beyond its bound, and at an
    argument that was written to and is not the op's to write. Calls with a NaN or infinity among their arguments have
    no bound; unless equality is asked for they are let through: those numbers are the finite flag's to report.
    """

    def __init__(self, ops: Any, oracle: Any, ledger: Ledger | None = None, where: str = ""):
        self._ops, self._oracle, self._where = ops, oracle, where
        self._ledger = Ledger() if ledger is None else ledger

    def named(self, where: str) -> "Checked":
        """The same proxy as one layer sees it."""
        return Checked(self._ops, self._oracle, self._ledger, where)

    def announce(self, which: str) -> None:
        """Which pass begins."""
        self._ledger.which = which

    def __getattr__(self, key: str) -> Any:
        if key in ("prepare", "prepare_image"):  # the oracle reads weights and images as they are
            return getattr(self._oracle, key)
        op = getattr(self._ops, key)
        if key not in bounds.OPS:
            return op

        def checked(*args: Any) -> Any:
            before = tuple(np.array(self._ops.to_numpy(a)) if hasattr(a, "dtype") else a for a in args)
            out = op(*args)
            self._hold_inputs(key, before, args)
            self._hold(key, before, bounds.outputs(self._ops, key, args, out))
            return out

        return checked

    def _hold_inputs(self, op: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> None:
        for i in set(range(len(before))) - set(bounds.writes(op)):
            a = before[i]
            if isinstance(a, np.ndarray) and a.tobytes() != self._ops.to_numpy(after[i]).tobytes():
                raise Breach(
                    f"{self._place()}: {op} changed its argument {i} of shape {a.shape}, which is not its to write"
                )

    def _hold(self, op: str, args: tuple[Any, ...], got: bounds.Outputs) -> None:
        implementation = _implementation(self._ops, op, args)
        check = bounds.INEXACT if implementation in plan.INEXACT else bounds.bound(op, args)
        if implementation in plan.COARSE:
            check = bounds.coarse(check, plan.COARSE[implementation])
        if check.allowed and not all(np.isfinite(a).all() for a in args if isinstance(a, np.ndarray)):
            return
        dtype = next(a.dtype for a in args if isinstance(a, np.ndarray) and a.dtype.kind == "f")
        with np.errstate(all="ignore"):
            call = bounds.call(self._oracle, op, args, dtype)
            allowed = check.allowed(call) if check.allowed else [None] * len(got)
        name = f"{op} ({implementation})" if implementation else op
        row = self._ledger.found.setdefault(name, Found())
        row.calls += 1
        if len(got) != len(call.want):
            raise Breach(f"{self._place()}: {name} gave {len(got)} outputs, the oracle {len(call.want)}")
        for i, (g, w, limit) in enumerate(zip(got, call.want, allowed, strict=True)):
            worst = _worst(i, g, w, limit, check.whole, dtype)
            if worst.share > row.share or not row.where:
                row.share, row.error, row.bound = worst.share, worst.error, worst.bound
                row.where = f"{self._place()}, step {self._ledger.step}"
            if worst.share > 1:
                raise Breach(f"{self._place()}: {name}, {worst.words}; given {_given(args)}")

    def _place(self) -> str:
        return f"{self._where or 'step'}, {self._ledger.which or 'loss'}"


class _Worst(NamedTuple):
    """The element of one output, or all of it, that comes nearest to its bound, and a sentence about it."""

    share: float
    error: float
    bound: float | None
    words: str


def _worst(i: int, got: Any, want: Any, limit: Any, whole: bool, dtype: Any) -> _Worst:
    output = f"output {i} {got.shape}"
    if (got.shape, got.dtype) != (want.shape, dtype):
        return _Worst(np.inf, np.inf, None, f"{output} is {got.dtype}, expected {want.shape} of {dtype}")
    share = bounds.share(got, want, limit, whole)
    at = np.unravel_index(int(share.argmax()), share.shape)
    bound = None if limit is None else float(np.broadcast_to(limit, share.shape)[at])
    rule = "they must be equal" if bound is None else f"allowed {bound:.3g}"
    difference = got.astype(np.float64) - want
    if whole:
        error = float(np.linalg.norm(difference))
        return _Worst(float(share), error, bound, f"{output} is off by {error:.3g} (2-norm), {rule}")
    error = float(abs(difference[at]))
    element = f" at {list(map(int, at))}" if at else ""
    pair = f"{got[at]:.9g}{element}, expected {want[at]:.9g}: off by {error:.3g}, {rule}"
    return _Worst(float(share[at]), error, bound, f"{output} is {pair}")


def _given(args: tuple[Any, ...]) -> str:
    """Arguments in words: shapes of arrays, numbers and words as they are."""
    return ", ".join(str(a.shape) if isinstance(a, np.ndarray) else repr(a) for a in args)


def _implementation(ops: Any, op: str, args: tuple[Any, ...]) -> str:
    """The implementation that the backend's plan chose for a call; "" where there is only one."""
    planned = getattr(ops, "PLANNED", plan.OPS)  # ops of which the backend has several implementations
    return ops.chosen(*plan.key(op, args)) if op in planned and hasattr(ops, "chosen") else ""
