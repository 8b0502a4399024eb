"""A program on a terminal of its own: what it draws there, and keys for it."""

import codecs
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

from processes import PYTHON, environment

PATIENCE_S = 120


class Terminal:
    """`minigan WORDS` in folder `cwd`, on a terminal of `columns` x `lines`; `seen` is all that it wrote."""

    def __init__(self, cwd: Path, *words: str, columns: int = 100, lines: int = 30, **variables: str):
        self.seen, self.decoder = "", codecs.getincrementaldecoder("utf-8")("replace")
        self.ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = self.settings()
        env = environment(TERM="xterm-256color", COLORTERM="truecolor", **variables)
        for name in ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            env.pop(name, None)
        ends: Any = self.theirs
        self.process = subprocess.Popen(
            [*PYTHON, "-m", "minigan", *words], cwd=cwd, env=env, stdin=ends, stdout=ends, stderr=ends,
            start_new_session=True, preexec_fn=_take_terminal,
        )  # fmt: skip

    def settings(self) -> list[Any]:
        """Of the terminal: echo, single keys, ..."""
        return termios.tcgetattr(self.theirs)

    def wait_for(self, text: str, since: int = 0) -> int:
        """Reads until `text` has been written after `since` characters; where it ends."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.seen[since:]:
            assert time.monotonic() < end, f"no {text!r} in {self.seen[since:][-2000:]!r}"
            dead = self.process.poll() is not None
            read = self._read()
            assert read or not dead, f"ended with {self.process.returncode}, no {text!r} in {self.seen[-2000:]!r}"
        return self.seen.index(text, since) + len(text)

    def press(self, keys: str) -> None:
        """As if typed."""
        os.write(self.ours, keys.encode())

    def end(self) -> int:
        """Reads on until the program ends; its exit status."""
        end = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < end, f"still running: {self.seen[-2000:]!r}"
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def close(self) -> None:
        """Ends the program, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def _read(self) -> bool:
        if not select.select([self.ours], [], [], 0.1)[0]:
            return False
        self.seen += self.decoder.decode(os.read(self.ours, 1 << 16))  # a character may come in two reads
        return True


def _take_terminal() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background, it is ignored
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C typed there reaches the program
