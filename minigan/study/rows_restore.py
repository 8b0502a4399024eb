"""Rows of the gradient table: what restores pictures, the search in z and both players of super-resolution."""

import dataclasses
from collections.abc import Callable
from functools import partial

from minigan import config
from minigan.models.builders import make_nets
from minigan.models.classifiers import make_classifier, stages
from minigan.models.net import Net
from minigan.models.shapes import Array, Shape
from minigan.models.taps import forward_taps
from minigan.study.rows import Numbers, Problem, Row, clock, ops
from minigan.study.rows_nets import SETTLED, SHAPES, Bound, kinked, place, reduced, values_of
from minigan.tasks.gan import GAN
from minigan.tasks.search import CONTEXTS, Search, Settings
from minigan.tasks.superres import SuperRes
from minigan.tasks.superres import make_nets as make_superres


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
        w = (g.random((n, *shape)) < 0.6) * g.uniform(0.5, 2.0, (n, *shape))  # w^2 is not w
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


LARGE: Shape = (8, 8, 1)
RATE = 0.01  # lambda of lambda ||theta||^2


def superres(loss: str = "non-saturating", norm_d: str = "none") -> config.Config:
    """A configuration of a tiny super-resolution in float64."""
    regular = config.Optim(l2=RATE)
    return config.Config(
        data=config.Data(range="-1..1"),
        task=config.Task("superres", width=2, blocks=1, factor=2, content=0.7, adversarial=0.3, l2_steps=2),
        model=config.Model(widths_d=(2, 3), kernel=3, act_d="leaky_relu", norm_d=norm_d, output="none"),
        loss=config.Loss(loss),
        g=regular,
        d=regular,
        train=config.Train(dtype="float64"),
    )


def seen_by(name: str = "f") -> Net:
    """The net of a small classifier with batchnorm, as `features`."""
    model = config.Model(widths_d=(2, 3), kernel=3, act_d="tanh", norm_d="batch")
    return Net(name, make_classifier(model, LARGE, 3).root, LARGE)


def _superres(player: str, second: bool, loss: str, norm_d: str = "none") -> Callable[[Numbers], Problem]:
    """What one player minimises, lambda ||theta||^2 included, as a function of all its parameters.

    The gradient is that of the step itself; the loss is worked out from forward passes alone.
    """
    setup = superres(loss, norm_d)

    def make(g: Numbers) -> Problem:
        task = SuperRes(setup, ops, LARGE)
        task.clock.array[:] = clock()
        makers = {name: partial(_fresh, setup, name) for name in "gd"} | {"f": seen_by}
        bounds = {name: Bound(made, task.clock.array) for name, made in makers.items()}
        fixed = {name: values_of(bound.real, g) for name, bound in bounds.items()}
        bounds["d"].iterate(list(fixed["d"].values()), SETTLED)
        ops.copyto(task.D.state, bounds["d"].real.state)
        task.features = bounds["f"].holding(float, list(fixed["f"].values()))
        x = g.uniform(-1.0, 1.0, (2, *LARGE))

        def forward(*values: Array) -> Array:
            dtype = values[0].dtype
            given = {name: values if name == player else list(fixed[name].values()) for name in bounds}
            nets = {name: bounds[name].holding(dtype, given[name]) for name in bounds}
            G, D, F = (nets[name] for name in "gdf")
            large = x.astype(dtype)
            y, _ = G.forward(large.reshape(2, 4, 2, 4, 2, 1).mean(axis=(2, 4)))
            own = nets[player]
            total = RATE * (own.p[own.layout.segments["decay"]] ** 2).sum()
            if player == "d":
                return total + task.loss.critic(ops, D.forward(large)[0], D.forward(y)[0])[0]
            total += ((y - large) ** 2).mean()
            if second:
                (a, _), (b, _) = (forward_taps(F, picture, stages(F)) for picture in (y, large))
                far = sum(((u - v) ** 2).mean() for u, v in zip(a, b, strict=True)) / len(a)
                against = [D.forward(large)[0]] if task.pairs else []
                gan, _ = task.loss.generator(ops, D.forward(y)[0], *against)
                total += setup.task.content * far + setup.task.adversarial * gan
            return total

        def backward(dy: Array, *values: Array) -> list[Array]:
            place(task.nets, fixed | {player: dict(zip(fixed[player], values, strict=True))})
            if player == "g":
                task.g_step(x, second, update=False)
            else:
                task.d_step(x, task.G.forward(task.reduce(x))[0], update=False)
            views = task.nets[player].layout.views(task.nets[player].dp)
            return [dy * views[f"{player}.{key}"] for key in fixed[player]]

        return Problem(forward, backward, fixed[player])

    return make


def _fresh(setup: config.Config, name: str) -> Net:
    return make_superres(setup, LARGE)[name]


ROWS: dict[str, Row] = {
    **{f"search.{name}": kinked(_search(Settings(context=name), "mlp-mnist"), 12) for name in CONTEXTS},
    "search.prior": kinked(_search(Settings(prior=0.3)), 12),
    "search.pull": kinked(_search(Settings(pull=0.2)), 12),
    "superres.first.g": kinked(_superres("g", False, "non-saturating"), 4),
    "superres.second.g": kinked(_superres("g", True, "non-saturating"), 4),
    "superres.pairs.g": kinked(_superres("g", True, "relativistic", "spectral"), 4),
    "superres.d": kinked(_superres("d", True, "hinge", "spectral"), 4),
}
