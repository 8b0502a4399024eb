"""A moment of a GAN in the plane as a picture: what D says of each place and where it sends G's points; what G makes
of the plane of z. Once with matplotlib, for files, and once in few pixels, for a terminal.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from minigan.study.thumbnail import places
from minigan.study.toy import Frame, Toy

LEVELS = 16  # of D's field that are told apart: few colours keep a GIF small
MAP = "RdBu"  # from what D takes for generated to what it takes for real
REAL, FAKE, ARROW, NET = "#1b7837", "#000000", "#444444", "#8f8ac0"
TITLES = "D's field, and where it sends G's points", "G's map of the plane of z"
REACH = 0.08  # of the window's width: the longest arrow, but for the few that are longer than LONG of them
LONG = 95


def arrows(frame: Frame, limits: tuple[float, float]) -> NDArray[Any]:
    """(N,2): where G's loss sends each point, against its gradient; one scale for all arrows of a frame."""
    lengths = np.linalg.norm(frame.gradient, axis=1)
    longest = max(float(np.percentile(lengths, LONG)), np.finfo(np.float32).tiny)
    capped = np.minimum(1, longest / np.maximum(lengths, np.finfo(np.float32).tiny))
    return -frame.gradient * (capped * REACH * (limits[1] - limits[0]) / longest)[:, None]


def shades(frame: Frame, probability: bool) -> NDArray[Any]:
    """D's field as shares 0..1 of the colour map: a probability as it is, else from D's lowest to its highest here."""
    if probability:
        return frame.field
    low, high = frame.field.min(), frame.field.max()
    return (frame.field - low) / (high - low) if high > low else np.full_like(frame.field, 0.5)


def words(frame: Frame) -> str:
    """The step, the losses, and how long the gradients are: of one point's own loss, which is N times its share."""
    lengths = len(frame.gradient) * np.linalg.norm(frame.gradient, axis=1)
    losses = [f"loss {key[-1].upper()} {frame.record[key]:.3f}" for key in ("loss_d", "loss_g") if key in frame.record]
    return "  ".join([f"step {frame.step:,}", *losses, f"|gradient| {np.median(lengths):.2g}"])


class Drawer:
    """Draws frames of one toy, all alike: made once, moved afterwards."""

    def __init__(self, toy: Toy, title: str, inches: float = 3.6, dpi: int = 90):
        from matplotlib import colormaps  # only when pictures are wanted: half a second
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.collections import LineCollection
        from matplotlib.figure import Figure

        self.toy, frame = toy, toy.frame()
        limits = low, high = toy.limits
        self.figure = Figure(figsize=((2 if frame.net is not None else 1) * inches, inches + 0.5), dpi=dpi)
        FigureCanvasAgg(self.figure)
        axes = self.figure.subplots(1, 2 if frame.net is not None else 1, squeeze=False)[0]
        self.figure.subplots_adjust(0.01, 0.01, 0.99, 0.86, wspace=0.02)
        self.words = self.figure.text(0.01, 0.95, "", family="monospace", size=9)
        self.title = title
        for one, says in zip(axes, TITLES, strict=False):
            one.set(xlim=limits, ylim=limits, xticks=[], yticks=[], aspect="equal")
            one.set_title(says, size=9)
        span, few = (low, high, low, high), colormaps[MAP].resampled(LEVELS)
        self.image = axes[0].imshow(frame.field, cmap=few, vmin=0, vmax=1, extent=span, origin="lower", alpha=0.75)
        self.image.set(interpolation="bilinear", interpolation_stage="data")
        for one in axes:
            one.scatter(*toy.real.T, s=14, color=REAL, linewidths=0)
        self.points = [one.scatter(*frame.fakes.T, s=6, color=FAKE, linewidths=0, zorder=3) for one in axes]
        options: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.0035, "color": ARROW}
        self.arrows = axes[0].quiver(*frame.fakes.T, *arrows(frame, limits).T, zorder=2, **options)
        self.net = LineCollection([], colors=NET, linewidths=0.7)
        if frame.net is not None:
            axes[-1].add_collection(self.net)

    def __call__(self, frame: Frame) -> Image.Image:
        """A picture of the frame."""
        self.words.set_text(f"{self.title}  {words(frame)}")
        self.image.set_data(shades(frame, self.toy.probability))
        for points in self.points:
            points.set_offsets(frame.fakes)
        self.arrows.set_offsets(frame.fakes)
        self.arrows.set_UVC(*arrows(frame, self.toy.limits).T)
        self.net.set_segments([] if frame.net is None else list(frame.net))
        self.figure.canvas.draw()
        canvas: Any = self.figure.canvas
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def raster(frame: Frame, toy: Toy, side: int) -> NDArray[np.uint8]:
    """The same in side x side pixels, D's half and G's beside each other: (side, 2 side + 1, 3)."""
    from matplotlib import colormaps

    field = Image.fromarray(colormaps[MAP](shades(frame, toy.probability)[::-1], bytes=True)[..., :3])
    halves = [field.resize((side, side)), Image.new("RGB", (side, side), "white")]
    at = places(frame.fakes, toy.limits, side)
    ends = places(frame.fakes + arrows(frame, toy.limits), toy.limits, side)
    real = places(toy.real, toy.limits, side)
    pens = [ImageDraw.Draw(half) for half in halves]
    for line in () if frame.net is None else frame.net:
        pens[1].line([tuple(p) for p in places(line, toy.limits, side).tolist()], NET)
    for pen in pens:
        pen.point([tuple(p) for p in real.tolist()], REAL)
    for start, end in zip(at.tolist(), ends.tolist(), strict=True):
        pens[0].line([tuple(start), tuple(end)], ARROW)
    for pen in pens:
        pen.point([tuple(p) for p in at.tolist()], FAKE)
    gap = np.zeros((side, 1, 3), np.uint8)
    return np.concatenate([np.asarray(halves[0]), gap, np.asarray(halves[1])], axis=1)
