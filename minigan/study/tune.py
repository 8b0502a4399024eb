"""Measures which implementation serves each convolution of a run best, and makes a plan of it (`minigan tune`).

Implementations take turns, a block of calls each, over many rounds; the median counts. The built-in choice stays unless
another one is faster by more than MARGIN, so that noise does not make a plan.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from minigan import config as configs
from minigan.backends import plan
from minigan.errors import ConfigError
from minigan.training.convolutions import Call, recorded
from minigan.training.parts import Parts, prepare
from minigan.training.plans import made

ROUNDS = 15
MARGIN = 0.05
_BLOCK_S = 0.004


@dataclass(frozen=True)
class Measured:
    """One shape: seconds by implementation (those that can serve it), the built-in choice and the one made here."""

    key: plan.Key
    seconds: dict[str, float]
    built_in: str
    chosen: str


def prepared(config: configs.Config) -> tuple[Parts, list[Call]]:
    """A run on the cpp backend under the built-in plan, and a call of every shape in a step and in a picture.

    Raises ConfigError when it has no convolutions or MINIGAN_PLAN forces some; and what `prepare` raises.
    """
    if plan.FORCED:
        raise ConfigError("MINIGAN_PLAN forces implementations, and would win over any plan; unset it to tune")
    train = replace(config.train, backend="cpp")
    parts = prepare(replace(config, train=train, plan=configs.Plan()))
    task = parts.task
    first: dict[plan.Key, Call] = {}
    batches, labels = parts.given([parts.batches.at(k) for k in range(task.batches_per_step)])
    with recorded(task) as calls:
        task.step(batches, 0, labels)
        task.picture("grid", 1, parts.real_rows(1))
    for call in calls:
        first.setdefault(call.key, call)
    if not first:
        raise ConfigError(f"preset {config.preset} has no convolutions: there is nothing to tune")
    return parts, list(first.values())


def tune(
    ops: Any, calls: list[Call], on_round: Callable[[], object], rounds: int = ROUNDS
) -> tuple[configs.Plan, list[Measured]]:
    """The plan of the fastest implementations and what was measured; `on_round` is called rounds * len(calls) times."""
    table = [_measured(ops, call, rounds, on_round) for call in calls]
    return made(ops, {row.key: row.chosen for row in table}), table


def _measured(ops: Any, call: Call, rounds: int, on_round: Callable[[], object]) -> Measured:
    op, _, w, stride = call.key
    able = [name for name in plan.ALGORITHMS if not plan.lacking(name, w, stride)]
    sides = {name: partial(ops.by, name, op, *call.args) for name in able}
    counts = {name: max(1, round(_BLOCK_S / _seconds(side, 2))) for name, side in sides.items()}
    blocks: dict[str, list[float]] = {name: [] for name in sides}
    for i in range(rounds):
        for name in able[:: -1 if i % 2 else 1]:
            blocks[name].append(_seconds(sides[name], counts[name]))
        on_round()
    seconds = {name: float(np.median(block)) for name, block in blocks.items()}
    built_in = ops.chosen(*call.key)
    fastest = min(seconds, key=lambda name: seconds[name])
    kept = seconds[built_in] <= (1 + MARGIN) * seconds[fastest]
    return Measured(call.key, seconds, built_in, built_in if kept else fastest)


def _seconds(call: Callable[[], object], count: int) -> float:
    """The seconds of one call, of `count` in a row after one that is not counted."""
    call()
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count
