"""The variational autoencoder: its step, its runs, what is drawn from it, what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import Notes, assert_same, state, timeless

import minigan
from minigan import config as configs
from minigan import data
from minigan.backends import load, oracle
from minigan.config import Config
from minigan.data.heldout import split
from minigan.errors import ConfigError
from minigan.study.rows_vae import SHAPE, reduced
from minigan.tasks.vae import VAE, reconstruction
from minigan.training import export
from minigan.training.parts import prepare
from minigan.training.trainer import train

SMALL = (
    "data.name=digits", "model.z=4", "model.widths_g=[24]", "model.widths_d=[24]", "train.batch_size=50",
    "train.log_every=20", "g.horizon=1000", "train.backend=numpy",
)  # fmt: skip


def small(*overrides: str) -> Config:
    return configs.load("vae-mnist", [*SMALL, *overrides])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 steps on the built-in digits without a stop."""
    return train(small("train.steps=200"), tmp_path_factory.mktemp("whole") / "run")[0]


@pytest.mark.parametrize("name", ["numpy", "cpp"])
def test_the_reconstruction_is_the_sum_over_pixels_in_nats(name: str) -> None:
    ops, g = load(name), np.random.default_rng(0)
    a, x = g.standard_normal((3, 2, 2, 1)), g.uniform(0, 1, (3, 2, 2, 1))
    loss, da = reconstruction(ops, a.astype(np.float32), x.astype(np.float32))
    p = 1 / (1 + np.exp(-a))
    want = -(x * np.log(p) + (1 - x) * np.log(1 - p)).reshape(3, 4).sum(axis=1).mean()
    assert float(loss) == pytest.approx(want, rel=1e-6)
    np.testing.assert_allclose(da, (p - x) / 3, rtol=1e-5, atol=1e-7)


def test_a_run_learns_to_say_held_out_digits_again(whole: Path) -> None:
    lines = timeless(whole)
    assert [line["step"] for line in lines] == list(range(20, 201, 20))
    assert lines[-1]["loss_held"] < lines[0]["loss_held"] - 3.0, lines
    for line in lines:
        assert line["loss"] == pytest.approx(line["loss_x"] + line["kl"], rel=1e-5)
    for name in ("samples.png", "losses.png"):
        assert (whole / name).stat().st_size > 500


def test_both_nets_move_and_the_backends_agree() -> None:
    images = np.random.default_rng(0).uniform(0, 1, (2, 20, 8, 8, 1)).astype(np.float32)
    tasks = [VAE(small("train.batch_size=20"), load(name), (8, 8, 1)) for name in ("numpy", "cpp")]
    before = {name: net.p.copy() for name, net in tasks[0].nets.items()}
    for task in tasks:
        for k, x in enumerate(images):
            task.step([x], k)
    for name, net in tasks[0].nets.items():
        assert not np.array_equal(net.p, before[name]), name
        other = tasks[1].ops.to_numpy(tasks[1].nets[name].p)
        np.testing.assert_allclose(other, net.p, rtol=0, atol=2e-5, err_msg=name)


def test_without_update_no_weight_moves() -> None:
    task = VAE(reduced(), oracle, SHAPE)
    x, eps = np.random.default_rng(0).uniform(0, 1, (4, *SHAPE)), np.ones((4, 3))
    before = {name: net.p.copy() for name, net in task.nets.items()}
    task.g_step(x, eps, update=False)
    assert all(np.array_equal(net.p, before[name]) for name, net in task.nets.items())


def test_noise_of_a_step_is_drawn_once_and_never_again() -> None:
    task = VAE(reduced(), oracle, SHAPE)
    first, second = (task._noise("z/e", step, 5) for step in (0, 1))
    assert np.array_equal(first, task._noise("z/e", 0, 5)) and not np.array_equal(first, second)


def test_the_log_tells_the_elbo_of_the_held_out_rows(whole: Path) -> None:
    """Worked out again from the run's own weights, in float64 and written otherwise."""
    task: Any = minigan.load(whole, "numpy").task
    _, held = split(data.load("digits", value_range=(0.0, 1.0)))
    x = held.read(np.arange(179)).reshape(179, 64).astype(np.float64)
    (mean, logvar), _ = task.E.forward(x.reshape(179, 8, 8, 1).astype(np.float32), "running")
    eps = task._noise("z/held", 0, 179)
    p = task.G.forward(mean + np.exp(logvar / 2) * eps, "running")[0].reshape(179, 64).astype(np.float64)
    likelihood = (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)
    variance = np.exp(logvar.astype(np.float64))
    kl = (mean**2 + variance - np.log(variance) - 1).sum(axis=1) / 2
    assert timeless(whole)[-1]["loss_held"] == pytest.approx(-(likelihood - kl).mean(), rel=1e-5)


@pytest.mark.parametrize("at", [7, 40])
def test_a_resumed_run_is_the_same(whole: Path, tmp_path: Path, at: int) -> None:
    out, _ = train(small(f"train.steps={at}"), tmp_path / "run")
    train(small("train.steps=200"), out, resume=True)
    assert_same(state(whole), state(out))
    assert timeless(whole) == timeless(out)


def test_verify_finds_every_op_within_its_bound(tmp_path: Path) -> None:
    notes = Notes()
    train(small("train.backend=cpp", "train.steps=3"), tmp_path / "run", False, notes, verify=1)
    assert any(text.startswith("exp ") for text in notes.notes), notes.notes


def test_samples_lie_in_0_to_1_and_pairs_stand_side_by_side(whole: Path, tmp_path: Path) -> None:
    run = minigan.load(whole)
    x = run.sample(5, seed=1)
    assert x.shape == (5, 8, 8, 1) and x.min() >= 0 and x.max() <= 1 and x.std(axis=0).max() > 0.01
    assert np.array_equal(x[:2], run.sample(2, seed=1))
    parts = prepare(small("train.steps=1"))
    pairs = parts.task.picture("grid", 6, parts.real_rows(6))
    assert pairs is not None and pairs.shape == (6, 8, 8, 1)
    assert np.array_equal(pairs[::2], parts.task.held.read(np.arange(3)))
    task: Any = parts.task
    mean = task.E.forward(pairs[::2], "running")[0][0]
    np.testing.assert_allclose(pairs[1::2], task.G.forward(mean, "running")[0], rtol=0, atol=1e-6)
    drawn = task.picture("sample", 4, parts.real_rows(4))
    np.testing.assert_array_equal(drawn, task.samples(task.z("sample", 0, 4), "g"))
    export.walk(run, 0, tmp_path / "walk.png")
    assert (tmp_path / "walk.png").stat().st_size > 1000


def test_the_decoder_goes_out_as_onnx(whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    said = export.run_itself(minigan.load(whole), tmp_path / "g.onnx")
    assert "64" in said and (tmp_path / "g.onnx").exists()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model.output=tanh", "give model.output sigmoid, not tanh"),
        ("train.ema=0.9", "train.ema means nothing to task.name vae"),
        ("d.lr=0.1", "d means nothing to task.name vae"),
        ("loss.name=hinge", "loss means nothing to task.name vae"),
    ],
)
def test_what_means_nothing_is_refused(key: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        small(key)
