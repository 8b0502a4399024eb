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
from minigan.study import inspect as inspecting
from minigan.study.passes import Pass, Seen, Watch
from minigan.study.profile import role
from minigan.study.report.opened import Opened
from minigan.tasks import Task
from minigan.training import walk

BINS = 25
MOST_PASSES = 8  # of a layer that are shown, the last ones: a step may have many sub-steps
Numbers = dict[str, Any]


def network(run: Opened) -> dict[str, Any]:
    """A row per layer, net by net, with its costs, formula, ops, passes and parameters."""
    task = run.parts.task
    before = {name: _host(task, net.p).copy() for name, (net, _) in walk.nets(task).items()}
    looked = _Looked(task)
    line = looked.step(run)
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
                "ops": looked.ops(row.layer),
                "passes": looked.passes(row.layer),
                "parameters_of": parameters.get(row.layer, []),
            }
        )
    return {"step": run.step + 1, "layers": layers, "line": line, "movers": looked.movers}


class _Looked:
    """One step looked at (study/passes.py)."""

    def __init__(self, task: Task):
        self.task, self.timed = task, Timed(task.ops)
        self.forward: dict[str, list[tuple[Pass, Numbers]]] = {}
        self.backward: list[tuple[str, Pass, list[Numbers]]] = []
        self.movers: list[str] = []

    def step(self, run: Opened) -> dict[str, float]:
        """Makes the step that comes next; what it would log, as far as JSON has such numbers."""
        task, parts, number = self.task, run.parts, run.step
        n = task.batches_per_step
        batches, labels = parts.given([parts.batches.at(number * n + k) for k in range(n)])
        names = {id(optimizer): name for name, optimizer in task.optimizers.items()}
        self.movers = [names[id(task.mover(sub))] for sub in range(task.parts_of(number))]
        with Watch(task, self._seen, self.timed).on():
            record = task.step(batches, number, labels)
        self._join()
        values = {key: float(task.ops.to_numpy(value)) for key, value in record.items()}
        return {key: v for key, v in task.line(values, number + 1).items() if math.isfinite(v)}

    def _seen(self, seen: Seen) -> None:
        layer, during, arrays = seen.layer.name, seen.during, seen.arrays
        if during.which == "forward":
            made = {"sub": during.sub + 1, "mover": during.part, "arrays": [told(name, arrays[name]) for name in "xy"]}
            self.forward.setdefault(layer, []).append((during, made))
        if during.which == "backward":
            given = [told(name, arrays[name]) for name in ("dy", "dx") if name in arrays]
            self.backward.append((layer, during, given))

    def _join(self) -> None:
        """Puts dy and dx beside the x and y of their pass. A penalty's further ones through it are not told."""
        for layer, during, given in self.backward:
            made = next((made for own, made in self.forward.get(layer, []) if own is during.forward), None)
            if made and len(made["arrays"]) == 2:
                made["arrays"] += given

    def passes(self, name: str) -> list[Numbers]:
        """A layer's passes in the order of their forward passes, the last MOST_PASSES of them."""
        return [made for _, made in self.forward.get(name, [])][-MOST_PASSES:]

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
