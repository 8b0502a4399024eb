"""Rows of the gradient table: a variational autoencoder's step, through the noise of its z."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigan import config
from minigan.models.autoencoders import make_autoencoder
from minigan.models.net import Net
from minigan.models.shapes import Array, Shape
from minigan.study.rows import Numbers, Problem, Row, clock, ops
from minigan.study.rows_nets import Bound, kinked, values_of
from minigan.tasks.vae import VAE

SHAPE: Shape = (8, 8, 1)
RATE = 0.01


def reduced(**model: Any) -> config.Config:
    """The preset vae-mnist, narrow and in float64; `model` are keys other than its."""
    whole = config.load("vae-mnist")
    narrow: dict[str, Any] = {"z": 3, "widths_g": (6,), "widths_d": (5,), "strides_g": (2,), "kernel": 3} | model
    regular = dataclasses.replace(whole.g, l2=RATE)
    words = dataclasses.replace(whole, model=dataclasses.replace(whole.model, **narrow), g=regular)
    return dataclasses.replace(words, train=config.Train(dtype="float64"))


def _step(**model: Any) -> Callable[[Numbers], Problem]:
    """-ELBO and lambda ||theta||^2 as a function of all parameters; eps stays as it is."""

    def make(g: Numbers) -> Problem:
        words = reduced(**model)
        task = VAE(words, ops, SHAPE)
        task.clock.array[:] = clock()

        def made(which: int) -> Net:
            return make_autoencoder(words.model, SHAPE, RATE)[which]

        pair = {name: Bound(partial(made, i), task.clock.array) for i, name in enumerate("eg")}
        fixed = {
            f"{name}/{key}": value for name, bound in pair.items() for key, value in values_of(bound.real, g).items()
        }
        x, eps = g.uniform(0.0, 1.0, (4, *SHAPE)), g.standard_normal((4, words.model.z))

        def forward(*values: Array) -> Array:
            dtype, given = values[0].dtype, dict(zip(fixed, values, strict=True))
            E, G = (
                bound.holding(dtype, [v for key, v in given.items() if key.startswith(f"{name}/")])
                for name, bound in pair.items()
            )
            (mean, logvar), _ = E.forward(x.astype(dtype), "frozen")
            p, _ = G.forward(mean + np.exp(logvar / 2) * eps, "frozen")
            loss_x = -(x * np.log(p) + (1 - x) * np.log(1 - p)).sum() / len(x)
            kl = (mean**2 + np.exp(logvar) - 1 - logvar).sum() / (2 * len(x))
            return E.add_penalty(G.add_penalty(np.asarray(loss_x + kl)))

        def backward(dy: Array, *values: Array) -> list[Array]:
            for key, value in zip(fixed, values, strict=True):
                name, _, own = key.partition("/")
                ops.copyto(task.nets[name].layout.views(task.nets[name].p)[f"{name}.{own}"], value)
            task.g_step(x, eps, update=False)
            views = {name: net.layout.views(net.dp) for name, net in task.nets.items()}
            return [dy * views[key[0]][f"{key[0]}.{key[2:]}"] for key in fixed]

        return Problem(forward, backward, fixed)

    return make


ROWS: dict[str, Row] = {
    "step.vae.mlp": kinked(_step(), 24),
    "step.vae.dcgan": kinked(_step(family="dcgan", norm_d="batch"), 24),
}
