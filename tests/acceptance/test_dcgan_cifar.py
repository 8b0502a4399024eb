"""dcgan-cifar, trained in full in colour, gives pictures whose colours and large features are the data's.

Protocol: 2,000 samples of seed 0, uint8, against all pictures of the file. Each channel's mean and standard deviation
over all pixels lie within 20 % of the data's. The Frechet distance on the first 64 principal components of the data's
pixels is below half of that of the generator after a single step.
"""

from collections.abc import Callable
from pathlib import Path

import frechet
import numpy as np
import pytest

from minigan import data

SAMPLES, WITHIN, PART = 2_000, 0.2, 0.5


def pictures(path: Path) -> np.ndarray:
    """(N,32,32,3) uint8"""
    dataset = data.load(str(path), value_range=(0.0, 255.0))
    return np.rint(dataset.read(np.arange(len(dataset)))).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_dcgan_cifar_gives_the_colours_and_large_features_of_its_data(
    shared_data: Path, tmp_path: Path, minigan: Callable[..., None]
) -> None:
    file = shared_data / "images" / "cifar10-10k.zip"
    found = {}
    for name, more in (("whole", ()), ("untrained", ("--steps", 1))):
        minigan("train", "dcgan-cifar", "--data", file, "--out", tmp_path / name, *more)
        minigan("sample", tmp_path / name, "-n", SAMPLES, "--out", tmp_path / f"{name}.npy")
        found[name] = np.load(tmp_path / f"{name}.npy")
    real = pictures(file)
    basis = frechet.components(real)
    whole, untrained = (frechet.distance(found[name], real, basis) for name in ("whole", "untrained"))
    means, deviations = ([f(a / 255.0, axis=(0, 1, 2)) for a in (found["whole"], real)] for f in (np.mean, np.std))
    print(f"Frechet distance {whole:.2f}, untrained {untrained:.2f}; means {means}; deviations {deviations}")

    for ours, theirs in (means, deviations):
        np.testing.assert_allclose(ours, theirs, rtol=WITHIN)
    assert whole < PART * untrained
