"""The nets layer by layer, as one more step of the run sees them: shapes, formulas, what is kept, gradients.

The step is the one that would come next after the newest checkpoint, on its batch and with its draws. It is made by
the task itself; each layer is watched from outside, and each of its passes is told by its arrays: x, y, dy, dx, and
after the step every parameter with its gradient and how far it was moved.
"""

import inspect
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.backends import costs, oracle
from minigan.backends.proxies import Event, Timed
from minigan.models.layers import Layer
from minigan.study import inspect as inspecting
from minigan.study.profile import role
from minigan.study.report.opened import Opened
from minigan.tasks import Task
from minigan.training import walk
from minigan.training.layer_log import watching

BINS = 25
MOST_PASSES = 8  # of a layer that are shown, the last ones: a step may have many sub-steps
Numbers = dict[str, Any]


def network(run: Opened) -> dict[str, Any]:
    """A row per layer, net by net, with its costs, formula, ops, passes and parameters."""
    task = run.parts.task
    before = {name: _host(task, net.p).copy() for name, (net, _) in walk.nets(task).items()}
    watch = _Watch(task)
    line = watch.step(run)
    held = {layer.name: layer for net, _ in walk.nets(task).values() for layer in net.layers}
    parameters = _parameters(task, before)
    layers = []
    for row in inspecting.rows(task):
        layer = held.get(row.layer)
        layers.append(
            {
                **row._asdict(),
                "in_shape": [row.shape[0], *layer.in_shape] if layer else [],
                "formula": inspect.cleandoc(type(layer).__doc__ or "") if layer else "",
                "ops": watch.ops(row.layer),
                "passes": watch.passes.get(row.layer, [])[-MOST_PASSES:],
                "parameters_of": parameters.get(row.layer, []),
            }
        )
    return {"step": run.step + 1, "layers": layers, "line": line, "movers": watch.movers}


class _Watch:
    """Looks at one step: `passes` by layer, as JSON values."""

    def __init__(self, task: Task):
        self.task, self.timed = task, Timed(task.ops)
        self.passes: dict[str, list[Numbers]] = {}
        self.movers: list[str] = []
        self.open: dict[str, list[tuple[Any, Numbers]]] = {}  # passes whose backward pass is still to come
        self.sub = 0

    def step(self, run: Opened) -> dict[str, float]:
        """Makes the step that comes next; what it would log, as far as JSON has such numbers."""
        task, parts, number = self.task, run.parts, run.step
        n = task.batches_per_step
        batches, labels = parts.given([parts.batches.at(number * n + k) for k in range(n)])
        names = {id(optimizer): name for name, optimizer in task.optimizers.items()}
        self.movers = [names[id(task.mover(sub))] for sub in range(task.parts_of(number))]
        part = task.part

        def counted(given: Any, labels: Any, step: int, sub: int, update: bool) -> Any:
            self.sub, self.open = sub, {}
            return part(given, labels, step, sub, update)

        vars(task)["part"] = counted
        task.use(self.timed)
        try:
            with watching((layer for net, _ in walk.nets(task).values() for layer in net.layers), self._seen):
                record = task.step(batches, number, labels)
        finally:
            task.use(task.own_ops)
            del vars(task)["part"]
        values = {key: float(task.ops.to_numpy(value)) for key, value in record.items()}
        return {key: v for key, v in task.line(values, number + 1).items() if math.isfinite(v)}

    def _seen(self, layer: Layer, which: str, given: Any, out: Any, ctx: Any) -> None:
        waiting = self.open.setdefault(layer.name, [])
        if which == "forward":
            made = {
                "sub": self.sub + 1,
                "mover": self.movers[self.sub],
                "arrays": [told("x", _host(self.task, given)), told("y", _host(self.task, out))],
            }
            self.passes.setdefault(layer.name, []).append(made)
            waiting.append((ctx, made))
            return
        at = next((k for k, (own, _) in enumerate(waiting) if own is ctx), None)
        if at is not None:  # a penalty's further passes through the same ctx are not told apart
            named = {"dy": given} | ({} if out is None else {"dx": out})
            waiting.pop(at)[1]["arrays"] += [told(name, _host(self.task, a)) for name, a in named.items()]

    def ops(self, name: str) -> list[Numbers]:
        """The ops that a layer called, by the pass that it called them in, each with its formula."""
        found: dict[tuple[str, str], Numbers] = {}
        for event in map(Event._make, self.timed.events):
            args = self.timed.args[event.where, event.op][event.shapes]
            if event.where != name or not costs.flops(event.op, *args):
                continue  # another layer's, or an activation that is none
            formula = inspect.cleandoc(getattr(oracle, event.op).__doc__ or "")
            row = {"pass": role(event), "op": event.op, "formula": formula, "calls": 0}
            found.setdefault((role(event), event.op), row)["calls"] += 1
        return list(found.values())


def _parameters(task: Task, before: dict[str, NDArray[Any]]) -> dict[str, list[Numbers]]:
    """Layer -> of each parameter its values before the step, its gradient, and update:weight as the step moved it."""
    found: dict[str, list[Numbers]] = {}
    for key, (net, _) in walk.nets(task).items():
        was, now, gradients = (net.layout.views(a) for a in (before[key], *(_host(task, a) for a in (net.p, net.dp))))
        for layer in net.layers:
            for name in layer.params:
                full = f"{layer.name}.{name}"
                length = float(np.linalg.norm(was[full]))
                moved = float(np.linalg.norm(now[full] - was[full]))
                arrays = [told(name, was[full])]
                if not layer.frozen:
                    arrays.append(told(f"d{name}", gradients[full]))
                ratio = _short(moved / length) if length and not layer.frozen else None
                found.setdefault(layer.name, []).append({"arrays": arrays, "frozen": layer.frozen, "ratio": ratio})
    return found


def told(name: str, a: NDArray[Any]) -> Numbers:
    """An array in numbers: shape, root mean square, range, share of zeros, a histogram; of its finite values."""
    known = a[np.isfinite(a)].astype(np.float64)
    said: Numbers = {"name": name, "shape": list(a.shape), "not_finite": int(a.size - known.size)}
    if not known.size:
        return said
    low, high = float(known.min()), float(known.max())
    counts = np.histogram(known, BINS, (low, high))[0] if high > low else np.array([known.size])
    return said | {
        "rms": _short(float(np.sqrt(np.mean(known**2)))),
        "mean": _short(float(known.mean())),
        "min": _short(low),
        "max": _short(high),
        "zeros": _short(float((known == 0).mean())),
        "histogram": counts.tolist(),
    }


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _host(task: Task, a: Any) -> NDArray[Any]:
    return np.asarray(task.own_ops.to_numpy(a))
