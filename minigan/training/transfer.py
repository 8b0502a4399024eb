"""A new run's first values from a run before it, or from a file of weights: what fits by name and shape.

G and D alone are taken, with their running statistics: the optimizers start anew, and a moving average starts at G.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.errors import CheckpointError
from minigan.tasks import Task
from minigan.training import checkpoint, weights


@dataclass(frozen=True)
class Begun:
    """What was taken from where, by name and shape, and what was not, with the reason."""

    source: str
    taken: tuple[str, ...]
    left: tuple[str, ...]

    def notes(self) -> list[str]:
        """As a run says it."""
        lines = [f"begun from {self.source}: took {', '.join(self.taken)}"]
        return [*lines, f"did not take {', '.join(self.left)}"] if self.left else lines


def begin(task: Task, source: str) -> Begun | None:
    """Overwrites the task's initial values by those of `source` that fit; None without a source.

    Raises CheckpointError when it cannot be read, when nothing fits, or when a number in it is not finite.
    """
    if not source:
        return None
    path = checkpoint.resolve(Path(source))
    given = _read(path, task)
    taken, left = [], []
    for net_name in _learning(task):
        own = task.nets[net_name].tensors()
        order = [layer.name for layer in task.nets[net_name].layers]
        for key in sorted(own, key=lambda key: order.index(key.rpartition(".")[0])):
            view = own[key]
            shape, there = tuple(view.shape), given.pop(f"{net_name}/{key}", None)
            if there is None:
                left.append(f"{key} {shape} (not there)")
            elif there.shape != shape:
                left.append(f"{key} {shape} ({there.shape} there)")
            elif there.dtype.kind != "f" or not np.isfinite(there).all():
                raise CheckpointError(f"{path}: {key} holds more than finite numbers; give a sound one")
            else:
                task.ops.copyto(view, there.astype(task.dtype))
                taken.append(f"{key} {shape}")
    alone = {name.split("/")[-1]: a for name, a in given.items() if not name.startswith(("opt/", "ema"))}
    left += [f"{name} {a.shape} (there alone)" for name, a in alone.items()]
    if not taken:
        raise CheckpointError(f"{path}: nothing in it fits this network: {_few(left)}; give another, or no --init-from")
    if "ema" in task.nets:
        for key, view in task.nets["ema"].tensors().items():
            task.ops.copyto(view, task.ops.to_numpy(task.nets["g"].tensors()[key]))
    return Begun(str(path), tuple(taken), tuple(left))


def _learning(task: Task) -> list[str]:
    """The nets that are taken: all but the moving average, which starts at G."""
    return [name for name in task.nets if name != "ema"]


def _read(path: Path, task: Task) -> dict[str, NDArray[Any]]:
    """Arrays as a checkpoint names them and as they are laid out here."""
    with checkpoint.opened(path) as (_, texts):
        ours = texts.get("format", "").startswith("minigan-checkpoint")
    nets = {name: task.nets[name] for name in _learning(task)}
    return checkpoint.load(path).tensors if ours else weights.read(path, nets)


def _few(words: list[str]) -> str:
    return ", ".join(words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")
