"""A run judged while it goes on: when, what is best so far, and when nothing better is to be expected.

The judge is handed in (minigan/evaluate/asked.py): a trainer knows that it gives numbers, and which of two is better.
The best so far is a step and its number, written into every checkpoint; with the step of now it says how many
evaluations have brought nothing better. So a resumed run goes on as if it had never stopped.
"""

import math
from typing import Any, Protocol

from minigan.config import Evaluate
from minigan.errors import ConfigError
from minigan.tasks import Task


class Judging(Protocol):
    """`words` has the numbers that `measure` gives, in words."""

    words: dict[str, str]

    def measure(self, task: Task) -> dict[str, float]:
        """Numbers of what the task generates now. Nothing of the task changes."""

    def better(self, key: str, new: float, old: float) -> bool:
        """Whether `new` is the better one of two numbers."""


class Evaluations:
    """What section [evaluate] asks for. `best` is None, or {"metric", "step", "value"} as a checkpoint's meta has it.

    Raises ConfigError when evaluations are asked for and nobody judges.
    """

    def __init__(self, config: Evaluate, judge: Judging | None, best: dict[str, Any] | None = None):
        if config.every and judge is None:
            raise ConfigError("evaluate.every is set, but nothing judges; train by minigan train or minigan.train")
        self.config, self.judge, self.best = config, judge, best

    @property
    def plots(self) -> dict[str, dict[str, str]]:
        """Rows of the loss picture; see Task.plots."""
        words = self.judge.words if self.judge else {}
        return {key: {key: text} for key, text in words.items()}

    def due(self, step: int) -> bool:
        """Whether the run is judged after `step` steps."""
        return bool(self.config.every) and step % self.config.every == 0

    def take(self, task: Task, step: int) -> dict[str, float]:
        """Judges, and remembers the step when it is the best so far."""
        assert self.judge
        key, found = self.config.best, self.judge.measure(task)
        if key and math.isfinite(found[key]):
            value = found[key]
            if self.best is None or self.judge.better(key, value, self.best["value"]):
                self.best = {"metric": key, "step": step, "value": value}
        return found

    def is_best(self, step: int) -> bool:
        """Whether `step` is the best so far."""
        return self.best is not None and self.best["step"] == step

    def said(self, found: dict[str, float], step: int) -> str:
        """An evaluation in a line."""
        best = "; the best so far" if self.is_best(step) else f"; best: step {self.best['step']}" if self.best else ""
        return f"step {step}: {', '.join(f'{key} {value:.4g}' for key, value in found.items())}{best}"

    def over(self, step: int) -> bool:
        """Whether `evaluate.patience` evaluations in a row have brought nothing better."""
        c = self.config
        since = self.best["step"] if self.best else 0
        return bool(c.patience) and self.due(step) and (step - since) // c.every >= c.patience
