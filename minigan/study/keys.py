"""Single keys from a terminal, without Enter; the terminal is as before afterwards, however it ends."""

import os
import select
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def keys(terminal: int) -> Iterator[tuple[Callable[[], str], Callable[[], bool]]]:
    """(wait for the next key, "" when the terminal is gone; whether one waits already). `terminal` is a descriptor."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)  # Ctrl-C still interrupts
    try:
        yield lambda: _next(terminal), lambda: bool(select.select([terminal], [], [], 0)[0])
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _next(terminal: int) -> str:
    try:
        return os.read(terminal, 1).decode("ascii", "replace")
    except OSError:  # a terminal that was closed
        return ""
