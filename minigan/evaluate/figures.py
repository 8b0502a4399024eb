"""An evaluation as pictures: what the numbers are about, to be looked at before any is believed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA

from minigan.evaluate import store
from minigan.evaluate.evaluate import Evaluation
from minigan.evaluate.items import as_items
from minigan.evaluate.protocol import run_folder
from minigan.evaluate.table import RANKED, SAYS, Side
from minigan.metrics.nearest import nearest_training
from minigan.tasks import TASKS
from minigan.training import checkpoint, log, pictures
from minigan.training.atomic import reported
from minigan.training.reporter import Counting, uncounted

SIDE = 8  # real and generated pictures stand in squares of so many
PER_CLASS, MOST_CLASSES = 10, 20
COPIES, NEIGHBOURS = 12, 5
DOTS = 1000
_COLUMNS = 3  # of panels


def write(made: Evaluation, folder: Path, counting: Counting = uncounted) -> list[str]:
    """Every picture that there is something to draw for, as PNG files in `folder`; returns their names."""
    with reported("created", folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    with counting("drawing pictures", made.blocks + len(PICTURES)) as advance:
        side = made.side(advance)
        for name, draw in PICTURES.items():
            picture = draw(made, side)
            if picture:
                pictures.save(picture, folder / name)
                written.append(name)
            advance()
    return written


def real_and_generated(made: Evaluation, side: Side) -> Image.Image | None:
    """Real held-out pictures to the left, samples to the right."""
    if side.items.ndim != 4:
        return None
    rows = min(SIDE, made.judge.real.n // SIDE)
    real, fake = (a[: rows * SIDE].reshape(rows, SIDE, *a.shape[1:]) for a in (made.judge.real.held, side.items))
    gap = np.full((rows, 1, *side.items.shape[1:]), 128, np.uint8)
    both = np.concatenate([real, gap, fake], axis=1)
    return pictures.grid(both.reshape(-1, *side.items.shape[1:]), columns=2 * SIDE + 1)


def by_class(made: Evaluation, side: Side) -> Image.Image | None:
    """The first samples of each class, a row for each, as the run or the classifier says it."""
    if side.items.ndim != 4 or side.labels is None:
        return None
    kept = [np.flatnonzero(side.labels == k)[:PER_CLASS] for k in range(min(made.judge.against.classes, MOST_CLASSES))]
    index = np.concatenate(kept)
    return pictures.by_class(side.items[index], (0.0, 255.0), side.labels[index])


def nearest(made: Evaluation, side: Side) -> Image.Image | None:
    """Samples, the nearest to a training row first: each with its nearest training rows to its right."""
    if side.items.ndim != 4 or made.judge.against.training is None:
        return None
    found = nearest_training(side.features, made.judge.against.training, NEIGHBOURS)
    closest = np.argsort(found.distances[:, 0], kind="stable")[:COPIES]
    rows = made.judge.training_rows()[found.indices[closest]]
    dataset = made.judge.real.dataset
    training = as_items(dataset.read(rows.reshape(-1)), made.run.picture_range)
    both = [side.items[closest][:, None], training.reshape(len(closest), NEIGHBOURS, *dataset.shape)]
    return pictures.grid(np.concatenate(both, axis=1).reshape(-1, *dataset.shape), columns=NEIGHBOURS + 1)


def scatter(made: Evaluation, side: Side) -> Image.Image | None:
    """Features of both on the two axes along which the real ones vary most."""
    real: NDArray[Any] = made.judge.against.held.features
    if real.shape[1] < 2:
        return None
    axes = PCA(2, random_state=0).fit(real)
    points, others = (axes.transform(a[:DOTS]) for a in (side.features, real))
    both = np.concatenate([points, others])
    margin = 0.05 * float(np.ptp(both))
    return pictures.scatter(points, (float(both.min()) - margin, float(both.max()) + margin), others)


def curves(made: Evaluation, side: Side) -> Image.Image | None:
    """The run's log, evaluations included, where it has one."""
    folder = run_folder(checkpoint.resolve(Path(made.run.path)))
    task = TASKS[made.run.config.task.name]
    lines = log.read(folder, [key for keys in task.plots.values() for key in keys]) if folder else []
    judged = {key: {key: SAYS[key].words} for key in RANKED if any(key in line for line in lines)}
    return pictures.curves(lines, task.plots | judged) if lines else None


def metrics(made: Evaluation, side: Side) -> Image.Image | None:
    """What ranks runs, over the steps of the records that differ in nothing but the checkpoint; dashed: the floor.

    None before two of its checkpoints have been evaluated.
    """
    folder = run_folder(checkpoint.resolve(Path(made.run.path)))
    alike = [r for r in store.records(folder) if _rest(r) == _rest(made.record)] if folder else []
    at = {record["protocol"]["checkpoint"]["step"]: record["values"] for record in alike}
    keys = [key for key in RANKED if sum(key in values for values in at.values()) > 1]
    if not keys:
        return None
    figure, panels = pictures.figure(4 * _COLUMNS, 2.5 * -(-len(keys) // _COLUMNS), -(-len(keys) // _COLUMNS), _COLUMNS)
    panels = np.ravel(panels)
    for axes, key in zip(panels, keys, strict=False):
        steps = sorted(step for step, values in at.items() if key in values)
        axes.plot(steps, [at[step][key] for step in steps], ".-", linewidth=1)
        if key in made.record["floor"]:
            axes.axhline(made.record["floor"][key], color="0.6", linestyle="--", linewidth=1)
        axes.set_title(f"{SAYS[key].words} ({SAYS[key].better})", fontsize="small")
        axes.tick_params(labelbottom=True)
        axes.grid(alpha=0.3)
    for axes in panels[len(keys) :]:
        axes.set_axis_off()
    return pictures.drawn(figure)


def _rest(record: dict[str, Any]) -> dict[str, Any]:
    """A record's protocol but for the checkpoint."""
    return {key: said for key, said in record["protocol"].items() if key != "checkpoint"}


PICTURES: dict[str, Callable[[Evaluation, Side], Image.Image | None]] = {
    "real-generated.png": real_and_generated,
    "by-class.png": by_class,
    "nearest.png": nearest,
    "features.png": scatter,
    "curves.png": curves,
    "metrics.png": metrics,
}
