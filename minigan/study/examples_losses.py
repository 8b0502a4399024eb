"""Examples of ops whose outputs are gradients by themselves, the losses, or need none, the update rules."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.backends.clock import BAD, CLIP
from minigan.models.shapes import Array
from minigan.study.example import Example, Given, Out, clock, counted, linear_in, mean_over, moved, product_of


def _logit_loss() -> Example:
    kinds = {"bce": 1.0, "mse": 1.0, "hinge": 1.0, "linear": -1.0, "minimax": 0.0}

    def gradient(kind: str, target: float) -> Callable[[Any, Given], Array]:
        return lambda o, a: o.logit_loss(a.x, kind, target)[1]

    outs = {
        f"dx ({kind}, t = {t:g})": Out("logit_loss", gradient(kind, t), mean_over("x")) for kind, t in kinds.items()
    }
    return Example({"x": np.array([[-2.0], [0.0], [3.0], [0.5]])}, outs, ("logit_loss",))


def _distances() -> Example:
    def run(op: str) -> Callable[[Any, Given], Array]:
        return lambda o, a: getattr(o, op)(a.x, a.target)[1]

    outs = {f"dx ({op})": Out(op, run(op), mean_over("x", "target")) for op in ("l1_loss", "mse_loss")}
    return Example({"x": counted(4, 1), "target": counted(4, 1, start=2)}, outs, ("l1_loss", "mse_loss"))


def _others() -> Example:
    """Losses of a row of x each."""
    inputs = {"x": np.array([[3.0, 4.0], [0.0, 2.0]]), "labels": np.array([1, 0], np.int32)}
    return Example(
        inputs | {"mean": counted(2, 2), "logvar": counted(2, 2, start=3)},
        {
            "dx (softmax_cross_entropy)": Out(
                "softmax_cross_entropy",
                lambda o, a: o.softmax_cross_entropy(a.x, a.labels)[1],
                mean_over("x", "labels"),
            ),
            "dx (norm_loss one)": Out("norm_loss", lambda o, a: o.norm_loss(a.x, "one")[1], mean_over("x")),
            "dx (norm_loss zero)": Out("norm_loss", lambda o, a: o.norm_loss(a.x, "zero")[1], mean_over("x")),
            "dmean": Out("kl_gauss", lambda o, a: o.kl_gauss(a.mean, a.logvar)[1], mean_over("mean", "logvar")),
            "dlogvar": Out("kl_gauss", lambda o, a: o.kl_gauss(a.mean, a.logvar)[2], mean_over("mean", "logvar")),
        },
        ("softmax_cross_entropy", "norm_loss", "kl_gauss"),
    )


def _updates() -> Example:
    """Update rules: no gradients, but what p, m and v become is a sum, too. Learning rate and decay are 0.5."""
    inputs = {"p": counted(2), "dp": np.array([2.0, -2.0]), "m": counted(2, start=3), "v": np.array([4.0, 20.0])}
    inputs |= {"clock": clock(), "norm2": np.array(16.0), "average": counted(2, start=5)}

    def adam(o: Any, a: Given, which: int) -> Array:
        p, m, v = (o.scale(x, 1.0) for x in (a.p, a.m, a.v))
        o.adam_step(p, a.dp, m, v, a.clock, 0, 0.5, 0.75, 2.0, 0.5)
        return (p, m, v)[which]

    def sgd(o: Any, a: Given, which: int) -> Array:
        p, m = o.scale(a.p, 1.0), o.scale(a.m, 1.0)
        o.sgd_step(p, a.dp, m, a.clock, 0, 0.75, 0.5)
        return (p, m)[which]

    def rmsprop(o: Any, a: Given, which: int) -> Array:
        p, v = o.scale(a.p, 1.0), o.scale(a.v, 1.0)
        o.rmsprop_step(p, a.dp, v, a.clock, 0, 0.75, 2.0, 0.5)
        return (p, v)[which]

    squares = linear_in("v") + product_of("dp", "dp")
    return Example(
        inputs,
        {
            "m (adam_step)": Out("adam_step", lambda o, a: adam(o, a, 1), linear_in("m", "dp")),
            "v (adam_step)": Out("adam_step", lambda o, a: adam(o, a, 2), squares),
            "p (adam_step)": Out("adam_step", lambda o, a: adam(o, a, 0), linear_in("p"), "(-lr m / (sqrt(v) + eps))"),
            "m (sgd_step)": Out("sgd_step", lambda o, a: sgd(o, a, 1), linear_in("m", "dp")),
            "p (sgd_step)": Out("sgd_step", lambda o, a: sgd(o, a, 0), linear_in("p", "m", "dp")),
            "v (rmsprop_step)": Out("rmsprop_step", lambda o, a: rmsprop(o, a, 1), squares),
            "p (rmsprop_step)": Out(
                "rmsprop_step", lambda o, a: rmsprop(o, a, 0), linear_in("p"), "(-lr g / (sqrt(v) + eps))"
            ),
            "average": Out(
                "ema_update",
                lambda o, a: moved(o, lambda s: o.ema_update(s, a.p, a.clock), a.average),
                linear_in("average", "p"),
            ),
            "clock[BAD]": Out("finite_flag", lambda o, a: moved(o, lambda c: o.finite_flag(a.norm2, c), a.clock)[BAD]),
            "clock[CLIP]": Out(
                "clip_scale", lambda o, a: moved(o, lambda c: o.clip_scale(a.norm2, 2.0, c, 0), a.clock)[CLIP]
            ),
        },
    )


EXAMPLES: dict[str, Example] = {
    "logit_loss": _logit_loss(),
    "distances": _distances(),
    "losses": _others(),
    "updates": _updates(),
}
