"""What the families of networks share: sizes, and the pieces of a D that a key of the configuration puts in."""

from collections.abc import Callable
from typing import Any

from minigan.config import Model
from minigan.errors import ShapeError
from minigan.models.layers import BatchNorm, Dropout, InstanceNorm, Layer, LayerNorm, MinibatchStddev
from minigan.models.shapes import Act, Shape, make_act

LARGEST = 7  # pixels of a picture that needs no more halving: 32, 64 and 128 end at 4, and 28 at 7

# model.norm_d, where it is a layer: (model, activation) -> the norm
NORMS_D: dict[str, Callable[[Model, Act | None], Layer]] = {
    "batch": lambda model, act: BatchNorm(model.bn_eps, model.bn_momentum, act),
    "layer": lambda model, act: LayerNorm(model.bn_eps, act),
    "instance": lambda model, act: InstanceNorm(model.bn_eps, act),
}


def square(model: Model, shape: Shape) -> int:
    """The size of a square picture (H,H,C). Raises ShapeError on other items."""
    if len(shape) != 3 or shape[0] != shape[1]:
        raise ShapeError(
            f"model.family {model.family!r} makes square images, but the data's items are {shape}; give data.size, or "
            "for signals model.family wave"
        )
    return shape[0]


def halvings(size: int) -> int:
    """How often a picture of `size` pixels is halved, as long as it is even and larger than LARGEST."""
    n = 0
    while size % 2 == 0 and size > LARGEST:
        size, n = size // 2, n + 1
    return n


def doubled(model: Model, size: int, most: int) -> list[int]:
    """Channels at each size of a picture that model.width gives: twice as many for each halving, at most `most` times.

    Raises ShapeError where the picture cannot be halved once.
    """
    n = halvings(size)
    if n == 0:
        raise ShapeError(
            f"model.width makes networks that halve and double pictures, but {size}x{size} is odd, or not above "
            f"{LARGEST}; give data.size, as 8, 28, 32, 64 or 128"
        )
    return [min(1 << k, most) * model.width for k in range(n)]


def normed(model: Model, act: Act | None, make: Callable[..., Layer]) -> list[Layer]:
    """A hidden layer of D, make(act=...); with a norm of NORMS_D that follows, its beta is the bias."""
    if model.norm_d not in NORMS_D:
        return [make(act=act)]
    return [make(bias=False), NORMS_D[model.norm_d](model, act)]


def dropout(model: Model) -> list[Layer]:
    """model.dropout, if any."""
    return [Dropout(model.dropout)] if model.dropout else []


def stddev(model: Model) -> list[Layer]:
    """model.minibatch_stddev, if any, of images."""
    return [MinibatchStddev(model.minibatch_stddev)] if model.minibatch_stddev else []


def output(model: Model) -> Any:
    """G's last activation."""
    return make_act(None if model.output == "none" else model.output)
