"""`minigan diagnose RUN`: what is wrong with a GAN, by its log (training/signs.py) and by samples.

Samples are sorted into the classes or modes of the data, by what knows them best: the known centres of a toy set,
minigan's classifier where images have labels, else ten cells that k-means finds in real rows (Richardson & Weiss 2018,
arXiv:1805.12462, who count samples so). All else is of pixels, on the first 64 principal components of training rows.

even    exp(-KL(shares of samples || shares of the data)): 1 when all classes come as often as in the data, m / K when
        m of K equal ones come evenly (metrics/classes.py has the divergence)
spread  how far samples of one class lie apart, of what real rows of it do: the ratio of standard deviations within.
        Of samples too far off the data for classes to mean anything (`copies` above OFF): of all samples together,
        and then neither `even` nor `moved` is said
copies  median distance of a sample to its nearest training row, of that of a training row to its nearest other one:
        rows that G never saw would have 1 (metrics/nearest.py has the distances)
moved   the share of samples that changed their class since an earlier checkpoint, z and all else equal: the total
        variation between shares, so that a z may change places with another one. Of G itself, not of its average
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from minigan import rng
from minigan.config import Data
from minigan.data import Dataset
from minigan.data.toys import CENTRES, centres
from minigan.errors import ConfigError, DataError
from minigan.evaluate import protocol
from minigan.evaluate.extractors import ByClassifier
from minigan.evaluate.features import extractor
from minigan.evaluate.items import Items, as_floats, as_items
from minigan.metrics.classes import LEAST, class_shares
from minigan.metrics.modes import assign
from minigan.metrics.nearest import nearest_training
from minigan.training import checkpoint, log, parts
from minigan.training.reporter import Counting, Reporter, uncounted
from minigan.training.run import Run, load
from minigan.training.signs import Signs, of_log
from minigan.training.verdicts import findings, verdict

FORMAT = "minigan-diagnosis-1"
SAMPLES, FEWEST, SEED = 1000, 50, 0
ROWS_READ = 20_000  # training rows, drawn once and for all
APART = 100  # steps between two checkpoints, at least, for their difference to mean anything
OFF = 1.8
COMPONENTS, CELLS = 64, 10
SHOWN = 10  # names of missing classes
BLOCK, STAGES = 1000, 3  # rows between two steps of the progress bar, and its steps for samples
LEAST_ROWS = 10

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]
Sorter = Callable[[Any], Labels]  # items (N, ...) as evaluate/items.py has them -> classes (N,)


class Kinds(NamedTuple):
    """The data's classes or modes: who sorts items into them, their names, and the real rows' (M,)."""

    sort: Sorter
    names: tuple[str, ...]
    real: Labels
    by: str


def even(told: Labels, real: Labels, classes: int) -> tuple[float, list[int]]:
    """Labels of samples (N,) and of real rows (M,), in 0..classes-1 -> the sign, and the classes that are missing."""
    found = class_shares(told, real, classes)
    return float(np.exp(-found.reverse_kl)), np.flatnonzero(found.shares < LEAST * found.reference).tolist()


def spread(x: Floats, told: Labels, rows: Floats, real: Labels) -> float | None:
    """Samples x (N,F) and real rows (M,F), with their labels -> the sign; None when no class has two of both."""
    parts = [
        (len(a) * a.var(axis=0).sum(dtype=np.float64), len(a) * b.var(axis=0).sum(dtype=np.float64))
        for k in np.unique(told)
        if len(a := x[told == k]) > 1 and len(b := rows[real == k]) > 1
    ]
    within, of = np.sum(parts, axis=0) if parts else (0.0, 0.0)
    return float(np.sqrt(within / of)) if of else None


def copies(x: Floats, rows: Floats) -> float | None:
    """Samples x (N,F), training rows (M,F), M at least 2 -> the sign; None when half the rows have an equal."""
    own = nearest_training(rows[:SAMPLES], rows, 2).distances[:, 1]
    middle = float(np.median(own))
    return float(np.median(nearest_training(x, rows).distances)) / middle if middle else None


def moved(before: Labels, now: Labels, classes: int) -> float:
    """Labels (N,) of samples of one z -> the sign."""
    shares = (np.bincount(told, minlength=classes) / len(told) for told in (before, now))
    return float(np.abs(np.subtract(*shares)).sum() / 2)


def diagnose(
    path: str | Path, n: int = SAMPLES, reporter: Reporter | None = None, counting: Counting = uncounted
) -> dict[str, Any]:
    """The verdict on the GAN in a run folder or checkpoint, as JSON values, by its log and n samples of seed 0.

    Signs that nobody could look at are named with the reason, and the verdict is then of the others. `reporter` sees a
    classifier train, where there is none yet of this data. Raises ConfigError on a run of another task and too small
    an n, CheckpointError and DataError on files that do not serve.
    """
    if n < FEWEST:
        raise ConfigError(f"-n {n}: so few samples say nothing; give {FEWEST} or more")
    file = checkpoint.resolve(Path(path))
    run = load(file)
    if run.config.task.name != "gan":
        raise ConfigError(
            f"{path} is a run of task {run.config.task.name}; a verdict is on the game of a GAN's two nets: give a run "
            "of task gan"
        )
    dataset = _data(run, file)
    folder = protocol.run_folder(file)
    lines = [line for line in log.read(folder, ("grad_norm_g", "loss_d")) if line["step"] <= run.step] if folder else []
    signs = of_log(run.config, lines)
    kept = rng.host(0, "diagnose").permutation(len(dataset))[:ROWS_READ]
    items = _read(run, dataset, kept, counting)
    kinds = _kinds(dataset, items, kept, run.config.data, reporter)  # which may show a bar of its own
    with counting("looking at samples", STAGES) as advance:
        seen, details = _of_samples(run, file, n, items, kinds, advance)
    values = signs.values | seen.values
    return {
        "format": FORMAT,
        "run": str(path),
        "verdict": verdict(values),
        "findings": [finding.as_dict() for finding in findings(values, details)],
        "signs": values,
        "not_looked_at": signs.missing | seen.missing,
        "protocol": {
            "step": run.step,
            "log_lines": len(lines),
            "n": n,
            "seed": SEED,
            "weights": run.weights,
            "data": dataset.name,
            "rows": len(items),
            "sorted_by": kinds.by,
        },
    }


def _data(run: Run, file: Path) -> Dataset:
    """What the run was trained on."""
    dataset = parts.open_data(run.config)
    if dataset.fingerprint != checkpoint.read_meta(file)["data"]["fingerprint"]:
        raise DataError(f"{dataset.name} is not what {run.path} was trained on; put the run's own data there")
    if len(dataset) < LEAST_ROWS:
        raise DataError(f"{dataset.name} has {len(dataset)} rows, too few to hold samples against; give {LEAST_ROWS}")
    return dataset


def _read(run: Run, dataset: Dataset, kept: NDArray[np.intp], counting: Counting) -> Items:
    blocks = np.split(kept, range(BLOCK, len(kept), BLOCK))
    read = []
    with counting("reading rows", len(blocks)) as advance:
        for block in blocks:
            read.append(as_items(dataset.read(block), run.picture_range))
            advance()
    return np.concatenate(read)


def _kinds(dataset: Dataset, items: Items, kept: NDArray[np.intp], data: Data, reporter: Reporter | None) -> Kinds:
    if dataset.name in CENTRES and dataset.labels is not None:
        middle = centres(dataset.name)
        names = tuple(f"mode {k}" for k in range(len(middle)))
        return Kinds(lambda x: assign(x, middle)[0], names, dataset.labels[kept], "the known modes")
    if dataset.labels is not None and items.ndim == 4 and len(dataset.classes) > 1:
        eyes = ByClassifier(extractor(data, "auto", reporter))
        by = f"a classifier, right on {eyes.net.record.accuracy:.1%} of held-out rows"
        return Kinds(lambda x: _told(eyes, x), dataset.classes, dataset.labels[kept], by)
    cells = KMeans(min(CELLS, len(items)), n_init=3, random_state=0).fit(_flat(items))
    names = tuple(f"cell {k}" for k in range(cells.n_clusters))
    return Kinds(lambda x: cells.predict(_flat(x)), names, cells.labels_, f"{cells.n_clusters} cells of k-means")


def _told(eyes: ByClassifier, items: Items) -> Labels:
    probabilities = eyes.see(items).probabilities
    assert probabilities is not None
    return probabilities.argmax(axis=1)


def _of_samples(
    run: Run, file: Path, n: int, items: Items, kinds: Kinds, advance: Callable[[], None]
) -> tuple[Signs, dict[str, str]]:
    """The signs in n samples, and details of what they say."""
    drawn = _drawn(run, run.weights, n)
    seen = PCA(min(COMPONENTS, *_flat(items).shape), random_state=0).fit(_flat(items))
    x, rows = seen.transform(_flat(drawn)), seen.transform(_flat(items))
    advance()
    found: dict[str, float | str] = {"copies": _copied(run, x, rows)}
    advance()
    if isinstance(found["copies"], float) and found["copies"] > OFF:
        found |= dict.fromkeys(("even", "moved"), "samples are too far off the data to be sorted into classes")
        found["spread"] = _or(spread(x, np.zeros(n, int), rows, np.zeros(len(rows), int)), "all rows are equal")
        advance()
        return _parted(found), {}
    told = kinds.sort(drawn)
    found["even"], lost = even(told, kinds.real, len(kinds.names))
    found["spread"] = _or(spread(x, told, rows, kinds.real), "no class has two samples and two real rows")
    found["moved"], steps = _since(run, file, n, kinds)
    advance()
    names = ", ".join(kinds.names[k] for k in lost[:SHOWN]) + (" and more" if len(lost) > SHOWN else "")
    missing = f"{len(lost)} of {len(kinds.names)} missing" + (f": {names}" if lost else "")
    return _parted(found), {"even": missing, "moved": steps}


def _copied(run: Run, x: Floats, rows: Floats) -> float | str:
    if run.shape == (2,):
        return "points in the plane lie too densely to tell a copy"
    return _or(copies(x, rows), "half the training rows have an equal, so a copy cannot be told")


def _parted(found: dict[str, float | str]) -> Signs:
    """What is a number, and what is a reason."""
    values = {sign: value for sign, value in found.items() if not isinstance(value, str)}
    return Signs(values, {sign: why for sign, why in found.items() if isinstance(why, str)})


def _since(run: Run, file: Path, n: int, kinds: Kinds) -> tuple[float | str, str]:
    """`moved`, or why not, and between which steps."""
    before = [
        (step, path)
        for path in file.parent.iterdir()
        if (match := checkpoint.SAVED.fullmatch(path.name)) and (step := int(match[1])) <= run.step - APART
    ]
    if not before:
        return f"no checkpoint of {APART} steps before is kept: lower train.checkpoint_every", ""
    step, path = max(before)
    earlier, now = (kinds.sort(_drawn(a, "g", n)) for a in (load(path), run))
    return moved(earlier, now, len(kinds.names)), f"steps {step} and {run.step}"


def _drawn(run: Run, weights: str, n: int) -> Items:
    x = run.task.samples(run.task.z("sample", 0, n, SEED), weights, run.labels(n))
    return as_items(x.astype(np.float32), run.picture_range)


def _flat(items: Items) -> NDArray[np.float32]:
    return as_floats(items).reshape(len(items), -1)


def _or(value: float | None, why: str) -> float | str:
    return why if value is None else value
