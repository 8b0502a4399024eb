"""Pictures in a folder or a .zip: one folder per class, or all in one folder (then there are no labels).

Order: names sorted, classes sorted. All pictures are decoded once into one array when that takes at most 1 GiB,
else each is decoded when it is read. Only .png, .jpg and .jpeg are read, in any case; hidden files and notes
(.txt, .md, .csv and the like) are passed over.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from minigan.data import images
from minigan.data.archive import open_checked, read_member
from minigan.data.dataset import HASH_BYTES, Dataset, Lazy, Wanted
from minigan.data.files import human, open_file, reason, shown, size_of
from minigan.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg")
NOTES = ("", ".txt", ".md", ".csv", ".json", ".xml", ".html", ".db", ".ini")
PICTURE_BYTES = 1 << 26
MAX_DEPTH = 8


@dataclass(frozen=True)
class Source:
    """Pictures by name, relative and with '/'; `place` is the folder or archive."""

    place: str
    sizes: dict[str, int]
    read: Callable[[str], bytes]

    def of(self, suffixes: tuple[str, ...], kind: str, kinds: str) -> list[str]:
        """The sorted names of all files with one of `suffixes`: `kind` is what others are not, `kinds` what they are.

        Raises DataError when there is none, or a file of an unknown kind.
        """
        names = []
        for name in sorted(self.sizes):
            path = PurePosixPath(name)
            if any(part.startswith((".", "__MACOSX")) for part in path.parts):
                continue
            suffix = path.suffix.lower()
            if suffix in suffixes:
                names.append(name)
            elif suffix not in NOTES:
                raise DataError(f"{self.place}: {name!r} is {kind}; convert it, or move it elsewhere")
        if not names:
            raise DataError(f"{self.place}: holds no {kinds}; expected {', '.join(suffixes)}, one folder per class")
        return names


def folder(root: Path) -> Source:
    """All files below `root`; links are followed, down to MAX_DEPTH folders. Raises DataError."""
    sizes: dict[str, int] = {}

    def walk(path: Path, prefix: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise DataError(f"{shown(path)}: more than {MAX_DEPTH} folders deep, expected one folder per class")
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{shown(path)}: cannot be listed ({reason(error)}); make it readable") from error
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                walk(Path(entry.path), f"{prefix}{entry.name}/", depth + 1)
            else:
                sizes[prefix + entry.name] = size_of(Path(entry.path))

    def read(name: str) -> bytes:
        path = root / name
        size = size_of(path)
        if size > PICTURE_BYTES:
            raise DataError(
                f"{shown(path)}: has {human(size)}, at most {human(PICTURE_BYTES)} are read; shrink or remove it"
            )
        with open_file(path) as file:
            return file.read(size)

    walk(root, "", 0)
    return Source(shown(root), sizes, read)


def archive(path: Path) -> Source:
    """All members of a .zip. Raises DataError."""
    opened = open_checked(path, PICTURE_BYTES)
    sizes = {info.filename: info.file_size for info in opened.infolist() if not info.is_dir()}
    return Source(shown(path), sizes, lambda name: read_member(opened, name))


def labels_by_folder(place: str, names: list[str]) -> tuple[NDArray[np.int32] | None, tuple[str, ...]]:
    """Class numbers and names from the folders, below those that all names share."""
    parents = [PurePosixPath(name).parts[:-1] for name in names]
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*parents, strict=False)))
    own = [parts[shared:] for parts in parents]
    depths = {len(parts): name for parts, name in zip(own, names, strict=True)}
    if set(depths) == {0}:
        return None, ()
    if set(depths) != {1}:
        examples = " and ".join(repr(name) for name in sorted(depths.values())[:2])
        raise DataError(f"{place}: {examples} lie at odd depths, expected one folder per class or one flat folder")
    classes = tuple(sorted({parts[0] for parts in own}))
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number[parts[0]] for parts in own], np.int32), classes


def fingerprint(source: Source, names: list[str]) -> str:
    """SHA-256 hex of names, sizes and, up to HASH_BYTES, all bytes."""
    total = hashlib.sha256()
    whole = sum(source.sizes[name] for name in names) <= HASH_BYTES
    for name in names:
        total.update(f"{name}\0{source.sizes[name]}\0".encode("utf-8", "surrogateescape"))
        if whole:
            total.update(source.read(name))
    return total.hexdigest()


def load_pictures(name: str, source: Source, wanted: Wanted) -> Dataset:
    """A data set of uint8 pictures; the first sets size and channels where `wanted` leaves them open. Raises DataError.

    A picture of another size or another number of channels is an error that names it.
    """
    wanted.refuse_window(source.place)
    names = source.of(SUFFIXES, "neither PNG nor JPEG", "pictures")
    labels, classes = labels_by_folder(source.place, names)

    def picture(i: int) -> NDArray[np.uint8]:
        data = source.read(names[i])
        return images.fit(images.decode(data, f"{source.place}: {names[i]!r}", wanted.channels), wanted.size, None)

    shape = picture(0).shape

    def row(i: int) -> NDArray[np.uint8]:
        pixels = picture(i)
        if pixels.shape != shape:
            raise DataError(
                f"{source.place}: {names[i]!r} is (H,W,C) = {pixels.shape}, but {names[0]!r} is {shape}; "
                "give data.size and data.channels to bring all to one shape"
            )
        return pixels

    rows = Lazy(len(names), shape, np.uint8, row).held()
    return Dataset(name, shape, labels, classes, fingerprint(source, names), (0.0, 255.0), wanted.value_range, rows)
