"""Whom a run tells how it goes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from minigan.training.parts import Parts

# shows progress: (what is done, of how many) -> a context whose value counts one more
Counting = Callable[[str, int], AbstractContextManager[Callable[[], None]]]


@contextmanager
def uncounted(what: str, total: int) -> Iterator[Callable[[], None]]:
    """No progress is shown."""
    yield lambda: None


class Reporter(Protocol):
    """Where a run's progress goes: a bar, plain lines, or nowhere."""

    def opened(self, parts: Parts, lines: Sequence[dict[str, Any]], plots: dict[str, dict[str, str]]) -> None:
        """What is about to be trained, the lines that its log holds already, and what of them is plotted, by axis: to
        look at, now and after any step, and not to touch.
        """

    def start(self, first: int, total: int, words: tuple[str, str]) -> None:
        """Steps first .. total are about to run; `words` say a log line in short and in shorter, as str.format does."""

    def step(self, step: int) -> None:
        """Step number `step` is done."""

    def line(self, line: dict[str, Any]) -> None:
        """A log line."""

    def note(self, text: str) -> None:
        """Something worth saying."""

    def stop(self) -> None:
        """The loop is over."""


class Silent:
    """Says nothing."""

    def opened(self, parts: Parts, lines: Sequence[dict[str, Any]], plots: dict[str, dict[str, str]]) -> None: ...
    def start(self, first: int, total: int, words: tuple[str, str]) -> None: ...
    def step(self, step: int) -> None: ...
    def line(self, line: dict[str, Any]) -> None: ...
    def note(self, text: str) -> None: ...
    def stop(self) -> None: ...
