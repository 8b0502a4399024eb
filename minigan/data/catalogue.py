"""From a name or a path to a data set."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from minigan.data import idx, mirrors
from minigan.data.arrays import load_npy, load_npz
from minigan.data.dataset import Dataset, Range, Wanted, from_arrays
from minigan.data.digits import load_digits
from minigan.data.files import shown
from minigan.data.folders import Source, archive, folder, load_pictures
from minigan.data.recordings import is_recordings, load_recordings, one_file
from minigan.data.toys import load_toy
from minigan.data.waves import load_waves
from minigan.errors import DataError, nearest

DIGIT_CLASSES = tuple("0123456789")
FASHION_CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def load_idx(
    name: str, path: Path, wanted: Wanted, classes: tuple[str, ...] | None = None, files: tuple[str, str] = idx.TRAIN
) -> Dataset:
    """A folder with train-images-idx3-ubyte and perhaps train-labels-idx1-ubyte, .gz or not, or with the other two
    `files`. Raises DataError.
    """
    image_file, label_file = (idx.find(path, stem) for stem in files)
    if image_file is None:
        raise DataError(f"{shown(path)}: holds no {files[0]} or {files[0]}.gz; put the images there")
    labels = None if label_file is None else idx.read(label_file)
    return from_arrays(name, shown(image_file), idx.read(image_file), labels, wanted, classes)


def _load_remote(classes: tuple[str, ...]) -> Callable[[str, Wanted], Dataset]:
    def load_remote(name: str, wanted: Wanted) -> Dataset:
        path = mirrors.located(name)
        if path is None:
            raise DataError(
                f"{name} is not on this machine; run `minigan data fetch {name}`, or offline {mirrors.by_hand(name)}"
            )
        return load_idx(name, path, wanted, classes)

    return load_remote


class Builtin(NamedTuple):
    what: str
    size: str
    licence: str
    source: str
    load: Callable[[str, Wanted], Dataset]


OWN = "drawn by minigan.data.toys"
BUILTIN = {
    "digits": Builtin(
        "handwritten digits", "1,797 x 8x8 grey", "CC BY 4.0", "Alpaydin & Kaynak, doi:10.24432/C50P49", load_digits
    ),
    "mnist": Builtin(
        "handwritten digits",
        "60,000 x 28x28 grey",
        "CC BY-SA 3.0",
        "LeCun, Cortes, Burges",
        _load_remote(DIGIT_CLASSES),
    ),
    "fashion-mnist": Builtin(
        "clothing", "60,000 x 28x28 grey", "MIT", "Xiao et al. 2017, arXiv:1708.07747", _load_remote(FASHION_CLASSES)
    ),
    "ring8": Builtin("8 Gaussians on a circle", "16,000 x 2", "MIT", OWN, load_toy),
    "grid25": Builtin("25 Gaussians on a grid", "25,000 x 2", "MIT", OWN, load_toy),
    "moons": Builtin("two half circles", "16,000 x 2", "MIT", OWN, load_toy),
    "waves": Builtin("tones of three timbres", "6,000 x 1x1024x1", "MIT", "made by minigan.data.waves", load_waves),
}


class Row(NamedTuple):
    """A line of `minigan data`; `where` is None when the set has to be fetched."""

    name: str
    what: str
    size: str
    licence: str
    source: str
    where: str | None


def describe() -> list[Row]:
    """Every built-in data set."""
    return [Row(name, *known[:4], _where(name)) for name, known in BUILTIN.items()]


def _where(name: str) -> str | None:
    if name not in mirrors.REMOTES:
        return "in the package"
    path = mirrors.located(name)
    return None if path is None else shown(path)


def _load_folder(name: str, path: Path, wanted: Wanted) -> Dataset:
    if any(idx.find(path, stem) for stem in idx.FILES):
        return load_idx(name, path, wanted)
    return _load_files(name, folder(path), wanted)


def _load_files(name: str, source: Source, wanted: Wanted) -> Dataset:
    return (load_recordings if is_recordings(source) else load_pictures)(name, source, wanted)


def _load_zip(name: str, path: Path, wanted: Wanted) -> Dataset:
    return _load_files(name, archive(path), wanted)


def _load_wav(name: str, path: Path, wanted: Wanted) -> Dataset:
    return load_recordings(name, one_file(path), wanted)


BY_SUFFIX = {".npy": load_npy, ".npz": load_npz, ".zip": _load_zip, ".wav": _load_wav}


def load(
    name: str,
    *,
    value_range: Range | None,
    size: int | None = None,
    channels: int | None = None,
    window: int | None = None,
) -> Dataset:
    """A built-in set, or a path: folder of IDX files, folder or .zip of PNG and JPEG or of WAV, .wav, .npy, .npz.

    value_range: (low, high) onto which stored values are mapped, None to keep them; float vectors are always kept.
    size: shorter side resized and centre-cropped to size x size. channels: 1 or 3. None keeps the data's own.
    window: arrays and recordings hold signals, cut to this many samples each; None: arrays hold pictures or vectors.
    Raises DataError on bad data, ConfigError on a bad size, number of channels or range.
    """
    wanted = Wanted(value_range, size, channels, window)
    wanted.check()
    if name in BUILTIN:
        return BUILTIN[name].load(name, wanted)
    if not os.path.exists(name):
        raise DataError(
            f"data {name!r} is no built-in set and no path that exists; {nearest(name, BUILTIN)}; "
            "give one of `minigan data`, or a folder, .zip, .npy, .npz or .wav"
        )
    path = Path(name)
    if path.is_dir():
        return _load_folder(name, path, wanted)
    if path.suffix.lower() not in BY_SUFFIX and any(stem in path.name for stem in idx.FILES):
        raise DataError(f"{shown(path)}: an IDX file is read with its folder; give {shown(path.parent)}")
    if path.suffix.lower() not in BY_SUFFIX:
        raise DataError(f"{shown(path)}: unknown kind of data, expected a folder or {', '.join(BY_SUFFIX)}")
    return BY_SUFFIX[path.suffix.lower()](name, path, wanted)
