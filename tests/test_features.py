"""Inner layers: taps, the perceptual loss on them, and the classifier that a data set is judged by."""

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigan import data
from minigan.backends import oracle
from minigan.config import Data
from minigan.data.heldout import split
from minigan.errors import ConfigError, ShapeError
from minigan.evaluate import features
from minigan.evaluate.features import extractor
from minigan.models.classifiers import features_at, make_classifier, stages
from minigan.models.layers import Linear
from minigan.models.net import Net
from minigan.models.taps import backward_taps, feature_distance, forward_taps
from minigan.models.trees import Chain, Residual
from minigan.study.rows_features import CLASSES, SHAPE, reduced
from minigan.training.reporter import Silent


def _net() -> Net:
    net = make_classifier(reduced().model, SHAPE, CLASSES)
    net.bind(oracle, 0, np.float64)
    return net


def _images(n: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (n, *SHAPE))


def test_taps_give_what_the_nodes_give_and_the_last_what_the_net_gives() -> None:
    net, x = _net(), _images(3)
    last = len(net.root.nodes) - 1
    outs, _ = forward_taps(net, x, (*stages(net), last))
    assert [out.shape for out in outs] == [(3, 4, 4, 3), (3, 2, 2, 4), (3, CLASSES)]
    assert np.array_equal(outs[-1], net.forward(x, "running")[0])
    assert forward_taps(net, x, (features_at(net),))[0][0].shape == (3, 128)


def test_the_gradient_back_from_the_last_tap_is_the_nets_and_no_weight_gets_any() -> None:
    net, x = _net(), _images(3)
    last = len(net.root.nodes) - 1
    (y,), ctx = forward_taps(net, x, (last,))
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx = backward_taps(net, [dy], ctx)
    assert np.array_equal(dx, net.backward(dy, net.forward(x, "running")[1], need_dw=False))
    assert not net.dp.any()
    backward_taps(net, [dy], ctx, need_dw=True)
    assert net.dp.any()


@pytest.mark.parametrize("taps", [(), (2, 1), (1, 1), (-1,), (99,)])
def test_taps_that_are_no_nodes_are_refused(taps: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"taps \[.*\] of d: give ascending numbers of its chain's \d+ nodes"):
        forward_taps(_net(), _images(1), taps)


def test_a_net_that_is_no_chain_has_no_taps() -> None:
    net = Net("r", Residual(Linear(4)), (4,))
    net.bind(oracle, 0, np.float64)
    with pytest.raises(ShapeError, match=r"taps \[0\] of r: give ascending numbers of its chain's 0 nodes"):
        forward_taps(net, np.zeros((2, 4)), (0,))
    assert isinstance(_net().root, Chain)


def test_distance_is_the_mean_over_layers() -> None:
    net, x, target = _net(), _images(3), _images(3, 1)
    taps = (*stages(net), features_at(net))
    loss, dx = feature_distance(net, x, target, taps)
    alone = [feature_distance(net, x, target, (tap,)) for tap in taps]
    assert float(loss) == pytest.approx(np.mean([float(one) for one, _ in alone]), rel=1e-14)
    assert np.allclose(dx, np.mean([d for _, d in alone], axis=0), rtol=1e-12, atol=1e-18)
    assert feature_distance(net, target, target, taps)[0] == 0.0 and not net.dp.any()


def test_the_perceptual_loss_leads_an_image_to_its_target() -> None:
    """Descent on the features alone brings the pixels nearer as well."""
    net, x, target = _net(), _images(2), _images(2, 1)
    first, far = feature_distance(net, x, target, stages(net))[0], np.abs(x - target).mean()
    for _ in range(100):
        loss, dx = feature_distance(net, x, target, stages(net))
        x = x - 2.0 * dx
    assert loss < 0.2 * first and np.abs(x - target).mean() < 0.9 * far


# The extractor


class Watched(Silent):
    """Counts the steps of a training, and interrupts it when told."""

    def __init__(self, stop: int = 0):
        self.stop_at, self.steps = stop, 0

    def step(self, step: int) -> None:
        self.steps += 1
        if self.steps == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache folder of the tests' own, and a short recipe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(features, "_STEPS", 60)
        yield patch


DIGITS = Data("digits", range="0..1")


def test_it_is_trained_once_and_says_how_good_it_is(cache: Any) -> None:
    first, second = Watched(), Watched()
    made = extractor(DIGITS, "numpy", first)
    again = extractor(DIGITS, "numpy", second)
    assert (first.steps, second.steps) == (60, 0)
    assert again.record == made.record and made.folder.is_relative_to(Path(features.mirrors.cache_folder("")))
    _, held = split(data.load("digits", value_range=(0.0, 1.0)))
    seen = made.see(held.read(np.arange(len(held))))
    assert made.record.accuracy == (seen.labels == held.labels).mean() > 0.9
    again.net.p[0] += 1.0
    assert features.weights_digest(made.net) == made.record.weights != features.weights_digest(again.net)
    assert made.record.held_rows == len(held) == 179 and made.classes == tuple("0123456789")
    assert json.loads(json.dumps(dataclasses.asdict(made.record)))["accuracy"] == made.record.accuracy


def test_what_it_sees_depends_neither_on_the_range_nor_on_how_many_there_are(cache: Any) -> None:
    unit = extractor(DIGITS, "numpy")
    signed = extractor(dataclasses.replace(DIGITS, range="-1..1"), "numpy")
    raw = extractor(dataclasses.replace(DIGITS, range="raw"), "numpy")
    assert unit.folder == signed.folder == raw.folder
    x = data.load("digits", value_range=(0.0, 1.0)).read(np.arange(300))
    seen = unit.see(x)
    assert np.array_equal(seen.features, signed.see(2 * x - 1).features)
    assert np.array_equal(seen.features, raw.see(x).features)  # digits are stored in [0, 1]
    few = unit.see(x[:7])
    assert np.array_equal(few.features, seen.features[:7])
    assert np.array_equal(few.probabilities, seen.probabilities[:7])
    assert seen.features.shape == (300, 128) and seen.probabilities.shape == (300, 10)
    assert np.allclose(seen.probabilities.sum(axis=1), 1.0, rtol=1e-14)
    (stage,) = unit.activations(x[:5])
    assert stage.shape == (5, 4, 4, 32)
    assert feature_distance(unit.net, *(a.astype(np.float32) for a in (x[:5], x[5:10])), unit.stages)[0] > 0


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 9, 8, 1), (0, 8, 8, 1)])
def test_items_of_another_shape_are_refused(cache: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"x has shape .*, but this classifier knows items of \(8, 8, 1\)"):
        extractor(DIGITS, "numpy").see(np.zeros(shape, np.float32))


def test_interrupted_it_goes_on_and_becomes_the_same(cache: Any) -> None:
    whole = extractor(DIGITS, "numpy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(whole.folder.parents[2] / "other"))
        with pytest.raises(KeyboardInterrupt):
            extractor(DIGITS, "numpy", Watched(stop=25))
        watched = Watched()
        again = extractor(DIGITS, "numpy", watched)
        assert watched.steps == 35 and again.record == whole.record and again.folder != whole.folder


def test_data_without_labels_is_refused(cache: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((20, 8, 8), np.uint8))
    with pytest.raises(ConfigError, match=r"has no labels, so no classifier can be trained on it"):
        extractor(Data(str(tmp_path / "x.npy"), range="0..1"), "numpy")


def test_vectors_and_colour_are_known_as_well(cache: Any, tmp_path: Path) -> None:
    g, y = np.random.default_rng(0), np.arange(200) % 3
    np.savez(tmp_path / "points.npz", x=(y[:, None] + 0.1 * g.standard_normal((200, 2))).astype(np.float32), y=y)
    colours = np.eye(3)[y][:, None, None, :] * 200 + g.integers(0, 55, (200, 8, 8, 3))
    np.savez(tmp_path / "colours.npz", x=colours.astype(np.uint8), y=y)
    for name in ("points", "colours"):
        judge = extractor(Data(str(tmp_path / f"{name}.npz"), range="raw"), "numpy")
        assert judge.record.accuracy == 1.0 and judge.record.held_rows == 20
