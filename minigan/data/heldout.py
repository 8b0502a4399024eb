"""Rows to judge by, which nothing is trained on: the test files that come with the data, or a tenth of its rows."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan import rng
from minigan.data import idx, mirrors
from minigan.data.catalogue import BUILTIN, load_idx
from minigan.data.dataset import Dataset, Rows, Wanted
from minigan.errors import DataError

PART = 10  # of rows without test files, one in so many is held out


class Picked(NamedTuple):
    """The rows `index` of other rows."""

    rows: Rows
    index: Any

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, at: Any) -> Any:
        return self.rows[self.index[at]]


def split(dataset: Dataset, size: int | None = None, channels: int | None = None) -> tuple[Dataset, Dataset]:
    """A data set that `load` gave, by the same size and channels -> what to train on, and what to judge by.

    Of a set with test files (IDX) all rows and the test images; else nine tenths and one, drawn once and for all,
    whatever a run's seed is. Raises DataError when the test files do not fit, or there are fewer than PART rows.
    """
    test = test_files(dataset, size, channels)
    if test is not None:
        return dataset, test
    if len(dataset) < PART:
        raise DataError(f"{dataset.name}: of {len(dataset)} rows no tenth can be held out; give {PART} or more")
    order = rng.host(0, "held out").permutation(len(dataset))
    n = len(dataset) // PART
    return _picked(dataset, np.sort(order[n:])), _picked(dataset, np.sort(order[:n]))


def test_files(dataset: Dataset, size: int | None = None, channels: int | None = None) -> Dataset | None:
    """The test images that lie beside a data set that `load` gave, by the same size and channels; None without."""
    name = dataset.name
    folder = mirrors.located(name) if name in mirrors.REMOTES else None if name in BUILTIN else Path(name)
    if folder is None or None in (idx.find(folder, stem) for stem in idx.TEST):
        return None
    test = load_idx(name, folder, Wanted(dataset.value_range, size, channels), dataset.classes, idx.TEST)
    if test.shape != dataset.shape:
        raise DataError(
            f"{dataset.name}: its test images are {test.shape}, but its training images are {dataset.shape}; "
            "give files of one set, or data.size"
        )
    return test


def _picked(dataset: Dataset, index: Any) -> Dataset:
    labels = None if dataset.labels is None else dataset.labels[index]
    return dataclasses.replace(dataset, rows=Picked(dataset.rows, index), labels=labels)
