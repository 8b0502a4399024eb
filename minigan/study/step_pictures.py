"""Pictures of one layer in one step: filters, feature maps with their gradients, histograms; and of all layers, bars.

What may be negative is blue below 0 and red above it, as strong on both sides; maps of x and y are grey, each from its
smallest number, black, to its largest.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.models.layers import Layer, Reshape
from minigan.models.net import Net

ACROSS = 8  # feature maps in a row of a picture, and kernels in each direction
MOST_SIDE = 256  # entries of a matrix along one side, drawn as a picture
_BINS = 40
_MARGIN, _GAP, _SIDE = 0.7, 0.5, 1.5  # inches: around a picture, between its panels, and a panel
Array = NDArray[Any]
Drawn = Sequence[tuple[str, dict[str, Array]]]  # what stands beside a row, and in it


def histograms(drawn: Drawn) -> bytes:
    """A row for each of `drawn`, a panel for each of its arrays; heights go by the logarithm of the count."""
    figure, axes = _figure([_SIDE] * len(drawn), [_SIDE] * max(len(arrays) for _, arrays in drawn))
    for row, (name, arrays) in zip(axes, drawn, strict=True):
        for panel, (key, a) in zip(row, [*arrays.items(), *[("", None)] * (len(row) - len(arrays))], strict=True):
            _bare(panel)
            if a is None:
                panel.axis("off")
                continue
            panel.set_title(key, fontsize=8, pad=2)
            sound = a[np.isfinite(a)].ravel().astype(np.float64)
            if sound.size:
                low, high = float(sound.min()), float(sound.max())
                places = np.zeros(sound.size) if low == high else (sound - low) / (high - low) * _BINS
                counts = np.bincount(np.minimum(places.astype(int), _BINS - 1), minlength=_BINS)
                panel.fill_between(np.arange(_BINS), np.log1p(counts), step="mid")
                panel.set_xlabel(f"{low:.3g} to {high:.3g}", fontsize=7, labelpad=2)
        row[0].set_ylabel(name, fontsize=6)
    return _png(figure)


def filters(net: Net, layer: Layer, arrays: dict[str, Array]) -> bytes:
    """Each parameter with its gradient and its update: matrices and kernels as pictures (see `tiled`), vectors as
    bars."""
    figure, axes = _figure([2 * _SIDE], [2 * _SIDE] * len(arrays))
    for panel, (key, a) in zip(axes[0], arrays.items(), strict=True):
        panel.set_title(f"{key} {a.shape}", fontsize=8)
        if a.ndim == 1:
            panel.fill_between(np.arange(len(a)), np.nan_to_num(a), step="mid")
            panel.tick_params(labelsize=6)
        else:
            _show(panel, tiled(net, layer, a), _most(a))
    return _png(figure)


def maps(arrays: dict[str, Array]) -> bytes:
    """x and y of a forward pass, and what came back: of images the first sample's first channels, else the batch as a
    matrix."""
    shown = {key: arrays[key] for key in ("x", "y", "dy", "dx") if key in arrays}
    figure, axes = _figure([_SIDE] * len(shown), [ACROSS * _SIDE])
    for (panel,), (key, a) in zip(axes, shown.items(), strict=True):
        if a.ndim == 4:
            some, signed = np.moveaxis(a[0], -1, 0)[:ACROSS], key.startswith("d")
            row = np.concatenate(some if signed else [_grey(one) for one in some], axis=1)
            _show(panel, row, _most(some) if signed else None)
            wide = a.shape[2]
            panel.set_xlim(-0.5, ACROSS * wide - 0.5)
            for k in range(1, len(some) + (len(some) < ACROSS)):
                panel.axvline(k * wide - 0.5, color="black", linewidth=2)
        else:
            _show(panel, a.reshape(len(a), -1)[:MOST_SIDE, :MOST_SIDE], _most(a))
        panel.set_ylabel(f"{key} {a.shape}", fontsize=7)
    return _png(figure)


def tiled(net: Net, layer: Layer, a: Array) -> Array:
    """Weights as one matrix: kernels (KH,KW,I,O) as tiles, I down and O across; (I,O) as pictures where a neighbour
    says that I or O are the pixels of one, else as it is. At most ACROSS tiles each way.
    """
    if a.ndim == 4 and 1 in a.shape[2:]:  # a single row or column of kernels is folded into a square
        return _pictures(a.reshape(a.shape[0] * a.shape[1], -1).T, (*a.shape[:2], 1))
    if a.ndim == 4:
        return _tiles(a[:, :, :ACROSS, :ACROSS].transpose(2, 3, 0, 1))
    k = net.layers.index(layer)
    before, after = (net.layers[i] if 0 <= i < len(net.layers) else None for i in (k - 1, k + 1))
    if isinstance(before, Reshape) and len(before.in_shape) == 3 and a.shape[0] == int(np.prod(before.in_shape)):
        return _pictures(a.T, before.in_shape)
    if isinstance(after, Reshape) and len(after.out_shape) == 3 and a.shape[-1] == int(np.prod(after.out_shape)):
        return _pictures(a, after.out_shape)
    return a.reshape(-1, a.shape[-1])[:MOST_SIDE, :MOST_SIDE]


def bars(names: Sequence[str], values: Mapping[str, Sequence[float]]) -> bytes:
    """A panel for each of `values`, a bar for each name, logarithmic; zeros have none."""
    width = max(3.0, 0.3 * len(names))
    figure, axes = _figure([_SIDE] * len(values), [width], below=0.6)
    for (panel,), (label, heights) in zip(axes, values.items(), strict=True):
        panel.bar(np.arange(len(names)), heights)
        if any(0 < h < np.inf for h in heights):
            panel.set_yscale("log", nonpositive="clip")
            panel.tick_params(axis="y", which="minor", labelleft=False)
        panel.set_ylabel(label, fontsize=7)
        panel.set_xticks(np.arange(len(names)), names, rotation=90, fontsize=6)
        panel.tick_params(axis="y", labelsize=6)
    return _png(figure)


def _figure(heights: Sequence[float], widths: Sequence[float], below: float = _GAP) -> tuple[Any, Any]:
    """Panels (rows, columns) of these sizes in inches, with `below` under each."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second, only when a picture is wanted
    from matplotlib.figure import Figure

    width, height = sum(widths) + _GAP * (len(widths) - 1) + 2 * _MARGIN, sum(heights) + below * len(heights) + _MARGIN
    figure = Figure(figsize=(width, height), dpi=100)
    FigureCanvasAgg(figure)
    axes = np.empty((len(heights), len(widths)), object)
    top = height - _MARGIN
    for i, h in enumerate(heights):
        left = _MARGIN
        for k, w in enumerate(widths):
            axes[i, k] = figure.add_axes((left / width, (top - h) / height, w / width, h / height))
            left += w + _GAP
        top -= h + below
    return figure, axes


def _png(figure: Any) -> bytes:
    data = BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def _bare(panel: Any) -> None:
    panel.set_xticks([])
    panel.set_yticks([])


def _show(panel: Any, picture: Array, most: float | None) -> None:
    """With `most` blue and red up to it, without grey from 0 to 1; with square pixels where they nearly fill it."""
    _bare(panel)
    sound = np.nan_to_num(np.asarray(picture, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    colours = (
        {"cmap": "gray", "vmin": 0, "vmax": 1} if most is None else {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    )
    aspect = "equal" if max(sound.shape) <= 2 * min(sound.shape) else "auto"
    panel.imshow(sound, interpolation="nearest", aspect=aspect, **colours)


def _grey(a: Array) -> Array:
    sound = np.nan_to_num(a.astype(np.float64), posinf=0.0, neginf=0.0)
    return (sound - sound.min()) / (np.ptp(sound) or 1.0)


def _most(a: Array) -> float:
    return float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) or 1.0


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
