"""Evaluations while a run trains: what they may not change, the best checkpoint, the end, and resuming."""

from pathlib import Path
from typing import Any

import pytest
from runs import Notes, assert_same, small, state, timeless

from minigan import config as configs
from minigan.config import Evaluate
from minigan.errors import CheckpointError, ConfigError
from minigan.evaluate.asked import judging
from minigan.evaluate.evaluate import evaluate
from minigan.training import checkpoint
from minigan.training.evaluations import Evaluations
from minigan.training.run import load
from minigan.training.trainer import train

WORDS = ("train.steps=20", "evaluate.every=5", "evaluate.best=fid", "evaluate.n=60", "evaluate.features=pixels")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def trained(out: Path, *words: str, resume: bool = False) -> tuple[Path, list[str]]:
    """A run that is judged, and what was said of it."""
    config, notes = small(*WORDS, *words), Notes()
    return train(config, out, resume, notes, judging=judging(config))[0], notes.notes


class Fixed:
    """A judge that gives numbers as they were put down."""

    words = {"fid": "Frechet distance"}  # noqa: RUF012

    def __init__(self, values: list[float]):
        self.values = values

    def measure(self, task: Any) -> dict[str, float]:
        return {"fid": self.values.pop(0)}

    def better(self, key: str, new: float, old: float) -> bool:
        return new < old


def told(values: list[float], patience: int = 0) -> tuple[list[int], list[int]]:
    """The numbers of evaluations at 10, 20 ... -> the steps that were the best so far, and those at which to stop."""
    evaluations = Evaluations(Evaluate(every=10, best="fid", patience=patience), Fixed(list(values)))
    best, over = [], []
    for step in range(10, 10 * len(values) + 1, 10):
        evaluations.take(None, step)  # type: ignore[arg-type]
        best += [step] if evaluations.is_best(step) else []
        over += [step] if evaluations.over(step) else []
    return best, over


def test_the_best_is_the_first_of_the_smallest_and_patience_counts_evaluations_since() -> None:
    nan = float("nan")
    assert told([5.0, 4.0, 4.0, 6.0, 3.0]) == ([10, 20, 50], [])
    assert told([5.0, 4.0, 4.0, 6.0, 3.0], patience=2) == ([10, 20, 50], [40])
    assert told([nan, nan, 2.0, nan, 1.0], patience=2) == ([30, 50], [20])


def test_evaluations_change_nothing_but_the_log_and_give_what_minigan_evaluate_gives(tmp_path: Path) -> None:
    out, notes = trained(tmp_path / "judged", "train.keep=20", "train.checkpoint_every=5")
    config = small("train.steps=20", "train.keep=20", "train.checkpoint_every=5")
    plain, _ = train(config, tmp_path / "plain")
    a, b = state(out), state(plain)
    assert_same(a, b)
    lines = timeless(out)
    assert [{k: v for k, v in line.items() if k != "fid"} for line in lines] == timeless(plain)
    fids = {line["step"]: line["fid"] for line in lines}
    assert list(fids) == [5, 10, 15, 20]
    for step in (10, 20):
        made = evaluate(out / "checkpoints" / f"step-{step:08d}.safetensors", ["fid"], n=60, features="pixels")
        assert made.record["values"]["fid"] == pytest.approx(fids[step], rel=1e-12)
    best = min(fids, key=lambda step: fids[step])
    assert a.meta["best"] == {"metric": "fid", "step": best, "value": fids[best]}
    assert load(out, best=True).step == best == evaluate(out, ["fid"], n=60, features="pixels", best=True).run.step
    assert any(f"step 5: fid {fids[5]:.4g}; the best so far" in note for note in notes)


@pytest.mark.parametrize("stop", [7, 15])
def test_a_resumed_run_equals_the_uninterrupted_one_evaluations_and_files_included(tmp_path: Path, stop: int) -> None:
    whole, _ = trained(tmp_path / "whole", "train.checkpoint_every=4")
    trained(tmp_path / "parts", "train.checkpoint_every=4", f"train.steps={stop}")
    parts, _ = trained(tmp_path / "parts", "train.checkpoint_every=4", resume=True)
    assert_same(state(parts), state(whole))
    assert state(parts).meta["best"] == state(whole).meta["best"] and timeless(parts) == timeless(whole)
    newest = sorted(p.name for p in (whole / "checkpoints").iterdir())[-2:]
    best = f"step-{state(whole).meta['best']['step']:08d}.safetensors"
    for out in (whole, parts):
        names = {p.name for p in (out / "checkpoints").iterdir()}
        assert names >= {newest[-1], best} and len(names) <= 3


def test_the_best_checkpoint_is_never_pruned(tmp_path: Path) -> None:
    for step in range(1, 9):
        checkpoint.save(tmp_path, step, {}, {}, keep=2, best=3 if step >= 3 else -1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"step-{k:08d}.safetensors" for k in (3, 7, 8)]
    checkpoint.save(tmp_path, 9, {}, {}, keep=2, best=9)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"step-{k:08d}.safetensors" for k in (8, 9)]


def test_a_run_ends_when_nothing_gets_better(tmp_path: Path) -> None:
    config, notes = small(*WORDS, "evaluate.patience=2"), Notes()
    out, done = train(config, tmp_path / "run", False, notes, judging=lambda parts: Fixed([3.0, 2.0, 2.0, 2.5, 1.0]))
    assert done and state(out).step == 20 and state(out).meta["best"]["step"] == 10
    assert any("stopped at step 20: fid did not get better since step 10, for 2 evaluations" in n for n in notes.notes)
    assert {p.name for p in (out / "checkpoints").iterdir()} >= {
        "step-00000010.safetensors",
        "step-00000020.safetensors",
    }


BAD = [
    (["evaluate.every=7"], r"evaluate.every = 7 must be a multiple of train.log_every = 5, .*; give 5, or another"),
    (["evaluate.best=fid"], r"evaluate.best fid needs evaluations to choose from; give evaluate.every"),
    (["evaluate.patience=3", "evaluate.every=5"], r"evaluate.patience = 3 needs a number to wait for"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_keys_that_do_not_go_together_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        small(*words)


def test_a_task_that_generates_nothing_is_not_judged() -> None:
    with pytest.raises(ConfigError, match=r"evaluate means nothing to task.name classifier; leave it out"):
        configs.load("classifier-mnist", ["evaluate.every=468"])


def test_unknown_metrics_and_a_missing_judge_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"metric 'fod' is unknown; did you mean 'fid'"):
        judging(small("evaluate.every=5", 'evaluate.metrics=["fod"]'))
    with pytest.raises(ConfigError, match=r"'ms_ssim' is no number by which the best is told"):
        judging(small("evaluate.every=5", "evaluate.best=ms_ssim"))
    for judge, said in ((None, "nothing judges"), (judging(small("evaluate.every=5", "evaluate.n=5000")), "--n 5000")):
        with pytest.raises(ConfigError, match=said):
            words = ["evaluate.every=5", "evaluate.n=5000", "evaluate.features=pixels"]
            train(small(*words), tmp_path / "run", judging=judge)
        assert not (tmp_path / "run").exists()
    assert judging(small()) is None


def test_without_keep_best_there_is_no_best(tmp_path: Path) -> None:
    out, _ = train(small("train.steps=2"), tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"has no best checkpoint"):
        load(out, best=True)
