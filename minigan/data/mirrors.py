"""Where MNIST and Fashion-MNIST come from, where they are looked for, and `minigan data fetch`.

Sizes and SHA-256 are those of the .gz files as the mirrors distribute them.
"""

import contextlib
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from minigan.data import idx
from minigan.data.files import reason, shown
from minigan.errors import DataError, nearest

Progress = Callable[[str, int, int], None]  # (file, bytes so far, bytes in all)

TIMEOUT_S = 20
CHUNK_BYTES = 1 << 18


class File(NamedTuple):
    name: str
    size: int
    sha256: str


class Remote(NamedTuple):
    mirrors: tuple[str, ...]
    files: tuple[File, ...]


def _files(*facts: tuple[int, str]) -> tuple[File, ...]:
    return tuple(File(f"{stem}.gz", *fact) for stem, fact in zip(idx.FILES, facts, strict=True))


REMOTES = {
    "mnist": Remote(
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        _files(
            (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
    "fashion-mnist": Remote(
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        _files(
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
}


def cache_folder(name: str) -> Path:
    """$XDG_CACHE_HOME/minigan/NAME, or ~/.cache/minigan/NAME."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigan" / name


def located(name: str) -> Path | None:
    """The folder that holds the training images: $MINIGAN_DATA/NAME, then the cache; None when neither does."""
    shared = os.environ.get("MINIGAN_DATA")
    folders = ([Path(shared) / name] if shared else []) + [cache_folder(name)]
    return next((folder for folder in folders if idx.find(folder, idx.IMAGES)), None)


def by_hand(name: str) -> str:
    """What to put where when there is no network."""
    files = ", ".join(file.name for file in REMOTES[name].files)
    return f"put {files} from {REMOTES[name].mirrors[0]} into {shown(cache_folder(name))}"


def fetch(name: str, progress: Progress | None = None) -> Path:
    """Downloads `name` into the cache folder, each file whole and verified or not at all; files in place are kept.

    Raises DataError when no mirror gives a file, or the folder cannot be written.
    """
    if name not in REMOTES:
        raise DataError(f"{name!r} cannot be fetched; {nearest(name, REMOTES)}; other built-in sets need no download")
    folder = cache_folder(name)
    for file in REMOTES[name].files:
        path = folder / file.name
        if not _verified(path, file):
            _write(path, _download(name, file, progress or (lambda *_: None)))
    return folder


def _verified(path: Path, file: File) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def _download(name: str, file: File, progress: Progress) -> bytes:
    failures = []
    for mirror in REMOTES[name].mirrors:
        try:
            return _from(mirror + file.name, file, progress)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"{urlsplit(mirror).netloc or mirror}: {reason(error)}")
    raise DataError(f"{file.name} of {name} cannot be downloaded ({'; '.join(failures)}); offline, {by_hand(name)}")


def _from(url: str, file: File, progress: Progress) -> bytes:
    """One file from one mirror, at most a byte over its known size. Raises OSError, HTTPException, ValueError."""
    data = bytearray()
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
        while chunk := response.read(min(CHUNK_BYTES, file.size + 1 - len(data))):
            data += chunk
            progress(file.name, min(len(data), file.size), file.size)
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise ValueError(
            f"{len(data)} bytes with SHA-256 {found[:12]}..., expected {file.size} and {file.sha256[:12]}..."
        )
    return bytes(data)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(
            f"{shown(path)}: cannot be written ({reason(error)}); make room or set XDG_CACHE_HOME to a writable folder"
        ) from error
