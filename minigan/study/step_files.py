"""One layer in one step as files: every array as .npy, pictures of filters and of feature maps with their gradients,
histograms, and all numbers as step.json.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.errors import ConfigError
from minigan.models.layers import Reshape
from minigan.models.net import Net
from minigan.study.step import numbers
from minigan.study.watch import Moved, Seen
from minigan.training.atomic import atomic_bytes, atomic_text, fsync_folder, reported

ACROSS = 8  # feature maps in a row of a picture, and filters in each direction
MOST_SIDE = 256  # entries of a matrix along one side, drawn as a picture
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


def slug(words: str) -> str:
    """As part of a file's name."""
    return re.sub(r"[^a-z0-9_]+", "-", words.lower()).strip("-")


def of_layer(
    net: Net, layer: Any, seen: Sequence[tuple[str, Seen]], moved: Sequence[Moved], facts: dict[str, Any]
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
    files["histograms.png"] = lambda path: _save(_histograms(everything), path)
    for name, arrays in moves:
        files[f"{name}.png"] = lambda path, a=arrays: _save(_filters(net, layer, a), path)  # type: ignore[misc]
    for name, arrays in _joined(seen, passes):
        files[f"{name}.png"] = lambda path, a=arrays: _save(_maps(a), path)  # type: ignore[misc]
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


# ------------------------------------------------------------------------------------------------------------ pictures


def _figure(rows: int, columns: int, size: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second, only when a picture is wanted
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size * columns + 1.2, size * rows + 0.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _save(figure: Any, path: Path) -> None:
    data = BytesIO()
    figure.savefig(data, format="png")
    atomic_bytes(path, data.getvalue())


def _histograms(drawn: Drawn) -> Any:
    """A row for each pass and move, a panel for each of its arrays."""
    columns = max(len(arrays) for _, arrays in drawn)
    figure, axes = _figure(len(drawn), columns, 1.7)
    for row, (name, arrays) in zip(axes, drawn, strict=True):
        for panel in row[len(arrays) :]:
            panel.axis("off")
        for panel, (key, a) in zip(row, arrays.items(), strict=False):
            sound = a[np.isfinite(a)].ravel().astype(np.float64)
            if sound.size:
                panel.hist(sound, bins=40 if np.ptp(sound) > 1e-9 * np.abs(sound).max() else 1, log=True)
            panel.set_title(key, fontsize=8)
            panel.tick_params(labelsize=6)
        row[0].set_ylabel(name, fontsize=6)
    return figure


def _show(panel: Any, picture: Array, most: float | None) -> None:
    """Grey where black and white are meant, else red above 0 and blue below, `most` at both ends."""
    picture = np.nan_to_num(np.asarray(picture, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    limits = {"cmap": "gray"} if most is None else {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    panel.imshow(
        picture, interpolation="nearest", aspect="auto" if picture.ndim == 2 and _flat(picture) else None, **limits
    )


def _flat(picture: Array) -> bool:
    return max(picture.shape) > 4 * min(picture.shape)


def _most(a: Array) -> float:
    sound = np.abs(a[np.isfinite(a)])
    return float(sound.max(initial=0.0)) or 1.0


def _bare(panel: Any) -> None:
    panel.set_xticks([])
    panel.set_yticks([])


def _filters(net: Net, layer: Any, arrays: dict[str, Array]) -> Any:
    """Each parameter of two axes and more: kernels (KH,KW) or rows of weights as pictures, inputs down and outputs
    across; vectors as bars. Beside each its gradient and what was added to it.
    """
    figure, axes = _figure(1, len(arrays), 2.6)
    for panel, (key, a) in zip(axes[0], arrays.items(), strict=True):
        panel.set_title(f"{key} {a.shape}", fontsize=7)
        if a.ndim == 1:
            panel.bar(np.arange(len(a)), np.nan_to_num(a), width=1.0)
            panel.tick_params(labelsize=6)
            continue
        _show(panel, tiled(net, layer, a), _most(a))
        _bare(panel)
    return figure


def tiled(net: Net, layer: Any, a: Array) -> Array:
    """Weights as one matrix: kernels (KH,KW,I,O) as tiles, I down and O across; (I,O) as pictures where a neighbour
    says that I or O are the pixels of one, else as it is. At most ACROSS tiles each way.
    """
    if a.ndim == 4:
        return _tiles(a[:, :, :ACROSS, :ACROSS].transpose(2, 3, 0, 1))
    k = net.layers.index(layer)
    before, after = (net.layers[i] if 0 <= i < len(net.layers) else None for i in (k - 1, k + 1))
    if isinstance(before, Reshape) and len(before.in_shape) == 3 and a.shape[0] == int(np.prod(before.in_shape)):
        return _pictures(a.T, before.in_shape)
    if isinstance(after, Reshape) and len(after.out_shape) == 3 and a.shape[1] == int(np.prod(after.out_shape)):
        return _pictures(a, after.out_shape)
    return a.reshape(-1, a.shape[-1])[:MOST_SIDE, :MOST_SIDE]


def _pictures(rows: Array, shape: tuple[int, ...]) -> Array:
    """rows (K, H W C) -> the first channel of up to ACROSS squared of them, as square as can be."""
    n = min(len(rows), ACROSS * ACROSS)
    across = int(np.ceil(np.sqrt(n)))
    padded = np.zeros((across * across, *shape), rows.dtype)
    padded[:n] = rows[:n].reshape(n, *shape)
    return _tiles(padded[..., 0].reshape(across, across, *shape[:2]))


def _tiles(a: Array) -> Array:
    """(R, C, H, W) -> one picture, a line of zeros between tiles."""
    r, c, h, w = a.shape
    sheet = np.zeros((r * (h + 1) - 1, c * (w + 1) - 1), a.dtype)
    for i in range(r):
        for j in range(c):
            sheet[i * (h + 1) : i * (h + 1) + h, j * (w + 1) : j * (w + 1) + w] = a[i, j]
    return sheet


def _maps(arrays: dict[str, Array]) -> Any:
    """x, y, and their gradients: of images the first sample's first channels, of features the batch as a matrix."""
    shown = {key: arrays[key] for key in ("x", "y", "dy", "dx") if key in arrays}
    columns = max(min(a.shape[-1], ACROSS) if a.ndim == 4 else 1 for a in shown.values())
    figure, axes = _figure(len(shown), columns, 1.2 if columns > 1 else 3.0)
    for row, (key, a) in zip(axes, shown.items(), strict=True):
        maps = np.moveaxis(a[0], -1, 0)[:columns] if a.ndim == 4 else [a.reshape(len(a), -1)[:MOST_SIDE, :MOST_SIDE]]
        most = _most(np.stack(maps)) if key.startswith("d") or a.ndim != 4 else None
        for panel in row:
            _bare(panel)
        for panel in row[len(maps) :]:
            panel.axis("off")
        for panel, one in zip(row, maps, strict=False):
            _show(panel, one, most)
        row[0].set_ylabel(key, fontsize=9)
    return figure


def overview(rows: Sequence[Any]) -> Callable[[Path], None]:
    """The overview as bars, logarithmic: norms of weight, gradient and update : weight of each layer that learns."""

    def make(path: Path) -> None:
        learning = [row for row in rows if row.weight is not None]
        figure, axes = _figure(3, 1, 2.0)
        figure.set_size_inches(max(5.0, 0.45 * len(learning) + 2), 6.5)
        names = [row.layer for row in learning]
        for (panel,), (label, key) in zip(axes, _BARS, strict=True):
            panel.bar(names, [max(getattr(row, key), 0.0) for row in learning])
            panel.set_yscale("log", nonpositive="clip")
            panel.set_ylabel(label, fontsize=8)
            panel.tick_params(axis="x", rotation=90, labelsize=7)
        _save(figure, path)

    return make


_BARS = (("|| w ||", "weight"), ("|| dw ||", "gradient"), ("|| update || : || w ||", "ratio"))
