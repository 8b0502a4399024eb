"""Weights and images that were made ready beforehand give what they themselves give; weights are never out of date."""

from typing import Any

import numpy as np
import pytest
from cpp_isas import BACKENDS, ISAS

from minigan import config
from minigan.backends import oracle, plan
from minigan.backends.planned import Planned
from minigan.errors import BackendError
from minigan.models.layers import ConvTranspose2d
from minigan.models.shapes import Act
from minigan.tasks.gan import GAN

SAME = ((2, 2), (2, 2))
# image (H,W), I, O, kernel, stride, padding
SHAPES: dict[str, tuple[Any, ...]] = {
    "5x5": ((7, 7), 33, 40, 5, (1, 1), SAME),
    "stride 2": ((14, 13), 17, 35, 5, (2, 2), ((1, 2), (1, 2))),
    "few channels": ((9, 8), 3, 16, 4, (2, 1), ((1, 1), (2, 1))),
    "3x3": ((6, 11), 32, 7, 3, (1, 1), ((1, 1), (1, 1))),
}


def drawn(shape: tuple[Any, ...], n: int) -> tuple[np.ndarray, ...]:
    """x, w, dy, and biases of both ends: small whole numbers."""
    (h, w), i, o, k, (sh, sw), ((top, bottom), (left, right)) = shape
    rng = np.random.default_rng(n)
    p, q = (h + top + bottom - k) // sh + 1, (w + left + right - k) // sw + 1
    shapes = ((n, h, w, i), (k, k, i, o), (n, p, q, o), (o,), (i,))
    return tuple(rng.integers(-4, 5, s).astype(np.float32) for s in shapes)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("impl", plan.ALGORITHMS)
@pytest.mark.parametrize("name", SHAPES)
def test_a_ready_kernel_gives_what_the_kernel_gives(name: str, impl: str, isa: str) -> None:
    ops, shape, act = BACKENDS[isa], SHAPES[name], Act("leaky_relu", 0.25)
    hw, *_, stride, padding = shape
    for n in (1, 3, 20):
        x, w, dy, b, b_in = drawn(shape, n)
        ready = ops.prepare_by(impl, "conv2d", x.shape, w, stride, padding)
        back = ops.prepare_by(impl, "conv2d_dgrad", dy.shape, w, stride, padding, hw)
        assert (ready is w) == (back is w) == (impl == "im2col"), "windows are multiplied by w as it lies"
        got = ops.by(impl, "conv2d", x, ready, b, stride, padding, act)
        dx = ops.by(impl, "conv2d_dgrad", dy, back, b_in, stride, padding, hw, act)
        for mine, its in (
            (got, oracle.conv2d(x, w, b, stride, padding, act)),
            (dx, oracle.conv2d_dgrad(dy, w, b_in, stride, padding, hw, act)),
        ):
            error = np.linalg.norm(mine - its) / np.linalg.norm(its)
            assert error <= (2e-6 if impl in plan.INEXACT else 0), f"{name}, N {n}, {impl}, {isa}: {error:.1e}"


def test_what_is_ready_for_another_call_is_not_used() -> None:
    ops, shape = BACKENDS[ISAS[0]], SHAPES["5x5"]
    hw, *_, stride, padding = shape
    x, w, dy, *_ = drawn(shape, 2)
    for impl in ("direct", "fft"):
        ready = ops.prepare_by(impl, "conv2d", x.shape, w, stride, padding)
        for other in plan.ALGORITHMS:  # another implementation, another pass, an image of another size
            plain = ops.by(other, "conv2d_dgrad", dy, w, None, stride, padding, hw)
            assert np.array_equal(ops.by(other, "conv2d_dgrad", dy, ready, None, stride, padding, hw), plain)
            larger = np.pad(x, ((0, 0), (0, 3), (0, 0), (0, 0)))
            plain = ops.by(other, "conv2d", larger, w, None, stride, padding)
            assert np.array_equal(ops.by(other, "conv2d", larger, ready, None, stride, padding), plain)
    with pytest.raises(BackendError, match="fft takes strides to 2"):
        ops.prepare_by("fft", "conv2d", x.shape, w, (3, 3), padding)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("impl", plan.ALGORITHMS)
@pytest.mark.parametrize("name", SHAPES)
def test_a_ready_image_gives_the_bits_that_the_image_gives(name: str, impl: str, isa: str) -> None:
    ops, shape = BACKENDS[isa], SHAPES[name]
    _, *_, stride, padding = shape
    for n in (1, 3, 20):
        x, w, dy, b, _ = drawn(shape, n)
        ready = ops.image_by(impl, x, w, stride, padding)
        assert (ready is x) == (impl == "direct"), "pixels are multiplied where they lie"
        kept = x.copy()
        found = []
        for image in (x, ready):
            dw, db = np.ones_like(w), np.ones_like(b)
            ops.by(impl, "conv2d_wgrad", dy, image, dw, db, stride, padding)
            found.append((ops.by(impl, "conv2d", image, w, b, stride, padding), dw, db))
        assert all(np.array_equal(a, its) for a, its in zip(*found, strict=True)), f"{name}, N {n}, {impl}, {isa}"
        if impl != "direct":
            x[...] = 0  # what was made ready was made of the numbers that x had
            assert np.array_equal(ops.by(impl, "conv2d", ready, w, b, stride, padding), found[0][0])
            x[...] = kept
        for other in plan.ALGORITHMS:  # for another implementation, and for another kernel, the image itself serves
            plain = ops.by(other, "conv2d", x, w, b, stride, padding)
            assert np.array_equal(ops.by(other, "conv2d", ready, w, b, stride, padding), plain)
            other_w = np.ascontiguousarray(w[:, :-1])
            plain = ops.by(other, "conv2d", x, other_w, b, stride, padding)
            assert np.array_equal(ops.by(other, "conv2d", ready, other_w, b, stride, padding), plain)


def test_a_large_batch_is_not_made_ready() -> None:
    ops, shape = BACKENDS[ISAS[0]], SHAPES["3x3"]
    x, w, *_ = drawn(shape, 2000)
    assert ops.image_by("fft", x, w, *shape[-2:]) is x, "it is transformed in pieces, so that these stay in the cache"


@pytest.mark.parametrize("isa", ISAS)
def test_images_are_made_ready_in_training_where_one_implementation_serves_both(isa: str) -> None:
    ops, shape = BACKENDS[isa], SHAPES["5x5"]
    _, *_, stride, padding = shape
    x, w, *_ = drawn(shape, 20)
    assert type(ops.prepare_image(x, w, stride, padding)) is type(ops.image_by("fft", x, w, stride, padding))
    key = (x.shape, w.shape, stride)
    for rows, kept in (
        ({("conv2d", *key): "direct"}, False),
        ({(op, *key): "im2col" for op in ("conv2d", "conv2d_wgrad")}, True),
    ):
        assert (Planned(ops, rows).prepare_image(x, w, stride, padding) is not x) == kept


@pytest.mark.parametrize("backend", [oracle, *BACKENDS.values()], ids=["numpy", *ISAS])
def test_a_net_draws_the_same_prepared_or_not_and_reads_new_weights_after_release(backend: Any) -> None:
    gan = GAN(config.load("dcgan-mnist", ["train.backend=numpy", "model.widths_g=[64, 40, 33]"]), backend, (28, 28, 1))
    z = np.random.default_rng(0).standard_normal((3, 100)).astype(np.float32)
    plain, _ = gan.G.forward(z, mode="running")
    gan.G.prepare(3)
    ready, _ = gan.G.forward(z, mode="running")
    assert np.abs(ready - plain).max() <= 1e-5 * np.abs(plain).max()
    gan.G.release()
    conv = next(layer for layer in gan.G.layers if isinstance(layer, ConvTranspose2d))
    kept = conv.w.copy()
    for draw in (lambda: None, lambda: gan.samples(z, "g")):  # samples leaves nothing ready behind, either
        conv.w[...] = kept
        draw()
        conv.w[...] = 0  # then all samples are alike; by weights made ready before they would not be
        fresh, _ = gan.G.forward(z, mode="running")
        assert np.array_equal(fresh[0], fresh[1]) and not np.array_equal(plain[0], plain[1])


def test_a_training_step_shares_images_and_its_bits_are_as_without() -> None:
    ops, made = BACKENDS[ISAS[0]], []

    class Counting:
        def __getattr__(self, key: str) -> Any:
            return getattr(ops, key)

        def prepare_image(self, x: Any, *rest: Any) -> Any:
            ready = ops.prepare_image(x, *rest)
            made.append(ready is not x)
            return ready

    class Plain(Counting):
        def prepare_image(self, x: Any, *rest: Any) -> Any:
            return x

    given = config.load("dcgan-mnist", ["train.backend=numpy", "train.batch_size=16"])
    real = np.random.default_rng(0).random((16, 28, 28, 1), dtype=np.float32)
    found = []
    for each in (Counting(), Plain()):
        gan = GAN(given, each, (28, 28, 1))
        gan.step([real], 0)
        found.append(gan.tensors())
    assert all(np.array_equal(a, found[1][key]) for key, a in found[0].items())
    assert made == [True] * 7, "both convolutions of D, on real and on generated images, and the three of G"
