"""Picture to picture: one builder per form, (shape_in, shape_out, its parts) -> the root of a net.

resnet  conv 7x7; `depth` halvings, each twice as wide; `blocks` residual blocks; doublings back, and on to the size of
        shape_out, which may be 2, 4, 8, ... times shape_in; conv 7x7 to its channels. CycleGAN's, arXiv:1703.10593,
        section 7.2, which with depth 0 is SRGAN's, arXiv:1609.04802, whose input is the small picture.
unet    `depth` halvings and as many doublings, where each doubling also gets what the halving of its size saw.
        pix2pix's, arXiv:1611.07004, section 6.1.1.

No layer of theirs knows the size of its picture, so the weights of one size serve another.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from minigan.errors import ConfigError, ShapeError, nearest
from minigan.models.init import Init
from minigan.models.layers import DCGAN_NORMAL, BatchNorm, Conv2d, ConvTranspose2d, InstanceNorm, Layer
from minigan.models.shapes import Act, Shape
from minigan.models.trees import Chain, Residual, Skip

RELU, LEAKY = Act("relu"), Act("leaky_relu", 0.2)
Conv = Callable[..., Layer]

# a norm and its activation, behind a convolution that then needs no bias; "none" leaves the activation to it
NORMS: dict[str, Callable[[Act | None], Layer] | None] = {
    "instance": lambda act: InstanceNorm(act=act),
    "batch": lambda act: BatchNorm(act=act),
    "none": None,
}


def _normed(norm: str, act: Act | None, conv: Conv) -> list[Layer]:
    make = NORMS[norm]
    return [conv(act=act)] if make is None else [conv(bias=False), make(act)]


def _halving(out: int, init: Init) -> Conv:
    return partial(Conv2d, out, 4, 2, init=init)


def _doubling(out: int, init: Init) -> Conv:
    """4 pixels wide, stride 2: every pixel is reached by as many taps, so no chessboard (distill.pub/2016/deconv)."""
    return partial(ConvTranspose2d, out, 4, 2, init=init)


def resnet(
    shape_in: Shape, shape_out: Shape, width: int, depth: int, blocks: int, norm: str, output: Act | None, init: Init
) -> Chain:
    """See above. `width` channels at full size, width * 2^depth in the blocks."""
    factor = shape_out[0] // shape_in[0]
    if factor & (factor - 1) or shape_out[:2] != (factor * shape_in[0], factor * shape_in[1]):
        raise ShapeError(
            f"translator resnet makes pictures 1, 2, 4, 8, ... times as large, not {_size(shape_out)} of "
            f"{_size(shape_in)}; give other sizes"
        )
    normed = partial(_normed, norm)
    body = [*normed(RELU, partial(Conv2d, width, 7, init=init))]
    for k in range(1, depth + 1):
        body += normed(RELU, _halving(width << k, init))
    wide = width << depth
    three = partial(Conv2d, wide, 3, init=init)
    residuals = [Residual(Chain(*normed(RELU, three), *normed(None, three))) for _ in range(blocks)]
    ups: list[Layer] = []
    for k in range(depth + factor.bit_length() - 1):
        ups += normed(RELU, _doubling(width << max(depth - k - 1, 0), init))
    return Chain(*body, *residuals, *ups, Conv2d(shape_out[2], 7, act=output, init=init))


def unet(
    shape_in: Shape, shape_out: Shape, width: int, depth: int, blocks: int, norm: str, output: Act | None, init: Init
) -> Any:
    """See above. Twice as wide from halving to halving, at most 8 * width; `blocks` residual blocks at the bottom.

    As in the paper the outermost and the innermost halving have no norm: the innermost may leave a single pixel.
    """
    if shape_in[:2] != shape_out[:2]:
        raise ShapeError(
            f"translator unet keeps the size, but is to make {_size(shape_out)} of {_size(shape_in)}; "
            "take resnet, or enlarge the pictures first"
        )
    if depth < 1:
        raise ConfigError(f"translator unet with depth {depth} has no level; give at least 1")

    def level(k: int) -> Any:
        """The k-th halving, what is below it, and the doubling back to the size that it was given."""
        wide = width << min(k, 3)
        bare = k in (0, depth - 1)
        down = _normed("none" if bare else norm, LEAKY, _halving(wide, init))
        if k:
            up = _normed(norm, RELU, _doubling(width << min(k - 1, 3), init))
        else:
            up = [_doubling(shape_out[2], init)(act=output)]
        if k == depth - 1:
            three = partial(Conv2d, wide, 3, init=init)
            bottom = [Residual(Chain(*_normed(norm, RELU, three), *_normed(norm, None, three))) for _ in range(blocks)]
            return Chain(*down, *bottom, *up)
        return Skip(Chain(*down), level(k + 1), Chain(*up))

    return level(0)


KINDS = {"resnet": resnet, "unet": unet}


def translator(
    kind: str,
    shape_in: Shape,
    shape_out: Shape,
    width: int = 32,
    depth: int = 2,
    blocks: int = 3,
    norm: str = "instance",
    output: Act | None = Act("tanh"),  # noqa: B008  an immutable value
    init: Init = DCGAN_NORMAL,
) -> Any:
    """(N, *shape_in) -> (N, *shape_out), both (H,W,C): the root of a net that translates pictures.

    Raises ConfigError on an unknown kind or norm, ShapeError where the sizes do not fit.
    """
    for what, word, table in (("kind", kind, KINDS), ("norm", norm, NORMS)):
        if word not in table:
            raise ConfigError(f"translator {what} {word!r} is unknown; {nearest(word, table)}")
    for shape in (shape_in, shape_out):
        if len(shape) != 3:
            raise ShapeError(f"a translator takes and makes pictures (H,W,C), but is given {shape}")
    step = 1 << depth
    if shape_in[0] % step or shape_in[1] % step:
        raise ShapeError(
            f"translator {kind} with depth {depth} halves pictures {depth} times, but {_size(shape_in)} is no multiple "
            f"of {step}; give a smaller depth or another size"
        )
    if norm == "instance" and (step, step) == tuple(shape_in[:2]) and (blocks or kind == "resnet"):
        raise ShapeError(
            f"translator {kind} with depth {depth} leaves one pixel of {_size(shape_in)}, which instancenorm turns to "
            "zero; give a smaller depth"
        )
    return KINDS[kind](shape_in, shape_out, width, depth, blocks, norm, output, init)


def _size(shape: Shape) -> str:
    return f"{shape[0]}x{shape[1]}"
