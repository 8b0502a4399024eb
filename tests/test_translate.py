"""minigan translate, and a translator for other programs."""

import subprocess
from pathlib import Path

import cycles
import numpy as np
import pytest
from PIL import Image
from processes import PYTHON, environment
from runs import run as gan_run

import minigan
from minigan.errors import CheckpointError, ConfigError, ShapeError
from minigan.training import export, pictures
from minigan.training.parts import open_data
from minigan.training.translating import translations


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cycles.run(tmp_path_factory.mktemp("translate") / "run", "train.steps=3")


def pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image)


def test_an_array_and_a_folder_hold_the_translations(trained: Path, tmp_path: Path) -> None:
    run = minigan.load(trained)
    both = open_data(run.config)
    for direction, side in (("a-b", both.a), ("b-a", both.b)):
        assert translations(run, direction, "", 5, tmp_path / f"{direction}.npy") == 5
        x = np.load(tmp_path / f"{direction}.npy")
        assert x.shape == (5, 8, 8, 1) and x.dtype == np.uint8
        np.testing.assert_array_equal(x, run.translate(side.read(np.arange(5)), direction, "uint8"))
        translations(run, direction, "", 5, tmp_path / direction)
        files = sorted((tmp_path / direction).iterdir())
        np.testing.assert_array_equal([pixels(file) for file in files], x[..., 0])


def test_other_pictures_are_brought_to_the_runs_size_and_range(trained: Path, tmp_path: Path) -> None:
    run = minigan.load(trained)
    np.save(tmp_path / "large.npy", np.full((3, 16, 20, 3), 255, np.uint8))
    assert translations(run, "a-b", str(tmp_path / "large.npy"), 50, tmp_path / "out.npy") == 3
    np.testing.assert_array_equal(
        np.load(tmp_path / "out.npy"), run.translate(np.ones((3, 8, 8, 1), np.float32), "a-b", "uint8")
    )


def test_a_grid_has_picture_translation_and_way_back(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = minigan.load(trained)
    rows = []
    monkeypatch.setattr(pictures, "grid", lambda x, columns, grid=pictures.grid: rows.append(x) or grid(x, columns))
    translations(run, "b-a", "", 5, tmp_path / "grid.png")
    x = open_data(run.config).b.read(np.arange(5))
    there = run.translate(x, "b-a")
    for column, expected in enumerate((x, there, run.translate(there, "a-b"))):
        np.testing.assert_array_equal(rows[0][column::3], pictures.to_uint8(expected, run.picture_range))
    assert pixels(tmp_path / "grid.png").shape == (2 * 58 + 2, 12 * 58 + 2)
    translations(run, "b-a", "", 2, tmp_path / "grid.png")
    assert pixels(tmp_path / "grid.png").shape == (58 + 2, 6 * 58 + 2)


def test_mistakes_are_refused_and_nothing_is_written(trained: Path, tmp_path: Path) -> None:
    run, out = minigan.load(trained), tmp_path / "out.npy"
    with pytest.raises(ConfigError, match=r"--out .*out.gif'?: give a .png \(grid\), a .npy \(array\) or a folder"):
        translations(run, "a-b", "", 5, tmp_path / "out.gif")
    with pytest.raises(ConfigError, match="direction 'up' is unknown; known: a-b, b-a"):
        translations(run, "up", "nowhere", 5, out)
    with pytest.raises(ShapeError, match=r"the input of g_ab"):
        run.translate(np.zeros((2, 9, 9, 1), np.float32))
    with pytest.raises(ConfigError, match="dtype 'int8' is unknown"):
        run.translate(np.zeros((2, 8, 8, 1), np.float32), dtype="int8")
    with pytest.raises(ConfigError, match="a run of task cyclegan draws no samples from a z"):
        run.sample(3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(CheckpointError, match="full exists and is not an empty folder"):
        translations(run, "a-b", "", 5, tmp_path / "full")
    gan = minigan.load(gan_run(tmp_path / "gan", "train.steps=1"))
    with pytest.raises(ConfigError, match="a run of task gan translates no pictures; give one of cyclegan"):
        translations(gan, "a-b", "", 5, out)
    assert not out.exists()


def test_the_command(trained: Path, tmp_path: Path) -> None:
    def minigan_translate(*words: object) -> subprocess.CompletedProcess[str]:
        command = [*PYTHON, "-m", "minigan", "translate", str(trained), *map(str, words)]
        return subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False)

    done = minigan_translate("--direction", "b-a", "-n", 4)
    assert done.returncode == 0, done.stderr
    assert " ".join(done.stdout.split()) == "grid.png: 4 pictures, translated b-a by step 3"
    assert (tmp_path / "grid.png").is_file()
    wrong = minigan_translate("--data", "nowhere", "--out", "x.npy")
    assert wrong.returncode == 2 and wrong.stderr.startswith("minigan: data 'nowhere' is no built-in set")
    assert len(wrong.stderr.splitlines()) == 1 and not (tmp_path / "x.npy").exists()


def test_either_translator_as_onnx(trained: Path, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    run = minigan.load(trained)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 1)).astype(np.float32)
    for net, direction in (("g_ab", "a-b"), ("g_ba", "b-a")):
        said = export.run_itself(run, tmp_path / f"{net}.onnx", net)
        assert said.startswith(f"net {net} of step 3; passed onnx.checker, and onnxruntime ")
        session = onnxruntime.InferenceSession(str(tmp_path / f"{net}.onnx"), providers=["CPUExecutionProvider"])
        (y,) = session.run(["y"], {"x": x})
        np.testing.assert_allclose(y, run.translate(x, direction), atol=1e-5)
    for name, why in (("", "a run of task cyclegan has no generator"), ("g_cd", "net 'g_cd' is none of this run")):
        with pytest.raises(ConfigError, match=f"{why}; give --net g_ab or g_ba or d_a or d_b"):
            export.run_itself(run, tmp_path / "none.onnx", name)
    with pytest.raises(ConfigError, match=r"--net g_ab is for \.onnx"):
        export.run_itself(run, tmp_path / "none.safetensors", "g_ab")
    assert not list(tmp_path.glob("none*"))
