"""What `minigan report` gathers, held against the run's files and steps made by other means; the page as text."""

import base64
import hashlib
import json
import math
import re
import shlex
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cycles
import numpy as np
import pytest
from command_line import Result
from PIL import Image
from runs import small, state

from minigan import config as configs
from minigan.backends import load
from minigan.config import Config
from minigan.errors import CheckpointError
from minigan.evaluate import store
from minigan.evaluate.diagnose import diagnose
from minigan.study import inspect as inspecting
from minigan.study import report, roofs
from minigan.study.recording import Step
from minigan.study.report import curves, document, images, networks, opened, speed
from minigan.study.report.verdicts import verdict
from minigan.tasks import make_task
from minigan.training import log, pictures
from minigan.training.parts import prepare
from minigan.training.run import load as open_run
from minigan.training.trainer import train
from minigan.training.verdicts import WORDS

DENSE = ("train.backend=numpy", "model.z=4", "model.widths_g=[16]", "model.widths_d=[16]", "train.batch_size=16")


def digits(*overrides: str) -> Config:
    return configs.load("digits", [*DENSE, "train.grid_every=1", "train.log_every=4", *overrides])


@pytest.fixture(scope="module", autouse=True)
def _quick(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Ceilings measured in no time, and kept nowhere near the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roofs, "_EACH_S", 1e-4)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def dcgan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every state a run can have, two D steps among them; 80 steps, so that an epoch is done."""
    overrides = ("train.steps=80", "train.grid_every=1")
    return train(small(*overrides), tmp_path_factory.mktemp("dcgan") / "run")[0]


@pytest.fixture(scope="module")
def gathered(dcgan: Path) -> dict[str, Any]:
    return report.gather(report.open_run(dcgan))


# ----------------------------------------------------------------------------------------------------- all kinds of run

OFTEN = ("facts", "config", "reproduce", "log", "history", "samples", "network", "speed")
DRAWN = (*OFTEN, "interpolation", "nearest")
WAVE = ("train.backend=numpy", "data.window=64", "model.z=3", "model.width=2", "model.kernel=9", "train.batch_size=8")
VAE = ("data.name=digits", "model.z=4", "model.widths_g=[24]", "model.widths_d=[24]", "train.batch_size=50")
SUPERRES = (
    "data.name=digits",
    "task.factor=2",
    "task.width=4",
    "task.blocks=1",
    "task.l2_steps=2",
    "model.widths_d=[2, 3]",
    "train.batch_size=8",
)
FOUR = ("train.backend=numpy", "train.steps=4", "train.log_every=2", "train.grid_every=1000")
KINDS: dict[str, tuple[Callable[[], Config], tuple[str, ...]]] = {
    "points": (
        lambda: digits("train.steps=8", "data.name=ring8", "model.output=none", "loss.name=wasserstein",
                       "penalty.name=wgan-gp", "train.log_every=2"),
        OFTEN,
    ),
    "spectral": (lambda: digits("train.steps=4", "model.norm_d=spectral", 'g.freeze=["g.0"]'), DRAWN),
    "vae": (lambda: configs.load("vae-mnist", [*VAE, *FOUR]), DRAWN),
    "classifier": (
        lambda: configs.load("classifier-mnist", ["data.name=digits", "model.widths_d=[8]", *FOUR]),
        OFTEN,
    ),
    "cyclegan": (lambda: cycles.small(*FOUR), OFTEN),
    "superres": (lambda: configs.load("srgan-mnist", [*SUPERRES, *FOUR]), OFTEN),
    "wave": (lambda: configs.load("wave", [*WAVE, "train.steps=2", "train.log_every=1"]), DRAWN),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_task_has_what_applies_to_it(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from minigan.data import waves

    monkeypatch.setattr(waves, "COUNT", 12)
    make, expected = KINDS[kind]
    config = make()
    if kind == "superres":
        words = [
            "train.backend=numpy",
            "data.name=digits",
            "train.steps=8",
            "train.log_every=8",
            "model.widths_d=[4, 4]",
        ]
        judge, _ = train(configs.load("classifier-mnist", words), tmp_path / "classifier")
        config = configs.from_dict(config.to_dict(), config.preset, [("task.features", str(judge))])
    run, _ = train(config, tmp_path / "run")
    found = report.gather(report.open_run(run))
    assert sorted(found) == sorted(expected)
    lines = log.read(run)
    drawn = [s["key"] for chart in found["log"]["charts"] for s in chart["series"]]
    assert sorted(drawn) == sorted({key for line in lines for key in line} - {"step", "epoch", "elapsed_s"})
    for key in drawn:
        assert found["log"]["columns"][key] == [line.get(key) for line in lines]
    unseen = [layer["layer"] for layer in found["network"]["layers"] if layer["in_shape"] and not layer["passes"]]
    assert len(unseen) == (kind == "vae"), "a VAE's loss reads the logits, before its last layer"
    text = document.page("run", found)
    assert len(text.encode()) < 5_000_000 and json.loads(_data(text))["sections"] == json.loads(json.dumps(found))


def _data(text: str) -> str:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return str(found)


# --------------------------------------------------------------------------------------------------------- the verdict


def test_the_verdict_is_diagnose_s(tmp_path: Path) -> None:
    run, _ = train(configs.load("r1-grid25", ["train.steps=20"]), tmp_path / "run")
    said, told = diagnose(run), verdict(report.open_run(run))
    assert told is not None and told.splitlines()[0] == said["verdict"]
    for found in said["findings"]:
        assert f"{found['verdict']}: {found['says']}" in told and all(f"try {word}" in told for word in found["try"])
    for sign, value in said["signs"].items():
        assert f"\n{WORDS[sign]}: {value:.3g}" in told, told
    for sign, why in said["not_looked_at"].items():
        assert f"\nnot looked at: {WORDS[sign]}: {why}" in told, told
    assert said["findings"] and said["signs"] and said["not_looked_at"], "this run was chosen to have both"


def test_without_what_judges_samples_the_verdict_is_the_log_s(
    dcgan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "minigan.evaluate.diagnose")
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    said = verdict(report.open_run(dcgan))
    assert said is not None and said.startswith("by its log ") and "samples were not looked at" in said
    vae, _ = train(configs.load("vae-mnist", ["data.name=digits", "train.steps=2"]), tmp_path / "v")
    assert verdict(report.open_run(vae)) is None


# ------------------------------------------------------------------------------------------------------------ the step


def test_the_explored_step_is_the_one_that_comes_next(dcgan: Path, gathered: dict[str, Any]) -> None:
    """Made again by a task of its own: what it logs, every parameter's gradient, and how far it was moved."""
    saved = state(dcgan)
    parts = prepare(small("train.steps=80"), resume=True)
    parts.task.restore(saved.tensors, saved.meta["counters"])
    net = {name: parts.task.nets[name] for name in "gd"}
    before = {name: a.copy() for one in net.values() for name, a in one.tensors().items()}
    batches = [parts.batches.at(160 + k)[0].astype(np.float32) for k in (0, 1)]
    record = parts.task.step(batches, 80)
    found = gathered["network"]
    assert found["step"] == 81 and found["movers"] == ["d", "d", "g"]
    assert found["line"] == parts.task.line({key: float(v) for key, v in record.items()}, 81)
    gradients = {name: a for one in net.values() for name, a in one.layout.views(one.dp).items()}
    told = {layer["layer"]: layer for layer in found["layers"]}
    seen = 0
    for name, after in ((n, a) for one in net.values() for n, a in one.tensors().items() if n in gradients):
        layer, _, key = name.rpartition(".")
        own = next(p for p in told[layer]["parameters_of"] if p["arrays"][0]["name"] == key)
        _same(own["arrays"][0], before[name])
        _same(own["arrays"][1], gradients[name])
        length = float(np.linalg.norm(before[name]))
        expected = pytest.approx(float(np.linalg.norm(after - before[name])) / length, rel=1e-5) if length else None
        assert own["ratio"] == expected, name
        seen += 1
    assert seen == len(gradients) > 6


def _same(told: dict[str, Any], a: np.ndarray) -> None:
    assert told["shape"] == list(a.shape) and sum(told["histogram"]) == a.size
    assert told["rms"] == pytest.approx(math.sqrt(float(np.mean(a.astype(np.float64) ** 2))), rel=1e-5)
    assert (told["min"], told["max"]) == pytest.approx((float(a.min()), float(a.max())), rel=1e-5)
    assert told["zeros"] == pytest.approx(float(np.mean(a == 0)), rel=1e-5)


def test_passes_belong_together(gathered: dict[str, Any]) -> None:
    """D: twice forward and backward in each of its two steps, and in G's through it, where its first layer gives dx."""
    layers = {layer["layer"]: layer for layer in gathered["network"]["layers"]}
    first = layers["d.0"]
    assert [(p["sub"], p["mover"]) for p in first["passes"]] == [(1, "d"), (1, "d"), (2, "d"), (2, "d"), (3, "g")]
    names = [[a["name"] for a in p["arrays"]] for p in first["passes"]]
    assert names == [["x", "y", "dy"]] * 4 + [["x", "y", "dy", "dx"]]
    for layer in layers.values():
        for p in layer["passes"]:
            shapes = {a["name"]: a["shape"] for a in p["arrays"]}
            assert shapes["x"] == layer["in_shape"] and shapes["y"] == list(layer["shape"])
            assert shapes.get("dy", shapes["y"]) == shapes["y"] and shapes.get("dx", shapes["x"]) == shapes["x"]
    verdicts = [{a["name"]: a for a in p["arrays"]}["dy"] for p in gathered["network"]["layers"][-1]["passes"]]
    signs = [
        (dy["max"] <= 0, dy["min"] >= 0) for dy in verdicts
    ]  # D is to rise on real samples, fall on generated ones
    assert signs == [(True, False), (False, True)] * 2 + [(True, False)], verdicts
    # real images are the first pass' x, and what G made of z the second's
    real = prepare(small("train.steps=80")).batches.at(160)[0]
    _same(first["passes"][0]["arrays"][0], real)
    assert first["passes"][1]["arrays"][0]["rms"] != first["passes"][0]["arrays"][0]["rms"]
    assert {op["op"] for op in first["ops"]} >= {"conv2d", "conv2d_wgrad", "conv2d_dgrad"}
    assert all(op["formula"] and op["calls"] for layer in layers.values() for op in layer["ops"])


def test_shapes_work_and_saved_bytes_are_those_of_inspect(dcgan: Path, gathered: dict[str, Any]) -> None:
    rows = inspecting.rows(make_task(open_run(dcgan).config, load("numpy"), (8, 8, 1), 10))
    for row, layer in zip(rows, gathered["network"]["layers"], strict=True):
        assert {key: layer[key] for key in row._fields} == row._asdict()


def test_an_array_is_told_by_its_finite_values() -> None:
    told = networks.told("x", np.array([[0.0, 3.0], [np.nan, -4.0]], np.float32))
    assert told["not_finite"] == 1 and told["rms"] == pytest.approx(math.sqrt(25 / 3), rel=1e-5)
    assert (told["min"], told["max"], told["zeros"], sum(told["histogram"])) == (-4.0, 3.0, 0.333333, 3)
    assert networks.told("x", np.full(3, np.inf)) == {"name": "x", "shape": [3], "not_finite": 3}
    assert networks.told("x", np.full(3, 2.0))["histogram"] == [3]


# ------------------------------------------------------------------------------------------------------------- its time


def test_spans_lie_within_each_other_and_last_as_long_as_the_step(gathered: dict[str, Any]) -> None:
    spans = gathered["speed"]["timeline"]
    assert spans[0]["depth"] == 0 and spans[0]["name"] == "step 0"
    above: list[dict[str, Any]] = []
    for span in spans:
        above = above[: span["depth"]]
        assert len(above) == span["depth"]
        if above:
            assert above[-1]["start_us"] <= span["start_us"] + 1e-2
            assert span["start_us"] + span["elapsed_us"] <= above[-1]["start_us"] + above[-1]["elapsed_us"] + 1e-2, span
        above.append(span)
    assert {"data", "part 0", "part 1", "part 2", "g.0 forward", "conv2d", "adam_step"} <= {s["name"] for s in spans}


def test_the_roofline_has_each_op_that_computes(gathered: dict[str, Any]) -> None:
    found = gathered["speed"]
    computing = [row for row in found["rows"] if row[found["columns"].index("FLOP/B")] and row[10] and row[2]]
    assert len(found["roofline"]["ops"]) == len(computing)
    assert found["roofline"]["peak"] > 0 and {"memory"} <= {level["name"] for level in found["roofline"]["levels"]}


def test_the_usual_step_is_a_quiet_one() -> None:
    steps = [Step(0, 0, end, quiet) for end, quiet in ((1, False), (2, True), (3, True), (4, True), (9, False))]
    assert speed._usual(steps) is steps[2]
    assert speed._usual([step._replace(quiet=False) for step in steps]).end_s == 3


# ------------------------------------------------------------------------------------------------------------- pictures


def test_grids_have_their_steps_and_are_the_runs_own(dcgan: Path, gathered: dict[str, Any]) -> None:
    frames = gathered["samples"]["frames"]
    files = sorted((dcgan / "samples").glob("*.png"))
    assert [f["epoch"] for f in frames] == [int(path.stem[-4:]) for path in files] and len(files) == 4
    assert [f["step"] for f in frames] == [18, 35, 53, 70]  # 35 batches an epoch, two a step
    for frame, path in zip(frames, files, strict=True):
        with Image.open(path) as own, Image.open(_decoded(frame)) as shown:
            off = np.abs(np.asarray(own.convert("L"), int) - np.asarray(shown.convert("L"), int))
            assert shown.size == own.size == (frame["width"], frame["height"]) and off.mean() < 4


def _decoded(shown: dict[str, Any]) -> BytesIO:
    kind, _, text = shown["src"].partition(",")
    assert kind == "data:image/webp;base64"
    return BytesIO(base64.b64decode(text))


def test_neighbours_are_the_nearest_rows(dcgan: Path, gathered: dict[str, Any]) -> None:
    run = open_run(dcgan)
    rows = prepare(small("train.steps=80")).real_rows(10**6)
    made = run.sample(images.SAMPLES)
    away = ((made[:, None] - rows[None]) ** 2).reshape(len(made), len(rows), -1).sum(axis=2)
    nearest = np.argsort(away, axis=1, kind="stable")[:, : images.NEIGHBOURS]
    expected = pictures.samples(
        np.concatenate([made[:, None], rows[nearest]], axis=1).reshape(-1, 8, 8, 1), run.picture_range, columns=6
    )
    found = gathered["nearest"]
    assert found == images.encoded(expected) | {"rows": 1797, "of": 1797, "neighbours": images.NEIGHBOURS}
    walk = run.interpolate(0, images.CORNERS, images.LEG, dtype="float32").reshape(-1, 8, 8, 1)
    expected = pictures.samples(walk, run.picture_range, columns=images.LEG)
    assert gathered["interpolation"]["src"] == images.encoded(expected)["src"]


def test_many_large_grids_stay_within_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "grid.png")
    one = len(images.encoded(Image.fromarray(noise))["src"])
    monkeypatch.setattr(images, "BUDGET", 3 * one + 10)
    frames = images._fitting([(step, step, tmp_path / "grid.png") for step in range(1, 14)])
    assert [frame["step"] for frame in frames] == [5, 13]  # halved from 13 to 7, to 4, to 2
    monkeypatch.setattr(images, "MOST_FRAMES", 4)
    monkeypatch.setattr(images, "BUDGET", 100 * one)
    frames = images._fitting([(step, step, tmp_path / "grid.png") for step in range(1, 14)])
    assert [frame["step"] for frame in frames] == [1, 5, 9, 13]


def test_without_grids_the_last_picture_is_shown_and_without_that_none(tmp_path: Path) -> None:
    run, _ = train(digits("train.steps=4", "train.grid_every=1000"), tmp_path / "run")
    found = report.gather(report.open_run(run), profile=False)
    assert [f["step"] for f in found["samples"]["frames"]] == [4] and "speed" not in found
    (run / "samples.png").unlink()
    (run / "layers.jsonl").unlink()
    (run / "log.jsonl").unlink()
    found = report.gather(report.open_run(run), profile=False)
    assert not {"samples", "history", "log"} & found.keys() and {"network", "nearest"} <= found.keys()


# ------------------------------------------------------------------------------------------------------------- numbers


def test_a_long_log_is_thinned_and_keeps_its_last_line() -> None:
    lines = [{"step": k} for k in range(1, 12)]
    assert curves._thinned(lines, 11) == (1, lines)
    assert curves._thinned(lines, 4) == (3, [{"step": k} for k in (2, 5, 8, 11)])
    assert curves._thinned([], 4) == (1, [])


def test_history_has_each_layer_of_the_log(dcgan: Path, gathered: dict[str, Any]) -> None:
    lines = log.read(dcgan, name="layers.jsonl")
    found = gathered["history"]
    assert found["steps"] == [line["step"] for line in lines]
    for kind, rows in found["values"].items():
        assert rows == {name: [line[kind][name] for line in lines] for name in lines[0][kind]}
    assert list(found["values"]) == ["gradient", "activation", "update"]


def test_the_newest_evaluation_is_shown_with_its_floor(tmp_path: Path) -> None:
    run, _ = train(digits("train.steps=4"), tmp_path / "run")
    said = {
        "checkpoint": {"step": 4}, "samples": {"n": 100, "weights": "g", "seed": 0, "labels": "none"},
        "real": {"data": "digits", "train": {"rows": 100}, "held": {"from": "other rows"}},
        "features": {"name": "pixels", "digest": "ab"},
    }  # fmt: skip
    record = {"protocol": said, "floor": {"kid": 0.001}, "seconds": {"kid": 1.0}, "date": "2026-11-29"}
    for kid in (0.5, 0.25):
        store.add_record(run, record | {"values": {"kid": kid}})
    found = report.gather(report.open_run(run), profile=False)["evaluation"]
    assert found["rows"] == [("kernel distance", "0.25", "0.001", "lower")]
    assert "step 4" in found["lines"][0] and found["lines"][-1] == "records in all: 2"


# ------------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize(
    "config",
    [
        configs.load("digits"),
        configs.load("digits", ["train.steps=7", "g.lr=1e-7", "model.widths_g=[3, 4]", "train.ema=0.5"]),
        configs.load("dcgan-mnist", [("data.name", "a 'quoted' $name"), ("g.freeze", ("g.0", "g.2"))]),
        configs.load("digits", [("data.name", "7"), ("train.epochs", 3)]),
        configs.load("wgan-gp-mnist", [("data.name", "true")]),
    ],
    ids=["as it comes", "numbers", "texts", "a name that is a number", "a name that is a word of TOML"],
)
def test_the_command_gives_the_same_configuration(config: Config) -> None:
    words = shlex.split(opened.command(config, "run"))
    assert words[:3] == ["minigan", "train", config.preset] and words[-2:] == ["--out", "run-again"]
    overrides = words[3:-2]
    assert set(overrides[::2]) <= {"--set"} and configs.load(words[2], overrides[1::2]) == config


def test_a_preset_of_ones_own_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('preset = "digits"\n[train]\nsteps = 3\n')
    config = configs.load(str(file))
    assert opened.command(config, "a run") == "minigan train 'a run.toml' --out 'a run-again'"
    (tmp_path / "a run.toml").write_text(config.to_toml())
    assert configs.changed(configs.load(str(tmp_path / "a run.toml")), config) == []


def test_what_differs_from_the_preset_is_marked(gathered: dict[str, Any]) -> None:
    marked = {f"{s['name']}.{k['key']}" for s in gathered["config"] for k in s["keys"] if k["changed"]}
    assert {"train.n_critic", "model.family", "train.backend"} <= marked
    assert not {"data.name", "train.seed", "model.code_classes"} & marked


def test_the_command_writes_a_page_and_changes_nothing_of_the_run(minigan: Callable[..., Result], dcgan: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(dcgan.rglob("*")) if path.is_file()}
    done = minigan("report", str(dcgan), "-o", "page.html", "--no-profile")
    assert done.status == 0 and "page.html: 0." in done.out, done.err
    assert {path: path.read_bytes() for path in sorted(dcgan.rglob("*")) if path.is_file()} == before
    sections = json.loads(_data(Path("page.html").read_text()))["sections"]
    assert "speed" not in sections and sections["facts"][0] == ["run", "run"]


MISTAKES = [
    (lambda run: (str(run / "nowhere"),), "nowhere"),
    (lambda run: (str(run / "samples"),), "no config.toml"),
    (lambda run: (str(next((run / "checkpoints").iterdir())),), "give its run folder"),
    (lambda run: (str(run), "-o", "missing/page.html"), "in a folder that is there"),
    (lambda run: (str(run), "-o", "."), "give the name of a file"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(
    minigan: Callable[..., Result], dcgan: Path, words: Callable[[Path], tuple[str, ...]], said: str
) -> None:
    done = minigan("report", *words(dcgan))
    assert done.status == 2 and said in done.err and "Traceback" not in done.err, done.err
    assert list(Path().glob("*.html")) == []


def test_a_run_that_saved_nothing_is_refused(tmp_path: Path, dcgan: Path) -> None:
    (tmp_path / "config.toml").write_text((dcgan / "config.toml").read_text())
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        report.gather(report.open_run(tmp_path))


# ------------------------------------------------------------------------------------------------------------- the page

HOSTILE = '</script><script>alert("&amp;")</script><!-- <img src=x onerror=alert(1)> \u2028'


def test_no_text_of_a_run_becomes_markup() -> None:
    text = document.page(HOSTILE, {"facts": [[HOSTILE, HOSTILE]]})
    assert (
        text.count("<script") == 3
        and text.count("</script>") == 3
        and "onerror=" not in text.replace("\\u003c", "")[:0]
    )
    assert "<img src=x" not in text and "alert(" not in re.sub(
        r"<script type=.*?</script>|<title>.*?</title>|<h1>.*?</h1>", "", text
    )
    assert json.loads(_data(text)) == {"name": HOSTILE, "sections": {"facts": [[HOSTILE, HOSTILE]]}}


def test_the_page_names_no_address_and_allows_none() -> None:
    text = document.page("run", {})
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:;")
    own = re.sub(r"<script.*?</script>|<style.*?</style>", "", text, flags=re.S)
    assert re.findall(r"(?:src|href)=\"(?!#|data:)", own) == [] and "http" not in own.replace("http-equiv", "")
    for script in re.findall(r"<script>(.*?)</script>", text, re.S):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_the_plotting_library_is_what_its_page_says() -> None:
    folder = Path(report.__file__).parent / "uplot"
    told = dict(re.findall(r"\| `(\S+)` \| ([0-9a-f]{64}) \|", (folder / "README.md").read_text()))
    assert told == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in told} and len(told) == 2
    assert "MIT License" in (folder / "LICENSE").read_text() and "1.6.32" in (folder / "README.md").read_text()
    assert "uPlot 1.6.32" in document.page("run", {})
