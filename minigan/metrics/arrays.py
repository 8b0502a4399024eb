"""What every metric asks of its arrays, in one wording."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


def rows(name: str, a: NDArray[Any], least: int = 2) -> Numbers:
    """a (N,F), N at least `least`, finite -> the same in float64. Raises ValueError, which names it `name`."""
    if a.ndim != 2 or not a.shape[1]:
        raise ValueError(f"{name} has shape {a.shape}, expected (N,F): a row of features for each item")
    if len(a) < least:
        raise ValueError(f"{name} has {len(a)} rows, expected at least {least}; draw more")
    return finite(name, a)


def finite(name: str, a: NDArray[Any]) -> Numbers:
    """`a` in float64. Raises ValueError where a number is not finite."""
    a = np.asarray(a, np.float64)
    if not np.isfinite(a).all():
        raise ValueError(f"{name} has {np.sum(~np.isfinite(a))} numbers that are not finite, expected none")
    return a


def pair(real: NDArray[Any], fake: NDArray[Any], least: int = 2) -> tuple[Numbers, Numbers]:
    """real (N,F), fake (M,F), at least `least` rows each -> both in float64. Raises ValueError."""
    real, fake = rows("real", real, least), rows("fake", fake, least)
    same_width("real", real, "fake", fake)
    return real, fake


def same_width(name: str, a: Numbers, other: str, b: Numbers) -> None:
    """Raises ValueError when a (N,F) and b (M,F) disagree on F."""
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{name} {a.shape} and {other} {b.shape}: expected equally many features in each")


def class_labels(name: str, a: NDArray[Any], count: int) -> NDArray[np.int64]:
    """a (count,) of whole numbers, one for each row of what they label -> int64. Raises ValueError."""
    if a.shape != (count,) or not np.issubdtype(a.dtype, np.integer):
        raise ValueError(f"{name} has shape {a.shape} and dtype {a.dtype}, expected ({count},) of whole numbers")
    return a.astype(np.int64)
