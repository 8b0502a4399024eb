"""Two domains without pairs, as one data set whose items hold a picture of each side by side: (H,W,C_a+C_b), C_a = C_b.

Domain B is another data set, or is made of A's by a transform of TRANSFORMS. Then the even rows are A, and the odd rows
B's, before they are transformed: no picture is in both, so there is nothing that a translator could learn by heart.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.data.batches import Batch, Batches
from minigan.data.dataset import Dataset, Range
from minigan.errors import DataError

SLANT = 0.4  # columns to the left per row downwards


def slanted(x: NDArray[Any], slant: float) -> NDArray[Any]:
    """x (N,H,W,C) -> y like x, sheared about the middle row: y[n,h,v] = x[n, h, v + slant (h - (H-1)/2)].

    Between two columns the value is interpolated; beyond the edge it is the edge's.
    """
    h, w = x.shape[1:3]
    at = (np.arange(w) + slant * (np.arange(h)[:, None] - (h - 1) / 2)).clip(0, w - 1)
    left = np.floor(at).astype(np.intp)
    share = (at - left).astype(x.dtype)[None, :, :, None]
    rows = np.arange(h)[:, None]
    return (1 - share) * x[:, rows, left] + share * x[:, rows, np.minimum(left + 1, w - 1)]


def inverted_slanted(x: NDArray[Any], value_range: Range) -> NDArray[Any]:
    """x (N,H,W,C) in value_range -> its negative, leaning to the right (italics). `upright` is the way back."""
    low, high = value_range
    return (low + high) - slanted(x, SLANT)


def upright(x: NDArray[Any], value_range: Range) -> NDArray[Any]:
    """What `inverted_slanted` did, undone, but for what its interpolation blurred."""
    low, high = value_range
    return slanted((low + high) - x, -SLANT)


def outlined(x: NDArray[Any], value_range: Range) -> NDArray[Any]:
    """x (N,H,W,C) in value_range -> the contour around what is bright: low + (the largest of each 3x3) - x."""
    h, w = x.shape[1:3]
    around = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    largest = np.max([around[:, i : i + h, j : j + w] for i in range(3) for j in range(3)], axis=0)
    return value_range[0] + largest - x


TRANSFORMS: dict[str, Callable[[NDArray[Any], Range], NDArray[Any]]] = {
    "inverted-slanted": inverted_slanted,
    "outlined": outlined,
}


@dataclass(frozen=True)
class _Half:
    """Every second row of a data set, from `first` on, by way of `change`."""

    of: Dataset
    first: int
    change: Callable[[NDArray[Any]], NDArray[Any]]

    def __len__(self) -> int:
        return (len(self.of) + 1 - self.first) // 2

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return self.change(self.of.read(2 * np.asarray(index) + self.first))


@dataclass(frozen=True)
class _Beside:
    """Row i of A and row i of B, along the channels."""

    a: Dataset
    b: Dataset

    def __len__(self) -> int:
        return min(len(self.a), len(self.b))

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return np.concatenate([self.a.read(index), self.b.read(index)], axis=-1)


@dataclass(frozen=True, eq=False)
class Domains(Dataset):
    """`a` and `b` alone, and both side by side. Which rows meet in `read` means nothing; see Unpaired."""

    a: Dataset = field(repr=False)
    b: Dataset = field(repr=False)


def open_domains(load: Callable[[str], Dataset], name: str, other: str) -> Domains:
    """Domain A is the data set `name`; B the transform or data set `other`. `load` gives a data set by its name.

    Raises DataError on vectors, on values that are not scaled to a range, and on pictures of two shapes.
    """
    a = load(name)
    if len(a.shape) != 3 or a.value_range is None:
        raise DataError(f"{a.name} holds items {a.shape}, but a domain is of pictures in a range; give pictures")
    if other in TRANSFORMS:
        a, b = _halves(a, other, a.value_range)
    else:
        b = _other(load, other)
    if a.shape != b.shape:
        raise DataError(
            f"domain A ({a.name}) has pictures {a.shape} and B ({b.name}) {b.shape}, but they must be alike; give "
            "data.size and data.channels"
        )
    shape = (*a.shape[:2], 2 * a.shape[2])
    fingerprint = hashlib.sha256(f"{a.fingerprint} {b.fingerprint} {other if other in TRANSFORMS else ''}".encode())
    return Domains(
        f"{a.name} and {b.name}", shape, None, (), fingerprint.hexdigest(), a.value_range, a.value_range,
        _Beside(a, b), a, b,
    )  # fmt: skip


def _other(load: Callable[[str], Dataset], other: str) -> Dataset:
    try:
        return load(other)
    except DataError as e:
        raise DataError(f"data.other: {e}; or {' or '.join(TRANSFORMS)}, which is made of A") from e


def _halves(whole: Dataset, transform: str, value_range: Range) -> tuple[Dataset, Dataset]:
    def half(first: int, change: Callable[[NDArray[Any]], NDArray[Any]], name: str) -> Dataset:
        labels = None if whole.labels is None else whole.labels[first::2]
        rows = _Half(whole, first, change)
        return dataclasses.replace(whole, name=name, labels=labels, stored=value_range, rows=rows)

    if len(whole) < 2:
        raise DataError(f"{whole.name} holds a single picture, of which no two domains are made; give more")
    changed = f"{whole.name} {transform}"
    return half(0, lambda x: x, whole.name), half(1, lambda x: TRANSFORMS[transform](x, value_range), changed)


class Unpaired(Batches):
    """Batches of both domains, each shuffled for itself: the larger one's epochs are longer."""

    def __init__(self, domains: Domains, batch_size: int, seed: int) -> None:
        super().__init__(domains, batch_size, seed)
        sides = {"shuffle/a": domains.a, "shuffle/b": domains.b}
        self.sides = [Batches(side, batch_size, seed, shuffle) for shuffle, side in sides.items()]

    def at(self, position: int) -> Batch:
        return np.concatenate([side.at(position)[0] for side in self.sides], axis=-1), None
