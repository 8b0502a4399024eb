"""The folder of a run: what it holds by which name, and who may train there.

config.toml     comes first: a folder that holds it is a run, whenever the process is killed
checkpoints/    checkpoint.py
samples/        pictures by epoch
"""

import dataclasses
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minigan import config as configs
from minigan.config import Config
from minigan.errors import CheckpointError
from minigan.training import checkpoint
from minigan.training.atomic import TEMPORARY, atomic_text, fsync_folder, reported

CONFIG = "config.toml"
GRIDS = "samples"


def fresh(parent: Path, name: str) -> Path:
    """parent/name-001, or the first number that is free."""
    taken = {p.name for p in parent.iterdir()} if parent.is_dir() else set()
    return parent / next(f"{name}-{k:03d}" for k in range(1, len(taken) + 2) if f"{name}-{k:03d}" not in taken)


def check_free(out: Path) -> None:
    """Raises CheckpointError unless a new run may begin in `out`: it is missing, or holds at most torn files."""
    with reported("looked at", out):
        if (out / CONFIG).exists():
            raise CheckpointError(f"{out} holds a run already; go on with it by --resume, or give another --out")
        if out.exists() and (not out.is_dir() or any(not TEMPORARY.fullmatch(p.name) for p in out.iterdir())):
            raise CheckpointError(f"{out} exists and is not an empty folder; give another --out")


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """One process a run: makes `out` and holds it; the lock goes with the process, however it ends."""
    with reported("created", out):
        out.mkdir(parents=True, exist_ok=True)
        fsync_folder(out.parent)
        lock = os.open(out, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise CheckpointError(f"{out} is being trained by another process; wait for it or stop it") from e
        yield
    finally:
        os.close(lock)


def fill(out: Path, config: Config) -> None:
    """Writes the configuration, makes the folders within, and clears away what a killed process left half-written."""
    atomic_text(out / CONFIG, config.to_toml())
    for inner in (out / checkpoint.FOLDER, out / GRIDS):
        with reported("created", inner):
            inner.mkdir(exist_ok=True)
            fsync_folder(out)
        checkpoint.clean(inner)
    checkpoint.clean(out)


def recorded(out: Path) -> Config:
    """The configuration of the run in `out`. Raises CheckpointError when it is not a run folder."""
    path = out / CONFIG
    if not path.is_file():
        checkpoint.resolve(out)  # says what is wrong with the folder
    with reported("read", path):
        data = path.read_bytes()
    try:
        return configs.from_toml(data.decode("utf-8"), str(path))
    except UnicodeDecodeError as e:
        raise CheckpointError(
            f"{path}: is not UTF-8 text ({e.reason} at byte {e.start}); put the run's own back"
        ) from e


def unlike(run: Config, given: Config) -> list[str]:
    """The keys in which a run's configuration differs from one given again; "auto" stands for what the run took."""
    if given.train.backend == "auto":
        given = dataclasses.replace(given, train=dataclasses.replace(given.train, backend=run.train.backend))
    return configs.changed(run, given)
