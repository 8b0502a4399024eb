"""Rows of the gradient table for conditions: layers that are told labels, and what both players of such a GAN minimise.

As in rows_nets.py and rows_second.py the gradient is that of the step itself, and what it is held against is worked out
from forward passes, under a penalty from first-order ones; the second head's losses are written down here once more.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigan import config, rng
from minigan.models.builders import make_nets
from minigan.models.conditions import CONDITIONS
from minigan.models.layers import MODES, ConcatLabel, ConditionalBatchNorm, Conv2d, Linear, Projection, Reshape
from minigan.models.net import Net
from minigan.models.shapes import Act, Array, Shape
from minigan.models.trees import Chain, Residual
from minigan.penalties import PENALTIES
from minigan.study.rows import Numbers, Problem, Row, clock, ops
from minigan.study.rows_nets import SETTLED, SHAPES, Bound, Tree, kinked, place, reduced, tree, values_of
from minigan.study.rows_second import POINTS, tangent
from minigan.tasks.gan import GAN

_TANH, _LEAKY = Act("tanh"), Act("leaky_relu", 0.2)
_CLASSES = 3

LAYERS: dict[str, tuple[Tree, Shape]] = {
    "ConcatLabel": (lambda: ConcatLabel(_CLASSES, 4), (5,)),
    "ConcatLabel.image": (lambda: Chain(ConcatLabel(_CLASSES, 1), Conv2d(2, 3, act=_TANH)), (4, 3, 2)),
    "Projection": (lambda: Projection(_CLASSES), (5,)),
    "Projection.net": (
        lambda: Chain(Conv2d(3, 3, 2, act=_LEAKY), Reshape(-1), Residual(Linear(1), Projection(_CLASSES))),
        (4, 4, 2),
    ),
}


def _second_head(q: Array, told: Sequence[Array], weights: config.Loss) -> Array:
    """q (N, K + U), told [labels (N,)] or [labels, u (N,U)] -> the weighted cross entropy and squared error, 0-d."""
    labels, *u = told
    logits = q[:, : q.shape[1] - sum(a.shape[1] for a in u)]
    entropy = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(q)), labels]
    errors = [((q[:, logits.shape[1] :] - a) ** 2).mean() for a in u]
    return weights.label * entropy.mean() + sum(weights.codes * error for error in errors)


def _player(
    condition: str, player: str, preset: str = "dcgan-mnist", penalty: str = "", **model: Any
) -> Callable[[Numbers], Problem]:
    """What one player of a conditional GAN minimises, by all its parameters."""

    def make(g: Numbers) -> Problem:
        rate = 0.01
        regular = config.Optim(l2=rate)
        words = reduced(
            preset,
            g=regular,
            d=regular,
            loss=config.Loss("wasserstein" if penalty else "non-saturating", label=0.7, codes=0.3),
            penalty=config.Penalty(penalty or "none", weight=3.0),
            train=config.Train(dtype="float64"),
        )
        more = {"condition": condition, "label_features": 2, "code_classes": _CLASSES, **model}
        words = dataclasses.replace(words, model=dataclasses.replace(words.model, **more))
        gan = GAN(words, ops, SHAPES[preset], _CLASSES)
        gan.clock.array[:] = clock()

        def made(which: int) -> Net:
            return make_nets(words.model, gan.shape, rate, rate, labels=_CLASSES)[which]

        pair = {name: Bound(partial(made, i), gan.clock.array) for i, name in enumerate("gd")}
        fixed = {name: values_of(bound.real, g) for name, bound in pair.items()}
        pair["d"].iterate(list(fixed["d"].values()), SETTLED)
        ops.copyto(gan.D.state, pair["d"].real.state)
        x_real, z = g.uniform(-1.0, 1.0, (4, *gan.shape)), g.standard_normal((4, *gan.G.in_shape))
        labels = g.integers(0, _CLASSES, 4).astype(np.int32)
        told = gan.condition.told(None if gan.condition.drawn else labels, z, 0)
        draws = rng.host(words.train.seed, "penalty", 1)
        a = draws.standard_normal(x_real.shape) if penalty == "dragan" else draws.random(4)

        def heads(y: Any) -> tuple[Array, Array | None]:
            return y if gan.condition.heads else (y, None)

        def forward(*values: Array) -> Array:
            dtype = values[0].dtype
            held = {name: values if name == player else list(fixed[name].values()) for name in pair}
            G, D = (pair[name].holding(dtype, held[name]) for name in "gd")
            x_r, (x_f, _) = x_real.astype(dtype), G.forward(z.astype(dtype), "frozen", labels=told[0])
            fake, fake2 = heads(D.forward(x_f, "frozen", call=int(player == "d"), labels=told[0])[0])
            if player == "g":
                loss = G.add_penalty(gan.loss.generator(ops, fake)[0])
                return loss if fake2 is None else loss + _second_head(fake2, told, words.loss)
            real, real2 = heads(D.forward(x_r, "frozen", call=0, labels=told[0])[0])
            loss = D.add_penalty(gan.loss.critic(ops, real, fake)[0])
            if fake2 is not None:
                loss = loss + _second_head(fake2, told, words.loss)
            if real2 is not None and condition == "acgan":
                loss = loss + _second_head(real2, told, words.loss)
            for call, x in POINTS[penalty](x_r, x_f, a).items() if penalty else ():
                y, ctx = D.forward(x, call=call, labels=told[0])
                one = np.ones((len(x), 1), dtype)
                steep = D.backward((one, np.zeros_like(y[1])) if gan.condition.heads else one, ctx, need_dw=False)
                norm = np.sqrt((steep * steep).sum(axis=(1, 2, 3)))
                loss = loss + 3.0 * ((norm - 1) ** 2 if penalty in ("wgan-gp", "dragan") else norm**2 / 2).mean()
            return loss

        def backward(dy: Array, *values: Array) -> list[Array]:
            place(gan.nets, fixed | {player: dict(zip(fixed[player], values, strict=True))})
            if player == "g":
                gan.g_step(z, update=False, told=told)
            else:
                gan.d_step(x_real, z, update=False, drawn=gan.penalty_inputs(x_real), told=told)
            views = gan.nets[player].layout.views(gan.nets[player].dp)
            return [dy * views[f"{player}.{key}"] for key in fixed[player]]

        return Problem(forward, backward, fixed[player])

    return make


# condition -> the preset whose networks it is put into, and what is changed of them
STEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "embedding": ("dcgan-mnist", {}),
    "embedding.mlp": ("mlp-mnist", {}),
    "projection": ("dcgan-mnist", {"condition_g": "batchnorm"}),
    "projection.spectral": ("mlp-mnist", {"norm_d": "spectral"}),
    "acgan": ("dcgan-mnist", {}),
    "infogan": ("dcgan-mnist", {}),
    "infogan.label": ("mlp-mnist", {"codes": 0}),
}
# those that a D of convolutions has beside them; every penalty meets every condition on dense layers
ON_IMAGES = {"wgan-gp": ("embedding", "projection", "acgan"), "r1+r2": ("projection", "infogan")}

ROWS: dict[str, Row] = {
    **{name: kinked(tree(root, shape, told=_CLASSES), 16) for name, (root, shape) in LAYERS.items()},
    **{f"tangent.{name}": kinked(tangent(root, shape, told=_CLASSES), 16) for name, (root, shape) in LAYERS.items()},
    **{
        f"ConditionalBatchNorm.{mode}": kinked(
            tree(lambda: ConditionalBatchNorm(_CLASSES, act=_TANH), (2, 3, 4), mode, told=_CLASSES), 24
        )
        for mode in MODES
    },
    **{
        f"step.{name}.{player}": kinked(_player(name.split(".")[0], player, preset, **changes), 12)
        for name, (preset, changes) in STEPS.items()
        for player in "dg"
    },
    **{
        f"penalty.{penalty}.{condition}": kinked(_player(condition, "d", "dcgan-mnist", penalty, act_d="tanh"), 12)
        for penalty, conditions in ON_IMAGES.items()
        for condition in conditions
    },
    **{
        f"penalty.{penalty}.{condition}.mlp": kinked(_player(condition, "d", "mlp-mnist", penalty, act_d="tanh"), 4)
        for penalty in PENALTIES
        for condition in CONDITIONS
    },
}
