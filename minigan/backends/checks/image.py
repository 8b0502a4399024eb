"""The rules of ops that move or mix pixels. x (N,H,W,C) throughout."""

from minigan.backends.checks.rules import in_range, per_sample, rule, with_channels
from minigan.errors import ShapeError
from minigan.models.shapes import Array, Pads, expect, expect_some


def _even(x: Array) -> None:
    expect_some("x", x, 4)
    if x.shape[1] % 2 or x.shape[2] % 2:
        raise ShapeError(f"an image of {x.shape[1]}x{x.shape[2]} cannot be cut in 2x2 blocks; give even sizes")


@rule("x")
def upsample2x(x: Array) -> None:
    expect_some("x", x, 4)


@rule("dy")
def upsample2x_backward(dy: Array) -> None:
    _even(dy)


@rule("x")
def avgpool2x(x: Array) -> None:
    _even(x)


@rule("dy")
def avgpool2x_backward(dy: Array) -> None:
    expect_some("x", dy, 4)


@rule("x")
def pad(x: Array, padding: Pads) -> None:
    expect_some("x", x, 4)


@rule("dy")
def pad_backward(dy: Array, padding: Pads) -> None:
    expect_some("dy", dy, 4)
    (top, bottom), (left, right) = padding
    if dy.shape[1] - bottom <= top or dy.shape[2] - right <= left:
        raise ShapeError(
            f"dy has shape {dy.shape}, too small to hold padding {padding}, "
            f"expected at least {top + bottom + 1}x{left + right + 1}"
        )


@rule("x y")
def concat(x: Array, y: Array) -> None:
    with_channels("x", x)
    expect("y", y, *x.shape[:-1], None)


@rule("x")
def split(x: Array, first: int) -> None:
    with_channels("x", x)
    if not 0 < first < x.shape[-1]:
        raise ShapeError(f"cannot split {x.shape[-1]} channels after {first}")


@rule("x index#")
def gather_pixels(x: Array, index: Array) -> None:
    expect_some("x", x, 4)
    expect("index", index, x.shape[0], None)
    in_range("index", index, -1, x.shape[1] * x.shape[2] - 1)


@rule("dy index#")
def gather_pixels_backward(dy: Array, index: Array, hw: tuple[int, int]) -> None:
    expect_some("dy", dy, 3)
    expect("index", index, *dy.shape[:2])
    in_range("index", index, -1, hw[0] * hw[1] - 1)


@rule("x by#")
def shift(x: Array, by: Array) -> None:
    expect_some("x", x, 4)
    per_sample("by", by, x, 2)


@rule("x mask#")
def flip(x: Array, mask: Array) -> None:
    expect_some("x", x, 4)
    per_sample("mask", mask, x)


@rule("x box#")
def cutout(x: Array, box: Array) -> None:
    expect_some("x", x, 4)
    per_sample("box", box, x, 4)


@rule("x brightness saturation contrast")
def colour(x: Array, brightness: Array, saturation: Array, contrast: Array) -> None:
    expect_some("x", x, 4)
    for factor in (brightness, saturation, contrast):
        per_sample("factor", factor, x)


@rule("dy saturation contrast")
def colour_backward(dy: Array, saturation: Array, contrast: Array) -> None:
    expect_some("dy", dy, 4)
    for factor in (saturation, contrast):
        per_sample("factor", factor, dy)


def _groups(x: Array, group: int) -> None:
    expect_some("x", x, 4)
    if group < 1 or x.shape[0] % group:
        raise ShapeError(f"a batch of {x.shape[0]} cannot be cut in groups of {group}")


@rule("x")
def minibatch_stddev(x: Array, group: int, eps: float) -> None:
    _groups(x, group)


@rule("dy x")
def minibatch_stddev_backward(dy: Array, x: Array, group: int, eps: float) -> None:
    _groups(x, group)
    expect("dy", dy, *x.shape[:3], x.shape[3] + 1)
