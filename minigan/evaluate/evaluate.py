"""`minigan evaluate RUN`: samples of a run, judged; one record of numbers with the whole protocol they were got by."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.data.dataset import Range
from minigan.errors import CheckpointError
from minigan.evaluate import protocol, store
from minigan.evaluate.extractors import data_of
from minigan.evaluate.items import Items, as_items, real
from minigan.evaluate.judge import Judge
from minigan.evaluate.table import Side
from minigan.tasks import Task
from minigan.training import checkpoint
from minigan.training.reporter import Counting, Reporter, Silent, uncounted
from minigan.training.run import Run, load

_BLOCK = 1024  # samples drawn between two steps of the progress bar


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """`record` is what is kept; `judge` and the samples' `side` are for pictures; `kept` says where it was read."""

    record: dict[str, Any]
    judge: Judge
    run: Run
    seed: int
    cached: bool

    def side(self, advance: Callable[[], None] = lambda: None) -> Side:
        """The samples and what is seen in them, drawn again; `advance` is told of each of the `blocks`."""
        return self.judge.side(*_drawn(self.run, self.judge, self.seed, advance))

    @property
    def blocks(self) -> int:
        """In how many steps samples are drawn."""
        return _blocks(self.judge)


def evaluate(
    path: str | Path,
    metrics: Sequence[str] = (),
    data: str = "",
    n: int = 0,
    seed: int = 0,
    features: str = "auto",
    best: bool = False,
    reporter: Reporter | None = None,
    counting: Counting = uncounted,
) -> Evaluation:
    """Judges n samples of the run or checkpoint at `path`, or of the run's best: all metrics that the data allows, or
    those that are named.

    `data`, `n` and `features` are as in items.py and extractors.py. What was measured before under the same protocol is
    taken from the run's records. Raises ConfigError, DataError, CheckpointError, before anything long begins where it
    can be known.
    """
    reporter = reporter or Silent()
    file = checkpoint.best(Path(path)) if best else checkpoint.resolve(Path(path))
    run = load(file)
    run.sample(1, seed)  # refuses a task that draws none
    judge = Judge(data_of(run.config, data), real(run, data, n), metrics, features, reporter, counting=counting)
    said = protocol.protocol(run, judge, file, seed)
    folder = protocol.run_folder(file)
    before = _before(folder, said)
    missing = [name for name in judge.metrics if name not in before.get("seconds", {})]
    if not missing:
        return Evaluation(before, judge, run, seed, cached=True)
    judge.metrics, wanted = missing, judge.metrics
    began = time.perf_counter()
    with counting("evaluating", _blocks(judge) + len(missing) + 1 + judge.floors_missing()) as advance:
        items, labels = _drawn(run, judge, seed, advance)
        drawn = time.perf_counter()
        side = judge.side(items, labels)
        advance()
        seen = time.perf_counter()
        measured = judge.measure(side, lambda name: advance())
        floor = judge.floor(lambda name: advance())
    judge.metrics = wanted
    seconds = {"draw": round(drawn - began, 3), "features": round(seen - drawn, 3)} | measured.seconds
    record = {
        **protocol.circumstances(run),
        "protocol": said,
        "values": before.get("values", {}) | measured.values,
        "floor": before.get("floor", {}) | floor,
        "seconds": before.get("seconds", {}) | seconds,
        "seconds_in_all": round(time.perf_counter() - began, 3),
    }
    if folder:
        try:
            store.add_record(folder, record)
        except CheckpointError as e:
            reporter.note(f"the record was not kept: {e}")
    return Evaluation(record, judge, run, seed, cached=False)


def draw(
    task: Task, weights: str, values: Range, n: int, seed: int, advance: Callable[[], None] = lambda: None
) -> tuple[Items, NDArray[Any] | None]:
    """n samples as they are compared, and their labels where the task was told the data's; each class in turn."""
    z = task.z("sample", 0, n, seed)
    labels = np.arange(n) % task.labels if task.labels else None
    blocks = []
    for start in range(0, n, _BLOCK):
        here = slice(start, start + _BLOCK)
        x = task.samples(z[here], weights, None if labels is None else labels[here])
        blocks.append(as_items(x.astype(np.float32), values))
        advance()
    return np.concatenate(blocks), labels if task.labelled else None


def _drawn(run: Run, judge: Judge, seed: int, advance: Callable[[], None] = lambda: None) -> Any:
    items, labels = draw(run.task, run.weights, run.picture_range, judge.real.n, seed, advance)
    return items, labels if run.classes == judge.real.dataset.classes else None


def _blocks(judge: Judge) -> int:
    return -(-judge.real.n // _BLOCK)


def _before(folder: Path | None, said: dict[str, Any]) -> dict[str, Any]:
    """The newest record of this protocol; empty without one."""
    found = [record for record in (store.records(folder) if folder else []) if record["protocol"] == said]
    return found[-1] if found else {}
