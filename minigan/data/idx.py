"""IDX, the format of MNIST and Fashion-MNIST.

    0 0 type ndim | ndim sizes, big-endian uint32 | values, big-endian, C order

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits". Plain files are memory-mapped; .gz files are
decompressed into memory, never by more than one byte over what the header declares.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from minigan.data.files import MEMORY_BYTES, human, open_file, reason, shown, size_of
from minigan.errors import DataError

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_NDIM = 8
DEFLATE_RATIO = 1032  # no deflate stream expands further

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
TRAIN, TEST = (IMAGES, LABELS), (TEST_IMAGES, TEST_LABELS)
FILES = (*TRAIN, *TEST)


def find(folder: Path, stem: str) -> Path | None:
    """The plain file when there is one, else the .gz, else None."""
    return next((p for p in (folder / stem, folder / f"{stem}.gz") if p.exists()), None)


def read(path: Path) -> NDArray[Any]:
    """One IDX file, .gz or plain, as a read-only array. Raises DataError on any broken rule."""
    size = size_of(path)
    if path.suffix == ".gz":
        return _read_gz(path, size)
    with open_file(path) as file:
        dtype, shape, offset = _header(file, path)
    expected = offset + dtype.itemsize * math.prod(shape)
    if size != expected:
        raise _length_error(path, shape, "the file", f"has {size} bytes", expected)
    return np.memmap(path, dtype, "r", offset, shape)


def _header(file: IO[bytes] | gzip.GzipFile, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or not 1 <= magic[3] <= MAX_NDIM:
        raise DataError(
            f"{shown(path)}: wrong magic {magic.hex()!r} at byte 0, expected 0000, a type of "
            f"{'|'.join(f'{code:02x}' for code in DTYPES)} and 01 to 0{MAX_NDIM} axes; give an IDX file"
        )
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise DataError(f"{shown(path)}: truncated in its header of {4 + 4 * magic[3]} bytes; get the file again")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    if 0 in shape:
        raise DataError(f"{shown(path)}: declares shape {shape} at byte 4, which holds no data; get the file again")
    return np.dtype(DTYPES[magic[2]]), shape, 4 + 4 * magic[3]


def _length_error(path: Path, shape: tuple[int, ...], what: str, found: str, expected: int) -> DataError:
    return DataError(
        f"{shown(path)}: {what} {found}, but its header declares shape {shape}, {expected} bytes in all "
        "(truncated, or data after the end); get the file again"
    )


def _read_gz(path: Path, size: int) -> NDArray[Any]:
    try:
        with open_file(path) as packed, gzip.GzipFile(fileobj=packed) as stream:
            dtype, shape, offset = _header(stream, path)
            count = dtype.itemsize * math.prod(shape)
            if count > DEFLATE_RATIO * size:
                raise _length_error(path, shape, f"a .gz of {size} bytes", "cannot hold that", offset + count)
            if count > MEMORY_BYTES:
                raise DataError(
                    f"{shown(path)}: declares {human(count)}, above the {human(MEMORY_BYTES)} that a .gz may take in "
                    "memory; gunzip it, plain IDX files are memory-mapped"
                )
            data = np.empty(count, np.uint8)
            filled = 0
            while filled < count and (got := stream.readinto(data[filled : filled + (1 << 20)].data)):
                filled += got
            if filled < count or stream.read(1):
                found = "goes on" if filled == count else f"ends at byte {offset + filled}"
                raise _length_error(path, shape, "the unpacked stream", found, offset + count)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{shown(path)}: broken gzip stream ({reason(error)}); get the file again") from error
    data.flags.writeable = False
    return data.view(dtype).reshape(shape)
