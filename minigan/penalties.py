"""Penalties on the length of D's gradient by its input, as a table: where it is taken, and what is done with its norm.

P = weight * mean_n f(||g_n||),  g = grad_x of the sum of D(x).   Its gradient by D's weights needs second derivatives:

    g, dys = D.backward(ones)           and u = dP/dg, from here on held fixed: dP/dW = grad_W (u . g)
    D.forward_tangent(u)                u . g is how D moves when x moves along u ...
    D.backward_tangent(...)             ... and its gradient by W how dW moves then: Pearlmutter's R-operator

docs/second-order.md derives it. Where ||g|| = 0 it has no direction, and u is 0 (`norm_loss` in the oracle).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan import rng
from minigan.config import Penalty as Config
from minigan.errors import ConfigError
from minigan.models.layers import Layer
from minigan.models.net import Net
from minigan.models.shapes import Array, Shape

Batch = tuple[Array, Any]  # samples x (N, ...), and the context that D's forward pass on them left
CALL = 2  # D's third forward pass in its step, after the real and the generated batch, where the points are neither


class Row(NamedTuple):
    """`draw` gives what the host draws, of (a generator, the shape of x); `points` makes of (config, D, the real batch,
    the generated one, *drawn) the batch that g is taken at.

    `norm` is norm_loss's kind: "one" is (||g|| - 1)^2, "zero" is ||g||^2 / 2.
    """

    draw: Callable[[np.random.Generator, Shape], list[Array]]
    points: Callable[..., Batch]
    norm: str


def _nothing(g: np.random.Generator, shape: Shape) -> list[Array]:
    return []


def _real(config: Config, D: Net, real: Batch, fake: Batch) -> Batch:
    return real


def _fake(config: Config, D: Net, real: Batch, fake: Batch) -> Batch:
    return fake


def _parts(g: np.random.Generator, shape: Shape) -> list[Array]:
    """a uniform in [0, 1), one for each sample, in the shape of x."""
    a = g.random(shape[0]).reshape(-1, *(1 for _ in shape[1:]))
    return [np.broadcast_to(a, shape)]


def _between(config: Config, D: Net, real: Batch, fake: Batch, a: Array) -> Batch:
    """a x_real + (1 - a) x_fake"""
    (x_real, _), (x_fake, _), ops = real, fake, D.ops
    return _passed(D, ops.axpby(1.0, x_fake, 1.0, ops.mul(a, ops.axpby(1.0, x_real, -1.0, x_fake))))


def _noise(g: np.random.Generator, shape: Shape) -> list[Array]:
    return [g.standard_normal(shape)]


def _around(config: Config, D: Net, real: Batch, fake: Batch, noise: Array) -> Batch:
    """x_real + noise, normal with standard deviation penalty.noise."""
    return _passed(D, D.ops.axpby(1.0, real[0], config.noise, noise))


def _passed(D: Net, x: Array) -> Batch:
    _, ctx = D.forward(x, call=CALL)
    return x, ctx


PENALTIES = {
    # Gulrajani et al. 2017, arXiv:1704.00028
    "wgan-gp": Row(_parts, _between, "one"),
    # Kodali et al. 2017, arXiv:1705.07215
    "dragan": Row(_noise, _around, "one"),
    # Mescheder et al. 2018, arXiv:1801.04406
    "r1": Row(_nothing, _real, "zero"),
    "r2": Row(_nothing, _fake, "zero"),
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

    def draw(self, update: int, shape: Shape, dtype: Any) -> list[Array]:
        """What the host draws for D's update number `update`, on x of `shape`: a function of the seed and these."""
        drawn = self.row.draw(rng.host(self.seed, "penalty", update), shape)
        return [np.ascontiguousarray(a, dtype) for a in drawn]

    def add(self, real: Batch, fake: Batch, drawn: Sequence[Array]) -> tuple[Array, Array]:
        """Adds to D's gradient that of `every` times the penalty -> the penalty P, the mean ||g||, 0-d.

        `drawn` is what `draw` gave, on the backend: nothing here is the host's, so a GPU may record it.
        """
        D, ops = self.D, self.D.ops
        x, ctx = self.row.points(self.config, D, real, fake, *drawn)
        ones = ops.empty((len(x), *D.out_shape), x.dtype)
        ops.copyto(ones, 1)
        g, dys = D.backward(ones, ctx, need_dw=False, trace=True)
        loss, u, norm = ops.norm_loss(g, self.row.norm)
        _, tctx = D.forward_tangent(ops.scale(u, self.config.weight * self.config.every), ctx)
        D.backward_tangent(None, dys, ctx, tctx, need_dx=False)
        return ops.scale(loss, self.config.weight), norm
