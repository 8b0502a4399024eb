"""The net of a trained classifier, for losses on what it sees (models/taps.py)."""

import dataclasses
from pathlib import Path

from minigan import config as configs
from minigan.errors import ConfigError
from minigan.models.net import Net
from minigan.tasks import Task, make_task
from minigan.training import checkpoint


def classifier(path: str, task: Task) -> Net:
    """The net of a classifier's run or checkpoint, bound to the backend of `task`, whose pictures it is to see.

    Raises ConfigError when it is no classifier, or of other pictures; CheckpointError when it cannot be read.
    """
    file = checkpoint.resolve(Path(path))
    saved = checkpoint.load(file)
    config = configs.from_dict(saved.meta["config"], str(file))
    shape = tuple(saved.meta["shape"])
    if config.task.name != "classifier":
        raise ConfigError(f"task.features: {path} is a run of task {config.task.name}; give one of task classifier")
    ours = task.config.data.range
    if shape != task.shape or config.data.range != ours:
        raise ConfigError(
            f"task.features: the classifier {path} sees items {shape} in {config.data.range}, but this task makes "
            f"{task.shape} in {ours}; train one on the same data, in the same range"
        )
    train = dataclasses.replace(config.train, dtype=task.config.train.dtype)
    whole = make_task(dataclasses.replace(config, train=train), task.own_ops, shape, saved.meta["classes"])
    whole.restore(saved.tensors, saved.meta["counters"])
    net = whole.nets["d"]
    net.normalise_weights(iterate=False)
    return net
