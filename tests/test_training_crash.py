"""SIGKILL at random moments of a run that saves every step: it always goes on, and ends where it would have ended."""

import errno
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from crash_server import Server
from runs import assert_same, run, state, timeless

from minigan.errors import CheckpointError

KILL_SEED = 20_260_104
FAR = 1_000_000


@pytest.mark.parametrize("kills", [15, pytest.param(100, marks=pytest.mark.slow)])
def test_random_kills_of_a_run(tmp_path: Path, server: Server, kills: int) -> None:
    draw = random.Random(KILL_SEED + kills)
    out = tmp_path / "run"
    last = 0
    for kill in range(kills):
        answers = server.ask(job="training", folder=str(out), steps=FAR)
        pid = next(answers)["pid"]
        early = draw.random() < 0.3  # some die while the run is being opened
        if not early:
            assert next(answers)["first"] >= last
        delay_s = draw.uniform(0, 0.15)
        time.sleep(delay_s)
        os.kill(pid, signal.SIGKILL)
        where = f"seed {KILL_SEED + kills}, kill {kill} after {delay_s:.4f} s, early {early}, last step {last}"
        answer = list(answers)[-1]
        assert answer == {"status": -signal.SIGKILL}, (where, answer)
        if (out / "checkpoints").is_dir() and any((out / "checkpoints").glob("step-*.safetensors")):
            step = state(out).step
            assert step >= last, (where, step)
            last = step
    assert last > kills / 4, "too few steps were made to show anything"
    run(out, f"train.steps={last + 2}", "train.checkpoint_every=1", "train.log_every=1", resume=True)
    whole = run(tmp_path / "whole", f"train.steps={last + 2}", "train.log_every=1")
    assert timeless(out) == timeless(whole)
    assert not [p for p in out.rglob("*") if p.name.endswith(".tmp")]
    assert_same(state(out), state(whole))


def test_a_kill_within_a_save_of_a_run(tmp_path: Path, server: Server) -> None:
    every = ("train.checkpoint_every=1", "train.log_every=1")
    whole = run(tmp_path / "whole", "train.steps=4", *every)
    start = run(tmp_path / "start", "train.steps=2", *every)
    calls = server.result(job="training", folder=str(_copy(start, "none")), steps=3, call=10**6)["calls"]
    assert {"write", "fsync", "replace"} <= set(calls)
    for call in sorted({at for name in set(calls) for at in (calls.index(name), _last(calls, name))}):
        for when in ("before", "after"):
            out = _copy(start, f"{call}-{when}")
            answers = list(server.ask(job="training", folder=str(out), steps=3, call=call, when=when))
            assert answers[-1] == {"status": -signal.SIGKILL}, (call, when, answers)
            done = call > calls.index("replace") or (calls[call] == "replace" and when == "after")
            assert state(out).step == 2 + done, (call, when)
            run(out, "train.steps=4", *every, resume=True)
            assert_same(state(out), state(whole))
            assert timeless(out) == timeless(whole)


def _last(calls: list[str], name: str) -> int:
    return len(calls) - 1 - calls[::-1].index(name)


def _copy(run_folder: Path, name: str) -> Path:
    return Path(shutil.copytree(run_folder, run_folder.with_name(name)))


@pytest.mark.parametrize("written", [0, 3, 10, 40])
def test_a_full_disk_stops_the_run_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    every = ("train.checkpoint_every=1", "train.log_every=1")
    out = run(tmp_path / "run", "train.steps=3", *every)
    write, count = os.write, iter(range(10**9))

    def full(fd: int, data: bytes) -> int:
        if next(count) >= written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(fd, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(CheckpointError, match="free some space"):
            run(out, "train.steps=50", *every, resume=True)
    assert 3 <= state(out).step < 50
    run(out, "train.steps=50", *every, resume=True)
    whole = run(tmp_path / "whole", "train.steps=50", "train.log_every=1")
    assert_same(state(out), state(whole))
    assert timeless(out) == timeless(whole)
    assert not [p for p in out.rglob("*") if p.name.endswith(".tmp")]
