"""What each layer did in the steps that are logged: layers.jsonl beside log.jsonl, a line for each of its lines.

    gradient    ||dtheta|| of a layer's parameters, before clipping; grad_norm^2 of the log is the sum of their squares
    update      ||theta' - theta|| / ||theta||, theta' being the parameters after the step
    activation  root mean square of what the layer gave in the forward passes of the step

It is looked at from outside, so the step stays the same to the bit, and takes about half as long again, once a log
line. Where a step is replayed as graphs (on a GPU) no forward pass is called that could be watched, and no activation
stands in the line.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigan.backends.eager import Eager
from minigan.models.layers import Layer
from minigan.models.net import Net
from minigan.models.shapes import Array
from minigan.models.slabs import size_of
from minigan.tasks import Task
from minigan.training import walk
from minigan.training.log import RunLog
from minigan.training.wrapping import wrapped

NAME = "layers.jsonl"
GRADIENT, UPDATE, ACTIVATION = "gradient", "update", "activation"
_DIGITS = 6  # that are kept of a number
Squares = dict[str, float]  # layer -> a sum of squares


class LayerLog:
    """Lines of layers.jsonl: `of(True)` around a step that is to be logged, then `append`.

    Opening it cuts lines after `step`, as RunLog does. Raises CheckpointError.
    """

    def __init__(self, folder: Path, step: int, task: Task):
        self.log, self.task, self.ops = RunLog(folder, step, name=NAME), task, task.own_ops
        self.nets = [net for net, _ in walk.nets(task).values()]
        self.before: list[Array] = []
        self.outputs: Squares = {}
        self.numbers: dict[str, int] = {}

    @contextmanager
    def of(self, wanted: bool) -> Iterator[None]:
        """Around one step of the task, which is watched when it is `wanted`."""
        if not wanted:
            yield
            return
        self.outputs, self.numbers = {}, {}
        self.before = [self.ops.empty(net.p.shape, net.p.dtype) for net in self.nets]
        for kept, net in zip(self.before, self.nets, strict=True):
            self.ops.copyto(kept, net.p)
        eager = isinstance(self.task.run, Eager)
        with wrapped([layer for net in self.nets for layer in net.layers if eager], "forward", self._noted):
            yield

    def _noted(self, layer: Layer, forward: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any) -> Any:
            y, ctx = forward(*given)
            self.outputs[layer.name] = self.outputs.get(layer.name, 0.0) + self._squares(y)
            self.numbers[layer.name] = self.numbers.get(layer.name, 0) + size_of(tuple(y.shape))
            return y, ctx

        return noted

    def append(self, step: int) -> None:
        """The line of the step that `of` was around. Raises CheckpointError when the disk refuses."""
        gradient: Squares = {}
        update: Squares = {}
        for net, before in zip(self.nets, self.before, strict=True):
            moved = self.ops.axpby(1.0, net.p, -1.0, before)
            gradient |= self._by_layer(net, net.dp)
            was, by = self._by_layer(net, before), self._by_layer(net, moved)
            update |= {name: by[name] / was[name] for name in by if was[name]}
        activation = {name: total / self.numbers[name] for name, total in self.outputs.items()}
        found = {GRADIENT: gradient, UPDATE: update, ACTIVATION: activation}
        self.before = []
        self.log.append({"step": step} | {key: _roots(squares) for key, squares in found.items() if squares})

    def _by_layer(self, net: Net, slab: Array) -> Squares:
        """Of the layers that learn."""
        views = net.layout.views(slab)
        return {
            layer.name: sum(self._squares(views[f"{layer.name}.{key}"]) for key in layer.params)
            for layer in net.layers
            if layer.params and not layer.frozen
        }

    def _squares(self, a: Array) -> float:
        return float(self.ops.to_numpy(self.ops.sum_squares(a)))


def _roots(squares: Squares) -> Squares:
    """JSON knows no infinity, which a sum of squares in float32 may come to."""
    return {name: float(f"{math.sqrt(v):.{_DIGITS}g}") for name, v in squares.items() if math.isfinite(v)}
