"""A run from start to end: resume, log, termination, signals, NaN."""

import dataclasses
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import Notes, assert_same, run, small, state, timeless

import minigan
from minigan import config as configs
from minigan.backends import oracle
from minigan.backends.proxies import NotFinite
from minigan.errors import CheckpointError, ConfigError
from minigan.training import checkpoint, log, trainer
from minigan.training.trainer import Silent, Trainer


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 steps without a stop."""
    return run(tmp_path_factory.mktemp("whole") / "run", "train.steps=200")


def test_run_folder_holds_what_is_promised(whole: Path) -> None:
    names = {p.name for p in whole.iterdir()}
    assert names == {"config.toml", "log.jsonl", "layers.jsonl", "samples", "samples.png", "losses.png", "checkpoints"}
    config = configs.from_toml((whole / "config.toml").read_text(), "config.toml")
    assert config.train.steps == 200 and config.data.range == "-1..1" and config.train.backend == "numpy"


def test_log_lines_say_all_that_is_promised(whole: Path) -> None:
    lines = log.read(whole)
    assert [line["step"] for line in lines] == list(range(5, 201, 5))
    keys = "step epoch loss_d loss_g d_real d_fake grad_norm_d grad_norm_g lr_d lr_g images_per_s elapsed_s"
    for line in lines:
        assert list(line) == keys.split()
        assert all(np.isfinite(v) for v in line.values())
        assert line["grad_norm_d"] > 0 and line["grad_norm_g"] > 0 and 0 < line["d_real"] < 1
    assert lines[-1]["epoch"] == round(400 / 35, 4)
    assert lines[-1]["lr_d"] == 2e-4 and lines[-1]["lr_g"] == 0.0 < lines[0]["lr_g"] <= 2e-4


@pytest.mark.parametrize("cut", [100, 37])
def test_resume_equals_the_uninterrupted_run(whole: Path, tmp_path: Path, cut: int) -> None:
    out = run(tmp_path / "run", f"train.steps={cut}")
    assert state(out).step == cut
    run(out, "train.steps=200", resume=True)
    assert_same(state(out), state(whole))
    assert timeless(out) == timeless(whole)
    assert (out / "samples.png").read_bytes() == (whole / "samples.png").read_bytes()


def test_resume_from_an_older_checkpoint_cuts_the_log(whole: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=60", "train.checkpoint_every=50")
    newest = checkpoint.newest(out / "checkpoints")
    assert newest is not None and newest.name == "step-00000060.safetensors"
    newest.unlink()
    run(out, "train.steps=200", "train.checkpoint_every=50", resume=True)
    assert_same(state(out), state(whole))
    assert timeless(out) == timeless(whole)


def test_resume_without_a_checkpoint_starts_again(whole: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=10")
    for path in (out / "checkpoints").iterdir():
        path.unlink()
    run(out, "train.steps=200", resume=True)
    assert_same(state(out), state(whole))
    assert timeless(out) == timeless(whole)


def test_a_torn_last_log_line_is_mended(tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=20")
    before = timeless(out)
    with (out / "log.jsonl").open("a") as f:
        f.write('{"step": 25, "epo')
    run(out, "train.steps=30", resume=True)
    assert timeless(out)[: len(before)] == before
    assert [line["step"] for line in timeless(out)] == [5, 10, 15, 20, 25, 30]


def test_seed_decides_everything(whole: Path, tmp_path: Path) -> None:
    again = run(tmp_path / "again", "train.steps=200")
    assert_same(state(again), state(whole))
    other = run(tmp_path / "other", "train.steps=5", "train.seed=1")
    assert timeless(other)[0]["loss_d"] != timeless(whole)[0]["loss_d"]


def test_epochs_are_totals_and_grids_come_every_so_often(tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.epochs=3", "train.grid_every=2", "train.n_critic=1")
    assert state(out).step == 3 * 35
    run(out, "train.epochs=4", "train.grid_every=2", "train.n_critic=1", resume=True)
    assert state(out).step == 4 * 35
    assert sorted(p.name for p in (out / "samples").iterdir()) == ["epoch-0002.png", "epoch-0004.png"]


def test_old_checkpoints_are_pruned(tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=10", "train.checkpoint_every=2", "train.keep=3")
    names = sorted(p.name for p in (out / "checkpoints").iterdir())
    assert names == [f"step-{k:08d}.safetensors" for k in (6, 8, 10)]


def test_wall_time_ends_a_run(tmp_path: Path) -> None:
    notes = Notes()
    trainer.train(small("train.steps=1000000", "train.max_seconds=0.5"), tmp_path / "run", reporter=notes)
    assert 0 < state(tmp_path / "run").step < 1000000
    assert any("max_seconds" in text for text in notes.notes)
    assert (tmp_path / "run" / "samples.png").exists()


def test_no_progress_ends_a_run(tmp_path: Path) -> None:
    notes = Notes()
    still = ("g.lr=0.0", "d.lr=0.0", "train.patience=3", "train.min_change=0.5")
    trainer.train(small("train.steps=500", *still), tmp_path / "run", reporter=notes)
    assert state(tmp_path / "run").step == 30  # two windows of three lines, a line every five steps
    assert any("patience" in text for text in notes.notes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_the_step_saves_and_can_be_resumed(whole: Path, tmp_path: Path, number: int) -> None:
    handler = signal.getsignal(number)

    class Killer(Silent):
        def step(self, step: int) -> None:
            if step == 63:
                os.kill(os.getpid(), number)

    out, done = trainer.train(small("train.steps=200"), tmp_path / "run", reporter=Killer())
    assert not done and state(out).step == 63
    assert signal.getsignal(number) is handler
    run(out, "train.steps=200", resume=True)
    assert_same(state(out), state(whole))


def test_training_runs_in_a_thread_too(tmp_path: Path) -> None:
    thread = threading.Thread(target=run, args=(tmp_path / "run", "train.steps=3"))
    thread.start()
    thread.join()
    assert state(tmp_path / "run").step == 3


def test_nan_stops_the_run_and_names_the_place(tmp_path: Path) -> None:
    out = tmp_path / "run"
    t = Trainer(small("train.steps=10"), out, False, Silent())
    t.task.G.layers[3].w[0, 0, 0, 0] = np.nan
    before = {k: v.copy() for k, v in t.task.tensors().items() if not k.endswith(("mean", "var"))}
    with pytest.raises(NotFinite, match=r"stopped at step 1: g\.3, forward: conv2d_dgrad.*no checkpoint") as e:
        t.run()
    print(e.value)
    for name, value in before.items():
        assert t.task.tensors()[name].tobytes() == value.tobytes(), name
    assert checkpoint.newest(out / "checkpoints") is None


def test_divergence_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    wild = ("g.rule=sgd", "d.rule=sgd", "g.lr=0.5", "d.lr=0.5", "loss.name=least-squares", "train.checkpoint_every=1")
    with np.errstate(all="ignore"), pytest.raises(NotFinite, match=r"lower g\.lr"):
        run(tmp_path / "run", "train.steps=500", *wild, "model.output=none")
    saved = state(tmp_path / "run")
    assert all(np.isfinite(a).all() for a in saved.tensors.values())


def refused(action: Any, error: type[Exception], *words: str) -> None:
    with pytest.raises(error) as e:
        action()
    text = str(e.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_an_existing_run_is_not_overwritten(whole: Path, tmp_path: Path) -> None:
    before = (whole / "config.toml").stat().st_mtime_ns
    refused(lambda: run(whole, "train.steps=201"), CheckpointError, "holds a run already", "--resume")
    assert (whole / "config.toml").stat().st_mtime_ns == before
    (tmp_path / "photo.png").write_bytes(b"x")
    refused(lambda: run(tmp_path, "train.steps=1"), CheckpointError, "not an empty folder")
    refused(lambda: run(tmp_path, "train.steps=1", resume=True), CheckpointError, "not a run folder")
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


def test_resume_refuses_another_configuration(whole: Path) -> None:
    refused(lambda: run(whole, "train.steps=300", "g.lr=1.0", resume=True), ConfigError, "cannot change g.lr")


def test_resume_refuses_other_data(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (60, 8, 8), np.uint8)
    np.save(tmp_path / "x.npy", x)
    data = f'data.name="{tmp_path / "x.npy"}"'
    run(tmp_path / "run", "train.steps=2", data)
    x[7, 3, 3] ^= 1
    np.save(tmp_path / "x.npy", x)
    refused(lambda: run(tmp_path / "run", "train.steps=3", data, resume=True), CheckpointError, "other data", "--data")


def test_a_checkpoint_of_another_architecture_is_refused(whole: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=2")
    saved = state(whole)
    meta = dict(saved.meta, config=state(out).meta["config"])
    wider = {k: np.concatenate([v, v]) if k.endswith("g.0.w") else v for k, v in saved.tensors.items()}
    checkpoint.save(out / "checkpoints", 9, wider, meta, 2)
    refused(lambda: run(out, "train.steps=3", resume=True), CheckpointError, "another architecture", "g.0.w")
    checkpoint.save(out / "checkpoints", 10, saved.tensors, dict(meta, config=small("model.z=6").to_dict()), 2)
    refused(lambda: run(out, "train.steps=3", resume=True), CheckpointError, "another configuration", "model.z")


def test_resume_says_what_is_not_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = run(tmp_path / "run", "train.steps=1")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    notes = Notes()
    trainer.train(small("train.steps=2"), out, True, notes)
    assert any("OPENBLAS_NUM_THREADS" in text and "7" in text for text in notes.notes)


def test_two_runs_train_side_by_side(whole: Path, tmp_path: Path) -> None:
    """No state is shared between nets of one process."""
    a, b = (Trainer(small("train.steps=200", f"train.seed={s}"), tmp_path / str(s), False, Silent()) for s in (0, 1))
    streams = [t.parts.batches.stream() for t in (a, b)]
    for step in range(12):
        for t, stream in zip((a, b), streams, strict=True):
            t.task.step([next(stream)[0] for _ in range(2)], step)
    alone = Trainer(small("train.steps=200"), tmp_path / "alone", False, Silent())
    stream = alone.parts.batches.stream()
    for step in range(12):
        alone.task.step([next(stream)[0] for _ in range(2)], step)
    for name, value in alone.task.tensors().items():
        assert value.tobytes() == a.task.tensors()[name].tobytes(), name
    assert not np.array_equal(a.task.G.p, b.task.G.p)


def test_images_per_second_counts_every_real_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(np.arange(0, 1e6, 0.5))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(now)))
    t = Trainer(small("train.steps=5"), tmp_path / "run", False, Silent())
    t.out.mkdir()
    t._create()
    t.began, t.mark = 0.0, (0.0, 0)
    record = dict.fromkeys(("loss_d", "loss_g", "d_real", "d_fake", "grad_norm2_d", "grad_norm2_g"), np.float32(1))
    now_before = float(next(now)) + 0.5
    t._log(5, record, {})
    line = json.loads((tmp_path / "run" / "log.jsonl").read_text())
    assert line["images_per_s"] == round(5 * 2 * 50 / now_before, 1)


def test_every_resumable_key_changes_no_number(tmp_path: Path) -> None:
    keys = {f.name for kind in configs.SECTIONS.values() for f in dataclasses.fields(kind) if f.metadata["resumable"]}
    assert keys == {
        "name", "other", "steps", "epochs", "max_seconds", "patience", "min_change", "keep", "build", "cpu", "graph",
    }  # fmt: skip


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=2")

    class Second(Silent):
        def step(self, step: int) -> None:
            if step == 3:
                refused(lambda: run(out, "train.steps=9", resume=True), CheckpointError, "another process")
                seen.append(step)

    seen: list[int] = []
    trainer.train(small("train.steps=4"), out, True, Second())
    assert seen == [3] and state(out).step == 4


def test_totals_behind_the_run_are_refused(whole: Path) -> None:
    refused(lambda: run(whole, "train.steps=10", resume=True), ConfigError, "step 200 already", "total")


def test_weights_that_overflow_are_not_saved(tmp_path: Path) -> None:
    """Gradients may be finite and the update infinite."""
    t = Trainer(small("train.steps=1"), tmp_path / "run", False, Silent())
    step = t.task.step

    def overflowing(batches: Any, k: int, labels: Any) -> Any:
        record = step(batches, k, labels)
        t.task.G.p[0] = np.inf
        return record

    t.task.step = overflowing  # type: ignore[method-assign]
    with pytest.raises(NotFinite, match=r"stopped at step 1: g/g\.0\.w is not finite"):
        t.run()
    assert checkpoint.newest(tmp_path / "run" / "checkpoints") is None


def test_vectors_need_an_output_without_bounds(tmp_path: Path) -> None:
    config = configs.load("digits", ["data.name=ring8", "train.backend=numpy"])
    refused(lambda: trainer.train(config, tmp_path / "run"), ConfigError, "vectors", "model.output=none")


def test_cautions_are_said(tmp_path: Path) -> None:
    notes = Notes()
    config = small("train.steps=3", "loss.name=hinge", "g.horizon=2")
    trainer.train(config, tmp_path / "run", reporter=notes)
    assert any("g.horizon" in text for text in notes.notes), notes.notes
    assert any("raw outputs" in text for text in notes.notes), notes.notes


def test_configurations_made_by_hand_are_checked_too(tmp_path: Path) -> None:
    config = configs.Config(train=configs.Train(steps=-1))
    refused(lambda: trainer.train(config, tmp_path / "run"), ConfigError, "train.steps", "at least 0")
    minigan.train(configs.Config(train=configs.Train(steps=2, backend="numpy")), tmp_path / "run")
    assert state(tmp_path / "run").step == 2


def test_the_average_warms_up(tmp_path: Path) -> None:
    """After 20 steps with decay 0.999 the average has all but forgotten the initial values."""
    out = run(tmp_path / "run", "train.steps=20", "train.ema=0.999")
    saved = state(out).tensors
    first = Trainer(small("train.steps=1"), tmp_path / "first", False, Silent()).task.G.tensors()
    for name in ("g.0.w", "g.3.w"):
        moved = np.abs(saved[f"g/{name}"] - first[name]).mean()
        assert np.abs(saved[f"ema/{name}"] - first[name]).mean() > 0.3 * moved


def test_images_without_bounds_sample_the_same_bits_whatever_n(tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=2", "model.output=none")
    one, many = (minigan.load(out).sample(n, seed=1, dtype="uint8") for n in (1, 70))
    assert one.tobytes() == many[:1].tobytes()


def test_the_sub_step_that_failed_is_the_one_that_is_named(tmp_path: Path) -> None:
    """D's update is done when G's gradient overflows; it is G's step that is repeated and named."""
    t = Trainer(small("train.steps=1"), tmp_path / "run", False, Silent())
    d_step = t.task.d_step

    def then_break_g(*args: Any) -> Any:
        record = d_step(*args)
        t.task.G.layers[0].w[0, 0] = np.inf
        return record

    t.task.d_step = then_break_g  # type: ignore[method-assign]
    with pytest.raises(NotFinite, match=r"d\.0, forward|g\.\d, forward"):
        t.run()
    assert t.task.failed == 1, "the second D step is the first that sees it"


def test_a_damaged_log_is_refused_by_line(tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=20")
    lines = (out / "log.jsonl").read_bytes().splitlines(keepends=True)
    for bad in (b"garbage\n", b'{"step": "x"}\n', b'{"step": 10}\n', b"5\n", b"\xff\xfe\n"):
        (out / "log.jsonl").write_bytes(b"".join([lines[0], bad, *lines[2:]]))
        refused(lambda: run(out, "train.steps=30", resume=True), CheckpointError, "log.jsonl: line 2")
        assert (out / "log.jsonl").read_bytes().count(b"\n") == len(lines)
    (out / "log.jsonl").write_bytes(b"".join(lines) + b"\xff\xfe")
    run(out, "train.steps=30", resume=True)
    assert [line["step"] for line in log.read(out)] == [5, 10, 15, 20, 25, 30]


def test_a_run_that_changed_while_another_was_being_prepared(tmp_path: Path) -> None:
    late = Trainer(small("train.steps=3"), tmp_path / "run", False, Silent())
    run(tmp_path / "run", "train.steps=4")
    refused(late.run, CheckpointError, "holds a run already")
    later = Trainer(small("train.steps=9"), tmp_path / "run", True, Silent())
    run(tmp_path / "run", "train.steps=6", resume=True)
    refused(later.run, CheckpointError, "meanwhile")
    assert state(tmp_path / "run").step == 6


def test_a_run_that_moves_goes_on(tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=60", "train.patience=3", "train.min_change=0.0")
    assert state(out).step == 60


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle says that it works behind one's back, as a GPU does: its flag is looked at when it is wanted."""
    monkeypatch.setattr(oracle, "LATE", True, raising=False)


@pytest.mark.usefixtures("late")
def test_a_flag_that_is_read_late_changes_no_bit(whole: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "run", "train.steps=200")
    assert_same(state(out), state(whole))
    assert timeless(out) == timeless(whole)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("more", [(), ("train.share_fake=true",)], ids=["", "shared"])
@pytest.mark.parametrize(("part", "net"), [(0, "d"), (2, "d"), (0, "g")])
def test_a_flag_that_is_read_late_names_the_step_that_failed(
    tmp_path: Path, part: int, net: str, more: tuple[str, ...]
) -> None:
    """A weight breaks in step 7; the log line of step 10 finds it. Three parts a step: D, D, G."""
    t = Trainer(small("train.steps=20", *more), tmp_path / "run", False, Silent())
    own_part, seen = t.task.part, []
    draw, drawn = t.task.z, []
    t.task.z = lambda stream, tick, n: drawn.append((stream, tick)) or draw(stream, tick, n)  # type: ignore

    def breaking(batches: Any, labels: Any, step: int, sub: int, update: bool) -> Any:
        if update:
            seen.append(step)
        if update and (step, sub) == (6, part):
            t.task.nets[net].layers[0].w.flat[0] = np.nan
        return own_part(batches, labels, step, sub, update)

    t.task.part = breaking  # type: ignore[method-assign]
    with pytest.raises(NotFinite, match=rf"stopped at step 7: {net}\.0, forward: \w+, input 1 is not finite"):
        t.run()
    assert (seen[-1], t.task.failed) == (9, part)
    own = ("z/d", 6 * 3 + min(part, 1)) if part < 2 or more else ("z/g", 6 * 3 + 2)
    assert drawn[-1] == own, "the repeated step draws what it drew; G's batch is made anew, where it was D's"
    assert checkpoint.newest(tmp_path / "run" / "checkpoints") is None


@pytest.mark.usefixtures("late")
def test_a_flag_is_read_before_a_checkpoint_is_saved(tmp_path: Path) -> None:
    for words in (("train.steps=3",), ("train.steps=20", "train.checkpoint_every=3", "train.log_every=1000")):
        t = Trainer(small(*words), tmp_path / words[0], False, Silent())
        t.task.D.layers[0].w.flat[0] = np.nan
        with pytest.raises(NotFinite, match=r"stopped at step 1: d\.0, forward"):
            t.run()
        assert checkpoint.newest(t.out / "checkpoints") is None
