"""Networks, one parametrised builder per family: (config, item shape) -> the root of G and the root of D."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from minigan.config import Model
from minigan.errors import ConfigError, ShapeError, nearest
from minigan.models.conditions import conditioned, latent_size
from minigan.models.init import make_init
from minigan.models.layers import BatchNorm, Conv2d, ConvTranspose2d, Linear, Reshape
from minigan.models.net import Net
from minigan.models.packing import packed_shape
from minigan.models.parts import doubled, dropout, normed, output, square, stddev
from minigan.models.resnets import resnet
from minigan.models.shapes import Shape, make_act
from minigan.models.trees import Chain
from minigan.models.wavegan import wave

MOST = 8  # times model.width: the channels of the smallest pictures of dcgan


def mlp(model: Model, shape: Shape) -> tuple[Chain, Chain]:
    """Dense layers. G: z -> widths_g -> item; D: item -> widths_d, with model.norm_d -> 1."""
    if model.width:
        raise ConfigError(f"model.width = {model.width} is for families of images; give mlp widths_g and widths_d")
    if model.norm_d == "instance":
        raise ConfigError("model.norm_d instance is for images, but mlp's hidden layers are features; give layer")
    init = make_init(model.init, model.init_std)
    act_g, act_d = make_act(model.act_g, model.slope), make_act(model.act_d, model.slope)
    size = 1
    for n in shape:
        size *= n
    g = [Linear(n, act=act_g, init=init) for n in model.widths_g]
    d: list[Any] = [Reshape(-1)] if len(shape) > 1 else []
    for n in model.widths_d:
        d += [*normed(model, act_d, partial(Linear, n, init=init)), *dropout(model)]
    out = Linear(size, act=output(model), init=init)
    if model.minibatch_stddev:
        d += [Reshape(1, 1, -1), *stddev(model), Reshape(-1)]  # features as the channels of a single pixel
    return Chain(*g, out, *([Reshape(*shape)] if len(shape) > 1 else [])), Chain(*d, Linear(1, init=init))


def dcgan(model: Model, shape: Shape) -> tuple[Chain, Chain]:
    """DCGAN (arXiv:1511.06434) for any size, depth and width; with the preset dcgan-mnist the texts' network.

    G: dense z -> h*h*widths_g[0] without bias, BN, act; per next width convT (strides_g) without bias, BN, act; convT
    to the item's channels. D: per width conv stride 2, from the second on model.norm_d, act, dropout; flatten; dense 1.
    h = size / product of strides_g. With model.width all three lists follow from the size, as in the paper: 64 pixels
    give G 8, 4, 2 and 1 times as many channels from 4x4 on, and D the same the other way.
    """
    size, widths_g, strides, widths_d = square(model, shape), model.widths_g, model.strides_g, model.widths_d
    if model.width:
        widths_d = tuple(doubled(model, size, MOST))
        widths_g, strides = widths_d[::-1], (2,) * len(widths_d)
    if len(strides) != len(widths_g):
        raise ConfigError(
            f"model.strides_g has {len(strides)} strides and model.widths_g {len(widths_g)} widths; "
            "give one stride per width, or model.width, from which both follow"
        )
    init = make_init(model.init, model.init_std)
    act_g, act_d = make_act(model.act_g, model.slope), make_act(model.act_d, model.slope)
    factor = 1
    for s in strides:
        factor *= s
    h, rest = divmod(size, factor)
    if rest or h < 1:
        raise ShapeError(
            f"images of {size}x{size} do not fit model.strides_g {list(strides)}: the size must be a multiple of "
            f"{factor}; give data.size, or model.width, from which the strides follow"
        )
    if size < 2 ** len(widths_d):
        raise ShapeError(
            f"images of {size}x{size} are smaller than D needs: its {len(widths_d)} halvings want "
            f"{2 ** len(widths_d)} pixels; give data.size"
        )

    def norm() -> BatchNorm:
        return BatchNorm(model.bn_eps, model.bn_momentum, act_g)

    first, *widths = widths_g
    g: list[Any] = [Linear(h * h * first, bias=False, init=init), norm(), Reshape(h, h, first)]
    for width, stride in zip(widths, strides, strict=False):
        g += [ConvTranspose2d(width, model.kernel, stride, bias=False, init=init), norm()]
    g.append(ConvTranspose2d(shape[2], model.kernel, strides[-1], bias=False, act=output(model), init=init))
    d: list[Any] = [Conv2d(widths_d[0], model.kernel, 2, act=act_d, init=init), *dropout(model)]
    for width in widths_d[1:]:
        d += [*normed(model, act_d, partial(Conv2d, width, model.kernel, 2, init=init))]
        d += dropout(model)
    return Chain(*g), Chain(*d, *stddev(model), Reshape(-1), Linear(1, init=init))


FAMILIES = {"mlp": mlp, "dcgan": dcgan, "resnet": resnet, "wave": wave}
Names = Sequence[str]


def make_nets(
    model: Model,
    shape: Shape,
    l2_g: float,
    l2_d: float,
    family: Any = None,
    freeze: tuple[Names, Names] = ((), ()),
    labels: int = 0,
) -> tuple[Net, Net]:
    """G and D, unbound; `family` is a user's own builder (model, item shape) -> roots of G and D; `freeze` names the
    frozen layers of both; `labels` is how many labels a condition tells of (conditions.py).

    D's root is given what model.packing makes of items. Raises ConfigError on an unknown family or frozen layer,
    ShapeError when G does not make items of `shape` or D does not give one number.
    """
    if family is None and model.family not in FAMILIES:
        near = nearest(model.family, FAMILIES)
        raise ConfigError(f"model.family {model.family!r} is unknown; {near}, or module:function")
    roots = (family or FAMILIES[model.family])(model, shape)
    if not isinstance(roots, tuple) or len(roots) != 2:
        raise ConfigError(f"model.family {model.family!r} made {type(roots).__name__}, expected the roots (G, D)")
    root_g, root_d = roots
    if labels:
        root_g, root_d = conditioned(model, root_g, root_d, shape, labels)
    g = Net("g", root_g, (latent_size(model),), l2_g, freeze[0])
    d = Net("d", root_d, packed_shape(shape, model.packing), l2_d, freeze[1], model.norm_d == "spectral")
    verdict = d.out_shape[0] if isinstance(d.out_shape[0], tuple) else d.out_shape  # the first of two heads
    if g.out_shape != tuple(shape) or verdict != (1,):
        raise ShapeError(f"G makes {g.out_shape} and D gives {verdict}, expected {tuple(shape)} and (1,)")
    return g, d
