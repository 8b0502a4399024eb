"""Built-in sets and their table."""

import numpy as np
import pytest
from datafiles import mnist_folder

from minigan import data
from minigan.data import catalogue, digits
from minigan.errors import DataError


def test_digits_are_the_published_ones():
    datasets = pytest.importorskip("sklearn.datasets")
    published = datasets.load_digits()
    dataset = data.load("digits", value_range=(0, 1))
    assert np.array_equal(dataset.read(range(1797))[..., 0], published.images / 16)
    assert np.array_equal(dataset.labels, published.target)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0)])
def test_digits(low, high):
    dataset = data.load("digits", value_range=(low, high))
    assert (dataset.shape, dataset.classes, len(dataset)) == ((8, 8, 1), tuple("0123456789"), 1797)
    values = np.unique(dataset.read(range(1797)))
    assert values.tolist() == [low + (high - low) * u / 16 for u in range(17)]


def test_digits_file_is_small_and_attributed():
    assert digits.FILE.stat().st_size <= 100 * 1024
    note = digits.FILE.with_name("DIGITS.md").read_text("utf-8")
    assert all(word in note for word in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0"))


def test_digits_grow():
    dataset = data.load("digits", value_range=(-1, 1), size=16, channels=3)
    x = dataset.read([0, 1])
    assert x.shape == (2, 16, 16, 3) and x.min() >= -1 and x.max() <= 1 and (x[..., 0] == x[..., 2]).all()


@pytest.mark.parametrize(("name", "modes", "std"), [("ring8", 8, 0.02), ("grid25", 25, 0.05)])
def test_gaussian_toys(name, modes, std):
    dataset = data.load(name, value_range=None)
    centres = data.toys.centres(name)
    x = dataset.read(range(len(dataset)))
    assert centres.shape == (modes, 2) and dataset.shape == (2,) and x.dtype == np.float32
    distance = np.linalg.norm(x[:, None] - centres, axis=2)
    assert np.array_equal(distance.argmin(axis=1), dataset.labels)
    assert len(set(np.bincount(dataset.labels))) == 1 and len(dataset.classes) == modes
    spread = (x - centres[dataset.labels]).std(axis=0)
    assert np.abs(spread / std - 1).max() < 0.03, spread


def test_ring_and_grid_centres():
    assert np.allclose(np.linalg.norm(data.toys.centres("ring8"), axis=1), 2)
    assert sorted(map(tuple, data.toys.centres("grid25").tolist())) == [
        (float(a), float(b)) for a in range(-4, 5, 2) for b in range(-4, 5, 2)
    ]
    with pytest.raises(DataError, match="'moons' has no centres"):
        data.toys.centres("moons")


def test_moons():
    dataset = data.load("moons", value_range=None)
    x, upper = dataset.read(range(len(dataset))).astype(np.float64), dataset.labels == 0
    for points, centre, side in [(x[upper], (0, 0), 1), (x[~upper], (1, 0.5), -1)]:
        radius = np.linalg.norm(points - centre, axis=1)
        assert abs(radius.mean() - 1) < 0.01 and abs(radius.std() - 0.05) < 0.005
        assert (side * (points[:, 1] - centre[1]) > -0.3).all()


@pytest.mark.parametrize("name", ["digits", "ring8", "grid25", "moons", "waves"])
def test_built_in_sets_are_the_same_each_time(name):
    a, b = (data.load(name, value_range=None) for _ in range(2))
    assert a.fingerprint == b.fingerprint and np.array_equal(a.read(range(99)), b.read(range(99)))


def test_digits_never_change():
    expected = "b1928e6c218481fdd34e37bb6ffd58ff76e98463514c32426c308c265f737f70"
    assert data.load("digits", value_range=None).fingerprint == expected


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine without fetched data; the cache folder is below the returned path."""
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_absent_set_says_what_to_do(nowhere, name):
    with pytest.raises(DataError) as caught:
        data.load(name, value_range=(-1, 1))
    message = str(caught.value)
    assert f"minigan data fetch {name}" in message and str(nowhere / "minigan" / name) in message
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        assert f"{part}-ubyte.gz" in message
    assert message.isprintable()


def test_named_set_is_found_in_the_data_folder_then_the_cache(nowhere, monkeypatch):
    x = np.zeros((3, 4, 4), np.uint8)
    mnist_folder(nowhere / "minigan" / "fashion-mnist", x)
    mnist_folder(nowhere / "own" / "fashion-mnist", x + 255, np.arange(3, dtype=np.uint8), packed=True)
    assert data.load("fashion-mnist", value_range=(0, 1)).read([0]).max() == 0
    monkeypatch.setenv("MINIGAN_DATA", str(nowhere / "own"))
    dataset = data.load("fashion-mnist", value_range=(0, 1))
    assert dataset.read([0]).min() == 1 and dataset.classes[9] == "Ankle boot" and len(dataset.classes) == 10


def test_describe(nowhere):
    rows = {row.name: row for row in data.describe()}
    assert list(rows) == ["digits", "mnist", "fashion-mnist", "ring8", "grid25", "moons", "waves"]
    assert rows["mnist"].where is None and rows["digits"].where == "in the package"
    assert rows["digits"].licence == "CC BY 4.0"
    mnist_folder(nowhere / "minigan" / "mnist", np.zeros((1, 4, 4), np.uint8))
    assert {row.name: row for row in data.describe()}["mnist"].where == str(nowhere / "minigan" / "mnist")


@pytest.mark.parametrize("name", ["digits", "ring8", "grid25", "moons", "waves"])
def test_table_tells_the_size(name):
    dataset = data.load(name, value_range=None)
    shape = "x".join(map(str, dataset.shape[:2]))
    assert catalogue.BUILTIN[name].size.startswith(f"{len(dataset):,} x {shape}")
