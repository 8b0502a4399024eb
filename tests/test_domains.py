"""Two domains without pairs: which pictures are in which, how they are shuffled, and what makes B of A."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from minigan import data
from minigan.data.domains import TRANSFORMS, Unpaired, open_domains, outlined, slanted, upright
from minigan.errors import DataError

RANGE = (-1.0, 1.0)
load = partial(data.load, value_range=RANGE)


def test_no_picture_is_in_both_and_all_are_in_one() -> None:
    whole = load("digits")
    both = open_domains(load, "digits", "outlined")
    n = len(whole)
    assert (len(both.a), len(both.b), len(both)) == ((n + 1) // 2, n // 2, n // 2)
    np.testing.assert_array_equal(both.a.read([0, 1, 5]), whole.read([0, 2, 10]))
    np.testing.assert_array_equal(both.b.read([0, 1, 5]), outlined(whole.read([1, 3, 11]), RANGE))
    assert whole.labels is not None
    np.testing.assert_array_equal(both.b.labels, whole.labels[1::2])


def test_an_item_is_both_pictures_side_by_side() -> None:
    both = open_domains(load, "digits", "inverted-slanted")
    assert both.shape == (8, 8, 2) and both.labels is None and both.value_range == both.stored == RANGE
    x = both.read([3, 4])
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[..., :1], both.a.read([3, 4]))
    np.testing.assert_array_equal(x[..., 1:], both.b.read([3, 4]))


def test_each_domain_is_shuffled_for_itself_and_seen_whole() -> None:
    both = open_domains(load, "digits", "outlined")
    batches = Unpaired(both, 8, seed=3)
    x = np.concatenate([batches.at(k)[0] for k in range(batches.per_epoch)])
    used = batches.per_epoch * 8
    orders = []
    for side, of in enumerate((both.a, both.b)):
        known = {row.tobytes(): i for i, row in enumerate(of.read(np.arange(len(of))))}
        orders.append([known[row.tobytes()] for row in np.ascontiguousarray(x[..., side : side + 1])])
        assert len(set(orders[-1])) >= used - 5  # a few digits of 8x8 pixels are there twice
        assert orders[-1] != sorted(orders[-1])
    assert np.equal(*orders).mean() < 0.05, "both in one order"
    np.testing.assert_array_equal(batches.at(7)[0], Unpaired(both, 8, seed=3).at(7)[0])
    assert not np.array_equal(batches.at(7)[0], Unpaired(both, 8, seed=4).at(7)[0])


def test_another_data_set_is_domain_b(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", np.full((20, 8, 8), 255, np.uint8))
    both = open_domains(load, "digits", str(tmp_path / "b.npy"))
    assert (len(both.a), len(both.b), len(both)) == (1797, 20, 20)
    np.testing.assert_array_equal(both.read([2])[..., 1], 1.0)
    batches = Unpaired(both, 10, seed=0)
    assert batches.per_epoch == 2
    seen = np.concatenate([batches.at(k)[0][..., 0] for k in range(20)])  # A's epoch is longer, and goes on
    assert len(np.unique(seen, axis=0)) > 190


def test_fingerprints_tell_domains_apart(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", np.zeros((20, 8, 8), np.uint8))
    others = (*TRANSFORMS, str(tmp_path / "b.npy"), "digits")
    assert len({open_domains(load, "digits", other).fingerprint for other in others}) == len(others)


def test_slanted_leans_to_the_right_about_the_middle() -> None:
    x = np.zeros((1, 5, 7, 1))
    x[0, :, 3] = 1
    y = slanted(x, 1.0)[0, :, :, 0]
    assert [int(row.argmax()) for row in y] == [5, 4, 3, 2, 1] and y.max(axis=1).tolist() == [1] * 5
    halves = slanted(x, 0.5)[0, 1, :, 0]
    assert halves.tolist() == [0, 0, 0, 0.5, 0.5, 0, 0]
    np.testing.assert_array_equal(slanted(np.full((2, 4, 4, 3), 7.0), 0.3), np.full((2, 4, 4, 3), 7.0))


def test_upright_takes_back_what_inverted_slanted_did() -> None:
    x = load("digits").read(np.arange(50))
    smooth = (x + np.roll(x, 1, 2) + np.roll(x, -1, 2)) / 3  # interpolation blurs what changes from pixel to pixel
    there = TRANSFORMS["inverted-slanted"](smooth, RANGE)
    assert np.abs(there + smooth).mean() > 0.1  # it is no negative alone
    assert np.abs(upright(there, RANGE) - smooth)[:, 1:-1, 2:-2].mean() < 0.1
    flat = np.full((1, 4, 4, 1), 0.25)
    np.testing.assert_allclose(TRANSFORMS["inverted-slanted"](flat, (0.0, 1.0)), 0.75)


def test_outlined_is_the_contour() -> None:
    x = np.zeros((1, 5, 6, 1))
    x[0, 2, 2:4] = 1.0
    expected = np.zeros((5, 6))
    expected[1:4, 1:5] = 1.0
    expected[2, 2:4] = 0.0
    np.testing.assert_array_equal(outlined(x, (0.0, 1.0))[0, :, :, 0], expected)
    np.testing.assert_array_equal(outlined(2 * x - 1, RANGE)[0, :, :, 0], 2 * expected - 1)


def test_domains_that_are_no_pictures_alike_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", np.zeros((20, 9, 8), np.uint8))
    np.save(tmp_path / "one.npy", np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(DataError, match=r"pictures \(8, 8, 1\) and B .* \(9, 8, 1\), .*; give data\.size and"):
        open_domains(load, "digits", str(tmp_path / "large.npy"))
    with pytest.raises(DataError, match=r"ring8 holds items \(2,\), but a domain is of pictures in a range"):
        open_domains(load, "ring8", "outlined")
    with pytest.raises(DataError, match=r"holds items .* but a domain is of pictures in a range"):
        open_domains(partial(data.load, value_range=None), "digits", "outlined")
    with pytest.raises(DataError, match=r"data\.other: data 'outline' is no .*; or inverted-slanted or outlined, w"):
        open_domains(load, "digits", "outline")
    with pytest.raises(DataError, match=r"holds a single picture, of which no two domains are made"):
        open_domains(load, str(tmp_path / "one.npy"), "outlined")
