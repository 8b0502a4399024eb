"""Points in the plane, whose modes can be counted. Coordinates have no unit; labels are the mode's index.

ring8: 8 Gaussians, std 0.02, on a circle of radius 2. Source: Metz et al. 2017, arXiv:1611.02163.
grid25: 25 Gaussians, std 0.05, at {-4,-2,0,2,4} squared. Source: Lin et al. 2018, arXiv:1712.04086.
moons: two half circles of radius 1 that interlock, std 0.05, in the form that scikit-learn's make_moons made known.
"""

import numpy as np
from numpy.typing import NDArray

from minigan import rng
from minigan.data.dataset import Dataset, Wanted, from_arrays
from minigan.errors import DataError, nearest

SEED = 0
COUNTS = {"ring8": 16_000, "grid25": 25_000, "moons": 16_000}
STD = {"ring8": 0.02, "grid25": 0.05, "moons": 0.05}


def _ring8() -> NDArray[np.float64]:
    angle = 2 * np.pi * np.arange(8) / 8
    return 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _grid25() -> NDArray[np.float64]:
    side = np.linspace(-4.0, 4.0, 5)
    return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(25, 2)


CENTRES = {"ring8": _ring8, "grid25": _grid25}


def centres(name: str) -> NDArray[np.float64]:
    """The means (M, 2) of the modes of ring8 or grid25. Raises DataError for sets without them."""
    if name not in CENTRES:
        raise DataError(f"toy set {name!r} has no centres; {nearest(name, CENTRES)}")
    return CENTRES[name]()


def _moons(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Evenly spaced points: (cos t, sin t) for label 0, (1 - cos t, 1/2 - sin t) for label 1, t in [0, pi]."""
    t = np.pi * (np.arange(len(labels)) // 2) / (len(labels) // 2 - 1)
    upper = np.stack([np.cos(t), np.sin(t)], axis=1)
    return np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)


def load_toy(name: str, wanted: Wanted) -> Dataset:
    """Equally many points of every mode, the same on every call."""
    modes = len(centres(name)) if name in CENTRES else 2
    labels = (np.arange(COUNTS[name]) % modes).astype(np.int32)
    middle = centres(name)[labels] if name in CENTRES else _moons(labels)
    noise = rng.host(SEED, f"toy {name}").standard_normal(middle.shape)
    return from_arrays(name, name, (middle + STD[name] * noise).astype(np.float32), labels, wanted)
