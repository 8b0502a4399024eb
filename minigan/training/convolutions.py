"""Which convolutions a task really runs: written down by a proxy, so that any network's are seen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from minigan.backends import plan
from minigan.tasks import Task

ROLES = ("forward", "dX", "dW")


@dataclass(frozen=True)
class Call:
    """One call: the layer, its pass ("forward", "backward", the tangent of one), what a plan decides by, and the op's
    arguments."""

    layer: str
    which: str
    key: plan.Key
    args: tuple[Any, ...]

    @property
    def role(self) -> str:
        """What the layer calls it: forward, dX or dW."""
        gradient = "dW" if self.key[0] == "conv2d_wgrad" else "dX"
        return "forward" if self.which.startswith("forward") else gradient


class Recorder:
    """The ops of a backend; every convolution is shown to `seen` before it runs."""

    def __init__(self, ops: Any, seen: Callable[[Call], None], where: str = "", place: dict[str, str] | None = None):
        self._ops, self._seen, self._where = ops, seen, where
        self._place = {"pass": ""} if place is None else place

    def named(self, where: str) -> "Recorder":
        """The same proxy as one layer sees it."""
        return Recorder(self._ops, self._seen, where, self._place)

    def announce(self, which: str) -> None:
        """Which pass begins."""
        self._place["pass"] = which

    def __getattr__(self, key: str) -> Any:
        op = getattr(self._ops, key)
        return partial(self._run, key, op) if key in plan.OPS else op

    def _run(self, name: str, op: Any, *args: Any) -> Any:
        self._seen(Call(self._where, self._place["pass"], plan.key(name, args), args))
        return op(*args)


@contextmanager
def recorded(task: Task) -> Iterator[list[Call]]:
    """The convolutions that the task's nets run inside, in order."""
    calls: list[Call] = []
    ops = task.ops
    task.use(Recorder(ops, calls.append))
    try:
        yield calls
    finally:
        task.use(ops)
