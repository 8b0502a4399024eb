"""Are samples good enough to learn from? Train on synthetic, test on real, and the reverse.

A classifier is fitted to one set and tested on another:

    TSTR  fitted to samples,     tested on held-out real items      low for poor, mislabelled or uniform samples
    TRTS  fitted to real items,  tested on samples                  low for poor or mislabelled samples
    TRTR  fitted to real items,  tested on held-out real items      what the other two are held against

The classifier is the vote of the 5 nearest neighbours: it has no training to tune, and its budget is the number of rows
it is given, which is the same for samples and real items.
Source: Esteban, Hyland & Ratsch 2017, arXiv:1706.02633, section 4.1.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from minigan.metrics.arrays import Numbers, class_labels, rows, same_width

NEIGHBOURS = 5
Labelled = tuple[NDArray[Any], NDArray[Any]]  # features (N,F) and whole numbers (N,)


class Transfer(NamedTuple):
    """Accuracies in 0..1, and how many rows each classifier was fitted to."""

    tstr: float
    trts: float
    trtr: float
    budget: int


def transfer(real: Labelled, held: Labelled, fake: Labelled, budget: int = 10_000, seed: int = 0) -> Transfer:
    """real, held, fake: features (N,F) with labels (N,) each -> the three accuracies.

    Fitted to `budget` rows at random, or as many as the smaller of real and fake has; tested on all of held, of fake.
    Raises ValueError on fewer than NEIGHBOURS rows too.
    """
    if budget < NEIGHBOURS:
        raise ValueError(f"budget = {budget}, expected at least {NEIGHBOURS} rows")
    (x, y), (x_held, y_held), (x_fake, y_fake) = (
        _checked(name, *part) for name, part in (("real", real), ("held", held), ("fake", fake))
    )
    same_width("real", x, "held", x_held)
    same_width("real", x, "fake", x_fake)
    budget = min(budget, len(x), len(x_fake))
    rng = np.random.default_rng(seed)
    of_real, of_fake = (
        _fit(*part, rng.choice(len(part[0]), budget, replace=False)) for part in ((x, y), (x_fake, y_fake))
    )
    return Transfer(
        tstr=float(of_fake.score(x_held, y_held)),
        trts=float(of_real.score(x_fake, y_fake)),
        trtr=float(of_real.score(x_held, y_held)),
        budget=budget,
    )


def learned(real: Labelled, held: Labelled, budget: int = 10_000, seed: int = 0) -> float:
    """real, held: features (N,F) with labels (N,) each -> `transfer`'s trtr alone. Raises ValueError."""
    (x, y), (x_held, y_held) = _checked("real", *real), _checked("held", *held)
    same_width("real", x, "held", x_held)
    chosen = np.random.default_rng(seed).choice(len(x), min(budget, len(x)), replace=False)
    return float(_fit(x, y, chosen).score(x_held, y_held))


def _checked(name: str, x: NDArray[Any], y: NDArray[Any]) -> tuple[Numbers, NDArray[np.int64]]:
    x = rows(name, x, NEIGHBOURS)
    return x, class_labels(f"{name}'s labels", y, len(x))


def _fit(x: Numbers, y: NDArray[np.int64], chosen: NDArray[np.int64]) -> Any:
    return KNeighborsClassifier(NEIGHBOURS, algorithm="brute").fit(x[chosen], y[chosen])
