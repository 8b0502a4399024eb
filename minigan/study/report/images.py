"""Pictures for the page, each a data URI: the run's own grids, a walk through z, samples beside their nearest rows."""

import base64
import math
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minigan.errors import ConfigError
from minigan.evaluate.asked import extra
from minigan.study.report.opened import Opened
from minigan.tasks.gan import MOST_ROWS
from minigan.training import pictures
from minigan.training.atomic import reported
from minigan.training.trainer import GRIDS

BUDGET = 2_200_000  # bytes of all grids together, as data URIs: a report has at most 5 MB
MOST_FRAMES = 60
_WIDEST = 1024
_QUALITY = 82
_GRID = re.compile(r"epoch-(\d+)\.png")
CORNERS, LEG = 6, 10
SAMPLES, NEIGHBOURS = 8, 5
MOST_TRAINING = 60_000  # training rows among which neighbours are looked for


def encoded(picture: Image.Image) -> dict[str, Any]:
    """A picture as the page takes it: {"src", "width", "height"}."""
    picture = picture.convert("RGB")
    picture.thumbnail((_WIDEST, 2 * _WIDEST))
    out = BytesIO()
    picture.save(out, "WEBP", quality=_QUALITY)
    src = "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
    return {"src": src, "width": picture.width, "height": picture.height}


def samples(run: Opened) -> dict[str, Any] | None:
    """The grids that the run drew while it trained, each with its step; without one its last picture."""
    folder = run.path / GRIDS
    with reported("read", folder):
        found = sorted((int(m[1]), p) for p in folder.glob("*.png") if (m := _GRID.fullmatch(p.name)))
    at = [(_step_of(run, epoch), epoch, path) for epoch, path in found]
    last = run.path / "samples.png"
    if not at and last.is_file():
        at = [(run.step, 0, last)]
    if not at:
        return None
    task = run.parts.task
    rows = min(task.labels, MOST_ROWS) if task.columns else 0
    return {"frames": _fitting(at), "of": len(at), "classes": list(run.run.classes[:rows])}


def _step_of(run: Opened, epoch: int) -> int:
    """The step that completed an epoch."""
    return math.ceil(epoch * run.parts.batches.per_epoch / run.parts.task.batches_per_step)


def _fitting(at: list[tuple[int, int, Path]]) -> list[dict[str, Any]]:
    """As many of the grids, evenly spread, the last one always among them, as fit into the budget."""
    every = -(-len(at) // MOST_FRAMES)
    frames = []
    for step, epoch, path in at[::-1][::every]:
        with reported("read", path), Image.open(path) as picture:
            frames.append({"step": step, "epoch": epoch, **encoded(picture)})
    while len(frames) > 1 and sum(len(frame["src"]) for frame in frames) > BUDGET:
        frames = frames[::2]
    return frames[::-1]


def drawable(run: Opened) -> bool:
    """Whether the run draws pictures or signals from a z."""
    try:
        run.run.sample(1)
    except ConfigError:
        return False
    return len(run.run.shape) == 3


def interpolation(run: Opened) -> dict[str, Any] | None:
    """A walk through z, a row per leg."""
    if not drawable(run):
        return None
    walk = run.run.interpolate(0, CORNERS, LEG, dtype="float32")
    flat = walk.reshape(-1, *run.run.shape)
    return {**encoded(pictures.samples(flat, run.run.picture_range, columns=LEG)), "corners": CORNERS, "steps": LEG}


def nearest(run: Opened) -> dict[str, Any] | None:
    """The first samples, each with its nearest training rows by the distance of their values."""
    if not drawable(run):
        return None
    try:
        with extra():
            from minigan.metrics.nearest import nearest_training
    except ConfigError:
        return None
    made = run.run.sample(SAMPLES)
    rows = run.parts.real_rows(MOST_TRAINING)
    found = nearest_training(made.reshape(SAMPLES, -1), rows.reshape(len(rows), -1), NEIGHBOURS)
    beside = np.concatenate([made[:, None], rows[found.indices]], axis=1)
    picture = pictures.samples(beside.reshape(-1, *made.shape[1:]), run.run.picture_range, columns=NEIGHBOURS + 1)
    return {**encoded(picture), "rows": len(rows), "of": len(run.parts.dataset), "neighbours": NEIGHBOURS}
