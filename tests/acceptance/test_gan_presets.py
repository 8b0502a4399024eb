"""The MNIST presets of the GAN family, trained in full by the command line, make digits of at least 9 classes of 10.

Protocol and judge are those of test_mlp_mnist.py: a class counts when at least 1 % of the samples are given to it, and
the samples lie about as near to real digits as the test images do. Convolutions draw thinner strokes than dense layers,
which lie further from their nearest neighbour in pixels: sn-hinge-mnist at 1.22 times the test images' distance.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from test_mlp_mnist import FITTED, NEIGHBOURS, PROBES, SHARE, pixels, read

from minigan.data import idx

SAMPLES, CLASSES, NEARNESS = 5_000, 9, 1.35


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("preset", ["sn-hinge-mnist", "wgan-gp-mnist", "r3gan-mnist"])
def test_a_preset_makes_digits_of_nine_classes(
    preset: str, shared_data: Path, tmp_path: Path, minigan: Callable[..., None]
) -> None:
    folder, run, file = shared_data / "mnist", tmp_path / "run", tmp_path / "samples.npy"
    minigan("train", preset, "--data", folder, "--out", run)
    minigan("sample", run, "-n", SAMPLES, "--out", file)
    samples = pixels(np.load(file))

    x, labels = pixels(read(folder, idx.IMAGES)[:FITTED]), read(folder, idx.LABELS)[:FITTED]
    judge = KNeighborsClassifier(NEIGHBOURS).fit(x, labels)
    test = pixels(read(folder, idx.TEST_IMAGES)[:PROBES])
    near, real = (float(np.median(judge.kneighbors(a[:PROBES], 1)[0])) for a in (samples, test))
    shares = np.bincount(judge.predict(samples), minlength=10) / len(samples)
    print(f"{preset}: distance to real digits {near:.2f} (test images {real:.2f}), shares {shares.tolist()}")

    assert near <= NEARNESS * real
    assert (shares >= SHARE).sum() >= CLASSES, f"shares of the classes 0 to 9: {shares.tolist()}"
