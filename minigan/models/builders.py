"""Networks, one parametrised builder per family: (config, item shape) -> the root of G and the root of D."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minigan.config import Model
from minigan.errors import ConfigError, ShapeError, nearest
from minigan.models.init import make_init
from minigan.models.layers import (
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    InstanceNorm,
    Layer,
    LayerNorm,
    Linear,
    Reshape,
)
from minigan.models.net import Net
from minigan.models.packing import packed_shape
from minigan.models.shapes import Act, Shape, make_act
from minigan.models.trees import Chain


def mlp(model: Model, shape: Shape) -> tuple[Chain, Chain]:
    """Dense layers. G: z -> widths_g -> item; D: item -> widths_d, with model.norm_d -> 1."""
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
        d += [*_normed(model, act_d, partial(Linear, n, init=init)), *_dropout(model)]
    out = Linear(size, act=_output(model), init=init)
    return Chain(*g, out, *([Reshape(*shape)] if len(shape) > 1 else [])), Chain(*d, Linear(1, init=init))


def dcgan(model: Model, shape: Shape) -> tuple[Chain, Chain]:
    """DCGAN (arXiv:1511.06434) for any size, depth and width; with the preset dcgan-mnist the texts' network.

    G: dense z -> h*h*widths_g[0] without bias, BN, act; per next width convT (strides_g) without bias, BN, act; convT
    to the item's channels. D: per width conv stride 2, from the second on model.norm_d, act, dropout; flatten; dense 1.
    h = size / product of strides_g.
    """
    if len(shape) != 3 or shape[0] != shape[1]:
        raise ShapeError(f"model.family 'dcgan' makes square images, but the data's items are {shape}; give data.size")
    if len(model.strides_g) != len(model.widths_g):
        raise ConfigError(
            f"model.strides_g has {len(model.strides_g)} strides and model.widths_g {len(model.widths_g)} widths; "
            "give one stride per width"
        )
    init = make_init(model.init, model.init_std)
    act_g, act_d = make_act(model.act_g, model.slope), make_act(model.act_d, model.slope)
    factor = 1
    for s in model.strides_g:
        factor *= s
    h, rest = divmod(shape[0], factor)
    if rest or h < 1:
        raise ShapeError(
            f"images of {shape[0]}x{shape[1]} do not fit model.strides_g {list(model.strides_g)}: "
            f"the size must be a multiple of {factor}; give data.size"
        )
    if shape[0] < 2 ** len(model.widths_d):
        raise ShapeError(
            f"images of {shape[0]}x{shape[1]} are smaller than D needs: its {len(model.widths_d)} halvings want "
            f"{2 ** len(model.widths_d)} pixels; give data.size"
        )

    def norm() -> BatchNorm:
        return BatchNorm(model.bn_eps, model.bn_momentum, act_g)

    first, *widths = model.widths_g
    g: list[Any] = [Linear(h * h * first, bias=False, init=init), norm(), Reshape(h, h, first)]
    for width, stride in zip(widths, model.strides_g, strict=False):
        g += [ConvTranspose2d(width, model.kernel, stride, bias=False, init=init), norm()]
    g.append(ConvTranspose2d(shape[2], model.kernel, model.strides_g[-1], bias=False, act=_output(model), init=init))
    d: list[Any] = [Conv2d(model.widths_d[0], model.kernel, 2, act=act_d, init=init), *_dropout(model)]
    for width in model.widths_d[1:]:
        d += [*_normed(model, act_d, partial(Conv2d, width, model.kernel, 2, init=init))]
        d += _dropout(model)
    return Chain(*g), Chain(*d, Reshape(-1), Linear(1, init=init))


# model.norm_d, where it is a layer: (model, activation) -> the norm
NORMS_D: dict[str, Callable[[Model, Act | None], Layer]] = {
    "batch": lambda model, act: BatchNorm(model.bn_eps, model.bn_momentum, act),
    "layer": lambda model, act: LayerNorm(model.bn_eps, act),
    "instance": lambda model, act: InstanceNorm(model.bn_eps, act),
}


def _normed(model: Model, act: Act | None, make: Callable[..., Layer]) -> list[Layer]:
    """A hidden layer of D, make(act=...); with a norm of NORMS_D that follows, its beta is the bias."""
    if model.norm_d not in NORMS_D:
        return [make(act=act)]
    return [make(bias=False), NORMS_D[model.norm_d](model, act)]


def _dropout(model: Model) -> list[Dropout]:
    return [Dropout(model.dropout)] if model.dropout else []


def _output(model: Model) -> Any:
    return make_act(None if model.output == "none" else model.output)


FAMILIES = {"mlp": mlp, "dcgan": dcgan}
Names = Sequence[str]


def make_nets(
    model: Model, shape: Shape, l2_g: float, l2_d: float, family: Any = None, freeze: tuple[Names, Names] = ((), ())
) -> tuple[Net, Net]:
    """G and D, unbound; `family` is a user's own builder (model, item shape) -> roots of G and D; `freeze` names the
    frozen layers of both.

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
    g = Net("g", root_g, (model.z,), l2_g, freeze[0])
    d = Net("d", root_d, packed_shape(shape, model.packing), l2_d, freeze[1], model.norm_d == "spectral")
    if g.out_shape != tuple(shape) or d.out_shape != (1,):
        raise ShapeError(f"G makes {g.out_shape} and D gives {d.out_shape}, expected {tuple(shape)} and (1,)")
    return g, d
