"""Whom a run tells how it goes."""

from typing import Any, Protocol


class Reporter(Protocol):
    """Where a run's progress goes: a bar, plain lines, or nowhere."""

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

    def start(self, first: int, total: int, words: tuple[str, str]) -> None: ...
    def step(self, step: int) -> None: ...
    def line(self, line: dict[str, Any]) -> None: ...
    def note(self, text: str) -> None: ...
    def stop(self) -> None: ...
