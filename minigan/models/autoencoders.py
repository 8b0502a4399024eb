"""The two nets of a variational autoencoder, from what a family makes of G and D."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from minigan.config import Model
from minigan.errors import ConfigError, ShapeError, nearest
from minigan.models.builders import FAMILIES
from minigan.models.init import make_init
from minigan.models.layers import Activation, Linear
from minigan.models.net import Net
from minigan.models.shapes import Act, Shape
from minigan.models.trees import Chain, Heads


def make_autoencoder(
    model: Model, shape: Shape, l2: float = 0.0, freeze: Sequence[str] = (), family: Any = None
) -> tuple[Net, Net]:
    """Encoder e: x -> (mean (Z,), log variance (Z,)), and decoder g: z -> x in 0..1, unbound; `freeze` is of g.

    e is the family's D up to its last layer, with two dense heads in its place. g is the family's G with its sigmoid as
    a last node of its own, so that the node before gives the logits. Raises ConfigError on an unknown family or one
    whose D does not end in a dense layer, ShapeError when g does not make items of `shape`.
    """
    if family is None and model.family not in FAMILIES:
        raise ConfigError(f"model.family {model.family!r} is unknown; {nearest(model.family, FAMILIES)}")
    root_g, root_d = (family or FAMILIES[model.family])(dataclasses.replace(model, output="none"), shape)
    if not isinstance(root_d, Chain) or not isinstance(root_d.nodes[-1], Linear):
        raise ConfigError(f"model.family {model.family!r}: its D must be a chain that ends in a dense layer")
    init = make_init(model.init, model.init_std)
    heads = (Linear(model.z, init=init) for _ in range(2))
    e = Net("e", Heads(Chain(*root_d.nodes[:-1]), *heads), tuple(shape), l2, (), model.norm_d == "spectral")
    g = Net("g", Chain(root_g, Activation(Act("sigmoid"))), (model.z,), l2, freeze)
    if g.out_shape != tuple(shape):
        raise ShapeError(f"G makes {g.out_shape}, expected {tuple(shape)}")
    return e, g
