"""The rows that an evaluation compares: real ones to compare with, other real ones, and generated ones.

Images are compared as a picture file would hold them: (N,H,W,C) uint8, real and generated ones alike, so that nothing
is judged by what eight bits do not keep. Vectors are (N,F) float32. Both real sets are drawn once and for all, whatever
a run's seed is:

- *train*: n rows of the training data, which the samples are held against;
- *held*: n other rows, the test files' where the data has any. Held against *train* like samples are, they say how far
  real data is from itself at this n: the floor, which no generator is expected to beat.

Without test files both are halves of the same rows, on all of which a GAN was trained; `split` says which it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan import rng
from minigan.data import Dataset
from minigan.data import load as load_data
from minigan.data.heldout import test_files
from minigan.errors import ConfigError
from minigan.training import pictures
from minigan.training.run import Run

Items = NDArray[Any]  # (N,H,W,C) uint8, or (N,F) float32
MOST = 10_000  # rows of each kind, where nothing else is asked for
FEWEST = 50  # below it, statistics of features say nothing


@dataclass(frozen=True)
class Real:
    """Real rows with their labels, if they have any; `split` says where the held ones come from."""

    dataset: Dataset
    train: Items
    held: Items
    train_labels: NDArray[np.int32] | None
    held_labels: NDArray[np.int32] | None
    split: str
    fingerprints: tuple[str, str]
    training: NDArray[np.intp]  # all rows of the data that are not among the held ones, in the order they were drawn

    @property
    def n(self) -> int:
        """How many rows each of the two has."""
        return len(self.train)


def real(run: Run, data: str = "", n: int = 0) -> Real:
    """n rows of each kind of a run's data, or of `data` in the run's size, channels and range; 0: MOST, or all.

    Raises DataError and ConfigError: on other shapes, and when there are not as many.
    """
    return real_rows(run.config, run.shape, run.picture_range, data, n)


def real_rows(config: Any, shape: tuple[int, ...], values: tuple[float, float], data: str = "", n: int = 0) -> Real:
    """The same of a configuration: of items of `shape`, in which black and white are `values`."""
    c = config.data
    size, channels = c.size or None, c.channels or None
    given = values if len(shape) == 3 else None
    dataset = load_data(data or c.name, value_range=given, size=size, channels=channels, window=c.window or None)
    if dataset.shape != shape:
        raise ConfigError(f"{dataset.name} holds items of {dataset.shape}, the run makes {shape}; give other data")
    test = test_files(dataset, size, channels)
    other = dataset if test is None else test
    most = len(dataset) // 2 if test is None else min(len(dataset), len(test))
    n = n or min(MOST, most)
    if not FEWEST <= n <= most:
        raise ConfigError(
            f"--n {n}: {dataset.name} has {most} rows to compare with and as many others; give {FEWEST} to {most}"
            if most >= FEWEST
            else f"{dataset.name} has {len(dataset)} rows, too few to compare anything with; give {2 * FEWEST} or more"
        )
    order = rng.host(0, "evaluate/train").permutation(len(dataset))
    rows = order[:n]
    others = order[most : most + n] if test is None else rng.host(0, "evaluate/held").permutation(len(test))[:n]
    return Real(
        dataset,
        as_items(dataset.read(rows), values),
        as_items(other.read(others), values),
        None if dataset.labels is None else dataset.labels[rows],
        None if other.labels is None else other.labels[others],
        "other rows of the same data" if test is None else "test files",
        (dataset.fingerprint, other.fingerprint),
        order if test is not None else order[:most],
    )


def as_items(x: NDArray[Any], values: tuple[float, float]) -> Items:
    """x (N, *shape) as a generator or a data set gives it -> as it is compared: images as a file holds them, signals
    (N,1,L,C) as vectors (N, L C).
    """
    if pictures.is_signal(x.shape[1:]):
        return x.reshape(len(x), -1).astype(np.float32)
    return pictures.to_uint8(x, values) if x.ndim == 4 else x.astype(np.float32)


def as_floats(items: Items, low: float = 0.0, high: float = 1.0) -> NDArray[np.float32]:
    """Images with black at `low` and white at `high`; vectors as they are."""
    if items.dtype != np.uint8:
        return items.astype(np.float32)
    return (low + (high - low) * np.arange(256) / 255).astype(np.float32)[items]
