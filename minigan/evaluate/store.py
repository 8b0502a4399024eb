"""What is kept so that it need not be computed twice: numbers of real rows in minigan's cache, records in run folders.

A cache file is named by all that its content depends on, so there is nothing to expire; one that is damaged is made
anew. Arrays are safetensors files, numbers JSON: no pickle.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

from minigan.data import mirrors
from minigan.training.atomic import atomic_bytes, atomic_text, reported

Arrays = dict[str, NDArray[Any]]
RECORDS = "evaluation.jsonl"


def key(*parts: Any) -> str:
    """16 hex digits for JSON values."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()


def arrays(name: str, make: Callable[[], Arrays]) -> Arrays:
    """The arrays kept under `name`, or else what `make` gives, kept from then on."""
    path = _folder() / f"{name}.safetensors"
    try:
        return from_safetensors(path.read_bytes())
    except (OSError, SafetensorError, ValueError):
        made = make()
        atomic_bytes(path, to_safetensors({k: np.ascontiguousarray(a) for k, a in made.items()}))
        return made


def numbers(name: str) -> dict[str, dict[str, float]]:
    """The numbers kept under `name`, by metric; none where there are none."""
    try:
        found = json.loads((_folder() / f"{name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep_numbers(name: str, values: dict[str, dict[str, float]]) -> None:
    """Raises CheckpointError when the disk refuses."""
    atomic_text(_folder() / f"{name}.json", json.dumps(values))


def records(folder: Path) -> list[dict[str, Any]]:
    """The evaluations of a run, oldest first; a torn or foreign line is passed over, for it can be measured again."""
    path = folder / RECORDS
    if not path.is_file():
        return []
    found = []
    with reported("read", path):
        rows = path.read_bytes().splitlines()
    for row in rows:
        try:
            line = json.loads(row)
        except ValueError:
            continue
        if isinstance(line, dict) and {"protocol", "values", "floor", "seconds"} <= line.keys():
            found.append(line)
    return found


def add_record(folder: Path, record: dict[str, Any]) -> None:
    """One line more. Raises CheckpointError when the disk refuses."""
    path = folder / RECORDS
    with reported("written", path), path.open("a", encoding="utf-8") as f:
        f.write(json.dumps(record) + "\n")


def _folder() -> Path:
    folder = mirrors.cache_folder("evaluate")
    with reported("created", folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder
