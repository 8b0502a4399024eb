"""A run that is checked while it trains: every so many steps run on Checked, and what was found becomes a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigan import backends
from minigan.backends.checked import Checked, Found, Ledger
from minigan.errors import ConfigError
from minigan.tasks import Task

_COLUMNS = ("op", "calls", "of bound", "error", "bound", "worst at")


class Verification:
    """Checks the steps first, first + every, first + 2 every ... of a task, counted from 0; none when `every` is 0.

    Raises ConfigError when there is nothing more exact to hold the run against.
    """

    def __init__(self, every: int, ops: Any, task: Task, first: int):
        if every < 0:
            raise ConfigError(f"verify {every} must be at least 0: every so many steps are checked, 0 checks none")
        if every and task.dtype == np.float64:
            raise ConfigError(
                "--verify holds float32 against the oracle in float64, but train.dtype is float64; leave out one"
            )
        self.every, self.first, self.ops, self.task = every, first, ops, task
        self.ledger, self.steps = Ledger(), 0
        self.checked = Checked(ops, backends.load("numpy"), self.ledger)

    @contextmanager
    def of(self, step: int) -> Iterator[None]:
        """Around one step of the task, which runs checked when it is its turn. Raises Breach."""
        if not self.every or (step - self.first) % self.every:
            yield
            return
        self.ledger.step = step + 1
        self.task.use(self.checked)
        try:
            yield
        finally:
            self.task.use(self.ops)
        self.steps += 1

    def report(self) -> Iterator[str]:
        """Lines for the user: a table of the worst that was found, nearest to its bound first; nothing if unchecked."""
        found = self.ledger.found
        if not found:
            return
        calls = sum(row.calls for row in found.values())
        yield f"verified on the oracle: {calls} calls of {len(found)} ops in {self.steps} steps; the worst of each"
        order = sorted(found, key=lambda name: (-found[name].share, found[name].bound is None, name))
        rows = [_COLUMNS, *(_cells(name, found[name]) for name in order)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
        for row in rows:
            name, *numbers, where = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            yield "  ".join([name.strip().ljust(widths[0]), *numbers, where.strip()])


def _cells(name: str, row: Found) -> tuple[str, ...]:
    bound = "equal" if row.bound is None else f"{row.bound:.1e}"
    return name, str(row.calls), f"{100 * row.share:.1f} %", f"{row.error:.1e}", bound, row.where
