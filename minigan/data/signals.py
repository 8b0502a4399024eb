"""Signals from arrays: rows cut into windows of equal length. A signal is an image of one row, (1, L, C)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.data.dataset import MAX_LABELS, Dataset, Lazy, Rows, Wanted, digest, labels_of, stored_range
from minigan.errors import DataError

MOST_CHANNELS = 64


def from_signals(
    name: str,
    place: str,
    x: NDArray[Any],
    y: NDArray[Any] | None,
    wanted: Wanted,
    rate: int | None = None,
    classes: tuple[str, ...] | None = None,
) -> Dataset:
    """x (N,L) or (N,L,C) uint8 or float, y (N,) integers or None -> signals (1, wanted.window, C).

    Each row gives L // window signals, one behind the other, all of its label; what remains at its end is left out.
    `rate` is in samples a second. Raises DataError on another shape or dtype, rows shorter than the window, NaN or
    infinity, floats outside [0,1] and [-1,1], bad labels.
    """
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise DataError(f"{place}: values are {x.dtype}, expected uint8 or a float type; convert them with astype")
    if x.ndim == 2:
        x = x[..., None]
    if 0 in x.shape or x.ndim != 3 or x.shape[2] > MOST_CHANNELS:
        raise DataError(
            f"{place}: values have shape {x.shape}, but data.window asks for signals (N,L) or (N,L,C), C at most "
            f"{MOST_CHANNELS}, none 0; put channels last, or leave data.window out"
        )
    n, length, channels = x.shape
    window = wanted.window or length
    if length < window:
        raise DataError(
            f"{place}: rows have {length} samples, fewer than data.window = {window}; give at most {length}"
        )
    each = length // window
    labels = None if y is None else np.repeat(labels_of(place, y, n, MAX_LABELS), each)
    if classes is None:
        classes = () if labels is None else tuple(map(str, range(int(labels.max()) + 1)))
    stored = stored_range(place, x[:, None])
    fingerprint = digest(x if y is None else (x, np.asarray(y, np.int32)))
    return Dataset(
        name,
        (1, window, channels),
        labels,
        classes,
        fingerprint,
        stored,
        wanted.value_range,
        _cut(x, window),
        rate=rate,
    )


def _cut(x: NDArray[Any], window: int) -> Rows:
    """x (N,L,C) -> N (L // window) rows (1, window, C), read from x when asked for where it is a file."""
    n, length, channels = x.shape
    if length == window:
        return x[:, None]
    each = length // window

    def row(i: int) -> NDArray[Any]:
        start = i % each * window
        return x[i // each, None, start : start + window]

    shape = 1, window, channels
    return Lazy(n * each, shape, x.dtype, row).held()


def windows(pieces: list[NDArray[np.float32]], window: int) -> NDArray[np.float32]:
    """Recordings (L_k, C), each at least a window long -> all their windows (N, 1, window, C), one behind the other."""
    counts = [len(piece) // window for piece in pieces]
    out = np.empty((sum(counts), 1, window, pieces[0].shape[1]), np.float32)
    at = 0
    for piece, count in zip(pieces, counts, strict=True):
        out[at : at + count] = piece[: count * window].reshape(count, 1, window, -1)
        at += count
    return out
