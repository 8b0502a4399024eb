"""Processes that measure while this one waits: each answers requests, a line of JSON each, and sleeps in between.

A build, an instruction set or a thread pool is a process' own, so what is compared runs in processes that take turns.
"""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any

from minigan.errors import MiniganError

_END_S = 30


class Failed(MiniganError):
    """A worker cannot do what it was asked."""


class Worker:
    """The parent's side of a process that waits for requests; `name` is what an error calls it."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str]):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment, text=True
            )
        except OSError as e:
            self.errors.close()
            raise Failed(f"{command[0]} cannot be started: {e.strerror}") from e

    def ask(self, *request: Any) -> Any:
        """The answer to a request. Raises Failed with the worker's reason."""
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            last = self.errors.read().strip().splitlines()[-1:] or [f"exit status {self.process.wait()}"]
            raise Failed(f"the worker {self.name} ended: {last[0]}")
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer["ok"]

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin and self.process.stdout
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()
