"""A data set: rows that are read when asked for, scaled to the range of the generator's last activation."""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigan.data import images
from minigan.data.files import MEMORY_BYTES
from minigan.errors import ConfigError, DataError

Range = tuple[float, float]

HASH_BYTES = 1 << 28  # more than this is fingerprinted by size and by blocks at even distances
BLOCK_BYTES, BLOCKS = 1 << 16, 64
SCAN_BYTES = 1 << 24
MAX_SIZE = 4096
MAX_LABELS = 1 << 16
UNIT, SIGNED = (0.0, 1.0), (-1.0, 1.0)


class Rows(Protocol):
    """Stored values: an array (memory-mapped or not), or `Lazy`."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...


@dataclass(frozen=True)
class Lazy:
    """`count` rows of `shape`, each made by `row(i)` when it is asked for."""

    count: int
    shape: tuple[int, ...]
    dtype: Any
    row: Callable[[int], NDArray[Any]]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Sequence[int] | NDArray[np.intp]) -> NDArray[Any]:
        out = np.empty((len(index), *self.shape), self.dtype)
        for k, i in enumerate(index):
            out[k] = self.row(int(i))
        return out

    def held(self) -> Rows:
        """All rows in one array when that takes at most MEMORY_BYTES, else itself."""
        size = self.count * math.prod(self.shape) * np.dtype(self.dtype).itemsize
        return self[range(self.count)] if size <= MEMORY_BYTES else self


class Wanted(NamedTuple):
    """What the config asks of the data; see `load`."""

    value_range: Range | None
    size: int | None
    channels: int | None

    def check(self) -> None:
        """Raises ConfigError."""
        if self.size is not None and not 1 <= self.size <= MAX_SIZE:
            raise ConfigError(
                f"data.size is {self.size}, expected 1 to {MAX_SIZE} pixels; leave it out to keep the own"
            )
        if self.channels not in (None, 1, 3):
            raise ConfigError(
                f"data.channels is {self.channels}, expected 1 (grey) or 3 (RGB); leave it out to keep the own"
            )
        if self.value_range is not None and not self.value_range[0] < self.value_range[1]:
            raise ConfigError(f"data.value_range is {self.value_range}, expected (low, high) with low < high")


@dataclass(frozen=True, eq=False)
class Dataset:
    """`stored` is the range of the stored values that is mapped onto `value_range`; None: values stay as they are.

    `fingerprint` is the SHA-256 of the stored values and labels (of names and bytes for pictures). Beyond 256 MiB it
    covers sizes and 64 blocks of 64 KiB at even distances (names and sizes for pictures).
    """

    name: str
    shape: tuple[int, ...]
    labels: NDArray[np.int32] | None
    classes: tuple[str, ...]
    fingerprint: str
    stored: Range | None
    value_range: Range | None
    rows: Rows = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: ArrayLike) -> NDArray[np.float32]:
        """index (B,) -> (B, *shape) float32; only these rows are read from a memory-mapped or lazy source.

        y = low + (high - low) (x - a) / (b - a), with (a, b) = stored and (low, high) = value_range.
        """
        x = np.asarray(self.rows[np.asarray(index, np.intp)])
        if self.stored is None or self.value_range is None or self.stored == self.value_range:
            return x.astype(np.float32)
        (a, b), (low, high) = self.stored, self.value_range
        if x.dtype == np.uint8:
            table = low + (high - low) * np.arange(256) / 255
            return table.astype(np.float32)[x]
        scale = (high - low) / (b - a)
        return x.astype(np.float32) * np.float32(scale) + np.float32(low - a * scale)


def from_arrays(
    name: str,
    place: str,
    x: NDArray[Any],
    y: NDArray[Any] | None,
    wanted: Wanted,
    classes: tuple[str, ...] | None = None,
) -> Dataset:
    """x (N,F), (N,H,W) or (N,H,W,C) uint8 or float, y (N,) integers or None. Vectors keep their values, except uint8.

    Raises DataError on another shape or dtype, NaN or infinity, image floats outside [0,1] and [-1,1], bad labels.
    """
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise DataError(f"{place}: values are {x.dtype}, expected uint8 or a float type; convert them with astype")
    if x.ndim == 3:
        x = x[..., None]
    if 0 in x.shape or x.ndim not in (2, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)):
        raise DataError(
            f"{place}: values have shape {x.shape}, expected (N,F), (N,H,W) or (N,H,W,C) with C = 1 or 3, none 0; "
            "put channels last"
        )
    if x.ndim == 2 and (wanted.size is not None or wanted.channels is not None):
        raise DataError(
            f"{place}: holds vectors of {x.shape[1]} numbers, which have no data.size and no data.channels; give "
            "pictures, or leave them out"
        )
    labels = None if y is None else _labels(place, y, len(x), len(classes or ()) or MAX_LABELS)
    if classes is None:
        classes = () if labels is None else tuple(map(str, range(int(labels.max()) + 1)))
    stored = _stored_range(place, x)
    fingerprint = digest(x if labels is None else (x, labels))
    rows, shape = _fitted(x, wanted) if x.ndim == 4 else (x, x.shape[1:])
    return Dataset(name, shape, labels, classes, fingerprint, stored, wanted.value_range, rows)


def _labels(place: str, y: NDArray[Any], count: int, most: int) -> NDArray[np.int32]:
    if y.dtype.kind not in "iu" or y.ndim != 1:
        raise DataError(f"{place}: labels are {y.dtype} of shape {y.shape}, expected integers of shape (N,)")
    if len(y) != count:
        raise DataError(f"{place}: {count} images but {len(y)} labels, expected one each; give files of one set")
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= most:
        raise DataError(f"{place}: labels span {low} to {high}, expected 0 to {most - 1}; number classes from 0")
    return np.asarray(y, np.int32)


def _stored_range(place: str, x: NDArray[Any]) -> Range | None:
    """Declared for uint8, found by one pass in blocks for floats: [0,1] when all values fit, else [-1,1]."""
    if x.dtype == np.uint8:
        return 0.0, 255.0
    step = max(1, SCAN_BYTES // (x.itemsize * math.prod(x.shape[1:])))
    low, high = math.inf, -math.inf
    for start in range(0, len(x), step):
        block = x[start : start + step]
        finite = np.isfinite(block)
        if not finite.all():
            row = start + int(np.argwhere(~finite)[0][0])
            raise DataError(f"{place}: row {row} holds NaN or infinity, expected finite numbers; remove or mend it")
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    if max(-low, high) > np.finfo(np.float32).max:
        raise DataError(f"{place}: values span {low:g} to {high:g}, expected what float32 holds; rescale them")
    if x.ndim == 2:
        return None
    for a, b in (UNIT, SIGNED):
        if a <= low and high <= b:
            return a, b
    raise DataError(
        f"{place}: image values span {low:g} to {high:g}, expected floats in [0,1] or [-1,1], or uint8; rescale them"
    )


def _fitted(x: NDArray[Any], wanted: Wanted) -> tuple[Rows, tuple[int, ...]]:
    """x (N,H,W,C) at the size and channels wanted (x itself when it is so already), and the shape of a row."""
    dtype = np.uint8 if x.dtype == np.uint8 else np.float32

    def row(i: int) -> NDArray[Any]:
        return images.fit(x[i].astype(dtype), wanted.size, wanted.channels)

    height, width = (wanted.size, wanted.size) if wanted.size else x.shape[1:3]
    shape = (height, width, wanted.channels or x.shape[3])
    return (x if shape == x.shape[1:] else Lazy(len(x), shape, dtype, row).held()), shape


def digest(arrays: NDArray[Any] | Iterable[NDArray[Any]]) -> str:
    """SHA-256 hex of dtype, shape and values; of an array above HASH_BYTES, BLOCKS blocks at even distances."""
    total = hashlib.sha256()
    for a in (arrays,) if isinstance(arrays, np.ndarray) else arrays:
        total.update(f"{a.dtype.str}{a.shape}".encode())
        values = a.reshape(-1).view(np.uint8)
        last = values.size - BLOCK_BYTES
        starts = [0] if values.size <= HASH_BYTES else [last * k // (BLOCKS - 1) for k in range(BLOCKS)]
        length = values.size if len(starts) == 1 else BLOCK_BYTES
        for start in starts:
            total.update(np.ascontiguousarray(values[start : start + length]).data)
    return total.hexdigest()
