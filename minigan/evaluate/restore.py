"""Pictures with pixels missing, or under noise, restored by a trained generator (tasks/search.py), and how well."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan import rng
from minigan.data import Dataset
from minigan.data import load as load_data
from minigan.data.heldout import test_files
from minigan.errors import ConfigError
from minigan.evaluate import masks
from minigan.tasks.search import Search, Settings
from minigan.training import pictures
from minigan.training.run import Run, load

Images = NDArray[Any]  # (N,H,W,C) in the range of the run's samples
MEAN_ROWS = 10_000  # a data set's mean image is over this many rows at most

Advance = Callable[[], None]  # called after each of search.moves
SETTINGS = Settings(steps=200, restarts=4, lr=0.05, pull=0.03)


class Restored(NamedTuple):
    """What was done to pictures; `error` and `before` are mean squared errors where black is 0 and white is 1."""

    original: Images
    damaged: Images
    restored: Images
    error: float
    before: float  # of what there is without a generator: the mean image, or the noisy picture


def _silent() -> None: ...


def inpaint(
    run: Run, x: Images, known: Images, settings: Settings = SETTINGS, seed: int = 0, advance: Advance = _silent
) -> Images:
    """x (N,H,W,C), known like x, 1 or 0 -> x where it is known, what the generator makes of the rest elsewhere."""
    _, y = Search(_gan(run), run.weights, settings).run(x, known, seed, advance)
    return np.where(known > 0, x, y)


def denoise(run: Run, x: Images, settings: Settings = SETTINGS, seed: int = 0, advance: Advance = _silent) -> Images:
    """x (N,H,W,C) with noise -> the generator's nearest picture."""
    return Search(_gan(run), run.weights, settings).run(x, np.ones_like(x), seed, advance)[1]


def inpaint_data(
    run: Run,
    data: str,
    mask: str,
    n: int,
    settings: Settings = SETTINGS,
    seed: int = 0,
    advance: Advance = _silent,
) -> Restored:
    """n pictures of a data set with pixels taken out; the errors are over these pixels alone."""
    dataset, x = some(run, data, n, seed)
    known = masks.known(mask, n, run.shape, seed)
    y = inpaint(run, x, known, settings, seed, advance)
    mean = dataset.read(np.arange(min(len(dataset), MEAN_ROWS))).mean(axis=0)
    damaged = np.where(known > 0, x, sum(run.picture_range) / 2)
    error, before = (_mse(run, x, a, 1 - known) for a in (y, np.broadcast_to(mean, x.shape)))
    return Restored(x, damaged, y, error, before)


def denoise_data(
    run: Run,
    data: str,
    noise: float,
    n: int,
    settings: Settings = SETTINGS,
    seed: int = 0,
    advance: Advance = _silent,
) -> Restored:
    """n pictures of a data set under Gaussian noise of standard deviation `noise`, white minus black being 1.

    They are clipped to black and white, as a file would hold them. Raises ConfigError when there is no noise.
    """
    if not 0 < noise < 100:
        raise ConfigError(f"--noise {noise:g} must lie above 0 and below 100, white minus black being 1; give 0.3")
    _, x = some(run, data, n, seed)
    low, high = run.picture_range
    drawn = rng.host(seed, "noise/restore").standard_normal(x.shape)
    damaged = np.clip(x + (high - low) * noise * drawn, low, high).astype(x.dtype)
    y = denoise(run, damaged, settings, seed, advance)
    everywhere = np.ones_like(x)
    return Restored(x, damaged, y, _mse(run, x, y, everywhere), _mse(run, x, damaged, everywhere))


def draw(run: Run, made: Restored, out: Path) -> None:
    """A PNG of three rows: as they were, damaged, restored. Raises CheckpointError when the disk refuses."""
    rows = np.concatenate(made[:3])
    pictures.save(pictures.grid(pictures.to_uint8(rows, run.picture_range), columns=len(made.original)), out)


def changed(settings: Settings, steps: int | None, restarts: int | None) -> Settings:
    """`settings` with what is given of two of them."""
    return dataclasses.replace(settings, steps=steps or settings.steps, restarts=restarts or settings.restarts)


def open_run(path: str | Path, out: Path) -> Run:
    """A run to restore pictures with, into `out`: what is wrong with either is said before the work begins."""
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out {str(out)!r}: give a .png")
    run = load(path)
    _gan(run)
    return run


def _gan(run: Run) -> Any:
    if run.config.task.name != "gan" or len(run.shape) != 3:
        raise ConfigError(
            f"{run.path} is of task {run.config.task.name} on items of shape {run.shape}; pictures are restored by a "
            "run of task gan on images"
        )
    return run.task


def some(run: Run, data: str, n: int, seed: int) -> tuple[Dataset, Images]:
    """A data set in the run's size, channels and range, and n of its pictures: of its test files, where it has any."""
    c = run.config.data
    size, channels = c.size or None, c.channels or None
    dataset = load_data(data or c.name, value_range=run.picture_range, size=size, channels=channels)
    if dataset.shape != run.shape:
        raise ConfigError(f"{dataset.name} holds items of {dataset.shape}, the run makes {run.shape}; give other data")
    held = test_files(dataset, size, channels) or dataset
    if not 1 <= n <= len(held):
        raise ConfigError(f"-n {n} pictures were asked for, and {dataset.name} holds {len(held)}; give fewer")
    return dataset, held.read(rng.host(seed, "restore").permutation(len(held))[:n])


def _mse(run: Run, x: Images, y: Images, where: Images) -> float:
    low, high = run.picture_range
    return float(((x - y) ** 2 * where).sum(dtype=np.float64) / where.sum(dtype=np.float64) / (high - low) ** 2)
