"""Rows of the gradient table: what restores pictures, the search in z."""

import dataclasses
from collections.abc import Callable
from functools import partial

from minigan import config
from minigan.models.builders import make_nets
from minigan.models.net import Net
from minigan.models.shapes import Array, Shape
from minigan.study.rows import Numbers, Problem, Row, clock, ops
from minigan.study.rows_nets import SHAPES, Bound, kinked, reduced, values_of
from minigan.tasks.gan import GAN
from minigan.tasks.search import CONTEXTS, Search, Settings


def _search(settings: Settings, preset: str = "dcgan-mnist") -> Callable[[Numbers], Problem]:
    """The sum over rows of L(z), as a function of z: the gradient is the search's, the loss is of forward passes."""

    def make(g: Numbers) -> Problem:
        words = dataclasses.replace(reduced(preset), train=config.Train(dtype="float64"))
        shape = SHAPES[preset]
        gan = GAN(words, ops, shape)
        pair = {name: Bound(partial(_made, words, shape, i), clock()) for i, name in enumerate("gd")}
        for name, bound in pair.items():
            values = list(values_of(bound.real, g).values())
            for dtype in bound.nets:
                bound.holding(dtype, values)
            ops.copyto(gan.nets[name].p, bound.real.p)
            ops.copyto(gan.nets[name].state, bound.real.state)
        n = 3
        z = g.standard_normal((n, words.model.z))
        w = (g.random((n, *shape)) < 0.6).astype(float)
        wx = w * g.uniform(-1.0, 1.0, w.shape)

        def forward(z: Array) -> Array:
            G, D = (pair[name].nets[z.dtype] for name in "gd")
            y, _ = G.forward(z, "running")
            context, _ = getattr(ops, CONTEXTS[settings.context][0])(w * y, wx.astype(z.dtype))
            prior, _ = gan.loss.generator(ops, D.forward(y, "running")[0])
            return n * (context + settings.prior * prior) + settings.pull * (z * z).sum() / z.shape[1]

        def backward(dy: Array, z: Array) -> list[Array]:
            return [dy * Search(gan, "g", settings).gradient(z, w, wx)]

        return Problem(forward, backward, {"z": z})

    return make


def _made(words: config.Config, shape: Shape, which: int) -> Net:
    return make_nets(words.model, shape, 0.0, 0.0)[which]


ROWS: dict[str, Row] = {
    **{f"search.{name}": kinked(_search(Settings(context=name), "mlp-mnist"), 12) for name in CONTEXTS},
    "search.prior": kinked(_search(Settings(prior=0.3)), 12),
    "search.pull": kinked(_search(Settings(pull=0.2)), 12),
}
