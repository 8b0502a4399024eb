"""`minigan train --backend cuda` in the simulator: a tiny net learns step by step as on the oracle."""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import PYTHON, environment
from runs import state, timeless

STEPS = 4  # a graph of every second one is called, then recorded
# of G and D both: convolutions and their transposes, batchnorm in three modes, dropout, a dense layer, EMA, clipping
NORMED = (
    "model.family=normed_dcgan:build", "model.z=3", "model.widths_g=[4, 3]", "model.strides_g=[2, 2]",
    "model.widths_d=[3, 4]", "model.kernel=3", "model.dropout=0.25", "train.ema=0.9", "train.batch_size=4",
    "g.rule=sgd", "d.rule=sgd", "d.clip_norm=1", "g.lr=0.01", "d.lr=0.01",
)  # fmt: skip
# D with second derivatives: between batches and at each step; at real ones and at every second step
PENALISED = {
    "wgan-gp": (
        "model.norm_d=layer",
        "model.act_d=tanh",
        "loss.name=wasserstein",
        "penalty.name=wgan-gp",
        "penalty.weight=0.1",
    ),
    "lazy r1": (
        "model.norm_d=instance",
        "penalty.name=r1",
        "penalty.weight=0.1",
        "penalty.every=2",
        "train.share_fake=true",
    ),
}
CRITIC = (
    "model.family=dcgan", "model.z=5", "model.widths_g=[6, 4]", "model.strides_g=[2, 2]", "model.widths_d=[4, 6]",
    "model.kernel=3", "train.batch_size=4", "train.n_critic=1", "g.rule=sgd", "d.rule=sgd", "g.lr=0.01", "d.lr=0.01",
)  # fmt: skip
DENSE = (
    "model.family=mlp", "model.z=3", "model.widths_g=[5]", "model.widths_d=[6]", "loss.name=non-saturating",
    "train.batch_size=3", "d.rule=rmsprop", "d.weight_decay=0.01",
)  # fmt: skip


def _train(out: Path, backend: str, keys: tuple[str, ...], *more: str, **variables: str) -> Path:
    options = [word for key in ("train.log_every=1", *keys) for word in ("--set", key)]
    command = [*PYTHON, "-m", "minigan", "train", "digits", "--backend", backend, "--out", str(out)]
    run = subprocess.run(
        [*command, "--steps", str(STEPS), *options, *more],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return out


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """The simulator's packages."""
    if any(find_spec(name) is None for name in ("numba_cuda", "greenlet")):
        pytest.skip("the simulator is not installed: pip install 'minigan[cudasim]'")


def _on_cuda(out: Path, keys: tuple[str, ...], *more: str) -> Path:
    return _train(out, "cuda", keys, *more, NUMBA_ENABLE_CUDASIM="1")


def _off(a: Any, b: Any) -> float:
    """The relative distance of a from b, 0 where both are 0."""
    return float(np.linalg.norm(np.subtract(a, b)) / (np.linalg.norm(b) or 1))


def _steps_are_the_oracles(mine: Path, its: Path) -> list[dict[str, Any]]:
    """Plain descent, which does not make large what rounding makes small: 1e-5, for each number of each step."""
    steps = list(zip(timeless(mine), timeless(its), strict=True))
    assert len(steps) == STEPS
    for line, want in steps:
        assert line.keys() == want.keys()
        far = {key: (line[key], want[key]) for key in want if _off(line[key], want[key]) > 1e-5}
        assert far == {}, f"step {want['step']}"
    kept, wanted = state(mine).tensors, state(its).tensors
    assert kept.keys() == wanted.keys()
    assert {name: _off(kept[name], wanted[name]) for name in kept if _off(kept[name], wanted[name]) > 1e-5} == {}
    return [line for line, _ in steps]


def test_every_step_is_the_oracles(tmp_path: Path) -> None:
    _steps_are_the_oracles(_on_cuda(tmp_path / "cuda", NORMED), _train(tmp_path / "numpy", "numpy", NORMED))


@pytest.mark.parametrize("name", ["lazy r1", pytest.param("wgan-gp", marks=pytest.mark.slow)])
def test_every_step_with_a_penalty_is_the_oracles_and_a_graph_changes_no_bit(name: str, tmp_path: Path) -> None:
    keys = (*CRITIC, *PENALISED[name])
    mine = _on_cuda(tmp_path / "cuda", keys)
    lines = _steps_are_the_oracles(mine, _train(tmp_path / "numpy", "numpy", keys))
    assert ["penalty" in line for line in lines] == [name == "wgan-gp" or line["step"] % 2 == 0 for line in lines]
    _same(_on_cuda(tmp_path / "called", keys, "--no-graph"), mine)


def _same(a: Path, b: Path) -> None:
    """Two runs of the same bits."""
    assert timeless(a) == timeless(b)
    kept, wanted = state(a).tensors, state(b).tensors
    assert [name for name in wanted if kept[name].tobytes() != wanted[name].tobytes()] == []


@pytest.mark.slow
def test_adam_follows_the_oracle_and_a_graph_changes_no_bit(tmp_path: Path) -> None:
    """Adam makes steps of +-lr of what rounding leaves of a gradient of 0: losses alone are held, to 1e-3."""
    mine, its = _on_cuda(tmp_path / "cuda", DENSE), _train(tmp_path / "numpy", "numpy", DENSE)
    for line, want in zip(timeless(mine), timeless(its), strict=True):
        assert all(_off(line[key], want[key]) <= 1e-3 for key in ("loss_d", "loss_g")), (line, want)
    _same(_on_cuda(tmp_path / "called", DENSE, "--no-graph"), mine)
