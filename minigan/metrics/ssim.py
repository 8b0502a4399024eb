"""How alike two pictures are, and how little a class varies: SSIM, its multi-scale form, and their mean over pairs.

    l = (2 mx my + c1) / (mx^2 + my^2 + c1),   cs = (2 sxy + c2) / (sx^2 + sy^2 + c2),   SSIM = mean(l cs)

with means, variances and covariance under a Gaussian window (sigma 1.5) at every place where it fits whole, in pictures
scaled to 0..1, c1 = 0.01^2, c2 = 0.03^2. MS-SSIM halves the pictures (means of 2x2) scale by scale, and is the product
of mean(cs)^w over the scales, of mean(l cs)^w at the last. The paper's 11x11 window and five scales need 176 pixels:
`scales_for` says what smaller pictures get. A negative mean counts as 0, for it has no power.
Sources: Wang et al. 2004, "Image quality assessment"; Wang, Simoncelli & Bovik 2003, "Multiscale structural
similarity"; as a measure of a generator's variety, Odena et al. 2017, arXiv:1610.09585.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.metrics.arrays import Numbers, class_labels, finite

WINDOW, SIGMA = 11, 1.5
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first
C1, C2 = 0.01**2, 0.03**2
_BLOCK = 500  # pairs at a time


class Diversity(NamedTuple):
    """Mean MS-SSIM over pairs (1: all alike), its standard deviation, and how it was measured."""

    mean: float
    std: float
    pairs: int
    scales: int
    window: int


def scales_for(height: int, width: int) -> tuple[int, int]:
    """The size of pictures -> how many scales (1..5), and how wide a window.

    The window is 11, or the widest odd one that fits into smaller pictures; there are as many scales as it fits into.
    8x8: 1 scale, window 7: plain SSIM. 28x28 and 32x32: 2 scales. 64x64: 3. 128x128: 4. From 176x176: 5.
    """
    side = min(height, width)
    window = min(WINDOW, side - 1 + side % 2)
    scales = next(s for s in range(len(WEIGHTS), 0, -1) if side >> (s - 1) >= window)
    return scales, window


def ssim(x: NDArray[Any], y: NDArray[Any], value_range: tuple[float, float] = (0.0, 1.0)) -> Numbers:
    """x, y (N,H,W,C) in `value_range` -> the similarity of each pair (N,), 1 when equal. Raises ValueError."""
    x, y = _same(x, y, value_range)
    return _similarity(x, y, 1, scales_for(*x.shape[1:3])[1])


def ms_ssim(x: NDArray[Any], y: NDArray[Any], value_range: tuple[float, float] = (0.0, 1.0)) -> Numbers:
    """x, y (N,H,W,C) in `value_range` -> the multi-scale similarity of each pair (N,). Raises ValueError."""
    x, y = _same(x, y, value_range)
    return _similarity(x, y, *scales_for(*x.shape[1:3]))


def diversity(
    images: NDArray[Any],
    pairs: int = 1000,
    seed: int = 0,
    labels: NDArray[Any] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
) -> Diversity:
    """images (N,H,W,C) -> the mean MS-SSIM of random pairs of two different ones, of one class when labels are given.

    Pairs of pictures, not of classes: a class has pairs by its share. Pictures alone in their class have none.
    Raises ValueError, also when no two pictures are of one class.
    """
    x = _pictures("images", images, value_range)
    if pairs < 1:
        raise ValueError(f"pairs = {pairs}, expected at least 1")
    kind = np.zeros(len(x), np.int64) if labels is None else class_labels("labels", labels, len(x))
    first, second = _draw_pairs(kind, pairs, np.random.default_rng(seed))
    scales, window = scales_for(*x.shape[1:3])
    found = np.concatenate(
        [
            _similarity(x[first[i : i + _BLOCK]], x[second[i : i + _BLOCK]], scales, window)
            for i in range(0, pairs, _BLOCK)
        ]
    )
    return Diversity(float(found.mean()), float(found.std()), pairs, scales, window)


def _draw_pairs(
    kind: NDArray[np.int64], pairs: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """kind (N,) -> two different rows of one kind, `pairs` times."""
    order = np.argsort(kind, kind="stable")
    _, start, count = np.unique(kind[order], return_index=True, return_counts=True)
    begins, size = np.repeat(start, count), np.repeat(count, count)  # for each place in `order`, its kind's run
    places = np.flatnonzero(size > 1)
    if not len(places):
        raise ValueError(f"{len(kind)} images have no two of one class; draw more")
    first = rng.choice(places, pairs)
    ahead = rng.integers(1, size[first])  # 1..size-1 places on, round its run: any other one
    second = begins[first] + (first - begins[first] + ahead) % size[first]
    return order[first], order[second]


def _pictures(name: str, a: NDArray[Any], value_range: tuple[float, float]) -> Numbers:
    """(N,H,W,C) in `value_range` -> in 0..1."""
    if a.ndim != 4 or 0 in a.shape:
        raise ValueError(f"{name} has shape {a.shape}, expected (N,H,W,C)")
    low, high = value_range
    scaled = (finite(name, a) - low) / (high - low)
    if scaled.min() < -1e-6 or scaled.max() > 1 + 1e-6:
        raise ValueError(f"{name} lies in {a.min():g}..{a.max():g}, expected {low:g}..{high:g}; pass its value_range")
    return scaled


def _same(x: NDArray[Any], y: NDArray[Any], value_range: tuple[float, float]) -> tuple[Numbers, Numbers]:
    if x.shape != y.shape:
        raise ValueError(f"x has shape {x.shape} and y {y.shape}, expected pairs of one shape (N,H,W,C)")
    return _pictures("x", x, value_range), _pictures("y", y, value_range)


def _similarity(x: Numbers, y: Numbers, scales: int, window: int) -> Numbers:
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    product = np.ones((len(x), x.shape[3]))
    for scale, weight in enumerate(weights):
        if scale:
            x, y = _halved(x), _halved(y)
        mx, my = _windowed(x, window), _windowed(y, window)
        vx, vy, vxy = (
            _windowed(a * b, window) - ma * mb for a, b, ma, mb in ((x, x, mx, mx), (y, y, my, my), (x, y, mx, my))
        )
        values = (2 * vxy + C2) / (vx + vy + C2)
        if scale == scales - 1:
            values *= (2 * mx * my + C1) / (mx * mx + my * my + C1)
        mean = values.mean(axis=(1, 2))
        product *= mean if scales == 1 else mean.clip(min=0) ** weight
    return product.mean(axis=1)


def _windowed(x: Numbers, window: int) -> Numbers:
    """x (N,H,W,C) -> its Gaussian means (N, H-window+1, W-window+1, C), one band matrix for each side."""
    along = np.arange(window) - window // 2
    weights = np.exp(-(along**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    down, across = (
        sum(weight * np.eye(side - window + 1, side, i) for i, weight in enumerate(weights)) for side in x.shape[1:3]
    )
    return np.einsum("ph,nhwc,qw->npqc", down, x, across, optimize=True)


def _halved(x: Numbers) -> Numbers:
    """Means of 2x2; an odd last row or column is dropped."""
    n, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
