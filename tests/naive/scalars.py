"""What the loops of every family are made of: sums are exact, arrays are filled element by element."""

import math
from collections.abc import Callable, Iterable

import numpy as np

from minigan.models.shapes import Array

total = math.fsum


def filled(shape: Iterable[int], element: Callable[..., float]) -> Array:
    """The array whose element at each index is element(*index)."""
    y = np.empty(tuple(shape))
    for at in np.ndindex(*y.shape):
        y[at] = element(*at)
    return y


def accumulate(target: Array, element: Callable[..., float]) -> None:
    for at in np.ndindex(*target.shape):
        target[at] += element(*at)


def average(terms: Iterable[float]) -> float:
    values = list(terms)
    return total(values) / len(values)


def indices(shape: Iterable[int]) -> list[tuple[int, ...]]:
    return list(np.ndindex(*shape))


def sigmoid(x: float) -> float:
    e = math.exp(-abs(x))
    return (1 if x >= 0 else e) / (1 + e)


def softplus(x: float) -> float:
    return max(x, 0) + math.log1p(math.exp(-abs(x)))
