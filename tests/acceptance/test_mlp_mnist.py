"""mlp-mnist, trained for its 20 epochs by the command line on the oracle, must make digits of at least 7 classes.

Protocol: 10,000 samples of seed 0, uint8, scaled to [0, 1]; a 3-nearest-neighbour classifier (Euclidean, pixels) fitted
on the first 20,000 training images of MNIST; a class counts when at least 1 % of the samples are given to it. The judge
is judged too: it knows the 10,000 test images, and the samples lie about as near to real digits as those do.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from minigan.data import idx

FITTED, SAMPLES, SHARE, CLASSES = 20_000, 10_000, 0.01, 7
NEIGHBOURS, PROBES = 3, 1_000
ACCURACY, NEARNESS = 0.94, 1.25


def pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N,28,28) or (N,28,28,1) uint8 -> (N,784) in [0, 1]"""
    return images.reshape(len(images), -1).astype(np.float32) / 255


def read(folder: Path, stem: str) -> NDArray[np.uint8]:
    path = idx.find(folder, stem)
    assert path is not None, f"{folder} holds no {stem}"
    return idx.read(path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_mlp_mnist_makes_digits_of_seven_classes(
    shared_data: Path, tmp_path: Path, minigan: Callable[..., None]
) -> None:
    folder, run, file = shared_data / "mnist", tmp_path / "run", tmp_path / "samples.npy"
    minigan("train", "mlp-mnist", "--data", folder, "--backend", "numpy", "--out", run)
    minigan("sample", run, "-n", SAMPLES, "--out", file)
    samples = pixels(np.load(file))

    x, labels = pixels(read(folder, idx.IMAGES)[:FITTED]), read(folder, idx.LABELS)[:FITTED]
    test, truth = pixels(read(folder, idx.TEST_IMAGES)), read(folder, idx.TEST_LABELS)
    judge = KNeighborsClassifier(NEIGHBOURS).fit(x, labels)

    accuracy = float((judge.predict(test) == truth).mean())
    near, real = (float(np.median(judge.kneighbors(a[:PROBES], 1)[0])) for a in (samples, test))
    shares = np.bincount(judge.predict(samples), minlength=10) / len(samples)
    print(
        f"judge {accuracy:.3f}, distance to real digits {near:.2f} (test images {real:.2f}), shares {shares.tolist()}"
    )

    assert samples.shape == (SAMPLES, 784)
    assert accuracy >= ACCURACY
    assert near <= NEARNESS * real
    assert (shares >= SHARE).sum() >= CLASSES, f"shares of the classes 0 to 9: {shares.tolist()}"
