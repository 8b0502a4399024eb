"""WaveGAN (Donahue, McAuley & Puckette 2019, arXiv:1802.04208): DCGAN turned to signals, images (1,L,C) of one row.

Kernels are 1 x model.kernel (25 there), strides (1,s) with s = 4: a signal needs a longer view than a picture, and has
one direction for it. As in the paper, D's layers run G's strides the other way round, and neither has batchnorm, so
that a penalty may be taken of D; unlike there, D shuffles no phases.
"""

from functools import partial
from typing import Any

from minigan.config import Model
from minigan.errors import ConfigError, ShapeError
from minigan.models.init import make_init
from minigan.models.layers import Conv2d, ConvTranspose2d, Linear, Reshape
from minigan.models.parts import dropout, normed, output, stddev
from minigan.models.shapes import Shape, make_act
from minigan.models.trees import Chain

STRIDE = 4  # of each layer, where model.width says the channels
SHORTEST = 16  # samples, of a signal that needs no more quartering


def wave(model: Model, shape: Shape) -> tuple[Chain, Chain]:
    """G: dense z -> (1, l, widths_g[0]), act; per next width convT (1,s), act; convT to the item's channels.

    D: per width conv (1,s), from the second on model.norm_d, act, dropout; flatten; dense 1. l = L / product of
    strides_g. With model.width all three lists follow from L, strides being 4: 16384 samples give G 16, 8, 4, 2 and 1
    times as many channels from 16 samples on, as in the paper. Raises ShapeError on items that are no signals,
    ConfigError on lists that do not fit each other.
    """
    if len(shape) != 3 or shape[0] != 1:
        raise ShapeError(
            f"model.family wave makes signals (1,L,C), but the data's items are {shape}; give data.window, the length "
            "of a signal, with .wav files or an array (N,L) or (N,L,C)"
        )
    _, length, channels = shape
    widths_g, strides, widths_d = model.widths_g, model.strides_g, model.widths_d
    if model.width:
        widths_d = tuple(model.width << k for k in range(_quarterings(length)))
        widths_g, strides = widths_d[::-1], (STRIDE,) * len(widths_d)
    if not len(strides) == len(widths_g) == len(widths_d):
        raise ConfigError(
            f"model.strides_g has {len(strides)} strides, model.widths_g {len(widths_g)} widths and model.widths_d "
            f"{len(widths_d)}; wave needs as many of each, or model.width, from which all follow"
        )
    factor = 1
    for s in strides:
        factor *= s
    if length % factor:
        raise ShapeError(
            f"signals of {length} samples do not fit model.strides_g {list(strides)}: the length must be a multiple of "
            f"{factor}; give data.window"
        )
    init, kernel = make_init(model.init, model.init_std), (1, model.kernel)
    act_g, act_d = make_act(model.act_g, model.slope), make_act(model.act_d, model.slope)
    first, *rest = widths_g
    start = length // factor
    g: list[Any] = [Linear(start * first, act=act_g, init=init), Reshape(1, start, first)]
    g += [ConvTranspose2d(n, kernel, (1, s), act=act_g, init=init) for n, s in zip(rest, strides, strict=False)]
    g.append(ConvTranspose2d(channels, kernel, (1, strides[-1]), act=output(model), init=init))
    back = strides[::-1]
    d: list[Any] = [Conv2d(widths_d[0], kernel, (1, back[0]), act=act_d, init=init), *dropout(model)]
    for n, s in zip(widths_d[1:], back[1:], strict=True):
        d += [*normed(model, act_d, partial(Conv2d, n, kernel, (1, s), init=init)), *dropout(model)]
    return Chain(*g), Chain(*d, *stddev(model), Reshape(-1), Linear(1, init=init))


def _quarterings(length: int) -> int:
    """How often a signal is cut to a quarter, as long as it can be and is longer than SHORTEST samples."""
    n = 0
    while length % STRIDE == 0 and length > SHORTEST:
        length, n = length // STRIDE, n + 1
    if n == 0:
        raise ShapeError(
            f"model.width makes networks that quarter signals, but {length} samples are no multiple of {STRIDE} above "
            f"{SHORTEST}; give data.window, as 256, 1024 or 4096"
        )
    return n
