"""The step of super-resolution: its two stages, what each half may touch, and what a run asks of every task."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from gan_steps import digits
from runs import assert_same, state, timeless

import minigan
from minigan import config as configs
from minigan import data
from minigan.backends import load
from minigan.backends.proxies import Finite, NotFinite
from minigan.config import Config
from minigan.data.heldout import split
from minigan.errors import ConfigError, DataError, ShapeError
from minigan.evaluate import upscale
from minigan.models.classifiers import make_classifier, stages
from minigan.models.net import Net
from minigan.models.taps import feature_distance
from minigan.tasks.superres import SuperRes, psnr
from minigan.training import features
from minigan.training.trainer import Trainer, train

ops = load("numpy")
SMALL = (
    *("train.backend=numpy", "data.name=digits", "task.factor=2", "task.width=4", "task.blocks=1", "task.l2_steps=4"),
    *("model.widths_d=[2, 3]", "train.batch_size=8", "train.steps=8", "train.log_every=2", "g.l2=0.001"),
)


def small(*overrides: str) -> Config:
    """Digits of 4x4 pixels made 8x8, by nets of a few channels."""
    return configs.load("srgan-mnist", [*SMALL, *overrides])


def make(*overrides: str) -> SuperRes:
    """The task of `small`, by itself, with an untrained classifier."""
    task = SuperRes(small(*overrides), ops, (8, 8, 1))
    net = make_classifier(configs.Model(widths_d=(3, 4), norm_d="batch"), (8, 8, 1), 10)
    net.bind(ops, 1, task.dtype, task.clock.array)
    task.features, task.held = net, _Held()
    return task


class _Held:
    def __len__(self) -> int:
        return 20

    def read(self, index: Any) -> np.ndarray:
        return digits()[:20][index]


def batch(k: int) -> np.ndarray:
    return digits()[8 * k : 8 * k + 8]


def slab(net: Net) -> bytes:
    return net.p.tobytes()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("superres") / "classifier"
    words = ["train.backend=numpy", "data.name=digits", "train.steps=8", "train.log_every=8", "model.widths_d=[4, 4]"]
    return train(configs.load("classifier-mnist", words), out)[0]


def test_until_l2_steps_d_stands_still_and_then_both_learn() -> None:
    task = make()
    first = {name: slab(net) for name, net in task.nets.items()}
    keys = [set(task.step([batch(k)], k)) for k in range(4)]
    assert slab(task.D) == first["d"] and slab(task.G) != first["g"]
    assert task.counters() == {"g": 4, "d": 0}  # so that Adam's bias correction of D starts with D
    keys += [set(task.step([batch(4)], 4))]
    assert slab(task.D) != first["d"] and task.counters() == {"g": 5, "d": 1}
    assert keys[0] == {"l2", "grad_norm2_g"} and keys[4] - keys[3] == {
        *("content", "loss_g", "loss_d", "d_real", "d_fake", "grad_norm2_d")
    }


def test_a_player_leaves_the_other_and_the_features_bitwise() -> None:
    task = make("task.l2_steps=0")
    assert task.features is not None
    own = {**task.nets, "f": task.features}

    def moved(step: Any) -> set[str]:
        before = {name: (slab(net), net.dp.tobytes()) for name, net in own.items()}
        step()
        return {name for name, net in own.items() if before[name] != (slab(net), net.dp.tobytes())}

    task.play("rates", lambda left: None, 0, 0, [])
    y = task.G.forward(task.reduce(batch(0)))[0]
    assert moved(lambda: task.g_step(batch(0), second=True)) == {"g"}
    assert moved(lambda: task.d_step(batch(0), y)) == {"d"}
    assert moved(lambda: task.g_step(batch(0), second=True, update=False)) == {"g"}  # its gradient alone


def test_d_judges_what_g_made_before_it_moved() -> None:
    task = make("task.l2_steps=0")
    y = task.G.forward(task.reduce(batch(0)))[0]
    fake = task.D.forward(y)[0]
    record = task.step([batch(0)], 0)
    assert float(record["d_fake"]) == pytest.approx(float((1 / (1 + np.exp(-fake))).mean()), rel=1e-6)


def test_the_small_picture_is_the_mean_of_blocks() -> None:
    task, x = make(), batch(0)
    np.testing.assert_allclose(task.small(x), x.reshape(8, 4, 2, 4, 2, 1).mean(axis=(2, 4)), rtol=0, atol=1e-6)
    four = make("task.factor=4")
    np.testing.assert_allclose(four.small(x), x.reshape(8, 2, 4, 2, 4, 1).mean(axis=(2, 4)), rtol=0, atol=1e-6)
    assert four.enlarge(four.small(x)).shape == x.shape
    table = four.picture("grid", 64, x).reshape(8, 3, *x.shape[1:])
    for column, expected in enumerate((four.small(x).repeat(4, 1).repeat(4, 2), four.enlarge(four.small(x)), x)):
        np.testing.assert_array_equal(table[:, column], expected)


def test_psnr_by_hand() -> None:
    x = np.zeros((2, 1, 1, 1))
    assert psnr(x, np.array([0.2, 0.02]).reshape(x.shape), 2.0) == pytest.approx((20 + 40) / 2)
    assert psnr(x, x, 1.0) > 1000  # alike: no division by zero


def test_a_failure_is_told_by_its_own_step_across_the_stages() -> None:
    """`late`, as on a GPU: 2 steps of one part and then steps of two; the number that was not finite is in step 3."""
    task = make("task.l2_steps=2")
    task.late = True
    bad = batch(3).copy()
    bad[0, 0, 0, 0] = np.nan
    with np.errstate(all="ignore"):
        for k, x in enumerate([batch(0), batch(1), batch(2), bad, batch(4)]):
            task.step([x], k)
    assert task.bad() and task.failed_step(4) == 3 and task.failed == 0
    early = make("task.l2_steps=2")
    early.late = True
    with np.errstate(all="ignore"):
        for k, x in enumerate([batch(0), bad, batch(2)]):
            early.step([x], k)
    assert early.failed_step(2) == 1 and early.failed == 0


def test_a_gradient_of_d_that_is_not_finite_is_found_again() -> None:
    task = make("task.l2_steps=0", "task.adversarial=0", "task.content=0")
    task.D.p[:] = 1e30
    with np.errstate(all="ignore"):
        task.step([batch(0)], 0)
        assert task.bad() and task.failed == 0  # 0 times what is not finite
        with pytest.raises(NotFinite):
            task.replay([batch(0)], 0, Finite(ops))


def test_shapes_and_foreign_keys_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"factor 4 takes pictures whose sides are multiples of it, but is given"):
        SuperRes(small("task.factor=4"), ops, (10, 10, 1))
    with pytest.raises(ConfigError, match=r"feature-matching matches features inside D, which task\.name superres"):
        SuperRes(small("loss.name=feature-matching"), ops, (8, 8, 1))
    with pytest.raises(ConfigError, match=r"task\.l2_steps is for task\.name superres, not for gan; leave it out"):
        configs.load("digits", ["task.l2_steps=3"])
    with pytest.raises(ConfigError, match=r"task\.width is for task\.name cyclegan and superres, not for gan"):
        configs.load("digits", ["task.width=3"])
    with pytest.raises(ConfigError, match=r"model\.z means nothing to task\.name superres; leave it out"):
        small("model.z=3")
    for words in (("model.output=tanh",), ("data.range=auto",), ("data.range=raw",)):
        with pytest.raises(ConfigError, match=r"without an activation; give model\.output none, and data\.range"):
            small(*words)


def test_g_adds_what_is_missing_to_the_small_picture() -> None:
    task = make()
    low = task.small(batch(0))
    task.G.p[:] = 0.0
    np.testing.assert_array_equal(task.enlarge(low), low.repeat(2, axis=1).repeat(2, axis=2))


def test_a_run_needs_a_classifier_of_the_same_pictures(tmp_path: Path, classifier: Path) -> None:
    with pytest.raises(ConfigError, match=r"give task\.features, a classifier's run"):
        Trainer(small(), tmp_path / "none", False, minigan.training.trainer.Silent())
    out = train(small(f"task.features={classifier}", "train.steps=1"), tmp_path / "run")[0]
    with pytest.raises(ConfigError, match=r"is a run of task superres; give one of task classifier"):
        train(small(f"task.features={out}"), tmp_path / "no")
    with pytest.raises(ConfigError, match=r"sees items \(8, 8, 1\) in -1\.\.1, but this task makes \(16, 16, 1\)"):
        train(small(f"task.features={classifier}", "data.size=16"), tmp_path / "no")
    with pytest.raises(
        ConfigError, match=r"in -1\.\.1, but this task makes \(8, 8, 1\) in 0\.\.1; train one on the same"
    ):
        train(small(f"task.features={classifier}", "data.range=0..1"), tmp_path / "no")
    assert not (tmp_path / "none").exists() and not (tmp_path / "no").exists()


def test_a_run_resumes_bit_for_bit_across_the_stages_and_upscales(tmp_path: Path, classifier: Path) -> None:
    words = small(f"task.features={classifier}")
    whole = train(words, tmp_path / "whole")[0]
    train(small(f"task.features={classifier}", "train.steps=3"), tmp_path / "part")
    part = train(words, tmp_path / "part", resume=True)[0]
    assert_same(state(whole), state(part))
    assert timeless(whole)[-1] == timeless(part)[-1]
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text("utf-8").splitlines()]
    assert lines[-1]["psnr_held"] > lines[0]["psnr_held"] and "loss_d" in lines[-1] and "loss_d" not in lines[0]
    opened: Any = minigan.load(whole, "numpy")
    x = split(data.load("digits", value_range=(-1.0, 1.0)))[1].read(np.arange(179))
    made = opened.task.enlarge(opened.task.small(x))
    assert lines[-1]["psnr_held"] == pytest.approx(psnr(x, made, 2.0), rel=1e-6)
    shown, by_hand, by_run = upscale.upscale(opened, "", 70)
    low = opened.task.small(shown[3])
    np.testing.assert_array_equal(shown[0][:, ::2, 1::2], low)
    np.testing.assert_array_equal(shown[1], upscale.bicubic(low, 2).clip(-1, 1))
    assert np.abs(upscale.bicubic(low, 2)).max() > 1  # bicubic interpolation overshoots
    np.testing.assert_array_equal(shown[2], opened.task.enlarge(low))
    net = features.classifier(str(classifier), opened.task)
    for judged, y in ((by_hand, shown[1]), (by_run, shown[2])):
        far, _ = feature_distance(net, y, shown[3], stages(net))  # of 70 pictures at once, not 64 and 6
        assert judged == pytest.approx((psnr(shown[3], y, 2.0), float(far)), rel=1e-5)
    said = upscale.to_file(whole, "", 4, 0, tmp_path / "up.png")
    assert (tmp_path / "up.png").is_file() and said[0].startswith("bicubic: PSNR ")
    with pytest.raises(ConfigError, match=r"of task classifier; give a run of task superres"):
        upscale.to_file(classifier, "", 4, 0, tmp_path / "no.png")
    with pytest.raises(ConfigError, match=r"give a \.png"):
        upscale.to_file(whole, "", 4, 0, tmp_path / "no.gif")


def test_auto_is_the_classifier_of_the_data(monkeypatch: pytest.MonkeyPatch, classifier: Path) -> None:
    asked = []

    def extractor(*words: Any) -> SimpleNamespace:
        asked.append(words)
        return SimpleNamespace(folder=classifier)

    monkeypatch.setattr(upscale, "extractor", extractor)
    auto, named, gan = small(), small("task.features=mine"), configs.load("digits")
    assert upscale.with_features(auto).task.features == str(classifier)
    assert asked == [(auto.data, "numpy", None)]
    assert upscale.with_features(named) == named and upscale.with_features(gan) == gan and len(asked) == 1
    for mistake, words in (("data.size=9", "factor 2 takes pictures whose sides"), ("data.name=x.npy", "no path that")):
        with pytest.raises((ShapeError, DataError), match=words):
            upscale.with_features(small(mistake))
    assert len(asked) == 1, "nothing is trained for a run that cannot be"


def test_the_baseline_is_bicubic_and_the_judge_sees_a_better_picture() -> None:
    low = np.full((1, 2, 2, 1), 0.25, np.float32)
    np.testing.assert_allclose(upscale.bicubic(low, 4), np.full((1, 8, 8, 1), 0.25), atol=1e-6)
    edge = np.array([-1.0, 1.0], np.float32).reshape(1, 1, 2, 1).repeat(2, axis=1)
    made = upscale.bicubic(edge, 2)[0, 0, :, 0]
    assert made[0] < -0.9 and -0.9 < made[1] < -0.1 and made == pytest.approx(-made[::-1])  # smooth, and not shifted
