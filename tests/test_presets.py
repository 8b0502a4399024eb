"""Short versions of all presets: a few steps on small data run, stay finite, and move every net."""

from pathlib import Path

import numpy as np
import pytest

from minigan import config, rng
from minigan.errors import ConfigError
from minigan.training.parts import prepare
from minigan.training.trainer import train

STEPS = 4
SHORT = ("train.batch_size=4",)
DIGITS = ("data.name=digits", "data.size=28")  # as large as MNIST's

# preset: what is smaller than it is, and what its record must hold
PRESETS: dict[str, tuple[tuple[str, ...], str]] = {
    "acgan-mnist": (DIGITS, "loss_d loss_g label_real label_fake label_g"),
    "cgan-mnist": (DIGITS, "loss_d loss_g"),
    "classifier-mnist": (DIGITS, "loss"),
    "cyclegan-digits": ((*DIGITS, "train.batch_size=2"), "loss_d loss_g cycle"),
    "dcgan-cifar": ((), "loss_d loss_g"),
    "dcgan-mnist": (DIGITS, "loss_d loss_g"),
    "digits": ((), "loss_d loss_g"),
    "infogan-mnist": (DIGITS, "loss_d loss_g label_fake codes_fake label_g codes_g"),
    "mlp-mnist": (DIGITS, "loss_d loss_g"),
    "pac2-ring8": ((), "loss_d loss_g"),
    "r1-grid25": ((), "loss_d loss_g penalty"),
    "r3gan-mnist": (DIGITS, "loss_d loss_g penalty"),
    "sn-hinge-mnist": (DIGITS, "loss_d loss_g"),
    "srgan-mnist": ((*DIGITS, "task.l2_steps=2"), "l2 content loss_g loss_d"),
    "vae-mnist": (DIGITS, "loss_x kl"),
    "wgan-gp-mnist": ((*DIGITS, "train.n_critic=2"), "loss_d loss_g penalty critic_grad_norm"),
    "wgan-gp-ring8": ((), "loss_d loss_g penalty critic_grad_norm"),
}
SMALLER = {"task.l2_steps"}  # beside keys of data and train


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small colour pictures in a file."""
    path = tmp_path_factory.mktemp("data") / "pictures.npy"
    np.save(path, rng.host(0, "test/pictures").integers(0, 256, (40, 32, 32, 3)).astype(np.uint8))
    return path


def test_all_are_here_and_their_networks_are_their_own() -> None:
    assert list(PRESETS) == config.presets()
    for preset, (smaller, _) in PRESETS.items():
        changed = config.changed(config.load(preset), config.load(preset, [*SHORT, *smaller]))
        assert {key for key in changed if key.split(".")[0] not in ("data", "train")} <= SMALLER, preset


@pytest.mark.parametrize("preset", PRESETS)
def test_a_short_version_trains(preset: str, pictures: Path, tmp_path: Path) -> None:
    smaller, said = PRESETS[preset]
    words = [*SHORT, *smaller]
    if not config.load(preset).data.name:
        words.append(f"data.name={pictures}")
    if config.load(preset).task.name == "superres":
        few = [*SHORT, *DIGITS, "train.steps=1"]
        words.append(f"task.features={train(config.load('classifier-mnist', few), tmp_path / 'classifier')[0]}")
    parts = prepare(config.load(preset, words))
    task, stream = parts.task, parts.batches.stream(0)
    before = {name: np.array(parts.ops.to_numpy(net.p)) for name, net in task.nets.items()}
    for step in range(STEPS):
        batches, labels = parts.given([next(stream) for _ in range(task.batches_per_step)])
        record = task.step(batches, step, labels)
        assert not task.bad(), f"step {step}: {record}"
    assert set(said.split()) <= record.keys()
    assert all(np.isfinite(parts.ops.to_numpy(value)) for value in record.values())
    for name, net in task.nets.items():
        moved = np.abs(parts.ops.to_numpy(net.p) - before[name]).max()
        assert moved > 1e-5, f"{name} moved by at most {moved}"


def test_a_preset_without_data_says_so() -> None:
    with pytest.raises(ConfigError, match=r"dcgan-cifar comes without data; give yours by --data"):
        prepare(config.load("dcgan-cifar"))


@pytest.mark.parametrize(
    ("preset", "advice"),
    [
        ("mlp-mnist", "add --set model.output=none"),
        ("classifier-mnist", "add --set data.range=raw"),
        ("vae-mnist", "give pictures"),
        ("srgan-mnist", "give pictures"),
    ],
)
def test_points_are_refused_with_advice_that_helps(preset: str, advice: str) -> None:
    with pytest.raises(ConfigError, match=f"ring8 holds vectors, .* want values in a range; {advice}$"):
        prepare(config.load(preset, ["data.name=ring8"]))


def test_each_says_how_long_it_takes_and_so_does_its_page() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "presets.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| `")]
    told = {name: row[3] for row in rows for name in row[0].replace("`", "").split(", ")}
    assert told == {preset: config.time_of(preset) for preset in config.presets()}
    assert all(told.values())
