"""Rows of the gradient table: what both players of a CycleGAN minimise, on tiny nets."""

from collections.abc import Callable
from functools import partial

from minigan import config
from minigan.backends.oracle.pointwise import absolute
from minigan.models.net import Net
from minigan.models.shapes import Array
from minigan.study.rows import Numbers, Problem, Row, clock, ops
from minigan.study.rows_nets import SETTLED, Bound, values_of
from minigan.tasks.cyclegan import CycleGAN, make_nets

SHAPE = (4, 4, 2)  # one channel each
RATE = 0.01  # lambda of lambda ||theta||^2
PLAYERS = {"g": ("g_ab", "g_ba"), "d": ("d_a", "d_b")}


def words(loss: str, translator: str, norm_d: str, identity: float) -> config.Config:
    """A configuration of a tiny CycleGAN in float64."""
    regular = config.Optim(l2=RATE)
    return config.Config(
        data=config.Data(other="outlined", range="-1..1"),
        task=config.Task("cyclegan", translator=translator, width=2, depth=1, blocks=1, cycle=3.0, identity=identity),
        model=config.Model(widths_d=(2, 3), kernel=3, act_d="leaky_relu", norm_d=norm_d, output="tanh"),
        loss=config.Loss(loss),
        g=regular,
        d=regular,
        train=config.Train(dtype="float64"),
    )


def _step(
    player: str, loss: str, translator: str = "resnet", norm_d: str = "none", identity: float = 2.0
) -> Callable[[Numbers], Problem]:
    """What one player minimises as a function of all its parameters: both nets', lambda ||theta||^2 included.

    The gradient is that of the step itself; the loss is worked out from forward passes alone.
    """
    setup = words(loss, translator, norm_d, identity)
    side = (*SHAPE[:2], SHAPE[2] // 2)

    def make(g: Numbers) -> Problem:
        task = CycleGAN(setup, ops, SHAPE)
        task.clock.array[:] = clock()

        def fresh(name: str) -> Net:
            return make_nets(setup, side)[name]

        bounds = {name: Bound(partial(fresh, name), task.clock.array) for name in task.nets}
        fixed = {name: values_of(bound.real, g) for name, bound in bounds.items()}
        for name in PLAYERS["d"]:
            bounds[name].iterate(list(fixed[name].values()), SETTLED)
            ops.copyto(task.nets[name].state, bounds[name].real.state)
        x_a, x_b = g.uniform(-1.0, 1.0, (2, 2, *side))
        names = [(name, key) for name in PLAYERS[player] for key in fixed[name]]

        def forward(*values: Array) -> Array:
            dtype = values[0].dtype
            given = {name: dict(own) for name, own in fixed.items()}
            for (name, key), value in zip(names, values, strict=True):
                given[name][key] = value
            nets = {name: bounds[name].holding(dtype, list(given[name].values())) for name in bounds}
            a, b = x_a.astype(dtype), x_b.astype(dtype)

            def run(name: str, x: Array) -> Array:
                return nets[name].forward(x, "frozen")[0]

            ab, ba = run("g_ab", a), run("g_ba", b)
            judged = {"d_b": (b, ab), "d_a": (a, ba)}
            if player == "d":
                terms = [task.loss.critic(ops, *(run(d, x) for x in of))[0] for d, of in judged.items()]
                return sum(terms) + RATE * sum((nets[d].p[nets[d].layout.segments["decay"]] ** 2).sum() for d in judged)
            reals = {d: [run(d, of[0])] if task.pairs else [] for d, of in judged.items()}
            loss = sum(task.loss.generator(ops, run(d, of[1]), *reals[d])[0] for d, of in judged.items())
            weights = setup.task
            loss += weights.cycle * (absolute(run("g_ba", ab) - a).mean() + absolute(run("g_ab", ba) - b).mean())
            loss += weights.identity * (absolute(run("g_ab", b) - b).mean() + absolute(run("g_ba", a) - a).mean())
            squares = ((nets[g].p[nets[g].layout.segments["decay"]] ** 2).sum() for g in PLAYERS["g"])
            return loss + RATE * sum(squares)

        def backward(dy: Array, *values: Array) -> list[Array]:
            views = {name: net.layout.views(net.p) for name, net in task.nets.items()}
            for name, own in fixed.items():
                for key, value in own.items():
                    ops.copyto(views[name][f"{name}.{key}"], value)
            for (name, key), value in zip(names, values, strict=True):
                ops.copyto(views[name][f"{name}.{key}"], value)
            made = task.ab.G.forward(x_a), task.ba.G.forward(x_b)
            step = task.d_step if player == "d" else task.g_step
            step(x_a, x_b, made, update=False)
            grads = {name: task.nets[name].layout.views(task.nets[name].dp) for name in PLAYERS[player]}
            return [dy * grads[name][f"{name}.{key}"] for name, key in names]

        return Problem(forward, backward, {f"{name}.{key}": fixed[name][key] for name, key in names})

    return make


# name: loss, translator, norm_d, task.identity
KINDS: dict[str, tuple[str, str, str, float]] = {
    "resnet": ("least-squares", "resnet", "layer", 2.0),
    "unet": ("non-saturating", "unet", "none", 0.0),
    "pairs": ("relativistic", "resnet", "spectral", 0.0),
}
# a generator has many parameters, and a difference runs six passes; small losses of a critic want a longer step
PLAYER: dict[str, tuple[int, float]] = {"g": (1, 4e-6), "d": (4, 1e-5)}  # points, eps
ROWS: dict[str, Row] = {
    f"cyclegan.{name}.{player}": Row(_step(player, *kind), False, *PLAYER[player])
    for name, kind in KINDS.items()
    for player in "dg"
}
