"""Checkpoints: every bit comes back, damage is named, and only what is ours is removed."""

import json
import os
import random
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_cases import identical, intact, names, put, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes
from safetensors.numpy import save as to_safetensors

from minigan.errors import CheckpointError
from minigan.training import atomic, checkpoint

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\0\0\0\0"


# Round trips

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def any_array(draw: st.DrawFn) -> np.ndarray:
    """Any bits (NaN payloads too) of any dtype and shape, 0-d and empty too, in plain, strided or swapped layout."""
    dtype = np.dtype(draw(st.sampled_from(sorted(checkpoint.DTYPES))))
    shape = draw(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8)
    array = (raw & 1 if dtype.kind == "b" else raw).view(dtype).reshape(shape)
    layout = draw(st.sampled_from(["plain", "transposed", "strided", "swapped"]))
    if layout == "transposed":
        return array.T
    if layout == "strided":
        return np.repeat(array.reshape(*shape, 1), 2, axis=-1)[..., 0]
    return array.byteswap().view(dtype.newbyteorder(">")) if layout == "swapped" else array


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.text().filter(lambda name: name != "__metadata__"), any_array(), max_size=4),
    st.dictionaries(st.text(), json_values, max_size=4),
    st.integers(0, 10**12),
)
def test_every_bit_comes_back(tensors: dict[str, np.ndarray], content: dict[str, Any], step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint.save(Path(folder), step, tensors, content, keep=2)
        found = checkpoint.load(path)
        assert (found.path, found.step, found.meta) == (path, step, content)
        native = {name: np.array(array, array.dtype.newbyteorder("="), order="C") for name, array in tensors.items()}
        assert identical(found.tensors, native)
        assert checkpoint.read_meta(path) == content
        assert checkpoint.newest(Path(folder)) == path


def test_nan_payload_and_negative_zero(tmp_path: Path) -> None:
    bits = np.array([0x7FF4DEADBEEF0001, 0xFFF8000000000001, 0x8000000000000000], np.uint64)
    path = checkpoint.save(tmp_path, 1, {"x": bits.view(np.float64)}, {}, keep=2)
    loaded = checkpoint.load(path).tensors["x"]
    assert loaded.view(np.uint64).tolist() == bits.tolist()
    loaded[0] = 1.0


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o027, 0o640), (0o002, 0o644)])
def test_mode_follows_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        path = put(tmp_path, 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


REFUSED = {
    "dtype": ({"x": np.zeros(2, np.complex128)}, {}, "dtype complex128"),
    "object": ({"x": np.array([object()])}, {}, "dtype object"),
    "reserved name": ({"__metadata__": np.zeros(2)}, {}, "reserves"),
    "surrogate name": ({"\ud800": np.zeros(2)}, {}, "Unicode names"),
    "NaN in meta": ({}, {"loss": float("nan")}, "finite JSON"),
    "array in meta": ({}, {"z": np.zeros(2)}, "finite JSON"),
    "meta no table": ({}, [1], "meta table"),
    "meta too long": ({}, {"text": "x" * checkpoint.MAX_HEADER}, "store long lists as tensors"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_stored_is_refused_before_writing(tmp_path: Path, case: str) -> None:
    tensors, content, word = REFUSED[case]
    assert word in refusal(checkpoint.save, tmp_path, 3, tensors, content, 2)
    assert names(tmp_path) == []


def test_negative_step_is_refused(tmp_path: Path) -> None:
    assert "step -1" in refusal(checkpoint.save, tmp_path, -1, {}, {}, 2)
    assert names(tmp_path) == []


# Damage

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut in the header's length": lambda data: data[:5],
    "cut after the header's length": lambda data: data[:8],
    "cut in the header": lambda data: data[:40],
    "cut at the data": lambda data: data[: 8 + int.from_bytes(data[:8], "little")],
    "cut in the data": lambda data: data[:-100],
    "one byte short": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
    "data changed": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "meta changed": lambda data: data.replace(b"counters", b"Counters"),
    "step changed": lambda data: data.replace(b'\\"step\\": 2', b'\\"step\\": 3'),
    "tensor renamed": lambda data: data.replace(b"opt.m", b"opt.v"),
    "dtype changed": lambda data: data.replace(b'"dtype":"F32"', b'"dtype":"I32"'),
    "shape changed": lambda data: data.replace(b'"shape":[3,5]', b'"shape":[5,3]'),
    "digest lost": lambda data: data.replace(b"blake2b", b"blake2c"),
    "another file": lambda data: PNG + data,
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named_and_the_previous_one_offered(tmp_path: Path, case: str) -> None:
    before, path = put(tmp_path, 1), put(tmp_path, 2)
    data = path.read_bytes()
    damaged = DAMAGE[case](data)
    assert damaged != data
    path.write_bytes(damaged)
    assert checkpoint.newest(tmp_path) == path
    message = refusal(checkpoint.load, path)
    assert str(path) in message and f"delete it to go on from {before.name}" in message, message
    assert intact(before)


def test_no_single_bit_and_no_cut_goes_unseen(tmp_path: Path) -> None:
    path = put(tmp_path, 7)
    data = path.read_bytes()
    draw = random.Random(1)
    flips = [(place, 1 << draw.randrange(8)) for place in range(len(data))]
    changed = [(f"byte {p} ^ {bit}", data[:p] + bytes([data[p] ^ bit]) + data[p + 1 :]) for p, bit in flips]
    cut = [(f"first {size} bytes", data[:size]) for size in range(len(data))]
    victim = tmp_path / "victim.safetensors"
    unseen = []
    for what, content in changed + cut:
        victim.write_bytes(content)
        try:
            checkpoint.load(victim)
            unseen.append(what)
        except CheckpointError:
            pass
    assert unseen == []


def raw(tensors: dict[str, np.ndarray], **texts: str) -> bytes:
    return to_safetensors(tensors, texts)


def crafted(entries: dict[str, Any], data: bytes) -> bytes:
    """A file with a good envelope and any tensor table."""
    texts = {"format": checkpoint.FORMAT, "minigan": '{"step": 1, "meta": {}}', "blake2b": "0" * 32}
    header = json.dumps({"__metadata__": texts, **entries}).encode()
    return len(header).to_bytes(8, "little") + header + data


BAD_FILES = {
    "a PNG": (PNG * 50, "does not begin like a safetensors file"),
    "another program's safetensors": (raw({"x": np.zeros(2)}), "its format is None"),
    "a later format": (raw({}, format="minigan-checkpoint-2", minigan="{}"), "'minigan-checkpoint-2'"),
    "no envelope": (raw({}, format=checkpoint.FORMAT), "minigan"),
    "no JSON": (raw({}, format=checkpoint.FORMAT, minigan="pickle"), "Expecting value"),
    "JSON of another shape": (raw({}, format=checkpoint.FORMAT, minigan="[1]"), "damaged"),
    "a step that is text": (raw({}, format=checkpoint.FORMAT, minigan='{"step": "x", "meta": {}}'), "integer step"),
    "JSON nested deeply": (raw({}, format=checkpoint.FORMAT, minigan="[" * 200_000), "recursion"),
    "a dtype NumPy lacks": (
        crafted({"x": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"\0\0"),
        "damaged",
    ),
    "data that no tensor names": (crafted({}, b"\0\0"), "not fully covered"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_files_that_are_no_checkpoints(tmp_path: Path, case: str) -> None:
    content, word = BAD_FILES[case]
    path = tmp_path / "given.bin"
    path.write_bytes(content)
    message = refusal(checkpoint.load, path)
    assert str(path) in message and word in message, message
    assert names(tmp_path) == ["given.bin"]


def test_things_that_are_no_files(tmp_path: Path) -> None:
    fifo = tmp_path / "step-00000001.safetensors"
    os.mkfifo(fifo)
    missing = tmp_path / "nowhere.safetensors"
    for read in (checkpoint.load, checkpoint.read_meta):
        assert "not a regular file" in refusal(read, fifo)
        assert "not a regular file" in refusal(read, tmp_path)
        assert f"{missing}: cannot be read: No such file" in refusal(read, missing)
    assert checkpoint.newest(tmp_path) is None


def test_resolve(tmp_path: Path) -> None:
    run = tmp_path / "run"
    folder = run / checkpoint.FOLDER
    folder.mkdir(parents=True)
    assert "is not a run folder: it has no config.toml" in refusal(checkpoint.resolve, run)
    atomic.atomic_text(run / "config.toml", "seed = 1\n")
    assert "has no checkpoint" in refusal(checkpoint.resolve, run)
    first, second = put(folder, 99_999_999), put(folder, 100_000_000)
    assert checkpoint.resolve(run) == second
    assert checkpoint.resolve(first) == first
    assert "No such file" in refusal(checkpoint.resolve, tmp_path / "absent")
    os.mkfifo(tmp_path / "fifo")
    assert "neither a folder nor a file" in refusal(checkpoint.resolve, tmp_path / "fifo")


# What is kept, what is removed


@pytest.mark.parametrize("keep, left", [(-1, [4, 5]), (0, [4, 5]), (1, [4, 5]), (2, [4, 5]), (3, [3, 4, 5])])
def test_pruning_keeps_the_newest_and_never_below_two(tmp_path: Path, keep: int, left: list[int]) -> None:
    for step in range(1, 6):
        put(tmp_path, step, keep)
    assert names(tmp_path) == [f"step-{step:08d}.safetensors" for step in left]


def test_pruning_counts_only_whole_ones_and_leaves_later_ones(tmp_path: Path) -> None:
    for step in (1, 2, 3, 9):
        put(tmp_path, step, keep=9)
    os.truncate(tmp_path / "step-00000003.safetensors", 100)
    put(tmp_path, 4)
    assert names(tmp_path) == [f"step-{step:08d}.safetensors" for step in (2, 3, 4, 9)]


def foreign(folder: Path) -> list[str]:
    """Things that look almost like ours."""
    for name in (
        "step-1.safetensors",
        "step-00000001.safetensors.bak",
        "x-step-00000001.safetensors",
        "notes.txt",
        ".tmpAb12Cd",
        ".x.tmp",
        "x.minigan-0123abcd.tmp",
        ".x.minigan-0123abcd.tmp~",
        ".x.minigan-0123.tmp",
    ):
        (folder / name).write_text("mine")
    for name in ("step-00000000.safetensors", ".folder.minigan-0123abcd.tmp"):
        (folder / name).mkdir()
    for name in ("step-00000002.safetensors", ".link.minigan-0123abcd.tmp"):
        (folder / name).symlink_to("notes.txt")
    return names(folder)


def test_nothing_foreign_is_ever_removed(tmp_path: Path) -> None:
    before = foreign(tmp_path)
    stale = tmp_path / ".step-00000009.safetensors.minigan-0123abcd.tmp"
    stale.write_text("half")
    for step in (11, 12, 13):
        put(tmp_path, step)
    assert checkpoint.clean(tmp_path) == [stale]
    assert checkpoint.clean(tmp_path / "absent") == []
    assert set(names(tmp_path)) == {*before, "step-00000012.safetensors", "step-00000013.safetensors"}
    assert checkpoint.newest(tmp_path) == tmp_path / "step-00000013.safetensors"


def test_atomic_text_replaces(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for text in ("a = 1\n", "é = 2\n"):
        atomic.atomic_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert names(tmp_path) == ["config.toml"]
