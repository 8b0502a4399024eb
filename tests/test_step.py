"""`minigan step`: the step comes out as it was, what is seen of it is what went through, and nothing is changed."""

import hashlib
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cycles
import gan_steps
import numpy as np
import pytest
from command_line import Result
from PIL import Image
from processes import PYTHON, environment
from runs import run

from minigan import config as configs
from minigan.backends import load
from minigan.errors import CheckpointError, ConfigError, MiniganError
from minigan.models.layers import Linear, Reshape
from minigan.models.net import Net
from minigan.models.trees import Chain
from minigan.study import passes, step, step_files, step_pictures
from minigan.study import replay as replays
from minigan.tasks import TASKS
from minigan.training import environment as surroundings
from minigan.training import log
from minigan.training.trainer import train

EVERY = ("train.steps=12", "train.log_every=1", "train.checkpoint_every=5", "train.epochs=1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DCGAN of 12 steps with two D steps each, whose checkpoints of step 10 and 12 are kept."""
    return run(tmp_path_factory.mktemp("step") / "run", *EVERY)


def seen_of(replay: replays.Replay) -> tuple[dict[str, Any], list[passes.Seen], list[passes.Moved]]:
    """The step, watched: its record, and all that was seen."""
    kept: list[passes.Seen] = []
    looking = passes.Watch(replay.task, kept.append)
    replay.forward(lambda: None)
    with looking.on():
        record = replay.step()
    return record, kept, looking.moved


def line_of(folder: Path, at: int) -> dict[str, Any]:
    return next(line for line in log.read(folder) if line["step"] == at)


def assert_as_logged(folder: Path, at: int) -> replays.Replay:
    """Every number of the log's line that the step made, by its bits."""
    replay = replays.Replay(folder, at, [])
    record, _, _ = seen_of(replay)
    line, ours = line_of(folder, at), {k: float(replay.parts.ops.to_numpy(v)) for k, v in record.items()}
    losses = [key for key in ours if key in line]
    assert losses and {key: ours[key] for key in losses} == {key: line[key] for key in losses}, (folder, at)
    assert replay.verdict(record).startswith("as in the log, to the last bit: ")
    return replay


# ------------------------------------------------------------------------------------------------------- the same step


@pytest.mark.parametrize(("at", "start"), [(1, 0), (5, 0), (10, 0), (11, 10), (12, 10)])
def test_a_step_comes_out_as_logged_from_the_nearest_checkpoint(trained: Path, at: int, start: int) -> None:
    replay = assert_as_logged(trained, at)
    assert replay.start == start and set(passes.learning(replay.task)) == {"g", "d"}, (
        "the moving average learns nothing"
    )


def test_a_step_of_the_cpp_backend_comes_out_as_logged(tmp_path: Path) -> None:
    pytest.importorskip("minigan._cpp", exc_type=ImportError)
    folder = run(tmp_path / "run", *EVERY, "train.backend=cpp")
    for at in (4, 12):
        assert_as_logged(folder, at)


LITTLE = ("train.backend=numpy", "data.name=digits", "train.batch_size=8", "train.steps=6", "train.log_every=2")


def _classifier(out: Path) -> Path:
    words = ["model.widths_d=[3, 4]", "model.kernel=3", "train.epochs=1"]
    return train(configs.load("classifier-mnist", [*LITTLE, *words]), out)[0]


def _superres(out: Path) -> Path:
    features = _classifier(out.parent / "features")
    words = ["task.factor=2", "task.width=4", "task.blocks=1", "task.l2_steps=3", "model.widths_d=[2, 3]"]
    return train(configs.load("srgan-mnist", [*LITTLE, *words, f"task.features={features}"]), out)[0]


def _vae(out: Path) -> Path:
    words = ["model.z=3", "model.widths_g=[8]", "model.widths_d=[8]"]
    return train(configs.load("vae-mnist", [*LITTLE, *words]), out)[0]


RUNS: dict[str, Callable[[Path], Path]] = {
    "gan": lambda out: run(out, "train.steps=4", "train.log_every=2", "train.share_fake=true"),
    "classifier": _classifier,
    "cyclegan": cycles.run,
    "vae": _vae,
    "superres": _superres,
}


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_shown(task: str, tmp_path: Path) -> None:
    folder = RUNS[task](tmp_path / "run")
    replay = replays.Replay(folder, 4, [])
    record, kept, moved = seen_of(replay)
    assert replay.verdict(record).startswith("as in the log"), task
    words = {step.purpose(task, one.during) for one in kept}
    assert not [w for w in words if "(call" in w], "a pass without a purpose"
    left = set(replay.layers) - {one.layer.name for one in kept}
    assert left == ({"g.1"} if task == "vae" else set()), "a VAE learns by logits, before its sigmoid"
    assert {one.net for one in moved} == {net.name for net in passes.learning(replay.task).values()}
    rows = {row.layer: row for row in overview_of(kept, moved, replay)}
    assert all((row.weight is not None) == bool(replay.layers[name].params) for name, row in rows.items())


def overview_of(kept: list[passes.Seen], moved: list[passes.Moved], replay: replays.Replay) -> list[step.Row]:
    overview = step.Overview()
    for one in kept:
        overview.see(one)
    return overview.rows(list(replay.layers.values()), moved)


def test_a_step_between_log_lines_has_nothing_to_be_held_against(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", "train.steps=6", "train.log_every=3")
    replay = replays.Replay(folder, 5, [])
    record, _, _ = seen_of(replay)
    assert replay.verdict(record) == (
        "step 5 is not in the log (train.log_every 3), so there is nothing to hold it against"
    )
    assert_as_logged(folder, 6)


def test_a_step_that_training_has_not_come_to_is_the_one_it_would_make(tmp_path: Path) -> None:
    whole, stopped = run(tmp_path / "whole", *EVERY), run(tmp_path / "part", *EVERY, "train.steps=6")
    for name in ("config.toml",):
        (stopped / name).write_bytes((whole / name).read_bytes())
    replay = replays.Replay(stopped, 9, [])
    assert replay.start == 6 and any("has come to step 6, as far as its files tell" in note for note in replay.notes)
    record, _, _ = seen_of(replay)
    assert float(record["loss_d"]) == line_of(whole, 9)["loss_d"]


def test_a_step_that_broke_the_run_is_shown_and_what_is_beyond_it_is_refused(
    tmp_path: Path, minigan: Callable[..., Result]
) -> None:
    with pytest.raises(MiniganError, match="stopped at step"):
        run(tmp_path / "run", "train.steps=20", "train.log_every=1", "d.rule=sgd", "d.lr=1e4", "train.ema=0")
    at = max((line["step"] for line in log.read(tmp_path / "run")), default=0) + 1
    shown = minigan("step", str(tmp_path / "run"), "--at", str(at))
    assert shown.status == 0, shown.err
    assert f"step {at} is not finite (grad_norm2_g inf): training stops there" in shown.out
    beyond = minigan("step", str(tmp_path / "run"), "--at", str(at + 2))
    assert beyond.status == 1 and f"step {at} was not finite" in beyond.err


def test_what_the_run_began_from_is_what_the_replay_begins_from(tmp_path: Path) -> None:
    source = run(tmp_path / "source", "train.steps=3")
    folder = run(tmp_path / "run", *EVERY, f"train.init_from={source}")
    run(source, "train.steps=5", resume=True)  # the source goes on: the run began from its third step all the same
    replay = assert_as_logged(folder, 4)
    assert replay.start == 0


# ------------------------------------------------------------------------------------------- what is seen of that step


KINDS = [
    "one D step", "shared batch", "wasserstein", "penalty", "on pairs", "augmented", "consistency", "features",
    "projection", "infogan, shared batch", "residual, groups", "spectral",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_passes_add_is_the_gradient_and_watching_changes_no_bit(kind: str) -> None:
    words = [*gan_steps.DCGAN, *gan_steps.TINY, *gan_steps.KINDS[kind], "g.l2=0", "d.l2=0"]
    plain, watched = (gan_steps.make(load("numpy"), words) for _ in range(2))
    kept: list[passes.Seen] = []
    looking = passes.Watch(watched, kept.append)
    with looking.on(), np.errstate(all="ignore"):
        watched.step(gan_steps.batches(watched, 0), 0, gan_steps.labels(watched, 0))
    with np.errstate(all="ignore"):
        plain.step(gan_steps.batches(plain, 0), 0, gan_steps.labels(plain, 0))
    gan_steps.assert_same(gan_steps.bits(plain), gan_steps.bits(watched))
    assert watched.run is watched.own_run and not any(
        "forward" in vars(x) for n in watched.nets.values() for x in n.layers
    )
    purposes = {step.purpose("gan", one.during) for one in kept}
    assert not [words for words in purposes if "(call" in words], purposes
    for moved in looking.moved:
        for name, whole in moved.gradient.items():
            layer, _, key = name.rpartition(".")
            added = [
                one.arrays[f"d{key}"]
                for one in kept
                if one.layer.name == layer and one.during.sub == moved.sub and f"d{key}" in one.arrays
            ]
            assert added, (kind, name)
            if kind != "spectral":  # there passes add to the gradient of w / sigma(w)
                np.testing.assert_allclose(sum(added), whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max(), err_msg=name)


def test_arrays_are_those_that_went_through() -> None:
    """By a dense GAN, whose layers are done again by hand."""
    words = [
        *gan_steps.DCGAN,
        *gan_steps.TINY,
        "model.family=mlp",
        "model.dropout=0",
        "train.n_critic=1",
        "g.schedule=constant",
    ]
    task = gan_steps.make(load("numpy"), [*words, "g.rule=sgd", "d.rule=sgd", "d.lr=1"])
    kept: list[passes.Seen] = []
    looking = passes.Watch(task, kept.append)
    x = gan_steps.batches(task, 0)
    with looking.on():
        task.step(x, 0)
    of = {(step.purpose("gan", one.during), one.layer.name): one.arrays for one in kept}
    real = of["d forward (on real)", "d.1"]
    assert np.array_equal(real["x"], x[0].reshape(len(x[0]), -1))
    assert np.array_equal(of["d forward (on real)", "d.0"]["y"], real["x"]), "what one layer gives the next one takes"
    d, g = (next(moved for moved in looking.moved if moved.net == net) for net in "dg")
    last = max(int(one.layer.name.split(".")[1]) for one in kept if one.layer.name.startswith("d."))
    judged = of["d forward (on generated)", f"d.{last}"]
    np.testing.assert_allclose(judged["y"], judged["x"] @ d.before[f"d.{last}.w"] + d.before[f"d.{last}.b"], rtol=1e-5)
    back = of["d backward (on generated)", f"d.{last}"]
    np.testing.assert_allclose(back["dw"], judged["x"].T @ back["dy"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(back["dx"], back["dy"] @ d.before[f"d.{last}.w"].T, rtol=1e-5)
    through = of["d backward (judges it for G)", "d.0"]
    assert "dw" not in of["d backward (judges it for G)", "d.1"], "through D, not into D"
    made = [one for one in kept if one.during.net == "g" and one.during.part == "g" and one.during.which == "backward"]
    assert np.array_equal(made[0].arrays["dy"], through["dx"]), "G is given what comes back through D"
    assert made[0].during.forward is not None and made[0].during.forward.part == "g"
    for name, dw in d.gradient.items():
        np.testing.assert_allclose(d.after[name] - d.before[name], -dw, rtol=1e-4, atol=1e-8, err_msg=name)
    assert {one.during.sub for one in kept if one.during.part == "d"} == {0} and (d.sub, g.sub) == (0, 1)


def test_a_penaltys_passes_are_seen_with_their_tangents() -> None:
    words = [*gan_steps.DCGAN, *gan_steps.TINY, *gan_steps.KINDS["penalty"], "train.n_critic=1"]
    task = gan_steps.make(load("numpy"), words)
    kept: list[passes.Seen] = []
    with passes.Watch(task, kept.append).on():
        task.step(gan_steps.batches(task, 0), 0)
    found = {step.purpose("gan", one.during): set(one.arrays) for one in kept if one.layer.name == "d.0"}
    at = "(at the penalty's points)"
    assert found[f"d forward {at}"] == {"x", "y"} and found[f"d backward {at}"] == {"dy", "dx"}
    assert found[f"d forward tangent {at}"] == {"tx", "ty"}
    assert {"dy", "dw"} <= found[f"d backward tangent {at}"]
    once = {(id(one.during), one.layer.name) for one in kept}
    assert len(once) == len(kept), "a layer's tangent pass that is made of its backward pass is one pass"


# ------------------------------------------------------------------------------------------------------------- numbers


def test_numbers_are_those_of_the_array() -> None:
    a = np.array([[0.0, 1.0, 2.0], [-1.0, 0.0, 4.0]], np.float32)
    n = step.numbers(a)
    assert (n.shape, n.min, n.max, n.mean, n.zeros, n.bad) == ((2, 3), -1.0, 4.0, 1.0, 2 / 6, 0)
    assert (n.std, n.norm) == (pytest.approx(a.std()), pytest.approx(np.sqrt(22)))
    places = np.histogram(a, step.BINS)[0]
    assert n.counts == tuple(places) and sum(n.counts) == 6
    some = step.numbers(np.array([np.nan, np.inf, 3.0]))
    assert (some.bad, some.min, some.counts[0]) == (2, 3.0, 1)
    assert step.numbers(np.array([np.nan])).bad == 1 and sum(step.numbers(np.full(5, 2.0)).counts) == 5
    near = np.array([1.0, np.nextafter(1.0, 2.0)])
    assert sum(step.numbers(near).counts) == 2


def seen(layer: Any, y: np.ndarray, **more: np.ndarray) -> passes.Seen:
    return passes.Seen(passes.Pass(0, "d", "d", "forward"), layer, {"y": y, **more})


def test_a_unit_is_dead_that_gives_one_number_in_all_passes() -> None:
    layer = Linear(3)
    layer.attach("d.0", (2,))
    overview = step.Overview()
    overview.see(seen(layer, np.array([[1.0, 0.0, 5.0], [2.0, 0.0, 5.0]])))
    (row,) = overview.rows([layer], [])
    assert (row.dead, row.mean, row.std) == (2 / 3, 13 / 6, pytest.approx(np.std([1, 0, 5, 2, 0, 5])))
    overview.see(seen(layer, np.array([[1.0, 0.0, 6.0], [1.0, 0.0, 6.0]])))
    (row,) = overview.rows([layer], [])
    assert row.dead == 1 / 3 and row.mean == pytest.approx(27 / 12)
    flat = Reshape(-1)
    flat.attach("d.1", (3,))
    overview.see(seen(flat, np.zeros((2, 3))))
    assert overview.rows([flat], [])[0].dead is None, "what only moves numbers has no units"


def row(layer: str, **more: Any) -> step.Row:
    usual: dict[str, Any] = {
        "kind": "Linear", "parameter": "w", "frozen": False, "weight": 10.0, "gradient": 1.0, "ratio": 1e-3,
        "mean": 0.0, "std": 1.0, "dead": 0.0, "bad": 0,
    }  # fmt: skip
    return step.Row(layer, **(usual | more))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, ""),
        ({"bad": 3}, "3 numbers are not finite"),
        ({"dead": 0.5}, "50 % of its units are dead"),
        ({"dead": 0.49}, ""),
        ({"gradient": 0.0, "ratio": 0.0}, "no gradient reaches w"),
        ({"gradient": 0.0, "ratio": 0.0, "frozen": True}, ""),
        ({"gradient": 1e-3}, "it vanishes on its way"),
        ({"ratio": 0.2}, "w moved by 0.2 of its length in one step"),
        ({"ratio": 1e-9}, "it hardly learns"),
        ({"weight": None, "gradient": None, "ratio": None, "dead": None}, ""),
    ],
)
def test_what_is_odd_is_named(more: dict[str, Any], words: str) -> None:
    found = list(step.odd([row("d.0", **more), row("d.1", gradient=1e3), row("g.0", gradient=1e9)]))
    assert len(found) == bool(words) and all(line.startswith("d.0 Linear: ") and words in line for line in found)


# ---------------------------------------------------------------------------------------------------- the command line


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file of a folder: its content, and when it was changed."""
    return {
        str(p.relative_to(folder)): (
            hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "",
            p.stat().st_mtime_ns,
        )
        for p in [folder, *sorted(folder.rglob("*"))]
    }


def test_nothing_in_the_run_is_changed_and_the_folder_holds_what_was_seen(
    trained: Path, minigan: Callable[..., Result]
) -> None:
    before = fingerprint(trained)
    done = minigan("step", str(trained), "--at", "12", "--layer", "d.2", "--dump", "look")
    assert (done.status, done.err) == (0, ""), done.out
    assert "step 12 is made again from step-00000010.safetensors, 2 steps in all" in done.out
    assert fingerprint(trained) == before
    replay = replays.Replay(trained, 12, [])
    _, kept, moved = seen_of(replay)
    of = [one for one in kept if one.layer.name == "d.2"]
    for number, one in enumerate(of, 1):
        for key, a in one.arrays.items():
            (file,) = Path("look").glob(f"{number:02d}-*.{key}.npy")
            assert np.array_equal(np.load(file, allow_pickle=False), a), file
    said = json.loads(Path("look/step.json").read_text())
    assert (said["step"], said["from"], said["layer"]) == (12, 10, "d.2") and said["said"].startswith("as in the log")
    d = [one for one in moved if one.net == "d"]
    assert [one.sub for one in d] == [0, 1], "two steps of D"
    w = np.load("look/update-2-d.w.npy")
    assert np.array_equal(w, d[1].before["d.2.w"]) and said["update-2-d"]["w"]["norm"] == step.numbers(w).norm
    pictures = sorted(p.name for p in Path("look").glob("*.png"))
    forward = [f"{k:02d}" for k, one in enumerate(of, 1) if one.during.which == "forward"]
    assert [p[:2] for p in pictures if p[0] == "0" or p[0] == "1"] == forward and "histograms.png" in pictures
    for name in pictures:
        with Image.open(Path("look", name)) as picture:
            assert picture.width > 100 and len(set(picture.convert("L").tobytes())) > 5, name
    assert not list(Path(".").glob(".look*"))


def test_all_layers_in_short(trained: Path, minigan: Callable[..., Result]) -> None:
    before = fingerprint(trained)
    done = minigan("step", str(trained), "--at", "11", "--dump", "look")
    assert done.status == 0 and fingerprint(trained) == before
    said = json.loads(Path("look/step.json").read_text())
    names = [row["layer"] for row in said["layers"]]
    assert names == [*replays.Replay(trained, 11, []).layers] and all(f" {name} " in done.out for name in names)
    assert sorted(p.name for p in Path("look").iterdir()) == ["overview.png", "step.json"]


def test_a_layer_that_takes_no_part_is_no_picture(tmp_path: Path, minigan: Callable[..., Result]) -> None:
    folder = _vae(tmp_path / "run")
    done = minigan("step", str(folder), "--at", "2", "--layer", "g.1", "--dump", "look")
    assert done.status == 2 and "g.1 takes no part in step 2" in done.err and not Path("look").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("RUN", "--at", "13"), "count from 1 to 12"),
        (("RUN", "--at", "2", "--layer", "d.22"), "did you mean 'd.2'"),
        (("RUN/log.jsonl", "--at", "2"), "is a file; give the run folder"),
        (("nowhere", "--at", "2"), "nowhere"),
        (("RUN", "--at", "2", "--dump", "RUN/look"), "of which nothing is to change"),
        (("RUN", "--at", "2", "--dump", "link/look"), "of which nothing is to change"),
        (("RUN", "--at", "2", "--dump", "full"), "is not an empty folder"),
        (("RUN", "--at", "2", "--data", "nodata"), "nodata"),
    ],
)
def test_mistakes_are_named_in_a_line(
    trained: Path, minigan: Callable[..., Result], words: tuple[str, ...], said: str
) -> None:
    Path("full").mkdir()
    Path("full/file").write_text("mine")
    Path("link").symlink_to(trained)
    before = fingerprint(trained)
    done = minigan("step", *(word.replace("RUN", str(trained)) for word in words))
    assert (done.status, done.out) == (2, "") and said in done.err and done.err.count("\n") == 1, done.err
    assert fingerprint(trained) == before and sorted(p.name for p in Path(".").iterdir()) == ["full", "link"]


DIFFERENT = {
    "isa: avx2 -> baseline": ({"isa": "avx2"}, {"isa": "baseline"}, "another instruction set"),
    "build: GCC 1 -> GCC 2": ({"build": "GCC 1"}, {"build": "GCC 2"}, "another build"),
    "MINIGAN_PLAN: None -> conv2d=fft": ({}, {"MINIGAN_PLAN": "conv2d=fft"}, "another plan"),
    "minigan: 0.0 -> 0.1": ({"minigan": "0.0"}, {"minigan": "0.1"}, "another version"),
    "numpy: 1 -> 2": ({"numpy": "1"}, {"numpy": "2"}, "another build (NumPy)"),
    "simd: ['A'] -> ['B']": ({"simd": ["A"]}, {"simd": ["B"]}, "another instruction set"),
}


@pytest.mark.parametrize("text", DIFFERENT)
def test_another_build_instruction_set_or_plan_is_refused(
    trained: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    then, now, words = DIFFERENT[text]
    real, meta = surroundings.of(load("numpy")), replays.checkpoint.read_meta
    monkeypatch.setattr(surroundings, "of", lambda ops: real | now)
    monkeypatch.setattr(replays.checkpoint, "read_meta", lambda path: meta(path) | {"environment": real | then})
    with pytest.raises(CheckpointError) as refused:
        replays.Replay(trained, 5, [])
    assert words in str(refused.value) and f"({text})" in str(refused.value)


def test_of_other_differences_a_note_tells(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = surroundings.of(load("numpy"))
    monkeypatch.setattr(surroundings, "of", lambda ops: real | {"threads": 99, "build": "GCC 2"})
    notes = replays.Replay(trained, 5, []).notes
    assert sum(note.startswith("not as before, so bits may differ: ") for note in notes) == 2, notes


def test_where_a_step_was_made_is_what_the_checkpoint_after_it_says(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    meta = replays.checkpoint.read_meta
    monkeypatch.setattr(replays.checkpoint, "read_meta", lambda path: read.append(path.name) or meta(path))
    for at in (3, 10, 11):
        replays.Replay(trained, at, [])
    assert read == ["step-00000010.safetensors"] * 2 + ["step-00000012.safetensors"]


def test_other_data_is_refused(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (60, 8, 8), np.uint8)
    np.save(tmp_path / "x.npy", x)
    folder = run(tmp_path / "run", *EVERY, f"data.name={tmp_path / 'x.npy'}", "train.batch_size=10")
    assert_as_logged(folder, 12)
    x[0, 0, 0] += 1
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(CheckpointError, match="was trained on other data"):
        replays.Replay(folder, 12, [])


def test_a_plan_for_another_instruction_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpp = pytest.importorskip("minigan.backends.cpp", exc_type=MiniganError)
    plan = [f"plan.isa={cpp.ISA}", 'plan.rows=["conv2d 50x8x8x1 3x3x1x4 2x2 im2col"]']
    folder = run(tmp_path / "run", "train.steps=2", "train.log_every=1", "train.backend=cpp", *plan)
    assert_as_logged(folder, 2)
    monkeypatch.setattr(cpp, "ISA", "another")
    with pytest.raises(ConfigError, match="the plan is for the cpp backend on instruction set"):
        replays.Replay(folder, 2, [])


def test_a_step_that_does_not_come_out_as_logged_is_refused(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", *EVERY)
    text = (folder / log.NAME).read_text()
    value = line_of(folder, 11)["loss_g"]
    (folder / log.NAME).write_text(text.replace(repr(value), repr(float(np.nextafter(value, 9)))))
    replay = replays.Replay(folder, 11, [])
    record, _, _ = seen_of(replay)
    with pytest.raises(CheckpointError, match=rf"does not come out as in .*: loss_g {value!r} here, "):
        replay.verdict(record)


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def fails(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="cannot be written"):
        step_files.write(tmp_path / "look", {"a.json": step_files.text({}), "b": fails})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "look").mkdir()
    step_files.write(tmp_path / "look", {"a.json": step_files.text({"x": float("nan"), "y": [1, (2.5,)]})})
    assert json.loads((tmp_path / "look" / "a.json").read_text()) == {"x": "nan", "y": [1, [2.5]]}
    assert [p.name for p in tmp_path.iterdir()] == ["look"]


def test_weights_to_and_from_pixels_are_drawn_as_pictures() -> None:
    net = Net("g", Chain(Reshape(-1), Linear(5), Linear(12), Reshape(2, 3, 2)), (2, 2, 1))
    w = np.arange(20.0).reshape(4, 5)
    sheet = step_pictures.tiled(net, net.layers[1], w)
    assert sheet.shape == (8, 8) and np.array_equal(sheet[:2, :2], w[:, 0].reshape(2, 2))
    assert np.array_equal(sheet[3:5, :2], w[:, 3].reshape(2, 2)) and not sheet[2].any()
    out = np.arange(60.0).reshape(5, 12)
    sheet = step_pictures.tiled(net, net.layers[2], out)
    assert np.array_equal(sheet[:2, :3], out[0].reshape(2, 3, 2)[..., 0]) and sheet.shape == (8, 11)
    kernels = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    tiles = step_pictures.tiled(net, net.layers[1], kernels)
    alone = step_pictures.tiled(net, net.layers[1], kernels[:, :, :1])
    assert alone.shape == (8, 11) and np.array_equal(alone[3:5, :3], kernels[:, :, 0, 3])
    assert tiles.shape == (11, 19) and np.array_equal(tiles[3:5, 4:7], kernels[:, :, 1, 1])


def test_on_a_simulated_gpu(tmp_path: Path) -> None:
    pytest.importorskip("numba_cuda")
    pytest.importorskip("greenlet")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (12, 4, 4), np.uint8))
    words = [
        "model.family=mlp", "model.z=2", "model.widths_g=[3]", "model.widths_d=[3]", "data.name=x.npy",
        "train.log_every=1", "train.batch_size=3", "data.size=4", "train.grid_every=99",
    ]  # fmt: skip
    program = f"""
import sys
from pathlib import Path
from minigan import config as configs
from minigan.tasks import gan
from minigan.training import trainer
gan.DRAW, trainer.FINAL_IMAGES = 2, 2  # drawing takes longer than training here
trainer.train(configs.load("digits", [*{words!r}, "train.backend=cuda", "train.steps=2"]), Path("run"))
sys.argv[1:] = ["step", "run", "--at", "2", "--layer", "d.1", "--dump", "look"]
from minigan.cli import main
main()
"""
    done = subprocess.run(
        [*PYTHON, "-c", program], env=environment(NUMBA_ENABLE_CUDASIM="1"), cwd=tmp_path, capture_output=True,
        text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "as in the log, to the last bit: loss_d" in done.stdout and (tmp_path / "look" / "histograms.png").is_file()


PAGE = (Path(__file__).resolve().parents[1] / "docs" / "step.md").read_text()


def test_the_commands_of_the_page_work_and_make_its_picture(minigan: Callable[..., Result]) -> None:
    (block,) = re.findall(r"```\n(.*?)```", PAGE, re.S)
    for command in block.replace("\\\n", "").strip().splitlines():
        words = ["20" if word == "600" else word for word in shlex.split(command)[1:]]  # fewer steps, all else alike
        done = minigan(*words)
        assert done.status == 0, (command, done.err)
    (picture,) = re.findall(r"`(look/[^`]*\.png)`", PAGE)
    assert Path(picture).is_file(), sorted(Path("look").iterdir())
