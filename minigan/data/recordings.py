"""Recordings: .wav files, one or a folder or zip of them with one folder per class, cut into signals of equal length.

PCM of 8 (unsigned), 16, 24 or 32 bit, read by Python's own `wave`; full scale becomes -1..1, and nothing is made
louder. All files have one number of channels and one rate: nothing is resampled. Decoded, they take at most 1 GiB.
"""

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.data.dataset import SIGNED, Dataset, Wanted
from minigan.data.files import MEMORY_BYTES, human, open_file, reason, shown, size_of
from minigan.data.folders import Source, fingerprint, labels_by_folder
from minigan.data.signals import MOST_CHANNELS, windows
from minigan.errors import ConfigError, DataError

SUFFIXES = (".wav",)


def _24_bit(data: bytes) -> NDArray[Any]:
    """Three bytes a value, the lowest first: the upper three of four."""
    out = np.zeros((len(data) // 3, 4), np.uint8)
    out[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return out.view("<i4")[:, 0]


# bytes a value: how they are read, where 0 is, what full scale is
WIDTHS: dict[int, tuple[Callable[[bytes], NDArray[Any]], int, float]] = {
    1: (lambda data: np.frombuffer(data, np.uint8), 128, 2.0**7),
    2: (lambda data: np.frombuffer(data, "<i2"), 0, 2.0**15),
    3: (_24_bit, 0, 2.0**31),
    4: (lambda data: np.frombuffer(data, "<i4"), 0, 2.0**31),
}


class Recording(NamedTuple):
    """x (L,C) float32 in -1..1, and samples a second."""

    x: NDArray[np.float32]
    rate: int


def decode(data: bytes, place: str) -> Recording:
    """A .wav file's bytes. Raises DataError on anything but whole PCM."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate, count = file.getparams()[:4]
            if 4 * count * channels > MEMORY_BYTES:
                raise _too_much(place)
            values = file.readframes(count)
    except DataError:
        raise
    except Exception as error:  # wave raises many kinds on hostile bytes
        raise DataError(f"{place}: is no .wav file of PCM ({reason(error)}); save it as 16-bit PCM") from error
    if width not in WIDTHS or not 1 <= channels <= MOST_CHANNELS or rate < 1:
        raise DataError(
            f"{place}: has {8 * width} bit, {channels} channels and {rate} samples a second, expected 8, 16, 24 or 32 "
            f"bit, 1 to {MOST_CHANNELS} channels and a rate; save it as 16-bit PCM"
        )
    if len(values) != count * width * channels:
        raise DataError(
            f"{place}: declares {count} samples, but holds {len(values) // (width * channels)} (truncated); "
            "save it again"
        )
    read, zero, scale = WIDTHS[width]
    x = (read(values).astype(np.float32) - np.float32(zero)) / np.float32(
        scale
    )  # a power of 2: rounded once, if at all
    return Recording(x.reshape(-1, channels), rate)


def _too_much(place: str) -> DataError:
    return DataError(
        f"{place}: takes over {human(MEMORY_BYTES)} as float32; save all as a .npy, which is memory-mapped"
    )


def is_recordings(source: Source) -> bool:
    """Whether any of the files is a .wav."""
    return any(name.lower().endswith(SUFFIXES) for name in source.sizes)


def one_file(path: Path) -> Source:
    """A single recording as a source of its own. Raises DataError."""

    def read(name: str) -> bytes:
        size = size_of(path)
        if size > MEMORY_BYTES:
            raise DataError(
                f"{shown(path)}: has {human(size)}, at most {human(MEMORY_BYTES)} are read; cut it in pieces"
            )
        with open_file(path) as file:
            return file.read(size)

    return Source(shown(path.parent), {path.name: size_of(path)}, read)


def load_recordings(name: str, source: Source, wanted: Wanted) -> Dataset:
    """Signals (1, wanted.window, C): each file's windows, one behind the other; what remains at its end is left out.

    Raises ConfigError without a window, DataError on a file that is no PCM, of another rate or number of channels than
    the first, or shorter than a window.
    """
    if wanted.window is None:
        raise ConfigError(f"{source.place} holds recordings; give data.window, a signal's length in samples, as 1024")
    names = source.of(SUFFIXES, "no .wav", "recordings")
    pieces: list[NDArray[np.float32]] = []
    first, size = None, 0
    for file in names:
        place = f"{source.place}: {file!r}"
        found = decode(source.read(file), place)
        first = first or found
        size += found.x.nbytes
        kind, expected = (f"{r.x.shape[1]} channels at {r.rate} samples a second" for r in (found, first))
        if kind != expected:
            raise DataError(f"{place} has {kind}, but {names[0]!r} has {expected}; bring all to one kind")
        if len(found.x) < wanted.window:
            raise DataError(
                f"{place} has {len(found.x)} samples, fewer than data.window = {wanted.window}; give a smaller one, or "
                "move the file elsewhere"
            )
        if size > MEMORY_BYTES:
            raise _too_much(source.place)
        pieces.append(found.x)
    assert first is not None  # `of` refuses a source without any
    labels, classes = labels_by_folder(source.place, names)
    if labels is not None:
        labels = np.repeat(labels, [len(piece) // wanted.window for piece in pieces])
    rows = windows(pieces, wanted.window)
    return Dataset(
        name, rows.shape[1:], labels, classes, fingerprint(source, names), SIGNED, wanted.value_range, rows,
        rate=first.rate,
    )  # fmt: skip
