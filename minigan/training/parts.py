"""What a configuration builds, with nothing written yet: backend, data, batches, task."""

import dataclasses
import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from minigan import config as configs
from minigan.config import RANGES, Config
from minigan.data import Batches, Dataset
from minigan.data import load as load_data
from minigan.data.batches import Batch
from minigan.data.catalogue import BUILTIN
from minigan.data.domains import TRANSFORMS, Domains, Unpaired, open_domains
from minigan.data.heldout import split
from minigan.errors import ConfigError
from minigan.tasks import TASKS, Task, make_task
from minigan.training.features import classifier
from minigan.training.plans import check_forced, open_backend

_OF_VECTORS = ("gan", "classifier")  # the tasks that take vectors as well
POINTS = 1000  # samples drawn where a sample is a point


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a configuration builds, with nothing written yet."""

    config: Config
    ops: Any
    backend_note: str
    dataset: Dataset
    batches: Batches
    task: Task

    @property
    def picture_range(self) -> tuple[float, float]:
        """What black and white are in samples; for vectors, what the data spans and a tenth more."""
        known = RANGES[self.config.data.range] or self.dataset.stored
        if known:
            return known
        real = self.real_rows(POINTS)
        margin = 0.1 * float(real.max() - real.min())
        return float(real.min()) - margin, float(real.max()) + margin

    def real_rows(self, n: int) -> Any:
        """The data's first n rows, or as many as there are."""
        return self.dataset.read(np.arange(min(n, len(self.dataset))))

    def given(self, batches: Sequence[Batch]) -> tuple[list[Any], list[Any]]:
        """What the task takes of batches of data: items in its dtype, and labels where it wants them."""
        items = [x.astype(self.config.train.dtype) for x, _ in batches]
        return items, [y for _, y in batches] if self.task.labelled else []

    @property
    def total_steps(self) -> int:
        """How many steps the run has."""
        c = self.config.train
        return c.steps or math.ceil(c.epochs * self.batches.per_epoch / self.task.batches_per_step)


def open_data(config: Config) -> Dataset:
    """The data set a configuration names, or its two domains, scaled to its range. Raises DataError."""
    c = config.data
    if not c.name:
        raise ConfigError(f"{config.preset} comes without data; give yours by --data NAME or PATH (see minigan data)")
    load = partial(load_data, value_range=RANGES[c.range], size=c.size or None, channels=c.channels or None)
    return open_domains(load, c.name, c.other) if c.other else load(c.name)


def prepare(config: Config, resume: bool = False) -> Parts:
    """Everything that can fail on a user's mistake, before anything is written."""
    config = configs.from_dict(config.to_dict(), config.preset)
    ops, note = open_backend(config, resume)
    dataset = open_data(config)
    if dataset.stored is None and RANGES[config.data.range]:
        key = "data.range=raw" if config.model.output == "none" else "model.output=none"
        advice = f"add --set {key}" if config.task.name in _OF_VECTORS else "give pictures"
        raise ConfigError(
            f"{dataset.name} holds vectors, whose values are kept as they are, but model.output = "
            f"{config.model.output!r} and data.range = {config.data.range!r} want values in a range; {advice}"
        )
    # resolved: a resume takes the same backend, and finds the same file from any folder
    name, other = _found(config.data.name), _found(config.data.other)
    source = config.train.init_from
    config = dataclasses.replace(
        config,
        train=dataclasses.replace(config.train, backend=ops.NAME, init_from=source and os.path.abspath(source)),
        data=dataclasses.replace(config.data, name=name, other=other),
        task=dataclasses.replace(config.task, features=_found(config.task.features)),
    )
    kind, held = TASKS[config.task.name], None
    if kind.judged and kind.labelled and dataset.labels is None:
        raise ConfigError(f"task {config.task.name} learns from labels, but {dataset.name} has none; give other data")
    if kind.judged:
        dataset, held = split(dataset, config.data.size or None, config.data.channels or None)
    size, seed = config.train.batch_size, config.train.seed
    batches = Unpaired(dataset, size, seed) if isinstance(dataset, Domains) else Batches(dataset, size, seed)
    task = make_task(config, ops, dataset.shape, len(dataset.classes))
    if task.labelled and dataset.labels is None:
        raise ConfigError(
            f"model.condition {config.model.condition} goes by labels, but {dataset.name} has none; give other data"
        )
    task.held = held
    if config.task.name == "superres" and config.task.features != "auto":
        task.features = classifier(config.task.features, task)
    check_forced(ops, task.nets.values())
    return Parts(config, ops, note, dataset, batches, task)


def _found(name: str) -> str:
    return name if not name or name == "auto" or name in BUILTIN or name in TRANSFORMS else os.path.abspath(name)
