"""What the numbers of a checkpoint say: their range, what is not finite, dead units; and how two checkpoints differ."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan import config as configs
from minigan.errors import ConfigError
from minigan.models.layers import Layer
from minigan.models.net import Net
from minigan.models.packing import pack
from minigan.models.shapes import Array, Shape
from minigan.study.inspect import Subject
from minigan.tasks import Task
from minigan.training import checkpoint, walk
from minigan.training.trainer import drawn_from, restore
from minigan.training.wrapping import wrapped

DRAWN = 64  # samples that units are watched on


class Tensor(NamedTuple):
    """One array of a checkpoint; min, mean and max of its finite numbers, NaN where there are none."""

    name: str
    dtype: str
    shape: Shape
    min: float
    mean: float
    max: float
    nan: int
    infinite: int


class Units(NamedTuple):
    """A layer's units, the last axis of its output, and how many of them are dead: the same number for all samples
    and pixels.
    """

    layer: str
    units: int
    dead: int


class Difference(NamedTuple):
    """A tensor of two checkpoints; None for the shape where there is none, and for the numbers where they do not fit.

    `largest` is max |a - b|, `relative` ||a - b|| / ||a||.
    """

    name: str
    shape_a: Shape | None
    shape_b: Shape | None
    largest: float | None
    relative: float | None


def loaded(subject: Subject) -> checkpoint.Checkpoint:
    """All of a subject's checkpoint, put into its task. Raises ConfigError on a preset."""
    if subject.path is None:
        raise ConfigError(f"--stats looks at trained numbers, and {subject.title} has none; give a run or a checkpoint")
    saved = checkpoint.load(subject.path)
    restore(subject.task, saved)
    return saved


def tensors(saved: checkpoint.Checkpoint) -> list[Tensor]:
    """Every array, in the order of their names."""
    return [_tensor(name, a) for name, a in sorted(saved.tensors.items())]


def _tensor(name: str, a: NDArray[Any]) -> Tensor:
    sound = a[np.isfinite(a)]
    low, mean, high = (float(f(sound)) if sound.size else np.nan for f in (np.min, np.mean, np.max))
    return Tensor(name, str(a.dtype), a.shape, low, mean, high, int(np.isnan(a).sum()), int(np.isinf(a).sum()))


def units(task: Task) -> tuple[list[Units], list[str]]:
    """Every layer's units with samples passing through, DRAWN of them, and the nets that nothing drawn fits."""
    found, left = [], []
    for net, _ in walk.nets(task).values():
        x = next((x for x in _inputs(task) if x.shape[1:] == net.in_shape), None)
        if x is None:
            left.append(net.name)
            continue
        labels = task.ops.asarray(np.zeros(len(x), np.int32))
        for layer, y in _outputs(net, task.ops.asarray(x), labels).items():
            flat = y.reshape(-1, y.shape[-1])
            found.append(Units(layer, flat.shape[1], int((flat == flat[0]).all(axis=0).sum())))
    return found, left


def _inputs(task: Task) -> Iterator[Array]:
    """What is drawn: z and, where the task draws samples from one, these, packed where D takes them so."""
    labels = np.arange(DRAWN) % task.labels if task.labels else None
    z = task.z("sample", 0, DRAWN, 0)
    yield z
    try:
        x = task.samples(z, drawn_from(task.config), labels)
    except ConfigError:  # a task that draws none
        return
    yield x
    yield task.ops.to_numpy(pack(task.ops, task.ops.asarray(x), task.config.model.packing))


def _outputs(net: Net, x: Array, labels: Array) -> dict[str, Array]:
    """What each layer gives for x, with running statistics, on the host."""
    found: dict[str, Array] = {}

    def watched(layer: Layer, forward: Any) -> Any:
        def run(x: Array, how: Any) -> Any:
            y, ctx = forward(x, how)
            found[layer.name] = net.ops.to_numpy(y).copy()
            return y, ctx

        return run

    with wrapped(net.layers, "forward", watched):
        net.forward(x, "running", labels=labels)
    return found


def apart(a: Path, b: Path) -> tuple[list[str], list[Difference]]:
    """How two checkpoints or runs differ: in words, step and configuration; and tensor by tensor, equal ones too."""
    one, two = (checkpoint.load(checkpoint.resolve(path)) for path in (a, b))
    keys = configs.changed(*(configs.from_dict(saved.meta["config"], str(saved.path)) for saved in (one, two)))
    words = [f"A is {one.path}, step {one.step:,}", f"B is {two.path}, step {two.step:,}"]
    words.append(f"configured otherwise: {', '.join(keys)}" if keys else "configured alike")
    names = sorted({*one.tensors, *two.tensors})
    return words, [_difference(name, one.tensors.get(name), two.tensors.get(name)) for name in names]


def _difference(name: str, a: NDArray[Any] | None, b: NDArray[Any] | None) -> Difference:
    shape_a, shape_b = (None if x is None else x.shape for x in (a, b))
    if a is None or b is None or a.shape != b.shape:
        return Difference(name, shape_a, shape_b, None, None)
    d = a.astype(np.float64) - b
    size, whole = float(np.linalg.norm(d)), float(np.linalg.norm(a.astype(np.float64)))
    relative = size / whole if whole else float("inf") if size else 0.0
    return Difference(name, shape_a, shape_b, float(np.abs(d).max(initial=0.0)), relative)
