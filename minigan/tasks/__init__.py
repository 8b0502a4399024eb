"""What minigan trains: a task per row of TASKS, each a file of its own that tells its step."""

from typing import Any

from minigan.config import Config
from minigan.models.shapes import Shape
from minigan.tasks.base import Task
from minigan.tasks.classifier import Classifier
from minigan.tasks.cyclegan import CycleGAN
from minigan.tasks.gan import GAN
from minigan.tasks.superres import SuperRes
from minigan.tasks.vae import VAE

TASKS: dict[str, type[Task]] = {
    "gan": GAN,
    "classifier": Classifier,
    "cyclegan": CycleGAN,
    "vae": VAE,
    "superres": SuperRes,
}


def make_task(config: Config, ops: Any, shape: Shape, classes: int) -> Task:
    """The task that a configuration names, on items of `shape` with labels in [0, classes); 0 where data has none."""
    return TASKS[config.task.name](config, ops, shape, classes)
