"""Weights as PyTorch lays them out, in a safetensors file: written for others, and read back by --init-from.

The file of another program is read the same way: what counts are names and shapes. docs/export.md has both.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save as to_safetensors

from minigan.models.net import Net
from minigan.tasks import Task
from minigan.training import checkpoint, layouts
from minigan.training.atomic import atomic_bytes

FORMAT = "minigan-weights-1"


def write(task: Task, step: int, out: Path) -> int:
    """All nets of a task, the moving average included, into `out`; returns how many arrays. Raises CheckpointError."""
    tensors = {}
    for name, net in task.nets.items():
        net.normalise_weights(iterate=False)  # of a spectrally normalised w that which the layer works with is written
        for there, (_, layer, key) in layouts.pairs(net, name).items():
            tensors[there] = layouts.outward(layer, key, task.ops.to_numpy(getattr(layer, key)))
    atomic_bytes(out, to_safetensors(tensors, {"format": FORMAT, "step": str(step)}))
    return len(tensors)


def read(path: Path, nets: dict[str, Net]) -> dict[str, NDArray[Any]]:
    """path -> arrays by the names that a checkpoint has ("g/g.0.w"), laid out as here, as far as `nets` know the names;
    what they do not know comes under its own name. Raises CheckpointError.
    """
    with checkpoint.opened(path) as (file, _):
        tensors = file.get_tensors()
    known = {there: (f"{name}/{here}", layer, key)
             for name, net in nets.items()
             for there, (here, layer, key) in layouts.pairs(net, name).items()}  # fmt: skip
    found: dict[str, NDArray[Any]] = {}
    for there, a in tensors.items():
        here, layer, key = known.get(there, (there, None, ""))
        found[here] = np.asarray(a) if layer is None else layouts.inward(layer, key, a)
    return found
