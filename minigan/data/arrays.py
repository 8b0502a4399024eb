""".npy and .npz without numpy's loaders: the header is parsed by a strict pattern, nothing in it is ever executed.

.npy is memory-mapped; an .npz holds `x` (or one array alone) and perhaps `y`, and is unpacked in memory.
Big-endian values are converted when read; Fortran order, objects, structures and complex numbers are refused.
Source: NumPy Enhancement Proposal 1.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.data.archive import open_checked, read_member
from minigan.data.dataset import Dataset, Wanted, from_arrays
from minigan.data.files import MEMORY_BYTES, open_file, shown, size_of
from minigan.data.signals import from_signals
from minigan.errors import DataError

MAGIC = b"\x93NUMPY"
LENGTH_BYTES = {1: 2, 2: 4}
MAX_HEADER = 10_000
MAX_NDIM = 8
HEADER = re.compile(
    r"\{'descr': '([<>|=][A-Za-z?]\d*)', 'fortran_order': (True|False), "
    r"'shape': \((\d{0,18}(?:, ?\d{1,18})*),?\),? ?\}\s*"
)


class Header(NamedTuple):
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.offset + self.dtype.itemsize * math.prod(self.shape)


def _header(read: Callable[[int], bytes], place: str) -> Header:
    start = read(8)
    if len(start) < 8 or start[:6] != MAGIC or start[6] not in LENGTH_BYTES:
        raise DataError(f"{place}: wrong magic {start.hex()!r} at byte 0, expected .npy version 1 or 2; use numpy.save")
    width = LENGTH_BYTES[start[6]]
    length = int.from_bytes(read(width), "little")
    if length > MAX_HEADER:
        raise DataError(f"{place}: declares a header of {length} bytes, at most {MAX_HEADER} are read; use numpy.save")
    text = read(length)
    match = HEADER.fullmatch(text.decode("latin-1"))
    if len(text) < length or match is None:
        raise DataError(f"{place}: header at byte {8 + width} is not that of one plain array; use numpy.save")
    descr, fortran, sizes = match.groups()
    if "O" in descr:
        raise DataError(f"{place}: holds pickled Python objects, which are never loaded; save plain numbers")
    try:
        dtype = np.dtype(descr)
    except TypeError as error:
        raise DataError(f"{place}: unknown dtype {descr!r}; save uint8 or floats") from error
    if dtype.kind not in "uif":
        raise DataError(f"{place}: dtype {descr!r} is not supported; save uint8 or floats, labels as integers")
    shape = tuple(int(n) for n in sizes.split(",") if n.strip())
    if fortran == "True" and len(shape) > 1:
        raise DataError(f"{place}: is in Fortran order, rows are not contiguous; save numpy.ascontiguousarray of it")
    if not 1 <= len(shape) <= MAX_NDIM or 0 in shape:
        raise DataError(f"{place}: declares shape {shape}, expected 1 to {MAX_NDIM} axes, none 0; save the data again")
    return Header(dtype, shape, 8 + width + length)


def _check_size(place: str, header: Header, size: int) -> None:
    if size != header.size:
        raise DataError(
            f"{place}: has {size} bytes, but its header declares {header.dtype} of shape {header.shape}, {header.size} "
            "bytes in all (truncated, or data after the end); save it again"
        )


def read_npy(path: Path) -> NDArray[Any]:
    """A .npy file, memory-mapped. Raises DataError."""
    size = size_of(path)
    with open_file(path) as file:
        header = _header(file.read, shown(path))
    _check_size(shown(path), header, size)
    return np.memmap(path, header.dtype, "r", header.offset, header.shape)


def _parse(data: bytes, place: str) -> NDArray[Any]:
    view, at = memoryview(data), 0

    def take(n: int) -> bytes:
        nonlocal at
        at += n
        return bytes(view[at - n : at])

    header = _header(take, place)
    _check_size(place, header, len(data))
    return np.frombuffer(data, header.dtype, offset=header.offset).reshape(header.shape)


def read_npz(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """(x, y) of an .npz; y is None when it has none. Raises DataError."""
    with open_checked(path, MEMORY_BYTES) as archive:
        names = {info.filename.removesuffix(".npy"): info.filename for info in archive.infolist()}
        main = "x" if "x" in names else next(iter(names), "") if len(names) == 1 else None
        if not main:
            found = ", ".join(map(repr, sorted(names)[:8])) or "none"
            raise DataError(f"{shown(path)}: holds arrays {found}, expected 'x' (and 'y' for labels) or one alone")
        chosen = [name for name in (main, "y") if name in names]
        arrays = [_parse(read_member(archive, names[name]), f"{shown(path)}: array {name!r}") for name in chosen]
    return arrays[0], arrays[1] if main == "x" and len(arrays) > 1 else None


def load_npy(name: str, path: Path, wanted: Wanted) -> Dataset:
    """A data set without labels. Raises DataError."""
    return _items(name, path, read_npy(path), None, wanted)


def load_npz(name: str, path: Path, wanted: Wanted) -> Dataset:
    """A data set, with labels when there is a `y`. Raises DataError."""
    return _items(name, path, *read_npz(path), wanted)


def _items(name: str, path: Path, x: NDArray[Any], y: NDArray[Any] | None, wanted: Wanted) -> Dataset:
    """Signals where data.window asks for them, else pictures or vectors."""
    return (from_signals if wanted.window else from_arrays)(name, shown(path), x, y, wanted)
