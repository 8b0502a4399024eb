"""The GAN of signals: its nets, its steps on two backends, its pictures and sounds, and its ONNX form."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runs import timeless

from minigan import config as configs
from minigan import data
from minigan.config import Config, Model
from minigan.data import waves
from minigan.errors import ConfigError, ShapeError
from minigan.evaluate import restore
from minigan.models.builders import make_nets
from minigan.models.layers import BatchNorm, Conv2d, ConvTranspose2d, LayerNorm
from minigan.models.net import Net
from minigan.training import export, pictures
from minigan.training import run as runs
from minigan.training.trainer import train

SMALL = (
    *("data.window=64", "model.z=3", "model.width=2", "model.kernel=9"),
    *("train.batch_size=8", "train.log_every=1", "train.grid_every=1000"),
)


def nets(shape: tuple[int, ...] = (1, 64, 1), **model: Any) -> tuple[Net, Net]:
    return make_nets(Model(family="wave", **model), shape, 0.0, 0.0)


def weights(net: Net) -> list[tuple[int, ...]]:
    return [layer.params["w"].shape for layer in net.layers if "w" in layer.params]


def small(*overrides: str) -> Config:
    return configs.load("wave", ["train.backend=numpy", *SMALL, *overrides])


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """Fewer tones than there are, since they are drawn anew whenever the set is opened."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waves, "COUNT", 12)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps on labelled tones."""
    return train(small("train.steps=4", "model.condition=projection"), tmp_path_factory.mktemp("wave") / "run")[0]


# --------------------------------------------------------------------------------------------------------------- nets


def test_a_width_gives_the_paper_s_nets() -> None:
    """arXiv:1802.04208, tables 3 and 4 with d = 64 and one channel: 16384 samples, from 16 x 1024 on."""
    g, d = nets((1, 16384, 1), width=64, kernel=25)
    assert weights(g) == [
        (100, 16 * 1024), (1, 25, 512, 1024), (1, 25, 256, 512), (1, 25, 128, 256), (1, 25, 64, 128), (1, 25, 1, 64)
    ]  # fmt: skip
    assert weights(d) == [
        (1, 25, 1, 64), (1, 25, 64, 128), (1, 25, 128, 256), (1, 25, 256, 512), (1, 25, 512, 1024), (16 * 1024, 1)
    ]  # fmt: skip
    convolutions = [layer for net in (g, d) for layer in net.layers if isinstance(layer, Conv2d | ConvTranspose2d)]
    assert {layer.stride for layer in convolutions} == {(1, 4)} and len(convolutions) == 10
    assert [a.out_shape[1] for a in d.layers[:5]] == [4096, 1024, 256, 64, 16]
    assert not any(isinstance(layer, BatchNorm) for net in (g, d) for layer in net.layers)


@pytest.mark.parametrize(("length", "start"), [(64, 16), (68, 17), (256, 16), (320, 5), (1024, 16), (4096, 16)])
def test_any_length_that_can_be_quartered(length: int, start: int) -> None:
    g, d = nets((1, length, 2), width=2, z=3, kernel=9)
    assert (g.out_shape, d.out_shape) == ((1, length, 2), (1,))
    assert min(a.out_shape[1] for net in (g, d) for a in net.layers if len(a.out_shape) == 3) == start


def test_lists_say_it_too_and_d_goes_the_way_back() -> None:
    g, d = nets((1, 60, 1), widths_g=(6, 4), strides_g=(5, 2), widths_d=(3, 7), kernel=9, norm_d="layer", dropout=0.1)
    assert [layer.out_shape for layer in g.layers] == [(36,), (1, 6, 6), (1, 30, 4), (1, 60, 1)]
    assert [layer.out_shape for layer in d.layers if isinstance(layer, Conv2d)] == [(1, 30, 3), (1, 6, 7)]
    assert sum(isinstance(layer, LayerNorm) for layer in d.layers) == 1


@pytest.mark.parametrize(
    ("shape", "model", "error", "says"),
    [
        (
            (28, 28, 1),
            {},
            ShapeError,
            r"makes signals \(1,L,C\), but the data's items are \(28, 28, 1\); give data\.win",
        ),
        ((2,), {}, ShapeError, r"makes signals \(1,L,C\), but the data's items are \(2,\)"),
        ((1, 66, 1), {"width": 2}, ShapeError, r"quarter signals, but 66 samples are no multiple of 4 above 16"),
        ((1, 16, 1), {"width": 2}, ShapeError, r"16 samples are no multiple of 4 above 16; give data\.window"),
        (
            (1, 66, 1),
            {"widths_g": (2,), "strides_g": (4,), "widths_d": (2,)},
            ShapeError,
            r"signals of 66 samples do not fit model\.strides_g \[4\]: the length must be a multiple of 4",
        ),
        (
            (1, 64, 1),
            {},
            ConfigError,
            r"strides_g has 3 strides, model\.widths_g 1 widths and model\.widths_d 1; wave ne",
        ),
    ],
)
def test_what_does_not_fit(shape: Any, model: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        nets(shape, **model)


# -------------------------------------------------------------------------------------------------------------- steps


@pytest.mark.parametrize(
    "keys",
    [
        ("model.norm_d=spectral",),
        ("model.norm_d=layer", "model.minibatch_stddev=0", "penalty.name=r1", "penalty.weight=0.1"),
        ("model.norm_d=none", "model.packing=2", "model.dropout=0.25", 'train.augment=["translation", "flip"]'),
        ("model.norm_d=spectral", "model.condition=projection"),
    ],
)
def test_steps_are_the_oracle_s(keys: tuple[str, ...], tmp_path: Path) -> None:
    """Plain descent, which does not make large what rounding makes small: 1e-5, for each number of each step."""
    plain = ("train.steps=5", "g.rule=sgd", "d.rule=sgd", "g.lr=0.01", "d.lr=0.01", "train.ema=0.9")
    logs = [
        timeless(train(small(*plain, *keys, f"train.backend={name}"), tmp_path / name)[0]) for name in ("numpy", "cpp")
    ]
    assert len(logs[0]) == 5
    for its, mine in zip(*logs, strict=True):
        for key in ("loss_d", "loss_g", "grad_norm_d", "grad_norm_g"):
            assert abs(mine[key] - its[key]) <= 1e-5 * max(1, abs(its[key])), (key, mine, its)


def test_an_autoencoder_of_signals(tmp_path: Path) -> None:
    keys = ("task.name=vae", "model.output=sigmoid", "model.norm_d=none", "train.ema=0", "train.steps=3")
    base = ["data.name=waves", "model.family=wave", "model.dropout=0", "train.backend=numpy", *SMALL, *keys]
    config = configs.load("digits", [*base, "loss.name=non-saturating", "d.lr=2e-4"])
    run = train(config, tmp_path / "run")[0]
    assert size(run / "samples.png")[0] > 500


# ------------------------------------------------------------------------------------------------- pictures and sounds


def test_a_curve_is_drawn_where_its_values_are() -> None:
    """Three signals in panels of 100 x 50 pixels: constant ones leave one dark line, at their height."""
    x = np.stack([np.full((1, 50, 1), v, np.float32) for v in (-0.8, 0.4, 3.0)])
    picture = pictures.signals(x, (-1.0, 1.0), columns=2, panel=(100, 50))
    assert picture.size == (200, 100)
    blue = np.asarray(picture)[..., 0] < 180  # of "C0"; zero lines are a light grey
    heights = [
        np.argwhere(blue[top : top + 50, left + 40 : left + 60])[:, 0] for top, left in ((0, 0), (0, 100), (50, 0))
    ]
    for rows, value in zip(heights, (-0.8, 0.4, 1.0), strict=True):
        assert len(rows) and np.abs(rows - 25 + 0.92 * 25 * value).max() <= 1.5, (value, rows)
    assert not blue[50:, 100:].any(), "no fourth"


def test_channels_have_colours_and_places_are_kept() -> None:
    x = np.stack([np.full((1, 50, 2), 0.5, np.float32)])
    x[..., 1] = -0.5
    there = np.asarray(pictures.signals(x, (-1.0, 1.0), columns=2, places=[3], panel=(100, 50)))
    assert np.array_equal(np.argwhere((there < 250).any(axis=2)).min(axis=0) >= (50, 100), [True, True])
    first, second = (there[top : top + 25, 150].astype(int) for top in (50, 75))
    assert (first[:, 2] - first[:, 0]).max() > 100 and (second[:, 0] - second[:, 2]).max() > 100, "blue above orange"


def test_a_run_draws_curves_by_class(trained: Path, tmp_path: Path) -> None:
    assert size(trained / "samples.png") == (10 * 140, 3 * 56), "a row per timbre"
    run = runs.load(trained, "numpy")
    assert run.sample(5).shape == (5, 1, 64, 1) and run.classes == ("pure", "hollow", "bright")
    export.samples(run, 7, 0, tmp_path / "x.png")
    assert size(tmp_path / "x.png") == (3 * 140, 3 * 56)
    export.samples(run, 4, 0, tmp_path / "one.png", "bright")
    assert size(tmp_path / "one.png") == (2 * 140, 2 * 56)
    for name, expected in (("walk.gif", (512, 192)), ("walk.png", (12 * 140, 8 * 56))):
        export.walk(run, 0, tmp_path / name)
        assert size(tmp_path / name) == expected
    with pytest.raises(ConfigError, match="no pictures and have no uint8 form"):
        run.sample(1, dtype="uint8")


def test_arrays_and_sounds_come_back_as_data(trained: Path, tmp_path: Path) -> None:
    run = runs.load(trained, "numpy")
    x = run.sample(4, 3)[:, 0]
    export.samples(run, 4, 3, tmp_path / "x.npy")
    export.samples(run, 4, 3, tmp_path / "sounds")
    assert np.array_equal(np.load(tmp_path / "x.npy"), x) and x.shape == (4, 64, 1) and x.dtype == np.float32
    heard = data.load(str(tmp_path / "sounds"), value_range=(-1.0, 1.0), window=64)
    assert heard.rate == 16_000 and len(heard) == 4
    np.testing.assert_allclose(heard.read(range(4))[:, 0], x, atol=2**-15)


def test_sounds_of_samples_in_0_to_1_use_the_whole_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = train(small("train.steps=1", "model.output=sigmoid"), tmp_path / "run")
    run = runs.load(out, "numpy")
    export.samples(run, 2, 0, tmp_path / "sounds")
    heard = data.load(str(tmp_path / "sounds"), value_range=(0.0, 1.0), window=64).read(range(2))
    np.testing.assert_allclose(heard, run.sample(2), atol=2**-16)


def test_data_without_a_rate_gives_no_sounds(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    run = runs.load(tmp_path / "run", "numpy")
    run.rate = None
    with pytest.raises(ConfigError, match=r"was trained on data that says no rate, which a \.wav needs; give a \.npy"):
        export.samples(run, 2, 0, tmp_path / "sounds")
    assert not (tmp_path / "sounds").exists()


def test_a_signal_is_restored(trained: Path, tmp_path: Path) -> None:
    """Its missing middle, by a run without labels."""
    out, _ = train(small("train.steps=1"), tmp_path / "run")
    run = runs.load(out, "numpy")
    made = restore.inpaint_data(run, "", "centre", 3, restore.changed(restore.SETTINGS, 2, 1))
    assert np.array_equal(made.restored[:, :, :16], made.original[:, :, :16])
    assert not np.array_equal(made.restored[:, :, 16:48], made.original[:, :, 16:48])
    restore.draw(run, made, tmp_path / "x.png")
    assert size(tmp_path / "x.png") == (3 * 140, 3 * 56)


def test_the_generator_in_onnx(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    says = export.run_itself(runs.load(trained, "numpy"), tmp_path / "g.onnx")
    assert "gives 64 samples within" in says and (tmp_path / "g.onnx").stat().st_size > 1000
