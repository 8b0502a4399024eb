"""The conditional presets on MNIST, whole: samples are of the class that was asked for.

Protocol: 1,000 samples of seed 1, one of each class in turn, judged by minigan's own classifier of the data
(evaluate/features.py), whose accuracy on MNIST's test images is held to be at least 98 %. infogan-mnist learns without
labels, so its codes have no names: they are matched to classes one to one as fits best (Hungarian method).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from minigan.config import Data
from minigan.evaluate.features import extractor
from minigan.training import run as runs

SAMPLES, ACCURACY, SHARE = 1000, 0.98, 0.01
LEAST = {"cgan-mnist": 0.95, "acgan-mnist": 0.95, "infogan-mnist": 0.8}


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("preset", LEAST)
def test_samples_are_of_the_class_asked_for(
    preset: str, shared_data: Path, tmp_path: Path, minigan: Callable[..., None]
) -> None:
    folder = str(shared_data / "mnist")
    minigan("train", preset, "--data", folder, "--out", tmp_path / "run")
    opened = runs.load(tmp_path / "run")
    judge = extractor(Data(name=folder, range=opened.config.data.range))
    found = judge.see(opened.sample(SAMPLES, seed=1)).labels
    asked = np.arange(SAMPLES) % 10
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (asked, found), 1)
    rows, columns = linear_sum_assignment(-counts) if preset == "infogan-mnist" else (np.arange(10), np.arange(10))
    share, shares = counts[rows, columns].sum() / SAMPLES, np.bincount(found, minlength=10) / SAMPLES
    print(f"{preset}: {share:.3f} as asked, judge {judge.record.accuracy:.4f}, shares {shares.tolist()}\n{counts}")
    assert judge.record.accuracy >= ACCURACY
    assert share >= LEAST[preset] and (shares >= SHARE).sum() >= 9
