"""Progress bars, watched: one at a time, and each fills."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Bars:
    """`counting` in the place of minigan.progress's; `shown` now, `whole` so far."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.whole: list[str] = []

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        assert self.shown == [], f"{what}: beside {self.shown}"
        self.shown.append(what)
        steps: list[None] = []
        yield lambda: steps.append(None)
        assert len(steps) == total, f"{what}: {len(steps)} of {total}"
        self.whole.append(self.shown.pop())
