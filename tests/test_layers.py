"""Layers and nets: shapes, what a pass may touch, slabs, statistics, optimizers."""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from minigan import config
from minigan.backends import load
from minigan.backends.clock import BAD, CLIP, HOST_WORDS, WORDS
from minigan.errors import ShapeError
from minigan.models.init import make_init
from minigan.models.layers import (
    Activation,
    AvgPool2x,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Embedding,
    InstanceNorm,
    LayerNorm,
    Linear,
    MinibatchStddev,
    Reshape,
    Upsample2x,
)
from minigan.models.net import Net
from minigan.models.shapes import Act
from minigan.models.trees import Chain, Heads, Residual, Skip
from minigan.optim import Clock, Optimizer
from minigan.schedules import SCHEDULES

ops = load("numpy")
TANH = Act("tanh")


def bound(root: Any, in_shape: tuple[int, ...], l2: float = 0.0, seed: int = 0, dtype: Any = np.float64) -> Net:
    """A net with parameters and running statistics that are not 0 and 1, and gradients that are not 0."""
    net = Net("t", root, in_shape, l2)
    net.bind(ops, seed, dtype, np.zeros(WORDS, dtype))
    g = np.random.default_rng(5)
    for view in net.layout.views(net.p).values():
        view += g.uniform(-0.3, 0.3, view.shape).astype(dtype)
    for view in net.state_layout.views(net.state).values():
        view += g.uniform(0.0, 0.3, view.shape).astype(dtype)
    net.dp[...] = 0.25
    return net


def numbers(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# --------------------------------------------------------------------------------------------------------------- shapes

SHAPES = {
    "Linear": (lambda: Linear(7), (5,), (7,)),
    "same halves 28 to 14": (lambda: Conv2d(3, 5, 2), (28, 28, 1), (14, 14, 3)),
    "same halves 7 to 4": (lambda: Conv2d(3, 5, 2), (7, 7, 1), (4, 4, 3)),
    "valid": (lambda: Conv2d(3, (3, 2), (2, 1), "valid"), (8, 5, 2), (3, 4, 3)),
    "int padding": (lambda: Conv2d(3, 3, 1, 2), (4, 5, 2), (6, 7, 3)),
    "four paddings": (lambda: Conv2d(3, 3, 2, ((1, 2), (0, 1))), (6, 6, 2), (4, 3, 3)),
    "transposed same": (lambda: ConvTranspose2d(3, 5, 2), (7, 14, 2), (14, 28, 3)),
    "transposed same, stride 1": (lambda: ConvTranspose2d(3, 5, 1), (7, 7, 2), (7, 7, 3)),
    "transposed valid": (lambda: ConvTranspose2d(3, 5, 2, "valid"), (7, 4, 2), (17, 11, 3)),
    "transposed pairs": (lambda: ConvTranspose2d(3, (3, 4), (2, 3), ((0, 1), (0, 2))), (3, 4, 2), (6, 11, 3)),
    "BatchNorm": (BatchNorm, (3, 4, 2), (3, 4, 2)),
    "LayerNorm": (LayerNorm, (6,), (6,)),
    "InstanceNorm": (InstanceNorm, (3, 4, 2), (3, 4, 2)),
    "Activation": (lambda: Activation(TANH), (3, 2), (3, 2)),
    "Dropout": (lambda: Dropout(0.5), (3, 2), (3, 2)),
    "Reshape": (lambda: Reshape(2, -1), (3, 4), (2, 6)),
    "Upsample2x": (Upsample2x, (3, 4, 2), (6, 8, 2)),
    "AvgPool2x": (AvgPool2x, (4, 6, 2), (2, 3, 2)),
    "MinibatchStddev": (lambda: MinibatchStddev(2), (3, 3, 4), (3, 3, 5)),
    "Chain": (lambda: Chain(Linear(4), Reshape(2, 2, 1), Upsample2x()), (3,), (4, 4, 1)),
    "Residual": (lambda: Residual(Conv2d(3, 3, 2), Conv2d(3, 1, 2)), (5, 5, 2), (3, 3, 3)),
    "Skip": (lambda: Skip(Conv2d(3, 3, 2), Conv2d(4, 3), Chain(Upsample2x(), Conv2d(2, 3))), (4, 6, 1), (4, 6, 2)),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes(case: str) -> None:
    root, in_shape, out_shape = SHAPES[case]
    net = bound(root(), in_shape)
    x = numbers(4, *in_shape)
    y, ctx = net.forward(x, "frozen")
    assert net.out_shape == out_shape
    assert y.shape == (4, *out_shape)
    assert net.backward(np.ones_like(y), ctx).shape == x.shape


def test_embedding_shapes() -> None:
    net = bound(Embedding(5, 3), ())
    y, ctx = net.forward(np.array([4, 0], np.int32))
    np.testing.assert_array_equal(y, net.layers[0].w[[4, 0]])
    assert net.backward(y, ctx) is None


def test_same_padding_of_28_is_1_and_2() -> None:
    layer = Conv2d(1, 5, 2)
    layer.attach("c", (28, 28, 1))
    assert layer.padding == ((1, 2), (1, 2))


REFUSED = {
    "Linear on images": (lambda: Linear(3), (4, 4, 1), r"t \(Linear\) takes features \(F,\), but is given \(4, 4, 1\)"),
    "Conv2d on features": (lambda: Conv2d(3, 3), (4,), r"t \(Conv2d\) takes images \(H,W,C\), but is given \(4,\)"),
    "kernel too large": (lambda: Conv2d(3, 5, 1, "valid"), (4, 4, 1), "a 5x5 kernel does not fit an input of 4x4"),
    "transposed to nothing": (lambda: ConvTranspose2d(3, 2, 1, 2), (2, 2, 1), "would make an image of -1x-1"),
    "odd pooling": (AvgPool2x, (3, 4, 1), "t halves images, but 3x4 is odd"),
    "reshape": (lambda: Reshape(5), (2, 3), r"t cannot reshape \(2, 3\) \(6 values\) to \(5,\)"),
    "stride 0": (lambda: Conv2d(3, 3, 0), (4, 4, 1), "stride 0 must be at least 1"),
    "padding word": (lambda: Conv2d(3, 3, 1, "full"), (4, 4, 1), "padding 'full' is unknown"),
    "dropout rate": (lambda: Dropout(1.0), (4,), r"dropout rate 1.0 must lie in \[0, 1\)"),
    "residual": (lambda: Residual(Linear(3)), (4,), r"t: body gives \(3,\) and skip gives \(4,\)"),
    "skip": (lambda: Skip(Conv2d(2, 3), Upsample2x(), Conv2d(1, 3)), (4, 4, 1), r"t: inner turns \(4, 4, 2\) into"),
    "labels": (lambda: Embedding(3, 4), (1,), r"t \(Embedding\) takes labels \(\), but is given \(1,\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_layers_refuse_what_does_not_fit(case: str) -> None:
    root, in_shape, message = REFUSED[case]
    with pytest.raises(ShapeError, match=message):
        Net("t", root(), in_shape)


def test_inputs_modes_and_gradients_of_another_shape_are_refused() -> None:
    net = bound(Chain(Linear(4), Linear(2)), (3,))
    with pytest.raises(ShapeError, match=r"the input of t has shape \(5, 2\), expected \(any, 3\)"):
        net.forward(numbers(5, 2))
    with pytest.raises(ShapeError, match="mode 'train' is unknown; known: batch, frozen, running"):
        net.forward(numbers(5, 3), "train")
    _, ctx = net.forward(numbers(5, 3))
    for bare in (Net("t", Linear(3), (2,)), Net("t", Residual(Linear(2)), (2,))):
        bare.bind(ops, 0, np.float64)
        _, bare_ctx = bare.forward(np.ones((5, 2)))
        with pytest.raises(ShapeError, match="dy of t"):
            bare.backward(np.ones((5, 7)), bare_ctx)
    with pytest.raises(ShapeError, match=r"dy of t.1 has shape \(5, 4\), expected \(any, 2\)"):
        net.backward(numbers(5, 4), ctx)


def test_a_layer_has_one_place_in_one_net() -> None:
    layer = Linear(3)
    with pytest.raises(ShapeError, match="stands twice in net t"):
        Net("t", Chain(layer, layer), (3,))
    shared = Chain(Linear(3))
    bound(shared, (3,))
    with pytest.raises(ShapeError, match="belongs to a net already"):
        bound(shared, (3,))


def test_dropout_without_a_clock_says_so() -> None:
    net = Net("t", Chain(Dropout(0.5)), (3,))
    net.bind(ops, 0)
    with pytest.raises(ShapeError, match="draws from the clock"):
        net.forward(numbers(2, 3))


# ------------------------------------------------------------------------------------------------ what a pass may touch

TREES = {
    "Linear": (lambda: Linear(3, act=TANH), (5,)),
    "Conv2d": (lambda: Conv2d(3, 3, 2, act=TANH), (5, 4, 2)),
    "ConvTranspose2d": (lambda: ConvTranspose2d(3, 3, 2, act=TANH), (2, 3, 2)),
    "BatchNorm": (lambda: BatchNorm(act=TANH), (3, 4, 2)),
    "LayerNorm": (lambda: LayerNorm(act=TANH), (3, 4, 2)),
    "InstanceNorm": (lambda: InstanceNorm(act=TANH), (3, 4, 2)),
    "Chain": (lambda: Chain(Dropout(0.3), Linear(4), BatchNorm(act=TANH), Activation(TANH), Linear(2)), (3,)),
    "Chain without parameters": (lambda: Chain(Reshape(4, 1, 1), Reshape(-1)), (4,)),
    "Residual": (lambda: Residual(Conv2d(3, 3, 2), Chain(AvgPool2x(), Conv2d(3, 1))), (4, 4, 2)),
    "Residual identity": (lambda: Residual(Chain(Linear(3, act=TANH), Linear(3))), (3,)),
    "Skip": (lambda: Skip(Conv2d(3, 3, 2), Conv2d(4, 3), Chain(Upsample2x(), Conv2d(2, 3))), (4, 4, 1)),
    "Heads": (lambda: Heads(Linear(4, act=TANH), Linear(1), Linear(2)), (3,)),
}


def _ones(y: Any) -> Any:
    return tuple(map(_ones, y)) if isinstance(y, tuple) else np.linspace(-1, 2, y.size).reshape(y.shape)


def _arrays(ctx: Any) -> list[np.ndarray]:
    if isinstance(ctx, tuple):
        return [a for part in ctx for a in _arrays(part)]
    return [ctx] if isinstance(ctx, np.ndarray) else []


@pytest.mark.parametrize("case", TREES)
def test_need_dw_and_need_dx(case: str) -> None:
    root, in_shape = TREES[case]
    net = bound(root(), in_shape)
    y, ctx = net.forward(numbers(4, *in_shape), "frozen")
    dx = net.backward(_ones(y), ctx, need_dw=False)
    assert (net.dp == 0.25).all(), "need_dw=False writes no parameter gradient"
    full = net.backward(_ones(y), ctx)
    np.testing.assert_array_equal(full, dx)
    both = net.dp.copy()
    net.dp[...] = 0.25
    net.backward(_ones(y), ctx, need_dx=False)
    np.testing.assert_array_equal(net.dp, both, "need_dx=False changes no parameter gradient")


@pytest.mark.parametrize("case", [c for c in TREES if not c.endswith("Norm")])  # a norm has its dx at hand anyway
def test_need_dx_false_returns_none(case: str) -> None:
    root, in_shape = TREES[case]
    net = bound(root(), in_shape)
    y, ctx = net.forward(numbers(4, *in_shape), "frozen")
    assert net.backward(_ones(y), ctx, need_dx=False) is None


def test_need_dx_false_skips_the_first_data_gradient() -> None:
    """D's first layer pays for no data gradient in the D step."""
    net = bound(Chain(Dropout(0.5), Conv2d(2, 3), Conv2d(1, 3)), (4, 4, 1))
    calls: list[str] = []

    class Spy:
        def __getattr__(self, key: str) -> Any:
            calls.append(key)
            return getattr(ops, key)

    y, ctx = net.forward(numbers(2, 4, 4, 1))
    net.use(Spy())
    net.backward(y, ctx, need_dx=False)
    assert calls.count("conv2d_dgrad") == 1
    assert calls.count("conv2d_wgrad") == 2
    assert "dropout_backward" not in calls


@pytest.mark.parametrize("case", TREES)
def test_contexts_are_values(case: str) -> None:
    """Two forwards before any backward; each context used more than once; nothing in them changes."""
    root, in_shape = TREES[case]
    net = bound(root(), in_shape)
    a, b = numbers(4, *in_shape, seed=1), numbers(3, *in_shape, seed=2)

    def alone(x: np.ndarray) -> tuple[Any, np.ndarray]:
        net.dp[...] = 0.0
        y, ctx = net.forward(x, "frozen")
        return net.backward(_ones(y), ctx), net.dp.copy()

    (dx_a, dp_a), (dx_b, dp_b) = alone(a), alone(b)
    net.dp[...] = 0.0
    ya, ctx_a = net.forward(a, "frozen")
    kept = [array.copy() for array in _arrays(ctx_a)]
    yb, ctx_b = net.forward(b, "frozen")
    np.testing.assert_array_equal(net.backward(_ones(yb), ctx_b), dx_b)
    np.testing.assert_array_equal(net.backward(_ones(ya), ctx_a), dx_a)
    np.testing.assert_array_equal(net.backward(_ones(ya), ctx_a), dx_a)
    np.testing.assert_allclose(net.dp, 2 * dp_a + dp_b, rtol=1e-12, atol=1e-12)
    for now, then in zip(_arrays(ctx_a), kept, strict=True):
        np.testing.assert_array_equal(now, then)


def test_chain_and_combinators_by_hand() -> None:
    x = numbers(4, 3)
    chain = bound(Chain(Linear(3), Linear(3)), (3,))
    a, b = chain.layers
    y = x @ a.w + a.b
    np.testing.assert_allclose(chain.forward(x)[0], y @ b.w + b.b, rtol=1e-12)
    residual = bound(Residual(Linear(3), Linear(3)), (3,))
    a, b = residual.layers
    np.testing.assert_allclose(residual.forward(x)[0], x @ a.w + a.b + x @ b.w + b.b, rtol=1e-12)
    identity = bound(Residual(Linear(3)), (3,))
    np.testing.assert_allclose(identity.forward(x)[0], x @ identity.layers[0].w + identity.layers[0].b + x, rtol=1e-12)
    skip = bound(Skip(Linear(2), Linear(4), Linear(1)), (3,))
    down, inner, up = skip.layers
    h = x @ down.w + down.b
    np.testing.assert_allclose(skip.forward(x)[0], np.c_[h, h @ inner.w + inner.b] @ up.w + up.b, rtol=1e-12)
    heads = bound(Heads(Linear(2), Linear(4), Linear(1)), (3,))
    trunk, a, b = heads.layers
    t = x @ trunk.w + trunk.b
    ya, yb = heads.forward(x)[0]
    np.testing.assert_allclose(ya, t @ a.w + a.b, rtol=1e-12)
    np.testing.assert_allclose(yb, t @ b.w + b.b, rtol=1e-12)


# ---------------------------------------------------------------------------------------------------------------- slabs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slab_layout(dtype: Any) -> None:
    root = Chain(Linear(5), BatchNorm(), Linear(3, bias=False), BatchNorm())
    net = Net("t", root, (7,))
    net.bind(ops, 0, dtype)
    size = np.dtype(dtype).itemsize
    decay, no_decay = net.layout.segments["decay"], net.layout.segments["no_decay"]
    assert (decay.start, decay.stop, no_decay.stop) == (0, no_decay.start, net.p.size)
    assert net.parameters == 7 * 5 + 5 + 10 + 15 + 6
    spans = []
    for name, view in net.layout.views(net.p).items():
        at = net.layout.at[name]
        assert at * size % 64 == 0, f"{name} begins at byte {at * size}"
        assert np.shares_memory(view, net.p)
        segment = decay if name.endswith(".w") else no_decay
        assert segment.start <= at < segment.stop, name
        spans.append((at, at + view.size))
    assert all(end <= start for (_, end), (start, _) in zip(sorted(spans), sorted(spans)[1:], strict=False))
    for layer in net.layers:
        for key in layer.params:
            assert np.shares_memory(getattr(layer, key), net.p)
            assert np.shares_memory(getattr(layer, f"d{key}"), net.dp)
        for key in layer.state:
            assert np.shares_memory(getattr(layer, key), net.state)
    assert set(net.tensors()) == {
        *(f"t.{n}" for n in ("0.w", "0.b", "1.gamma", "1.beta", "2.w", "3.gamma", "3.beta")),
        *(f"t.{i}.{n}" for i in (1, 3) for n in ("mean", "var")),
    }
    net.p[...] = 3.0
    assert all((getattr(layer, key) == 3.0).all() for layer in net.layers for key in layer.params)


def test_bind_is_a_function_of_seed_and_name() -> None:
    def made(seed: int, dtype: Any, *nodes: Any) -> dict[str, np.ndarray]:
        net = Net("t", Chain(*nodes), (6,))
        net.bind(ops, seed, dtype)
        return net.tensors()

    def tree() -> tuple[Any, ...]:
        return Linear(5), BatchNorm(), Linear(4, init=make_init("he", 0.0))

    first = made(1, np.float64, *tree())
    again, single, other = made(1, np.float64, *tree()), made(1, np.float32, *tree()), made(2, np.float64, *tree())
    wider = made(1, np.float64, *tree(), Linear(9))
    for name, values in first.items():
        np.testing.assert_array_equal(again[name], values)
        np.testing.assert_array_equal(single[name], values.astype(np.float32))
        np.testing.assert_array_equal(wider[name], values, "a layer more changes no other layer")
    assert not np.array_equal(first["t.0.w"], other["t.0.w"])
    assert (first["t.1.gamma"] == 1).all() and (first["t.1.var"] == 1).all() and (first["t.0.b"] == 0).all()
    assert np.unique(np.r_[first["t.0.w"].ravel(), first["t.2.w"].ravel()]).size == 6 * 5 + 5 * 4


def test_lambda_theta_squared_touches_weights_alone() -> None:
    net = bound(Chain(Linear(4), BatchNorm()), (3,), l2=0.5)
    w, norm = net.layers
    loss = net.add_penalty(np.asarray(2.0))
    assert float(loss) == pytest.approx(2.0 + 0.5 * float((w.w**2).sum()), rel=1e-14)
    net.finish_gradients()
    np.testing.assert_allclose(w.dw, 0.25 + w.w, rtol=1e-14)
    assert all((d == 0.25).all() for d in (w.db, norm.dgamma, norm.dbeta))
    net.zero_grad()
    assert (net.dp == 0).all()


# --------------------------------------------------------------------------------------------------- batchnorm, dropout


def test_batchnorm_modes() -> None:
    net = bound(BatchNorm(momentum=0.75), (3,))
    (norm,) = net.layers
    x = 2 + 3 * numbers(50, 3)
    mean, var = norm.mean.copy(), norm.var.copy()
    frozen, _ = net.forward(x, "frozen")
    running, _ = net.forward(x, "running")
    np.testing.assert_array_equal([norm.mean, norm.var], [mean, var], "frozen and running leave the statistics alone")
    batch, _ = net.forward(x, "batch")
    np.testing.assert_array_equal(batch, frozen)
    np.testing.assert_allclose(norm.mean, 0.75 * mean + 0.25 * x.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(norm.var, 0.75 * var + 0.25 * x.var(axis=0), rtol=1e-12)

    def by_hand(m: np.ndarray, v: np.ndarray) -> np.ndarray:
        return norm.gamma * (x - m) / np.sqrt(v + norm.eps) + norm.beta

    np.testing.assert_allclose(frozen, by_hand(x.mean(axis=0), x.var(axis=0)), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(running, by_hand(mean, var), rtol=1e-10, atol=1e-12)


def test_a_running_context_outlives_an_update_of_the_statistics() -> None:
    net = bound(BatchNorm(act=TANH), (3,))
    x = numbers(5, 3)
    y, ctx = net.forward(x, "running")
    dx = net.backward(_ones(y), ctx)
    net.forward(7 + x, "batch")
    np.testing.assert_array_equal(net.backward(_ones(y), ctx), dx)


def test_dropout_draws_per_call_layer_and_tick_and_rests_in_running_mode() -> None:
    net = bound(Chain(Dropout(0.5), Dropout(0.5)), (40,))
    x = np.ones((6, 40))

    def drawn(call: int = 0, tick: int = 0) -> np.ndarray:
        net.clock[2] = tick
        return net.forward(x, call=call)[0]

    np.testing.assert_array_equal(drawn(), drawn())
    assert not np.array_equal(drawn(), drawn(call=1))
    assert not np.array_equal(drawn(), drawn(tick=1))
    assert 0.1 < (drawn() == 4.0).mean() < 0.4, "two layers draw independently: a quarter is kept by both"
    np.testing.assert_array_equal(net.forward(x, "running")[0], x)


# ----------------------------------------------------------------------------------------------------------- optimizers


def _optimizer(nets: list[Net], **words: Any) -> tuple[Optimizer, Clock]:
    optimizer = Optimizer(config.Optim(**words), nets, 1, np.float64)
    clock = Clock(ops, 0, np.float64)
    clock.array[CLIP + 1] = 1.0
    return optimizer, clock


def _updates(optimizer: Optimizer, clock: Clock, gradients: list[np.ndarray]) -> None:
    for step, dp in enumerate(gradients):
        ops.copyto(clock.array[:HOST_WORDS], clock.words(step, step, [optimizer, optimizer]))
        for net in optimizer.nets:
            net.dp[...] = dp[: net.dp.size]
        optimizer.step(ops, clock.array)
        optimizer.count += 1


def _adam(p: float, gs: list[float], lr: float, decay: float) -> float:
    m = v = 0.0
    for t, g in enumerate(gs, 1):
        m, v = 0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g * g
        p -= lr * decay * p
        p -= lr * (m / (1 - 0.5**t)) / (math.sqrt(v / (1 - 0.9**t)) + 1e-8)
    return p


def _sgd(p: float, gs: list[float], lr: float, decay: float) -> float:
    m = 0.0
    for g in gs:
        m = 0.8 * m + g
        p -= lr * decay * p
        p -= lr * m
    return p


def _rmsprop(p: float, gs: list[float], lr: float, decay: float) -> float:
    v = 0.0
    for g in gs:
        v = 0.7 * v + 0.3 * g * g
        p -= lr * decay * p
        p -= lr * g / (math.sqrt(v) + 1e-8)
    return p


RULES = {
    "adam": (_adam, {"beta1": 0.5, "beta2": 0.9}),
    "sgd": (_sgd, {"momentum": 0.8}),
    "rmsprop": (_rmsprop, {"rho": 0.7}),
}


@pytest.mark.parametrize("rule", RULES)
def test_update_rules_by_hand(rule: str) -> None:
    """Number by number over three updates; weight decay touches weights, not biases."""
    by_hand, words = RULES[rule]
    for decay in (0.0, 0.3):
        net = bound(Linear(3), (4,))
        optimizer, clock = _optimizer([net], rule=rule, lr=0.01, weight_decay=decay, **words)
        start, gradients = net.p.copy(), [numbers(net.p.size, seed=s) for s in (1, 2, 3)]
        _updates(optimizer, clock, gradients)
        weights = net.layout.segments["decay"]
        for i in range(net.p.size):
            rate = decay if weights.start <= i < weights.stop else 0.0
            expected = by_hand(start[i], [float(g[i]) for g in gradients], 0.01, rate)
            assert net.p[i] == pytest.approx(expected, rel=1e-12), f"element {i}, decay {decay}"


def test_one_optimizer_over_two_nets() -> None:
    def pair() -> tuple[Net, Net]:
        nets = Net("a", Linear(3), (4,)), Net("b", Chain(Linear(2), BatchNorm()), (3,))
        for net in nets:
            net.bind(ops, 0, np.float64)
        return nets

    gradients = [numbers(64, seed=s) for s in (1, 2)]
    together, apart = pair(), pair()
    optimizer, clock = _optimizer(list(together), lr=0.01)
    _updates(optimizer, clock, gradients)
    for net in apart:
        _updates(*_optimizer([net], lr=0.01), gradients)
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a.p, b.p)
    names = ("a.w", "a.b", "b.0.w", "b.0.b", "b.1.gamma", "b.1.beta")
    assert set(optimizer.tensors()) == {f"{slab}/{name}" for slab in "mv" for name in names}
    assert float(optimizer.guard(ops, np.asarray(0.0), clock.array)) == pytest.approx(
        sum(float((net.dp**2).sum()) for net in together), rel=1e-12
    )


def test_guard_clips_long_gradients_alone_and_sees_nan() -> None:
    net = bound(Linear(3), (4,))
    optimizer, clock = _optimizer([net], clip_norm=2.0)
    net.dp[...] = numbers(net.dp.size)
    norm = math.sqrt(float((net.dp**2).sum()))
    assert norm > 2
    assert float(optimizer.guard(ops, np.asarray(1.0), clock.array)) == pytest.approx(norm**2, rel=1e-12)
    assert clock.array[CLIP + 1] == pytest.approx(2.0 / norm, rel=1e-12)
    net.dp *= 1 / norm
    optimizer.guard(ops, np.asarray(1.0), clock.array)
    assert clock.array[CLIP + 1] == 1.0
    assert clock.array[BAD] == 0
    optimizer.guard(ops, np.asarray(np.nan), clock.array)
    assert clock.array[BAD] != 0
    clock.array[BAD] = 0
    net.dp[0] = np.nan
    optimizer.guard(ops, np.asarray(1.0), clock.array)
    assert clock.array[BAD] != 0, "a finite loss does not excuse its gradient"


def test_clipping_scales_the_update() -> None:
    net = bound(Linear(3), (4,))
    optimizer, clock = _optimizer([net], rule="sgd", lr=0.5)
    ops.copyto(clock.array[:HOST_WORDS], clock.words(0, 0, [optimizer, optimizer]))
    clock.array[CLIP + 1] = 0.25
    start = net.p.copy()
    net.dp[...] = 2.0
    optimizer.step(ops, clock.array)
    np.testing.assert_allclose(net.p, start - 0.5 * 0.25 * 2.0, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_a_bad_flag_stops_every_rule(rule: str) -> None:
    net = bound(Linear(3), (4,))
    optimizer, clock = _optimizer([net], rule=rule, weight_decay=0.1)
    _updates(optimizer, clock, [numbers(net.p.size)])
    before = [net.p.copy(), *(a.copy() for a in optimizer.tensors().values())]
    clock.array[BAD] = 1
    _updates(optimizer, clock, [numbers(net.p.size, seed=2)])
    for then, now in zip(before, [net.p, *optimizer.tensors().values()], strict=True):
        np.testing.assert_array_equal(now, then)


FACTORS = {  # schedule: ((step, factor), ...) with horizon 100, floor 0.1, every 10, decay 0.5
    "constant": ((0, 1.0), (1000, 1.0)),
    "step": ((0, 1.0), (9, 1.0), (10, 0.5), (25, 0.25), (1000, 0.1)),
    "linear": ((0, 1.0), (50, 0.55), (100, 0.1), (1000, 0.1)),
    "cosine": ((0, 1.0), (50, 0.55), (25, 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2), (100, 0.1), (1000, 0.1)),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules(schedule: str) -> None:
    words = {"schedule": schedule, "lr": 2.0, "horizon": 100, "floor": 0.1, "every": 10, "factor": 0.5}
    optimizer = Optimizer(config.Optim(**words), [], 0, np.float64)
    for step, factor in FACTORS[schedule]:
        assert optimizer.rates(step)[0] == pytest.approx(2.0 * factor, rel=1e-12), f"step {step}"


def test_rates_count_updates_not_steps() -> None:
    optimizer = dataclasses.replace(config.Optim(), beta1=0.5, beta2=0.9)
    opt = Optimizer(optimizer, [], 0, np.float64)
    opt.count = 2
    assert opt.rates(70)[1:] == pytest.approx((1 / (1 - 0.5**3), 1 / (1 - 0.9**3)), rel=1e-14)
