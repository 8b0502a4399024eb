"""An example for each layer, GAN loss and penalty: as those of the ops, but through the layer, the loss, a small D."""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np

from minigan import config
from minigan.backends import oracle
from minigan.losses import LOSSES, Features, make_loss
from minigan.models.layers import (
    Activation,
    AvgPool2x,
    BatchNorm,
    ConcatLabel,
    ConditionalBatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    InstanceNorm,
    Layer,
    LayerNorm,
    Linear,
    MinibatchStddev,
    Projection,
    Reshape,
    Upsample2x,
)
from minigan.models.net import Net
from minigan.models.shapes import Act, Array, Shape
from minigan.models.trees import Chain
from minigan.penalties import PENALTIES, Penalty
from minigan.study.example import Example, Given, Out, clock, counted, linear_in, mean_over, on, product_of
from minigan.study.examples_ops import about_mean
from minigan.study.terms import Arrays, Group

_EPS = 3.0  # of the norms: 1 from the mean is x^ = +-0.5
_CLASSES = 2


class _Row(NamedTuple):
    """How a layer's example is made: of `batch` samples of `in_shape`, told labels where the layer wants them.

    `groups`: what an output is a sum of, where that is more than "linear in dy".
    """

    make: Callable[[], Layer]
    in_shape: Shape
    batch: int = 2
    groups: dict[str, tuple[Group, ...]] = {}  # noqa: RUF012
    norm: bool = False
    told: bool = False


_WEIGHTED: dict[str, tuple[Group, ...]] = {"dx": product_of("dy", "w"), "dw": product_of("x", "dy")}

_ROWS: dict[str, _Row] = {
    "Activation": _Row(lambda: Activation(Act("leaky_relu", 0.25)), (3,)),
    "AvgPool2x": _Row(AvgPool2x, (2, 2, 1), 1),
    "BatchNorm": _Row(lambda: BatchNorm(_EPS), (2,), 4, norm=True),
    "ConcatLabel": _Row(lambda: ConcatLabel(_CLASSES, 1), (2,), told=True),
    "ConditionalBatchNorm": _Row(lambda: ConditionalBatchNorm(_CLASSES, _EPS), (2,), 4, norm=True, told=True),
    "Conv2d": _Row(lambda: Conv2d(1, 3, 2), (4, 4, 1), 1, _WEIGHTED),
    "ConvTranspose2d": _Row(lambda: ConvTranspose2d(1, 3, 2), (2, 2, 1), 1, _WEIGHTED),
    "Dropout": _Row(lambda: Dropout(0.5), (4,)),
    "Embedding": _Row(lambda: Embedding(3, 2), (), 3),
    "InstanceNorm": _Row(lambda: InstanceNorm(_EPS), (2, 2, 1), 1, norm=True),
    "LayerNorm": _Row(lambda: LayerNorm(_EPS), (4,), norm=True),
    "Linear": _Row(lambda: Linear(2), (3,), 2, _WEIGHTED),
    "MinibatchStddev": _Row(lambda: MinibatchStddev(2, _EPS), (1, 2, 1), norm=True),
    "Projection": _Row(lambda: Projection(_CLASSES), (2,), 2, _WEIGHTED, told=True),
    "Reshape": _Row(lambda: Reshape(2, 2), (4,), 1),
    "Upsample2x": _Row(Upsample2x, (1, 1, 1), 1),
}


def _net(ops: Any, root: Any, in_shape: Shape, a: Given, params: Sequence[str]) -> Net:
    """The tree as net "t", bound in the dtype of the arrays, its parameters overwritten by those of `a`."""
    net = Net("t", root, in_shape)
    net.bind(ops, 0, np.float64 if ops.NAME == "numpy" else np.float32, a.get("clock"))
    for view, name in zip(net.layout.views(net.p).values(), params, strict=True):
        ops.copyto(view, a[name])
    return net


def _learned(net: Net, layer: int, key: str) -> Array:
    """The gradient of one parameter."""
    return getattr(net.layers[layer], f"d{key}")


def _layer(row: _Row) -> Example:
    shaped = row.make()
    shaped.attach("t", row.in_shape)
    params = list(shaped.params)
    whole = (row.batch, *row.in_shape)
    inputs: Arrays = {"x": about_mean(*whole) if row.norm else counted(*whole)}
    if isinstance(shaped, Embedding):
        inputs = {"x": np.array([2, 0, 2], np.int32)}
    inputs |= {key: counted(*p.shape, start=4 + i) for i, (key, p) in enumerate(shaped.params.items())}
    inputs |= {"dy": counted(row.batch, *shaped.out_shape, start=1), "clock": clock()}
    if row.told:
        inputs["labels"] = np.resize([1, 0, 1], row.batch).astype(np.int32)

    def passed(o: Any, a: Given, wanted: str) -> Array:
        net = _net(o, row.make(), row.in_shape, a, params)
        y, ctx = net.forward(a.x, "frozen", labels=a.get("labels"))
        if wanted == "y":
            return y
        dx = net.backward(a.dy, ctx)
        return dx if wanted == "dx" else _learned(net, 0, wanted.removeprefix("d"))

    def out(wanted: str, groups: tuple[Group, ...] | None) -> Out:
        return Out(type(shaped).__name__, lambda o, a: passed(o, a, wanted), groups)

    learned = ["dx"] * (not isinstance(shaped, Embedding)) + [f"d{key}" for key in params]
    outs = {name: out(name, row.groups.get(name, linear_in("dy"))) for name in learned}
    return Example(inputs, {"y": out("y", None), **outs}, (type(shaped).__name__,))


def _loss(name: str) -> Example:
    """What D's and G's outputs on four samples get; by features, two samples of three features."""
    loss = make_loss(name)
    inputs = {"real": np.array([[2.0], [-1.0], [0.5], [3.0]]), "fake": np.array([[-2.0], [0.0], [1.0], [0.5]])}
    outs = {
        "dreal": Out(name, lambda o, a: loss.critic(o, a.real, a.fake)[1], mean_over("real", "fake")),
        "dfake (D)": Out(name, lambda o, a: loss.critic(o, a.real, a.fake)[2], mean_over("real", "fake")),
    }
    if isinstance(LOSSES[name], Features):
        inputs |= {"features of x": counted(2, 3), "features of G(z)": counted(2, 3, start=4)}
        outs["dfeatures (G)"] = Out(
            name,
            lambda o, a: loss.generator(o, a["features of G(z)"], a["features of x"])[1],
            linear_in("features of G(z)", "features of x"),
        )
    elif loss.pairs:
        outs["dfake (G)"] = Out(name, lambda o, a: loss.generator(o, a.fake, a.real)[1], mean_over("fake", "real"))
    else:
        outs["dfake (G)"] = Out(name, lambda o, a: loss.generator(o, a.fake)[1], mean_over("fake"))
    return Example(inputs, outs, (f"step.{name}",))


def _penalty(name: str) -> Example:
    """D(x) = v leaky_relu(w x): g = leaky' v w has length 4 where D's slope is 1, and 2 where it is 1/2.

    The points that a penalty draws are given: halfway between a pair for wgan-gp, 1 beside x for dragan. u = dP/dg is
    shown on its own and, held, as what dP/dW = grad_W (u . g) is linear in; docs/second-order.md derives it.
    """
    row = PENALTIES[name]
    held = ["u"] if len(row.points) == 1 else [f"u{k + 1}" for k in range(len(row.points))]
    drawn = {"wgan-gp": np.full((2, 4), 0.5), "dragan": np.ones((2, 4))}.get(name)
    inputs = {"x_real": counted(2, 4), "x_fake": counted(2, 4, start=4)}
    inputs |= {"w": np.array([[1.0], [-1.0], [-1.0], [1.0]]), "v": np.array([[2.0]])}
    inputs |= {} if drawn is None else {"drawn": drawn}
    batches = [key for key in ("x_real", "x_fake", "drawn") if key in inputs]

    def critic(o: Any, a: Given) -> tuple[Net, list[Any], Array, list[Array]]:
        """D, the two batches as it saw them, dy of the sum of D(x), and what is drawn."""
        root = Chain(Linear(1, bias=False, act=Act("leaky_relu", 0.5)), Linear(1, bias=False))
        D = _net(o, root, (4,), a, ("w", "v"))
        batches = [(x, D.forward(x, "frozen", call=i)[1]) for i, x in enumerate((a.x_real, a.x_fake))]
        ones = o.zeros((len(a.x_real), 1), a.w.dtype)
        o.copyto(ones, 1)
        return D, batches, ones, [] if drawn is None else [a.drawn]

    def gradient(o: Any, a: Given, layer: int) -> Array:
        D, (real, fake), ones, given = critic(o, a)
        D.zero_grad()
        Penalty(config.Penalty(name=name, weight=1.0), D, 0).add(real, fake, [ones, *given])
        return _learned(D, layer, "w")

    def passed(o: Any, a: Given, k: int) -> tuple[Net, Any, Array, Any]:
        """At the penalty's points number k: D, its context there, g, and the dy that each layer was given."""
        D, (real, fake), ones, given = critic(o, a)
        _, ctx = row.points[k](D, real, fake, given, None)
        return D, ctx, *D.backward(ones, ctx, need_dw=False, trace=True)

    def g_of(o: Any, a: Given, k: int) -> Array:
        return passed(o, a, k)[2]

    def u_of(o: Any, a: Given, k: int) -> Array:
        return o.norm_loss(g_of(o, a, k), row.norm)[1]

    def of_products(o: Any, a: Given, layer: int) -> Array:
        """The gradient of u . g with u held, by the tangent passes that the penalty itself takes."""
        found = []
        for k, key in enumerate(held):
            D, ctx, _, dys = passed(o, a, k)
            D.zero_grad()
            D.backward_tangent(None, dys, ctx, D.forward_tangent(a[key], ctx)[1], need_dx=False)
            found.append(_learned(D, layer, "w"))
        return reduce(lambda one, other: o.axpby(1.0, one, 1.0, other), found)

    outs: dict[str, Out] = {}
    for k, key in enumerate(held):
        outs[key.replace("u", "g")] = Out(name, partial(g_of, k=k))
        outs[key] = Out(name, partial(u_of, k=k), mean_over(*batches))
    for key, layer in {"w": 0, "v": 1}.items():
        outs[f"d{key} of u g"] = Out(name, partial(of_products, layer=layer), linear_in(*held))
        outs[f"d{key}"] = Out(name, partial(gradient, layer=layer), mean_over(*batches))
    given = on(oracle, inputs)
    inputs |= {key: u_of(oracle, given, k) for k, key in enumerate(held)}
    return Example(inputs, outs, (f"penalty.{name}.mlp",))


LAYERS: dict[str, Example] = {name: _layer(row) for name, row in _ROWS.items()}
OF_LOSSES: dict[str, Example] = {name: _loss(name) for name in LOSSES}
OF_PENALTIES: dict[str, Example] = {name: _penalty(name) for name in PENALTIES}
