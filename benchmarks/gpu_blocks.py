"""How both sides of `benchmarks.gpu` are timed: a block of calls in a row, then one wait, as a training run goes."""

from collections.abc import Callable
from typing import Any

L2_BYTES = 64 << 20  # at least the second cache of today's GPUs
MOST_COPIES = 200


class Block:
    """`count` calls of `step`. Called, it takes the host's time; `take` gives the device's own, between two events.

    `mark` puts an event on the stream, `between` gives the seconds from one to another once `wait` has returned; both
    are None where there is no device.
    """

    def __init__(
        self, step: Callable[[], Any], count: int, wait: Callable[[], Any],
        mark: Callable[[], Any] | None = None, between: Callable[[Any, Any], float] | None = None,
    ):  # fmt: skip
        self.step, self.count, self.wait, self.mark, self.between = step, count, wait, mark, between
        self.device_s: list[float] = []

    def __call__(self) -> None:
        start = self.mark() if self.mark else None
        for _ in range(self.count):
            self.step()
        end = self.mark() if self.mark else None
        self.wait()
        if self.between:
            self.device_s.append(self.between(start, end))

    def take(self, n: int) -> list[float]:
        """The device's seconds of the last n blocks."""
        return self.device_s[-n:]


def copies(bytes_: int) -> int:
    """How many sets of arrays of so many bytes to go round in, so that none is found in the cache again."""
    return max(1, min(MOST_COPIES, -(-2 * L2_BYTES // max(bytes_, 1))))
