"""What one call of an op costs, and by which implementation it is served: for profiler and benchmarks."""

from collections.abc import Callable
from math import prod
from typing import Any

from minigan.backends import costs

# what moves numbers and computes none: bytes of its arguments, arrays as shapes, 4 per number
MOVES: dict[str, Callable[..., int]] = {
    "asarray": lambda host: 8 * prod(host),
    "copyto": lambda p, host: 4 * prod(p) * (2 if isinstance(host, tuple) and host else 1),
    "to_numpy": lambda a: 8 * prod(a),
    "zeros": lambda shape, dtype=None: 4 * prod(shape),
}


def done(ops: Any, op: str, *args: Any) -> tuple[str, int]:
    """The implementation, where a plan chose among several, and the operations that are really done.

    A backend that tells (work_of) is believed; other ops do those of the direct algorithm whose input is no padding.
    """
    shapes = costs.shapes(args)
    told = ops.work_of(op, *shapes) if hasattr(ops, "work_of") else None
    return told or ("", costs.touched_flops(op, *shapes))


def cost(ops: Any, op: str, *args: Any) -> dict[str, Any]:
    """What one call costs, as rows of results have it."""
    if op in MOVES:
        return {"implementation": "", "flops": 0, "done_flops": 0, "bytes": MOVES[op](*costs.shapes(args))}
    implementation, done_flops = done(ops, op, *args)
    counted = {"flops": costs.flops(op, *args), "done_flops": done_flops, "bytes": costs.bytes_moved(op, *args)}
    return {"implementation": implementation, **counted}
