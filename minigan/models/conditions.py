"""What a condition adds to the networks that a family builds: G and D are told a label, or D finds it out.

embedding    D([x, e(label)]), e learned: a plane of an image        Mirza & Osindero 2014, arXiv:1411.1784
projection   D(x) = w . f(x) + v(label) . f(x), f D's last features  Miyato & Koyama 2018, arXiv:1802.05637
acgan        a second head of D says of which class x is             Odena et al. 2017, arXiv:1610.09585
infogan      labels are codes that G makes something of; a second
             head Q reads them off what G made                       Chen et al. 2016, arXiv:1606.03657

G is told the label by an embedding joined to z, or in each of its batchnorms (model.condition_g).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from minigan.config import Model
from minigan.errors import ConfigError
from minigan.models.init import make_init
from minigan.models.layers import BatchNorm, ConcatLabel, ConditionalBatchNorm, Layer, Linear, Projection
from minigan.models.shapes import Act, Shape
from minigan.models.trees import Chain, Heads, Residual, leaves, mapped

Q_WIDTH = 128  # of infogan's Q, as in its paper


class Row(NamedTuple):
    """`d` makes D's root of (model, its nodes before the last, the last, shape of x, classes). `labelled`: labels are
    the data's; else they are drawn, as codes. `heads`: D has a second head.
    """

    d: Callable[[Model, list[Any], Linear, Shape, int], Any]
    labelled: bool
    heads: bool = False


def _embedding(model: Model, trunk: list[Any], out: Linear, shape: Shape, classes: int) -> Chain:
    return Chain(ConcatLabel(classes, 1 if len(shape) == 3 else model.label_features), *trunk, out)


def _projection(model: Model, trunk: list[Any], out: Linear, shape: Shape, classes: int) -> Chain:
    return Chain(*trunk, Residual(out, Projection(classes, out.init)))


def _acgan(model: Model, trunk: list[Any], out: Linear, shape: Shape, classes: int) -> Heads:
    return Heads(Chain(*trunk), out, Linear(classes, init=out.init))


def _infogan(model: Model, trunk: list[Any], out: Linear, shape: Shape, classes: int) -> Heads:
    init = make_init(model.init, model.init_std)
    q = Chain(Linear(Q_WIDTH, act=Act("leaky_relu", model.slope), init=init), Linear(classes + model.codes, init=init))
    return Heads(Chain(*trunk), out, q)


CONDITIONS = {
    "embedding": Row(_embedding, True),
    "projection": Row(_projection, True),
    "acgan": Row(_acgan, True, heads=True),
    "infogan": Row(_infogan, False, heads=True),
}


def label_count(model: Model, classes: int) -> int:
    """How many labels G and D are told of, where the data has `classes`; 0 without a condition.

    Raises ConfigError when the data has no labels and the condition needs them.
    """
    if model.condition == "none":
        return 0
    if not CONDITIONS[model.condition].labelled:
        return model.code_classes
    if not classes:
        raise ConfigError(
            f"model.condition {model.condition} learns from labels, but the data has none; give data with labels, or "
            "model.condition infogan, which finds classes by itself"
        )
    return classes


def latent_size(model: Model) -> int:
    """Numbers that G is given beside the label: z, and infogan's continuous codes after it."""
    return model.z + (model.codes if model.condition == "infogan" else 0)


def conditioned(model: Model, g: Any, d: Any, shape: Shape, classes: int) -> tuple[Any, Any]:
    """The roots of G and D, on labels in [0, classes), from those that know nothing of labels.

    Raises ConfigError when D does not end in a Linear, or G has no batchnorm to be told in.
    """
    if not (isinstance(d, Chain) and d.nodes and isinstance(d.nodes[-1], Linear)):
        raise ConfigError(
            f"model.condition {model.condition} goes into D's last layer, a Linear in a Chain, which model.family "
            f"{model.family!r} does not end in; build D so"
        )
    *trunk, out = d.nodes
    root_d = CONDITIONS[model.condition].d(model, trunk, out, shape, classes)
    if model.condition_g == "embedding":
        nodes = g.nodes if isinstance(g, Chain) else (g,)
        return Chain(ConcatLabel(classes, model.label_features), *nodes), root_d
    if not any(isinstance(layer, BatchNorm) for layer in leaves(g)):
        raise ConfigError(
            f"model.condition_g batchnorm is told labels in G's batchnorms, but G of model.family {model.family!r} has "
            "none; give model.condition_g embedding"
        )

    def by_class(layer: Layer) -> Layer:
        if not isinstance(layer, BatchNorm):
            return layer
        return ConditionalBatchNorm(classes, layer.eps, layer.momentum, layer.act)

    return mapped(g, by_class), root_d
