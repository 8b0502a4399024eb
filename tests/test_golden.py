"""The first five steps of GAN.step in float64 against PyTorch's: tests/golden/*.json, by benchmarks/golden_trace.py.

Every loss, D(x), D(G(z)) and gradient norm (whole and per parameter); at the end the norm of every parameter and
running statistic.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigan import config as configs
from minigan import data, rng
from minigan.backends import oracle
from minigan.losses import LOSSES
from minigan.models.net import Net
from minigan.optim import RULES
from minigan.tasks.gan import GAN

RELATIVE = 1e-9
ROUNDING = 1e-15  # for numbers that are 0 but for rounding, as a bias gradient whose terms cancel
GOLDEN = Path(__file__).parent / "golden"
TRACES = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(GOLDEN.glob("*.json"))}
CONFIGS = {name: configs.load(t["preset"], t["set"]) for name, t in TRACES.items()}


def real_batches(trace: dict[str, Any], config: configs.Config, request: pytest.FixtureRequest) -> np.ndarray:
    """(batches, B, *shape) float64, the rows that the trace was made with."""
    count, size = len(trace["steps"]) * config.train.n_critic, config.train.batch_size
    if trace["data"] == "synthetic":
        shape = (size, *trace["shape"])
        return np.stack([rng.host(config.train.seed, "golden/real", k).uniform(-1, 1, shape) for k in range(count)])
    folder = request.getfixturevalue("shared_data") / "mnist"
    dataset = data.load(str(folder), value_range=configs.RANGES[config.data.range])
    return dataset.read(range(count * size)).astype(np.float64).reshape(count, size, *trace["shape"])


def norms(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    return {name: float(np.sqrt((a * a).sum())) for name, a in arrays.items()}


def gradient_norms(net: Net) -> dict[str, float]:
    return {f"grad_norm/{name}": norm for name, norm in norms(net.layout.views(net.dp)).items()}


def meet(where: str, found: dict[str, float], golden: dict[str, float]) -> None:
    assert found.keys() == golden.keys()
    off = {
        name: f"{found[name]!r}, PyTorch {value!r}"
        for name, value in golden.items()
        if not math.isclose(found[name], value, rel_tol=RELATIVE, abs_tol=ROUNDING)
    }
    assert not off, f"{where}: {off}"


@pytest.mark.parametrize("name", TRACES)
def test_first_steps_meet_pytorch(name: str, request: pytest.FixtureRequest) -> None:
    trace, config = TRACES[name], CONFIGS[name]
    x = real_batches(trace, config, request)
    assert hashlib.sha256(x.tobytes()).hexdigest() == trace["data_sha256"], "the real batches are not the trace's"
    gan, n = GAN(config, oracle, tuple(trace["shape"])), config.train.n_critic
    meet("initial", norms({**gan.G.tensors(), **gan.D.tensors()}), trace["initial_norms"])
    for k, golden in enumerate(trace["steps"]):
        record = {key: float(value) for key, value in gan.step(list(x[k * n : (k + 1) * n]), k).items()}
        whole = {f"grad_norm_{net}": math.sqrt(record.pop(f"grad_norm2_{net}")) for net in ("d", "g")}
        meet(f"step {k}", record | whole | gradient_norms(gan.D) | gradient_norms(gan.G), golden)
    meet("final", norms({**gan.G.tensors(), **gan.D.tensors()}), trace["final_norms"])


def test_traces_cover_every_loss_optimizer_and_family() -> None:
    assert {c.loss.name for c in CONFIGS.values()} == set(LOSSES)
    assert {o.rule for c in CONFIGS.values() for o in (c.g, c.d)} == set(RULES)
    assert {"mlp-mnist", "dcgan-mnist"} <= {c.preset for name, c in CONFIGS.items() if TRACES[name]["data"] == "mnist"}
    assert all(len(t["steps"]) == 5 for t in TRACES.values())


def test_traces_clip_some_gradients_and_some_weights() -> None:
    """A trace that always or never clips would not notice a clip that is missing or in the wrong place."""
    clipped = [name for name, config in CONFIGS.items() if config.d.clip_norm]
    assert {CONFIGS[name].d.rule for name in clipped} == set(RULES)
    for name in clipped:
        long = [step["grad_norm_d"] > CONFIGS[name].d.clip_norm for step in TRACES[name]["steps"]]
        assert any(long) and not all(long), f"{name}: {long}"
    initial, final = (TRACES["wasserstein"][f"{when}_norms"]["d.0.w"] for when in ("initial", "final"))
    assert CONFIGS["wasserstein"].train.weight_clip > 0 and final < 0.9 * initial
