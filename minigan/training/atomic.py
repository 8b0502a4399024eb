"""Files that are complete or absent, whatever kills the process: config, log and checkpoints are written through here.

Temporary file in the same folder, fsync, read back and compare, rename, fsync the folder. What a killed process leaves
behind is a temporary file whose name only this module gives.

Source: Pillai et al. 2014, "All File Systems Are Not Created Equal" (the order of write, fsync, rename, folder fsync).
"""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minigan.errors import CheckpointError

CHUNK = 4 << 20
TEMPORARY = re.compile(r"\..+\.minigan-[0-9a-f]{8}\.tmp")
ADVICE = {
    errno.ENOSPC: "free some space on this disk or choose another folder",
    errno.EDQUOT: "free some of your quota or choose another folder",
    errno.EFBIG: "raise the file size limit (ulimit -f) or choose another disk",
    errno.EROFS: "choose a folder on a writable disk",
    errno.EACCES: "get permission for it or choose another",
    errno.EPERM: "get permission for it or choose another",
    errno.ENOENT: "check the path: the file or its folder is not there (any more)",
    errno.EIO: "the disk reports errors: save to another one",
}


def atomic_text(path: Path, text: str) -> None:
    """`text` as UTF-8 under `path`, complete or absent, in place of what was there."""
    atomic_bytes(path, text.encode())


def atomic_bytes(path: Path, data: bytes) -> None:
    """`data` under `path`, complete or absent, mode 0644 & ~umask, in place of what was there.

    Raises CheckpointError; the temporary file is then removed and what stood under `path` is untouched (unless only the
    last fsync failed: then the new content stands there whole, but may not survive a power cut).
    """
    with reported("written", path):
        temporary = path.with_name(f".{path.name}.minigan-{secrets.token_hex(4)}.tmp")
        fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            try:
                _write(fd, data)
                os.fsync(fd)
                _compare(fd, data)
            finally:
                os.close(fd)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest[:CHUNK]) :]


def _compare(fd: int, data: bytes) -> None:
    for start in range(0, len(data) + 1, CHUNK):
        if os.pread(fd, CHUNK, start) != data[start : start + CHUNK]:
            raise OSError(errno.EIO, f"bytes read back differ from those written, after byte {start}")


@contextmanager
def reported(action: str, path: Path) -> Iterator[None]:
    """OSErrors from inside become one line: `path` cannot be `action`, why, and what to do."""
    try:
        yield
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, "see to the disk, or choose another folder")
        raise CheckpointError(f"{path}: cannot be {action}: {error.strerror or error}; {advice}") from error
