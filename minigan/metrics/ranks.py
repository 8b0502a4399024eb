"""Do two judges put the same models in the same order? Kendall's tau-b of their scores, and what chance makes of it.

    tau_b = (concordant - discordant) / sqrt((pairs - ties in a) (pairs - ties in b)),   over pairs of models

1: the same order, -1: the reverse, 0: none in common; undefined where one judge gives every model the same score.
The yardstick is what real rows say of one another: two random halves of them are two judges of equal worth, and below
1 as far as so few rows cannot tell the models apart.
Source: Kendall 1945, "The treatment of ties in ranking problems"; ranking models by generated data: Shmelkov, Schmid &
Alahari 2018, "How good is my GAN?", arXiv:1807.09499.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

HALVES = 200


class Agreement(NamedTuple):
    """Both None where tau is undefined; p_value: of so great a |tau| between unrelated orders."""

    tau: float | None
    p_value: float | None


def agreement(a: NDArray[Any], b: NDArray[Any]) -> Agreement:
    """a, b (M,): scores of M models by two judges -> Agreement. Raises ValueError on fewer than 2 models."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(f"scores have shapes {a.shape} and {b.shape}, expected (M,) of the same two or more models")
    if min(np.ptp(a), np.ptp(b)) == 0:
        return Agreement(None, None)
    found = kendalltau(a, b)
    return Agreement(float(found.statistic), float(found.pvalue))


def halves(right: NDArray[np.bool_], seed: int = 0) -> float | None:
    """right (M,N): which of N real rows each of M models answers rightly -> mean tau between random halves of the rows.

    Over HALVES halvings, those where it is undefined left out; None when all are. Raises ValueError on fewer than 2
    models or rows.
    """
    if right.ndim != 2 or min(right.shape) < 2:
        raise ValueError(f"right has shape {right.shape}, expected (M,N): two or more models, two or more rows")
    rng, middle = np.random.default_rng(seed), right.shape[1] // 2
    orders = (rng.permutation(right.shape[1]) for _ in range(HALVES))
    found = [agreement(right[:, o[:middle]].mean(axis=1), right[:, o[middle:]].mean(axis=1)).tau for o in orders]
    defined = [tau for tau in found if tau is not None]
    return float(np.mean(defined)) if defined else None
