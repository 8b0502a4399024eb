"""Penalties on the length of D's gradient by its input, as a table: where it is taken, and what is done with its norm.

P = weight * mean_n f(||g_n||),  g = grad_x of the sum of D(x).   Its gradient by D's weights needs second derivatives:

    g, dys = D.backward(ones)           and u = dP/dg, from here on held fixed: dP/dW = grad_W (u . g)
    D.forward_tangent(u)                u . g is how D moves when x moves along u ...
    D.backward_tangent(...)             ... and its gradient by W how dW moves then: Pearlmutter's R-operator

docs/second-order.md derives it. Where ||g|| = 0 it has no direction, and u is 0 (`norm_loss` in the oracle).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minigan import rng
from minigan.config import Penalty as Config
from minigan.errors import ConfigError
from minigan.models.layers import Layer
from minigan.models.net import Net
from minigan.models.shapes import Array

Batch = tuple[Array, Any]  # samples x (N, ...), and the context that D's forward pass on them left
CALL = 2  # D's third forward pass in its step, after the real and the generated batch, where the points are neither


class Row(NamedTuple):
    """`points` makes of (config, D, the real batch, the generated one, a host generator) the batch that g is taken at.

    `norm` is norm_loss's kind: "one" is (||g|| - 1)^2, "zero" is ||g||^2 / 2.
    """

    points: Callable[[Config, Net, Batch, Batch, np.random.Generator], Batch]
    norm: str


def _real(config: Config, D: Net, real: Batch, fake: Batch, g: np.random.Generator) -> Batch:
    return real


def _fake(config: Config, D: Net, real: Batch, fake: Batch, g: np.random.Generator) -> Batch:
    return fake


def _between(config: Config, D: Net, real: Batch, fake: Batch, g: np.random.Generator) -> Batch:
    """a x_real + (1 - a) x_fake, a uniform in [0, 1), one for each pair of samples."""
    (x_real, _), (x_fake, _), ops = real, fake, D.ops
    a = g.random(len(x_real)).astype(x_real.dtype).reshape(-1, *(1 for _ in x_real.shape[1:]))
    part = ops.mul(ops.asarray(np.broadcast_to(a, x_real.shape).copy()), ops.axpby(1.0, x_real, -1.0, x_fake))
    return _passed(D, ops.axpby(1.0, x_fake, 1.0, part))


def _around(config: Config, D: Net, real: Batch, fake: Batch, g: np.random.Generator) -> Batch:
    """x_real + noise, normal with standard deviation penalty.noise."""
    x_real, _ = real
    noise = D.ops.asarray(g.standard_normal(x_real.shape).astype(x_real.dtype))
    return _passed(D, D.ops.axpby(1.0, x_real, config.noise, noise))


def _passed(D: Net, x: Array) -> Batch:
    _, ctx = D.forward(x, call=CALL)
    return x, ctx


PENALTIES = {
    # Gulrajani et al. 2017, arXiv:1704.00028
    "wgan-gp": Row(_between, "one"),
    # Kodali et al. 2017, arXiv:1705.07215
    "dragan": Row(_around, "one"),
    # Mescheder et al. 2018, arXiv:1801.04406
    "r1": Row(_real, "zero"),
    "r2": Row(_fake, "zero"),
}


class Penalty:
    """A row at work on D, at every `every`-th of D's updates and then `every` times as strong (lazy: arXiv:1912.04958).

    Raises ConfigError where a layer of D has no second derivatives, or none that mean anything.
    """

    def __init__(self, config: Config, D: Net, seed: int):
        self.config, self.D, self.seed, self.row = config, D, seed, PENALTIES[config.name]
        for layer in D.layers:
            if layer.couples:
                raise ConfigError(
                    f"penalty.name {config.name} takes D's gradient sample by sample, but {layer.name} "
                    f"({type(layer).__name__}) makes a sample's D(x) depend on its whole batch; take model.norm_d layer"
                )
            if type(layer).forward_tangent is Layer.forward_tangent:
                raise ConfigError(
                    f"penalty.name {config.name} needs second derivatives, but {layer.name} ({type(layer).__name__}) "
                    "has no forward_tangent and backward_tangent; write them as in minigan/models/layers"
                )

    def due(self, update: int) -> bool:
        """Whether D's update number `update`, counted from 1, has the penalty."""
        return update % self.config.every == 0

    def add(self, real: Batch, fake: Batch, update: int) -> tuple[Array, Array]:
        """Adds to D's gradient that of `every` times the penalty -> the penalty P, the mean ||g||, 0-d."""
        D, ops = self.D, self.D.ops
        x, ctx = self.row.points(self.config, D, real, fake, rng.host(self.seed, "penalty", update))
        ones = ops.asarray(np.ones((len(x), *D.out_shape), x.dtype))
        g, dys = D.backward(ones, ctx, need_dw=False, trace=True)
        loss, u, norm = ops.norm_loss(g, self.row.norm)
        _, tctx = D.forward_tangent(ops.scale(u, self.config.weight * self.config.every), ctx)
        D.backward_tangent(None, dys, ctx, tctx, need_dx=False)
        return ops.scale(loss, self.config.weight), norm
