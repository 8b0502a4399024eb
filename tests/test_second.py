"""The tangent passes and the penalties built on them: what they may touch, by hand, and in training.

Derivatives are proven by the rows tangent.* and penalty.* of the gradient table (test_gradcheck.py).
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import assert_same, run, small, state, timeless

from minigan import config, rng
from minigan.backends import load
from minigan.backends.clock import BAD, CLIP, HOST_WORDS
from minigan.errors import ConfigError
from minigan.models.layers import Activation, BatchNorm, Layer, Linear, MinibatchStddev, Reshape
from minigan.models.net import Net
from minigan.models.shapes import Act
from minigan.models.trees import Chain
from minigan.penalties import PENALTIES, Penalty
from minigan.study.rows import clock
from minigan.study.rows_second import LAYERS, NETS
from minigan.tasks.gan import GAN
from minigan.training import log
from minigan.training.trainer import train

ops = load("numpy")
SHAPE = (8, 8, 1)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return rng.host(seed, "test/second").standard_normal(shape)


def bound(root: Any, in_shape: tuple[int, ...], at: Any = None) -> Net:
    net = Net("t", root, in_shape)
    net.bind(ops, 0, np.float64, clock() if at is None else at)
    net.p[...] = 0.3 * numbers(net.p.size, seed=5)
    return net


# ------------------------------------------------------------------------------------------------------- tangent passes


def _mapped(of: Callable[[np.ndarray], np.ndarray], y: Any) -> Any:
    return tuple(_mapped(of, a) for a in y) if isinstance(y, tuple) else of(y)


def _passes(case: str) -> tuple[Net, Any, Any, Any, Any]:
    """The net, y, and what backward_tangent takes: dys, ctx, tctx."""
    root, in_shape = LAYERS[case]
    net = bound(root(), in_shape)
    y, ctx = net.forward(numbers(4, *in_shape), "frozen")
    _, dys = net.backward(_mapped(np.cos, y), ctx, need_dw=False, trace=True)
    _, tctx = net.forward_tangent(numbers(4, *in_shape, seed=1), ctx)
    return net, y, dys, ctx, tctx


@pytest.mark.parametrize("case", LAYERS)
def test_none_stands_for_a_tangent_of_zeros(case: str) -> None:
    net, y, dys, ctx, tctx = _passes(case)
    found = []
    for tdy in (None, _mapped(np.zeros_like, y)):
        net.dp[...] = 0.0
        tdx = net.backward_tangent(tdy, dys, ctx, tctx)
        found.append((np.zeros((4, *net.in_shape)) if tdx is None else tdx, net.dp.copy()))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize("case", LAYERS)
def test_tangents_add_and_leave_alone_what_is_not_wanted(case: str) -> None:
    net, y, dys, ctx, tctx = _passes(case)
    tdy = _mapped(np.sin, y)
    kept = {name: dy.copy() for name, dy in dys.items()}
    net.dp[...] = 0.25
    tdx = net.backward_tangent(tdy, dys, ctx, tctx, need_dw=False)
    assert (net.dp == 0.25).all(), "need_dw=False writes no parameter gradient"
    np.testing.assert_array_equal(net.backward_tangent(tdy, dys, ctx, tctx), tdx)
    once = net.dp - 0.25
    net.backward_tangent(tdy, dys, ctx, tctx, need_dx=False)
    np.testing.assert_allclose(net.dp - 0.25, 2 * once, rtol=1e-12, atol=1e-12)
    assert all(np.array_equal(dys[name], dy) for name, dy in kept.items())


def test_a_trace_names_every_layer_and_changes_no_gradient() -> None:
    root, in_shape = LAYERS["Skip"]
    net = bound(root(), in_shape)
    y, ctx = net.forward(numbers(4, *in_shape), "frozen")
    net.dp[...] = 0.0
    dx = net.backward(np.cos(y), ctx)
    plain = net.dp.copy()
    net.dp[...] = 0.0
    traced, dys = net.backward(np.cos(y), ctx, trace=True)
    np.testing.assert_array_equal(traced, dx)
    np.testing.assert_array_equal(net.dp, plain)
    assert set(dys) == {layer.name for layer in net.layers}
    assert all(dys[layer.name].shape[1:] == layer.out_shape for layer in net.layers)


class Spy:
    """Counts the calls of every op."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, key: str) -> Any:
        self.calls.append(key)
        return getattr(ops, key)


def test_a_straight_critic_pays_for_no_second_data_gradient() -> None:
    """Where no activation curves, tdy stays zero all the way down: one weight gradient a layer, and no more."""
    for act, dgrads, wgrads in ((Act("leaky_relu", 0.2), 0, 3), (Act("tanh"), 1, 5)):
        net = bound(Chain(Linear(5, act=act), Linear(4, act=act), Linear(1)), (3,))
        y, ctx = net.forward(numbers(6, 3))
        _, dys = net.backward(np.ones_like(y), ctx, need_dw=False, trace=True)
        _, tctx = net.forward_tangent(numbers(6, 3, seed=1), ctx)
        spy = Spy()
        net.use(spy)
        net.backward_tangent(None, dys, ctx, tctx, need_dx=False)
        assert (spy.calls.count("linear_dgrad"), spy.calls.count("linear_wgrad")) == (dgrads, wgrads), act.kind


# ----------------------------------------------------------------------------------------------------------- by hand


def _critic(root: Any, in_shape: tuple[int, ...], name: str, **keys: Any) -> tuple[Net, Penalty]:
    net = bound(root, in_shape)
    return net, Penalty(config.Penalty(name, **keys), net, seed=0)


def _added(penalty: Penalty, real: Any, fake: Any) -> tuple[Any, Any]:
    found = penalty.add(real, fake, penalty.draw(real[0].shape, np.float64, update=1))
    return found["penalty"], found["critic_grad_norm"]


def _batches(net: Net, n: int = 5) -> list[tuple[np.ndarray, Any]]:
    return [(x, net.forward(x)[1]) for x in (numbers(n, *net.in_shape, seed=s) for s in (1, 2))]


@pytest.mark.parametrize("name", PENALTIES)
def test_a_linear_critic_by_hand(name: str) -> None:
    """D(x) = w x + b: g = w at every point, so P = 3 (||w|| - 1)^2 or 3 ||w||^2 / 2, for each batch of points."""
    net, penalty = _critic(Chain(Linear(1)), (4,), name, weight=3.0)
    (layer,) = net.layers
    net.dp[...] = 0.5
    value, norm = _added(penalty, *_batches(net))
    r = np.linalg.norm(layer.w)
    one, weight = PENALTIES[name].norm == "one", 3 * len(PENALTIES[name].points)
    assert float(norm) == pytest.approx(r, rel=1e-12)
    assert float(value) == pytest.approx(weight * ((r - 1) ** 2 if one else r**2 / 2), rel=1e-12)
    expected = weight * (2 * (r - 1) * layer.w / r if one else layer.w)
    np.testing.assert_allclose(layer.dw - 0.5, expected, rtol=1e-10)
    assert (layer.db == 0.5).all(), "b moves no gradient by x"


def test_the_worked_example_of_the_docs() -> None:
    """D(x) = v . leaky_relu(W x): g = W (m v) with m the slopes, dP/dv and dP/dW as docs/second-order.md derives."""
    net, penalty = _critic(Chain(Linear(3, bias=False, act=Act("leaky_relu", 0.5)), Linear(1, bias=False)), (2,), "r1")
    first, last = net.layers
    first.w[...], last.w[...] = [[1.0, -1.0, 2.0], [0.0, 1.0, 1.0]], [[1.0], [4.0], [-1.0]]
    x = np.array([[1.0, -1.0]])  # x W = (1, -2, 1): slopes m = (1, 1/2, 1)
    real = (x, net.forward(x)[1])
    value, norm = _added(penalty, real, real)
    g, dz = np.array([-3.0, 1.0]), np.array([1.0, 2.0, -1.0])  # dz = m v, g = W dz
    assert float(norm) == pytest.approx(np.sqrt(10), rel=1e-15) and float(value) == pytest.approx(
        10 * 10 / 2, rel=1e-15
    )
    np.testing.assert_allclose(last.dw[:, 0], [-30.0, 20.0, -50.0], rtol=1e-12)
    np.testing.assert_allclose(first.dw, np.outer(10 * g, dz), rtol=1e-12)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_gradient_of_zero_gives_numbers(name: str) -> None:
    net, penalty = _critic(Chain(Linear(3, act=Act("leaky_relu", 0.2)), Linear(1)), (4,), name)
    net.p[...] = 0.0
    net.dp[...] = 0.0
    with np.errstate(all="raise"):
        value, norm = _added(penalty, *_batches(net))
    assert float(norm) == 0 and float(value) == (10.0 if PENALTIES[name].norm == "one" else 0.0)
    assert (net.dp == 0).all()


def test_points_are_where_the_table_says() -> None:
    net, _ = _critic(Chain(Linear(1)), (4,), "r1")
    real, fake = _batches(net)
    words = config.Penalty(noise=0.25)
    drawn = {
        name: Penalty(dataclasses.replace(words, name=name), net, 0).draw((5, 4), np.float64, 1) for name in PENALTIES
    }
    points = {name: [p(net, real, fake, drawn[name][1:], None) for p in row.points] for name, row in PENALTIES.items()}
    at = {name: first for name, (first, *_) in points.items()}
    assert at["r1"] is real and at["r2"] is fake, "their contexts are used again"
    assert points["r1+r2"] == [real, fake] and all(len(p) == 1 for name, p in points.items() if name != "r1+r2")
    a = (at["wgan-gp"][0] - fake[0]) / (real[0] - fake[0])
    np.testing.assert_allclose(a, np.broadcast_to(a[:, :1], a.shape), rtol=1e-9)
    np.testing.assert_allclose(a[:, 0], rng.host(0, "penalty", 1).random(5), rtol=1e-9)
    assert (a >= 0).all() and (a < 1).all() and len(np.unique(a[:, 0].round(9))) == 5
    noise = rng.host(0, "penalty", 1).standard_normal((5, 4))
    np.testing.assert_allclose(at["dragan"][0], real[0] + 0.25 * noise, rtol=1e-12)


# ------------------------------------------------------------------------------------------------------------- the step


def gan(
    name: str,
    kind: str = "dcgan.leaky_relu",
    backend: Any = ops,
    dtype: str = "float64",
    dropout: float = 0.3,
    **keys: Any,
) -> GAN:
    """A small GAN with that penalty and kind of D; SGD, so that an update shows the gradient."""
    _, changes = NETS[kind]
    model = config.Model(
        family=kind.partition(".")[0], z=4, widths_g=(5, 4), strides_g=(2, 2), widths_d=(4, 5), kernel=3, init="he"
    )
    changes = {"act_d": "leaky_relu", "output": "tanh"} | changes
    rule = config.Optim(rule="sgd", lr=1e-4)
    words = config.Config(
        model=dataclasses.replace(model, **changes),
        loss=config.Loss("wasserstein"),
        penalty=config.Penalty(name, **keys),
        g=rule,
        d=rule,
        train=config.Train(dtype=dtype, seed=3),
    )
    made = GAN(words, backend, SHAPE)
    made.clock.array[:HOST_WORDS] = made.clock.words(0, 0, [made.opt_d, made.opt_g])
    made.clock.array[CLIP : CLIP + 2] = 1.0
    return made


def _real(seed: int = 0, n: int = 8) -> np.ndarray:
    return rng.host(seed, "test/real").uniform(-1.0, 1.0, (n, *SHAPE))


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_adds_to_d_and_leaves_g_and_the_losses_alone(name: str) -> None:
    plain, under = gan("none"), gan(name)
    z = numbers(8, 4)
    before = under.G.p.copy(), under.G.dp.copy(), under.G.state.copy()
    records = [made.d_step(_real(), z, update=False, drawn=made.penalty_inputs(_real())) for made in (plain, under)]
    assert all(np.array_equal(a, b) for a, b in zip(before, (under.G.p, under.G.dp, under.G.state), strict=True))
    assert not np.allclose(plain.D.dp, under.D.dp)
    assert set(records[1]) - set(records[0]) == {"penalty", "critic_grad_norm"}
    assert all(float(records[0][key]) == float(records[1][key]) for key in ("loss_d", "d_real", "d_fake"))


@pytest.mark.parametrize(("name", "passes"), [("wgan-gp", 3), ("dragan", 3), ("r1", 2), ("r2", 2), ("r1+r2", 2)])
def test_r1_and_r2_need_no_forward_pass_of_their_own(name: str, passes: int) -> None:
    made, calls = gan(name), []
    forward = made.D.forward
    made.D.forward = lambda x, mode="batch", call=0, **more: calls.append(call) or forward(x, mode, call, **more)  # type: ignore
    made.d_step(_real(), numbers(8, 4), update=False, drawn=made.penalty_inputs(_real()))
    assert calls == list(range(passes)), "each with its own dropout mask"


def test_lazy_penalties_come_every_so_often_and_as_many_times_as_strong() -> None:
    added = []
    for every in (1, 3):
        made, z = gan("wgan-gp", every=every), numbers(8, 4)
        plain = gan("none")
        made.opt_d.count = 2  # the third update comes
        record = made.d_step(_real(), z, update=False, drawn=made.penalty_inputs(_real()))
        plain.d_step(_real(), z, update=False)
        added.append((made.D.dp - plain.D.dp, float(record["penalty"])))
    np.testing.assert_allclose(added[1][0], 3 * added[0][0], rtol=1e-9, atol=1e-12)
    assert added[0][1] == added[1][1], "the log shows the penalty, not the factor"
    lazy = gan("r1", every=3)
    due = ["penalty" in lazy.step([_real(step)], step) for step in range(7)]
    assert due == [False, False, True, False, False, True, False]


def test_draws_are_a_function_of_seed_and_update() -> None:
    def penalty(update: int, n: int = 8) -> float:
        made = gan("wgan-gp", "mlp.tanh")
        made.opt_d.count = update - 1
        record = made.d_step(_real(), numbers(8, 4), update=False, drawn=made.penalty_inputs(_real()))
        return float(record["critic_grad_norm"])

    assert penalty(1) == penalty(1) != penalty(2)
    few, many = (rng.host(3, "penalty", 1).random(n) for n in (4, 9))
    np.testing.assert_array_equal(few, many[:4])


def test_a_penalty_that_is_not_finite_stops_the_update() -> None:
    made = gan("r1", "mlp.relu", dtype="float32")
    made.D.layers[-1].w[...] = 3e38
    before = made.D.p.copy()
    with np.errstate(all="ignore"):
        x = _real().astype(np.float32)
        made.d_step(x, numbers(8, 4).astype(np.float32), drawn=made.penalty_inputs(x))
    assert made.clock.array[BAD] != 0
    np.testing.assert_array_equal(made.D.p, before)


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("name", PENALTIES)
def test_cpp_takes_the_oracles_steps(name: str, kind: str) -> None:
    cpp = pytest.importorskip("minigan.backends.cpp")
    nets = [gan(name, kind, backend, "float32") for backend in (ops, cpp)]
    for step in range(3):
        for made in nets:
            made.step([_real(step).astype(np.float32)], step)
    a, b = (made.D.p.astype(np.float64) for made in nets)
    assert np.linalg.norm(a - b) / np.linalg.norm(a) < 1e-5


# -------------------------------------------------------------------------------------------------------------- refused


class Own(Layer):
    """A user's layer, first order only."""

    def build(self, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return in_shape

    def forward(self, x: np.ndarray, how: Any) -> tuple[np.ndarray, Any]:
        return x, None

    def backward(self, dy: np.ndarray, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> np.ndarray:
        return dy


REFUSED = {
    "batchnorm": (lambda: Chain(Linear(3), BatchNorm(), Linear(1)), (2,), r"t\.1 \(BatchNorm\).*whole batch.*norm_d"),
    "stddev": (
        lambda: Chain(MinibatchStddev(2), Reshape(-1), Linear(1)), (2, 2, 1), r"t\.0 \(MinibatchStddev\).*whole batch"
    ),
    "own": (lambda: Chain(Own(), Activation(Act("tanh")), Linear(1)), (2,), r"t\.0 \(Own\).*no forward_tangent"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_layers_without_a_second_derivative_are_refused(case: str) -> None:
    root, in_shape, words = REFUSED[case]
    with pytest.raises(ConfigError, match=words):
        _critic(root(), in_shape, "wgan-gp")


COMBINATIONS = {
    ("penalty.name=wgan-gp", "model.norm_d=batch"): r"norm_d layer",
    ("penalty.name=wgan-gp", "train.weight_clip=0.01"): "both bound D",
    ("penalty.name=r1", "penalty.weight=0"): "give penalty.name none",
    ("penalty.name=wgan_gp",): "did you mean 'wgan-gp'",
    ("penalty.every=0",): "at least 1",
    ("loss.name=wasserstein",): "penalty.name wgan-gp, or train.weight_clip",
    ("model.norm_d=layr",): "did you mean 'layer'",
}


@pytest.mark.parametrize("given", COMBINATIONS)
def test_what_does_not_go_together_is_refused(given: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=COMBINATIONS[given]):
        config.load("digits", given)


def test_config_and_table_name_the_same_penalties() -> None:
    (name,) = (f for f in dataclasses.fields(config.Penalty) if f.name == "name")
    assert set(name.metadata["choices"]) == {"none", *PENALTIES}


# ---------------------------------------------------------------------------------------------------------- in training


def test_a_run_with_a_lazy_penalty_logs_it_and_resumes_bit_for_bit(tmp_path: Path) -> None:
    keys = ("penalty.name=dragan", "penalty.every=4", "model.norm_d=layer")
    whole = run(tmp_path / "whole", *keys, "train.steps=30")
    lines = timeless(whole)
    assert ["penalty" in line for line in lines] == [line["step"] % 2 == 0 for line in lines], "two updates of D a step"
    shown = next(line for line in lines if "penalty" in line)
    assert list(shown)[6:8] == ["penalty", "critic_grad_norm"] and shown["critic_grad_norm"] > 0
    out = run(tmp_path / "run", *keys, "train.steps=13")
    run(out, *keys, "train.steps=30", resume=True)
    assert_same(state(out), state(whole))
    assert timeless(out) == lines


TOY = (
    "data.name=ring8", "model.output=none", "model.z=2", "model.widths_g=[64, 64]", "model.widths_d=[64, 64]",
    "model.init=normal", "model.init_std=0.5", "model.dropout=0", "loss.name=wasserstein", "penalty.name=wgan-gp",
    "penalty.weight=10", "g.lr=1e-3", "d.lr=1e-3", "d.beta2=0.9", "g.beta2=0.9", "train.n_critic=3",
    "train.batch_size=64", "train.steps=200", "train.log_every=1", "train.ema=0", "train.grid_every=1000",
    "train.backend=numpy",
)  # fmt: skip


def test_wgan_gp_brings_the_critics_gradient_to_length_one(tmp_path: Path) -> None:
    """On the ring, from a critic that is too steep; with the penalty's sign turned it would only grow."""
    words = config.load("digits", TOY)
    out, _ = train(dataclasses.replace(words, preset="toy"), tmp_path / "run")
    lines = log.read(out)
    norms = [line["critic_grad_norm"] for line in lines]
    assert norms[0] > 3 and np.mean(norms[-20:]) == pytest.approx(1.0, abs=0.1), norms
    assert all(line["grad_norm_d"] > 0 and line["grad_norm_g"] > 0 for line in lines)
    first = GAN(words, ops, (2,))
    weights = {key: a for key, a in first.tensors().items() if key[:2] in ("g/", "d/") and key.endswith(".w")}
    now = state(out).tensors
    moved = {key: float(np.abs(now[key] - a).max()) for key, a in weights.items()}
    assert min(moved.values()) > 0 and {key[0] for key in moved} == {"g", "d"}, moved
    assert abs(lines[-1]["d_real"] - lines[-1]["d_fake"]) < abs(lines[0]["d_real"] - lines[0]["d_fake"]), "G follows"


def test_small_runs_take_a_penalty() -> None:
    """The shared small configuration has dropout and batchnorm in G alone."""
    assert small("penalty.name=r1").penalty.name == "r1"
    assert json.loads(json.dumps(small("penalty.name=r1").to_dict()))["penalty"]["name"] == "r1"
