"""minigan's side of `benchmarks.layers`: the training step with every op timed."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import minigan_nets
from benchmarks.minigan_ops import about
from minigan import backends
from minigan.backends.proxies import Timed
from minigan.study.work import cost

__all__ = ["about", "prepare"]


class Apart:
    """A step whose ops are timed one by one; `take` tells what the last n steps spent where, and forgets them all."""

    def __init__(self, timed: Timed, call: Callable[[], Any]):
        self.timed, self.call, self.steps = timed, call, 0

    def __call__(self) -> None:
        self.steps += 1
        self.call()

    def take(self, n: int) -> list[dict[str, Any]]:
        """A row per layer, pass, op and shapes that does anything: costs of one step, seconds of each of n."""
        rows = []
        for (layer, which, op, shapes), calls in self.timed.calls.items():
            by_step = np.reshape(calls.elapsed_s, (self.steps, -1))  # every step calls the same ops
            found, times = cost(self.timed, op, *calls.args), by_step.shape[1]
            if not found["flops"] and not found["bytes"]:
                continue  # an activation that is none
            row = {"layer": layer or "step", "pass": which, "op": op, "shapes": shapes}
            row |= {"calls": times, **{k: v if k == "implementation" else v * times for k, v in found.items()}}
            rows.append(row | {"seconds": by_step[-n:].sum(axis=1).tolist()})
        self.timed.events.clear()
        self.steps = 0
        return rows


def prepare(settings: dict[str, Any], work: dict[str, Any]) -> tuple[Apart, dict[str, Any]]:
    """One training step on a backend that times its ops."""
    timed = Timed(backends.load(settings["backend"]))
    call, facts = minigan_nets.call(timed, work)
    return Apart(timed, call), facts
