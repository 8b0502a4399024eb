"""How a backend's numbers are held against plain loops: equal, or within the bound of minigan/backends/bounds.py."""

from functools import lru_cache
from typing import Any, NamedTuple

import naive
import numpy as np

from minigan.backends import bounds
from minigan.backends.bounds import Args, Call, Check


class _Loops:
    """The loops, dressed as a backend."""

    asarray = to_numpy = staticmethod(lambda a: a)

    def __getattr__(self, op: str) -> Any:
        return getattr(naive, op)


LOOPS = _Loops()


class Case(NamedTuple):
    """One drawn case: what the loops say, and the allowed error of each output (None: equal)."""

    call: Call
    check: Check
    allowed: list[Any] | None


@lru_cache(maxsize=8)  # several backends are held against one case
def expected(row: Any, seed: int, dtype: Any, integer: bool, inexact: bool) -> Case:
    """The case drawn for (row, seed, dtype, integer)."""
    args: Args = row.args(seed, dtype, integer)
    call = bounds.call(LOOPS, row.op, args, dtype)
    check = bounds.INEXACT if inexact else bounds.bound(row.op, args)
    equal = check.allowed is None or (integer and check.exact)
    return Case(call, check, None if equal else check.allowed(call))


def compare(ops: Any, row: Any, seed: int, dtype: Any, integer: bool, inexact: bool = False) -> None:
    """Raises AssertionError, with what reproduces it, unless ops' `row.op` agrees with the loops on one drawn case.

    `inexact`: an implementation that reorders its sums, whose bound replaces the row's.
    """
    call, check, allowed = expected(row, seed, dtype, integer, inexact)
    got = bounds.run(ops, row.op, call.args)
    case = f"case({row.name!r}, seed={seed}, dtype={np.dtype(dtype).name}, integer={integer})"
    assert len(got) == len(call.want), f"{case}: {len(got)} outputs, expected {len(call.want)}"
    for i, (g, w) in enumerate(zip(got, call.want, strict=True)):
        assert g.shape == w.shape, f"{case}: output {i} has shape {g.shape}, expected {w.shape}"
        assert g.dtype == dtype, f"{case}: output {i} is {g.dtype}, expected {np.dtype(dtype)}"
        limit = None if allowed is None else allowed[i]
        far = np.broadcast_to(bounds.share(g, w, limit, check.whole), g.shape) > 1
        if far.any():
            at = tuple(int(k) for k in np.argwhere(far)[0])
            most = "" if limit is None else f", allowed error {np.broadcast_to(limit, g.shape)[at]:.3g}"
            raise AssertionError(
                f"{case}: output {i}{list(at)} is {g[at]!r}, expected {w[at]!r}{most}; "
                f"{np.sum(far)} of {g.size} differ; "
                f"shapes {[a.shape if isinstance(a, np.ndarray) else a for a in call.args]}"
            )
