"""classifier-mnist as it stands, on real MNIST: 98.5 % of the test images, in less than three minutes of training."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

ACCURACY, SECONDS = 0.985, 180.0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_classifier_mnist_knows_the_test_images(
    shared_data: Path, tmp_path: Path, minigan: Callable[..., None]
) -> None:
    run = tmp_path / "run"
    minigan("train", "classifier-mnist", "--data", shared_data / "mnist", "--backend", "cpp", "--out", run)
    last = json.loads((run / "log.jsonl").read_text("utf-8").splitlines()[-1])
    print(f"accuracy {last['accuracy']:.4f} after {last['elapsed_s']:.0f} s")
    assert last["step"] == 1404
    assert last["accuracy"] >= ACCURACY
    assert last["elapsed_s"] < SECONDS
