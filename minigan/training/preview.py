"""What a run would be, before it is one: shapes, parameters, memory and time."""

import time
import tracemalloc
from dataclasses import dataclass
from typing import Any

from minigan.config import Config
from minigan.models.shapes import Shape
from minigan.tasks import Task
from minigan.training import transfer, walk
from minigan.training.convolutions import ROLES, recorded
from minigan.training.parts import prepare

_TRIAL_S = 2.0
_MIB = 1 << 20


@dataclass(frozen=True)
class Preview:
    """A row per layer (name, kind, output shape, parameters, implementations of forward, dX and dW), and lines about
    the whole."""

    title: str
    layers: list[tuple[str, str, str, str, str]]
    lines: list[str]


def preview(config: Config, resume: bool = False) -> Preview:
    """Builds the run without writing anything, and takes a few steps of it for its time and memory."""
    tracemalloc.start()
    parts = prepare(config, resume)
    c, task = parts.config, parts.task
    begun = transfer.begin(task, c.train.init_from) if not resume else None
    weights = sum(a.nbytes for a in task.tensors().values())
    given = parts.given([parts.batches.at(k) for k in range(task.batches_per_step)])
    task.step(given[0], 0, given[1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    count, began = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - began < _TRIAL_S:
        task.step(given[0], count + 1, given[1])
        parts.ops.synchronize()
        count += 1
    step_s = (time.perf_counter() - began) / count
    served = _served(task, *given)
    rows = []
    nets = walk.nets(task)
    for net, n in nets.values():
        rows.append((net.name, "input", shape_words((n, *net.in_shape)), "", ""))
        for place in walk.places(net, n):
            name, size = place.layer.name, place.parameters
            row = (name, place.kind, shape_words(place.shape), f"{size:,}" if size else "", served.get(name, ""))
            rows.append(row)
    total = parts.total_steps
    epochs = total * task.batches_per_step / parts.batches.per_epoch
    return Preview(
        f"preset {c.preset}, data {c.data.name} ({len(parts.dataset):,} x {_plain(parts.dataset.shape)})",
        rows,
        [
            ", ".join(f"{name.upper()} {net.parameters:,} parameters" for name, (net, _) in nets.items()),
            f"{parts.backend_note}",
            *(begun.notes() if begun else ()),
            f"memory: {weights / _MIB:.1f} MiB of weights and optimizer state in a checkpoint, "
            f"{peak / _MIB:.1f} MiB {'of the host ' * task.late}at the peak of one step, data included (measured)",
            f"time: {total:,} steps of batch {c.train.batch_size} ({epochs:.4g} epochs), "
            f"{1000 * step_s:.1f} ms each (measured over {count} steps): about {_duration(total * step_s)}",
            "nothing was written",
        ],
    )


def _served(task: Task, batches: list[Any], labels: list[Any]) -> dict[str, str]:
    """layer -> the implementations of its forward, dX and dW in a step, "-" for none; {} where there is no choice."""
    if not hasattr(task.ops, "chosen"):
        return {}
    with recorded(task) as calls:
        task.step(batches, 0, labels)
    found: dict[str, dict[str, str]] = {}
    for call in calls:
        found.setdefault(call.layer, {})[call.role] = task.ops.chosen(*call.key)
    return {layer: ", ".join(roles.get(role, "-") for role in ROLES) for layer, roles in found.items()}


def shape_words(shape: Shape) -> str:
    """(64, 28, 28, 1)"""
    return f"({', '.join(map(str, shape))})"


def _plain(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
