"""Rows of the gradient table for the tangent passes: each layer and tree with a tangent, and D under every penalty.

(x, dy) -> (dx, y) is a function of x, dy and the parameters. Its gradients for (u, v) are what the tangent passes give
when x moves along u and dy along v: tdx for x, ty for dy, and for the parameters what backward_tangent adds. So these
rows are Pearlmutter's products held against central differences of the hand-written gradient.

Under a penalty the gradient is that of D's own step; what it is held against is worked out from first-order passes.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from minigan import config, rng
from minigan.losses import LOSSES
from minigan.models.builders import make_nets
from minigan.models.layers import (
    Activation,
    AvgPool2x,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    InstanceNorm,
    LayerNorm,
    Linear,
    Reshape,
    Upsample2x,
)
from minigan.models.net import Net
from minigan.models.shapes import Act, Array, Shape
from minigan.models.trees import Chain, Heads, Residual, Skip
from minigan.penalties import PENALTIES
from minigan.study.rows import Numbers, Problem, Row, apart, clock, ops
from minigan.study.rows_nets import (
    BASE,
    SETTLED,
    SHAPES,
    Bound,
    Tree,
    gradients_of,
    kinked,
    packed,
    points_of,
    reduced,
    values_of,
)
from minigan.tasks.gan import GAN

_TANH, _SIGMOID, _LEAKY = Act("tanh"), Act("sigmoid"), Act("leaky_relu", 0.2)


def _pair(a: Any) -> tuple[Array, ...]:
    return a if isinstance(a, tuple) else (a,)


def tangent(root: Tree, in_shape: Shape, batch: int = 4, told: int = 0) -> Callable[[Numbers], Problem]:
    """(x, dy, ...parameters) -> (dx, y); a tree with two heads has two dy and two y. With `told`, the layers are told
    labels below it.
    """

    def make(g: Numbers) -> Problem:
        bound = Bound(lambda: Net("t", root(), in_shape), clock())
        heads = bound.real.out_shape if isinstance(bound.real.out_shape[0], tuple) else (bound.real.out_shape,)
        labels = g.integers(0, told, batch).astype(np.int32) if told else None
        names = ["dy"] if len(heads) == 1 else [f"dy{i}" for i in range(len(heads))]

        def passes(inputs: tuple[Array, ...]) -> tuple[Net, Any, Any, Any]:
            """The net, y, its context, and (dx, dys)."""
            x, dy, values = inputs[0], inputs[1 : 1 + len(heads)], inputs[1 + len(heads) :]
            net = bound.holding(x.dtype, values)
            y, ctx = net.forward(x, "frozen", labels=labels)
            return net, y, ctx, net.backward(dy if len(heads) > 1 else dy[0], ctx, need_dw=False, trace=True)

        def forward(*inputs: Array) -> tuple[Array, ...]:
            _, y, _, (dx, _) = passes(inputs)
            return dx, *_pair(y)

        def backward(uv: tuple[Array, ...], *inputs: Array) -> list[Array]:
            net, _, ctx, (_, dys) = passes(inputs)
            u, *v = uv
            ty, tctx = net.forward_tangent(u, ctx)
            net.dp[...] = BASE
            tdx = net.backward_tangent(tuple(v) if len(heads) > 1 else v[0], dys, ctx, tctx)
            return [np.zeros_like(u) if tdx is None else tdx, *_pair(ty), *gradients_of(net)]

        dy = {name: g.standard_normal((batch, *shape)) for name, shape in zip(names, heads, strict=True)}
        return Problem(forward, backward, {"x": apart(g, batch, *in_shape), **dy, **values_of(bound.real, g)})

    return make


def _conv(out: int, stride: int = 1) -> Conv2d:
    return Conv2d(out, (3, 2), stride, act=_TANH)


LAYERS: dict[str, tuple[Tree, Shape]] = {
    "Linear": (lambda: Linear(3), (5,)),
    "Linear.leaky_relu": (lambda: Linear(3, act=_LEAKY), (5,)),
    "Linear.tanh": (lambda: Linear(3, bias=False, act=_TANH), (5,)),
    "Conv2d.leaky_relu": (lambda: Conv2d(3, 5, 2, act=_LEAKY), (8, 6, 2)),
    "Conv2d.tanh": (lambda: Conv2d(3, (3, 2), (1, 3), ((0, 2), (1, 0)), act=_TANH), (6, 7, 2)),
    "ConvTranspose2d.leaky_relu": (lambda: ConvTranspose2d(2, (3, 4), (2, 1), ((1, 0), (0, 2)), act=_LEAKY), (3, 4, 3)),
    "ConvTranspose2d.sigmoid": (lambda: ConvTranspose2d(3, 5, 2, act=_SIGMOID), (4, 3, 2)),
    "LayerNorm": (lambda: LayerNorm(), (6,)),
    "LayerNorm.tanh": (lambda: LayerNorm(act=_TANH), (3, 2, 4)),
    "InstanceNorm.leaky_relu": (lambda: InstanceNorm(act=_LEAKY), (3, 4, 2)),
    "Activation.relu": (lambda: Activation(Act("relu")), (9,)),
    "Activation.tanh": (lambda: Activation(_TANH), (9,)),
    "Activation.sigmoid": (lambda: Activation(_SIGMOID), (9,)),
    "Dropout": (lambda: Dropout(0.4), (12,)),
    "Reshape": (lambda: Reshape(2, -1), (3, 4)),
    "Upsample2x": (Upsample2x, (2, 3, 2)),
    "AvgPool2x": (AvgPool2x, (4, 2, 2)),
    "Chain.tanh": (lambda: Chain(Linear(4, act=_TANH), LayerNorm(act=_SIGMOID), Dropout(0.3), Linear(1)), (3,)),
    "Chain.leaky_relu": (lambda: Chain(Linear(4, act=_LEAKY), Linear(4, act=_LEAKY), Linear(1)), (3,)),
    "Residual.identity": (lambda: Residual(Chain(_conv(2), _conv(2))), (4, 4, 2)),
    "Residual.skip": (lambda: Residual(Chain(_conv(4, 2), _conv(3)), Conv2d(3, 1, 2)), (4, 4, 2)),
    "Skip": (lambda: Skip(_conv(3, 2), Chain(_conv(4), InstanceNorm()), Chain(Upsample2x(), _conv(2))), (4, 4, 2)),
    "Heads": (lambda: Heads(Linear(4, act=_TANH), Linear(1), Chain(Linear(3, act=_LEAKY), Linear(2))), (3,)),
}


def _embedding(g: Numbers) -> Problem:
    """Labels do not move: (dy, w) -> y, and the tangents are ty = 0 and dw for tdy."""
    labels = g.integers(0, 3, 6).astype(np.int32)
    bound = Bound(lambda: Net("t", Embedding(3, 4), ()), clock())

    def passes(w: Array) -> tuple[Net, Array, Any]:
        net = bound.holding(w.dtype, [w])
        return net, *net.forward(labels)

    def backward(v: Array, dy: Array, w: Array) -> list[Array]:
        net, _, ctx = passes(w)
        _, dys = net.backward(dy, ctx, need_dw=False, trace=True)
        ty, tctx = net.forward_tangent(labels, ctx)
        net.dp[...] = BASE
        net.backward_tangent(v, dys, ctx, tctx)
        return [ty, *gradients_of(net)]

    return Problem(
        lambda dy, w: passes(w)[1], backward, {"dy": g.standard_normal((6, 4)), "w": g.standard_normal((3, 4))}
    )


# kind of D: the preset whose networks it comes from, and what is changed of them
NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp.relu": ("mlp-mnist", {"widths_d": (6, 5)}),
    "mlp.tanh": ("mlp-mnist", {"widths_d": (6, 5), "act_d": "tanh"}),
    "mlp.layer": ("mlp-mnist", {"widths_d": (6, 5), "norm_d": "layer", "act_d": "leaky_relu"}),
    "mlp.packed": ("mlp-mnist", {"act_d": "tanh", "packing": 2}),
    "mlp.spectral": ("mlp-mnist", {"act_d": "leaky_relu", "norm_d": "spectral"}),
    "dcgan.leaky_relu": ("dcgan-mnist", {}),
    "dcgan.tanh": ("dcgan-mnist", {"act_d": "tanh"}),
    "dcgan.packed": ("dcgan-mnist", {"packing": 2}),
    "dcgan.spectral": ("dcgan-mnist", {"act_d": "tanh", "norm_d": "spectral"}),
    "dcgan.layer": ("dcgan-mnist", {"norm_d": "layer"}),
    "dcgan.instance": ("dcgan-mnist", {"norm_d": "instance", "act_d": "tanh"}),
    "resnet.layer": ("resnet", {"norm_d": "layer", "act_d": "tanh"}),
}


def _between(x_real: Array, x_fake: Array, drawn: Array) -> Array:
    a = drawn.reshape(-1, *(1 for _ in x_real.shape[1:]))
    return a * x_real + (1 - a) * x_fake


# penalty: (real, generated, what its draw gives) -> the points of its gradient, by the number of D's pass on them
POINTS: dict[str, Callable[[Array, Array, Array], dict[int, Array]]] = {
    "wgan-gp": lambda x_real, x_fake, a: {2: _between(x_real, x_fake, a)},
    "dragan": lambda x_real, x_fake, noise: {2: x_real + config.Penalty().noise * noise},
    "r1": lambda x_real, x_fake, _: {0: x_real},
    "r2": lambda x_real, x_fake, _: {1: x_fake},
    "r1+r2": lambda x_real, x_fake, _: {0: x_real, 1: x_fake},
}


def _penalised(name: str, kind: str, loss: str = "wasserstein") -> Callable[[Numbers], Problem]:
    """All that D minimises: critic, lambda ||theta||^2 and penalty, by every parameter of D."""

    def make(g: Numbers) -> Problem:
        preset, changes = NETS[kind]
        words = reduced(
            preset,
            d=config.Optim(l2=0.01),
            loss=config.Loss(loss),
            penalty=config.Penalty(name, weight=3.0),
            train=config.Train(dtype="float64"),
        )
        words = dataclasses.replace(words, model=dataclasses.replace(words.model, **changes))
        gan = GAN(words, ops, SHAPES[preset])
        gan.clock.array[:] = clock()
        bound = Bound(lambda: make_nets(words.model, gan.shape, 0.0, 0.01)[1], gan.clock.array)
        fixed = values_of(bound.real, g)
        bound.iterate(list(fixed.values()), SETTLED)
        ops.copyto(gan.D.state, bound.real.state)
        x_real, z = g.uniform(-1.0, 1.0, (4, *gan.shape)), g.standard_normal((4, words.model.z))
        x_d, x_fake = (packed(x, words.model.packing) for x in (x_real, gan.G.forward(z, "frozen")[0]))
        draws = rng.host(words.train.seed, "penalty", 1)
        drawn = draws.standard_normal(x_d.shape) if name == "dragan" else draws.random(len(x_d))
        points = POINTS[name](x_d, x_fake, drawn)

        def forward(*values: Array) -> Array:
            D = bound.holding(values[0].dtype, values)
            x_r, x_f = (x.astype(values[0].dtype) for x in (x_d, x_fake))
            real, _ = D.forward(x_r, call=0)
            fake, _ = D.forward(x_f, call=1)
            loss = D.add_penalty(gan.loss.critic(ops, real, fake)[0])
            for call, x in points.items():
                y, ctx = D.forward(x.astype(x_r.dtype), call=call)
                steep = D.backward(np.ones_like(y), ctx, need_dw=False)
                norm = np.sqrt((steep * steep).sum(axis=tuple(range(1, steep.ndim))))
                penalty = (norm - 1) ** 2 if name in ("wgan-gp", "dragan") else norm**2 / 2
                loss = loss + 3.0 * penalty.mean()
            return loss

        def backward(dy: Array, *values: Array) -> list[Array]:
            views = gan.D.layout.views(gan.D.p)
            for key, value in zip(fixed, values, strict=True):
                ops.copyto(views[f"d.{key}"], value)
            gan.d_step(x_real, z, update=False, drawn=gan.penalty_inputs(x_real))
            return [dy * gan.D.layout.views(gan.D.dp)[f"d.{key}"] for key in fixed]

        return Problem(forward, backward, fixed)

    return make


ROWS: dict[str, Row] = {
    "tangent.Embedding": Row(_embedding),
    **{f"tangent.{name}": kinked(tangent(root, shape), 16) for name, (root, shape) in LAYERS.items()},
    **{
        f"penalty.{name}.{kind}": kinked(_penalised(name, kind), points_of(NETS[kind][0]))
        for name in PENALTIES
        for kind in NETS
    },
    **{
        f"penalty.{name}.loss.{loss}": kinked(_penalised(name, "mlp.tanh", loss), 4)
        for name in PENALTIES
        for loss in LOSSES
    },
}
