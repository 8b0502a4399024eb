"""Rows of the gradient table: a classifier's step, and the perceptual loss on what a classifier sees."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan import config
from minigan.models.classifiers import features_at, make_classifier, stages
from minigan.models.layers import How
from minigan.models.net import Net
from minigan.models.shapes import Array, Shape
from minigan.models.taps import feature_distance
from minigan.study.rows import Numbers, Problem, Row, clock, ops
from minigan.study.rows_nets import Bound, kinked, values_of
from minigan.tasks.classifier import Classifier

SHAPE, CLASSES = (8, 8, 2), 3


def reduced(norm: str = "batch", act: str = "leaky_relu", **keys: Any) -> config.Config:
    """The preset classifier-mnist, narrow and in float64."""
    whole = config.load("classifier-mnist")
    model = dataclasses.replace(whole.model, widths_d=(3, 4), kernel=3, norm_d=norm, act_d=act, dropout=0.25)
    return dataclasses.replace(whole, model=model, train=config.Train(dtype="float64"), **keys)


def _made(norm: str, act: str = "leaky_relu", shape: Shape = SHAPE) -> Net:
    return make_classifier(reduced(norm, act).model, shape, CLASSES)


def _step(norm: str, shape: Shape = SHAPE) -> Callable[[Numbers], Problem]:
    """What the classifier minimises, lambda ||theta||^2 included, as a function of all its parameters."""

    def make(g: Numbers) -> Problem:
        rate = 0.01
        task = Classifier(reduced(norm, d=config.Optim(l2=rate)), ops, shape, CLASSES)
        task.clock.array[:] = clock()
        model = task.config.model
        bound = Bound(lambda: make_classifier(model, shape, CLASSES, rate), task.clock.array)
        x, labels = g.uniform(-1.0, 1.0, (4, *shape)), g.integers(0, CLASSES, 4).astype(np.int32)
        fixed = values_of(bound.real, g)

        def forward(*values: Array) -> Array:
            net = bound.holding(values[0].dtype, values)
            logits, _ = net.forward(x.astype(values[0].dtype), "frozen")
            return net.add_penalty(ops.softmax_cross_entropy(logits, labels)[0])

        def backward(dy: Array, *values: Array) -> list[Array]:
            views = task.D.layout.views(task.D.p)
            for key, value in zip(fixed, values, strict=True):
                ops.copyto(views[f"d.{key}"], value)
            task.d_step(x, labels, update=False)
            views = task.D.layout.views(task.D.dp)
            return [dy * views[f"d.{key}"] for key in fixed]

        return Problem(forward, backward, fixed)

    return make


def _distance(norm: str, taps: Callable[[Net], tuple[int, ...]], act: str = "leaky_relu") -> Callable[..., Problem]:
    """The perceptual loss as a function of the image; the loss is worked out from whole forward passes."""

    def make(g: Numbers) -> Problem:
        bound = Bound(lambda: _made(norm, act), clock())
        fixed = list(values_of(bound.real, g).values())
        target = g.uniform(-1.0, 1.0, (3, *SHAPE))

        def seen(net: Net, x: Array) -> list[Array]:
            outs = []
            for node in net.root.nodes:
                x, _ = node.forward(x, How("running", net.clock, 0))
                outs.append(x)
            return [outs[i] for i in taps(net)]

        def forward(x: Array) -> Array:
            net = bound.holding(x.dtype, fixed)
            pairs = zip(seen(net, x), seen(net, target.astype(x.dtype)), strict=True)
            return np.asarray(sum(((a - b) ** 2).mean() for a, b in pairs) / len(taps(net)))

        def backward(dy: Array, x: Array) -> list[Array]:
            net = bound.holding(x.dtype, fixed)
            return [dy * feature_distance(net, x, target, taps(net))[1]]

        return Problem(forward, backward, {"x": g.uniform(-1.0, 1.0, (3, *SHAPE))})

    return make


ROWS: dict[str, Row] = {
    **{f"step.classifier.{norm}": kinked(_step(norm), 12) for norm in ("none", "batch", "layer")},
    "step.classifier.vectors": kinked(_step("batch", (6,)), 12),
    "feature_distance.stages": kinked(_distance("batch", stages), 48),
    "feature_distance.all": kinked(_distance("batch", lambda net: (*stages(net), features_at(net))), 48),
    "feature_distance.features": kinked(_distance("layer", lambda net: (features_at(net),), "tanh"), 48),
}
