"""Tiny CycleGANs that several tests share."""

from pathlib import Path
from typing import Any

import numpy as np

from minigan import config as configs
from minigan import rng
from minigan.config import Config
from minigan.tasks.cyclegan import CycleGAN
from minigan.training.trainer import train

SIDE = (8, 8, 1)
SMALL = (
    "train.backend=numpy",
    "data.name=digits",
    "task.width=2",
    "task.depth=1",
    "task.blocks=1",
    "task.identity=2",
    "model.widths_d=[2, 3]",
    "model.kernel=3",
    "train.batch_size=4",
    "train.steps=6",
    "train.log_every=2",
    "g.l2=0.001",
    "d.l2=0.001",
)


def small(*overrides: str) -> Config:
    """Digits of 8x8 pixels and their outlines, by nets of a few channels."""
    return configs.load("cyclegan-digits", [*SMALL, *overrides])


def make(ops: Any, *overrides: str) -> CycleGAN:
    """The task of `small`, by itself."""
    return CycleGAN(small(*overrides), ops, (*SIDE[:2], 2))


def batch(seed: int, n: int = 4) -> np.ndarray:
    """(n,8,8,2): pictures of both domains side by side."""
    return rng.host(seed, "test/domains").uniform(-1.0, 1.0, (n, *SIDE[:2], 2)).astype(np.float32)


def run(out: Path, *overrides: str, resume: bool = False) -> Path:
    """Trains `small` into `out`."""
    return train(small(*overrides), out, resume)[0]
