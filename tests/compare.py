"""How a backend's numbers are held against the plain loops: equal, or within a bound derived from the formula.

u is half the distance of 1 to the next number of the type (2^-24 for float32). For a sum of K products in any order
|y - y64| <= (K + 2) u sum|a b|, and as roundings are not all of one sign an alarm is due at 4 sqrt(K) u sum|a b|. The
sum of |terms| is the same loop run on absolute values. Source: Higham 2002, "Accuracy and Stability", section 3.1.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import naive
import numpy as np

from minigan.models.shapes import Act, Array

Args = tuple[Any, ...]
Outputs = list[Array]
NORM_BOUND = 1e-6  # relative 2-norm, float32; as many u in float64


class Check(NamedTuple):
    """`exact`: equal on small integers. allowed(row, args, want, dtype) -> the allowed |error| of each output's
    elements, or, when `whole`, of each output's 2-norm; None: equal on any values."""

    exact: bool
    allowed: Callable[..., Outputs] | None
    whole: bool = False


def run(ops: Any, op: str, args: Args, writes: tuple[int, ...]) -> Outputs:
    """What `op` returns, then what it wrote, as NumPy arrays. `args` themselves stay as they are."""
    given = [ops.asarray(a.copy()) if isinstance(a, np.ndarray) else a for a in args]
    out = getattr(ops, op)(*given)
    outputs = out if isinstance(out, tuple) else () if out is None else (out,)
    return [np.asarray(ops.to_numpy(a)) for a in (*outputs, *(given[i] for i in writes if given[i] is not None))]


class _Loops:
    """The loops, dressed as a backend."""

    asarray = to_numpy = staticmethod(lambda a: a)

    def __getattr__(self, op: str) -> Any:
        return getattr(naive, op)


LOOPS = _Loops()


def _mapped(args: Args, of_array: Callable[[Array], Array], of_number: Callable[[float], float], act: bool) -> Args:
    def one(a: Any) -> Any:
        if isinstance(a, np.ndarray):
            return np.asarray(of_array(a)) if a.dtype.kind == "f" else a
        if isinstance(a, Act):
            return a if act else None
        return of_number(a) if isinstance(a, float) else a

    return tuple(one(a) for a in args)


def wide(args: Args) -> Args:
    """The same arguments with float arrays in float64."""
    return _mapped(args, lambda a: a.astype(np.float64), lambda a: a, act=True)


def terms(op: str, args: Args, writes: tuple[int, ...]) -> Outputs:
    """sum|terms| of every output: the loops on absolute values, before the activation."""
    return run(LOOPS, op, _mapped(wide(args), np.abs, abs, act=False), writes)


def _unit(dtype: Any) -> float:
    return float(np.finfo(dtype).eps) / 2


def summed(count: Callable[..., float]) -> Check:
    """A sum of count(*args) products."""

    def allowed(row: Any, args: Args, want: Outputs, dtype: Any) -> Outputs:
        k = count(*args)
        c = min(4 * math.sqrt(k), k + 2)
        return [c * _unit(dtype) * a + np.finfo(dtype).smallest_subnormal for a in terms(row.op, args, row.writes)]

    return Check(True, allowed)


def _result(args: Args, want: Outputs) -> Outputs:
    return [np.abs(a) for a in want]


def within(
    ulps: Callable[..., float], magnitude: Callable[[Args, Outputs], Outputs] = _result, exact: bool = False
) -> Check:
    """Every element within ulps(*args) units in the last place of `magnitude`: of itself, unless terms cancel."""

    def allowed(row: Any, args: Args, want: Outputs, dtype: Any) -> Outputs:
        units = [np.spacing(np.abs(a).astype(dtype)).astype(np.float64) for a in magnitude(wide(args), want)]
        return [ulps(*args) * a for a in units]

    return Check(exact, allowed)


def _whole(row: Any, args: Args, want: Outputs, dtype: Any) -> Outputs:
    """Returned arrays: relative to their own norm before the activation, which may leave one small number of many;
    dgamma, dbeta: to |initial| + sum|dy|, as x^ has unit size."""
    if any(isinstance(a, Act) for a in args):
        want = run(LOOPS, row.op, _mapped(wide(args), np.asarray, float, act=False), row.writes)
    magnitude = [np.abs(a) for a in want]
    for k, at in enumerate(row.writes):
        dy = np.abs(args[0].astype(np.float64))
        magnitude[len(want) - len(row.writes) + k] = np.abs(args[at]) + dy.sum(axis=tuple(range(dy.ndim - 1)))
    bound = NORM_BOUND * _unit(dtype) / _unit(np.float32)
    return [np.asarray(bound * np.linalg.norm(a)) for a in magnitude]


SAME = Check(True, None)
NORMED = Check(False, _whole, whole=True)


class Case(NamedTuple):
    """One drawn case and what the loops say: expected outputs, and the allowed error of each (None: equal)."""

    args: Args
    want: Outputs
    allowed: Outputs | None


@lru_cache(maxsize=8)  # several backends are held against one case
def expected(row: Any, seed: int, dtype: Any, integer: bool) -> Case:
    """The case drawn for (row, seed, dtype, integer)."""
    args = row.args(seed, dtype, integer)
    want = run(LOOPS, row.op, args if row.rounded else wide(args), row.writes)
    equal = row.check.allowed is None or (integer and row.check.exact)
    return Case(args, want, None if equal else row.check.allowed(row, args, want, dtype))


def compare(ops: Any, row: Any, seed: int, dtype: Any, integer: bool, inexact: float | None = None) -> None:
    """Raises AssertionError, with what reproduces it, unless ops' `row.op` agrees with the loops on one drawn case.

    `inexact` is the bound on the relative 2-norm of an implementation that reorders its sums, which replaces the row's.
    """
    args, want, allowed = expected(row, seed, dtype, integer)
    got = run(ops, row.op, args, row.writes)
    whole = row.check.whole or inexact is not None
    if inexact is not None:
        allowed = [np.asarray(inexact * np.linalg.norm(a)) for a in terms(row.op, args, row.writes)]
    case = f"case({row.name!r}, seed={seed}, dtype={np.dtype(dtype).name}, integer={integer})"
    assert len(got) == len(want), f"{case}: {len(got)} outputs, expected {len(want)}"
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        assert g.shape == w.shape, f"{case}: output {i} has shape {g.shape}, expected {w.shape}"
        assert g.dtype == dtype, f"{case}: output {i} is {g.dtype}, expected {np.dtype(dtype)}"
        rounded = w.astype(dtype)
        same = (g == rounded) | (np.isnan(g) & np.isnan(rounded))
        if allowed is not None:
            with np.errstate(invalid="ignore"):
                error = np.abs(g.astype(np.float64) - w)
            same |= bool(np.linalg.norm(error) <= allowed[i]) if whole else error <= allowed[i]
        if not same.all():
            at = tuple(int(k) for k in np.argwhere(~same)[0])
            limit = "" if allowed is None else f", allowed error {np.broadcast_to(allowed[i], g.shape)[at]:.3g}"
            raise AssertionError(
                f"{case}: output {i}{list(at)} is {g[at]!r}, expected {w[at]!r}{limit}; "
                f"{np.sum(~same)} of {g.size} differ; "
                f"shapes {[a.shape if isinstance(a, np.ndarray) else a for a in args]}"
            )
