"""The classifier: what it is trained on and judged by, its runs, what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datafiles import idx_bytes, mnist_folder, noise_picture
from PIL import Image
from runs import Notes, assert_same, state, timeless

import minigan
from minigan import config as configs
from minigan import data
from minigan.backends import oracle
from minigan.config import Config
from minigan.data.heldout import split
from minigan.errors import ConfigError, DataError, ShapeError
from minigan.models.classifiers import make_classifier
from minigan.tasks.classifier import Classifier
from minigan.training import export, log, preview
from minigan.training import run as runs
from minigan.training.parts import prepare
from minigan.training.trainer import train

SMALL = (
    "data.name=digits", "model.widths_d=[8]", "model.kernel=3", "model.dropout=0.25", "train.batch_size=50",
    "train.log_every=20", "d.horizon=100", "train.backend=numpy",
)  # fmt: skip


def small(*overrides: str) -> Config:
    return configs.load("classifier-mnist", [*SMALL, *overrides])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 steps on the built-in digits without a stop."""
    return train(small("train.steps=100"), tmp_path_factory.mktemp("whole") / "run")[0]


# Rows to judge by


def test_a_tenth_is_held_out_and_nothing_is_in_both() -> None:
    digits = data.load("digits", value_range=(0.0, 1.0))
    rows, held = split(digits)
    again, _ = split(digits)
    assert (len(rows), len(held)) == (1618, 179)
    parts = [part.rows.index for part in (rows, held)]  # type: ignore[attr-defined]
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(1797))
    for part, index in zip((rows, held), parts, strict=True):
        assert np.array_equal(part.read([0, 5]), digits.read(index[[0, 5]]))
        assert part.labels is not None and digits.labels is not None
        assert np.array_equal(part.labels, digits.labels[index])
    assert np.array_equal(again.rows.index, parts[0])  # type: ignore[attr-defined]
    assert set(held.labels if held.labels is not None else ()) == set(range(10))


def _with_tests(folder: Path, size: int = 6, labels: bool = True) -> Path:
    g = np.random.default_rng(0)
    mnist_folder(folder, g.integers(0, 256, (30, 6, 6), np.uint8), (np.arange(30) % 3).astype(np.uint8))
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(g.integers(0, 256, (7, size, size), np.uint8)))
    if labels:
        (folder / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes((np.arange(7) % 3).astype(np.uint8)))
    return folder


def test_test_files_are_what_is_judged_by(tmp_path: Path) -> None:
    given = data.load(str(_with_tests(tmp_path)), value_range=(-1.0, 1.0), size=4)
    rows, held = split(given, size=4)
    assert rows is given and len(held) == 7 and held.shape == (4, 4, 1) and held.value_range == (-1.0, 1.0)
    assert held.labels is not None and held.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert held.fingerprint != rows.fingerprint


def test_test_images_without_labels_are_no_test_files(tmp_path: Path) -> None:
    rows, held = split(data.load(str(_with_tests(tmp_path, labels=False)), value_range=None))
    assert (len(rows), len(held)) == (27, 3)


def test_test_images_of_another_size_and_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"its test images are \(5, 5, 1\), but its training images are \(6, 6, 1\)"):
        split(data.load(str(_with_tests(tmp_path, size=5)), value_range=None))
    np.savez(tmp_path / "few.npz", x=np.zeros((9, 4, 4), np.uint8), y=np.arange(9))
    with pytest.raises(DataError, match=r"of 9 rows no tenth can be held out; give 10 or more"):
        split(data.load(str(tmp_path / "few.npz"), value_range=None))


# Runs


def test_it_learns_and_says_so(whole: Path) -> None:
    lines = log.read(whole)
    assert [line["step"] for line in lines] == [20, 40, 60, 80, 100]
    for line in lines:
        keys = "step epoch loss loss_held accuracy grad_norm_d lr_d images_per_s elapsed_s"
        assert list(line) == keys.split() and all(np.isfinite(v) for v in line.values()) and line["grad_norm_d"] > 0
    assert lines[-1]["accuracy"] > 0.9 and lines[-1]["loss_held"] < 0.5 * lines[0]["loss_held"]
    assert {p.name for p in whole.iterdir()} == {
        *("config.toml", "log.jsonl", "layers.jsonl", "samples", "samples.png", "losses.png", "checkpoints"),
    }


def test_every_parameter_moves(whole: Path) -> None:
    task = prepare(small()).task
    saved = state(whole).tensors
    still = [name for name, a in task.tensors().items() if np.array_equal(a, saved[name])]
    assert still == []


def test_resume_equals_the_uninterrupted_run(whole: Path, tmp_path: Path) -> None:
    out, _ = train(small("train.steps=37"), tmp_path / "run")
    train(small("train.steps=100"), out, resume=True)
    assert_same(state(out), state(whole))
    assert timeless(out) == timeless(whole)
    assert (out / "samples.png").read_bytes() == (whole / "samples.png").read_bytes()


def test_the_log_is_of_all_held_out_rows_and_without_l2(whole: Path) -> None:
    """Worked out again from the run's own weights, one image at a time."""
    task: Any = runs.load(whole, "numpy").task
    _, held = split(data.load("digits", value_range=(-1.0, 1.0)))
    assert held.labels is not None
    losses, right = [], 0
    for i, label in enumerate(held.labels):
        logits, _ = task.D.forward(held.read([i]), "running")
        losses.append(oracle.softmax_cross_entropy(logits.astype(np.float64), np.array([label]))[0])
        right += int(logits.argmax() == label)
    last = log.read(whole)[-1]
    assert last["accuracy"] == right / 179
    assert last["loss_held"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_verify_finds_every_op_within_its_bound(tmp_path: Path) -> None:
    notes = Notes()
    train(small("train.steps=3", "model.norm_d=spectral"), tmp_path / "run", reporter=notes, verify=1)
    (line,) = [text for text in notes.notes if text.startswith("verified")]
    assert "in 3 steps" in line
    assert any(text.startswith("softmax_cross_entropy ") for text in notes.notes)


def test_a_dry_run_shows_the_network() -> None:
    shown = preview.preview(small("train.steps=3"))
    assert [row[1] for row in shown.layers] == [
        *("input", "Conv2d", "BatchNorm", "Dropout", "Reshape", "Linear", "BatchNorm", "Dropout", "Linear"),
    ]
    assert shown.layers[-1][2] == "(50, 10)" and shown.lines[0] == "D 18,018 parameters"


def test_the_preset_runs(tmp_path: Path) -> None:
    """As it stands, for a few steps, on small data."""
    overrides = ["data.name=digits", "train.steps=30", "train.log_every=10"]
    out, _ = train(configs.load("classifier-mnist", overrides), tmp_path / "run")
    assert [line["step"] for line in log.read(out)] == [10, 20, 30]
    assert log.read(out)[-1]["accuracy"] > 0.5


def test_a_gans_d_is_a_beginning(tmp_path: Path) -> None:
    """--init-from takes D's convolutions, where they have the same names and shapes."""
    like = ("model.family=dcgan", "model.widths_d=[8]", "model.kernel=3", "model.strides_g=[2]", "model.widths_g=[4]")
    gan, _ = train(configs.load("digits", [*like, "train.steps=1", "train.backend=numpy"]), tmp_path / "gan")
    task = prepare(small("model.norm_d=none")).task
    from minigan.training import transfer

    begun = transfer.begin(task, str(gan))
    assert begun is not None and begun.taken == ("d.0.w (3, 3, 1, 8)", "d.0.b (8,)")
    assert np.array_equal(task.tensors()["d/d.0.w"], state(gan).tensors["d/d.0.w"])


def _colours(folder: Path, n: int = 15) -> Path:
    """A folder of class folders: red noise and blue noise."""
    for k, name in enumerate(("red", "blue")):
        (folder / name).mkdir(parents=True)
        for i in range(n):
            _, pixels = noise_picture(100 * k + i, (9, 8))
            pixels[..., 2 * k] //= 4
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def test_class_folders_in_colour_are_learned(tmp_path: Path) -> None:
    keys = (f"data.name={_colours(tmp_path / 'data')}", "train.batch_size=9", "train.steps=40")
    out, _ = train(small(*keys), tmp_path / "run")
    assert log.read(out)[-1]["accuracy"] == 1.0
    with Image.open(out / "samples.png") as picture:
        assert picture.mode == "RGB"


def test_vectors_are_learned_and_have_no_picture(tmp_path: Path) -> None:
    y = np.arange(90) % 3
    x = y[:, None] + 0.1 * np.random.default_rng(0).standard_normal((90, 4))
    np.savez(tmp_path / "x.npz", x=x.astype(np.float32), y=y)
    keys = (f"data.name={tmp_path / 'x.npz'}", "data.range=raw", "train.batch_size=27", "train.steps=40", "d.lr=0.05")
    out, _ = train(small(*keys), tmp_path / "run")
    assert log.read(out)[-1]["accuracy"] == 1.0 and not (out / "samples.png").exists()


# The picture


class Sure(Classifier):
    """Says of image i what its first two pixels say: class and how sure."""

    def logits(self, x: Any) -> Any:
        out = np.zeros((len(x), self.classes))
        out[np.arange(len(x)), x[:, 0, 0, 0].astype(int)] = x[:, 0, 1, 0]
        return out


def _table(true: list[int], said: list[int], sure: list[float], classes: int) -> Any:
    task = Sure(small(), oracle, (8, 8, 1), classes)
    x = np.zeros((len(true), 8, 8, 1), np.uint8)
    x[:, 0, 0, 0], x[:, 0, 1, 0], x[:, 7, 7, 0] = said, sure, np.arange(len(true))
    task.held = data.dataset.from_arrays("x", "x", x, np.array(true), data.dataset.Wanted(None, None, None))
    return task.picture("grid", 64, x)


def test_the_picture_has_a_row_per_class_a_column_per_verdict_and_the_surest_image_in_each_cell() -> None:
    table = _table([0, 0, 1, 2, 2, 2, 2], [0, 0, 1, 1, 1, 1, 2], [9, 5, 1, 2, 7, 3, 1], 3).reshape(3, 3, 8, 8)
    shown = {(i, j): int(table[i, j, 7, 7]) for i in range(3) for j in range(3) if table[i, j].max() > -1}
    assert shown == {(0, 0): 0, (1, 1): 2, (2, 1): 4, (2, 2): 6}
    assert (table[0, 1] == -1).all()  # dark


def test_of_many_classes_those_with_mistakes_are_shown() -> None:
    true = list(range(20))
    said = [*range(18), 17, 18]  # 18 and 19 are taken for others
    table = _table(true, said, [3.0] * 20, 20).reshape(16, 16, 8, 8)
    shown = {(i, j): int(table[i, j, 7, 7]) for i in range(16) for j in range(16) if table[i, j].max() > -1}
    assert shown == {(i, i): i for i in range(13)} | {(13, 13): 17, (14, 13): 18, (15, 14): 19}


# Refusals


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("train.ema=0.9", "train.ema"),
        ("penalty.name=r1", "penalty"),
        ("g.lr=0.1", "g"),
        ("loss.name=hinge", "loss"),
        ("model.packing=2", "model.packing"),
    ],
)
def test_keys_that_mean_nothing_are_refused(key: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} means nothing to task.name classifier; leave it out$"):
        small(key)


def test_data_without_labels_or_with_one_class_or_too_small_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((60, 8, 8), np.uint8))
    with pytest.raises(ConfigError, match=r"task classifier learns from labels, but .*x.npy has none"):
        prepare(small(f"data.name={tmp_path / 'x.npy'}"))
    model = small().model
    with pytest.raises(ConfigError, match=r"tells classes apart, but the data has 1; give data with two or more"):
        make_classifier(model, (8, 8, 1), 1)
    with pytest.raises(ShapeError, match=r"images of 1x8 are smaller than the 1 halvings of model.widths_d want"):
        make_classifier(model, (1, 8, 1), 2)
    with pytest.raises(ConfigError, match=r"model.norm_d instance is for images"):
        make_classifier(small("model.norm_d=instance").model, (8, 8, 1), 2)


def test_nothing_is_drawn_from_a_classifier(whole: Path, tmp_path: Path) -> None:
    opened = minigan.load(whole, "numpy")
    for ask in (lambda: opened.sample(1), lambda: opened.interpolate()):
        with pytest.raises(ConfigError, match=r"classifier draws no samples from a z; give one of gan or vae"):
            ask()
    with pytest.raises(ConfigError, match=r"a run of task classifier has no generator; give --net d, or"):
        export.run_itself(opened, tmp_path / "g.onnx")
    assert export.run_itself(opened, tmp_path / "w.safetensors") == "12 arrays of step 100 in PyTorch's layouts"
    assert list(tmp_path.iterdir()) == [tmp_path / "w.safetensors"]


def test_tune_finds_its_convolutions_those_of_its_verdicts_too() -> None:
    from minigan.study import tune

    _, calls = tune.prepared(small())
    assert [(call.key[0], call.key[1][0]) for call in calls] == [("conv2d", 50), ("conv2d_wgrad", 50), ("conv2d", 64)]
