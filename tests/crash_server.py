"""Talking to crash_child.py."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processes import PYTHON, environment

CHILD = Path(__file__).with_name("crash_child.py")


class Server:
    """crash_child.py, and its answers one by one."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self, **request: Any) -> Iterator[dict[str, Any]]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            yield answer
            if "status" in answer:
                return

    def result(self, **request: Any) -> dict[str, Any]:
        return {key: value for answer in self.ask(**request) for key, value in answer.items()}


@contextmanager
def serving() -> Iterator[Server]:
    """A server for as long as the context is open."""
    with subprocess.Popen(
        [*PYTHON, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        yield Server(process)
        assert process.stdin
        process.stdin.close()
