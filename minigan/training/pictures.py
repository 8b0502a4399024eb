"""Pictures of samples and losses. Images are (N,H,W,C) uint8; 2-D points are (N,2)."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minigan.errors import ConfigError
from minigan.training.atomic import atomic_bytes

_GAP = 2
_DOTTED = 30  # a curve of fewer points shows them
_SMALLEST = 56  # images are enlarged by a whole factor until they are about this tall
_PAPER = 40  # the grey between images
FRAME_MS = 60


def to_uint8(x: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.uint8]:
    """(...) floats in `value_range` -> round(255 (x - low) / (high - low)), clipped"""
    low, high = value_range
    return np.clip(np.rint((x - low) * (255.0 / (high - low))), 0, 255).astype(np.uint8)


def grid(
    images: NDArray[np.uint8],
    columns: int | None = None,
    smallest: int = _SMALLEST,
    places: Sequence[int] | None = None,
) -> Image.Image:
    """(N,H,W,C) -> one picture, row by row, as square as can be; small images are enlarged (bicubic).

    `places` (N,), counted row by row, says where each stands, where that is not one after the other.
    """
    n, h, w, c = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    places = range(n) if places is None else places
    rows = max(places) // columns + 1
    factor = max(1, smallest // h)
    size = (w * factor, h * factor)
    across, down = size[0] + _GAP, size[1] + _GAP
    mode, paper = ("L", _PAPER) if c == 1 else ("RGB", (_PAPER,) * 3)
    sheet = Image.new(mode, (columns * across + _GAP, rows * down + _GAP), paper)
    for k, image in zip(places, images, strict=True):
        tile = as_image(image).resize(size, Image.Resampling.BICUBIC)
        sheet.paste(tile, ((k % columns) * across + _GAP, (k // columns) * down + _GAP))
    return sheet


def by_class(images: NDArray[np.uint8], labels: NDArray[Any]) -> Image.Image:
    """(N,H,W,C) with labels (N,) -> one picture with a row per label, in the order of the labels."""
    row = np.unique(labels, return_inverse=True)[1]
    columns = int(np.bincount(row).max())
    seen = np.array([(row[:k] == row[k]).sum() for k in range(len(row))])
    return grid(images, columns, places=[int(place) for place in row * columns + seen])


def as_image(x: NDArray[np.uint8]) -> Image.Image:
    """(H,W,1) or (H,W,3) -> a grey or RGB picture of that size."""
    return Image.fromarray(x[..., 0] if x.shape[2] == 1 else x)


def scatter(points: NDArray[Any], limits: tuple[float, float], real: NDArray[Any] | None = None) -> Image.Image:
    """(N,2) points as a plot with both axes from limits[0] to limits[1], over real ones in grey when given."""
    figure, axes = _figure(5, 5)
    if real is not None:
        axes.scatter(real[:, 0], real[:, 1], s=5, color="0.8", label="real")
    axes.scatter(points[:, 0], points[:, 1], s=5, color="tab:red", label="generated")
    axes.set(aspect="equal", xlim=limits, ylim=limits)
    axes.legend(loc="upper right")
    return _drawn(figure)


def curves(lines: Sequence[dict[str, Any]], plots: dict[str, dict[str, str]]) -> Image.Image:
    """A run's log lines -> its curves over steps; `plots` has a row per pair of axes: its label, and key -> words.

    Lines without a key are passed over: not every line has an evaluation.
    """
    figure, rows = _figure(8, 3 * len(plots), rows=len(plots))
    for axes, (label, keys) in zip(np.atleast_1d(rows), plots.items(), strict=True):
        for name, words in keys.items():
            having = [line for line in lines if name in line]
            marker = "." if len(having) < _DOTTED else None
            axes.plot(*([line[k] for line in having] for k in ("step", name)), marker=marker, label=words, linewidth=1)
        axes.legend(loc="best")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    np.atleast_1d(rows)[-1].set_xlabel("step")
    return _drawn(figure)


def samples(
    x: NDArray[Any], value_range: tuple[float, float], real: NDArray[Any] | None = None, columns: int = 0
) -> Image.Image:
    """What a generator made: images as a grid (`columns` wide, 0: square), 2-D points as a plot over `real` ones.

    `value_range`: black and white, or the axes' limits. Raises ConfigError for other vectors.
    """
    if x.ndim == 4:
        return grid(to_uint8(x, value_range), columns or None)
    if x.shape[1:] == (2,):
        return scatter(x, value_range, real)
    raise ConfigError(f"a sample is {x.shape[1]} numbers, of which no picture is drawn (2 are); write a .npy")


def save(picture: Image.Image, path: Path) -> None:
    """PNG, complete or absent. Raises CheckpointError when the disk refuses."""
    data = BytesIO()
    picture.save(data, "PNG")
    atomic_bytes(path, data.getvalue())


def save_gif(frames: Sequence[Image.Image], path: Path) -> None:
    """A looping GIF there and back, complete or absent."""
    data = BytesIO()
    walk = [*frames, *reversed(frames[1:-1])]
    walk[0].save(data, "GIF", save_all=True, append_images=walk[1:], duration=FRAME_MS, loop=0)
    atomic_bytes(path, data.getvalue())


def _figure(width: float, height: float, rows: int = 1) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # only when a plot is wanted: half a second
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, 1, sharex=True)


def _drawn(figure: Any) -> Image.Image:
    figure.canvas.draw()
    return Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3].copy())
