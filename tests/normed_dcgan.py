"""A user's own net family, for tests: DCGAN's G, and a D with batchnorm, so that both nets have running statistics."""

from minigan.config import Model
from minigan.models.builders import dcgan
from minigan.models.init import make_init
from minigan.models.layers import BatchNorm, Conv2d, Dropout, Linear, Reshape
from minigan.models.shapes import Shape, make_act
from minigan.models.trees import Chain


def build(model: Model, shape: Shape) -> tuple[Chain, Chain]:
    """The roots of G and D."""
    init, act = make_init(model.init, model.init_std), make_act(model.act_d, model.slope)
    first, second = model.widths_d
    d = [
        *(Conv2d(first, model.kernel, 2, bias=False, init=init), BatchNorm(act=act), Dropout(model.dropout)),
        *(Conv2d(second, model.kernel, 2, act=act, init=init), Dropout(model.dropout)),
        *(Reshape(-1), Linear(1, init=init)),
    ]
    return dcgan(model, shape)[0], Chain(*d)


def build_with_dropout_in_g(model: Model, shape: Shape) -> tuple[Chain, Chain]:
    """The same, and dropout on z."""
    g, d = build(model, shape)
    return Chain(Dropout(0.5), *g.nodes), d
