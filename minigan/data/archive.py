"""Zip archives from strangers: members are checked by their declared facts, then read in memory, never extracted."""

import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, ZipInfo

from minigan.data.files import human, reason, shown, size_of
from minigan.errors import DataError

MAX_RATIO = 200
SMALL = 1 << 20  # below this many bytes no ratio is alarming


def _escapes(info: ZipInfo) -> bool:
    name = info.orig_filename
    return "\\" in name or ":" in name or "\0" in name or name.startswith("/") or ".." in PurePosixPath(name).parts


RULES: tuple[tuple[Callable[[ZipInfo], bool], str], ...] = (
    (_escapes, "its name leaves the archive (absolute, '..', '\\', ':' or NUL); pack the folder again"),
    (lambda i: bool(i.flag_bits & 0x1), "it is encrypted; pack the folder again without a password"),
    (
        lambda i: i.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
        "its compression is neither 'stored' nor 'deflate'; pack the folder again with one of them",
    ),
    (
        lambda i: i.file_size > max(SMALL, MAX_RATIO * i.compress_size),
        f"it declares over {MAX_RATIO} times its packed size (zip bomb); pack the folder again without compression",
    ),
)


def open_checked(path: Path, member_bytes: int) -> ZipFile:
    """The archive, once every member keeps the rules above and unpacks to at most `member_bytes`. Raises DataError."""
    size = size_of(path)
    try:
        archive = ZipFile(path)
    except Exception as error:  # zipfile raises many kinds on hostile bytes
        raise DataError(f"{shown(path)}: is no readable zip archive ({reason(error)}); get it again") from error
    try:
        _check(path, size, archive.infolist(), member_bytes)
    except DataError:
        archive.close()
        raise
    return archive


def _check(path: Path, size: int, members: list[ZipInfo], member_bytes: int) -> None:
    for info in members:
        for broken, words in RULES:
            if broken(info):
                raise DataError(f"{shown(path)}: member {info.orig_filename!r} is refused: {words}")
        if info.file_size > member_bytes:
            raise DataError(
                f"{shown(path)}: member {info.filename!r} declares {human(info.file_size)}, "
                f"at most {human(member_bytes)} are read; use smaller files, or .npy, which is memory-mapped"
            )
    name, times = next(iter(Counter(info.filename for info in members).most_common(1)), ("", 0))
    if times > 1:
        raise DataError(f"{shown(path)}: member {name!r} is there {times} times, expected once; pack the folder again")
    if sum(info.compress_size for info in members) > size:
        raise DataError(f"{shown(path)}: members overlap, their packed sizes exceed the file (zip bomb); get it again")
    if sum(info.file_size for info in members) > max(SMALL, MAX_RATIO * size):
        raise DataError(
            f"{shown(path)}: declares over {MAX_RATIO} times its own size (zip bomb); pack it again without compression"
        )


def read_member(archive: ZipFile, name: str) -> bytes:
    """All bytes of a member of a checked archive, at most what it declares, CRC verified. Raises DataError."""
    info = archive.getinfo(name)
    place = f"{shown(archive.filename or 'archive')}: member {name!r}"
    try:
        with archive.open(info) as file:
            data = file.read(info.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{place} cannot be unpacked ({reason(error)}); get the archive again") from error
    if len(data) != info.file_size:
        raise DataError(f"{place} has {len(data)} bytes, {info.file_size} are declared; get the archive again")
    return data
