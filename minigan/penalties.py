"""Penalties on the length of D's gradient by its input, as a table: where it is taken, and what is done with its norm.

P = weight * mean_n f(||g_n||),  g = grad_x of the sum of D(x); at two batches of points, the sum of both.
Its gradient by D's weights needs second derivatives:

    g, dys = D.backward(ones)           and u = dP/dg, from here on held fixed: dP/dW = grad_W (u . g)
    D.forward_tangent(u)                u . g is how D moves when x moves along u ...
    D.backward_tangent(...)             ... and its gradient by W how dW moves then: Pearlmutter's R-operator

docs/second-order.md derives it. Where ||g|| = 0 it has no direction, and u is 0 (`norm_loss` in the oracle).
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np

from minigan import rng
from minigan.config import Penalty as Config
from minigan.errors import ConfigError
from minigan.models.layers import Layer
from minigan.models.net import Net
from minigan.models.shapes import Array, Shape

Batch = tuple[Array, Any]  # samples x (N, ...), and the context that D's forward pass on them left
Labels = Array | None  # (N,) of both batches alike, where D is told them
CALL = 2  # D's third forward pass in its step, after the real and the generated batch, where the points are neither


class Row(NamedTuple):
    """Each of `points` makes of (D, the real batch, the generated one, what was drawn, labels) a batch that g is taken
    at.

    `norm` is norm_loss's kind: "one" is (||g|| - 1)^2, "zero" is ||g||^2 / 2. `draw` makes on the host, of (config, the
    real batch's shape, a generator), the array that `points` takes.
    """

    points: tuple[Callable[[Net, Batch, Batch, Sequence[Array], Labels], Batch], ...]
    norm: str
    draw: Callable[[Config, Shape, np.random.Generator], Array] | None = None


def _real(D: Net, real: Batch, fake: Batch, drawn: Sequence[Array], labels: Labels) -> Batch:
    return real


def _fake(D: Net, real: Batch, fake: Batch, drawn: Sequence[Array], labels: Labels) -> Batch:
    return fake


def _between(D: Net, real: Batch, fake: Batch, drawn: Sequence[Array], labels: Labels) -> Batch:
    """a x_real + (1 - a) x_fake, a uniform in [0, 1), one for each pair of samples."""
    (x_real, _), (x_fake, _), (a,), ops = real, fake, drawn, D.ops
    part = ops.mul(a, ops.axpby(1.0, x_real, -1.0, x_fake))
    return _passed(D, ops.axpby(1.0, x_fake, 1.0, part), labels)


def _shares(config: Config, shape: Shape, g: np.random.Generator) -> Array:
    return np.broadcast_to(g.random(shape[0]).reshape(-1, *(1 for _ in shape[1:])), shape)


def _around(D: Net, real: Batch, fake: Batch, drawn: Sequence[Array], labels: Labels) -> Batch:
    """x_real + noise, normal with standard deviation penalty.noise."""
    (x_real, _), (noise,) = real, drawn
    return _passed(D, D.ops.axpby(1.0, x_real, 1.0, noise), labels)


def _noise(config: Config, shape: Shape, g: np.random.Generator) -> Array:
    return config.noise * g.standard_normal(shape)


def _passed(D: Net, x: Array, labels: Labels) -> Batch:
    _, ctx = D.forward(x, call=CALL, labels=labels)
    return x, ctx


PENALTIES = {
    # Gulrajani et al. 2017, arXiv:1704.00028
    "wgan-gp": Row((_between,), "one", _shares),
    # Kodali et al. 2017, arXiv:1705.07215
    "dragan": Row((_around,), "one", _noise),
    # Mescheder et al. 2018, arXiv:1801.04406
    "r1": Row((_real,), "zero"),
    "r2": Row((_fake,), "zero"),
    # Huang et al. 2024, arXiv:2501.05441: the relativistic loss needs both
    "r1+r2": Row((_real, _fake), "zero"),
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

    def draw(self, shape: Shape, dtype: Any, update: int) -> list[Array]:
        """What the host gives `add` for real batches of `shape`: dy of the sum of D(x), ones, and what the row draws.

        Empty where D's update number `update` has no penalty.
        """
        if not self.due(update):
            return []
        ones, draw = np.ones((shape[0], 1), dtype), self.row.draw
        drawn = [draw(self.config, shape, rng.host(self.seed, "penalty", update))] if draw else []
        return [ones, *(np.ascontiguousarray(a, dtype) for a in drawn)]

    def add(self, real: Batch, fake: Batch, given: Sequence[Array], labels: Labels = None) -> dict[str, Array]:
        """Adds to D's gradient that of `every` times the penalty. `given` is what `draw` gave, on the backend.
        Where D has a second head, D(x) is its first one.

        -> what a log line says of it: the penalty P and the mean ||g|| over all points, 0-d.
        """
        D, ops, (ones, *drawn) = self.D, self.D.ops, given
        losses, norms, dy = [], [], ones
        if isinstance(D.out_shape[0], tuple):
            dy = ones, ops.zeros((len(ones), *D.out_shape[1]), ones.dtype)
        for points in self.row.points:
            _, ctx = points(D, real, fake, drawn, labels)
            g, dys = D.backward(dy, ctx, need_dw=False, trace=True)
            loss, u, norm = ops.norm_loss(g, self.row.norm)
            _, tctx = D.forward_tangent(ops.scale(u, self.config.weight * self.config.every), ctx)
            D.backward_tangent(None, dys, ctx, tctx, need_dx=False)
            losses.append(ops.scale(loss, self.config.weight))
            norms.append(ops.scale(norm, 1 / len(self.row.points)))
        add = partial(reduce, lambda a, b: ops.axpby(1.0, a, 1.0, b))
        return {"penalty": add(losses), "critic_grad_norm": add(norms)}
