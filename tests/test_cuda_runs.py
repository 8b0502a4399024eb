"""`minigan` with the cuda backend: refused in a line where there is no GPU, and whole runs in the simulator."""

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_steps import DCGAN, TINY
from processes import PYTHON, environment

NO_GPU = environment(CUDA_VISIBLE_DEVICES="-1")
NO_GPU.pop("NUMBA_ENABLE_CUDASIM", None)
SIMULATED = environment(NUMBA_ENABLE_CUDASIM="1")


def minigan(*args: str, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTHON, "-m", "minigan", *args], env=env, cwd=cwd, capture_output=True, text=True, timeout=200, check=False
    )


@pytest.mark.parametrize("args", [("train", "--backend", "cuda"), ("train", "--backend", "cuda", "--no-graph")])
def test_without_a_gpu_one_line_and_nothing_written(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = minigan(*args, cwd=tmp_path, env=NO_GPU)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert done.stderr.startswith("minigan: backend 'cuda' needs ")
    assert list(tmp_path.iterdir()) == []


def test_doctor_says_in_one_line_what_is_missing(tmp_path: Path) -> None:
    done = minigan("doctor", cwd=tmp_path, env=NO_GPU)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("cuda ")]
    assert line.split(maxsplit=1)[1].startswith("backend 'cuda' needs ")


def _simulator() -> None:
    pytest.importorskip("numba_cuda")
    pytest.importorskip("greenlet")


def test_doctor_says_what_device_there_is(tmp_path: Path) -> None:
    _simulator()
    done = minigan("doctor", cwd=tmp_path, env=SIMULATED)
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("cuda ")]
    assert lines[:2] == [
        "complete",
        "the simulator, on host arrays and without a GPU, because NUMBA_ENABLE_CUDASIM is set",
    ]
    assert lines[2].startswith("numba-cuda ") and "cupy" not in lines[2], "host arrays are not CuPy's"
    (auto,) = [line for line in done.stdout.splitlines() if line.startswith("auto ")]
    assert "backend cuda" not in auto, "the simulator is no GPU"


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("cuda", "asks for cublas on linear: the simulator has no cuBLAS; leave this one out, or ask for another"),
        ("cpp", "'cublas' is unknown; known: direct, fft, im2col"),
    ],
)
def test_what_cannot_be_forced_on_a_dense_layer_is_refused_before_anything_is_written(
    tmp_path: Path, backend: str, words: str
) -> None:
    _simulator()
    env = {**SIMULATED, "MINIGAN_PLAN": "cublas"}
    done = minigan("train", "--backend", backend, "--steps", "1", cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (2, "") and list(tmp_path.iterdir()) == []
    assert done.stderr.startswith("minigan: for g.0, MINIGAN_PLAN") and done.stderr.endswith(f"{words}\n")
    assert done.stderr.count("\n") == 1


RUNS = """
import sys
from pathlib import Path
from minigan import config as configs
from minigan.tasks import gan
from minigan.training import trainer
from minigan.training.trainer import train
gan.DRAW, trainer.FINAL_IMAGES = 2, 2  # drawing takes longer than training here
def run(out, *overrides, resume=False):
    words = [*WORDS, "train.backend=cuda", "data.name=x.npy", "data.size=4", "train.log_every=2", "train.grid_every=99"]
    train(configs.load("digits", [*words, *overrides]), Path(out), resume)
"""


def simulated(tmp_path: Path, program: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Runs on 12 random images of 4x4."""
    _simulator()
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (12, 4, 4), np.uint8))
    words = f"WORDS = {[*DCGAN, *TINY, 'train.n_critic=1', *overrides]!r}\n"
    return subprocess.run(
        [*PYTHON, "-c", words + RUNS + program], env=SIMULATED, cwd=tmp_path, capture_output=True, text=True,
        timeout=280, check=False,
    )  # fmt: skip


def _state(out: Path) -> dict[str, Any]:
    from runs import state, timeless

    saved = state(out)
    return {"step": saved.step, "log": timeless(out), "counters": saved.meta["counters"]} | {
        name: a.tobytes() for name, a in saved.tensors.items()
    }


def test_a_run_by_graphs_equals_one_that_is_called_and_one_that_was_stopped(tmp_path: Path) -> None:
    program = 'run("a", "train.steps=4"); run("b", "train.steps=4", "train.graph=false")\n'
    program += 'run("c", "train.steps=3"); run("c", "train.steps=4", resume=True)'
    done = simulated(tmp_path, program, "model.family=mlp")
    assert done.returncode == 0, done.stderr
    whole = _state(tmp_path / "a")
    assert whole["step"] == 4 and len(whole["log"]) == 2 and whole["counters"] == {"d": 4, "g": 4}
    assert _state(tmp_path / "b") == whole and _state(tmp_path / "c") == whole


def test_the_trainer_finds_a_nan_at_the_next_log_line(tmp_path: Path) -> None:
    program = """
from minigan.training.trainer import Silent, Trainer
words = [*WORDS, "train.backend=cuda", "data.name=x.npy", "data.size=4", "train.log_every=4", "train.steps=8"]
t = Trainer(configs.load("digits", words), Path("a"), False, Silent())
step = t.task.step
def breaking(batches, k, labels):
    if k == 2:
        t.task.D.layers[0].w[...] = float("nan")
    return step(batches, k, labels)
t.task.step = breaking
try:
    t.run()
except Exception as e:
    print(type(e).__name__, e)
"""
    done = simulated(tmp_path, program)
    assert done.stdout.startswith("NotFinite stopped at step 3: d.0, forward: conv2d, input 1 is not finite; "), (
        done.stdout + done.stderr
    )
    assert list((tmp_path / "a" / "checkpoints").iterdir()) == []
