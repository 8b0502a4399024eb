"""What a task is: nets, optimizers, and a step of them, as the trainer knows it. One file per task beside this one.

A step consists of *parts*: sub-steps after each of which one optimizer has moved its nets. A part is what one sub-step
does without what the host does for it: seed, tick and rates reach it through the clock, batches, labels, z and what
else is drawn as its arguments, and what it finds out stays on the backend. So a GPU may record it once and replay it
(`run`; backends/cuda/graph.py), and nobody waits for it before a number is wanted.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from minigan import rng
from minigan.backends.clock import BAD, HOST_WORDS
from minigan.backends.eager import Eager
from minigan.config import Config
from minigan.errors import ConfigError
from minigan.models.net import Net
from minigan.models.shapes import Array, Shape
from minigan.optim import Clock, Optimizer

Record = dict[str, Array]
DRAW = 64  # samples are always drawn in batches of this size, so a picture does not depend on how many are drawn


class Task:
    """Nets, optimizers, and their step. `step(batches, step)` is called with `batches_per_step` of them.

    A subclass makes nets, which `own` takes in, and `optimizers`, in the order of their slots in the clock; has `part`,
    `mover` and `picture`; and says `plots` and `words`.
    """

    labelled = False  # whether a step also takes the batches' labels
    judged = False  # whether rows are held out, which nothing is trained on; `held` is then that data set
    held: Any = None
    features: Net | None = None  # a trained classifier's net, for tasks that look through its eyes
    # What the loss picture shows, a row of curves each, and train.patience reads: axis -> key of the record -> words
    plots: ClassVar[dict[str, dict[str, str]]]
    words: tuple[str, str]  # a log line in short and, beside a progress bar, in shorter, as str.format takes it

    def __init__(self, config: Config, ops: Any, shape: Shape, classes: int = 0):
        self.config, self.ops, self.shape, self.classes = config, ops, tuple(shape), classes
        self.dtype = np.dtype(config.train.dtype)
        self.clock = Clock(ops, config.train.seed, self.dtype)
        self.nets: dict[str, Net] = {}
        self.optimizers: dict[str, Optimizer] = {}
        self.late = getattr(ops, "LATE", False)  # the finite flag is read when the caller asks, not after every part
        self.failed = 0  # the sub-step of the last step that was not finite; see replay
        self.own_ops, self.own_run = ops, self.runner(ops)
        self.run: Any = self.own_run

    def own(self, nets: dict[str, Net]) -> None:
        """Binds `nets` to memory and takes them in."""
        for net in nets.values():
            net.bind(self.ops, self.config.train.seed, self.dtype, self.clock.array)
        self.nets |= nets

    @property
    def batches_per_step(self) -> int:
        """How many batches of data one step takes."""
        return 1

    @property
    def parts_per_step(self) -> int:
        """How many sub-steps one step has."""
        return 1

    @property
    def lacks(self) -> str:
        """What is still to be handed in before a step can be made, as an error says it; else ""."""
        return ""

    def parts_of(self, step: int) -> int:
        """How many sub-steps this step has: all, unless its stage leaves out the last ones."""
        return self.parts_per_step

    def mover(self, sub: int) -> Optimizer:
        """The optimizer that moves in sub-step `sub`."""
        raise NotImplementedError(f"{type(self).__name__} has no mover")

    def part(self, batches: Sequence[Array], labels: Sequence[Array], step: int, sub: int, update: bool) -> Record:
        """Sub-step `sub` of step `step`, by way of `play`; without `update` no weight moves."""
        raise NotImplementedError(f"{type(self).__name__} has no part")

    def step(self, batches: Sequence[Array], step: int, labels: Sequence[Array] = ()) -> Record:
        """All sub-steps of one step; `step` counts from 0. Returns what a log line shows, as 0-d arrays.

        `batches` (N, *shape), and `labels` (N,) int32 where the task is `labelled`, are the host's. Stops at the first
        sub-step that is not finite, unless `late`: then the rest runs too, without touching a weight, and whoever reads
        a number asks `bad` before.
        """
        record: Record = {}
        for sub in range(self.parts_of(step)):
            record |= self.part(batches, labels, step, sub, update=True)
            self.mover(sub).count += 1
            if not self.late and self.bad():
                self.failed = sub
                break
        return record

    def tick(self, step: int, sub: int) -> int:
        """The number of a sub-step since the run began: no two draw the same random numbers."""
        return step * self.parts_per_step + sub

    def play(
        self, key: Hashable, part: Callable[..., Any], step: int, sub: int, inputs: Sequence[Array], left: Any = None
    ) -> Any:
        """part(left, *inputs) of a sub-step, with its words in the clock; see Eager."""
        words = self.clock.words(self.tick(step, sub), step, list(self.optimizers.values()), self.ema_decay())
        return self.run(key, part, words, inputs, left)

    def ema_decay(self) -> float:
        """What this sub-step's clock holds as the decay of a moving average; tasks with one say it."""
        return 0.0

    def bad(self) -> bool:
        """Whether a loss or gradient was not finite (the weights were not touched since)."""
        return bool(self.ops.to_numpy(self.clock.array)[BAD] != 0)

    def failed_step(self, step: int) -> int:
        """The step whose sub-step was the first that was not finite, when `bad` says so after `step`."""
        if self.late:
            since = int(self.ops.to_numpy(self.clock.bad_parts)[0])  # the one that failed included
            while since > self.parts_of(step):
                since, step = since - self.parts_of(step), step - 1
            self.failed = self.parts_of(step) - since
        return step

    def count_bad(self) -> None:
        """At the end of each part: how many have run since a number was not finite, for whoever reads that late."""
        if self.late:
            self.ops.add_scaled(1.0, self.clock.array[BAD:], self.clock.bad_parts)

    def use(self, ops: Any) -> None:
        """Runs on `ops` from now on: a backend, or a proxy around it, which sees every call: nothing is replayed."""
        self.ops = ops
        self.run = self.own_run if ops is self.own_ops else Eager(ops, self.clock.array[:HOST_WORDS])
        for net in self.nets.values():
            net.use(ops)

    def replay(self, batches: Sequence[Array], step: int, ops: Any, labels: Sequence[Array] = ()) -> None:
        """The sub-step that failed again on `ops` (a proxy that looks for NaN), without updating any weight."""
        self.use(ops)
        self.part(batches, labels, step, self.failed, update=False)

    def line(self, values: dict[str, float], step: int) -> dict[str, float]:
        """What a log line says of a record as numbers, after `step` steps: what is plotted first, the rates last."""
        plotted = {key: values[key] for keys in self.plots.values() for key in keys}
        norms = {key.replace("norm2", "norm"): v**0.5 for key, v in values.items() if key.startswith("grad_norm2")}
        rest = {key: v for key, v in values.items() if key not in plotted and not key.startswith("grad_norm2")}
        rates = {f"lr_{name}": o.rates(step - 1)[0] for name, o in self.optimizers.items()}
        return plotted | rest | norms | rates

    def cautions(self) -> Iterator[str]:
        """What a user may not expect of this configuration, said before the run starts."""
        return iter(())

    def picture(self, stream: str, n: int, real: Array) -> Array | None:
        """(about n, *shape) host: what a sample grid shows; None where there is nothing to show.

        `stream` names the random numbers that it takes, "grid" or "sample"; `real` (n, *shape) is of the data, always
        the same.
        """
        raise NotImplementedError(f"{type(self).__name__} has no picture")

    @property
    def columns(self) -> int:
        """How many images stand in a row of a picture; 0: as many as make it square."""
        return 0

    @property
    def labels(self) -> int:
        """How many labels a sample may be asked for by; 0 where it has none."""
        return 0

    def samples(self, z: Array, weights: str, labels: Array | None = None) -> Array:
        """z (N, Z), labels (N,) host -> (N, *shape) host, of the net that `weights` names, for tasks that draw from a
        z.
        """
        raise ConfigError(f"a run of task {self.config.task.name} draws no samples from a z; give one of gan or vae")

    def translator(self, direction: str) -> Net:
        """The net that translates pictures "a-b" or "b-a", for tasks that do."""
        raise ConfigError(f"a run of task {self.config.task.name} translates no pictures; give one of cyclegan")

    def drawn(self, net: Net, z: Array, labels: Array | None = None) -> Array:
        """z (N, Z), labels (N,) host -> net(z) host: batches of DRAW, padded, with running statistics."""
        rows = []
        net.prepare(DRAW)
        try:
            for start in range(0, len(z), DRAW):
                rows_z = z[start : start + DRAW]
                padded = np.zeros((DRAW, *z.shape[1:]), self.dtype)
                padded[: len(rows_z)] = rows_z
                told = np.zeros(DRAW, np.int32)
                told[: len(rows_z)] = 0 if labels is None else labels[start : start + DRAW]
                given = None if labels is None else self.ops.asarray(told)
                x, _ = net.forward(self.ops.asarray(padded), mode="running", labels=given)
                rows.append(self.ops.to_numpy(x)[: len(rows_z)])
        finally:
            net.release()
        return np.concatenate(rows)

    def z(self, stream: str, tick: int, n: int, seed: int | None = None) -> Array:
        """n rows of z, drawn on the host: row i depends on seed (the run's, if None), stream, tick and i alone."""
        model, seed = self.config.model, self.config.train.seed if seed is None else seed
        return rng.draw_z(seed, stream, tick, n, model.z, model.noise).astype(self.dtype)

    def tensors(self) -> dict[str, Array]:
        """All that a checkpoint holds, by name, as views: parameters, statistics, EMA, the optimizers' slabs."""
        out = {f"{name}/{key}": a for name, net in self.nets.items() for key, a in net.tensors().items()}
        return out | {f"opt/{name}/{key}": a for name, o in self.optimizers.items() for key, a in o.tensors().items()}

    def counters(self) -> dict[str, int]:
        """The optimizers' step counts."""
        return {name: o.count for name, o in self.optimizers.items()}

    def restore(self, tensors: dict[str, Any], counters: dict[str, int]) -> None:
        """Puts back what `tensors` and `counters` gave."""
        for name, view in self.tensors().items():
            self.ops.copyto(view, tensors[name])
        for name, o in self.optimizers.items():
            o.count = counters[name]

    def runner(self, ops: Any) -> Any:
        """How parts run on the backend itself: recorded and replayed where it can, else called."""
        clock = self.clock.array[:HOST_WORDS]
        return ops.graphs(clock) if self.config.train.graph and hasattr(ops, "graphs") else Eager(ops, clock)
