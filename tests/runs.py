"""Small runs that many tests share."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from minigan import config as configs
from minigan.config import Config
from minigan.training import checkpoint, log
from minigan.training.trainer import Silent, train

# every state a run can have: dropout, batchnorm, momentum slabs, EMA, a schedule, two D steps, a partial last batch
SMALL = (
    "model.family=dcgan",
    "loss.name=non-saturating",
    "g.lr=2e-4",
    "d.lr=2e-4",
    "model.z=5",
    "model.widths_g=[6, 4]",
    "model.strides_g=[2, 2]",
    "model.widths_d=[4, 6]",
    "model.kernel=3",
    "model.dropout=0.25",
    "train.batch_size=50",
    "train.ema=0.9",
    "train.n_critic=2",
    "train.log_every=5",
    "train.checkpoint_every=1000",
    "g.schedule=cosine",
    "g.horizon=150",
    "d.rule=rmsprop",
)


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def small(*overrides: str) -> Config:
    """A tiny convolutional GAN on the built-in digits, on the oracle."""
    return configs.load("digits", ["train.backend=numpy", *SMALL, *overrides])


def run(out: Path, *overrides: str, resume: bool = False) -> Path:
    """Trains `small` into `out`."""
    return train(small(*overrides), out, resume)[0]


def state(out: Path) -> checkpoint.Checkpoint:
    """The newest checkpoint of a run."""
    return checkpoint.load(checkpoint.resolve(out))


def timeless(out: Path) -> list[dict[str, Any]]:
    """A run's log without its times."""
    return [{k: v for k, v in line.items() if k not in log.TIMES} for line in log.read(out)]


def assert_same(a: checkpoint.Checkpoint, b: checkpoint.Checkpoint) -> None:
    """Every tensor byte for byte, and the counters."""
    assert a.step == b.step
    assert a.tensors.keys() == b.tensors.keys()
    for name, x in a.tensors.items():
        assert x.tobytes() == b.tensors[name].tobytes(), f"{name} differs by {np.abs(x - b.tensors[name]).max()}"
    assert json.dumps(a.meta["counters"]) == json.dumps(b.meta["counters"])
