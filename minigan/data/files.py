"""Looking before opening: what a path is, told by stat, so that a FIFO or a device never blocks a read."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from minigan.errors import DataError

MEMORY_BYTES = 1 << 30  # the most that one array may take in memory when its format cannot be memory-mapped

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)


def shown(place: str | os.PathLike[str]) -> str:
    """A path or archive member as it may stand in a one-line message."""
    text = str(place)
    return text if text.isprintable() else repr(text)


def reason(error: BaseException) -> str:
    """The first line of an exception's text, or its type when it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def size_of(path: Path) -> int:
    """Bytes of a regular file. Raises DataError for anything else, without opening it."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(path)}: cannot be read ({reason(error)}); give a file that exists") from error
    if not stat.S_ISREG(found.st_mode):
        kind = next((words for test, words in KINDS if test(found.st_mode)), "no file")
        raise DataError(f"{shown(path)}: is {kind}, expected a regular file; copy its content into one")
    return found.st_size


def open_file(path: Path) -> BinaryIO:
    """A regular file, opened for reading. Raises DataError."""
    size_of(path)
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be opened ({reason(error)}); make it readable") from error


def human(size: int) -> str:
    """1536 -> '1.5 KiB'."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"
