"""dcgan-mnist, the exact network, on real MNIST: after 200 steps neither network has won.

D(x) - D(G(z)) is its mean over the last 20 steps: on a single batch it swings by about as much as its own size.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

STEPS, LAST = 200, 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_dcgan_mnist_is_in_balance_after_200_steps(
    shared_data: Path, tmp_path: Path, minigan: Callable[..., None]
) -> None:
    run = tmp_path / "run"
    minigan(
        *("train", "dcgan-mnist", "--data", shared_data / "mnist", "--backend", "numpy", "--steps", STEPS),
        *("--set", "train.log_every=1", "--out", run),
    )
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    margins = [line["d_real"] - line["d_fake"] for line in lines]
    assert len(margins) == STEPS
    margin = sum(margins[-LAST:]) / LAST
    print(f"D(x) - D(G(z)) = {margin:.3f}; by step: {margins}")
    assert 0.02 < margin < 0.95, f"by step: {margins}"
