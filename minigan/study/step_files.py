"""One layer in one step as files: every array as .npy, pictures of filters and of feature maps with their gradients,
histograms, and all numbers as step.json.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.errors import ConfigError
from minigan.models.layers import Layer
from minigan.models.net import Net
from minigan.study import step_pictures
from minigan.study.passes import Moved, Seen
from minigan.study.step import Row, numbers
from minigan.training.atomic import atomic_bytes, atomic_text, fsync_folder, reported

Array = NDArray[Any]
Drawn = list[tuple[str, dict[str, Array]]]  # a name for files, what stands in its rows


def check(folder: Path, run: Path) -> None:
    """Raises ConfigError where something lies already, and in the run's folder, of which nothing is to change."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"--dump {str(folder)!r} exists and is not an empty folder; give another one")
    whole = os.path.realpath(run)
    if whole in (here := os.path.realpath(folder), *map(str, Path(here).parents)):
        raise ConfigError(f"--dump {str(folder)!r} lies in the run, of which nothing is to change; give another folder")


def write(folder: Path, content: dict[str, Callable[[Path], None]]) -> None:
    """A folder that is complete or absent: each writes the file that it is handed. Raises CheckpointError."""
    with reported("written", folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = folder.with_name(f".{folder.name}.minigan-{secrets.token_hex(4)}.tmp")
        unfinished.mkdir()
        try:
            for name, make in content.items():
                make(unfinished / name)
            if folder.is_dir():
                folder.rmdir()  # it was empty
            os.rename(unfinished, folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        fsync_folder(folder.parent)


def text(value: Any) -> Callable[[Path], None]:
    """JSON, with NaN and infinities as texts, for JSON has none."""
    return lambda path: atomic_text(path, json.dumps(_plain(value), indent=1, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def array(a: Array) -> Callable[[Path], None]:
    """The array as .npy."""

    def make(path: Path) -> None:
        data = BytesIO()
        np.save(data, np.ascontiguousarray(a), allow_pickle=False)
        atomic_bytes(path, data.getvalue())

    return make


def made(picture: Callable[[], bytes]) -> Callable[[Path], None]:
    """A picture, drawn when its file is written."""
    return lambda path: atomic_bytes(path, picture())


def slug(words: str) -> str:
    """As part of a file's name."""
    return re.sub(r"[^a-z0-9_]+", "-", words.lower()).strip("-")


def of_layer(
    net: Net, layer: Layer, seen: Sequence[tuple[str, Seen]], moved: Sequence[Moved], facts: dict[str, Any]
) -> dict[str, Callable[[Path], None]]:
    """What goes into the folder: of each pass, by its words, and of each move of the layer's net."""
    files: dict[str, Callable[[Path], None]] = {}
    passes: Drawn = []
    for number, (words, one) in enumerate(seen, 1):
        name = f"{number:02d}-{slug(words)}"
        passes.append((name, one.arrays))
        files |= {f"{name}.{key}.npy": array(a) for key, a in one.arrays.items()}
    moves: Drawn = []
    for net_moved in moved:
        arrays = parameters(layer.name, net_moved)
        name = f"update-{net_moved.sub + 1}-{net_moved.net}"
        if arrays:
            moves.append((name, arrays))
            files |= {f"{name}.{key}.npy": array(a) for key, a in arrays.items()}
    everything = passes + moves
    facts = facts | {name: {k: numbers(a)._asdict() for k, a in arrays.items()} for name, arrays in everything}
    files["histograms.png"] = made(partial(step_pictures.histograms, everything))
    files |= {f"{name}.png": made(partial(step_pictures.filters, net, layer, arrays)) for name, arrays in moves}
    files |= {f"{name}.png": made(partial(step_pictures.maps, arrays)) for name, arrays in _joined(seen, passes)}
    return files | {"step.json": text(facts)}


def parameters(layer: str, moved: Moved) -> dict[str, Array]:
    """w, dw and what was added to w, and the same of the layer's other parameters."""
    out: dict[str, Array] = {}
    for name, w in moved.before.items():
        of, _, key = name.rpartition(".")
        if of == layer:
            out |= {key: w, f"d{key}": moved.gradient[name], f"update_{key}": moved.after[name] - w}
    return out


def _joined(seen: Sequence[tuple[str, Seen]], passes: Drawn) -> Drawn:
    """Forward passes, with the gradients of the backward pass through each, the last if there are several."""
    found: dict[int, tuple[str, dict[str, Array]]] = {}
    for (_, one), (name, arrays) in zip(seen, passes, strict=True):
        if one.during.which == "forward":
            found[id(one.during)] = name, dict(arrays)
        elif one.during.which == "backward" and id(one.during.forward) in found:
            found[id(one.during.forward)][1].update({k: a for k, a in arrays.items() if k in ("dx", "dy")})
    return list(found.values())


def overview(rows: Sequence[Row], facts: dict[str, Any]) -> dict[str, Callable[[Path], None]]:
    """What goes into the folder when all layers are shown in short."""
    learning = [row for row in rows if row.weight is not None]
    values = {label: [getattr(row, key) for row in learning] for label, key in _BARS.items()}
    picture = partial(step_pictures.bars, [row.layer for row in learning], values)
    return {"step.json": text(facts), "overview.png": made(picture)}


_BARS = {"|| w ||": "weight", "|| dw ||": "gradient", "|| update || : || w ||": "ratio"}
