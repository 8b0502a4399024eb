"""Signals: arrays and recordings in, cut into windows; the made tones; what is refused, and how that reads."""

import io
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datafiles import mnist_folder, zip_bytes

from minigan import data
from minigan.data import catalogue, recordings, signals, waves
from minigan.data.dataset import Lazy
from minigan.errors import ConfigError, DataError, MiniganError
from minigan.training.sounds import wav

RNG = np.random.default_rng(0)


def load(path: Any, window: int | None = 4) -> data.Dataset:
    return data.load(str(path), value_range=(-1.0, 1.0), window=window)


def every(dataset: data.Dataset) -> np.ndarray:
    return dataset.read(np.arange(len(dataset)))


def pcm(values: bytes, width: int = 2, channels: int = 1, rate: int = 8000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(values)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------------- arrays


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1), (6, 4, 2)])
def test_rows_of_a_window_are_signals(shape: tuple[int, ...], tmp_path: Path) -> None:
    x = RNG.uniform(-1, 1, shape).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    dataset = load(tmp_path / "x.npy")
    assert dataset.shape == (1, 4, shape[2] if len(shape) == 3 else 1) and dataset.rate is None
    assert np.array_equal(every(dataset), x.reshape(6, 1, 4, -1))
    assert isinstance(dataset.rows, np.memmap), "is read from the file, row by row"


def test_longer_rows_are_cut_and_keep_their_labels(tmp_path: Path) -> None:
    x = RNG.uniform(-1, 1, (3, 10, 2)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.array([2, 0, 1]))
    dataset = load(tmp_path / "x.npz")
    assert (len(dataset), dataset.shape, dataset.classes) == (6, (1, 4, 2), ("0", "1", "2"))
    assert np.array_equal(every(dataset), x[:, :8].reshape(6, 1, 4, 2))
    assert dataset.labels is not None and list(dataset.labels) == [2, 2, 0, 0, 1, 1]


def test_large_arrays_are_cut_when_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = RNG.uniform(-1, 1, (5, 9)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr("minigan.data.dataset.MEMORY_BYTES", 8)
    dataset = load(tmp_path / "x.npy")
    assert isinstance(dataset.rows, Lazy)
    assert np.array_equal(dataset.read([9, 0, 3])[:, 0, :, 0], [x[4, 4:8], x[0, :4], x[1, 4:8]])


@pytest.mark.parametrize(("values", "stored"), [((0.0, 1.0), (0, 1)), ((-0.5, 1.0), (-1, 1))])
def test_floats_are_scaled_as_those_of_pictures(values: tuple[float, float], stored: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.tile(np.float32(values), (2, 2)))
    dataset = load(tmp_path / "x.npy")
    low, high = stored
    assert dataset.stored == stored
    np.testing.assert_allclose(every(dataset)[0, 0, :2, 0], [2 * (v - low) / (high - low) - 1 for v in values])


# --------------------------------------------------------------------------------------------------------- recordings

# width in bytes: values as they are stored, lowest, 0, one step up, highest
WIDTHS = {
    1: bytes([0, 128, 129, 255]),
    2: struct.pack("<4h", -(2**15), 0, 1, 2**15 - 1),
    3: b"\x00\x00\x80" + b"\x00\x00\x00" + b"\x01\x00\x00" + b"\xff\xff\x7f",
    4: struct.pack("<4i", -(2**31), 0, 1, 2**31 - 1),
}


@pytest.mark.parametrize("width", WIDTHS)
def test_pcm_of_every_width(width: int, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(pcm(WIDTHS[width], width, rate=11025))
    dataset = load(tmp_path / "a.wav")
    full = 2.0 ** (8 * width - 1)
    assert (dataset.shape, dataset.rate) == ((1, 4, 1), 11025)
    np.testing.assert_array_equal(every(dataset).ravel(), np.float32([-1, 0, 1 / full, 1 - 1 / full]))


@pytest.mark.parametrize("packed", [False, True])
def test_folders_and_zips_of_recordings(packed: bool, tmp_path: Path) -> None:
    """Classes from the folders; stereo; a file's end that fills no window is left out."""
    x = {name: RNG.uniform(-1, 1, (n, 2)) for name, n in (("b/1.wav", 9), ("a/2.WAV", 4), ("a/1.wav", 7))}
    files = {f"sounds/{name}": wav(values, 8000) for name, values in x.items()} | {"sounds/readme.txt": b"hello"}
    if packed:
        (tmp_path / "x.zip").write_bytes(zip_bytes(files))
    else:
        for name, content in files.items():
            (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "x" / name).write_bytes(content)
    dataset = load(tmp_path / ("x.zip" if packed else "x"))
    assert (dataset.shape, dataset.classes, dataset.rate) == ((1, 4, 2), ("a", "b"), 8000)
    assert dataset.labels is not None and list(dataset.labels) == [0, 0, 1, 1]
    want = np.stack([x["a/1.wav"][:4], x["a/2.WAV"][:4], x["b/1.wav"][:4], x["b/1.wav"][4:8]])
    np.testing.assert_allclose(every(dataset)[:, 0], want, atol=2**-15)


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    x = RNG.uniform(-1, 1, (8, 1)).astype(np.float32)
    (tmp_path / "a.wav").write_bytes(wav(x, 8000))
    np.testing.assert_allclose(every(load(tmp_path / "a.wav", 8))[0, 0], x, atol=2**-15)
    assert recordings.decode(wav(np.float32([[2.0], [-2.0]]), 8000), "x").x.ravel().tolist() == [
        1 - 2**-15,
        -1.0,
    ], "clipped"


def test_other_bytes_make_another_fingerprint(tmp_path: Path) -> None:
    prints = set()
    for k in (0, 1):
        (tmp_path / "a.wav").write_bytes(wav(np.full((8, 1), 0.5 + k / 100), 8000))
        prints.add(load(tmp_path / "a.wav").fingerprint)
        np.save(tmp_path / "x.npy", np.full((2, 8), k / 2, np.float32))
        prints.add(load(tmp_path / "x.npy").fingerprint)
    assert len(prints) == 4


# -------------------------------------------------------------------------------------------------------------- tones


def test_tones_are_their_formula() -> None:
    """Each is a e^(-d t) s(f t + phi) to within its hiss: fitted by hand from its own numbers."""
    x, labels = waves.tones(3, 5)
    g = waves.rng.host(5, "waves")
    drawn = g.uniform([0.5, 0.0, 0.0, 0.0], [0.9, 3.0, 1.0, 2.0], (3, 4))
    hiss = 0.01 * g.standard_normal((3, 1024))
    t = np.arange(1024) / 1024
    for k, harmonics in enumerate([[1], [1, 3, 5, 7], range(1, 9)]):
        a, d, phi, octave = drawn[k]

        def s(u: np.ndarray, ks: Any = harmonics) -> np.ndarray:
            return np.sum([np.sin(2 * np.pi * h * u) / h for h in ks], axis=0)

        want = a * np.exp(-d * t) * s(4 * 2**octave * t + phi) / np.abs(s(t)).max() + hiss[k]
        np.testing.assert_allclose(x[k], want, atol=1e-6)
    assert list(labels) == [0, 1, 2]


def test_the_built_in_set() -> None:
    dataset = load("waves", None)
    x = every(dataset)
    assert (x.shape, dataset.rate, dataset.classes) == ((6000, 1, 1024, 1), 16_000, ("pure", "hollow", "bright"))
    assert dataset.labels is not None and list(np.bincount(dataset.labels)) == [2000, 2000, 2000]
    assert 0.8 < np.abs(x).max() <= 1 and dataset.stored == (-1, 1)
    assert not np.array_equal(waves.tones(3, 0)[0], waves.tones(3, 1)[0])
    shorter = load("waves", 256)
    assert len(shorter) == 24_000 and np.array_equal(shorter.read([5])[0, 0], x[1, 0, 256:512])


# ------------------------------------------------------------------------------------------------------------ refused

SOUND = pcm(WIDTHS[2])
Case = tuple[Callable[[Path], Any], str]


def _file(name: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _files(**files: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        for name, content in files.items():
            (folder / name.replace("_", ".")).write_bytes(content)
        return folder

    return write


def _array(x: Any, **more: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        np.savez(folder / "x.npz", x=x, **more)
        return folder / "x.npz"

    return write


FLOATS = np.zeros((3, 8), np.float32)
BAD: dict[str, Case] = {
    "no wav": (_file("a.wav", b"hello, this is text"), r"'a\.wav': is no \.wav file of PCM \(.+\); save it as 16-bit"),
    "empty": (_file("a.wav", b""), r"is no \.wav file of PCM \(EOFError\)"),
    "float wav": (_file("a.wav", SOUND[:20] + b"\3" + SOUND[21:]), r"is no \.wav file of PCM \(unknown format: 3\)"),
    "40 bit": (
        _file("a.wav", SOUND[:34] + b"\x28\0" + SOUND[36:]),
        r"has 40 bit, 1 channels and 8000 samples a second, exp",
    ),
    "truncated": (_file("a.wav", SOUND[:-4]), r"declares 4 samples, but holds 2 \(truncated\); save it again"),
    "too short": (_file("a.wav", pcm(bytes(6))), r"has 3 samples, fewer than data\.window = 4; give a smaller one"),
    "two rates": (
        _files(a_wav=SOUND, b_wav=pcm(bytes(8), rate=44100)),
        r"'b\.wav' has 1 channels at 44100 samples a second, but 'a\.wav' has 1 channels at 8000",
    ),
    "mono, stereo": (_files(a_wav=SOUND, b_wav=pcm(bytes(16), channels=2)), r"'b\.wav' has 2 channels at 8000"),
    "a picture among them": (_files(a_wav=SOUND, b_png=b"x"), r"'b\.png' is no \.wav; convert it, or move it"),
    "no signals": (_array(np.zeros((3, 2, 2, 3), np.float32)), r"shape \(3, 2, 2, 3\), but data\.window asks for sig"),
    "channels first": (_array(np.zeros((3, 2, 99), np.float32)), r"C at most 64, none 0; put channels last"),
    "short rows": (_array(FLOATS[:, :3]), r"rows have 3 samples, fewer than data\.window = 4; give at most 3"),
    "integers": (_array(FLOATS.astype(np.int16)), r"values are int16, expected uint8 or a float type"),
    "too loud": (_array(FLOATS + 2), r"values span 2 to 2, expected floats in \[0,1\] or \[-1,1\], or uint8"),
    "not a number": (_array(FLOATS * np.nan), r"row 0 holds NaN or infinity"),
    "labels": (_array(FLOATS, y=np.arange(2)), r"3 items but 2 labels"),
    "pictures": (
        lambda folder: mnist_folder(folder / "m", np.zeros((3, 4, 4), np.uint8)),
        r"holds no signals, but data\.window = 4 asks for them; leave data\.window out",
    ),
    "a folder of pictures": (_files(a_png=b"x"), r"holds no signals, but data\.window = 4"),
    "points": (lambda folder: "ring8", r"ring8: holds no signals, but data\.window = 4"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    make, says = BAD[case]
    with pytest.raises(DataError, match=says) as caught:
        load(make(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("window", "more", "says"),
    [
        (None, {}, r"holds recordings; give data\.window, a signal's length in samples, as 1024"),
        (0, {}, r"data\.window is 0, expected 1 sample or more"),
        (4, {"size": 8}, r"data\.window is for signals, data\.size and data\.channels for pictures"),
        (4, {"channels": 1}, r"data\.window is for signals"),
    ],
)
def test_a_wrong_window(window: int | None, more: dict[str, int], says: str, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(SOUND)
    with pytest.raises(ConfigError, match=says):
        data.load(str(tmp_path / "a.wav"), value_range=None, window=window, **more)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _files(a_wav=SOUND, b_wav=SOUND)(tmp_path)
    monkeypatch.setattr(recordings, "MEMORY_BYTES", 31)  # both take 32 bytes as float32
    with pytest.raises(DataError, match=r"takes over 31 B as float32; save all as a \.npy"):
        load(tmp_path)
    with pytest.raises(DataError, match="long: takes over 31 B as float32"):
        recordings.decode(pcm(bytes(8), 1), "long")
    with pytest.raises(DataError, match=r"a\.wav: has 52 B, at most 31 B are read; cut it in pieces"):
        load(tmp_path / "a.wav")


@pytest.mark.parametrize("seed", range(40))
def test_any_bytes_are_read_or_refused(seed: int) -> None:
    """One to three bytes of a good file changed, or its end cut off."""
    g = np.random.default_rng(seed)
    content = bytearray(pcm(g.bytes(24), channels=2))
    for at in g.integers(0, 46, g.integers(1, 4)):
        content[at] = g.integers(256)
    try:
        x = recordings.decode(bytes(content[: g.integers(20, len(content) + 1)]), "x").x
        assert x.ndim == 2 and np.isfinite(x).all() and x.size <= 24
    except MiniganError as error:
        assert str(error).startswith("x: ")


def test_every_way_in_is_in_the_table() -> None:
    assert set(catalogue.BY_SUFFIX) >= {*recordings.SUFFIXES} and signals.MOST_CHANNELS == 64
