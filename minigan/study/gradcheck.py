"""The proof of gradients: every op, layer, combinator, net and loss against differences (`minigan gradcheck`).

`gradcheck(forward, backward, inputs)` does the same for a layer of one's own.
"""

from collections.abc import Callable

import numpy as np

from minigan.errors import ConfigError, nearest
from minigan.study import (
    rows_condition,
    rows_cyclegan,
    rows_features,
    rows_nets,
    rows_ops,
    rows_regular,
    rows_restore,
    rows_second,
    rows_vae,
)
from minigan.study.differences import Result, gradcheck

__all__ = ["ROWS", "Result", "check_row", "gradcheck", "run", "select"]

_FILES = (
    rows_ops,
    rows_nets,
    rows_second,
    rows_condition,
    rows_features,
    rows_cyclegan,
    rows_regular,
    rows_restore,
    rows_vae,
)
ROWS = {name: row for file in _FILES for name, row in file.ROWS.items()}
_DRAWS = 3  # how many draws of shapes and values `full` takes


def select(op: str | None) -> list[str]:
    """The rows that `op` names: one row, all that begin with it and a dot, or, for None, the whole table.

    Raises ConfigError naming the nearest row.
    """
    names = [name for name in ROWS if op is None or name == op or name.startswith(f"{op}.")]
    if not names:
        known = {*ROWS, *(name.partition(".")[0] for name in ROWS)}
        raise ConfigError(f"gradcheck knows no row {op!r}; {nearest(op or '', known)}")
    return names


def check_row(name: str, full: bool = False, seed: int = 0) -> Result:
    """One row of the table, at its number of points, or at every entry when `full`."""
    row = ROWS[name]
    problem = row.make(np.random.default_rng(seed))
    points = None if full else row.points
    return gradcheck(*problem, eps=row.eps, points=points, seed=seed, op=name, smooth=row.smooth, analytic=True)


def run(op: str | None, full: bool, on_row: Callable[[Result], object] | None = None) -> list[Result]:
    """Checks the rows that `op` names; `full` takes every entry of three draws. `on_row` sees each result at once."""
    results = []
    for name in select(op):
        for seed in range(_DRAWS if full else 1):
            results.append(check_row(name, full, seed))
            if on_row is not None:
                on_row(results[-1])
    return results
