"""Residual networks, as of SNGAN (arXiv:1802.05957, appendix B) and WGAN-GP (arXiv:1704.00028, appendix F).

Norms and activations stand before the convolutions, so that a block adds to its input what nothing has bent yet:

    G   y = conv(act(BN(conv(up(act(BN(x))))))) + up(conv1x1(x))
    D   y = down(conv(act(norm(conv(act(norm(x))))))) + conv1x1(down(x))

On the way round the 1x1 convolution runs on the smaller picture: each output pixel is of one input pixel alone, so
copying or averaging pixels before or after it gives the same numbers, and costs a quarter here.
"""

from functools import partial
from typing import Any

from minigan.config import Model
from minigan.errors import ShapeError
from minigan.models.init import Init, make_init
from minigan.models.layers import Activation, AvgPool2x, BatchNorm, Conv2d, Layer, Linear, Reshape, Upsample2x
from minigan.models.parts import NORMS_D, doubled, dropout, halvings, output, square, stddev
from minigan.models.shapes import Act, Shape, make_act
from minigan.models.trees import Chain, Residual

MOST = 4  # times model.width: the channels of the smallest pictures


def resnet(model: Model, shape: Shape) -> tuple[Chain, Chain]:
    """G: dense z -> h*h*widths_g[0]; a doubling block per width; BN, act, conv 3x3 to the item's channels.

    D: a block per width, which halves as long as the picture is even and above 7 pixels, and then keeps its size; act;
    flatten; dense 1. model.norm_d stands before every convolution of D but those of its first block, which sees the
    picture itself, and the 1x1. h = size / 2^(number of widths_g). With model.width the widths follow from the size.
    """
    size, widths_g, widths_d = square(model, shape), list(model.widths_g), list(model.widths_d)
    if model.width:
        widths = doubled(model, size, MOST)
        widths_g, widths_d = widths[::-1], [*widths, widths[-1]]
    h, rest = divmod(size, 1 << len(widths_g))
    if rest or h < 1:
        raise ShapeError(
            f"images of {size}x{size} do not fit the {len(widths_g)} doublings of model.widths_g {widths_g}: the size "
            f"must be a multiple of {1 << len(widths_g)}; give data.size, or model.width, from which the widths follow"
        )
    init = make_init(model.init, model.init_std)
    act_d: Any = make_act(model.act_d, model.slope)
    norm = partial(BatchNorm, model.bn_eps, model.bn_momentum, make_act(model.act_g, model.slope))
    g: list[Any] = [Linear(h * h * widths_g[0], init=init), Reshape(h, h, widths_g[0])]
    g += [_doubling(norm, width, init) for width in widths_g]
    g += [norm(), Conv2d(shape[2], 3, act=output(model), init=init)]
    d: list[Any] = []
    channels, halves = 0, halvings(size)  # 0 stands for the picture's
    for k, width in enumerate(widths_d):
        d += [_block(model, act_d, channels, width, k < halves, init), *dropout(model)]
        channels = width
    return Chain(*g), Chain(*d, Activation(act_d), *stddev(model), Reshape(-1), Linear(1, init=init))


def _doubling(norm: Any, width: int, init: Init) -> Residual:
    """A block of G. What a bias would add, the norms behind it take away again."""
    conv = partial(Conv2d, width, bias=False, init=init)
    body = Chain(norm(), Upsample2x(), conv(3), norm(), conv(3))
    return Residual(body, Chain(conv(1), Upsample2x()))


def _block(model: Model, act: Act, channels: int, width: int, halves: bool, init: Init) -> Residual:
    """A block of D on `channels` channels, or on the picture itself when they are 0."""
    conv = partial(Conv2d, width, 3, init=init)
    body: list[Layer]
    if not channels:
        body = [conv(act=act), conv()]
    elif model.norm_d in NORMS_D:
        norm = partial(NORMS_D[model.norm_d], model, act)
        body = [norm(), conv(bias=False), norm(), conv()]
    else:
        body = [Activation(act), conv(act=act), conv()]
    if not halves and channels == width:
        return Residual(Chain(*body))
    down = [[AvgPool2x()] if halves else [] for _ in range(2)]  # a layer each: a layer has one place in a net
    return Residual(Chain(*body, *down[0]), Chain(*down[1], Conv2d(width, 1, bias=False, init=init)))
