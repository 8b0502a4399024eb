"""SIGKILL at random moments of a run that saves every step: it always goes on, and ends where it would have ended."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
from crash_server import Server
from runs import assert_same, run, state, timeless

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
