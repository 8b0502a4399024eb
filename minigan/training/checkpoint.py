"""Checkpoints: one safetensors file per saved step, complete or absent.

Layout: tensors as safetensors, and three texts in its `__metadata__`: `format` = "minigan-checkpoint-1"; `minigan` =
JSON {"step": int, "meta": {...}}; `blake2b` = digest of that JSON and of every tensor's name, dtype, shape and bytes.
No pickle. Source: github.com/huggingface/safetensors.

A file gets its name only when it is whole on the disk (`atomic`). `safetensors.numpy.save_file` is not used: it renames
without fsync, leaves mode 0600 and temporary files that bear no name of ours, and stores strided arrays wrongly.
Memory: a save needs up to two copies of the tensors beside them, a load only the tensors.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_safetensors

from minigan.errors import CheckpointError
from minigan.training.atomic import TEMPORARY, atomic_bytes, reported

FOLDER = "checkpoints"
FORMAT = "minigan-checkpoint-1"
DTYPES = frozenset(
    {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
    | {"bool", "float16", "float32", "float64"}
)
MAX_HEADER = 8 << 20
SAVED = re.compile(r"step-(\d{8,})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """What `load` found: the arrays are the caller's own, writable copies."""

    path: Path
    step: int
    tensors: dict[str, NDArray[Any]]
    meta: dict[str, Any]


def save(
    folder: Path, step: int, tensors: dict[str, NDArray[Any]], meta: dict[str, Any], keep: int, best: int = -1
) -> Path:
    """Write folder/step-00001234.safetensors, then prune to the newest `keep` (at least two); the folder must exist.

    The one of step `best` is kept as well.

    tensors: name -> array of any shape, 0-d and empty included, of a dtype in DTYPES; strides and byte order are made
    plain, bits are kept. meta: JSON values (tuples come back as lists; NaN and infinity are refused).
    Raises CheckpointError when the content cannot be stored or the disk fails; older checkpoints are then untouched.
    """
    if step < 0:
        raise CheckpointError(f"{folder}: step {step} cannot be saved: steps count from 0")
    path = folder / f"step-{step:08d}.safetensors"
    atomic_bytes(path, _serialized(path, step, tensors, meta))
    _prune(folder, step, keep, best)
    return path


def load(path: Path) -> Checkpoint:
    """Read and verify one checkpoint. CheckpointError names the file, what is wrong, and the one to use instead."""
    with opened(path) as (file, texts):
        _check_format(path, texts)
        step, meta = _envelope(texts["minigan"])
        tensors = file.get_tensors()
        if _digest(texts["minigan"], tensors) != texts.get("blake2b"):
            raise ValueError("its content does not match its digest, so bytes were changed after it was saved")
        return Checkpoint(path, step, tensors, meta)


def read_meta(path: Path) -> dict[str, Any]:
    """The `meta` of one checkpoint from its header alone: at most MAX_HEADER bytes, digest not checked."""
    with opened(path) as (_, texts):
        _check_format(path, texts)
        return _envelope(texts["minigan"])[1]


def digest(path: Path) -> str:
    """The digest that one checkpoint was saved with, from its header alone: equal where all tensors and meta are."""
    with opened(path) as (_, texts):
        _check_format(path, texts)
        return texts["blake2b"]


def read_header(path: Path) -> tuple[int, dict[str, Any], dict[str, tuple[str, tuple[int, ...]]]]:
    """step, meta, and of every tensor its dtype as safetensors writes it and its shape, from the header alone."""
    with opened(path) as (file, texts):
        _check_format(path, texts)
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, it is no dict
        return *_envelope(texts["minigan"]), {k: (s.get_dtype(), tuple(s.get_shape())) for k, s in slices.items()}


def newest(folder: Path) -> Path | None:
    """The checkpoint of the highest step, None when there is none.

    It is chosen by name, because a named file is complete by construction. One that was damaged from outside is not
    passed over silently: `load` raises and names the one before it.
    """
    saved = _saved(folder)
    return saved[-1][1] if saved else None


def kept(folder: Path) -> dict[int, Path]:
    """Every checkpoint that is there, by its step, in rising order."""
    return dict(_saved(folder))


def best(run: Path) -> Path:
    """The best checkpoint of a run folder, as its newest one says. Raises CheckpointError when there is none."""
    last = resolve(run)
    said = read_meta(last).get("best")
    if not said:
        raise CheckpointError(
            f"{run} has no best checkpoint: it was not trained with --eval-every and --keep-best; leave --best out"
        )
    return last.with_name(f"step-{said['step']:08d}.safetensors")


def clean(folder: Path) -> list[Path]:
    """Remove the temporary files that a killed run left in `folder`, and return them."""
    with reported("cleaned of temporary files", folder):
        stale = [path for path in _files(folder) if TEMPORARY.fullmatch(path.name)]
        for path in stale:
            path.unlink(missing_ok=True)
        return stale


def resolve(run: Path) -> Path:
    """RUN as users give it, a run folder (one that holds config.toml) or a checkpoint file -> the checkpoint's path."""
    with reported("used as a run", run):
        mode = run.stat().st_mode
        if stat.S_ISREG(mode):
            return run
        if not stat.S_ISDIR(mode):
            raise CheckpointError(f"{run} is neither a folder nor a file: give a run folder or a checkpoint file")
        if not (run / "config.toml").is_file():
            raise CheckpointError(
                f"{run} is not a run folder: it has no config.toml; give the folder that `minigan train` wrote, "
                "or a checkpoint file in it"
            )
        path = newest(run / FOLDER)
    if path is None:
        raise CheckpointError(f"{run} has no checkpoint in {FOLDER}/ yet: let `minigan train` run until it saves one")
    return path


def _serialized(path: Path, step: int, tensors: dict[str, NDArray[Any]], meta: dict[str, Any]) -> bytes:
    def refused(what: str) -> CheckpointError:
        return CheckpointError(f"{path}: cannot be saved: {what}")

    for name, array in tensors.items():
        if name == "__metadata__":
            raise refused("a tensor is called '__metadata__', which safetensors reserves; call it something else")
        if array.dtype.name not in DTYPES:
            raise refused(f"tensor {name!r} has dtype {array.dtype}; expected one of {', '.join(sorted(DTYPES))}")
    plain = {name: np.asarray(array, array.dtype.newbyteorder("<"), order="C") for name, array in tensors.items()}
    try:
        text = json.dumps({"step": step, "meta": meta}, allow_nan=False)
        _envelope(text)
        data = to_safetensors(plain, {"format": FORMAT, "minigan": text, "blake2b": _digest(text, plain)})
    except (SafetensorError, TypeError, ValueError, RecursionError) as error:
        raise refused(f"{error}; expected finite JSON values in meta and Unicode names for tensors") from error
    header = int.from_bytes(data[:8], "little")
    if header > MAX_HEADER:
        raise refused(f"meta and names take {header} bytes, at most {MAX_HEADER} fit; store long lists as tensors")
    return data


def _digest(text: str, tensors: dict[str, NDArray[Any]]) -> str:
    hasher = hashlib.blake2b(text.encode(), digest_size=16)
    for name, array in sorted(tensors.items()):
        hasher.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        hasher.update(array.reshape(-1).view(np.uint8).data)
    return hasher.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """Any safetensors file, open, and its `__metadata__`. What it raises inside becomes CheckpointError."""
    with reported("read", path):
        _check_header(path)
        try:
            with safe_open(path, framework="np", backend="pread") as file:
                yield file, file.metadata() or {}
        except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise _unusable(path, " ".join(str(error).split())[:200]) from error


def _check_format(path: Path, texts: dict[str, str]) -> None:
    if texts.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: its format is {texts.get('format')!r:.60}, this minigan reads {FORMAT!r}: "
            "give a checkpoint, or install the minigan that wrote this one"
        )


def _check_header(path: Path) -> None:
    """Before anything is parsed: a regular file that begins with the length of a JSON header that it holds."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path}: is not a regular file: give a checkpoint file or a run folder")
        start = os.pread(fd, 9, 0)
    finally:
        os.close(fd)
    header = int.from_bytes(start[:8], "little")
    if len(start) == 9 and (header > MAX_HEADER or start[8:] != b"{"):
        raise _unusable(path, "it does not begin like a safetensors file")
    if header > status.st_size - 8 or len(start) < 9:
        raise _unusable(path, f"it ends after {status.st_size} bytes, inside its header")


def _envelope(text: str) -> tuple[int, dict[str, Any]]:
    content = json.loads(text)
    step, meta = content["step"], content["meta"]
    if not isinstance(step, int) or not isinstance(meta, dict):
        raise ValueError("its JSON does not hold an integer step and a meta table")
    return step, meta


def _unusable(path: Path, what: str) -> CheckpointError:
    match = SAVED.fullmatch(path.name)
    earlier = [other for step, other in _saved(path.parent) if match and step < int(match[1])]
    advice = f"delete it to go on from {earlier[-1].name}" if earlier else "give another checkpoint or a run folder"
    return CheckpointError(f"{path}: is damaged or not a checkpoint: {what}; {advice}")


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [folder / entry.name for entry in entries if entry.is_file(follow_symlinks=False)]


def _saved(folder: Path) -> list[tuple[int, Path]]:
    with reported("listed", folder):
        found = [(match, path) for path in _files(folder) if (match := SAVED.fullmatch(path.name))]
    return sorted((int(match[1]), path) for match, path in found)


def _prune(folder: Path, step: int, keep: int, best: int) -> None:
    """Remove all but the newest max(keep, 2) whose header is whole, and but the best, up to `step`; later ones are left
    alone."""
    kept = 0
    for at, path in reversed([entry for entry in _saved(folder) if entry[0] <= step]):
        if kept >= max(keep, 2) and at == best:
            continue
        if kept >= max(keep, 2):
            with reported(f"removed (step {step} is saved)", path):
                path.unlink(missing_ok=True)
            continue
        with suppress(CheckpointError):
            read_meta(path)
            kept += 1
