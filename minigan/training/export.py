"""Samples into files: a picture, an array, a folder, a walk through z. And the run itself, for other programs."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.errors import CheckpointError, ConfigError
from minigan.training import pictures, to_onnx, weights
from minigan.training.atomic import atomic_bytes, reported
from minigan.training.pictures import is_signal
from minigan.training.run import Run
from minigan.training.sounds import wav


def samples(run: Run, n: int, seed: int, out: Path, label: str | None = None) -> None:
    """n samples into `out`: .png a grid, .npy an array (uint8 images, float32 signals (N,L,C) and vectors), no suffix a
    folder of PNGs, or of WAVs.

    `label` is a class by name or number; without it a run with classes gives each in turn, and a grid has a row for
    each. Raises ConfigError on another suffix or an unknown class, CheckpointError when the disk refuses.
    """
    if out.suffix.lower() not in _WRITERS:
        raise ConfigError(f"--out {str(out)!r}: give a .png (grid), a .npy (array) or a folder without a suffix")
    _WRITERS[out.suffix.lower()](run, n, seed, out, label)


def _png(run: Run, n: int, seed: int, out: Path, label: str | None) -> None:
    x, labels = run.sample(n, seed, label=label), run.labels(n, label)
    if labels is None or label is not None or len(run.shape) != 3:
        picture = pictures.samples(x, run.picture_range)
    else:
        picture = pictures.by_class(x, run.picture_range, labels)
    pictures.save(picture, out)


def _npy(run: Run, n: int, seed: int, out: Path, label: str | None) -> None:
    if is_signal(run.shape):
        array(run.sample(n, seed, label=label)[:, 0], out)
    else:
        array(run.sample(n, seed, "uint8" if len(run.shape) == 3 else "float32", label), out)


def _folder(run: Run, n: int, seed: int, out: Path, label: str | None) -> None:
    if len(run.shape) != 3:
        raise ConfigError(f"a sample is {run.shape[0]} numbers, no image; give a .npy")
    if is_signal(run.shape) and run.rate is None:
        raise ConfigError(f"{run.path} was trained on data that says no rate, which a .wav needs; give a .npy")
    check_folder(out)
    if is_signal(run.shape):
        _sounds(run.sample(n, seed, label=label)[:, 0], run, out)
    else:
        folder(run.sample(n, seed, "uint8", label), out)


def _sounds(x: NDArray[Any], run: Run, out: Path) -> None:
    """x (N,L,C) in the run's range -> a .wav file each, that range being full scale."""
    low, high = run.picture_range
    with reported("created", out):
        out.mkdir(parents=True, exist_ok=True)
    for k, one in enumerate(2 * (x - low) / (high - low) - 1):
        atomic_bytes(out / f"{k:05d}.wav", wav(one, run.rate or 0))


def array(x: NDArray[Any], out: Path) -> None:
    """x as a .npy file, complete or absent."""
    data = BytesIO()
    np.save(data, x)
    atomic_bytes(out, data.getvalue())


def check_folder(out: Path) -> None:
    """Raises CheckpointError where something lies already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CheckpointError(f"{out} exists and is not an empty folder; give another --out")


def folder(images: NDArray[np.uint8], out: Path) -> None:
    """(N,H,W,C) -> a PNG file each, in the folder `out`."""
    with reported("created", out):
        out.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(images):
        pictures.save(pictures.as_image(image), out / f"{k:05d}.png")


def run_itself(run: Run, out: Path, net: str = "") -> str:
    """The generator, or the net that is named, as .onnx, or all weights as .safetensors in PyTorch's layouts; returns
    what is to be said of it.

    Raises ConfigError on another suffix, and what the two formats raise.
    """
    if out.suffix.lower() not in _FORMATS:
        raise ConfigError(
            f"{str(out)!r}: give a .onnx (the generator) or a .safetensors (all weights); "
            "a folder of PNGs is what minigan sample RUN -n N --out FOLDER writes"
        )
    return _FORMATS[out.suffix.lower()](run, out, net)


def _onnx(run: Run, out: Path, net: str) -> str:
    if not net and run.weights not in run.task.nets:
        nets = " or ".join(run.task.nets)
        raise ConfigError(
            f"a run of task {run.config.task.name} has no generator; give --net {nets}, or a .safetensors (all weights)"
        )
    classes = f" of {len(run.classes)} classes" if run.classes else ""
    which = f"net {net}" if net else f"the generator{classes}, {WEIGHTS[run.weights]},"
    return f"{which} of step {run.step}; {to_onnx.write(run, out, net)}"


def _safetensors(run: Run, out: Path, net: str) -> str:
    if net:
        raise ConfigError(f"--net {net} is for .onnx; a .safetensors holds all nets, so leave it out")
    return f"{weights.write(run.task, run.step, out)} arrays of step {run.step} in PyTorch's layouts"


WEIGHTS = {"ema": "the moving average (EMA) of G's weights", "g": "G's weights as they are (raw)"}
_FORMATS: dict[str, Callable[[Run, Path, str], str]] = {".onnx": _onnx, ".safetensors": _safetensors}
_WRITERS: dict[str, Callable[[Run, int, int, Path, str | None], None]] = {".png": _png, ".npy": _npy, "": _folder}


def walk(run: Run, seed: int, out: Path, label: str | None = None, code: int | None = None) -> None:
    """A walk through z, of class `label`: .gif loops, .png shows a row per leg. With `code` along that code of infogan
    instead, every class at once: a row for each, or side by side in every frame.

    Raises ConfigError on another suffix, an unknown class or code.
    """
    if out.suffix.lower() not in (".gif", ".png"):
        raise ConfigError(f"--out {str(out)!r}: give a .gif or a .png")
    if len(run.shape) != 3:
        raise ConfigError(f"a sample is {run.shape[0]} numbers, no image, so there is no picture of a walk")
    if code is not None and label is not None:
        raise ConfigError("--code shows every class, and --class one; leave one of them out")
    if code is None:
        frames = run.interpolate(seed, dtype="float32", label=label)
    else:
        frames = run.sweep(code, seed, dtype="float32")
    flat = frames.reshape(-1, *run.shape)
    values = run.picture_range
    if out.suffix.lower() == ".png":
        pictures.save(pictures.samples(flat, values, columns=frames.shape[1]), out)
    elif code is not None:
        pictures.save_gif([pictures.samples(column, values) for column in frames.swapaxes(0, 1)], out)
    else:
        pictures.save_gif([pictures.alone(one, values) for one in flat], out)
