"""No kill, full disk or locked folder costs the newest checkpoint, and each leaves one clear line."""

import errno
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_cases import intact, names, put, refusal
from crash_server import CHILD, Server
from processes import PYTHON, environment
from safetensors.numpy import save as to_safetensors

from minigan.training import atomic, checkpoint

KILLS = 100
KILL_SEED = 20_260_103


def failing(monkeypatch: pytest.MonkeyPatch, name: str, code: int, call: int = 0) -> None:
    """From its `call`-th call on, os.`name` fails with `code` (and close closes all the same, as the kernel does)."""
    original, calls = getattr(os, name), iter(range(10**9))

    def fails(*args: Any, **kwargs: Any) -> Any:
        if next(calls) < call:
            return original(*args, **kwargs)
        if name == "close":
            original(*args)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, name, fails)


REFUSALS = {
    "full disk": ("write", errno.ENOSPC, 0, "free some space"),
    "full disk, part written": ("write", errno.ENOSPC, 2, "free some space"),
    "full disk at fsync": ("fsync", errno.ENOSPC, 0, "free some space"),
    "full disk at close": ("close", errno.ENOSPC, 0, "free some space"),
    "quota": ("write", errno.EDQUOT, 0, "quota"),
    "read-only disk": ("open", errno.EROFS, 0, "writable disk"),
    "no permission": ("open", errno.EACCES, 0, "permission"),
    "no permission to rename": ("replace", errno.EACCES, 0, "permission"),
    "disk error at fsync": ("fsync", errno.EIO, 0, "another one"),
    "disk error at reading back": ("pread", errno.EIO, 0, "another one"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_disk_that_refuses_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    paths = [put(tmp_path, 1), put(tmp_path, 2)]
    name, code, call, word = REFUSALS[case]
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "CHUNK", 300)
        failing(patched, name, code, call)
        message = refusal(put, tmp_path, 3)
    assert "step-00000003.safetensors: cannot be written" in message and word in message, message
    assert names(tmp_path) == [path.name for path in paths]
    assert all(intact(path) for path in paths)


LIES: dict[str, Callable[[bytes], bytes]] = {
    "one bit": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "last byte missing": lambda data: data[:-1],
    "last chunk missing": lambda data: data if len(data) == 300 else b"",
    "one byte more": lambda data: data + b"\0",
}


@pytest.mark.parametrize("case", LIES)
def test_what_reads_back_differently_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    original = os.write

    def lying(fd: int, data: memoryview) -> int:
        original(fd, LIES[case](bytes(data)))
        return len(data)

    put(tmp_path, 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lying)
        patched.setattr(atomic, "CHUNK", 300)
        message = refusal(put, tmp_path, 2)
    assert "bytes read back differ from those written" in message, message
    assert names(tmp_path) == ["step-00000001.safetensors"]


def test_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(fd: int) -> None:
        raise KeyboardInterrupt

    put(tmp_path, 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            put(tmp_path, 2)
    assert names(tmp_path) == ["step-00000001.safetensors"]


def test_folder_that_vanished(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    put(folder, 1)
    shutil.rmtree(folder)
    assert "No such file" in refusal(put, folder, 2)
    assert names(tmp_path) == []


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "step-00000001.safetensors").mkdir()
    assert "cannot be written: Is a directory" in refusal(put, tmp_path, 1)
    assert names(tmp_path) == ["step-00000001.safetensors"]


def test_old_checkpoint_that_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, 1)
    put(tmp_path, 2)
    with monkeypatch.context() as patched:
        failing(patched, "unlink", errno.EPERM)
        message = refusal(put, tmp_path, 3)
    assert "step-00000001.safetensors: cannot be removed (step 3 is saved)" in message
    assert all(intact(tmp_path / name) for name in names(tmp_path)) and len(names(tmp_path)) == 3


def test_order_of_write_fsync_rename_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps only what was fsynced: the file before its name, the folder after it, pruning last."""
    put(tmp_path, 1)
    put(tmp_path, 2)
    trace: list[str] = []

    def traced(name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            is_folder = name == "fsync" and stat.S_ISDIR(os.fstat(args[0]).st_mode)
            trace.append("fsync folder" if is_folder else name)
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for name in ("write", "fsync", "replace", "unlink"):
            patched.setattr(os, name, traced(name))
        put(tmp_path, 3)
    assert trace == ["write", "fsync", "replace", "fsync folder", "unlink"]


# Another process, killed and starved


def test_kill_at_every_boundary_of_a_save(tmp_path: Path, server: Server) -> None:
    def folder_with_two(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        put(folder, 1)
        put(folder, 2)
        return folder

    calls = server.result(job="kill_at", folder=str(folder_with_two("whole")), step=3, call=-1, when="before")["calls"]
    assert {"open", "write", "fsync", "pread", "close", "replace", "unlink"} == set(calls)
    assert calls.count("write") >= 2 and calls.count("fsync") == 2, calls
    renamed = calls.index("replace")
    for call in range(len(calls)):
        for when in ("before", "after"):
            where = f"killed {when} call {call} of {calls}"
            folder = folder_with_two(f"{call}-{when}")
            answer = server.result(job="kill_at", folder=str(folder), step=3, call=call, when=when)
            assert answer["status"] == -signal.SIGKILL, (where, answer)
            newest = checkpoint.newest(folder)
            happened = call > renamed or (call == renamed and when == "after")
            assert newest == folder / f"step-{3 if happened else 2:08d}.safetensors", where
            checkpoint.clean(folder)
            assert all(re.fullmatch(checkpoint.SAVED, name) for name in names(folder)), (where, names(folder))
            assert all(intact(folder / name) for name in names(folder)) and len(names(folder)) >= 2, where
            answer = server.result(job="kill_at", folder=str(folder), step=4, call=-1, when="before")
            assert answer["status"] == 0 and intact(folder / "step-00000004.safetensors"), (where, answer)


def test_random_kills(tmp_path: Path, server: Server) -> None:
    draw = random.Random(KILL_SEED)
    last = 0
    for kill in range(KILLS):
        answers = server.ask(job="loop", folder=str(tmp_path))
        pid = next(answers)["pid"]
        announced = next(answers)["saved"]
        delay_s = draw.uniform(0, 0.03)
        time.sleep(delay_s)
        os.kill(pid, signal.SIGKILL)
        rest = list(answers)
        announced = max([announced, *(answer["saved"] for answer in rest[:-1])])
        where = f"seed {KILL_SEED}, kill {kill} after {delay_s:.4f} s, announced {announced}, before it {last}"
        assert rest[-1] == {"status": -signal.SIGKILL}, (where, rest[-1])
        newest = checkpoint.newest(tmp_path)
        assert newest is not None and intact(newest), where
        step = checkpoint.load(newest).step
        assert step >= announced > last, (where, step)
        last = step
    checkpoint.clean(tmp_path)
    assert all(re.fullmatch(checkpoint.SAVED, name) for name in names(tmp_path)), names(tmp_path)
    assert all(intact(tmp_path / name) for name in names(tmp_path))


@pytest.mark.parametrize("file_bytes", [0, 5, 700, 1200])
def test_file_size_limit(tmp_path: Path, server: Server, file_bytes: int) -> None:
    paths = [put(tmp_path, 1), put(tmp_path, 2)]
    assert paths[1].stat().st_size > 1200
    answer = server.result(job="limited", folder=str(tmp_path), step=3, file_bytes=file_bytes)
    assert answer["status"] == 0 and "ulimit -f" in answer["error"], answer
    assert names(tmp_path) == [path.name for path in paths] and all(intact(path) for path in paths)


HUGE = 1 << 40
BOMBS = {
    "header of a terabyte": HUGE.to_bytes(8, "little") + b'{"x": 1}',
    "header of 400 MB in a sparse file": (400 << 20).to_bytes(8, "little") + b'{"x": 1}',
    "tensor of a terabyte": to_safetensors({"x": np.zeros(4, np.uint8)}, {"format": checkpoint.FORMAT}).replace(
        b'"shape":[4],"data_offsets":[0,4]}}', b'"shape":[%d],"data_offsets":[0,%d]}}' % (HUGE, HUGE)
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_claims_beyond_the_file_cost_no_memory(tmp_path: Path, server: Server, case: str) -> None:
    good, bomb = put(tmp_path, 1), tmp_path / "bomb.safetensors"
    bomb.write_bytes(BOMBS[case])
    if "sparse" in case:
        os.truncate(bomb, 500 << 20)
    more_bytes = 64 << 20
    assert server.result(job="bounded", path=str(good), more_bytes=more_bytes)["step"] == 1
    answer = server.result(job="bounded", path=str(bomb), more_bytes=more_bytes)
    assert answer["status"] == 0 and str(bomb) in answer["error"], answer


def in_own_tmpfs(folder: Path, size: str, **request: Any) -> list[dict[str, Any]]:
    """The job's answers from a process whose `folder` is a small tmpfs of its own; skips where not permitted."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare command on this system, so no file system of one's own")
    mounted = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o size={size} none "$0" && exec "$@"', str(folder)]
    if subprocess.run([*mounted, "true"], capture_output=True).returncode:
        pytest.skip("mounting a tmpfs in a namespace of one's own is not permitted here")
    done = subprocess.run(
        [*mounted, *PYTHON, CHILD],
        input=json.dumps({**request, "folder": str(folder)}) + "\n",
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_full_file_system(tmp_path: Path) -> None:
    _, full, small, status = in_own_tmpfs(tmp_path, "256k", job="fill", growth=20_000)
    assert status == {"status": 0} and small == {"small": True}
    assert "No space left" in full["error"] and "free some space" in full["error"], full
    last = full["failed"] - 1
    assert full["names"] == [f"step-{step:08d}.safetensors" for step in (last - 1, last)] and all(full["intact"]), full


def test_read_only_file_system(tmp_path: Path) -> None:
    _, refused, status = in_own_tmpfs(tmp_path, "256k", job="readonly")
    assert status == {"status": 0}
    assert "choose a folder on a writable disk" in refused["error"], refused
    assert refused["names"] == ["step-00000001.safetensors"] and refused["intact"] == [True]
