"""The network of a classifier: (config, item shape, number of classes) -> a net that gives a logit per class."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minigan.config import Model
from minigan.errors import ConfigError, ShapeError
from minigan.models.init import make_init
from minigan.models.layers import Conv2d, Dropout, Layer, Linear, Reshape
from minigan.models.net import Net
from minigan.models.parts import NORMS_D
from minigan.models.shapes import Act, Shape, make_act
from minigan.models.trees import Chain

FEATURES = 128  # the width of the last hidden layer of images, whose values are an image's features


def make_classifier(model: Model, shape: Shape, classes: int, l2: float = 0.0, freeze: Sequence[str] = ()) -> Net:
    """shape -> (classes,), unbound, from the keys that model has for D.

    Images: per width of widths_d conv (kernel, stride 2), model.norm_d, act, dropout; flatten; dense 128, the same;
    dense classes. Vectors: per width dense, the same; dense classes.
    Raises ConfigError on fewer than two classes, ShapeError on images that widths_d halves to nothing.
    """
    if classes < 2:
        raise ConfigError(f"a classifier tells classes apart, but the data has {classes}; give data with two or more")
    init, act = make_init(model.init, model.init_std), make_act(model.act_d, model.slope)
    hidden = partial(_hidden, model, act)
    nodes: list[Any] = []
    if len(shape) == 3:
        if min(shape[:2]) < 2 ** len(model.widths_d):
            raise ShapeError(
                f"images of {shape[0]}x{shape[1]} are smaller than the {len(model.widths_d)} halvings of "
                f"model.widths_d want; give fewer widths, or data.size = {2 ** len(model.widths_d)}"
            )
        for width in model.widths_d:
            nodes += hidden(partial(Conv2d, width, model.kernel, 2, init=init))
        nodes += [Reshape(-1), *hidden(partial(Linear, FEATURES, init=init), dense=True)]
    else:
        for width in model.widths_d:
            nodes += hidden(partial(Linear, width, init=init), dense=True)
    root = Chain(*nodes, Linear(classes, init=init))
    return Net("d", root, shape, l2, freeze, model.norm_d == "spectral")


def _hidden(model: Model, act: Act | None, make: Callable[..., Layer], dense: bool = False) -> list[Layer]:
    """A layer make(act=...), its norm and its dropout. Where a norm follows, its beta is the bias."""
    if dense and model.norm_d == "instance":
        raise ConfigError("model.norm_d instance is for images, but a classifier ends in dense layers; give batch")
    normed = model.norm_d in NORMS_D
    layers = [make(bias=False), NORMS_D[model.norm_d](model, act)] if normed else [make(act=act)]
    return [*layers, *([Dropout(model.dropout)] if model.dropout else [])]


def stages(net: Net) -> tuple[int, ...]:
    """The nodes of a classifier's chain that end a convolution with its norm and activation, from the first, which sees
    edges, to the last, which sees shapes. Empty for vectors.
    """
    nodes = net.root.nodes
    ends = [isinstance(after, Conv2d | Reshape) for after in nodes[1:]]
    return tuple(i for i, end in enumerate(ends) if end)


def features_at(net: Net) -> int:
    """The node of a classifier's chain that gives the features: the input of its last layer."""
    return len(net.root.nodes) - 2
