"""`minigan train --watch`: a reporter that shows a run on a board (board.py), and takes little time for it.

Between two steps it reads what lies there anyway: the log's lines, the slabs of gradients as the last update left
them, and samples as the run's own grids draw them. None of it changes a bit of the run. Both take some hundredths of
the time at most: what takes long is done less often.
"""

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.live import Live

from minigan.study.board import Board, Norms, histories
from minigan.study.thumbnail import Thumbnail
from minigan.tasks import Task
from minigan.training.parts import POINTS, Parts
from minigan.training.trainer import GRID_IMAGES
from minigan.training.walk import nets

NUMBERS = 0.25, 0.02  # seconds between two looks, at least, and the share of the time that they take, at most
SAMPLES = 1.0, 0.01  # the same of drawing samples
_RECENT = 40  # looks over which speed is measured


class Pace:
    """When something may be done again: `every_s` after it began, and so late that it takes `share` of the time."""

    def __init__(self, every_s: float, share: float):
        self.every_s, self.share, self.next_s = every_s, share, 0.0

    def took(self, start_s: float, end_s: float) -> None:
        """It was done, from when to when."""
        self.next_s = start_s + max(self.every_s, (end_s - start_s) / self.share)


def gradient_norms(task: Task) -> Norms:
    """The length of each layer's gradient as the last update of its net found it, before clipping: net -> layer."""
    found: Norms = {}
    for key, (net, _) in nets(task).items():
        squares: dict[str, float] = {}
        for name, d in net.layout.views(task.ops.to_numpy(net.dp)).items():
            layer = name.rpartition(".")[0]
            squares[layer] = squares.get(layer, 0.0) + float(np.square(d, dtype=np.float64).sum())
        learned = {name.rpartition(".")[0] for name in net.layout.at if name not in net.layout.frozen}
        found[key] = {layer: square**0.5 if layer in learned else None for layer, square in squares.items()}
    return found


class Watch:
    """Shows a run on a board. See training/reporter.py for who calls what when."""

    def __init__(self, console: Console):
        self.console = console
        self.numbers, self.samples = Pace(*NUMBERS), Pace(*SAMPLES)
        self.board = Board("minigan train")
        self.live = Live(self.board, console=console, auto_refresh=False, vertical_overflow="crop")
        self.times: deque[tuple[float, int]] = deque(maxlen=_RECENT)

    def opened(self, parts: Parts, lines: Sequence[dict[str, Any]], plots: dict[str, dict[str, str]]) -> None:
        self.parts = parts
        self.histories = histories(plots, lines)
        self.board.curves = {words: curve for words, curve in self.histories.values()}
        backend = " ".join(filter(None, (parts.ops.NAME, getattr(parts.ops, "ISA", ""))))
        self.board.title = f"minigan train {Path(parts.config.preset).stem}, {backend}"

    def start(self, first: int, total: int, words: tuple[str, str]) -> None:
        self.board.step, self.board.total = first, total
        self.times.append((time.perf_counter(), first))
        self.live.start()

    def step(self, step: int) -> None:
        self.board.step = step
        if time.perf_counter() >= self.numbers.next_s or step == self.board.total:
            self.look()

    def line(self, line: dict[str, Any]) -> None:
        for key, (_, curve) in self.histories.items():
            if key in line:
                curve.add(line[key])

    def note(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def look(self) -> None:
        """Reads gradients and, when it is time, draws samples; shows all."""
        start_s = time.perf_counter()
        if start_s >= self.samples.next_s or self.board.step == self.board.total:
            self._draw()
            start_s = self._took(self.samples, start_s)
        self._read()
        self._time(start_s)
        self.live.refresh()
        self._took(self.numbers, start_s)

    def stop(self) -> None:
        """Leaves the board as it is at the end; of a run that was stopped, with the samples that were drawn last."""
        board = self.board
        board.ended = "done" if board.step == board.total else "stopped"
        if board.norms:
            self._read()
        self.live.stop()

    def _took(self, pace: Pace, start_s: float) -> float:
        end_s = time.perf_counter()
        pace.took(start_s, end_s)
        return end_s

    def _read(self) -> None:
        task = self.parts.task
        self.board.norms = gradient_norms(task)
        self.board.epoch = self.board.step * task.batches_per_step / self.parts.batches.per_epoch

    def _time(self, now_s: float) -> None:
        board, (then_s, first), done = self.board, self.times[0], self.board.step
        self.times.append((now_s, done))
        if done > first:
            steps_per_s = (done - first) / (now_s - then_s)
            a_step = self.parts.task.batches_per_step * self.parts.config.train.batch_size
            board.images_per_s = steps_per_s * a_step
            board.left_s = (board.total - done) / steps_per_s

    def _draw(self) -> None:
        parts = self.parts
        n = POINTS if parts.dataset.shape == (2,) else GRID_IMAGES
        real = parts.real_rows(n)
        x = parts.task.picture("grid", n, real)
        if x is not None:
            self.board.samples = Thumbnail(x, parts.picture_range, real, parts.task.columns)
            self.board.samples_step = self.board.step
