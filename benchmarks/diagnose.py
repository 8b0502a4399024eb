"""Is the verdict of minigan diagnose right?   python -m benchmarks.diagnose chosen   and   ... held-out

Runs that were made to fail, a way each, and healthy ones. On those of `chosen` the thresholds of
minigan/training/verdicts.py were chosen; those of `held-out` have other data, presets and seeds, and were not looked at
for it. The label is none of the verdict's figures: `looked` sees a run by other means, and LABELS says what it is.
`benchmarks.table` puts the results into docs/diagnose.md. held-out needs MNIST (minigan data fetch mnist).
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.stats import entropy
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks import command, minigan_nets
from minigan import config as configs
from minigan.data import load as load_data
from minigan.data import toys
from minigan.errors import ConfigError
from minigan.evaluate.diagnose import diagnose
from minigan.metrics.manifold import one_nearest
from minigan.metrics.modes import assign
from minigan.training import checkpoint, run, trainer
from minigan.training.signs import LOG_SIGNS
from minigan.training.verdicts import ROWS, verdict

SAMPLES, LOOKS = 400, 4  # samples of a look, and how many of the last checkpoints are looked at
CHECKPOINTS = 10
SHARP = 0.7  # the least correlation with real pictures at which a class means anything
NS = "loss.name=non-saturating"
NO_AVERAGE = "train.ema=0"
SAME_D = ("model.dropout=0", NO_AVERAGE)


class Case(NamedTuple):
    """A run: its data, how long it is, and what it changes; `made` is what it was to become."""

    name: str
    made: str
    preset: str
    data: str
    seed: int
    steps: int
    keys: tuple[str, ...]


DIGITS = ("model.widths_g=[128, 128]", "model.widths_d=[128, 64]", "train.batch_size=32", "train.ema=0.99")
RING = ("data.name=ring8", "model.z=2", "model.widths_g=[64, 64]", "model.widths_d=[64, 64]", "model.output=none",
        "train.batch_size=64", *SAME_D)  # fmt: skip
MNIST = ("model.z=32", "model.widths_g=[128]", "model.widths_d=[128]", "model.init=he", "train.batch_size=50",
         "g.schedule=constant", "d.schedule=constant", "g.lr=1e-3", "d.lr=1e-3")  # fmt: skip
GRID = ("model.widths_g=[64, 64]", "model.widths_d=[64, 64]", "train.batch_size=100", "g.schedule=constant",
        "d.schedule=constant")  # fmt: skip
TWO = ("model.packing=1", "train.batch_size=64", "g.schedule=constant", "d.schedule=constant")
TWO_LAYERS = ("model.widths_g=[128, 128]", "model.widths_d=[128, 64]")
PLAIN = ("penalty.name=none", NS)
SLOW_G = ("g.lr=1e-5", "d.lr=2e-3", "train.n_critic=2", *SAME_D)
STUCK = ("loss.name=minimax", "g.rule=sgd", "g.lr=1e-3", "d.lr=2e-3", *SAME_D)
SLOW_D = (NS, "g.lr=2e-3", "d.lr=1e-5", NO_AVERAGE)
HOT_G = (NS, "g.lr=1e-2", "g.beta1=0.9", NO_AVERAGE)
GAN = (NS, "g.lr=1e-3", "d.lr=1e-3")
CLIPPED = ("loss.name=wasserstein", "train.weight_clip=0.05", "g.lr=1e-3", "d.lr=1e-3", "g.beta1=0.9", "d.beta1=0.9")
PENALTY = (
    "loss.name=wasserstein",
    "penalty.name=wgan-gp",
    "penalty.weight=1",
    "train.n_critic=3",
    "g.lr=1e-3",
    "d.lr=1e-3",
)
COPYING = ("train.batch_size=12", "train.ema=0.99", "penalty.name=r1", "penalty.weight=0.1", "g.lr=1e-3", "d.lr=1e-3")

HEALTHY, STRONG, GONE, FLAT, SWINGS, COPIES = (
    "healthy", "D too strong", "vanishing gradients", "G collapsed", "oscillating", "memorising",
)  # fmt: skip
CASES: dict[str, tuple[Case, ...]] = {
    "chosen": (
        Case("digits", HEALTHY, "digits", "digits", 0, 2000, DIGITS),
        Case("digits, plain GAN", HEALTHY, "digits", "digits", 1, 2000, (*DIGITS, NS)),
        Case("ring, WGAN-GP", HEALTHY, "digits", "ring8", 0, 1000, (*RING, *PENALTY)),
        Case("ring, plain GAN", HEALTHY, "digits", "ring8", 0, 1500, (*RING, *GAN)),
        Case("digits, G slow", STRONG, "digits", "digits", 0, 1000, (*DIGITS, NS, *SLOW_G)),
        Case(
            "digits, hinge, D ahead",
            STRONG,
            "digits",
            "digits",
            1,
            800,
            (*DIGITS, *SLOW_G, "g.lr=2e-5", "train.n_critic=4"),
        ),
        Case("digits, minimax", GONE, "digits", "digits", 0, 1000, (*DIGITS, *STUCK)),
        Case("digits, minimax, D ahead", GONE, "digits", "digits", 1, 800, (*DIGITS, *STUCK, "train.n_critic=2")),
        Case("digits, D slow", FLAT, "digits", "digits", 0, 1000, (*DIGITS, *SLOW_D)),
        Case("ring, D slow", FLAT, "digits", "ring8", 0, 1500, (*RING, NS, "g.lr=1e-3", "d.lr=2e-5")),
        Case("ring, G fast", SWINGS, "digits", "ring8", 0, 1500, (*RING, NS, "g.lr=5e-3", "d.lr=2e-4")),
        Case("ring, clipped", SWINGS, "digits", "ring8", 0, 1500, (*RING, *CLIPPED)),
        Case("digits, G hot", SWINGS, "digits", "digits", 0, 1000, (*DIGITS, *HOT_G)),
        Case("16 digits", COPIES, "digits", "few digits", 0, 3000, (*DIGITS, *COPYING, NS)),
        Case("12 digits, hinge", COPIES, "digits", "few digits", 1, 3000, (*DIGITS, *COPYING)),
    ),
    "held-out": (
        Case("small MNIST", HEALTHY, "mlp-mnist", "small mnist", 31, 2000, MNIST),
        Case(
            "small MNIST, least squares",
            HEALTHY,
            "mlp-mnist",
            "small mnist",
            32,
            2000,
            (*MNIST, "loss.name=least-squares"),
        ),
        Case("grid, R1", HEALTHY, "r1-grid25", "grid25", 31, 2000, GRID),
        Case("grid, packing", HEALTHY, "r1-grid25", "grid25", 32, 2000, (*GRID, *PLAIN, "model.packing=2")),
        Case("small MNIST, G slow", STRONG, "mlp-mnist", "small mnist", 31, 1000, (*MNIST, "loss.name=hinge", *SLOW_G)),
        Case(
            "grid, G slow",
            STRONG,
            "r1-grid25",
            "grid25",
            31,
            1000,
            (*GRID, "penalty.name=none", "loss.name=least-squares", *SLOW_G),
        ),
        Case("small MNIST, minimax", GONE, "mlp-mnist", "small mnist", 31, 1000, (*MNIST, *STUCK)),
        Case(
            "small MNIST, minimax, D ahead",
            GONE,
            "mlp-mnist",
            "small mnist",
            32,
            800,
            (*MNIST, *STUCK, "train.n_critic=3"),
        ),
        Case("small MNIST, D slow", FLAT, "mlp-mnist", "small mnist", 31, 1000, (*MNIST, *SLOW_D)),
        Case("grid, D slow", FLAT, "r1-grid25", "grid25", 31, 1500, (*GRID, *PLAIN, "d.lr=2e-5")),
        Case("ring, G fast", SWINGS, "pac2-ring8", "ring8", 31, 1500, (*TWO, NS, "g.lr=5e-3", "d.lr=2e-4")),
        Case("grid, clipped", SWINGS, "r1-grid25", "grid25", 32, 1500, (*GRID, "penalty.name=none", *CLIPPED)),
        Case("grid, G fast", SWINGS, "r1-grid25", "grid25", 31, 1500, (*GRID, *PLAIN, "g.lr=5e-3", "d.lr=2e-4")),
        Case("small MNIST, G hot", SWINGS, "mlp-mnist", "small mnist", 31, 1000, (*MNIST, *HOT_G)),
        Case("ring, clipped", SWINGS, "pac2-ring8", "ring8", 32, 1500, (*TWO, *CLIPPED)),
        Case(
            "small MNIST, D ahead", STRONG, "mlp-mnist", "small mnist", 32, 800, (*MNIST, *SLOW_G, "train.n_critic=4")
        ),
        Case("16 of MNIST, longer", COPIES, "mlp-mnist", "few mnist", 34, 6000, (*MNIST, *COPYING)),
        Case(
            "16 of MNIST, hinge, longer",
            COPIES,
            "mlp-mnist",
            "few mnist",
            36,
            6000,
            (*MNIST, *COPYING, "loss.name=hinge"),
        ),
        Case("16 of MNIST", COPIES, "mlp-mnist", "few mnist", 32, 3000, (*MNIST, *COPYING)),
        Case("12 of MNIST, hinge", COPIES, "mlp-mnist", "few mnist", 31, 3000, (*MNIST, *COPYING, "loss.name=hinge")),
        Case("12 of MNIST, two layers", COPIES, "mlp-mnist", "few mnist", 33, 4000, (*MNIST, *COPYING, *TWO_LAYERS)),
        Case("16 of MNIST, two layers", COPIES, "mlp-mnist", "few mnist", 38, 4000, (*MNIST, *COPYING, *TWO_LAYERS)),
    ),
}


def _digits(_: int) -> tuple[NDArray[Any], NDArray[Any]]:
    found = load_data("digits", value_range=(0.0, 1.0))
    return found.read(np.arange(len(found))), found.labels


def _mnist(_: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """2,000 of MNIST's pictures as 8x8: their inner 24x24, in means of 3x3."""
    found = load_data("mnist", value_range=(0.0, 1.0))
    x = found.read(np.arange(2000))[:, 2:26, 2:26]
    return x.reshape(len(x), 8, 3, 8, 3, 1).mean(axis=(2, 4)), found.labels[:2000]


def _few(of: Callable[[int], Any], seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """16 of them, 12 with an odd seed."""
    x, y = of(seed)
    kept = np.random.default_rng(seed).permutation(len(x))[: 12 if seed % 2 else 16]
    return x[kept], y[kept]


MADE: dict[str, tuple[Callable[[int], Any], bool]] = {
    "small mnist": (_mnist, False),
    "few digits": (_digits, True),
    "few mnist": (_mnist, True),
}


def data_of(case: Case, folder: Path) -> str:
    """The data's name, or the file in `folder` that is made for it."""
    if case.data not in MADE:
        return case.data
    path, (make, few) = folder / f"{case.data.replace(' ', '-')}-{case.seed}.npz", MADE[case.data]
    if not path.exists():
        x, y = _few(make, case.seed) if few else make(case.seed)
        np.savez(path, x=np.round(255 * x).astype(np.uint8), y=y)
    return str(path)


def trained(case: Case, folder: Path, backend: str) -> Path:
    """The case's run, with CHECKPOINTS checkpoints and 100 log lines."""
    out = folder / case.name.replace(" ", "-").replace(",", "")
    every = case.steps // CHECKPOINTS
    length = (f"train.steps={case.steps}", f"train.checkpoint_every={every}", f"train.keep={CHECKPOINTS}",
              f"train.log_every={case.steps // 100}", f"train.grid_every={case.steps}")  # fmt: skip
    keys = [*case.keys, *length, f"train.seed={case.seed}", f"train.backend={backend}"]
    trainer.train(configs.load(case.preset, [*keys, f"data.name={data_of(case, folder)}"]), out)
    return out


# A look: not the verdict's figures


def looked(case: Case, out: Path) -> dict[str, Any]:
    """What is seen of a run: a mean over its last checkpoints, or at the last one.

    classes     exp(-KL) of the shares of classes against the data's: by known centres, or the nearest neighbour on
                pixels; the median over the last three checkpoints
    change      half the sum of |differences| of these shares from checkpoint to checkpoint; the mean of the last three
    stirs       how far samples of one z moved since the last checkpoint but one, in standard deviations of the data
    told        how often the nearest neighbour tells samples from real rows
    D_right     the chance that D gives a real row more than a sample
    sharp       the median correlation of a sample with the real picture that is most like it
    alike       that of a sample with another one
    like        samples that are more like a training picture than 99 in 100 unseen pictures are (correlation)
    """
    runs = [run.load(path) for path in sorted((out / checkpoint.FOLDER).iterdir())[-LOOKS:]]
    last, real = runs[-1], load_data(data_of(case, out.parent), value_range=_values(runs[-1]))
    rows, labels = real.read(np.arange(len(real))), real.labels
    sort, classes = _sorter(case, rows, labels)
    drawn = [_drawn(a, a.weights) for a in runs]
    shares = np.array([np.bincount(sort(x), minlength=classes) / SAMPLES for x in drawn])
    before, now = (_drawn(a, "g") for a in runs[-2:])
    some = rows[np.random.default_rng(0).permutation(len(rows))[:SAMPLES]]
    verdicts = [last.task.drawn(last.task.D, x)[:, 0] for x in (some, now)] if last.config.model.packing == 1 else None
    return {
        "classes": float(np.median([np.exp(-entropy(p, np.bincount(labels, minlength=classes))) for p in shares[1:]])),
        "change": float(np.abs(np.diff(shares, axis=0)).sum(axis=1).mean() / 2),
        "stirs": float(np.sqrt(((now - before) ** 2).mean()) / rows.std()),
        "told": one_nearest(_flat(some), _flat(now[: len(some)])).accuracy,
        "D_right": float(roc_auc_score(np.repeat([1, 0], [len(some), SAMPLES]), np.concatenate(verdicts)))
        if verdicts
        else 0.0,
        **_looks(case, drawn[-1], rows),
        "like": _like(case, drawn[-1], rows, last) if case.made == COPIES else 0.0,
    }


# the first that is so of a look is the label
LABELS: tuple[tuple[str, Callable[[dict[str, Any]], bool]], ...] = (
    (GONE, lambda look: look["stirs"] < 0.002 and look["told"] > 0.95),
    (FLAT, lambda look: look["alike"] > 0.8 or (look["sharp"] > SHARP and look["classes"] < 1 / 3)),
    (SWINGS, lambda look: look["change"] > 0.3),
    (FLAT, lambda look: look["sharp"] > SHARP and look["classes"] < 0.6),
    (COPIES, lambda look: look["like"] > 0.5),
    (STRONG, lambda look: look["D_right"] > 0.99 and look["told"] > 0.95),
    (HEALTHY, lambda look: True),
)


def label(look: dict[str, Any]) -> str:
    """What a run is, by a look at it."""
    return next(name for name, so in LABELS if so(look))


def _values(opened: run.Run) -> tuple[float, float] | None:
    return opened.picture_range if len(opened.shape) == 3 else None


def _drawn(opened: run.Run, weights: str) -> NDArray[Any]:
    return opened.task.samples(opened.task.z("sample", 0, SAMPLES, 1), weights)


def _flat(x: NDArray[Any]) -> NDArray[Any]:
    return x.reshape(len(x), -1)


def _sorter(case: Case, rows: NDArray[Any], labels: Any) -> tuple[Callable[[Any], Any], int]:
    if case.data in toys.CENTRES:
        middle = toys.centres(case.data)
        return lambda x: assign(x, middle)[0], len(middle)
    known = KNeighborsClassifier(1).fit(_flat(rows), labels)
    return lambda x: known.predict(_flat(x)), int(labels.max()) + 1


def _like(case: Case, x: NDArray[Any], rows: NDArray[Any], opened: run.Run) -> float:
    low, high = opened.picture_range
    every = _flat(MADE[case.data][0](case.seed)[0]) * (high - low) + low
    a, unseen, of = (_unit(b) for b in (_flat(x), every, _flat(rows)))
    unseen = unseen[(unseen @ of.T).max(axis=1) < 0.9999]  # which leaves out the training pictures themselves
    bar = np.quantile((unseen @ of.T).max(axis=1), 0.99)
    return float(((a @ of.T).max(axis=1) > bar).mean())


def _looks(case: Case, x: NDArray[Any], rows: NDArray[Any]) -> dict[str, float]:
    if case.data in toys.CENTRES:
        return {"sharp": 1.0, "alike": 0.0}
    a, of = _unit(_flat(x)), _unit(_flat(rows))
    return {"sharp": float(np.median((a @ of.T).max(axis=1))), "alike": float(np.median(a[1:] @ a[:-1].T))}


def _unit(x: NDArray[Any]) -> NDArray[Any]:
    x = x - x.mean(axis=1, keepdims=True)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)


def judged(case: Case, folder: Path, backend: str) -> dict[str, Any]:
    """A row of the result."""
    out = trained(case, folder, backend)
    said, look = diagnose(out), looked(case, out)
    by_log = {sign: value for sign, value in said["signs"].items() if sign in LOG_SIGNS}
    return {"name": case.name, "seed": case.seed, "made": case.made, "label": label(look), "verdict": said["verdict"],
            "signs": said["signs"], "by_log": verdict(by_log), "look": look}  # fmt: skip


def diagnose_runs(
    which: Annotated[str, typer.Argument(metavar="chosen|held-out", help="Which runs.")],
    backend: command.Backend = "auto",
    only: command.Only = "",
    out: command.Out = None,
) -> None:
    """Trains every run, looks at it, and holds the verdict of minigan diagnose against that."""
    if which not in CASES:
        raise ConfigError(f"{which!r} is no set of runs; give {' or '.join(CASES)}")
    cases = [case for case in CASES[which] if only in case.name]
    command.check(cases, only)
    result = command.machine(f"diagnose {which}", command.threads_or_all(0))
    result["minigan"] = minigan_nets.about({"backend": backend})
    result["thresholds"] = [[row.verdict, row.sign, row.above, row.threshold] for row in ROWS]
    result["rows"] = []
    with command.bar(len(cases)) as show, tempfile.TemporaryDirectory() as folder:
        for case in cases:
            show(description=case.name)
            result["rows"].append(judged(case, Path(folder), backend))
            show(advance=1)
    right, by_log = (sum(row["label"] == row[key] for row in result["rows"]) for key in ("verdict", "by_log"))
    result["how"] = f"{right} of {len(cases)} runs right, {by_log} by their logs alone"
    command.finish(result, out)


if __name__ == "__main__":
    command.main(diagnose_runs)
