"""A past step of a run, made again: from the nearest checkpoint before it that is kept, else from the first values.

Every draw is a function of the seed, what it is for, and the step (minigan/rng.py), so the steps up to it come out as
they did, bit for bit, where build, instruction set, plan and data are those of the run; elsewhere this refuses. What
decides is what the checkpoint after the step says, since the steps before it were made where it was written. Nothing is
written here.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigan import config as configs
from minigan.backends.proxies import NotFinite
from minigan.config import Override
from minigan.errors import CheckpointError, ConfigError
from minigan.models.layers import Layer
from minigan.models.net import Net
from minigan.study.passes import learning
from minigan.training import checkpoint, environment, log, trainer, transfer
from minigan.training.parts import Parts, prepare

# What must be as it was, and what that is called; the last rows are what stands for build and instruction set where
# NumPy computes. Of other differences a note tells.
_NEEDED = {"minigan": "version", "build": "build", "isa": "instruction set", "MINIGAN_PLAN": "plan"}
_OF_NUMPY = {"numpy": "build (NumPy)", "blas": "build (BLAS)", "simd": "instruction set"}


class Replay:
    """The run in `folder` right before its step `at`, counted from 1 as in the log, once `forward` has run.

    `start` is the step of the checkpoint that it begins from, 0 for first values; `notes` is what there is to say.
    Raises ConfigError on a step that the run does not have, and on another plan than there can be here; CheckpointError
    on another build, instruction set or data.
    """

    def __init__(self, folder: Path, at: int, overrides: list[Override]):
        if folder.is_file():
            raise ConfigError(f"{folder} is a file; give the run folder, whose checkpoints and log a replay goes by")
        recorded = trainer.recorded(folder)
        self.folder, self.at = folder, at
        self.parts: Parts = prepare(configs.from_dict(recorded.to_dict(), str(folder), overrides))
        self.task = self.parts.task
        if self.task.lacks:
            raise ConfigError(self.task.lacks)
        if not 1 <= at <= self.parts.total_steps:
            raise ConfigError(f"--at {at}: steps of {folder} count from 1 to {self.parts.total_steps}")
        saved = checkpoint.kept(folder / checkpoint.FOLDER)
        self.lines = log.read(folder)
        self.start = max((step for step in saved if step < at), default=0)
        self.notes = [self.parts.backend_note]
        witness = next((path for step, path in saved.items() if step >= at), saved.get(self.start))
        begun = self._check(checkpoint.read_meta(witness), witness) if witness else None
        if self.start in saved:
            found = checkpoint.load(saved[self.start])
            trainer.check_own(found.path, found.meta, folder, self.parts)
            trainer.restore(self.task, found)
        else:
            transfer.begin(self.task, begun or self.parts.config.train.init_from)
        origin = saved[self.start].name if self.start in saved else "the run's first values"
        self.notes.append(f"step {at} is made again from {origin}, {at - self.start} steps in all")
        made = max([*saved, *(line["step"] for line in self.lines)], default=0)
        if at > made:
            self.notes.append(
                f"the run has come to step {made}, as far as its files tell: this is what training would make"
            )

    def _check(self, meta: dict[str, Any], path: Path) -> str:
        """What the run began from, as its checkpoint says it; "" where it began with random values."""
        trainer.check_own(path, meta, self.folder, self.parts)
        then, now = meta["environment"], environment.of(self.parts.ops)
        needed = _NEEDED | (_OF_NUMPY if self.parts.ops.NAME == "numpy" else {})
        for text in environment.differences(then, now):
            key = text.partition(":")[0]
            # a run from before a fact was recorded does not say it; a variable that is not there was not set
            if key in needed and (key in then or key.isupper()):
                raise CheckpointError(
                    f"{path} was made by another {needed[key]} ({text}), so its steps do not come out here as they "
                    "did there; replay them there, or set the same"
                )
            self.notes.append(f"not as before, so bits may differ: {text}")
        return str((meta.get("begun") or {}).get("source", ""))

    @property
    def layers(self) -> dict[str, Layer]:
        """Those of every net that is trained, by name."""
        return {layer.name: layer for net in learning(self.task).values() for layer in net.layers}

    def net_of(self, layer: str) -> Net:
        """The net that a layer of `layers` stands in."""
        return next(net for net in learning(self.task).values() if any(one.name == layer for one in net.layers))

    @property
    def facts(self) -> dict[str, Any]:
        """What was made again, as JSON."""
        return {"run": str(self.folder), "step": self.at, "from": self.start, "notes": self.notes}

    def forward(self, tick: Callable[[], None]) -> None:
        """Makes the steps up to the one before `at`; `tick()` after each. Raises NotFinite where one was not."""
        for step in range(self.start, self.at - 1):
            self._make(step)
            if not self.task.late and self.task.bad():
                raise self._broken(step)
            tick()
        if self.task.bad():
            raise self._broken(self.task.failed_step(self.at - 2))

    def step(self) -> dict[str, Any]:
        """Makes step `at` and returns its record. Weights have moved then, where its numbers are finite."""
        return self._make(self.at - 1)

    def _make(self, step: int) -> dict[str, Any]:
        n = self.task.batches_per_step
        batches, labels = self.parts.given([self.parts.batches.at(step * n + k) for k in range(n)])
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # as in training
            return self.task.step(batches, step, labels)

    def _broken(self, step: int) -> NotFinite:
        return NotFinite(f"step {step + 1} was not finite, and training ends there; give --at {step + 1} to see it")

    def verdict(self, record: dict[str, Any]) -> str:
        """Whether the step came out as the log says, in words. Raises CheckpointError where it did not."""
        values = {key: float(self.parts.ops.to_numpy(value)) for key, value in record.items()}
        if self.task.bad():
            said = ", ".join(f"{key} {value}" for key, value in values.items() if not math.isfinite(value))
            return f"step {self.at} is not finite ({said}): training stops there, and no weight is moved by it"
        line = next((line for line in self.lines if line["step"] == self.at), None)
        if line is None:
            every = self.parts.config.train.log_every
            return f"step {self.at} is not in the log (train.log_every {every}), so there is nothing to hold it against"
        ours = self.task.line(values, self.at)
        wrong = [
            f"{key} {value!r} here, {line.get(key)!r} there" for key, value in ours.items() if value != line.get(key)
        ]
        if wrong:
            raise CheckpointError(
                f"step {self.at} does not come out as in {self.folder / log.NAME}: {'; '.join(wrong[:3])}"
                f"{f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''}; {self._why()}"
            )
        return f"as in the log, to the last bit: {', '.join(f'{key} {value:.6g}' for key, value in ours.items())}"

    def _why(self) -> str:
        told = [note for note in self.notes if note.startswith("not as before")]
        return "; ".join(told) or "the log or a checkpoint was changed, or the run went on elsewhere in between"
