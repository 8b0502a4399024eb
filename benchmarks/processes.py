"""The parent's side of benchmarks/worker.py."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import minigan
from minigan.errors import MiniganError

ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = str(Path(minigan.__file__).parents[1])  # a worker measures the minigan that was imported here
_END_S = 30
_THREADS = ("MINIGAN_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Failed(MiniganError):
    """A worker cannot do what it was asked."""


class Worker:
    """A process that waits for requests; `settings` holds "threads" and what the side reads."""

    def __init__(self, side: str, settings: dict[str, Any], python: str = sys.executable, **variables: str):
        self.side = side
        home = [_PACKAGE] if python == sys.executable else []
        path = os.pathsep.join([*home, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {
            **os.environ,
            **dict.fromkeys(_THREADS, str(settings["threads"])),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of compilers beside what is measured
            "PYTHONPATH": path,
            **variables,
        }
        command = [python, "-P", "-m", "benchmarks.worker", side, json.dumps(settings)]
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, env=environment, text=True
            )
        except OSError as e:
            self.errors.close()
            raise Failed(f"{python} cannot be started: {e.strerror}") from e

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
            raise Failed(f"the worker {self.side} ended: {last[0]}")
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
