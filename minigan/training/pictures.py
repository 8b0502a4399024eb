"""Pictures of samples and losses. Images are (N,H,W,C) uint8; signals (N,1,L,C) floats; 2-D points are (N,2)."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from minigan.errors import ConfigError
from minigan.training.atomic import atomic_bytes

_GAP = 2
_DOTTED = 30  # a curve of fewer points shows them
_SMALLEST = 56  # images are enlarged by a whole factor until they are about this tall
_PAPER = 40  # the grey between images
FRAME_MS = 60
FILM_MS, REST_MS = 100, 2000
_COLOURS = 32
_FRAME = 256  # pixels, about, of an image alone
_INKS, _ZERO = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728"), "#d9d9d9"
_FINE = 3  # curves are drawn so many times as large, and then reduced, so that they are smooth
_MARGIN = 0.04  # of a panel
_PANEL, _LARGE = (140, 56), (512, 192)  # pixels wide and high, of a signal among others and alone


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


def signals(
    x: NDArray[Any],
    limits: tuple[float, float],
    columns: int | None = None,
    places: Sequence[int] | None = None,
    panel: tuple[int, int] = _PANEL,
) -> Image.Image:
    """(N,1,L,C) -> a curve each, a colour per channel, in panels (pixels wide, high) that `limits` span from bottom to
    top, with a line at 0; in rows of `columns`, or as square as can be. `places` as in `grid`.
    """
    n, _, length, channels = x.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    places = range(n) if places is None else places
    (low, high), (width, height) = limits, (_FINE * size for size in panel)
    along = np.linspace(_MARGIN * width, (1 - _MARGIN) * width, length)

    def down(y: Any) -> Any:
        return height * (1 - _MARGIN - (1 - 2 * _MARGIN) * (np.clip(y, low, high) - low) / (high - low))

    sheet = Image.new("RGB", (columns * width, (max(places) // columns + 1) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for k, one in zip(places, x[:, 0], strict=True):
        left, top = k % columns * width, k // columns * height
        if low < 0 < high:
            pen.line([(left + along[0], top + down(0)), (left + along[-1], top + down(0))], _ZERO, _FINE)
        for c in range(channels):
            curve = np.stack([left + along, top + down(one[:, c])], axis=1)
            pen.line(curve.ravel().tolist(), _INKS[c % len(_INKS)], _FINE, joint="curve")
    return sheet.reduce(_FINE)


def by_class(x: NDArray[Any], value_range: tuple[float, float], labels: NDArray[Any]) -> Image.Image:
    """Images (N,H,W,C) or signals (N,1,L,C) with labels (N,) -> one picture with a row per label, in their order."""
    row = np.unique(labels, return_inverse=True)[1]
    columns = int(np.bincount(row).max())
    seen = np.array([(row[:k] == row[k]).sum() for k in range(len(row))])
    places = [int(place) for place in row * columns + seen]
    if is_signal(x.shape[1:]):
        return signals(x, value_range, columns, places)
    return grid(to_uint8(x, value_range), columns, places=places)


def is_signal(shape: Sequence[int]) -> bool:
    """Whether an item of this shape is drawn as a curve: (1,L,C), one row."""
    return len(shape) == 3 and shape[0] == 1


def as_image(x: NDArray[np.uint8]) -> Image.Image:
    """(H,W,1) or (H,W,3) -> a grey or RGB picture of that size."""
    return Image.fromarray(x[..., 0] if x.shape[2] == 1 else x)


def scatter(points: NDArray[Any], limits: tuple[float, float], real: NDArray[Any] | None = None) -> Image.Image:
    """(N,2) points as a plot with both axes from limits[0] to limits[1], over real ones in grey when given."""
    made, axes = figure(5, 5)
    if real is not None:
        axes.scatter(real[:, 0], real[:, 1], s=5, color="0.8", label="real")
    axes.scatter(points[:, 0], points[:, 1], s=5, color="tab:red", label="generated")
    axes.set(aspect="equal", xlim=limits, ylim=limits)
    axes.legend(loc="upper right")
    return drawn(made)


def curves(lines: Sequence[dict[str, Any]], plots: dict[str, dict[str, str]]) -> Image.Image:
    """A run's log lines -> its curves over steps; `plots` has a row per pair of axes: its label, and key -> words.

    Lines without a key are passed over: not every line has an evaluation.
    """
    made, rows = figure(8, 3 * len(plots), rows=len(plots))
    for axes, (label, keys) in zip(np.atleast_1d(rows), plots.items(), strict=True):
        for name, words in keys.items():
            having = [line for line in lines if name in line]
            marker = "." if len(having) < _DOTTED else None
            axes.plot(*([line[k] for line in having] for k in ("step", name)), marker=marker, label=words, linewidth=1)
        axes.legend(loc="best")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    np.atleast_1d(rows)[-1].set_xlabel("step")
    return drawn(made)


def samples(
    x: NDArray[Any], value_range: tuple[float, float], real: NDArray[Any] | None = None, columns: int = 0
) -> Image.Image:
    """What a generator made: images as a grid (`columns` wide, 0: square), signals as curves in one, 2-D points as a
    plot over `real` ones.

    `value_range`: black and white, or the axes' limits. Raises ConfigError for other vectors.
    """
    if is_signal(x.shape[1:]):
        return signals(x, value_range, columns)
    if x.ndim == 4:
        return grid(to_uint8(x, value_range), columns or None)
    if x.shape[1:] == (2,):
        return scatter(x, value_range, real)
    raise ConfigError(f"a sample is {x.shape[1]} numbers, of which no picture is drawn (2 are); write a .npy")


def alone(x: NDArray[Any], value_range: tuple[float, float]) -> Image.Image:
    """One image (H,W,C), or signal (1,L,C), large."""
    if is_signal(x.shape):
        return signals(x[None], value_range, panel=_LARGE)
    return grid(to_uint8(x[None], value_range), smallest=_FRAME)


def save(picture: Image.Image, path: Path) -> None:
    """PNG, complete or absent. Raises CheckpointError when the disk refuses."""
    data = BytesIO()
    picture.save(data, "PNG")
    atomic_bytes(path, data.getvalue())


def save_gif(frames: Sequence[Image.Image], path: Path) -> None:
    """A looping GIF there and back, complete or absent."""
    _write_gif([*frames, *reversed(frames[1:-1])], FRAME_MS, path)


def save_film(frames: Sequence[Image.Image], path: Path) -> None:
    """A looping GIF that rests on its last frame, complete or absent."""
    _write_gif(frames, [FILM_MS] * (len(frames) - 1) + [REST_MS], path)


def few_colours(picture: Image.Image) -> Image.Image:
    """Its most frequent colours alone, without dithering: a small frame of a GIF."""
    return picture.quantize(_COLOURS, dither=Image.Dither.NONE)


def _write_gif(frames: Sequence[Image.Image], duration_ms: int | list[int], path: Path) -> None:
    data = BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:], duration=duration_ms, loop=0)
    atomic_bytes(path, data.getvalue())


def figure(width: float, height: float, rows: int = 1, columns: int = 1, sharey: bool = False) -> Any:
    """A matplotlib figure of so many inches, and its axes: one, or an array of them; x is shared down a column."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # only when a plot is wanted: half a second
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns, sharex="col", sharey=sharey)


def drawn(made: Any) -> Image.Image:
    """A matplotlib figure as a picture of 100 pixels an inch."""
    made.canvas.draw()
    return Image.fromarray(np.asarray(made.canvas.buffer_rgba())[..., :3].copy())
