"""`minigan train classifier-mnist --backend cuda` in the simulator: step by step as on the oracle, stopped or not."""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import PYTHON, environment
from runs import state, timeless

# of 24 images 2 are held out; a graph is called once, then recorded, then replayed
KEYS = (
    "model.widths_d=[2]", "model.kernel=3", "d.rule=sgd", "d.lr=0.01", "d.schedule=constant", "train.batch_size=4",
    "train.log_every=2", "train.grid_every=99",
)  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if any(find_spec(name) is None for name in ("numba_cuda", "greenlet")):
        pytest.skip("the simulator is not installed: pip install 'minigan[cudasim]'")
    path = tmp_path_factory.mktemp("data") / "x.npz"
    x = np.random.default_rng(0).integers(0, 256, (24, 4, 4), np.uint8)
    np.savez(path, x=x, y=np.arange(24) % 2)
    return path


def _train(out: Path, images: Path, backend: str, steps: int, *more: str) -> dict[str, Any]:
    options = [word for key in KEYS for word in ("--set", key)]
    command = [*PYTHON, "-m", "minigan", "train", "classifier-mnist", "--data", str(images), "--backend", backend]
    if "--resume" in more:
        command = [*PYTHON, "-m", "minigan", "train"]
        options = []
    done = subprocess.run(
        [*command, "--out", str(out), "--steps", str(steps), *options, *more],
        env=environment(**({"NUMBA_ENABLE_CUDASIM": "1"} if backend == "cuda" else {})),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    saved = state(out)
    return {"step": saved.step, "log": timeless(out), "tensors": saved.tensors}


def _off(a: Any, b: Any) -> float:
    return float(np.linalg.norm(np.subtract(a, b)) / (np.linalg.norm(b) or 1))


def test_every_step_is_the_oracles_and_a_resume_changes_no_bit(tmp_path: Path, images: Path) -> None:
    mine = _train(tmp_path / "cuda", images, "cuda", 4)
    its = _train(tmp_path / "numpy", images, "numpy", 4)
    for line, want in zip(mine["log"], its["log"], strict=True):
        assert line.keys() == want.keys()
        assert {key: (line[key], want[key]) for key in want if _off(line[key], want[key]) > 1e-5} == {}
    assert [name for name, a in its["tensors"].items() if _off(mine["tensors"][name], a) > 1e-5] == []
    _train(tmp_path / "cut", images, "cuda", 3)
    on = _train(tmp_path / "cut", images, "cuda", 4, "--resume")
    assert on["log"] == mine["log"]
    assert [n for n, a in mine["tensors"].items() if on["tensors"][n].tobytes() != a.tobytes()] == []
