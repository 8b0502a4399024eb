"""`minigan evaluate-model MODEL...`: a conditional run examines classifiers; one record with its whole protocol.

Real held-out rows are asked about as well, so that every number of synthetic rows stands beside what it stands for.
A sample's label is what was asked of G, which does not always comply: at every level the data's own classifier
(features.py) says of how many samples it agrees. That share is about the best that a perfect classifier could reach.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan import __version__
from minigan.data import Dataset
from minigan.data import load as load_data
from minigan.data.heldout import split, test_files
from minigan.errors import ConfigError
from minigan.evaluate import protocol
from minigan.evaluate.extractors import ByClassifier
from minigan.evaluate.features import extractor
from minigan.evaluate.items import FEWEST, Items, as_items
from minigan.evaluate.levels import AXES, LEVELS, NOISE, PLAIN, Exam, Level, noisy
from minigan.evaluate.models import Model
from minigan.metrics.calibration import BINS, Calibration, calibration
from minigan.metrics.ranks import HALVES, agreement, halves
from minigan.training import checkpoint
from minigan.training.reporter import Counting, Reporter, Silent, uncounted
from minigan.training.run import Run, load

FORMAT = "minigan-model-evaluation-1"
MOST, N = 10_000, 1000  # real rows, and samples of a level, at most; samples where nothing else is asked for


class Rows(NamedTuple):
    """What models are asked about: items (N,H,W,C) uint8, the labels (N,) that count as right."""

    items: Items
    labels: NDArray[Any]


class Answered(NamedTuple):
    """Rows, and each model's probabilities (M,N,K) for them."""

    rows: Rows
    probabilities: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which of its answers are what was asked for (M,N)."""
        return self.probabilities.argmax(axis=2) == self.rows.labels

    def calibrations(self) -> list[Calibration]:
        """A model's each."""
        return [calibration(p, self.rows.labels) for p in self.probabilities]


@dataclasses.dataclass(frozen=True)
class Examination:
    """`record` is what is kept. For pictures: `real` has what was answered to real rows, without noise and with, and
    `synthetic` to each level of LEVELS; `names` are the models', in short, `classes` the classes'.
    """

    record: dict[str, Any]
    names: list[str]
    classes: tuple[str, ...]
    real: dict[Level, Answered]
    synthetic: dict[Level, Answered]


def evaluate_models(
    words: Sequence[str],
    path: str | Path,
    n: int = N,
    seed: int = 0,
    best: bool = False,
    reporter: Reporter | None = None,
    counting: Counting = uncounted,
) -> Examination:
    """Examines the models that `words` name (models.py) by n samples a level of the conditional run at `path`.

    Raises ConfigError, DataError, CheckpointError: on a run without classes, and on a model that does not serve, before
    a classifier is trained or a sample drawn.
    """
    reporter, began = reporter or Silent(), time.perf_counter()
    file = checkpoint.best(Path(path)) if best else checkpoint.resolve(Path(path))
    run = load(file)
    _check(run, words, n)
    held, real, held_from = _real(run)
    models = [Model(word, real.items, run.classes) for word in words]
    judge = ByClassifier(extractor(run.config.data, run.config.train.backend, reporter))
    with counting("examining", len(LEVELS) + 1 + len(words) * (len(LEVELS) + 1 + len(NOISE))) as advance:
        exam = Exam(run, n, seed)
        asked = {level: Rows(_counted(exam.at(level), advance), exam.labels) for level in LEVELS}
        known = {PLAIN: real} | {level: Rows(noisy(real.items, level.value, seed), real.labels) for level in NOISE}
        agreed = _agreed(judge, asked)
        advance()
        synthetic, of_real = (
            {k: _answers(models, rows, advance) for k, rows in all_.items()} for all_ in (asked, known)
        )
    record = {
        **protocol.circumstances(run),
        "protocol": _protocol(run, file, exam, held, held_from, models, judge),
        "real": {level.name: _numbers(of_real[level]) for level in of_real},
        "synthetic": {
            level.name: _numbers(synthetic[level])
            | {"judge_agrees": agreed[level]}
            | _ranks(synthetic[level], of_real, level)
            for level in LEVELS
        },
        "rank_of_real_halves": halves(of_real[PLAIN].right) if len(models) > 1 else None,
        "seconds_in_all": round(time.perf_counter() - began, 3),
    }
    short = [model.about["name"].rpartition(":")[2] for model in models]
    names = short if len(set(short)) == len(short) else list(words)
    return Examination(record, names, run.classes, of_real, synthetic)


def _protocol(
    run: Run, file: Path, exam: Exam, held: Dataset, held_from: str, models: Sequence[Model], judge: ByClassifier
) -> dict[str, Any]:
    """What decides the numbers. JSON values."""
    model = run.config.model
    return {
        "format": FORMAT,
        "checkpoint": {"step": run.step, "blake2b": checkpoint.digest(file)},
        "samples": {
            "n": len(exam.labels),
            "seed": exam.seed,
            "weights": run.weights,
            "batchnorm": "running statistics",
            "condition": model.condition,
            "condition_g": model.condition_g,
            "noise": model.noise,
            "labels": "as asked of G",
            "levels": {axis: list(values) for axis, values in AXES.items()},
        },
        "real": {
            "data": held.name,
            "shape": list(held.shape),
            "rows": min(MOST, len(held)),
            "from": held_from,
            "fingerprint": held.fingerprint,
            "resize": protocol.RESIZE if run.config.data.size else "none",
        },
        "values": "uint8, as a picture file holds them",
        "classes": list(run.classes),
        "models": [model.about for model in models],
        "judge": judge.about,
        "calibration": {"bins": BINS},
        "rank": {"statistic": "Kendall tau-b of accuracies", "halves": HALVES},
        "versions": {
            "minigan": __version__,
            "numpy": np.__version__,
            **{name: version(name) for name in ("scipy", "scikit-learn", "pillow")},
        },
    }


def _check(run: Run, words: Sequence[str], n: int) -> None:
    if not run.task.labelled or not run.classes:
        raise ConfigError(
            f"{run.path} draws no samples of known classes (model.condition {run.config.model.condition}), so they say "
            "nothing of a classifier; give a run of embedding, projection or acgan, as cgan-mnist"
        )
    if len(run.shape) != 3 or run.shape[0] == 1:
        raise ConfigError(f"{run.path} makes items of {run.shape}, and only pictures (H,W,C) are shown to models")
    if not FEWEST <= n <= MOST:
        raise ConfigError(f"--n {n}: give {FEWEST} to {MOST} samples a level")
    twice = sorted({word for word in words if list(words).count(word) > 1})
    if twice:
        raise ConfigError(f"{twice[0]} is named twice; name each model once")


def _real(run: Run) -> tuple[Dataset, Rows, str]:
    """Held-out rows of the run's data, and where they come from."""
    c = run.config.data
    size, channels = c.size or None, c.channels or None
    dataset = load_data(c.name, value_range=run.picture_range, size=size, channels=channels)
    if dataset.labels is None or dataset.shape != run.shape or dataset.classes != run.classes:
        raise ConfigError(
            f"{dataset.name} holds items of {dataset.shape} in {len(dataset.classes)} classes, the run was trained on "
            f"items of {run.shape} in {len(run.classes)}; put its data back where it was"
        )
    held = split(dataset, size, channels)[1]
    rows = np.arange(min(MOST, len(held)))
    held_from = (
        "test files" if test_files(dataset, size, channels) else "a tenth of the rows, which the run learned from too"
    )
    return held, Rows(as_items(held.read(rows), run.picture_range), np.asarray(held.labels)[rows]), held_from


def _counted(items: Items, advance: Callable[[], None]) -> Items:
    advance()
    return items


def _agreed(judge: ByClassifier, asked: dict[Level, Rows]) -> dict[Level, float]:
    """The share of a level's samples that the judge says are of the class asked for; of noisy ones before the noise."""
    shares = {
        level: float((np.asarray(judge.see(rows.items).probabilities).argmax(axis=1) == rows.labels).mean())
        for level, rows in asked.items()
        if level not in NOISE
    }
    return shares | {level: shares[PLAIN] for level in NOISE}


def _answers(models: Sequence[Model], rows: Rows, advance: Callable[[], None]) -> Answered:
    found = []
    for model in models:
        found.append(model(rows.items))
        advance()
    return Answered(rows, np.stack(found))


def _numbers(answered: Answered) -> dict[str, Any]:
    """Numbers of each model, in their order, as JSON has them."""
    found = answered.calibrations()
    bins = [[[_plain(v) for v in a] for a in (c.counts.astype(float), c.confidences, c.accuracies)] for c in found]
    return {
        "accuracy": [c.accuracy for c in found],
        "ece": [c.ece for c in found],
        "brier": [c.brier for c in found],
        "reliability": [dict(zip(("rows", "confidence", "accuracy"), b, strict=True)) for b in bins],
    }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def _ranks(answered: Answered, real: dict[Level, Answered], level: Level) -> dict[str, Any]:
    """How far the level's order of the models is that of real rows, and of real rows with the same noise."""
    if len(answered.probabilities) < 2:
        return {}
    here = answered.right.mean(axis=1)
    found = {"rank": agreement(here, real[PLAIN].right.mean(axis=1))._asdict()}
    if level in NOISE:
        found["rank_of_noisy"] = agreement(here, real[level].right.mean(axis=1))._asdict()
    return found
