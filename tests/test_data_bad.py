"""Hostile and broken data: one line that names file and rule, bounded memory, nothing written."""

import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from datafiles import (
    idx_bytes,
    mnist_folder,
    noise_picture,
    npy_bytes,
    npy_claiming,
    patched_zip,
    picture,
    png_claiming,
    zip_bytes,
)
from processes import PYTHON, environment

from minigan import data
from minigan.errors import ConfigError, DataError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
PIXELS = np.arange(4 * 6 * 5, dtype=np.uint8).reshape(4, 6, 5)
ONE = np.arange(4, dtype=np.uint8)
GOOD_GZ = gzip.compress(idx_bytes(PIXELS))
NPY = npy_bytes(np.zeros((4, 3), np.float32))


def idx_case(raw, name=IMAGES):
    return {f"d/{name}": raw}, "d"


def labelled(labels):
    return {f"d/{IMAGES}": idx_bytes(PIXELS), f"d/{LABELS}": idx_bytes(labels)}, "d"


def file_case(name, raw):
    return {name: raw}, name


def picture_case(name, raw):
    return {f"f/{name}": raw}, "f"


def zip_case(members, **options):
    return file_case("a.zip", zip_bytes(members, **options))


def npz_case(**arrays):
    return file_case("a.npz", zip_bytes({f"{name}.npy": npy_bytes(a) for name, a in arrays.items()}))


def overlapping_zip():
    """Many central entries that point at one local entry, as in Fifield's zip bombs."""
    noise = np.random.default_rng(0).bytes(4096)
    raw = zip_bytes({"0.png": noise})
    at, end = raw.index(b"PK\1\2"), raw.index(b"PK\5\6")
    entry = raw[at:end]
    entries = b"".join(entry[:46] + b"%d.png" % i for i in range(10))
    tail = raw[end : end + 8] + struct.pack("<HHII", 10, 10, len(entries), at) + b"\0\0"
    return raw[:at] + entries + tail


PNG = noise_picture(0)[0]
JPEG = noise_picture(0, (64, 64), "JPEG")[0]
TWO_IMAGES = {"f/a.png": picture(), "f/b.png": picture(size=(9, 8))}
nan = np.zeros((4, 5, 5), np.float32)
nan[2, 1, 1] = np.nan

# name: ((files to write, what to load), file named, rule named)
CASES = {
    "idx truncated": (idx_case(idx_bytes(PIXELS)[:-1]), IMAGES, "header declares shape"),
    "idx trailing": (idx_case(idx_bytes(PIXELS) + b"x"), IMAGES, "data after the end"),
    "idx header cut": (idx_case(idx_bytes(PIXELS)[:9]), IMAGES, "truncated in its header"),
    "idx empty": (idx_case(b""), IMAGES, "wrong magic"),
    "idx magic": (idx_case(b"\1" + idx_bytes(PIXELS)[1:]), IMAGES, "wrong magic '01000803'"),
    "idx type": (idx_case(b"\0\0\x0a\3" + bytes(12)), IMAGES, "wrong magic '00000a03'"),
    "idx no axes": (idx_case(b"\0\0\x08\0x"), IMAGES, "wrong magic"),
    "idx 255 axes": (idx_case(b"\0\0\x08\xff" + b"\xff" * 1020), IMAGES, "01 to 08 axes"),
    "idx 2^31": (idx_case(idx_bytes(PIXELS, (2**31, 2**31, 2**31))), IMAGES, "header declares shape"),
    "idx product wraps to 0": (idx_case(idx_bytes(PIXELS, (2**31, 2**31, 4))), IMAGES, "header declares shape"),
    "idx zero rows": (idx_case(idx_bytes(PIXELS[:0])), IMAGES, "holds no data"),
    "idx int32 images": (idx_case(idx_bytes(PIXELS.astype("i4"))), IMAGES, "expected uint8"),
    "idx labels alone": (idx_case(idx_bytes(ONE), LABELS), "d", f"holds no {IMAGES}"),
    "gz truncated": (idx_case(GOOD_GZ[:-20], f"{IMAGES}.gz"), IMAGES, "broken gzip stream"),
    "gz crc": (idx_case(GOOD_GZ[:-8] + bytes(4) + GOOD_GZ[-4:], f"{IMAGES}.gz"), IMAGES, "CRC"),
    "gz not gzip": (idx_case(idx_bytes(PIXELS), f"{IMAGES}.gz"), IMAGES, "broken gzip stream"),
    "gz bomb": (idx_case(gzip.compress(idx_bytes(PIXELS) + bytes(1 << 28)), f"{IMAGES}.gz"), IMAGES, "goes on"),
    "gz ends early": (idx_case(gzip.compress(idx_bytes(PIXELS)[:-7]), f"{IMAGES}.gz"), IMAGES, "ends at byte 129"),
    "gz cannot hold": (
        idx_case(gzip.compress(idx_bytes(PIXELS, (2**31, 28, 28))), f"{IMAGES}.gz"),
        IMAGES,
        "cannot hold that",
    ),
    "gz beyond memory": (
        idx_case(gzip.compress(idx_bytes(PIXELS, (2**31, 1, 1))) + bytes(3 << 20), f"{IMAGES}.gz"),
        IMAGES,
        "gunzip it",
    ),
    "labels disagree": (labelled(np.arange(5, dtype=np.uint8)), IMAGES, "4 items but 5 labels"),
    "labels negative": (labelled(np.array([0, 1, -1, 2], np.int32)), IMAGES, "labels span -1 to 2"),
    "labels huge": (labelled(np.array([0, 1, 2, 2**31 - 1], np.int32)), IMAGES, "labels span 0 to 2147483647"),
    "labels 2-D": (labelled(ONE.reshape(2, 2)), IMAGES, "shape (2, 2)"),
    "npy pickled": (file_case("a.npy", npy_bytes(np.array([{}, 1], object))), "a.npy", "pickled Python objects"),
    "npy structured": (file_case("a.npy", npy_bytes(np.zeros(3, "u1,f4"))), "a.npy", "not that of one plain array"),
    "npy code in header": (file_case("a.npy", npy_claiming("<f4' + str(1)")), "a.npy", "not that of one plain array"),
    "npy short": (file_case("a.npy", npy_claiming(shape=(10**9, 10**9), values=bytes(48))), "a.npy", "truncated"),
    "npy trailing": (file_case("a.npy", NPY + b"x"), "a.npy", "data after the end"),
    "npy complex": (file_case("a.npy", npy_bytes(np.zeros((4, 3), complex))), "a.npy", "dtype '<c16'"),
    "npy unknown dtype": (file_case("a.npy", npy_claiming("<f3")), "a.npy", "unknown dtype '<f3'"),
    "npy text": (file_case("a.npy", npy_bytes(np.array(["a", "b"]))), "a.npy", "dtype '<U1'"),
    "npy int64": (file_case("a.npy", npy_bytes(np.zeros((4, 3), int))), "a.npy", "expected uint8"),
    "npy fortran": (file_case("a.npy", npy_bytes(np.asfortranarray(np.ones((4, 3))))), "a.npy", "Fortran order"),
    "npy scalar": (file_case("a.npy", npy_bytes(np.float32(1))), "a.npy", "shape ()"),
    "npy 65 axes": (
        file_case("a.npy", npy_claiming(shape=(1,) * 65, values=bytes(4))),
        "a.npy",
        "expected 1 to 8 axes",
    ),
    "npy no rows": (file_case("a.npy", npy_bytes(np.zeros((0, 3)))), "a.npy", "none 0"),
    "npy magic": (file_case("a.npy", b"PK" + NPY[2:]), "a.npy", "wrong magic"),
    "npy cut": (file_case("a.npy", NPY[:40]), "a.npy", "not that of one plain array"),
    "npy header bomb": (file_case("a.npy", b"\x93NUMPY\2\0\xff\xff\xff\x7f"), "a.npy", "2147483647 bytes"),
    "npy NaN": (file_case("a.npy", npy_bytes(nan)), "a.npy", "row 2 holds NaN"),
    "npy infinity": (file_case("a.npy", npy_bytes(np.array([[1.0], [np.inf]]))), "a.npy", "row 1 holds NaN or inf"),
    "npy range": (file_case("a.npy", npy_bytes(np.full((4, 5, 5), 3.5))), "a.npy", "span 3.5 to 3.5"),
    "npy 0..255 floats": (file_case("a.npy", npy_bytes(np.full((4, 5, 5), 255.0))), "a.npy", "span 255 to 255"),
    "npy channels first": (file_case("a.npy", npy_bytes(np.zeros((4, 3, 8, 8)))), "a.npy", "put channels last"),
    "npz names": (npz_case(a=ONE, b=ONE), "a.npz", "holds arrays 'a', 'b'"),
    "npz none": (npz_case(), "a.npz", "holds arrays none"),
    "npz disagree": (npz_case(x=PIXELS, y=np.arange(3)), "a.npz", "4 items but 3 labels"),
    "npz float labels": (npz_case(x=PIXELS, y=np.zeros(4)), "a.npz", "labels are float64"),
    "npz pickled": (npz_case(x=np.array([None, {}], object)), "a.npz", "array 'x': holds pickled"),
    "npz no zip": (file_case("a.npz", b"PK\3\4 nothing"), "a.npz", "no readable zip archive"),
    "npz member too large": (
        file_case("a.npz", patched_zip(zip_bytes({"x.npy": NPY}), 20, b"\xff\xff\xff\x7f" * 2)),
        "a.npz",
        "'x.npy' declares 2 GiB, at most 1 GiB are read",
    ),
    "npz short array": (
        file_case("a.npz", zip_bytes({"x.npy": npy_claiming(shape=(10**9, 9), values=bytes(9))})),
        "a.npz",
        "truncated",
    ),
    "zip bomb": (zip_case({"a/x.png": bytes(1 << 24)}, method=zipfile.ZIP_DEFLATED), "a.zip", "'a/x.png' is refused"),
    "zip of many bombs": (
        zip_case({f"{i}.png": bytes(1 << 19) for i in range(64)}, method=zipfile.ZIP_DEFLATED),
        "a.zip",
        "declares over 200 times its own size",
    ),
    "zip overlap": (file_case("a.zip", overlapping_zip()), "a.zip", "members overlap"),
    "zip understates": (
        file_case("a.zip", patched_zip(zip_bytes({"x.png": bytes(1 << 16)}, method=8), 24, b"\x40\0\0\0")),
        "a.zip",
        "cannot be unpacked",
    ),
    "zip overstates": (
        file_case("a.zip", patched_zip(zip_bytes({"x.png": PNG}, method=8), 24, b"\0\0\1\0")),
        "a.zip",
        "65536 are declared",
    ),
    "zip crc": (file_case("a.zip", zip_bytes({"x.png": PNG}).replace(PNG, PNG[:-1] + b"x")), "a.zip", "CRC"),
    "zip parent": (zip_case({"../x.png": PNG}), "a.zip", "'../x.png' is refused: its name leaves"),
    "zip absolute": (zip_case({"/etc/x.png": PNG}), "a.zip", "its name leaves the archive"),
    "zip backslash": (zip_case({"a\\..\\x.png": PNG}), "a.zip", "its name leaves the archive"),
    "zip encrypted": (
        file_case("a.zip", patched_zip(zip_bytes({"x.png": PNG}), 8, b"\1\0")),
        "a.zip",
        "it is encrypted; pack",
    ),
    "zip lzma": (zip_case({"x.png": PNG}, method=zipfile.ZIP_LZMA), "a.zip", "neither 'stored' nor 'deflate'"),
    "zip nested": (zip_case({"x.png": PNG, "b.zip": zip_bytes({"y.png": PNG})}), "a.zip", "'b.zip' is neither"),
    "zip empty": (zip_case({}), "a.zip", "holds no pictures"),
    "zip twice": (
        file_case("a.zip", zip_bytes({"a.png": PNG, "b.png": PNG}).replace(b"b.png", b"a.png")),
        "a.zip",
        "'a.png' is there 2 times",
    ),
    "zip truncated": (file_case("a.zip", zip_bytes({"x.png": PNG})[:-30]), "a.zip", "no readable zip archive"),
    "zip control characters": (zip_case({"\x1b[2J\nx.gif": PNG}), "a.zip", "is neither PNG nor JPEG"),
    "png 10^9 pixels": (
        picture_case("a.png", png_claiming(40000, 25000)),
        "f",
        "'a.png': its header claims 40000 x 25000",
    ),
    "png 2^31": (picture_case("a.png", png_claiming(2**31 - 1, 2**31 - 1)), "f", "its header claims"),
    "png truncated": (picture_case("a.png", noise_picture(1, (64, 64))[0][:-3000]), "f", "'a.png': cannot be decoded"),
    "png header alone": (picture_case("a.png", PNG[:20]), "f", "'a.png': cannot be decoded"),
    "jpeg truncated": (picture_case("a.jpg", JPEG[: len(JPEG) // 2]), "f", "'a.jpg': cannot be decoded"),
    "gif named png": (picture_case("a.png", picture(kind="GIF")), "f", "neither PNG nor JPEG"),
    "picture empty": (picture_case("a.png", b""), "f", "neither PNG nor JPEG"),
    "folder of other things": (picture_case("a.webp", b"RIFF"), "f", "'a.webp' is neither PNG nor JPEG"),
    "folder without pictures": (picture_case("readme.txt", b"hello"), "f", "holds no pictures"),
    "folder of sizes": (
        (TWO_IMAGES, "f"),
        "f",
        "'b.png' is (H,W,C) = (8, 9, 3), but 'a.png' is (8, 8, 3); give data.size",
    ),
    "folder of channels": (
        ({"f/a.png": picture(9, mode="L"), "f/b.png": picture()}, "f"),
        "f",
        "give data.size and data.channels",
    ),
    "folder of depths": (({"f/a.png": PNG, "f/b/c.png": PNG}, "f"), "f", "'a.png' and 'b/c.png' lie at odd depths"),
    "picture of 65 MiB": (picture_case("a.png", PNG + bytes(65 << 20)), "f", "a.png: has 65 MiB, at most 64 MiB"),
    "unknown suffix": (file_case("a.tar", b"x"), "a.tar", "unknown kind of data"),
}


def write(folder, files):
    for name, raw in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


def contents(folder):
    return {str(p): p.stat().st_size for p in folder.rglob("*")}


def refused(name, **options):
    """The message of the error that `load` raises, checked to be one printable line."""
    with pytest.raises(DataError) as caught:
        data.load(str(name), **{"value_range": (-1, 1), **options})
    message = str(caught.value)
    assert message.isprintable(), f"not one printable line: {message!r}"
    return message


@pytest.mark.parametrize("case", CASES)
def test_bad_file(tmp_path, case):
    (files, name), file, rule = CASES[case]
    write(tmp_path, files)
    before = contents(tmp_path)
    tracemalloc.start()
    try:
        message = refused(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rule in message
    assert str(tmp_path / name) in message and file in message, message
    assert peak < 64 << 20, f"{peak} bytes were allocated"
    assert contents(tmp_path) == before


BOMBS = ("gz bomb", "zip bomb", "zip understates", "png 10^9 pixels", "png 2^31", "npy short", "npy header bomb")
MEASURE = """
import json, resource, sys
from minigan import data
from minigan.errors import DataError
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        data.load(name, value_range=(-1, 1))
    except DataError:
        continue
    sys.exit(f"{name} was read")
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux alone")
def test_bombs_take_no_memory(tmp_path):
    names = []
    for i, case in enumerate(BOMBS):
        files, name = CASES[case][0]
        write(tmp_path / str(i), files)
        names.append(str(tmp_path / str(i) / name))
    command = [*PYTHON, "-c", MEASURE, *names]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) < 48 << 10, f"resident memory grew by {done.stdout} KiB"


def test_empty_folder(tmp_path):
    assert "holds no pictures" in refused(tmp_path)


def test_missing_path(tmp_path):
    assert "no path that exists" in refused(tmp_path / "gone.npy")


@pytest.mark.parametrize("name", ["mnits", "digit", "", "nothing like it", "a\0b"])
def test_unknown_name(name):
    message = refused(name)
    assert repr(name) in message and "no built-in set" in message


def test_unknown_name_names_the_nearest():
    assert "did you mean 'fashion-mnist'?" in refused("fashion_mnist")


@pytest.fixture
def alarm():
    """Turns a read that blocks into a failure."""

    def ring(*_):
        raise AssertionError("blocked on a file that is not regular")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.zip", f"d/{IMAGES}", f"d/{IMAGES}.gz", "f/a.png"])
def test_fifo_is_never_opened(tmp_path, alarm, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    message = refused(path if path.parent == tmp_path else path.parent)
    assert f"{path}: is a FIFO, expected a regular file" in message


def test_device_is_never_opened(tmp_path, alarm):
    (tmp_path / "a.npy").symlink_to("/dev/zero")
    assert "is a character device" in refused(tmp_path / "a.npy")


def test_folder_named_as_a_file(tmp_path):
    (tmp_path / f"d/{IMAGES}").mkdir(parents=True)
    assert "is a folder, expected a regular file" in refused(tmp_path / "d")


def test_path_with_a_line_break(tmp_path):
    (tmp_path / "a\nb.npy").write_bytes(NPY[:40])
    assert r"a\nb.npy" in refused(tmp_path / "a\nb.npy")


def test_broken_link(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone")
    assert f"{tmp_path / 'a.png'}: cannot be read" in refused(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path):
    (tmp_path / "a.npy").write_bytes(NPY)
    (tmp_path / "a.npy").chmod(0)
    assert "cannot be opened" in refused(tmp_path / "a.npy")


def test_open_that_is_denied(tmp_path, monkeypatch):
    (tmp_path / "a.npy").write_bytes(NPY)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", denied)
    message = refused(tmp_path / "a.npy")
    assert "cannot be opened" in message and "Permission denied" in message


def test_labels_beyond_the_known_classes(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_DATA", str(tmp_path))
    mnist_folder(tmp_path / "mnist", PIXELS, ONE + 7)
    assert "labels span 7 to 10, expected 0 to 9" in refused("mnist")


def test_lazy_picture_that_breaks_later(tmp_path, monkeypatch):
    """Beyond the memory cap pictures are decoded on read, and errors come then."""
    monkeypatch.setattr("minigan.data.dataset.MEMORY_BYTES", 100)
    write(tmp_path, TWO_IMAGES)
    dataset = data.load(str(tmp_path / "f"), value_range=(0, 1))
    assert dataset.read([0]).shape == (1, 8, 8, 3)
    with pytest.raises(DataError, match=r"'b\.png' is"):
        dataset.read([0, 1])


@pytest.mark.parametrize(
    "options",
    [{"size": 0}, {"size": 10**6}, {"channels": 2}, {"value_range": (1.0, 1.0)}, {"value_range": (float("nan"), 1.0)}],
    ids=str,
)
def test_bad_options(options):
    with pytest.raises(ConfigError, match=f"data.{next(iter(options))} is"):
        data.load("digits", **{"value_range": (0.0, 1.0), **options})


def test_size_of_vectors():
    assert "leave them out" in refused("ring8", size=8)


def test_compressed_text_chunk_bomb(tmp_path):
    """A PNG may carry text that unpacks to gigabytes."""
    text = b"k\0\0" + zlib.compress(bytes(1 << 26))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    write(tmp_path, {"f/a.png": PNG[:33] + chunk + PNG[33:]})
    tracemalloc.start()
    try:
        message = refused(tmp_path / "f")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "'a.png': cannot be decoded" in message
    assert peak < 16 << 20, f"{peak} bytes were allocated"
