"""Sets of samples that are bad in a known way, and the metrics that must say so. The data: the digits, their pixels."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.neighbors import KNeighborsClassifier

from minigan.data import load
from minigan.metrics.classes import class_shares
from minigan.metrics.frechet import frechet, frechet_infinity
from minigan.metrics.kid import kid
from minigan.metrics.manifold import density_coverage, one_nearest, precision_recall
from minigan.metrics.nearest import memorisation
from minigan.metrics.score import classifier_score
from minigan.metrics.ssim import diversity
from minigan.metrics.transfer import transfer
from minigan.metrics.two_sample import classifier_two_sample

N, SEEDS, CLASSES = 500, 4, 10


class Part(NamedTuple):
    """Pictures (N,8,8,1) in 0..1, their features (N,64), their classes (N,)."""

    x: np.ndarray
    features: np.ndarray
    labels: np.ndarray


class Sets(NamedTuple):
    """What a metric may need. `samples` stand for what a generator that was trained on `train` would draw."""

    train: Part
    held: Part
    samples: Part


def part(x: np.ndarray, labels: np.ndarray) -> Part:
    return Part(x, x.reshape(len(x), -1), labels)


Rows = np.ndarray  # of the digits: those in nobody's hands, shuffled
Maker = Callable[[np.ndarray, np.ndarray, Rows, Rows, np.random.Generator], Part]


def shuffled(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Maker:
    """Digits that nobody has seen, changed."""
    return lambda x, y, train, unseen, rng: part(change(x[unseen[:N]], rng), y[unseen[:N]])


def picked(choose: Callable[[np.ndarray, Rows, Rows, np.random.Generator], Rows]) -> Maker:
    """Digits as they are, but the wrong ones."""

    def make(x: np.ndarray, y: np.ndarray, train: Rows, unseen: Rows, rng: np.random.Generator) -> Part:
        rows = choose(y, train, unseen, rng)
        return part(x[rows], y[rows])

    return make


MAKERS: dict[str, Maker] = {
    "good": shuffled(lambda x, rng: x),
    "one class missing": picked(lambda y, train, unseen, rng: unseen[y[unseen] != 3][:N]),
    "50 samples, each 10 times": picked(lambda y, train, unseen, rng: np.repeat(unseen[:50], 10)),
    "blurred": shuffled(lambda x, rng: gaussian_filter(x, (0, 0.7, 0.7, 0))),
    "training copies": picked(lambda y, train, unseen, rng: train),
    "half training copies": picked(lambda y, train, unseen, rng: np.concatenate([train[: N // 2], unseen[: N // 2]])),
    "noise": shuffled(lambda x, rng: (x + 0.2 * rng.standard_normal(x.shape)).clip(0, 1)),
}


def sets(name: str, seed: int) -> Sets:
    digits = load("digits", value_range=(0.0, 1.0))
    x, y = digits.read(range(len(digits))).astype(np.float64), np.asarray(digits.labels)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(x))
    train, held, unseen = order[:N], order[N : 2 * N], order[2 * N :]
    return Sets(part(x[train], y[train]), part(x[held], y[held]), MAKERS[name](x, y, train, unseen, rng))


def judged(s: Sets) -> np.ndarray:
    judge = KNeighborsClassifier(5).fit(s.train.features, s.train.labels)
    return judge.predict_proba(s.samples.features)


def both(s: Sets) -> tuple[np.ndarray, np.ndarray]:
    return s.held.features, s.samples.features


def copies(s: Sets) -> Any:
    return memorisation(s.samples.features, s.train.features, s.held.features)


def learned(s: Sets) -> Any:
    return transfer(*((each.features, each.labels) for each in (s.train, s.held, s.samples)))


METRICS: dict[str, Callable[[Sets], float]] = {
    "frechet": lambda s: frechet(*both(s)),
    "frechet_infinity": lambda s: frechet_infinity(*both(s)).value,
    "kid": lambda s: kid(*both(s), subsets=1, size=N).mean,
    "score": lambda s: classifier_score(judged(s)).mean,
    "precision": lambda s: precision_recall(*both(s)).precision,
    "recall": lambda s: precision_recall(*both(s)).recall,
    "density": lambda s: density_coverage(*both(s)).density,
    "coverage": lambda s: density_coverage(*both(s)).coverage,
    "two_sample": lambda s: classifier_two_sample(*both(s)).accuracy,
    "one_nearest": lambda s: one_nearest(*both(s)).accuracy,
    "one_nearest.fake": lambda s: one_nearest(*both(s)).fake,
    "found": lambda s: class_shares(judged(s).argmax(axis=1), s.held.labels, CLASSES).found,
    "reverse_kl": lambda s: class_shares(judged(s).argmax(axis=1), s.held.labels, CLASSES).reverse_kl,
    "similarity": lambda s: diversity(s.samples.x, labels=s.samples.labels).mean,
    "distance ratio": lambda s: copies(s).ratio,
    "z": lambda s: copies(s).z,
    "copied": lambda s: copies(s).copied,
    "tstr": lambda s: learned(s).tstr,
    "trts": lambda s: learned(s).trts,
}

# Which way each metric must move, and by more than how many of its standard deviations from seed to seed.
MOVES = {
    "one class missing": {
        "found": -1, "reverse_kl": +4, "coverage": -4, "recall": -3, "frechet": +2, "score": -2, "tstr": -5,
    },
    "50 samples, each 10 times": {
        "frechet": +10, "frechet_infinity": +10, "kid": +2, "recall": -20, "coverage": -15,
        "two_sample": +10, "one_nearest.fake": +5, "tstr": -3,
    },
    "blurred": {
        "frechet": +20, "frechet_infinity": +20, "kid": +10, "recall": -20, "coverage": -10,
        "one_nearest": +10, "similarity": +5, "z": +10, "distance ratio": +10,
    },
    "training copies": {"z": -20, "distance ratio": -20, "copied": +20, "trts": +2},
    "half training copies": {"z": -15, "distance ratio": -20, "copied": +20},
    "noise": {
        "frechet": +20, "frechet_infinity": +15, "kid": +10, "precision": -10, "density": -15, "coverage": -10,
        "two_sample": +10, "similarity": -5, "z": +15, "distance ratio": +15,
    },
}  # fmt: skip

# What cannot see it, however bad: within 3 standard deviations of good samples, or better than they are.
BLIND = {
    "one class missing": ("precision", "density", "z", "copied", "trts"),
    "50 samples, each 10 times": ("precision", "z", "distance ratio"),
    "blurred": ("found", "reverse_kl"),
    "training copies": ("frechet", "kid", "precision", "recall", "coverage", "score", "tstr"),
    "half training copies": ("frechet", "recall", "coverage"),
    "noise": ("found", "recall"),
}
BETTER = {"frechet": -1, "kid": -1, "two_sample": -1, "reverse_kl": -1}  # and +1 for all others


def shifts(name: str, metrics: set[str]) -> dict[str, float]:
    """How far each metric moves from good to bad samples, in its standard deviations from seed to seed."""
    found = {}
    made = {kind: [sets(kind, seed) for seed in range(SEEDS)] for kind in ("good", name)}
    for metric in metrics:
        good, bad = (np.array([METRICS[metric](s) for s in made[kind]]) for kind in ("good", name))
        spread = max(good.std(ddof=1), bad.std(ddof=1))
        moved = bad.mean() - good.mean()
        found[metric] = moved / spread if spread else np.sign(moved) * np.inf if moved else 0.0
    return found


@pytest.mark.parametrize("name", MOVES)
def test_bad_samples_move_the_metrics_that_should_see_them_and_no_others(name: str) -> None:
    found = shifts(name, {*MOVES[name], *BLIND[name]})
    missed = {m: found[m] for m, least in MOVES[name].items() if not np.sign(least) * found[m] > abs(least)}
    seen = {m: found[m] for m in BLIND[name] if BETTER.get(m, 1) * found[m] < -3}
    assert (missed, seen) == ({}, {}), found


def test_every_metric_is_moved_by_something() -> None:
    assert {m for moves in MOVES.values() for m in moves} == set(METRICS)
