"""The GAN step: what each half may touch, and that its gradients are those of its losses.

Every test is a plain function, so that test_seeded_bugs.py can run it against a seeded bug.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigan import config, rng
from minigan.backends import load
from minigan.backends.clock import BAD, CLIP, HOST_WORDS
from minigan.backends.proxies import Finite, NotFinite
from minigan.errors import ConfigError, ShapeError
from minigan.losses import LOSSES, make_loss
from minigan.models.layers import BatchNorm
from minigan.models.net import Net
from minigan.models.packing import pack, packed_shape, unpack
from minigan.tasks.base import DRAW
from minigan.tasks.gan import GAN

ops = load("numpy")
SHAPE = (8, 8, 1)
MODEL = config.Model(
    family="normed_dcgan:build", z=6, widths_g=(6, 5, 4), strides_g=(1, 2, 2), widths_d=(4, 5), kernel=3,
    act_g="leaky_relu", act_d="leaky_relu", output="tanh", dropout=0.3, init="he",
)  # fmt: skip


def make(loss: str = "non-saturating", smoothing: float = 0.0, g: Any = None, d: Any = None, **train: Any) -> GAN:
    """A small DCGAN in float64 with lambda ||theta||^2, batchnorm in both nets, and dropout."""
    words = config.Config(
        model=MODEL,
        loss=config.Loss(loss, smoothing),
        g=config.Optim(**({"lr": 1e-3, "l2": 0.01} | (g or {}))),
        d=config.Optim(**({"lr": 1e-3, "l2": 0.01} | (d or {}))),
        train=config.Train(**({"dtype": "float64", "batch_size": 8, "seed": 3} | train)),
    )
    return GAN(words, ops, SHAPE)


def batch(seed: int = 0, n: int = 8) -> np.ndarray:
    return rng.host(seed, "test/real").uniform(-1.0, 1.0, (n, *SHAPE))


def z(seed: int = 0, n: int = 8) -> np.ndarray:
    return rng.host(seed, "test/z").standard_normal((n, MODEL.z))


def ready(gan: GAN) -> GAN:
    """The clock set, and gradients that are not zero, as in the middle of a run."""
    ops.copyto(gan.clock.array[:HOST_WORDS], gan.clock.words(0, 0, [gan.opt_d, gan.opt_g]))
    gan.clock.array[CLIP : CLIP + 2] = 1.0
    for net in gan.nets.values():
        net.dp[...] = 0.5
    return gan


def snapshot(gan: GAN, name: str) -> dict[str, np.ndarray]:
    net = gan.nets[name]
    kept = {f"opt/{key}": a for key, a in gan.optimizers[name].tensors().items()}
    return {k: a.copy() for k, a in {"p": net.p, "dp": net.dp, "state": net.state, **kept}.items()}


def assert_same(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> None:
    for key, values in before.items():
        assert values.tobytes() == after[key].tobytes(), f"{key} changed"


# -------------------------------------------------------------------------------------- one half leaves the other alone


def test_d_step_leaves_g_bitwise() -> None:
    gan = ready(make())
    g, d = snapshot(gan, "g"), snapshot(gan, "d")
    gan.d_step(batch(), z())
    assert_same(g, snapshot(gan, "g"))
    after = snapshot(gan, "d")
    assert not np.array_equal(d["p"], after["p"]) and not np.array_equal(d["dp"], after["dp"])


def test_g_step_leaves_d_bitwise() -> None:
    gan = ready(make())
    g, d = snapshot(gan, "g"), snapshot(gan, "d")
    gan.g_step(z())
    assert_same(d, snapshot(gan, "d"))
    after = snapshot(gan, "g")
    assert all(not np.array_equal(g[key], after[key]) for key in ("p", "dp", "state"))
    assert gan.D.state.size and gan.G.state.size


def test_without_update_no_weight_moves() -> None:
    gan = ready(make(ema=0.9))
    before = {name: net.p.copy() for name, net in gan.nets.items()}
    gan.d_step(batch(), z(), update=False)
    gan.g_step(z(), update=False)
    for name, p in before.items():
        np.testing.assert_array_equal(gan.nets[name].p, p)


# -------------------------------------------------------------------------- gradients: by differences of the whole loss


def slope(net: Net, loss: Callable[[], float], eps: float = 1e-5) -> tuple[float, float]:
    """(how the loss really changes along a random direction of all weights, what the gradient says)."""
    start, direction = net.p.copy(), np.zeros_like(net.p)
    g = np.random.default_rng(11)
    for view in net.layout.views(direction).values():
        view[...] = g.standard_normal(view.shape)
    direction /= np.sqrt((direction**2).sum())
    net.p[...] = start + eps * direction
    up = loss()
    net.p[...] = start - eps * direction
    down = loss()
    net.p[...] = start
    return (up - down) / (2 * eps), float((net.dp * direction).sum())


def _assert_slope(net: Net, loss: Callable[[], float]) -> None:
    numeric, analytic = slope(net, loss)
    assert abs(numeric - analytic) <= 1e-6 * max(abs(numeric), 1e-2), f"differences {numeric}, gradient {analytic}"


def test_g_gradient_is_that_of_its_loss_through_d() -> None:
    for name in LOSSES:
        gan = ready(make(name))
        gan.g_step(z(), update=False, x_real=batch())

        def loss(gan: GAN = gan) -> float:
            x_fake, _ = gan.G.forward(z(), "frozen")
            fake, _ = gan._judged(x_fake, None)
            real = [gan._judged(batch(), None, 1)[0]] if gan.pairs else []
            return float(gan.loss.generator(ops, fake, *real)[0]) + 0.01 * weights_squared(gan.G)

        _assert_slope(gan.G, loss)


def test_d_gradient_is_that_of_its_loss() -> None:
    for name in LOSSES:
        gan = ready(make(name, smoothing=0.1 if LOSSES[name].smooths else 0.0))
        gan.d_step(batch(), z(), update=False)

        def loss(gan: GAN = gan) -> float:
            x_fake, _ = gan.G.forward(z(), "frozen")
            real, _ = gan.D.forward(batch(), "frozen", call=0)
            fake, _ = gan.D.forward(x_fake, "frozen", call=1)
            return float(gan.loss.critic(ops, real, fake)[0]) + 0.01 * weights_squared(gan.D)

        _assert_slope(gan.D, loss)


def weights_squared(net: Net) -> float:
    return sum(float((a**2).sum()) for name, a in net.layout.views(net.p).items() if name.endswith(".w"))


def test_the_recorded_losses_are_those_of_the_pass() -> None:
    gan = ready(make("hinge"))
    x_fake, _ = gan.G.forward(z(), "frozen")
    real, _ = gan.D.forward(batch(), call=0)
    fake, _ = gan.D.forward(x_fake, call=1)
    expected = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean() + 0.01 * weights_squared(gan.D)
    record = gan.d_step(batch(), z(), update=False)
    assert float(record["loss_d"]) == pytest.approx(expected, rel=1e-12)
    assert float(record["d_real"]) == pytest.approx(real.mean(), rel=1e-12)
    assert float(record["d_fake"]) == pytest.approx(fake.mean(), rel=1e-12)
    assert float(record["grad_norm2_d"]) == pytest.approx(float((gan.D.dp**2).sum()), rel=1e-12)
    fake, _ = gan.D.forward(x_fake)
    record = gan.g_step(z(), update=False)
    assert float(record["loss_g"]) == pytest.approx(-fake.mean() + 0.01 * weights_squared(gan.G), rel=1e-12)
    assert float(record["grad_norm2_g"]) == pytest.approx(float((gan.G.dp**2).sum()), rel=1e-12)


def test_real_and_fake_gradients_of_d_accumulate() -> None:
    """The D step's gradient is the sum of the two passes' gradients, each taken alone from zero."""
    gan = ready(make(d={"l2": 0.0}))
    gan.d_step(batch(), z(), update=False)
    both = gan.D.dp.copy()
    x_fake, _ = gan.G.forward(z(), "frozen")
    parts = []
    for x, call, term in ((batch(), 0, gan.loss.real), (x_fake, 1, gan.loss.fake)):
        y, ctx = gan.D.forward(x, call=call)
        gan.D.zero_grad()
        gan.D.backward(ops.logit_loss(y, *term)[1], ctx, need_dx=False)
        assert np.abs(gan.D.dp).max() > 1e-3
        parts.append(gan.D.dp.copy())
    np.testing.assert_allclose(both, parts[0] + parts[1], rtol=1e-12, atol=1e-15)


def test_batchnorm_backward_matches_its_forward_in_every_mode() -> None:
    for mode in ("batch", "frozen", "running"):
        gan = ready(make())
        for view in gan.G.state_layout.views(gan.G.state).values():
            view += np.linspace(0.1, 0.9, view.size)
        dy = batch()
        _, ctx = gan.G.forward(z(), mode)
        gan.G.zero_grad()
        gan.G.backward(dy, ctx, need_dx=False)
        reading = "frozen" if mode == "batch" else mode
        _assert_slope(gan.G, lambda gan=gan, dy=dy, r=reading: float((dy * gan.G.forward(z(), r)[0]).sum()))


# ---------------------------------------------------------------------------------------------------- the step's effect


def test_a_d_step_raises_d_real_minus_d_fake_and_a_g_step_raises_d_fake() -> None:
    for name in LOSSES:
        gan = ready(make(name, d={"rule": "sgd", "lr": 1e-3, "l2": 0.0}, g={"rule": "sgd", "lr": 1e-3, "l2": 0.0}))

        def verdicts(gan: GAN = gan) -> tuple[float, float]:
            x_fake, _ = gan.G.forward(z(), "frozen")
            real, _ = gan.D.forward(batch(), "frozen", call=0)
            fake, _ = gan.D.forward(x_fake, "frozen", call=1)
            fooled, _ = gan.D.forward(x_fake, "frozen")
            return float(real.mean() - fake.mean()), float(fooled.mean())

        apart, _ = verdicts()
        gan.d_step(batch(), z())
        further, fooled = verdicts()
        assert further > apart, f"{name}: D(x) - D(G(z)) went from {apart} to {further}"
        record = gan.g_step(z(), x_real=batch())
        if gan.tap is not None:  # G does not go by D's verdict, but by features
            nearer = gan.g_step(z(), update=False, x_real=batch())
            assert float(nearer["loss_g"]) < float(record["loss_g"]), name
            continue
        assert verdicts()[1] > fooled, f"{name}: D(G(z)) went from {fooled} to {verdicts()[1]}"


def test_a_step_takes_n_critic_batches_and_one_update_of_g() -> None:
    gan = make(n_critic=3)
    assert gan.batches_per_step == 3
    seen: list[tuple[str, int]] = []
    d_step, g_step = gan.d_step, gan.g_step

    def spy_d(x: np.ndarray, z: np.ndarray, *more: Any) -> Any:
        seen.append(("d", float(x[0, 0, 0, 0]), float(z[0, 0]), int(gan.clock.array[2])))
        return d_step(x, z, *more)

    def spy_g(z: np.ndarray, *more: Any) -> Any:
        seen.append(("g", 0.0, float(z[0, 0]), int(gan.clock.array[2])))
        return g_step(z, *more)

    gan.d_step, gan.g_step = spy_d, spy_g
    batches = [batch(seed) for seed in range(3)]
    record = gan.step(batches, 5)
    assert [who for who, *_ in seen] == ["d", "d", "d", "g"]
    assert [x for _, x, *_ in seen[:3]] == [float(b[0, 0, 0, 0]) for b in batches]
    assert len({first for *_, first, _ in seen}) == 4, "every pass draws its own z"
    assert [tick for *_, tick in seen] == [20, 21, 22, 23], "no two sub-steps share a tick"
    assert (gan.opt_d.count, gan.opt_g.count) == (3, 1)
    assert set(record) == {"loss_d", "d_real", "d_fake", "grad_norm2_d", "loss_g", "grad_norm2_g"}


def test_a_shared_batch_is_made_once_and_gives_the_gradients_of_a_batch_made_again() -> None:
    shared, apart = make(share_fake=True, n_critic=2), make(n_critic=2)
    batches, passes = [batch(1), batch(2)], []
    forward = shared.G.forward
    shared.G.forward = lambda z, mode="batch", **more: passes.append((z, mode)) or forward(z, mode, **more)  # type: ignore
    draws = apart.z
    # the other GAN draws anew in G's step, but is given the z of its last D step
    apart.z = lambda stream, tick, n: draws("z/d", tick - (stream == "z/g"), n)  # type: ignore[method-assign]
    records = [gan.step(batches, 4) for gan in (shared, apart)]
    assert [mode for _, mode in passes] == ["frozen", "batch"], "one pass of G per D step, none of its own for G's"
    assert records[0].keys() == records[1].keys()
    for name, gan in (("g", shared), ("d", shared)):
        assert_same(snapshot(gan, name), snapshot(apart, name))


def test_a_shared_batch_needs_a_generator_without_dropout() -> None:
    model = dataclasses.replace(MODEL, family="normed_dcgan:build_with_dropout_in_g")
    for share in (False, True):
        words = config.Config(model=model, train=config.Train(share_fake=share))
        with pytest.raises(ConfigError, match=r"share_fake.*dropout") if share else contextlib.nullcontext():
            GAN(words, ops, SHAPE)


def test_a_step_is_a_function_of_the_seed() -> None:
    def after(seed: int) -> np.ndarray:
        gan = make(seed=seed)
        for step in range(2):
            gan.step([batch(step)], step)
        return np.concatenate([gan.G.p, gan.D.p])

    np.testing.assert_array_equal(after(3), after(3))
    assert not np.array_equal(after(3), after(4))


def test_weight_clip_bounds_d_alone() -> None:
    gan = make("wasserstein", weight_clip=0.05, g={"l2": 0.0}, d={"l2": 0.0})
    g, d = gan.G.p.copy(), gan.D.p.copy()
    assert np.abs(d).max() > 0.1 and np.abs(g).max() > 0.1
    gan.step([batch()], 0)
    assert np.abs(gan.D.p).max() == 0.05
    assert np.abs(gan.G.p).max() > 0.1


def test_gradient_norm_clipping_shortens_the_step() -> None:
    sgd = {"rule": "sgd", "lr": 1.0, "l2": 0.0}
    gan = ready(make(d=sgd | {"clip_norm": 1e-3}, g=sgd | {"clip_norm": 2e-3}))
    for name, limit, step in (("d", 1e-3, lambda: gan.d_step(batch(), z())), ("g", 2e-3, lambda: gan.g_step(z()))):
        before = gan.nets[name].p.copy()
        record = step()
        assert float(record[f"grad_norm2_{name}"]) > limit**2, "logged before clipping"
        moved = float(np.sqrt(((gan.nets[name].p - before) ** 2).sum()))
        assert moved == pytest.approx(limit, rel=1e-9), name


def test_ema_follows_g() -> None:
    gan = make(ema=0.75)
    gan.opt_g.count = 1000  # past the warm-up
    before = {k: a.copy() for k, a in gan.nets["ema"].tensors().items()}
    gan.step([batch()], 0)
    for key, now in gan.G.tensors().items():
        key = key.replace("g.", "ema.", 1) if f"ema.{key[2:]}" in before else key
        expected = 0.75 * before[key] + 0.25 * now
        np.testing.assert_allclose(gan.nets["ema"].tensors()[key], expected, rtol=1e-12, err_msg=key)
    assert not np.array_equal(gan.nets["ema"].state, gan.G.state)


def test_samples_do_not_depend_on_how_many_are_drawn() -> None:
    gan = make(ema=0.5)
    gan.step([batch()], 0)
    many = gan.samples(z(n=DRAW + 5), "g")
    assert many.shape == (DRAW + 5, *SHAPE)
    for n in (1, 7, DRAW):
        np.testing.assert_array_equal(gan.samples(z(n=n), "g"), many[:n])
    assert not np.array_equal(gan.samples(z(n=2), "ema"), many[:2])
    state = gan.G.state.copy()
    gan.samples(z(n=2), "g")
    np.testing.assert_array_equal(gan.G.state, state)


def test_statistics_move_in_the_g_step_alone() -> None:
    gan = ready(make())
    norms = [layer for layer in gan.G.layers if isinstance(layer, BatchNorm)]
    assert len(norms) == 3
    start = [norm.mean.copy() for norm in norms]
    gan.d_step(batch(), z())
    assert all(np.array_equal(a, n.mean) for a, n in zip(start, norms, strict=True))
    gan.g_step(z())
    assert all(not np.array_equal(a, n.mean) for a, n in zip(start, norms, strict=True))


# -------------------------------------------------------------------------------------------------------------- dropout


def dropout_streams(gan: GAN, run: Callable[[], object]) -> list[tuple[str, int, int]]:
    """(op, stream, tick) of every dropout call."""
    seen = []

    class Spy:
        def __getattr__(self, key: str) -> Any:
            op = getattr(ops, key)
            if not key.startswith("dropout"):
                return op

            def noted(x: np.ndarray, rate: float, clock: np.ndarray, offset: int) -> np.ndarray:
                seen.append((key, offset, int(clock[2])))
                return op(x, rate, clock, offset)

            return noted

    gan.D.use(Spy())
    run()
    gan.D.use(ops)
    return seen


def test_dropout_draws_anew_in_every_pass_and_step_and_the_same_in_its_backward() -> None:
    gan = make()
    seen = dropout_streams(gan, lambda: [gan.step([batch(step)], step) for step in range(2)])
    forward = [(stream, tick) for key, stream, tick in seen if key == "dropout"]
    backward = [(stream, tick) for key, stream, tick in seen if key == "dropout_backward"]
    assert len(forward) == 2 * 2 * 3, "two layers, in the real, the fake and G's pass, in two steps"
    assert len(set(forward)) == len(forward), "no two passes share a mask"
    assert sorted(forward) == sorted(backward), "every backward draws the mask of its forward"


# ---------------------------------------------------------------------------------------------------------- loss values


def _softplus(x: float) -> float:
    return math.log1p(math.exp(x))


# loss: (critic, generator) at real logit a and fake logit b, smoothing s; on pairs the generator reads a too
VALUES: dict[str, tuple[Callable[..., float], Callable[..., float]]] = {
    "minimax": (
        lambda a, b, s: (1 - s) * _softplus(-a) + s * _softplus(a) + _softplus(b),
        lambda b: math.log(1 - 1 / (1 + math.exp(-b))),
    ),
    "non-saturating": (
        lambda a, b, s: (1 - s) * _softplus(-a) + s * _softplus(a) + _softplus(b),
        lambda b: -math.log(1 / (1 + math.exp(-b))),
    ),
    "least-squares": (lambda a, b, s: (a - 1) ** 2 + b**2, lambda b: (b - 1) ** 2),
    "hinge": (lambda a, b, s: max(0, 1 - a) + max(0, 1 + b), lambda b: -b),
    "wasserstein": (lambda a, b, s: b - a, lambda b: -b),
    "relativistic": (lambda a, b, s: _softplus(b - a), lambda b, a: _softplus(a - b)),
    "feature-matching": (
        lambda a, b, s: (1 - s) * _softplus(-a) + s * _softplus(a) + _softplus(b),
        lambda b, a: (b - a) ** 2,  # of features, which here are logits
    ),
}


def test_loss_values_and_slopes_by_hand() -> None:
    assert set(VALUES) == set(LOSSES)
    for name, (critic, generator) in VALUES.items():
        for smoothing in (0.0, 0.1) if LOSSES[name].smooths else (0.0,):
            loss = make_loss(name, smoothing)
            for a, b in ((0.3, -0.4), (2.0, 1.5), (-1.7, -2.5)):
                real, fake = np.array([[a], [a]]), np.array([[b], [b]])
                value, dreal, dfake = loss.critic(ops, real, fake)
                where = f"{name}, smoothing {smoothing}, logits {a} and {b}"
                assert float(value) == pytest.approx(critic(a, b, smoothing), rel=1e-12), where
                e = 1e-6
                by_a = (critic(a + e, b, smoothing) - critic(a - e, b, smoothing)) / (2 * e)
                by_b = (critic(a, b + e, smoothing) - critic(a, b - e, smoothing)) / (2 * e)
                np.testing.assert_allclose(dreal, by_a / 2, rtol=1e-7, atol=1e-9, err_msg=where)
                np.testing.assert_allclose(dfake, by_b / 2, rtol=1e-7, atol=1e-9, err_msg=where)
                value, dfake = loss.generator(ops, fake, *[real][: loss.pairs])
                more = [a][: loss.pairs]
                assert float(value) == pytest.approx(generator(b, *more), rel=1e-12), where
                by_b = (generator(b + e, *more) - generator(b - e, *more)) / (2 * e)
                np.testing.assert_allclose(dfake, by_b / 2, rtol=1e-7, atol=1e-9, err_msg=where)


def test_a_loss_on_pairs_shows_d_the_last_real_batch_in_gs_step() -> None:
    gan, passes = make("relativistic", n_critic=2), []
    forward = gan.D.forward
    gan.D.forward = lambda x, mode="batch", call=0, **more: (
        passes.append((x, mode, call)) or forward(x, mode, call, **more)
    )  # type: ignore
    d = {name: a.copy() for name, a in gan.D.state_layout.views(gan.D.state).items()}
    batches = [batch(1), batch(2)]
    record = gan.step(batches, 0)
    assert [(mode, call) for _, mode, call in passes[4:]] == [("frozen", 0), ("frozen", 1)], "two dropout masks"
    np.testing.assert_array_equal(passes[5][0], batches[1])
    assert not gan.bad() and float(record["loss_g"]) > 0
    assert any(not np.array_equal(a, gan.D.state_layout.views(gan.D.state)[name]) for name, a in d.items())


def test_a_pair_is_held_against_its_own_partner() -> None:
    loss = make_loss("relativistic")
    real, fake = np.array([[1.0], [-2.0]]), np.array([[0.5], [3.0]])
    value, dreal, dfake = loss.critic(ops, real, fake)
    assert float(value) == pytest.approx((_softplus(-0.5) + _softplus(5.0)) / 2, rel=1e-12)
    np.testing.assert_array_equal(dreal, -dfake)
    value, dfake = loss.generator(ops, fake, real)
    assert float(value) == pytest.approx((_softplus(0.5) + _softplus(-5.0)) / 2, rel=1e-12)


def test_smoothing_is_one_sided_and_for_probabilities() -> None:
    loss = make_loss("non-saturating", 0.1)
    assert (loss.real.target, loss.fake.target, loss.generator_term.target) == (0.9, 0.0, 1.0)
    with pytest.raises(ConfigError, match=r"loss\.smoothing 0\.1 is for losses on probabilities, not for hinge"):
        make_loss("hinge", 0.1)
    with pytest.raises(ConfigError, match=r"loss\.smoothing 0\.1 .* not for relativistic; leave it out"):
        make_loss("relativistic", 0.1)
    with pytest.raises(ConfigError, match=r"loss.name 'hinges' is unknown; did you mean 'hinge'\?"):
        make_loss("hinges")


# ------------------------------------------------------------------------------------------------------- instance noise


def test_instance_noise_blurs_all_that_d_sees_and_fades() -> None:
    noises = []
    for step in (0, 50, 99):
        plain, noisy = (make("relativistic", n_critic=2, **keys) for keys in ({}, NOISE))
        found = []
        for gan in (plain, noisy):
            seen: list[np.ndarray] = []
            forward = gan.D.forward
            gan.D.forward = lambda x, *how, seen=seen, f=forward, **more: seen.append(x) or f(x, *how, **more)  # type: ignore
            gan.opt_d.step = gan.opt_g.step = lambda *_: None  # type: ignore[method-assign]
            gan.step([batch(1), batch(2)], step)
            found.append(seen)
        assert [len(seen) for seen in found] == [6, 6], "real, fake; real, fake; fake, real"
        noises.append([b - a for a, b in zip(*found, strict=True)])
        size = 0.3 * (1 - step / 100)
        for noise in noises[-1]:
            assert np.std(noise) == pytest.approx(size, rel=0.15) and abs(np.mean(noise)) < 0.2 * size
    drawn = [noise.round(6).tobytes() for each in noises for noise in each]  # but for the rounding of x + noise
    assert len(set(drawn)) == len(drawn), "no two passes share their noise"
    gan = make(**NOISE)
    assert gan._noisy(batch(), 100, 200)[1] == [] and np.array_equal(gan._noisy(batch(), 100, 200)[0], batch())


NOISE = {"instance_noise": 0.3, "noise_steps": 100}


def test_gradients_under_noise_are_those_of_the_loss_at_the_noisy_images() -> None:
    gan, noise = ready(make()), batch(9)
    gan.g_step(z(), update=False, noise=noise)

    def loss() -> float:
        fake, _ = gan.D.forward(gan.G.forward(z(), "frozen")[0] + noise, "frozen")
        return float(gan.loss.generator(ops, fake)[0]) + 0.01 * weights_squared(gan.G)

    _assert_slope(gan.G, loss)


def test_instance_noise_needs_an_end() -> None:
    for keys in (["train.instance_noise=0.1"], ["train.noise_steps=10"]):
        with pytest.raises(ConfigError, match="go together"):
            config.load("digits", keys)


# -------------------------------------------------------------------------------------------------------------- packing


def test_packs_are_joined_along_the_channels() -> None:
    for m in (1, 2, 3):
        for shape in ((2,), (3, 2, 2)):
            x = rng.host(0, "test/pack").standard_normal((2 * m, *shape))
            y = pack(ops, x, m)
            assert y.shape == (2, *packed_shape(shape, m))
            np.testing.assert_array_equal(y, np.concatenate([x[2 * i : 2 * i + 2] for i in range(m)], axis=-1))
            np.testing.assert_array_equal(unpack(ops, y, m), x)
    with pytest.raises(ShapeError, match="a batch of 5 samples cannot be packed by 2; give a multiple of 2"):
        pack(ops, np.zeros((5, 2)), 2)
    with pytest.raises(ConfigError, match=r"batch_size = 63 cannot be packed by model\.packing = 2; .* as 62"):
        config.load("digits", ["train.batch_size=63", "model.packing=2"])


def test_a_packed_d_reads_more_and_g_is_the_same() -> None:
    plain, packed = (make_gan(packing=m) for m in (1, 3))
    assert (plain.D.in_shape, packed.D.in_shape) == (SHAPE, (8, 8, 3))
    np.testing.assert_array_equal(plain.G.p, packed.G.p)
    shapes = []
    forward = packed.D.forward
    packed.D.forward = lambda x, *args, **more: shapes.append(x.shape) or forward(x, *args, **more)  # type: ignore[method-assign]
    packed.step([batch(n=6)], 0)
    assert not packed.bad() and shapes == [(2, 8, 8, 3)] * 3


def test_a_toy_d_judges_pairs_of_points() -> None:
    words = config.load("pac2-ring8", ["train.dtype=float64", "model.widths_d=[8, 8]", "model.widths_g=[8, 8]"])
    gan = ready(GAN(words, ops, (2,)))
    x, noise = (rng.host(0, f"test/{name}").standard_normal((6, 2)) for name in ("toy", "toy z"))
    fakes, _ = gan.G.forward(noise, "frozen")
    real, fake = (gan.D.forward(np.hstack([a[:3], a[3:]]), call=i)[0] for i, a in enumerate((x, fakes)))
    record = gan.d_step(x, noise, update=False)
    assert real.shape == (3, 1) and float(record["loss_d"]) == pytest.approx(
        float(gan.loss.critic(ops, real, fake)[0]), rel=1e-12
    )
    before = gan.G.p.copy()
    gan.step([x], 0)
    assert not gan.bad() and not np.array_equal(gan.G.p, before)


def make_gan(**model: Any) -> GAN:
    """As `make`, with other keys of the model."""
    words = config.Config(model=dataclasses.replace(MODEL, **model), train=config.Train(dtype="float64", seed=3))
    return GAN(words, ops, SHAPE)


# ------------------------------------------------------------------------------------------------------------ NaN guard


def everything(gan: GAN) -> dict[str, np.ndarray]:
    """Weights and optimizer slabs, of which NaN must stay out."""
    slabs = {f"{n}/{k}": a for n, o in gan.optimizers.items() for k, a in o.tensors().items()}
    return {k: a.copy() for k, a in {**{n: net.p for n, net in gan.nets.items()}, **slabs}.items()}


def spoiled(at: float = np.nan) -> np.ndarray:
    x = batch()
    x[3, 4, 4, 0] = at
    return x


def test_nan_in_a_batch_never_reaches_the_weights() -> None:
    for value in (np.nan, np.inf):
        gan = make(n_critic=2, ema=0.9)
        gan.step([batch(1), batch(2)], 0)
        assert not gan.bad()
        before = everything(gan)
        with np.errstate(all="ignore"):
            gan.step([spoiled(value), batch(4)], 1)
        assert gan.bad() and gan.clock.array[BAD] != 0
        assert_same(before, everything(gan))
        gan.step([batch(5), batch(6)], 2)
        assert_same(before, everything(gan))
        assert gan.bad(), "the flag stays until someone reads it"


def test_replay_names_net_layer_pass_op_and_tensor() -> None:
    gan = make()
    gan.step([batch()], 0)
    before = everything(gan)
    with pytest.raises(NotFinite, match=r"^d\.0, forward: conv2d, input 0 is not finite$"):
        gan.replay([spoiled()], 1, Finite(ops))
    assert_same(before, everything(gan))
    for name, op in (("d.3.w", "conv2d"), ("g.0.w", "linear")):
        gan = make()
        net = gan.nets[name[0]]
        net.layout.views(net.p)[name].flat[0] = np.inf
        place = rf"^{name.removesuffix('.w')}, forward: {op}, input 1 is not finite$"
        with np.errstate(all="ignore"), pytest.raises(NotFinite, match=place):
            gan.replay([batch()], 1, Finite(ops))
    clean = make()
    for sub_step in (0, 1):
        clean.failed = sub_step
        p = {name: net.p.copy() for name, net in clean.nets.items()}
        clean.replay([batch()], 1, Finite(ops))
        assert not clean.bad()
        assert all(np.array_equal(net.p, p[name]) for name, net in clean.nets.items())


class Broken:
    """The oracle, but for one op, which makes a NaN of images."""

    def __init__(self, key: str, argument: int | None):
        self.key, self.argument, self.times = key, argument, 0

    def __getattr__(self, key: str) -> Any:
        op = getattr(ops, key)

        def broken(*args: Any) -> Any:
            out = op(*args)
            if args[0].ndim == 4:
                self.times += 1
                (out if self.argument is None else args[self.argument]).flat[0] = np.nan
            return out

        return broken if key == self.key else op


def test_replay_names_the_backward_pass_and_what_it_wrote() -> None:
    places = {
        "activation_backward": (None, "d.3, backward: activation_backward, output 0"),
        "conv2d_wgrad": (2, "d.3, backward: conv2d_wgrad, input 2"),
    }
    for key, (argument, place) in places.items():
        broken = Broken(key, argument)
        with pytest.raises(NotFinite, match=f"^{place} is not finite$"):
            make().replay([batch()], 1, Finite(broken))
        assert broken.times == 1, "the first NaN is the one that is named"


def test_the_clip_word_is_written_by_the_guard() -> None:
    gan = make()
    assert gan.clock.array[CLIP] == gan.clock.array[CLIP + 1] == 0
    gan.step([batch()], 0)
    assert gan.clock.array[CLIP] == gan.clock.array[CLIP + 1] == 1


def test_restore_puts_everything_back() -> None:
    gan = make(ema=0.9)
    gan.step([batch()], 0)
    tensors = {k: a.copy() for k, a in gan.tensors().items()}
    tensors_of_g = gan.G.p.copy()
    other = make(ema=0.9)
    other.G.p[...] = 7.0
    other.G.state[...] = 7.0
    other.restore(tensors, gan.counters())
    assert other.counters() == {"d": 1, "g": 1}
    for one in (gan, other):
        one.step([batch(1)], 1)
    assert not np.array_equal(gan.G.p, tensors_of_g)
    for key, values in gan.tensors().items():
        np.testing.assert_array_equal(other.tensors()[key], values, err_msg=key)
