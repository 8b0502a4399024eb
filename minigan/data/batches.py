"""Batches as a pure function of their position, so that a resumed run stores one number."""

import queue
import threading
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from minigan import rng
from minigan.data.dataset import Dataset
from minigan.errors import DataError

Batch = tuple[NDArray[np.float32], NDArray[np.int32] | None]

AHEAD = 2


class Batches:
    """Shuffled batches of a data set; the last partial one of an epoch is dropped.

    Positions count batches from the start of training; `shuffle` names the random numbers that make the order. Raises
    DataError when there are fewer rows than one batch.
    """

    def __init__(self, dataset: Dataset, batch_size: int, seed: int, shuffle: str = "shuffle") -> None:
        if not 1 <= batch_size <= len(dataset):
            raise DataError(
                f"{dataset.name}: batch size {batch_size} does not fit {len(dataset)} rows; "
                f"give a batch size of 1 to {len(dataset)}"
            )
        self.dataset, self.batch_size, self.seed, self.shuffle = dataset, batch_size, seed, shuffle
        self.per_epoch = len(dataset) // batch_size
        self._order: tuple[int, NDArray[np.intp]] = (-1, np.empty(0, np.intp))

    def index(self, position: int) -> NDArray[np.intp]:
        """The row numbers (batch_size,) of one batch. Raises DataError when position < 0."""
        if position < 0:
            raise DataError(f"{self.dataset.name}: batch position {position} is before the start; count from 0")
        epoch, k = divmod(position, self.per_epoch)
        known, order = self._order
        if known != epoch:
            order = rng.host(self.seed, self.shuffle, epoch).permutation(len(self.dataset))
            self._order = epoch, order
        return order[k * self.batch_size : (k + 1) * self.batch_size]

    def at(self, position: int) -> Batch:
        """(x (B, *shape) float32, labels (B,) or None)."""
        index, labels = self.index(position), self.dataset.labels
        return self.dataset.read(index), None if labels is None else labels[index]

    def stream(self, start: int = 0, n: int | None = None) -> Iterator[Batch]:
        """Batches start, start + 1, ... (n of them, or for ever), read ahead by a thread.

        An error of the thread is raised here. Closing or dropping the iterator ends the thread.
        """
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(AHEAD)
        stop = threading.Event()
        thread = threading.Thread(target=self._fill, args=(ready, stop, start, n), daemon=True, name="minigan-prefetch")
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            while not ready.empty():
                ready.get_nowait()
            thread.join()

    def _fill(
        self, ready: "queue.Queue[Batch | BaseException | None]", stop: threading.Event, start: int, n: int | None
    ) -> None:
        """After `stop` and one emptying of `ready` at most one put follows, so this never blocks for ever."""
        position = start
        try:
            while not stop.is_set() and (n is None or position < start + n):
                ready.put(self.at(position))
                position += 1
        except BaseException as error:
            ready.put(error)
        else:
            if not stop.is_set():
                ready.put(None)
