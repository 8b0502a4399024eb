"""Good files: what is written is what is read, in every format, at the range, size and channels asked for."""

import gzip
import hashlib
import itertools
import tracemalloc

import numpy as np
import pytest
from datafiles import IDX_CODES, idx_bytes, mnist_folder, noise_picture, npy_bytes, picture, zip_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from minigan import data
from minigan.data import arrays, idx, images
from minigan.errors import DataError

SHAPES = hnp.array_shapes(min_dims=1, max_dims=8, min_side=1, max_side=4)
ANY_FILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def same(a, b):
    """Equal in shape and, NaN included, in value."""
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


@ANY_FILE
@given(
    array=st.sampled_from(sorted(IDX_CODES)).flatmap(lambda code: hnp.arrays(np.dtype(code), SHAPES)),
    packed=st.booleans(),
)
def test_idx_round_trip(tmp_path, array, packed):
    path = tmp_path / ("a.gz" if packed else "a")
    path.write_bytes((gzip.compress if packed else bytes)(idx_bytes(array)))
    found = idx.read(path)
    assert same(found, array) and found.dtype.newbyteorder("=") == array.dtype
    assert not found.flags.writeable
    assert isinstance(found, np.memmap) is not packed


@ANY_FILE
@given(array=st.sampled_from(["u1", "<f2", "<f4", ">f4", ">f8", "<i2", ">u4"]).flatmap(lambda d: hnp.arrays(d, SHAPES)))
def test_npy_round_trip(tmp_path, array):
    path = tmp_path / "a.npy"
    np.save(path, array)
    found = arrays.read_npy(path)
    assert same(found, array) and found.dtype == array.dtype and isinstance(found, np.memmap)


@ANY_FILE
@given(raw=st.binary(max_size=200), start=st.sampled_from(["idx", "npy", "npz", "png", "jpg"]))
def test_any_bytes_are_read_or_refused(tmp_path, raw, start):
    """Whatever follows a right beginning, a reader returns or raises DataError, nothing else."""
    head = {
        "idx": b"\0\0\x08\3",
        "npy": npy_bytes(np.zeros((2, 2), np.float32))[:60],
        "npz": zip_bytes({"x.npy": npy_bytes(np.zeros((2, 2)))})[:50],
        "png": picture()[:40],
        "jpg": picture(kind="JPEG")[:200],
    }[start]
    folder = tmp_path / start
    folder.mkdir(exist_ok=True)
    path = folder / {"idx": idx.IMAGES}.get(start, f"a.{start}")
    path.write_bytes(head + raw)
    name = path if start in ("npy", "npz") else folder
    try:
        dataset = data.load(str(name), value_range=None)
    except DataError as error:
        assert str(error).isprintable() and str(folder) in str(error)
    else:
        assert dataset.read([0]).shape == (1, *dataset.shape)


U8 = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6) * 2


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_folder(tmp_path, low, high, packed):
    labels = np.array([3, 1, 0, 3, 2], np.uint8)
    name = str(mnist_folder(tmp_path / "d", U8, labels, packed))
    dataset = data.load(name, value_range=(low, high))
    assert (dataset.name, len(dataset), dataset.shape) == (name, 5, (4, 6, 1))
    assert dataset.classes == ("0", "1", "2", "3") and dataset.labels.tolist() == labels.tolist()
    assert dataset.labels.dtype == np.int32
    x = dataset.read([4, 0, 4])
    expected = low + (high - low) * U8[[4, 0, 4], ..., None].astype(np.float64) / 255
    assert x.dtype == np.float32 and np.array_equal(x, expected.astype(np.float32))


def test_idx_plain_is_preferred_and_labels_are_optional(tmp_path):
    mnist_folder(tmp_path, U8 + 1, packed=True)
    mnist_folder(tmp_path, U8)
    dataset = data.load(str(tmp_path), value_range=None)
    assert dataset.labels is None and dataset.classes == ()
    assert np.array_equal(dataset.read(range(5))[..., 0], U8)


def test_fingerprint_is_of_the_content(tmp_path):
    prints = [
        data.load(str(mnist_folder(tmp_path / f"{i}", x, y, packed)), value_range=None).fingerprint
        for i, (x, y, packed) in enumerate(
            [(U8, None, False), (U8, None, True), (U8[::-1], None, False), (U8, np.arange(5, dtype=np.uint8), False)]
        )
    ]
    assert prints[0] == prints[1] and len(set(prints)) == 3
    assert all(len(bytes.fromhex(p)) == 32 for p in prints)


def test_fingerprint_of_blocks(monkeypatch):
    """Beyond the cap blocks at even distances count: first and last bytes always do."""
    from minigan.data import dataset

    monkeypatch.setattr(dataset, "HASH_BYTES", 1000)
    monkeypatch.setattr(dataset, "BLOCK_BYTES", 16)
    monkeypatch.setattr(dataset, "BLOCKS", 4)
    x = np.zeros((50, 40), np.uint8)
    plain = dataset.digest(x)
    for row, column, seen in [(0, 0, True), (49, 39, True), (0, 20, False)]:
        y = x.copy()
        y[row, column] = 1
        assert (dataset.digest(y) != plain) is seen, (row, column)


FLOATS = {
    "unit": (np.linspace(0, 1, 4 * 3 * 3, dtype=np.float32).reshape(4, 3, 3), (0.0, 1.0)),
    "signed": (np.linspace(-1, 1, 4 * 3 * 3).reshape(4, 3, 3, 1), (-1.0, 1.0)),
    "big-endian": (np.linspace(-0.5, 1, 4 * 3 * 3).reshape(4, 3, 3).astype(">f4"), (-1.0, 1.0)),
    "half": (np.linspace(0, 0.5, 4 * 3 * 3, dtype=np.float16).reshape(4, 3, 3), (0.0, 1.0)),
}


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("wanted", [(0.0, 1.0), (-1.0, 1.0), None])
def test_float_images(tmp_path, kind, wanted):
    x, stored = FLOATS[kind]
    np.save(tmp_path / "x.npy", x)
    dataset = data.load(str(tmp_path / "x.npy"), value_range=wanted)
    (a, b), (low, high) = stored, wanted or stored
    expected = low + (high - low) * (x.reshape(4, 3, 3, 1).astype(np.float64) - a) / (b - a)
    assert dataset.stored == stored and dataset.shape == (3, 3, 1)
    assert np.allclose(dataset.read(range(4)), expected, rtol=0, atol=2e-7)


def test_float_vectors_keep_their_values(tmp_path):
    x = np.array([[300.0, -7.0], [0.25, 1e-3]])
    np.save(tmp_path / "x.npy", x)
    dataset = data.load(str(tmp_path / "x.npy"), value_range=(-1, 1))
    assert dataset.stored is None and np.array_equal(dataset.read([0, 1]), x.astype(np.float32))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    path = tmp_path / "a.npz"
    save(path, x=U8, y=np.array([0, 1, 1, 0, 2]), other=np.zeros(3))
    dataset = data.load(str(path), value_range=None)
    assert np.array_equal(dataset.read(range(5))[..., 0], U8) and dataset.labels.tolist() == [0, 1, 1, 0, 2]
    save(path, anything=U8)
    dataset = data.load(str(path), value_range=None)
    assert np.array_equal(dataset.read(range(5))[..., 0], U8) and dataset.labels is None


def test_memory_mapped_reads_only_the_rows_asked_for(tmp_path):
    """A sparse file of 8 GiB: reading all of it would not do."""
    path = tmp_path / "x.npy"
    header = npy_bytes(np.zeros((1, 64, 64), np.uint8))[:128].replace(b"(1, 64, 64), }      ", b"(2097152, 64, 64), }")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(128 + 2097152 * 64 * 64)
        file.seek(128 + 2097151 * 64 * 64)
        file.write(bytes([7]) * 64 * 64)
    dataset = data.load(str(path), value_range=None)
    assert len(dataset) == 2097152 and isinstance(dataset.rows, np.memmap)
    tracemalloc.start()
    try:
        values = dataset.read([2097151, 5])[:, 3, 3, 0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert values.tolist() == [7.0, 0.0] and peak < 1 << 20, f"{peak} bytes for two rows of 4 KiB"


PICTURES = {f"{c}/{i}.png": noise_picture(10 * k + i) for k, c in enumerate("ba") for i in range(3)}


@pytest.fixture(params=["folder", "zip", "nested zip"])
def pictures(request, tmp_path):
    """The same six pictures in two classes, in a folder, a zip, and a zip that has one top folder."""
    files = {name: raw for name, (raw, _) in PICTURES.items()}
    if request.param == "folder":
        for name, raw in files.items():
            (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "f" / name).write_bytes(raw)
        return str(tmp_path / "f")
    top = "top/" if request.param == "nested zip" else ""
    extra = {f"{top}README.txt": b"notes", "__MACOSX/x.png": b"no picture", f"{top}.DS_Store": b"x"}
    path = tmp_path / "f.zip"
    path.write_bytes(zip_bytes({f"{top}{name}": raw for name, raw in files.items()} | extra, method=8))
    return str(path)


@pytest.mark.parametrize("lazy", [False, True])
def test_pictures(pictures, lazy, monkeypatch):
    if lazy:
        monkeypatch.setattr("minigan.data.dataset.MEMORY_BYTES", 100)
    dataset = data.load(pictures, value_range=None)
    assert isinstance(dataset.rows, np.ndarray) is not lazy
    assert dataset.classes == ("a", "b") and dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
    expected = [PICTURES[name][1] for name in sorted(PICTURES)]
    assert np.array_equal(dataset.read([5, 0, 3]), np.stack([expected[i] for i in (5, 0, 3)]))


def test_pictures_fingerprint(tmp_path):
    def found(members):
        (tmp_path / "a.zip").write_bytes(zip_bytes(members))
        return data.load(str(tmp_path / "a.zip"), value_range=None).fingerprint

    a, b = noise_picture(1)[0], noise_picture(2)[0]
    prints = [found({"1.png": a, "2.png": b}), found({"2.png": b, "1.png": a}), found({"1.png": b, "2.png": a})]
    assert prints[0] == prints[1] != prints[2]


def test_flat_folder_and_upper_case(tmp_path):
    for name, kind in [("b.PNG", "PNG"), ("a.JPG", "JPEG"), ("c.Jpeg", "JPEG")]:
        (tmp_path / name).write_bytes(picture((10, 20, 30), kind=kind))
    dataset = data.load(str(tmp_path), value_range=None)
    assert (len(dataset), dataset.shape, dataset.labels, dataset.classes) == (3, (8, 8, 3), None, ())
    assert np.abs(dataset.read([0, 1, 2]) - [10, 20, 30]).max() <= 3


ORIENTED = np.zeros((8, 16, 3), np.uint8)
ORIENTED[:, :8] = 255
MODES = {
    "grey": (picture(77, mode="L"), [77]),
    "grey 16": (picture(257 * 77, mode="I;16"), [77]),
    "bit": (picture(1, mode="1"), [255]),
    "RGB": (picture((1, 2, 3)), [1, 2, 3]),
    "RGBA clear": (picture((1, 2, 3, 0), mode="RGBA"), [255, 255, 255]),
    "RGBA half": (picture((0, 100, 200, 51), mode="RGBA"), [204, 224, 244]),
    "grey alpha": (picture((0, 51), mode="LA"), [204]),
    "CMYK": (picture((0, 0, 0, 255), mode="CMYK", kind="JPEG"), [0, 0, 0]),
}


@pytest.mark.parametrize("mode", MODES)
def test_picture_modes(mode):
    raw, expected = MODES[mode]
    pixels = images.decode(raw, mode, None)
    assert pixels.dtype == np.uint8 and pixels.shape == (8, 8, len(expected))
    assert pixels[4, 4].tolist() == expected


def test_palette_becomes_rgb_and_its_transparency_white(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=1)
    plain, clear = ((tmp_path / f"{n}.png").read_bytes() for n in ("plain", "clear"))
    assert images.decode(plain, "plain", None)[0, 0].tolist() == [10, 20, 30]
    assert images.decode(clear, "clear", None)[0, 0].tolist() == [255, 255, 255]


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored rotated: turn clockwise by 90 degrees
    Image.fromarray(ORIENTED).save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = images.decode((tmp_path / "a.jpg").read_bytes(), "a.jpg", 1)
    assert pixels.shape == (16, 8, 1)
    assert pixels[:7].min() > 240 and pixels[9:].max() < 15


@pytest.mark.parametrize(
    ("shape", "channels"), list(itertools.product([(8, 8, 3), (5, 9, 1), (30, 7, 3)], [None, 1, 3]))
)
@pytest.mark.parametrize("size", [None, 4, 12])
def test_fit(shape, channels, size):
    """Mid-range values: beyond 0 and 255 Pillow's bytes, unlike its floats, are cut between its two passes."""
    x = np.random.default_rng(0).integers(100, 156, shape, np.uint8)
    y = images.fit(x, size, channels)
    assert y.dtype == np.uint8 and y.shape == (size or shape[0], size or shape[1], channels or shape[2])
    unit = images.fit((x / 255).astype(np.float32), size, channels)
    assert unit.shape == y.shape and unit.min() >= 0 and unit.max() <= 1
    assert np.abs(unit * 255 - y).max() <= 1.5, "floats and bytes are fitted alike"


@pytest.mark.parametrize("shape", [(8, 24), (24, 8)])
def test_crop_is_central(shape):
    x = np.zeros((*shape, 1), np.uint8)
    middle = tuple(slice(s // 2 - 4, s // 2 + 4) for s in shape)
    x[middle] = 255
    assert (images.fit(x, 8, None) == 255).all()
    assert images.fit(np.roll(x, 4, axis=int(np.argmax(shape))), 8, None).mean() == 255 / 2


def test_luma():
    colours = np.eye(3, dtype=np.uint8).reshape(1, 3, 3) * 255
    assert images.fit(colours, None, 1).ravel().tolist() == [76, 150, 29]
    as_picture = np.concatenate([images.decode(picture(tuple(c)), "c", 1)[0, :1] for c in colours[0].tolist()])
    assert as_picture.ravel().tolist() == [76, 150, 29]


def test_extreme_aspect_is_cropped_before_it_is_resized():
    """Resizing 1 x 100,000 to a shorter side of 512 first would make 26 gigapixels."""
    y = images.fit(np.full((1, 100_000, 1), 9, np.uint8), 512, None)
    assert y.shape == (512, 512, 1) and (y == 9).all()


def test_folder_of_differing_sizes_is_brought_to_one(tmp_path):
    for i, size in enumerate([(8, 8), (9, 20), (30, 10)]):
        (tmp_path / f"{i}.png").write_bytes(picture((7, 7, 7), size=size))
    dataset = data.load(str(tmp_path), value_range=(0, 1), size=6, channels=1)
    assert dataset.shape == (6, 6, 1) and np.allclose(dataset.read([0, 1, 2]), 7 / 255)


@pytest.mark.parametrize(("size", "channels"), [(5, None), (None, 3), (12, 3)])
def test_arrays_are_fitted(tmp_path, size, channels):
    name = str(mnist_folder(tmp_path, U8))
    dataset = data.load(name, value_range=None, size=size, channels=channels)
    expected = np.stack([images.fit(x[..., None], size, channels) for x in U8])
    assert dataset.shape == expected.shape[1:] and np.array_equal(dataset.read(range(5)), expected)


def test_mnist(shared_data, monkeypatch):
    md5 = {
        idx.IMAGES: "6bbc9ace898e44ae57da46a324031adb",
        idx.LABELS: "a25bea736e30d166cdddb491f175f624",
        idx.TEST_IMAGES: "2646ac647ad5339dbf082846283269ea",
        idx.TEST_LABELS: "27ae3e4e09519cfbb04c329615203637",
    }
    for stem, expected in md5.items():
        array = idx.read(shared_data / "mnist" / f"{stem}.gz")
        header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        assert hashlib.md5(header + array.tobytes()).hexdigest() == expected, stem
    monkeypatch.setenv("MINIGAN_DATA", str(shared_data))
    dataset = data.load("mnist", value_range=(-1, 1))
    assert (len(dataset), dataset.shape, dataset.classes) == (60_000, (28, 28, 1), tuple("0123456789"))
    x = dataset.read([0, 59_999])
    assert x.min() == -1 and x.max() == 1 and dataset.labels[:5].tolist() == [5, 0, 4, 1, 9]


def test_cifar_zip(shared_data):
    dataset = data.load(str(shared_data / "images" / "cifar10-10k.zip"), value_range=(-1, 1))
    assert (len(dataset), dataset.shape) == (10_000, (32, 32, 3))
    assert dataset.classes[0] == "airplane" and dataset.classes[-1] == "truck" and len(dataset.classes) == 10
    assert np.bincount(dataset.labels).tolist() == [1000] * 10
    assert dataset.read(range(0, 10_000, 500)).std() > 0.3
