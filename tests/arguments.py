"""Arguments of every op, drawn: `Draw -> args`, or a function that makes one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from draws import Draw

from minigan.backends.bounds import Args
from minigan.backends.clock import EMA


def linear(d: Draw) -> Args:
    i, o = d.channels(), d.channels()
    return d.array(d.batch(), i), d.array(i, o), d.maybe(d.array(o)), d.act()


def linear_dgrad(d: Draw) -> Args:
    o = d.channels()
    return d.array(d.batch(), o), d.array(d.channels(), o)


def linear_wgrad(d: Draw) -> Args:
    n, i, o = d.batch(), d.channels(), d.channels()
    return d.array(n, o), d.array(n, i), d.array(i, o), d.maybe(d.array(o))


def conv2d(d: Draw) -> Args:
    c = d.convolution()
    return d.array(*c.x), d.array(*c.w), d.maybe(d.array(c.w[3])), c.stride, c.padding, d.act()


def conv2d_dgrad(d: Draw) -> Args:
    c = d.convolution()
    return d.array(*c.y), d.array(*c.w), d.maybe(d.array(c.w[2])), c.stride, c.padding, c.x[1:3], d.act()


def conv2d_wgrad(d: Draw) -> Args:
    c = d.convolution()
    return d.array(*c.y), d.array(*c.x), d.array(*c.w), d.maybe(d.array(c.w[3])), c.stride, c.padding


def bias_grad(d: Draw) -> Args:
    shape = d.shape()
    return d.array(*shape), d.array(shape[-1])


def embedding(d: Draw) -> Args:
    k = d.size(1, 9)
    return d.integers(0, k, d.batch()), d.array(k, d.channels())


def embedding_backward(d: Draw) -> Args:
    labels, w = embedding(d)
    return d.array(len(labels), w.shape[1]), labels, w


def activation(*kinds: str) -> Callable[[Draw], Args]:
    return lambda d: (d.special(*d.shape()), d.act_of(*kinds))


def activation_backward(*kinds: str) -> Callable[[Draw], Args]:
    def draw(d: Draw) -> Args:
        shape, act = d.shape(), d.act_of(*kinds)
        bounds = {"tanh": (-1, 1), "sigmoid": (0, 1)}.get(act.kind, (-3e38, 3e38))
        return d.array(*shape), np.clip(d.special(*shape, infinite=False), *bounds).astype(d.dtype), act

    return draw


def activation_tangent(*kinds: str) -> Callable[[Draw], Args]:
    def draw(d: Draw) -> Args:
        dy, y, act = activation_backward(*kinds)(d)
        return d.array(*dy.shape), dy, y, d.array(*dy.shape), act

    return draw


def norm(dims: int | None, statistics: Sequence[int] | None = None) -> Callable[[Draw], Args]:
    """`statistics`: the axes kept by the mean and var to hand over (negative: from the end)."""

    def draw(d: Draw) -> Args:
        x = d.measured(dims)
        affine = d.array(x.shape[-1]), d.array(x.shape[-1])
        given = d.statistics(x, statistics) if statistics else ()
        return x, *affine, *given, 1e-5, d.any_act()

    return draw


def norm_backward(statistics: Sequence[int], dims: int | None) -> Callable[[Draw], Args]:
    def draw(d: Draw) -> Args:
        x = d.measured(dims)
        c = x.shape[-1]
        return d.array(*x.shape), x, d.array(c), *d.statistics(x, statistics), 1e-5, d.array(c), d.array(c)

    return draw


def norm_tangent(statistics: Sequence[int], dims: int | None) -> Callable[[Draw], Args]:
    def draw(d: Draw) -> Args:
        x = d.measured(dims)
        return d.array(*x.shape), x, d.array(x.shape[-1]), *d.statistics(x, statistics), 1e-5

    return draw


def norm_backward_tangent(statistics: Sequence[int], dims: int | None) -> Callable[[Draw], Args]:
    def draw(d: Draw) -> Args:
        dy, *rest = norm_backward(statistics, dims)(d)
        return d.array(*dy.shape), dy, d.array(*dy.shape), *rest

    return draw


def pair(d: Draw) -> Args:
    shape = d.shape()
    return d.array(*shape), d.array(*shape)


def axpby(d: Draw) -> Args:
    x, y = pair(d)
    return d.number(), x, d.number(), y


def dropout(d: Draw) -> Args:
    return d.array(*d.shape()), d.rate(), d.clock(), d.size(0, 2**31)


def image(d: Draw, even: bool = False) -> Any:
    f = 2 if even else 1
    return d.array(d.batch(), f * d.size(1, 5), f * d.size(1, 5), d.channels())


def pad(d: Draw) -> Args:
    return image(d), d.pads()


def pad_backward(d: Draw) -> Args:
    (n, h, w, c), ((top, bottom), (left, right)) = image(d).shape, (padding := d.pads())
    return d.array(n, top + h + bottom, left + w + right, c), padding


def concat(d: Draw) -> Args:
    *lead, a = d.shape()
    return d.array(*lead, a), d.array(*lead, d.channels())


def split(d: Draw) -> Args:
    *lead, a = d.shape()
    return d.array(*lead, a + d.channels()), a


def gather(d: Draw) -> Args:
    x = image(d)
    return x, d.integers(-1, x.shape[1] * x.shape[2], len(x), d.size(1, 30))


def gather_backward(d: Draw) -> Args:
    x, index = gather(d)
    return d.array(*index.shape, x.shape[3]), index, x.shape[1:3]


def shift(d: Draw) -> Args:
    x = image(d)
    return x, d.integers(-6, 7, len(x), 2)


def flip(d: Draw) -> Args:
    x = image(d)
    return x, d.integers(0, 2, len(x))


def cutout(d: Draw) -> Args:
    x = image(d)
    return x, np.sort(d.integers(-2, 8, len(x), 2, 2), axis=1).reshape(len(x), 4)


def colour(d: Draw) -> Args:
    x = d.array(d.batch(), *((2, 4, 2) if d.integer else (d.size(1, 5), d.size(1, 5), d.size(1, 4))))
    return x, d.array(len(x)), d.array(len(x)), d.array(len(x))


def colour_backward(d: Draw) -> Args:
    x, _, saturation, contrast = colour(d)
    return x, saturation, contrast


def stddev(d: Draw) -> Args:
    group = d.size(2, 4)
    return d.array(group * d.size(1, 3), d.size(2, 4), d.size(2, 4), d.size(1, 4)), group, 1e-8


def stddev_backward(d: Draw) -> Args:
    x, group, eps = stddev(d)
    return d.array(*x.shape[:3], x.shape[3] + 1), x, group, eps


def logits(kind: str, *targets: float) -> Callable[[Draw], Args]:
    return lambda d: (
        d.special(*d.shape(), infinite=False, nan=kind == "hinge"),
        kind,
        d.representable(d.pick(targets)),
    )


def one_logit(kind: str, *targets: float) -> Callable[[Draw], Args]:
    """Alone, a small loss cannot hide behind the large ones of its batch."""
    return lambda d: (30 * d.array(1), kind, d.pick(targets))


def softmax(d: Draw) -> Args:
    n, k = d.batch(), d.size(1, 12)
    return d.array(n, k) * d.pick([1, 10, 1000]), d.integers(0, k, n)


def norms(d: Draw) -> Args:
    """Samples with norms around 1, far from it, and 0."""
    x = d.array(*d.shape())
    size = np.sqrt((x.reshape(len(x), -1).astype(np.float64) ** 2).sum(1))
    scale = d.rng.choice([0.0, 0.5, 1.0, 1.0 + 1e-3, 30.0], len(x)) / np.where(size == 0, 1, size)
    x = x if d.integer else (x * scale.reshape(-1, *(1 for _ in x.shape[1:]))).astype(x.dtype)
    return x, d.pick(("one", "zero"))


def kl(d: Draw) -> Args:
    n, f = d.batch(), d.channels()
    return d.array(n, f), d.array(n, f)


def slabs(count: int, *hyper: float) -> Callable[[Draw], Args]:
    def draw(d: Draw) -> Args:
        n = d.size(1, 70)
        p, dp, *kept = (d.array(n) for _ in range(count))
        kept[-1] = np.abs(kept[-1])
        return p, dp, *kept, d.clock(), d.size(0, 3), *hyper, d.pick([0.0, 0.01])

    return draw


def mix(d: Draw) -> Args:
    n = d.size(1, 70)
    return d.array(n), d.array(n), d.pick([0.5, 0.75]) if d.integer else d.representable(d.pick([0.9, 0.999]))


def ema(d: Draw) -> Args:
    state, p, decay = mix(d)
    clock = d.clock()
    clock[EMA] = decay
    return state, p, clock


def finite_flag(d: Draw) -> Args:
    return np.asarray(d.pick([0.0, 1.5, -3e38, np.nan, np.inf, -np.inf]), d.dtype), d.clock()


def clip_scale(d: Draw) -> Args:
    return (
        np.asarray(d.pick([0.0, 0.25, 7.0, 1e-30, 1e30]), d.dtype),
        d.pick([0.5, 1.0, float("inf")]),
        d.clock(),
        d.size(0, 3),
    )
