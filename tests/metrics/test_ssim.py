"""metrics/ssim.py: pictures by hand, and SciPy's Gaussian filter in place of its own."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from minigan.metrics.ssim import C1, C2, SIGMA, WEIGHTS, diversity, ms_ssim, scales_for, ssim
from minigan.metrics.ssim import _draw_pairs as draw_pairs

SIZES = {
    (8, 8): (1, 7),
    (28, 28): (2, 11),
    (32, 32): (2, 11),
    (64, 64): (3, 11),
    (128, 128): (4, 11),
    (176, 176): (5, 11),
    (512, 512): (5, 11),
    (175, 300): (4, 11),
    (9, 40): (1, 9),
    (4, 4): (1, 3),
    (1, 1): (1, 1),
}


@pytest.mark.parametrize("size", SIZES)
def test_scales_and_window_by_size(size: tuple[int, int]) -> None:
    assert scales_for(*size) == scales_for(*size[::-1]) == SIZES[size]


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape)


@pytest.mark.parametrize("shape", [(3, 8, 8, 1), (2, 28, 28, 3), (1, 45, 64, 1)])
def test_a_picture_is_like_itself(shape: tuple[int, ...]) -> None:
    x = noise(0, *shape)
    for measure in (ssim, ms_ssim):
        assert measure(x, x) == pytest.approx(np.ones(len(x)), abs=1e-12)
        assert (measure(x, noise(1, *shape)) < 0.6).all()


def test_constant_pictures_differ_in_luminance_alone() -> None:
    a, b = np.full((1, 28, 28, 1), 0.2), np.full((1, 28, 28, 1), 0.8)
    luminance = (2 * 0.2 * 0.8 + 1e-4) / (0.2**2 + 0.8**2 + 1e-4)
    assert ssim(a, b) == pytest.approx(luminance, rel=1e-12)
    last = 0.2856 / (0.0448 + 0.2856)  # the second of two scales
    assert ms_ssim(a, b) == pytest.approx(luminance**last, rel=1e-12)


def test_a_negative_has_a_negative_similarity_at_one_scale_and_none_at_more() -> None:
    for size, least in ((8, -0.9), (32, -0.9)):
        x = noise(0, 1, size, size, 1)
        assert ms_ssim(x, 1 - x) == pytest.approx(ssim(x, 1 - x) if size == 8 else 0, abs=1e-12)
        assert ssim(x, 1 - x) < least


def plain(x: np.ndarray, y: np.ndarray, radius: int) -> tuple[float, float]:
    """x, y (H,W) -> mean of cs, mean of l cs."""
    inside = (slice(radius, x.shape[0] - radius), slice(radius, x.shape[1] - radius))

    def mean(a: np.ndarray) -> np.ndarray:
        return gaussian_filter(a, SIGMA, radius=radius)[inside]

    mx, my = mean(x), mean(y)
    cs = (2 * (mean(x * y) - mx * my) + C2) / (mean(x * x) - mx**2 + mean(y * y) - my**2 + C2)
    return cs.mean(), (cs * (2 * mx * my + C1) / (mx**2 + my**2 + C1)).mean()


@pytest.mark.parametrize(("height", "width"), [(8, 8), (28, 31), (33, 28)])
def test_they_are_what_another_filter_gives(height: int, width: int) -> None:
    x = noise(0, 1, height, width, 1)
    y = 0.7 * x + 0.3 * noise(1, *x.shape)
    scales, window = scales_for(height, width)
    radius = window // 2
    a, b = x[0, :, :, 0], y[0, :, :, 0]
    cs, whole = plain(a, b, radius)
    assert ssim(x, y) == pytest.approx(whole, rel=1e-10)
    if scales == 1:
        assert ms_ssim(x, y) == pytest.approx(whole, rel=1e-10)
        return
    a, b = (
        (m[:-1:2, :-1:2] + m[1::2, :-1:2] + m[:-1:2, 1::2] + m[1::2, 1::2]) / 4
        for m in (m[: height // 2 * 2, : width // 2 * 2] for m in (a, b))
    )
    first, second = np.array(WEIGHTS[:2]) / sum(WEIGHTS[:2])
    assert ms_ssim(x, y) == pytest.approx(cs**first * plain(a, b, radius)[1] ** second, rel=1e-10)


def test_channels_are_averaged_and_the_range_is_stated() -> None:
    x, y = noise(0, 4, 12, 12, 2), noise(1, 4, 12, 12, 2)
    each = [ssim(x[..., c : c + 1], y[..., c : c + 1]) for c in range(2)]
    assert ssim(x, y) == pytest.approx(np.mean(each, axis=0), rel=1e-12)
    assert ssim(2 * x - 1, 2 * y - 1, (-1.0, 1.0)) == pytest.approx(ssim(x, y), rel=1e-9)


def test_pairs_are_of_two_of_one_class_and_all_are_drawn_alike() -> None:
    kind = np.array([7, 2, 2, 7, 7, 5])
    pairs = 8000
    first, second = draw_pairs(kind, pairs, np.random.default_rng(0))
    drawn, counts = np.unique(np.column_stack([first, second]), axis=0, return_counts=True)
    assert {tuple(p) for p in drawn.tolist()} == {(0, 3), (3, 0), (0, 4), (4, 0), (3, 4), (4, 3), (1, 2), (2, 1)}
    expected = np.where(kind[drawn[:, 0]] == 7, pairs / 5 / 2, pairs / 5)  # each first one of five; then any other
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()


def test_diversity() -> None:
    x = np.concatenate([np.full((10, 8, 8, 1), value) for value in (0.2, 0.8)])
    labels = np.repeat([0, 1], 10)
    assert diversity(x, labels=labels) == (pytest.approx(1, abs=1e-12), pytest.approx(0, abs=1e-9), 1000, 1, 7)
    mixed = diversity(x, pairs=2000, seed=1)
    other = (0.32 + 1e-4) / (0.68 + 1e-4)  # the luminance of two pictures of different value: 10 in 19 pairs
    expected = 9 / 19 + 10 / 19 * other
    assert mixed.mean == pytest.approx(expected, abs=4 * mixed.std / np.sqrt(2000))
    assert diversity(x, 50, 1) == diversity(x, 50, 1) != diversity(x, 50, 2)
