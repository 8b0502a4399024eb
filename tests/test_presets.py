"""Short versions of presets: some dozen steps on small data run, stay finite, and move every net."""

from pathlib import Path

import numpy as np
import pytest

from minigan import config, rng
from minigan.errors import ConfigError
from minigan.training.parts import prepare

STEPS = 24
SHORT = ("train.batch_size=8", "train.log_every=1", "g.horizon=100", "d.horizon=100")
DIGITS = ("data.name=digits", "data.size=28")  # as large as MNIST's

PRESETS = {
    "sn-hinge-mnist": DIGITS,
    "wgan-gp-mnist": (*DIGITS, "train.n_critic=2"),
    "r3gan-mnist": DIGITS,
    "dcgan-cifar": (),
    "digits": (),
    "mlp-mnist": DIGITS,
    "pac2-ring8": (),
    "r1-grid25": (),
    "wgan-gp-ring8": (),
    "wave": ("data.window=256", "model.width=8"),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small colour pictures in a file."""
    path = tmp_path_factory.mktemp("data") / "pictures.npy"
    np.save(path, rng.host(0, "test/pictures").integers(0, 256, (40, 32, 32, 3)).astype(np.uint8))
    return path


@pytest.mark.parametrize("preset", PRESETS)
def test_a_short_version_trains(preset: str, pictures: Path) -> None:
    data = [] if config.load(preset).data.name else [f"data.name={pictures}"]
    parts = prepare(config.load(preset, [*SHORT, *PRESETS[preset], *data]))
    task, stream = parts.task, parts.batches.stream(0)
    before = {name: np.array(parts.ops.to_numpy(net.p)) for name, net in task.nets.items()}
    for step in range(STEPS):
        batches, labels = parts.given([next(stream) for _ in range(task.batches_per_step)])
        record = task.step(batches, step, labels)
        assert not task.bad(), f"step {step}: {record}"
    assert {"loss_d", "loss_g"} <= record.keys()
    assert all(np.isfinite(parts.ops.to_numpy(value)) for value in record.values())
    for name, net in task.nets.items():
        moved = np.abs(parts.ops.to_numpy(net.p) - before[name]).max()
        assert moved > 1e-5, f"{name} moved by at most {moved}"


def test_a_preset_without_data_says_so() -> None:
    with pytest.raises(ConfigError, match=r"dcgan-cifar comes without data; give yours by --data"):
        prepare(config.load("dcgan-cifar"))
