"""Rows of the gradient table: layers, combinators, both presets' nets, and what the two players of a GAN minimise."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigan import config
from minigan.losses import LOSSES
from minigan.models.builders import make_nets
from minigan.models.init import he
from minigan.models.layers import (
    MODES,
    Activation,
    AvgPool2x,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    InstanceNorm,
    LayerNorm,
    Linear,
    MinibatchStddev,
    Reshape,
    Upsample2x,
)
from minigan.models.net import Net
from minigan.models.shapes import Act, Array, Shape
from minigan.models.taps import forward_taps
from minigan.models.translators import translator
from minigan.models.trees import Chain, Heads, Residual, Skip
from minigan.study.rows import Numbers, Problem, Row, apart, clock, ops
from minigan.tasks.gan import GAN

_EPS = 4e-6  # through many layers rounding weighs more than curvature, so a longer step than an op's is the sharper one
_TANH, _LEAKY = Act("tanh"), Act("leaky_relu", 0.2)


def values_of(net: Net, g: Numbers) -> dict[str, Array]:
    """Values of size 1 for every parameter: far from the small ones a run begins with, whose gradients vanish."""
    out = {}
    for layer in net.layers:
        for key, (shape, init, fan_in, fan_out, decay) in layer.params.items():
            near = 0.0 if decay else 0.1 * g.standard_normal(shape)  # biases and norms are not only 0 and 1
            rule = he if decay else init
            out[f"{layer.name}.{key}".removeprefix(f"{net.name}.")] = rule(g, shape, fan_in, fan_out) + near
    return out


def place(nets: dict[str, Net], values: dict[str, dict[str, Array]]) -> None:
    """Overwrites every net's parameters: net -> what `values_of` gave."""
    for name, net in nets.items():
        views = net.layout.views(net.p)
        for key, value in values[name].items():
            ops.copyto(views[f"{name}.{key}"], value)


class Bound:
    """The same net twice: in float64, and in complex128 for the complex step. Running statistics are not 0 and 1."""

    def __init__(self, make: Callable[[], Net], at: Array):
        self.nets = {}
        for dtype in (np.float64, np.complex128):
            net = make()
            net.bind(ops, 0, dtype, at)
            views = net.state_layout.views(net.state)
            for view in (views[f"{layer.name}.{key}"] for layer in net.layers for key in layer.state):
                ops.copyto(view, np.linspace(0.5, 1.5, view.size))
            self.nets[np.dtype(dtype)] = net
        self.real = self.nets[np.dtype(np.float64)]

    def holding(self, dtype: Any, values: Sequence[Array]) -> Net:
        """The net of that dtype, with these parameters, in the order of `values_of`."""
        net = self.nets[np.dtype(dtype)]
        views = net.layout.views(net.p)
        names = [f"{layer.name}.{key}" for layer in net.layers for key in layer.params]
        for name, value in zip(names, values, strict=True):
            ops.copyto(views[name], value)
        net.normalise_weights(iterate=False)
        return net

    def iterate(self, values: Sequence[Array], times: int) -> None:
        """Power iterations of spectral norms at these parameters; from then on u and v are held."""
        net = self.holding(np.float64, values)
        for _ in range(times):
            net.normalise_weights(iterate=True)
        found = net.state_layout.views(net.state)
        for other in self.nets.values():
            for key, view in other.state_layout.views(other.state).items():
                ops.copyto(view, found[key])


def gradients_of(net: Net) -> list[Array]:
    """What was added to `dp`, which began at BASE, in the order of `values_of`."""
    views = net.layout.views(net.dp)
    return [views[f"{layer.name}.{key}"] - BASE for layer in net.layers for key in layer.params]


BASE = 0.5
SETTLED = 300  # power iterations after which one more, as in a D step, moves u and v by rounding alone
Tree = Callable[[], Any]


def tree(
    root: Tree,
    in_shape: Shape,
    mode: str = "frozen",
    batch: int = 4,
    labels: int = 0,
    spectral: bool = False,
    told: int = 0,
) -> Callable[[Numbers], Problem]:
    """A layer or tree: gradients of its input and of every parameter. With `labels`, x are integers below it; with
    `told`, the layers are told such integers beside x.
    """

    def make(g: Numbers) -> Problem:
        bound = Bound(lambda: Net("t", root(), in_shape, spectral=spectral), clock())
        drawn = g.integers(0, labels, (batch, *in_shape)).astype(np.int32) if labels else None
        first = {} if labels else {"x": apart(g, batch, *in_shape)}
        beside = g.integers(0, told, batch).astype(np.int32) if told else None
        fixed = values_of(bound.real, g)
        bound.iterate(list(fixed.values()), 1)

        def split(inputs: tuple[Array, ...]) -> tuple[Net, Array]:
            x, values = (drawn, inputs) if labels else (inputs[0], inputs[1:])
            return bound.holding(inputs[0].dtype, values), x

        def forward(*inputs: Array) -> Any:
            net, x = split(inputs)
            return net.forward(x, mode, labels=beside)[0]

        def backward(dy: Any, *inputs: Array) -> list[Array | None]:
            net, x = split(inputs)
            _, ctx = net.forward(x, mode, labels=beside)
            net.zero_grad()
            net.dp[...] = BASE
            dx = net.backward(dy, ctx)
            net.finish_gradients()
            return [*([] if labels else [dx]), *gradients_of(net)]

        return Problem(forward, backward, {**first, **fixed})

    return make


def _conv(out: int, stride: int = 1) -> Conv2d:
    return Conv2d(out, (3, 2), stride, act=_TANH)


LAYERS: dict[str, tuple[Tree, Shape]] = {
    "Linear": (lambda: Linear(3, act=_LEAKY), (5,)),
    "Linear.nobias": (lambda: Linear(3, bias=False), (5,)),
    "Conv2d.same": (lambda: Conv2d(3, 5, 2, act=_LEAKY), (8, 6, 2)),
    "Conv2d.pairs": (lambda: Conv2d(3, (3, 2), (1, 3), ((0, 2), (1, 0)), bias=False, act=_TANH), (6, 7, 2)),
    "ConvTranspose2d.same": (lambda: ConvTranspose2d(3, 5, 2, act=_TANH), (4, 3, 2)),
    "ConvTranspose2d.pairs": (lambda: ConvTranspose2d(2, (3, 4), (2, 1), ((1, 0), (0, 2)), act=_LEAKY), (3, 4, 3)),
    "ConvTranspose2d.nobias": (lambda: ConvTranspose2d(2, 3, (2, 3), "valid", bias=False), (3, 2, 3)),
    "LayerNorm": (lambda: LayerNorm(act=_TANH), (3, 2, 4)),
    "InstanceNorm": (lambda: InstanceNorm(act=_TANH), (3, 4, 2)),
    "Activation": (lambda: Activation(_LEAKY), (9,)),
    "Dropout": (lambda: Dropout(0.4), (12,)),
    "Reshape": (lambda: Reshape(2, -1), (3, 4)),
    "Upsample2x": (Upsample2x, (2, 3, 2)),
    "AvgPool2x": (AvgPool2x, (4, 2, 2)),
    "MinibatchStddev": (lambda: MinibatchStddev(2), (2, 3, 2)),
    "Chain": (lambda: Chain(Linear(4, act=_TANH), BatchNorm(act=_LEAKY), Linear(2)), (3,)),
    "Residual.identity": (lambda: Residual(Chain(_conv(2), _conv(2))), (4, 4, 2)),
    "Residual.skip": (lambda: Residual(Chain(_conv(4, 2), _conv(3)), Conv2d(3, 1, 2)), (4, 4, 2)),
    "Skip": (lambda: Skip(_conv(3, 2), Chain(_conv(4), InstanceNorm()), Chain(Upsample2x(), _conv(2))), (4, 4, 2)),
    "Heads": (lambda: Heads(Linear(4, act=_TANH), Linear(1), Chain(Linear(3, act=_LEAKY), Linear(2))), (3,)),
}


# u and v after one power iteration, so that sigma is not yet a singular value, and its gradient still u v'
SPECTRAL: dict[str, tuple[Tree, Shape]] = {
    "spectral.Linear": (lambda: Linear(3, act=_LEAKY), (5,)),
    "spectral.Conv2d": (lambda: Conv2d(3, (3, 2), 2, act=_TANH), (5, 4, 2)),
    "spectral.Chain": (
        lambda: Chain(_conv(3, 2), Reshape(-1), Linear(4, bias=False, act=_LEAKY), Linear(1)),
        (4, 4, 2),
    ),
}


# small ones, whose last activation is smooth and first one kinked, as in translators.py
TRANSLATORS: dict[str, tuple[Tree, Shape]] = {
    "resnet": (lambda: translator("resnet", (6, 4, 2), (6, 4, 1), width=2, depth=1, blocks=1), (6, 4, 2)),
    "resnet.larger": (lambda: translator("resnet", (2, 3, 1), (4, 6, 2), 2, 0, 1, "batch"), (2, 3, 1)),
    "unet": (lambda: translator("unet", (12, 8, 1), (12, 8, 2), width=2, depth=2, blocks=1), (12, 8, 1)),
    "unet.bare": (lambda: translator("unet", (4, 4, 2), (4, 4, 1), 2, 2, 0, "none"), (4, 4, 2)),
}


# networks: the preset that they come from, and what makes them narrow
NARROW: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp-mnist": ("mlp-mnist", {"z": 5, "widths_g": (6,), "widths_d": (6,)}),
    "dcgan-mnist": ("dcgan-mnist", {"z": 4, "widths_g": (4, 3, 2), "widths_d": (3, 4)}),
    # D: a block that halves, one that is wider, one that is neither
    "resnet": ("dcgan-mnist", {"family": "resnet", "z": 3, "widths_g": (3,), "widths_d": (2, 3, 3)}),
    # signals: images of one row, under kernels 1x5
    "wave": ("dcgan-mnist", {"family": "wave", "z": 3, "widths_g": (3, 2), "strides_g": (2, 4), "widths_d": (2, 3)}),
}
SHAPES: dict[str, Shape] = {"mlp-mnist": (4, 4, 1), "dcgan-mnist": (8, 8, 1), "resnet": (8, 8, 1), "wave": (1, 16, 2)}
PRESETS = ("mlp-mnist", "dcgan-mnist")


def reduced(name: str, **overrides: Any) -> config.Config:
    """Networks of NARROW: the same layers, strides, padding and activations as the preset's, or family's."""
    preset, narrow = NARROW[name]
    whole = config.load(preset)
    return dataclasses.replace(whole, model=dataclasses.replace(whole.model, **narrow), **overrides)


def _net(preset: str, which: int, mode: str) -> Callable[[Numbers], Problem]:
    """G (0) or D (1) of NARROW."""
    shape = SHAPES[preset]
    nets = make_nets(reduced(preset).model, shape, 0.0, 0.0)
    return tree(lambda: make_nets(reduced(preset).model, shape, 0.0, 0.0)[which].root, nets[which].in_shape, mode)


def packed(x: Array, m: int) -> Array:
    """models/packing.py's pack, said otherwise."""
    return np.concatenate(np.split(x, m), axis=-1)


def minimised(
    loss: str, player: str, preset: str = "dcgan-mnist", train: Any = None, layer: int = -1, **model: Any
) -> Callable[[Numbers], Problem]:
    """What one player minimises, lambda ||theta||^2 included, as a function of all its parameters.

    `train`, `layer` and `model` are keys other than the preset's. The gradient is that of the step itself (GAN.d_step,
    GAN.g_step); the loss is worked out from forward passes alone.
    """

    def make(g: Numbers) -> Problem:
        rate = 0.01
        smoothing = 0.1 if LOSSES[loss].smooths else 0.0
        regular = config.Optim(l2=rate)
        words = reduced(
            preset,
            g=regular,
            d=regular,
            loss=config.Loss(loss, smoothing, layer),
            train=config.Train(dtype="float64", **(train or {})),
        )
        words = dataclasses.replace(words, model=dataclasses.replace(words.model, **model))
        packing = words.model.packing
        gan = GAN(words, ops, SHAPES[preset])
        gan.clock.array[:] = clock()

        def made(which: int) -> Net:
            return make_nets(words.model, gan.shape, rate, rate)[which]

        pair = {name: Bound(partial(made, i), gan.clock.array) for i, name in enumerate("gd")}
        fixed = {name: values_of(bound.real, g) for name, bound in pair.items()}
        pair["d"].iterate(list(fixed["d"].values()), SETTLED)
        ops.copyto(gan.D.state, pair["d"].real.state)
        n = 2 * packing if packing > 1 else 4
        x_real, z = g.uniform(-1.0, 1.0, (n, *gan.shape)), g.standard_normal((n, words.model.z))
        moves, weight = gan.moves(0, n), words.train.consistency

        def judged(D: Net, x: Array, call: int = 0) -> Array:
            if gan.tap is None:
                return D.forward(x, "frozen", call=call)[0]
            return forward_taps(D, x, [gan.tap], "frozen", call)[0][0]

        def forward(*values: Array) -> Array:
            dtype = values[0].dtype
            held = {name: values if name == player else list(fixed[name].values()) for name in pair}
            G, D = (pair[name].holding(dtype, held[name]) for name in "gd")
            x_fake, _ = G.forward(z.astype(dtype), "frozen")
            plain = x_real.astype(dtype), x_fake
            changed = [packed(gan.augment.forward(ops, x, m), packing) for x, m in zip(plain, moves, strict=True)]
            x_r, x_f = [packed(x, packing) for x in plain] if weight else changed
            if player == "g":
                against = [judged(D, x_r, call=1)] if gan.pairs else []
                return G.add_penalty(gan.loss.generator(ops, judged(D, x_f), *against)[0])
            ys = [D.forward(x, "frozen", call=i)[0] for i, x in enumerate((x_r, x_f))]
            loss = gan.loss.critic(ops, *ys)[0]
            for y, x, call in zip(ys, changed, (3, 4), strict=True) if weight else ():
                loss = loss + weight * ((y - D.forward(x, "frozen", call=call)[0]) ** 2).mean()
            return D.add_penalty(loss)

        def backward(dy: Array, *values: Array) -> list[Array]:
            place(gan.nets, fixed | {player: dict(zip(fixed[player], values, strict=True))})
            if player == "g":
                kept = ((), ()) if weight else moves
                gan.g_step(z, update=False, x_real=x_real if gan.pairs else None, moves=kept)
            else:
                gan.d_step(x_real, z, update=False, moves=moves)
            views = gan.nets[player].layout.views(gan.nets[player].dp)
            return [dy * views[f"{player}.{key}"] for key in fixed[player]]

        return Problem(forward, backward, fixed[player])

    return make


def points_of(name: str) -> int:
    """Points per input of networks of NARROW; residual ones have many inputs, and slow ones."""
    return 12 if name in PRESETS else 4


def kinked(make: Callable[[Numbers], Problem], points: int) -> Row:
    return Row(make, smooth=False, points=points, eps=_EPS)


ROWS: dict[str, Row] = {
    **{name: kinked(tree(root, shape), 16) for name, (root, shape) in LAYERS.items()},
    **{name: kinked(tree(root, shape, spectral=True), 16) for name, (root, shape) in SPECTRAL.items()},
    "Embedding": Row(tree(lambda: Embedding(3, 4), (), labels=3), points=12),
    **{f"BatchNorm.{mode}": Row(tree(lambda: BatchNorm(act=_TANH), (2, 3, 4), mode), eps=_EPS) for mode in MODES},
    **{
        f"net.{preset}.{name}.{mode}": kinked(_net(preset, i, mode), points_of(preset))
        for preset in SHAPES
        for i, name in enumerate("gd")
        for mode in MODES
    },
    **{f"step.{loss}.{player}": kinked(minimised(loss, player), 12) for loss in LOSSES for player in "dg"},
    **{
        f"step.packed{m}.{preset}.{player}": kinked(minimised("non-saturating", player, preset, packing=m), 12)
        for m in (2, 3)
        for preset in PRESETS
        for player in "dg"
    },
    **{f"net.translator.{name}": kinked(tree(*row), 4) for name, row in TRANSLATORS.items()},
    **{
        f"step.stddev.{preset}.{player}": kinked(minimised("hinge", player, preset, minibatch_stddev=2), 12)
        for preset in PRESETS
        for player in "dg"
    },
    **{
        f"step.spectral.{preset}.{player}": kinked(minimised("hinge", player, preset, norm_d="spectral"), 12)
        for preset in PRESETS
        for player in "dg"
    },
}
