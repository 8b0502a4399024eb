"""The command line as a user meets it: what works, and one clear line for each mistake."""

import gzip
import io
import json
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import PYTHON, environment
from runs import SMALL, run

from minigan import __version__, cli
from minigan.backends import oracle
from minigan.errors import BackendError
from minigan.training import checkpoint, parts

VERIFIED = "verified on the oracle"
TINY = [part for text in SMALL for part in ("--set", text)]
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


class Result:
    """What one command did."""

    def __init__(self, status: int, out: str, err: str):
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def minigan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    """Runs one command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)

    def call(*words: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["minigan", *words])
        monkeypatch.setattr(cli, "out_console", cli.Console(soft_wrap=True))
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        code = end.value.code
        return Result(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("cli") / "run", "train.steps=10")


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def size(path: str) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_train_sample_interpolate_resume(minigan: Callable[..., Result], tmp_path: Path) -> None:
    first = minigan("train", *TINY, "--steps", "10", "--backend", "numpy", "--seed", "3")
    assert first.status == 0 and "done: runs/digits-001" in first.out, first.err
    assert "backend numpy" in first.out and "step 5 " in first.out
    second = minigan("train", *TINY, "--steps", "5", "--backend", "numpy", "--seed", "3")
    assert "done: runs/digits-002" in second.out
    resumed = minigan("train", "--resume", "--out", "runs/digits-002", "--steps", "10")
    assert resumed.status == 0 and "going on from step-00000005" in resumed.out, resumed.err
    a, b = (checkpoint.load(checkpoint.resolve(tmp_path / "runs" / f"digits-00{k}")) for k in (1, 2))
    assert all(a.tensors[k].tobytes() == b.tensors[k].tobytes() for k in a.tensors)
    assert "EMA" in minigan("sample", "runs/digits-001", "-n", "7").out
    assert size("grid.png")[0] > 3 * 8
    assert minigan("interpolate", "runs/digits-001", "--out", "walk.gif").status == 0
    with Image.open("walk.gif") as gif:
        assert gif.n_frames == 2 * 96 - 2
    assert minigan("interpolate", "runs/digits-001", "--out", "walk.png").status == 0


def test_sample_writes_arrays_and_folders_with_the_same_bits(minigan: Callable[..., Result], trained: Path) -> None:
    for n in (1, 100):
        assert minigan("sample", str(trained), "-n", str(n), "--seed", "5", "--out", f"{n}.npy").status == 0
    one, many = np.load("1.npy"), np.load("100.npy")
    assert one.shape == (1, 8, 8, 1) and many.shape == (100, 8, 8, 1) and many.dtype == np.uint8
    assert one.tobytes() == many[:1].tobytes() and len(np.unique(many, axis=0)) > 90
    file = checkpoint.resolve(trained)
    assert minigan("sample", str(file), "-n", "3", "--seed", "5", "--out", "folder").status == 0
    assert tree(Path("folder")) == ["00000.png", "00001.png", "00002.png"]
    with Image.open("folder/00002.png") as image:
        assert np.array_equal(np.asarray(image), many[2, :, :, 0])
    again = minigan("sample", str(file), "-n", "3", "--out", "folder")
    assert again.status == 2 and "not an empty folder" in again.err


def test_samples_and_walks_of_a_class(minigan: Callable[..., Result]) -> None:
    keys = ("--set", "model.condition=infogan", "--set", "train.n_critic=1", "--backend", "numpy", "--steps", "2")
    assert minigan("train", *TINY, *keys, "--out", "codes").status == 0
    for words in ((), ("--class", "7")):
        assert minigan("sample", "codes", "-n", "20", "--out", f"{len(words)}.npy", *words).status == 0
    mixed, sevens = np.load("0.npy"), np.load("2.npy")
    assert np.array_equal(mixed[7::10], sevens[7::10]) and not np.array_equal(mixed[6::10], sevens[6::10])
    assert minigan("sample", "codes", "-n", "30", "--out", "rows.png").status == 0
    assert size("rows.png")[1] > 3 * size("rows.png")[0], "a row for each class"
    assert minigan("interpolate", "codes", "--class", "3", "--out", "walk.png").status == 0
    assert "a walk along code 1" in minigan("interpolate", "codes", "--code", "1", "--out", "code.gif").out
    for command in (("sample", "codes", "--class", "ten"), ("interpolate", "codes", "--code", "2", "--out", "x.png")):
        refused = minigan(*command)
        assert refused.status == 2 and refused.err.count("\n") == 1 and not Path("grid.png").exists(), refused.err
    assert not Path("x.png").exists() and "give one of 0, 1, 2" in minigan("sample", "codes", "--class", "ten").err


def test_a_run_begins_with_another_and_leaves(minigan: Callable[..., Result], trained: Path, tmp_path: Path) -> None:
    assert "28 arrays" in minigan("export", str(trained), "w.safetensors").out
    for source, freeze in ((str(trained), "g.0"), ("w.safetensors", "g.5")):
        how = ("--steps", "1", "--backend", "numpy", "--init-from", source, "--set", f"g.freeze={freeze}")
        shown = minigan("train", *TINY, *how, "--dry-run")
        assert "took g.0.w (5, 24)" in shown.out and "frozen" in shown.out, shown.err
        ended = minigan("train", *TINY, *how, "--out", freeze)
        assert "took g.0.w (5, 24)" in ended.out and "did not take" not in ended.out, ended.err
        again = minigan(
            "train",
            "digits",
            *TINY,
            "--backend",
            "numpy",
            "--set",
            f"g.freeze={freeze}",
            "--resume",
            "--out",
            freeze,
            "--steps",
            "2",
        )
        assert again.status == 0 and "begun" not in again.out, again.err
    wrong = minigan("export", str(trained), "pngs")
    assert wrong.status == 2 and "minigan sample RUN -n N --out FOLDER" in wrong.err
    assert not (tmp_path / "pngs").exists()


def test_dry_run_writes_nothing(minigan: Callable[..., Result], tmp_path: Path) -> None:
    shown = minigan("train", "--dry-run", *TINY)
    assert shown.status == 0 and tree(tmp_path) == []
    for word in ("g.3", "ConvTranspose2d", "(50, 4, 4, 4)", "parameters", "MiB", "steps", "about"):
        assert word in shown.out, shown.out


def test_presets_data_doctor_gradcheck(minigan: Callable[..., Result], shared_data: Path) -> None:
    listed = minigan("presets").out
    assert all(name in listed for name in ("digits", "mlp-mnist", "dcgan-mnist", "35 s", "33 min"))
    Path("own.toml").write_text(minigan("presets", "dcgan-mnist").out)
    assert "(64, 28, 28, 1)" in minigan("train", "own.toml", "--dry-run", "--data", str(shared_data / "mnist")).out
    sets = minigan("data").out
    assert all(name in sets for name in ("digits", "mnist", "fashion-mnist", "ring8", "grid25", "moons"))
    report = minigan("doctor")
    assert report.status == 0 and all(w in report.out for w in ("numpy", "cpp", "cuda", "threads", "auto"))
    checked = minigan("gradcheck", "--op", "linear")
    assert checked.status == 0 and "linear" in checked.out and "pass" in checked.out


def test_two_dimensional_toys_train_and_draw(minigan: Callable[..., Result]) -> None:
    settings = ["--set", "model.output=none", "--set", "model.act_d=leaky_relu", "--set", "model.dropout=0.0"]
    done = minigan("train", "--data", "ring8", *settings, "--steps", "20", "--out", "toy")
    assert done.status == 0 and size("toy/samples.png") == (500, 500), done.err
    assert minigan("sample", "toy", "--out", "points.png", "-n", "200").status == 0 and size("points.png") == (500, 500)
    assert minigan("sample", "toy", "--out", "points.npy", "-n", "9").status == 0
    assert np.load("points.npy").shape == (9, 2) and np.load("points.npy").dtype == np.float32
    assert "no image" in minigan("interpolate", "toy").err
    assert "no image" in minigan("sample", "toy", "--out", "folder").err


def png_claiming(width: int, height: int) -> bytes:
    """A PNG header that promises width x height pixels and holds none."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return data + b"\0\0\0\0IEND\xaeB`\x82"


def idx_images(n: int, size: int = 28) -> bytes:
    return struct.pack(">IIII", 0x803, n, size, size) + bytes(n * size * size)


def bad_files(folder: Path) -> dict[str, tuple[str, ...]]:
    """Bad data by name, each with words its error must hold."""
    for name in ("truncated", "magic", "disagree", "none", "small", "huge"):
        (folder / name).mkdir()
    (folder / "truncated" / f"{IMAGES}.gz").write_bytes(gzip.compress(idx_images(100))[:-20])
    (folder / "magic" / IMAGES).write_bytes(b"\0\0\x09\x03" + idx_images(3)[4:])
    (folder / "disagree" / IMAGES).write_bytes(idx_images(70))
    (folder / "disagree" / LABELS).write_bytes(struct.pack(">II", 0x801, 69) + bytes(69))
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a/0.png", bytes(200 << 20))
    with (folder / "pickled.npy").open("wb") as f:
        np.save(f, np.array([{}] * 80), allow_pickle=True)
    (folder / "huge" / "one.png").write_bytes(png_claiming(40_000, 25_000))
    for k in range(70):
        image = io.BytesIO()
        Image.fromarray(np.full((2, 2), k, np.uint8)).save(image, "PNG")
        (folder / "small" / f"{k}.png").write_bytes(image.getvalue())
    return {
        "missing": ("missing", "no path that exists", "minigan data"),
        "truncated": (IMAGES, "truncated"),
        "magic": (IMAGES, "magic"),
        "disagree": ("70", "69", "labels"),
        "bomb.zip": ("bomb.zip", "a/0.png"),
        "pickled.npy": ("pickled.npy", "object"),
        "huge": ("one.png", "pixels"),
        "none": ("none", "no "),
        "small": ("2x2", "give data.size"),
    }


def test_bad_data_ends_in_one_line_and_writes_nothing(minigan: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    for name, words in bad_files(folder).items():
        before = tree(tmp_path)
        ended = minigan("train", "dcgan-mnist", "--data", str(folder / name), "--out", "run")
        assert ended.status == 2, (name, ended.err)
        assert ended.err.startswith("minigan: ") and ended.err.count("\n") == 1, ended.err
        assert all(word in ended.err for word in words), (words, ended.err)
        assert tree(tmp_path) == before, name


MISTAKES = {
    "unknown preset": (["train", "digit"], ("'digit'", "did you mean 'digits'?")),
    "unknown key": (["train", "--set", "g.learning_rate=1"], ("g.learning_rate", "no such key")),
    "unknown section": (["train", "--set", "q.lr=1"], ("q.lr", "did you mean")),
    "seed beyond 64 bits": (["sample", ".", "--seed", "99999999999999999999"], ("--seed",)),
    "own loss without a module": (["train", "--set", "loss.name=:foo"], (":foo", "cannot be imported")),
    "own family that is not there": (["train", "--set", "model.family=nowhere:nets"], ("nowhere:nets", "PYTHONPATH")),
    "unbounded critic": (["train", "--set", "loss.name=wasserstein"], ("train.weight_clip",)),
    "toys under tanh": (["train", "--data", "ring8"], ("vectors", "model.output=none")),
    "more than memory": (["train", "--set", "model.widths_g=[1000000000000]"], ("memory",)),
    "a number without end": (["train", "--set", f"g.lr=1{'0' * 400}"], ("g.lr", "a number")),
    "digits without end": (["train", "--set", f"train.steps=1{'0' * 5000}"], ("train.steps", "a whole number")),
    "too many samples": (["sample", ".", "-n", str(10**18)], ("-n",)),
    "not Unicode": (["train", "--data", "caf\udce9"], ("Unicode",)),
    "no value": (["train", "--set", "g.lr"], ("section.key=value",)),
    "ill-typed": (["train", "--set", "g.lr=fast"], ("g.lr = 'fast'", "a number")),
    "out of bounds": (["train", "--set", "model.z=0"], ("model.z = 0", "at least 1")),
    "unknown backend": (["train", "--backend", "numpi"], ("numpi", "numpy")),
    "no GPU": (["train", "--backend", "cuda"], ("cuda",)),
    "absent backend": (["train", "--backend", "cuda"], ("cuda",)),
    "unknown data": (["train", "--data", "mnits"], ("mnits", "did you mean 'mnist'?")),
    "absent data": (["train", "mlp-mnist"], ("minigan data fetch mnist", "train-images-idx3-ubyte.gz")),
    "both totals": (["train", "--steps", "1", "--epochs", "1"], ("give one of them",)),
    "batch too large": (["train", "--batch-size", "5000"], ("5000", "1797")),
    "range against output": (["train", "--set", "data.range=0..1"], ("tanh", "auto")),
    "resume without a run": (["train", "--resume"], ("--out RUN",)),
    "resume nowhere": (["train", "--resume", "--out", "nowhere"], ("nowhere",)),
    "begin with nothing": (["train", "--init-from", "nowhere"], ("nowhere", "used as a run")),
    "begin and go on": (["train", "--resume", "--out", ".", "--init-from", "."], ("--init-from begins a new run",)),
    "unknown layer": (["train", "--set", 'g.freeze=["g.9"]'], ("'g.9'", "did you mean 'g.2'?")),
    "export of nothing": (["export", "nowhere", "g.onnx"], ("nowhere",)),
    "sample of nothing": (["sample", "nowhere"], ("nowhere",)),
    "sample of a folder": (["sample", "."], ("not a run folder",)),
    "not a number": (["train", "--steps", "many"], ("--steps", "integer", "minigan train --help")),
    "unknown option": (["train", "--step", "3"], ("--step", "minigan train --help")),
    "unknown command": (["trian"], ("trian", "See minigan --help")),
    "no such TOML": (["train", "own.toml"], ("own.toml", "no such file")),
    "unknown op": (["gradcheck", "--op", "conv3d"], ("conv3d", "conv2d")),
    "unknown set to fetch": (["data", "fetch", "cifar"], ("cifar",)),
}


def test_a_plan_that_is_none_ends_in_one_line() -> None:
    command = [*PYTHON, "-m", "minigan", "train", "digits", "--dry-run"]
    ended = subprocess.run(command, env=environment(MINIGAN_PLAN="gemm"), capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and ended.stderr.startswith("minigan: MINIGAN_PLAN='gemm': 'gemm' is unknown; known: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_ends_in_one_line(minigan: Callable[..., Result], tmp_path: Path, case: str) -> None:
    words, expected = MISTAKES[case]
    ended = minigan(*words)
    assert ended.status == 2 and "Traceback" not in ended.err, ended.err
    assert all(word in ended.err for word in expected), ended.err
    assert tree(tmp_path) == []


def test_bad_checkpoints_and_outputs(minigan: Callable[..., Result], trained: Path, tmp_path: Path) -> None:
    whole = checkpoint.resolve(trained).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    cut = minigan("sample", "cut.safetensors")
    assert cut.status == 2 and "damaged" in cut.err
    for out in ("/proc/nothing/grid.png", "grid.bmp", "no/such/grid.png"):
        ended = minigan("sample", str(trained), "--out", out)
        assert ended.status == 2 and ended.err.count("\n") == 1, ended.err
    ended = minigan("train", "--out", "/proc/run", "--steps", "1")
    assert ended.status == 2 and "/proc/run" in ended.err
    ended = minigan("train", "--out", str(trained), "--steps", "1")
    assert ended.status == 2 and "--resume" in ended.err
    assert tree(tmp_path) == ["cut.safetensors"]


def test_own_toml_and_its_mistakes(minigan: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('preset = "digits"\n[train]\nsteps = 3\nbatch_size = 10\n')
    assert "done: runs/own-001" in minigan("train", "own.toml").out
    assert "90,688" in minigan("train", "own.toml", "--dry-run").out, "the preset that it names is its base"
    for text, word in (
        ("[train]\nstep = 3\n", "did you mean 'steps'?"),
        ("[trian]\nsteps = 3\n", "did you mean 'train'?"),
        ("[train\n", "not valid TOML"),
        ("[train]\nsteps = 3.5\n", "a whole number"),
    ):
        (tmp_path / "bad.toml").write_text(text)
        ended = minigan("train", "bad.toml")
        assert ended.status == 2 and word in ended.err and "bad.toml" in ended.err + " bad.toml", ended.err


OWN = """
from minigan.losses import make_loss
from minigan.models.layers import Linear, Reshape
from minigan.models.trees import Chain

def nets(model, shape):
    size = shape[0] * shape[1] * shape[2]
    return Chain(Linear(size), Reshape(*shape)), Chain(Reshape(-1), Linear(1))

def loss(smoothing):
    return make_loss("least-squares")

def lacking(smoothing):
    return 3

def few():
    return None
"""


def test_names_are_not_markup(minigan: Callable[..., Result]) -> None:
    done = minigan("train", *TINY, "--steps", "1", "--out", "my [red] a[bold]")
    assert done.status == 0 and "done: my [red] a[bold]" in done.out, done.err
    assert minigan("sample", "my [red] a[bold]", "--out", "[bold].png").out.startswith("[bold].png: ")


def test_version(minigan: Callable[..., Result]) -> None:
    assert minigan("--version").out == f"minigan {__version__}\n"


def test_own_networks_and_losses(
    minigan: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    (tmp_path / "mine.py").write_text(OWN)
    own = ["--set", "model.family=mine:nets", "--set", "model.output=none", "--set", "data.range=-1..1"]
    done = minigan("train", *own, "--set", "loss.name=mine:loss", "--steps", "3", "--out", "run")
    assert done.status == 0, done.err
    assert minigan("sample", "run").status == 0
    for name, words in (("mine:lacking", "critic"), ("mine:few", "arguments"), ("mine:none", "cannot be imported")):
        ended = minigan("train", "--set", f"loss.name={name}", "--steps", "3", "--out", "other")
        assert ended.status == 2 and words in ended.err and not (tmp_path / "other").exists(), ended.err
    ended = minigan("train", "--set", "model.family=mine:loss", "--steps", "3", "--out", "other")
    assert ended.status == 2 and "arguments" in ended.err


def test_resume_takes_the_preset_again_or_refuses_another(minigan: Callable[..., Result]) -> None:
    assert minigan("train", "digits", *TINY, "--steps", "2", "--out", "run").status == 0
    assert minigan("train", "digits", *TINY, "--steps", "4", "--out", "run", "--resume").status == 0
    ended = minigan("train", "digits", "--steps", "6", "--out", "run", "--resume")
    assert ended.status == 2 and "model.family" in ended.err and "leave PRESET out" in ended.err


def test_a_closed_pipe_does_not_end_training(tmp_path: Path) -> None:
    command = [*PYTHON, "-m", "minigan", "train", *TINY, "--steps", "60", "--out", "run"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr and process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 0 and err == "", err
    assert checkpoint.load(checkpoint.resolve(tmp_path / "run")).step == 60


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_says_how_to_go_on(tmp_path: Path, number: int) -> None:
    command = [*PYTHON, "-m", "minigan", "train", *TINY, "--steps", "100000", "--out", "run"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        log = tmp_path / "run" / "log.jsonl"
        for _ in range(600):
            if log.exists() and log.stat().st_size:
                break
            time.sleep(0.1)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "minigan train --resume --out run" in out, out
    last = json.loads(log.read_text().splitlines()[-1])["step"]
    assert last <= checkpoint.load(checkpoint.resolve(tmp_path / "run")).step


def test_verify_prints_what_it_checked(minigan: Callable[..., Result]) -> None:
    done = minigan("train", "digits", "--steps", "11", "--backend", "numpy", "--verify", "5")
    assert done.status == 0 and f"{VERIFIED}: 228 calls of 14 ops in 3 steps; the worst of each" in done.out, done.err
    assert [line.split()[0] for line in done.out.splitlines()].count("linear_wgrad") == 1
    for given in ("0", "-3", "x"):
        wrong = minigan("train", *TINY, "--steps", "2", "--verify", given)
        assert wrong.status == 2 and wrong.err.count("\n") == 1 and "--verify" in wrong.err


def test_a_wrong_kernel_ends_a_verified_run_in_one_line(
    minigan: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Broken:
        """The oracle, but that its dense layer forgets the bias."""

        def __getattr__(self, key: str) -> object:
            return getattr(oracle, key)

        def linear(self, x: np.ndarray, w: np.ndarray, b: np.ndarray, act: object = None) -> np.ndarray:
            return oracle.linear(x, w, b + np.float32(1), act)

    monkeypatch.setattr(parts, "open_backend", lambda *given: (Broken(), "backend numpy"))
    result = minigan("train", "digits", "--steps", "2", "--backend", "numpy", "--verify", "1", "--out", "run")
    assert result.status == 1 and result.err.count("\n") == 1 and "Traceback" not in result.err
    assert result.err.startswith("minigan: stopped at step 1: g.0, forward: linear, output 0 (64, "), result.err
    assert VERIFIED in result.out and tree(tmp_path / "run" / "checkpoints") == []


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan that `minigan tune` wrote for TINY."""
    from minigan.backends import load

    try:
        isa = load("cpp").ISA
    except BackendError as e:
        pytest.skip(str(e))
    out = tmp_path_factory.mktemp("tune") / "plan.json"
    command = [*PYTHON, "-m", "minigan", "tune", "digits", *TINY, "--out", str(out)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    content = json.loads(out.read_text())
    assert content["isa"] == isa and f"{len(content['rows'])} rows for {isa}" in done.stdout
    for row in content["rows"]:
        op, image, *_, name = row.split()
        line = next(line for line in done.stdout.splitlines() if f" {op} " in line and f" {image} " in line)
        assert f" {name} " in line, "the chosen implementation stands in the table"
    return out


def all_by(tuned: Path, name: str, **changes: str) -> str:
    """The plan with every shape given to one implementation, as a file in the current folder."""
    content = json.loads(tuned.read_text()) | changes
    content["rows"] = [f"{row.rpartition(' ')[0]} {name}" for row in content["rows"]]
    Path(f"{name}.json").write_text(json.dumps(content))
    return f"{name}.json"


def test_a_plan_is_followed_recorded_and_kept(
    minigan: Callable[..., Result], tuned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = minigan("train", *TINY, "--dry-run", "--plan", all_by(tuned, "fft"))
    assert shown.status == 0 and "fft, fft, fft" in shown.out, shown.err
    built_in = minigan("train", *TINY, "--dry-run").out
    assert "im2col, im2col" in built_in and "fft" not in built_in
    for folder, name, steps in (("whole", "fft", "10"), ("again", "fft", "6"), ("other", "direct", "10")):
        done = minigan("train", *TINY, "--plan", all_by(tuned, name), "--steps", steps, "--out", folder)
        assert done.status == 0 and "a plan of" in done.out, done.err
    assert minigan("train", *TINY, "--steps", "10", "--out", "built-in").status == 0
    Path("fft.json").unlink()
    resumed = minigan("train", "--resume", "--out", "again", "--steps", "10")
    assert resumed.status == 0 and "a plan of" in resumed.out and "bits may differ" not in resumed.out, resumed.err
    runs = {name: checkpoint.load(checkpoint.resolve(Path(name))) for name in ("whole", "again", "other", "built-in")}
    bits = {name: b"".join(a.tobytes() for a in saved.tensors.values()) for name, saved in runs.items()}
    assert bits["again"] == bits["whole"] != bits["other"] and bits["whole"] != bits["built-in"]
    rows = runs["again"].meta["config"]["plan"]["rows"]
    assert rows and all(row.endswith(" fft") and row in Path("again/config.toml").read_text() for row in rows)
    for folder in ("whole", "again"):
        assert minigan("sample", folder, "--out", f"{folder}.npy").status == 0
    assert np.load("whole.npy").tobytes() == np.load("again.npy").tobytes()
    changed = minigan("train", "--resume", "--out", "again", "--plan", all_by(tuned, "direct"))
    assert changed.status == 2 and "cannot change plan.rows" in changed.err
    monkeypatch.setenv("MINIGAN_PLAN", "direct")  # read at import, so nothing is forced here, but it is on record
    assert "MINIGAN_PLAN: None -> direct" in minigan("train", "--resume", "--out", "again", "--steps", "11").out


def test_a_run_goes_on_where_its_plan_does_not_apply(minigan: Callable[..., Result], tuned: Path) -> None:
    assert minigan("train", *TINY, "--plan", all_by(tuned, "fft"), "--steps", "2", "--out", "run").status == 0
    for path in Path("run").rglob("*"):
        if path.suffix == ".safetensors":
            path.unlink()
    config = Path("run/config.toml")
    isa = json.loads(tuned.read_text())["isa"]
    config.write_text(config.read_text().replace(f'isa = "{isa}"', 'isa = "sse9"'))
    resumed = minigan("train", "--resume", "--out", "run")
    assert resumed.status == 0 and "plan is for instruction set sse9" in resumed.out, resumed.err
    assert "the built-in one serves" in resumed.out
    assert minigan("sample", "run").status == 0
    assert 'isa = "sse9"' in config.read_text()


def test_a_plan_that_does_not_fit_is_refused(minigan: Callable[..., Result], tuned: Path, tmp_path: Path) -> None:
    all_by(tuned, "magic")
    all_by(tuned, "fft", isa="sse9")
    wide = json.loads(tuned.read_text()) | {"rows": ["conv2d 50x8x8x1 9x9x1x4 2x2 fft"]}
    Path("wide.json").write_text(json.dumps(wide))
    Path("good.json").write_text(tuned.read_text())
    before = tree(tmp_path)
    for words, expected in {
        ("--plan", "magic.json"): ("magic.json", "'magic' is unknown", "known: direct, fft, im2col"),
        ("--plan", "fft.json"): ("instruction set 'sse9'", "minigan tune"),
        ("--plan", "wide.json"): ("wide.json", "fft takes strides to 2 and kernels to 7", "9x9"),
        ("--plan", "absent.json"): ("absent.json", "no such plan file", "minigan tune PRESET --out absent.json"),
        ("--plan", "."): ("no such plan file",),
        ("--plan", "good.json", "--backend", "numpy"): ("backend numpy", "leave it out"),
        ("--set", "plan.rows=[3]"): ("plan.rows", "a list of texts"),
        ("--set", 'plan.rows="conv2d"'): ("plan.rows", "must read op image kernel stride implementation"),
    }.items():
        ended = minigan("train", *TINY, *words, "--out", "run")
        assert ended.status == 2 and ended.err.count("\n") == 1, (words, ended.err)
        assert all(word in ended.err for word in expected), (words, ended.err)
        assert tree(tmp_path) == before, words
    noted = minigan("train", *TINY, "--batch-size", "49", "--plan", "good.json", "--dry-run")
    assert noted.status == 0, noted.err
    started = minigan("train", *TINY, "--batch-size", "49", "--plan", "good.json", "--steps", "1", "--out", "run")
    assert "no row of the plan is for batches of 49" in started.out


def test_mistakes_of_tuning(minigan: Callable[..., Result], tuned: Path, tmp_path: Path) -> None:
    for words, expected in {
        ("digits",): ("no convolutions", "nothing to tune"),
        ("digit",): ("did you mean 'digits'",),
        ("digits", *TINY, "--out", "no/such/plan.json"): ("no/such/plan.json", "a folder that is there"),
        ("digits", *TINY, "--set", "train.dtype=float64"): ("float64",),
    }.items():
        ended = minigan("tune", *words)
        assert ended.status == 2 and ended.err.count("\n") == 1, (words, ended.err)
        assert all(word in ended.err for word in expected) and tree(tmp_path) == [], (words, ended.err)


def test_doctor_says_what_the_built_in_plan_is(minigan: Callable[..., Result]) -> None:
    from minigan.backends import load, plan

    try:
        isa = load("cpp").ISA
    except BackendError as e:
        pytest.skip(str(e))
    report = minigan("doctor").out
    assert all(f"plan       {line}" in report for line in plan.explain(isa)) and f"{isa}, all else: direct" in report
