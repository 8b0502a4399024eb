"""minigan's side of `benchmarks.gpu`: steps as a run takes them, graphs alone, single ops, and the ceilings."""

from collections.abc import Callable
from itertools import count, cycle
from typing import Any

import numpy as np

from benchmarks import minigan_ops
from benchmarks.gpu_blocks import Block, copies
from minigan import __version__, backends, config, rng
from minigan.backends import costs
from minigan.errors import BackendError
from minigan.tasks.gan import GAN

BATCHES = 4  # real ones, which take turns
Prepared = tuple[Callable[[], Any], dict[str, Any]]


def about(settings: dict[str, Any]) -> dict[str, Any]:
    """Versions, and what the backend says of its device. Raises BackendError where there is none."""
    ops = backends.load(settings["backend"])
    return {"version": __version__, "numpy": np.__version__, "backend": ops.NAME, "device": list(ops.describe())}


def prepare(settings: dict[str, Any], work: dict[str, Any]) -> Prepared:
    """What `work` names."""
    return KINDS[work["kind"]](backends.load(settings["backend"]), work)


def _device() -> Any:
    from minigan.backends.cuda.device import device

    return device()


def _block(step: Callable[[], Any], steps: int, wait: Callable[[], Any]) -> Block:
    device = _device()
    if not hasattr(device, "stream"):  # the simulator
        return Block(step, steps, wait)
    import cupy

    def mark() -> Any:
        event = cupy.cuda.Event()
        event.record(device.stream)
        return event

    return Block(step, steps, wait, mark, lambda a, b: cupy.cuda.get_elapsed_time(a, b) / 1e3)


def _gan(ops: Any, work: dict[str, Any]) -> tuple[GAN, Callable[[], Any]]:
    words = [f"train.batch_size={work['batch']}", f"train.graph={str(work['graph']).lower()}", *work["set"]]
    shape = tuple(work["shape"])
    gan = GAN(config.load(work["preset"], words), ops, shape)
    draw = rng.host(0, "benchmark")
    reals = cycle([draw.random((work["batch"], *shape), np.float32) for _ in range(BATCHES)])
    numbers = count()
    return gan, lambda: gan.step([next(reals)], next(numbers))


def _step(ops: Any, work: dict[str, Any]) -> Prepared:
    gan, step = _gan(ops, work)

    def wait() -> None:
        if gan.bad():
            raise BackendError("a loss or gradient was not finite: what was timed is no training step")

    return _block(step, work["count"], wait), {"parameters": [gan.G.parameters, gan.D.parameters]}


def _replay(ops: Any, work: dict[str, Any]) -> Prepared:
    """The graphs of a step alone: nothing drawn, nothing uploaded."""
    gan, step = _gan(ops, work)
    step(), step()
    graphs, device = [part.graph for part in gan.run.parts.values()], _device()

    def replay() -> None:
        for graph in graphs:
            device.replay(graph)

    replay.kept = gan  # type: ignore[attr-defined]
    return _block(replay, work["count"], ops.synchronize), {"graphs": len(graphs)}


def _graph_of(calls: list[Callable[[], Any]]) -> Callable[[], Any]:
    """All calls as one graph, after one of each to warm up."""
    device = _device()
    for call in calls:
        call()
    pool = device.pool()
    graph, out = device.record(lambda: [call() for call in calls], pool)

    def replay() -> None:
        device.replay(graph)

    replay.kept = pool, out  # type: ignore[attr-defined]
    return replay


def _op(ops: Any, work: dict[str, Any]) -> Prepared:
    """One op, over sets of arrays that the cache does not hold, as a graph."""
    draw = rng.host(0, "benchmark")

    def make(*shape: int) -> Any:
        return ops.asarray(draw.standard_normal(shape, np.float32))

    op, *first = minigan_ops.KINDS[work["op"]](make, work)[work["pass"]]
    first = [ops.asarray(a) if isinstance(a, np.ndarray) else a for a in first]
    cost = minigan_ops.cost(ops, op, *first)

    def another() -> list[Any]:
        return [ops.scale(a, 1.0) if hasattr(a, "dtype") and a.dtype == np.float32 else a for a in first]

    sets = [first, *(another() for _ in range(copies(cost["bytes"]) - 1))]
    replay = _graph_of([lambda args=args: getattr(ops, op)(*args) for args in sets])  # type: ignore[misc]
    chosen = ops.chosen(*_key(op, first)) if hasattr(ops, "chosen") and op in _PRODUCTS else ""
    facts = {**cost, "op": op, "implementation": chosen, "calls": len(sets), "shapes": costs.shapes(tuple(first))}
    return _block(replay, work["count"], ops.synchronize), facts


# op -> where its image, its kernel and its stride stand among its arguments
_PRODUCTS = {
    "linear": (0, 1, None), "linear_dgrad": (0, 1, None), "linear_wgrad": (1, 2, None),
    "conv2d": (0, 1, 3), "conv2d_dgrad": (0, 1, 3), "conv2d_wgrad": (1, 2, 4),
}  # fmt: skip


def _key(op: str, args: list[Any]) -> tuple[Any, ...]:
    image, w, stride = _PRODUCTS[op]
    return op, args[image].shape, args[w].shape, (1, 1) if stride is None else args[stride]


def _copy(ops: Any, work: dict[str, Any]) -> Prepared:
    """A device-to-device copy, the ceiling of what memory gives: every byte read once and written once."""
    x, y = (ops.empty((work["bytes"] // 4,)) for _ in range(2))
    ops.copyto(x, 1.0)
    replay = _graph_of([lambda: ops.copyto(y, x)])
    return _block(replay, work["count"], ops.synchronize), {"bytes": 2 * work["bytes"], "calls": 1}


KINDS = {"step": _step, "replay": _replay, "op": _op, "copy": _copy}
