"""A process to be killed, starved and locked out: the crash tests' other half.

`python crash_child.py` reads one JSON request {"job": name, ...} per line of stdin, forks a process that does the job,
and writes JSON lines to stdout: {"pid"} first, what the job announces, a CheckpointError as {"error"}, {"status"} last.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checkpoint_cases import intact, meta, state
from runs import small

from minigan.errors import CheckpointError
from minigan.training import checkpoint
from minigan.training.trainer import Silent, train

BOUNDARIES = ("open", "write", "fsync", "pread", "close", "replace", "unlink")
SHORT_WRITE = 600
SAVES_PER_LOOP = 2000


def announce(**content: Any) -> None:
    os.write(sys.stdout.fileno(), json.dumps(content).encode() + b"\n")


def fatal(call: int, when: str, action: Callable[[], Any]) -> list[str]:
    """Do `action` and list its system calls; die by SIGKILL just before or after the `call`-th, if it has so many."""
    calls: list[str] = []

    def wrapped(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def boundary(*args: Any, **kwargs: Any) -> Any:
            last = len(calls) == call
            calls.append(name)
            if last and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "write":
                args = (args[0], args[1][:SHORT_WRITE])
            result = function(*args, **kwargs)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return boundary

    originals = {name: getattr(os, name) for name in BOUNDARIES}
    for name, function in originals.items():
        setattr(os, name, wrapped(name, function))
    action()
    for name, function in originals.items():
        setattr(os, name, function)
    return calls


def kill_at(folder: str, step: int, call: int, when: str) -> None:
    """Save `step`, and die at one of its system calls; see `fatal`."""
    announce(calls=fatal(call, when, lambda: checkpoint.save(Path(folder), step, state(step), meta(step), keep=2)))


def loop(folder: str) -> None:
    """Take up the newest checkpoint and save every step from there on, announcing each save that is done."""
    checkpoint.clean(Path(folder))
    path = checkpoint.newest(Path(folder))
    first = checkpoint.load(path).step + 1 if path else 1
    for step in range(first, first + SAVES_PER_LOOP):
        checkpoint.save(Path(folder), step, state(step, ballast=40_000), meta(step), keep=2)
        announce(saved=step)


def limited(folder: str, step: int, file_bytes: int) -> None:
    """Save under a limit on the size of files (RLIMIT_FSIZE): a write that the kernel cuts short, then refuses."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    checkpoint.save(Path(folder), step, state(step), meta(step), keep=2)


def bounded(path: str, more_bytes: int) -> None:
    """Load with at most `more_bytes` of address space beyond what is in use."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + more_bytes, used + more_bytes))
    announce(step=checkpoint.load(Path(path)).step)


def fill(folder: str, growth: int) -> None:
    """Save ever larger states until the disk is full; then a small one."""
    where = Path(folder)
    step = 0
    try:
        while True:
            step += 1
            checkpoint.save(where, step, state(step, ballast=growth * step), meta(step), keep=2)
    except CheckpointError as error:
        names = sorted(os.listdir(where))
        announce(error=str(error), failed=step, names=names, intact=[intact(where / name) for name in names])
    checkpoint.save(where, step, state(step), meta(step), keep=2)
    announce(small=intact(where / f"step-{step:08d}.safetensors"))


def readonly(folder: str) -> None:
    """Save, remount the folder's file system read-only, save again."""
    where = Path(folder)
    checkpoint.save(where, 1, state(1), meta(1), keep=2)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        checkpoint.save(where, 2, state(2), meta(2), keep=2)
    except CheckpointError as error:
        names = os.listdir(where)
        announce(error=str(error), names=names, intact=[intact(where / name) for name in names])


def training(folder: str, steps: int, call: int = -1, when: str = "before") -> None:
    """Train a small GAN that saves every step, from the newest checkpoint when there is one.

    With `call` it dies within its first save; see `fatal`.
    """
    save = checkpoint.save

    def fatal_save(*args: Any) -> Path:
        checkpoint.save = save
        announce(calls=fatal(call, when, lambda: save(*args)))
        return args[0]

    if call >= 0:
        checkpoint.save = fatal_save

    class Announcer(Silent):
        def start(self, first: int, total: int, words: tuple[str, str]) -> None:
            announce(first=first)

    out = Path(folder)
    config = small(f"train.steps={steps}", "train.checkpoint_every=1", "train.log_every=1")
    train(config, out, (out / "config.toml").exists(), Announcer())


JOBS = {job.__name__: job for job in (kill_at, loop, limited, bounded, fill, readonly, training)}


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            announce(pid=os.getpid())
            try:
                JOBS[request.pop("job")](**request)
            except CheckpointError as error:
                announce(error=str(error))
            except BaseException as error:
                announce(crash=repr(error))
                os._exit(1)
            os._exit(0)
        announce(status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    serve()
