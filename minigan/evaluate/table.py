"""What an evaluation measures: a row of METRICS each, what it needs, and what its numbers say.

A metric holds one side, samples or other real rows in their place, against the training rows: `of(side, against)` gives
numbers by name, those of `says` and settings beside them. minigan/metrics/ has the formulas.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minigan.data.toys import CENTRES, STD, centres
from minigan.errors import ConfigError, nearest
from minigan.evaluate.items import Items, as_floats
from minigan.metrics.classes import class_shares
from minigan.metrics.frechet import frechet, frechet_infinity, with_interval
from minigan.metrics.kid import kid
from minigan.metrics.manifold import Near, near, within
from minigan.metrics.modes import modes
from minigan.metrics.nearest import memorisation, nearest_training
from minigan.metrics.score import classifier_score
from minigan.metrics.ssim import diversity
from minigan.metrics.transfer import learned, transfer
from minigan.metrics.two_sample import classifier_two_sample

Numbers = dict[str, float]
KID_SIZE, TRANSFER_BUDGET = 1000, 5000


@dataclass
class Side:
    """n items and what is seen in them: features (n,F), probabilities (n,K), labels (n,); None where nobody looked.

    `near`: how its features lie to the training rows', from when the first metric asks.
    """

    items: Items
    features: Any = None
    probabilities: Any = None
    labels: Any = None
    near: Any = None


@dataclass
class Against:
    """The real side of every comparison: n training rows, n held ones, features of the training set, and names.

    `keep(name, make)` gives what `make` makes of these alone, {name: array}, and may remember it.
    """

    train: Side
    held: Side
    training: Any = None  # features (M,F) of all training rows, up to a number
    classes: int = 0
    data: str = ""
    keep: Callable[[str, Callable[[], Any]], Any] = lambda name, make: make()


class Says(NamedTuple):
    """A number in words, and which way is better: "lower", "higher", a number that it should be, or "" for neither."""

    words: str
    better: str


@dataclass(frozen=True)
class Metric:
    """`needs`: attributes of a side beside its items, "training", "centres" or "pictures"; see MISSING."""

    needs: tuple[str, ...]
    of: Callable[[Any, Any], Numbers]
    says: dict[str, Says]
    floor: Callable[[Any], Numbers] | None = field(default=None)  # instead of of(held, against)


def _fid(side: Side, against: Against) -> Numbers:
    value, low, high = with_interval(against.train.features, side.features)
    return {"fid": value, "fid_low": low, "fid_high": high}


def _fid_infinity(side: Side, against: Against) -> Numbers:
    return {"fid_infinity": frechet_infinity(against.train.features, side.features).value}


def _kid(side: Side, against: Against) -> Numbers:
    size = min(KID_SIZE, len(side.items) // 2)
    found = kid(against.train.features, side.features, size=size)
    return {"kid": found.mean, "kid_std": found.std, "kid_size": size}


def _score(side: Side, against: Against) -> Numbers:
    found = classifier_score(side.probabilities)
    return {"score": found.mean, "score_std": found.std}


def _near(side: Side, against: Against) -> Near:
    """For two metrics one product of all features by all."""
    if side.near is None:
        real = against.train.features
        of_real = against.keep("within", lambda: {"within": within(real)})["within"]
        side.near = near(real, side.features, within_real=of_real)
    return side.near


def _manifold(side: Side, against: Against) -> Numbers:
    found = _near(side, against)
    return found.precision_recall._asdict() | found.density_coverage._asdict()


def _two_sample(side: Side, against: Against) -> Numbers:
    found = classifier_two_sample(against.train.features, side.features)
    return {"two_sample": found.accuracy, "two_sample_p": found.p_value}


def _one_nearest(side: Side, against: Against) -> Numbers:
    accuracy, real, fake = _near(side, against).one_nearest
    return {"one_nearest": accuracy, "one_nearest_real": real, "one_nearest_fake": fake}


def _classes(side: Side, against: Against) -> Numbers:
    told = side.probabilities.argmax(axis=1)
    found = class_shares(told, against.train.labels, against.classes)
    return {"classes": found.found, "classes_of": found.of, "classes_kl": found.reverse_kl}


def _ms_ssim(side: Side, against: Against) -> Numbers:
    found = diversity(as_floats(side.items), labels=side.labels)
    return {"ms_ssim": found.mean, "ms_ssim_scales": found.scales, "ms_ssim_window": found.window}


def _nearest(side: Side, against: Against) -> Numbers:
    held = against.held.features
    of_held = against.keep("nearest", lambda: {"nearest": nearest_training(held, against.training).distances[:, 0]})
    found = memorisation(side.features, against.training, held, of_held["nearest"])
    rows = len(against.training)
    return {"nearest": found.ratio, "nearest_z": found.z, "copied": found.copied, "nearest_training_rows": rows}


def _nearest_floor(against: Against) -> Numbers:
    return {"nearest": 1.0, "nearest_z": 0.0, "copied": 0.01}  # held-out rows against themselves


def _transfer(side: Side, against: Against) -> Numbers:
    real, held, fake = ((a.features, a.labels) for a in (against.train, against.held, side))
    return transfer(real, held, fake, TRANSFER_BUDGET)._asdict()


def _transfer_floor(against: Against) -> Numbers:
    real, held = ((a.features, a.labels) for a in (against.train, against.held))
    found = learned(real, held, TRANSFER_BUDGET)
    return {"tstr": found, "trts": found}


def _modes(side: Side, against: Against) -> Numbers:
    found = modes(side.items, centres(against.data), STD[against.data])
    return {"modes": found.found, "high_quality": found.high_quality, "modes_kl": found.reverse_kl}


METRICS: dict[str, Metric] = {
    "fid": Metric(
        ("features",),
        _fid,
        {
            "fid": Says("Frechet distance", "lower"),
            "fid_low": Says("  its 95 % interval, from", ""),
            "fid_high": Says("  to", ""),
        },
    ),
    "fid-infinity": Metric(
        ("features",), _fid_infinity, {"fid_infinity": Says("Frechet distance at infinitely many samples", "lower")}
    ),
    "kid": Metric(("features",), _kid, {"kid": Says("kernel distance", "lower")}),
    "score": Metric(("probabilities",), _score, {"score": Says("classifier score", "higher")}),
    "manifold": Metric(
        ("features",),
        _manifold,
        {
            "precision": Says("precision: samples near real ones", "higher"),
            "recall": Says("recall: real ones near samples", "higher"),
            "density": Says("density of real ones around samples", "higher"),
            "coverage": Says("coverage: real ones that have a sample", "higher"),
        },
    ),
    "two-sample": Metric(
        ("features",), _two_sample, {"two_sample": Says("a network tells real from generated", "0.5")}
    ),
    "one-nearest": Metric(
        ("features",), _one_nearest, {"one_nearest": Says("the nearest neighbour tells them apart", "0.5")}
    ),
    "classes": Metric(
        ("probabilities", "labels"),
        _classes,
        {
            "classes": Says("classes found", "higher"),
            "classes_kl": Says("reverse KL of the classes' shares, nats", "lower"),
        },
    ),
    "ms-ssim": Metric(("pictures",), _ms_ssim, {"ms_ssim": Says("MS-SSIM of pairs: how alike samples are", "floor")}),
    "nearest": Metric(
        ("features", "training"),
        _nearest,
        {
            "nearest": Says("distance to the nearest training row, of held-out rows'", "1"),
            "copied": Says("samples nearer to one than 99 in 100 held-out rows", "0.01"),
        },
        _nearest_floor,
    ),
    "transfer": Metric(
        ("features", "labels"),
        _transfer,
        {
            "tstr": Says("learned from samples, right on real rows", "higher"),
            "trts": Says("learned from real rows, right on samples", "higher"),
        },
        _transfer_floor,
    ),
    "modes": Metric(
        ("centres",),
        _modes,
        {
            "modes": Says("modes found", "higher"),
            "high_quality": Says("samples within 3 standard deviations of one", "higher"),
            "modes_kl": Says("reverse KL of the modes' shares, nats", "lower"),
        },
    ),
}
SAYS = {key: says for metric in METRICS.values() for key, says in metric.says.items()}
RANKED = [key for key, says in SAYS.items() if says.better in ("lower", "higher")]  # what "best" may go by

MISSING = {
    "probabilities": "a classifier, and the data has no labels",
    "labels": "labels, and the data has none",
    "pictures": "pictures, and the run makes vectors",
    "centres": f"data whose modes are known, {' or '.join(CENTRES)}",
}


def chosen(names: Sequence[str], there: set[str]) -> list[str]:
    """The metrics that are asked for, or without any all whose needs are `there`.

    Raises ConfigError on an unknown one, and on one that lacks what it needs.
    """
    for name in names:
        if name not in METRICS:
            raise ConfigError(f"metric {name!r} is unknown; {nearest(name, METRICS)}")
        for need in METRICS[name].needs:
            if need not in there:
                raise ConfigError(f"metric {name} needs {MISSING[need]}; leave it out")
    return list(names) or [name for name, metric in METRICS.items() if there.issuperset(metric.needs)]


def metric_of(key: str) -> str:
    """The metric that gives the number `key`, by which runs can be ranked. Raises ConfigError on another word."""
    if key not in RANKED:
        raise ConfigError(f"{key!r} is no number by which the best is told; {nearest(key, RANKED)}")
    return next(name for name, metric in METRICS.items() if key in metric.says)


def better(key: str, new: float, old: float) -> bool:
    """Whether `new` is better than `old`; NaN never is."""
    return bool(new < old if SAYS[key].better == "lower" else new > old)


def quick_fid(side: Side, against: Against) -> Numbers:
    """The distance without its interval, for a number that is wanted often."""
    return {"fid": frechet(against.train.features, side.features)}
