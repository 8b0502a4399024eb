"""The conditional presets on MNIST, whole: samples are of the class that was asked for, and not all the same one.

Protocol: 1,000 samples of seed 1, one of each class in turn, judged by minigan's own classifier of the data
(evaluate/features.py), whose accuracy on MNIST's test images is held to be at least 98 %. infogan-mnist learns without
labels, so its codes have no names: they are matched to classes one to one as fits best (Hungarian method). How much
samples of one class differ is the standard deviation of a pixel among them, on average over pixels and classes, in
proportion to that of the first 3,000 training images.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from minigan.config import Data
from minigan.evaluate.features import extractor
from minigan.training import run as runs
from minigan.training.parts import open_data

SAMPLES, ACCURACY, SHARE, REAL = 1000, 0.98, 0.01, 3000
DIFFER = 0.6  # a G that draws one picture per class, whatever z, has 0.1
LEAST = {"cgan-mnist": 0.95, "acgan-mnist": 0.95, "infogan-mnist": 0.8}


def within(x: NDArray[np.float32], labels: NDArray[np.integer]) -> float:
    """x (N, *shape), labels (N,) -> how much pixels of one class differ, on average."""
    return float(np.mean([x[labels == k].std(axis=0).mean() for k in range(10)]))


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
    x, real = opened.sample(SAMPLES, seed=1), open_data(opened.config).read(np.arange(REAL))
    found = judge.see(x).labels
    asked = np.arange(SAMPLES) % 10
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (asked, found), 1)
    rows, columns = linear_sum_assignment(-counts) if preset == "infogan-mnist" else (np.arange(10), np.arange(10))
    share, shares = counts[rows, columns].sum() / SAMPLES, np.bincount(found, minlength=10) / SAMPLES
    differ = within(x, asked) / within(real, judge.see(real).labels)
    judged = f"judge {judge.record.accuracy:.4f}, shares {shares.tolist()}"
    print(f"{preset}: {share:.3f} as asked, {differ:.2f} as different, {judged}\n{counts}")
    assert judge.record.accuracy >= ACCURACY
    assert share >= LEAST[preset] and (shares >= SHARE).sum() >= 9
    assert differ >= DIFFER
