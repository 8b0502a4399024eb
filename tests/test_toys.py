"""The presets on points in the plane: their first steps, and their place in the table of docs/modes.md."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from minigan import config as configs
from minigan.data import toys
from minigan.errors import ConfigError
from minigan.tasks.gan import GAN
from minigan.training import log
from minigan.training.parts import prepare
from minigan.training.run import load
from minigan.training.trainer import train

sys.path.append(str(Path(__file__).resolve().parents[1]))  # last, so that the tested minigan stays the installed one

from benchmarks import modes

# preset: the row of the table that it is
PRESETS = {"pac2-ring8": "packing 2", "wgan-gp-ring8": "WGAN-GP", "r1-grid25": "R1"}


def test_every_preset_on_modes_is_named_here() -> None:
    assert set(PRESETS) == {name for name in configs.presets() if configs.load(name).data.name in toys.CENTRES}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_its_row_of_the_table(preset: str) -> None:
    own = configs.load(preset)
    row = modes.config(own.data.name, PRESETS[preset], own.train.seed)
    shown = ("log_every", "grid_every", "checkpoint_every")  # what a run writes, not what it does
    same = dataclasses.replace(row.train, **{name: getattr(own.train, name) for name in shown})
    assert own == dataclasses.replace(row, train=same, preset=preset)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_runs_and_both_nets_move(preset: str, tmp_path: Path) -> None:
    config = configs.load(preset, ["train.backend=numpy", "train.steps=20", "train.batch_size=32", "train.log_every=5"])
    out, done = train(config, tmp_path / "run")
    lines, run = log.read(out), load(out, "numpy")
    assert done and [line["step"] for line in lines] == [5, 10, 15, 20]
    assert all(np.isfinite(line[key]) for line in lines for key in ("loss_d", "loss_g", "grad_norm_d", "grad_norm_g"))
    first = prepare(config).task
    assert isinstance(first, GAN)
    for net in ("G", "D"):
        before, after = getattr(first, net).p, getattr(run.task, net).p
        assert before.shape == after.shape and not np.array_equal(before, after), f"{net} stood still"
    assert run.sample(5).shape == (5, 2) and np.isfinite(run.sample(5)).all()
    with pytest.raises(ConfigError, match=r"samples of shape \(2,\) are no pictures and have no uint8 form"):
        run.sample(5, dtype="uint8")
