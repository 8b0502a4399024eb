"""Spectral normalisation of D's weights: sigma against numpy.linalg.svd, its state, and what a step may touch.

Gradients are rows of gradcheck: spectral.*, step.spectral.*, penalty.*.spectral.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import assert_same, run, state

from minigan import config, rng
from minigan.backends import load
from minigan.backends.clock import HOST_WORDS
from minigan.errors import ConfigError
from minigan.models.layers import Conv2d, ConvTranspose2d, Embedding, Linear, Reshape
from minigan.models.net import Net
from minigan.models.spectral import Spectral
from minigan.models.trees import Chain
from minigan.tasks.gan import GAN

ops = load("numpy")
SHAPE = (8, 8, 1)


def net() -> Net:
    """Two convolutions and a matrix, all of them with a bias, in float64."""
    made = Net("t", Chain(Conv2d(4, 3, 2), Conv2d(5, (2, 3), 2), Reshape(-1), Linear(3)), SHAPE, spectral=True)
    made.bind(ops, 0, np.float64)
    return made


def gan(*keys: str, backend: Any = ops) -> GAN:
    """A small DCGAN with the norm."""
    sizes = ("model.z=4", "model.widths_g=[4, 3]", "model.strides_g=[2, 2]", "model.widths_d=[3, 4]", "model.kernel=3")
    words = ("model.family=dcgan", "model.norm_d=spectral", "model.dropout=0.2", "train.batch_size=6", *sizes, *keys)
    return GAN(config.load("digits", ["train.backend=numpy", *words]), backend, SHAPE)


def batch(seed: int = 0) -> np.ndarray:
    return rng.host(seed, "test/real").uniform(-1.0, 1.0, (6, *SHAPE)).astype(np.float32)


def sigma(norm: Spectral) -> float:
    return float((norm.u @ norm.w @ norm.v.T)[0, 0])


def test_sigma_is_the_largest_singular_value() -> None:
    made = net()
    for _ in range(300):
        made.normalise_weights(iterate=True)
    assert [norm.w.shape for norm in made.spectral] == [(9, 4), (24, 5), (20, 3)]
    for norm in made.spectral:
        u, s, vt = np.linalg.svd(norm.w)
        assert sigma(norm) == pytest.approx(s[0], rel=1e-9)
        assert np.linalg.svd(norm.w_eff)[1][0] == pytest.approx(1.0, rel=1e-9)
        for found, exact in ((norm.u[0], u[:, 0]), (norm.v[0], vt[0])):
            assert abs(found @ exact) == pytest.approx(1.0, rel=1e-9)


def test_sigma_grows_to_it_from_below() -> None:
    """u' W v with unit u and v is never more than the largest singular value, and each iteration brings it nearer."""
    made = net()
    found = [[sigma(norm) for norm in made.spectral]]
    for _ in range(5):
        made.normalise_weights(iterate=True)
        found.append([sigma(norm) for norm in made.spectral])
    for i, norm in enumerate(made.spectral):
        most = np.linalg.svd(norm.w)[1][0]
        values = [row[i] for row in found]
        assert 0 < values[0] < most and values == sorted(values) and values[-1] <= most * (1 + 1e-9)


def test_without_iterating_the_state_stays_and_the_weights_follow() -> None:
    made = net()
    before, eff = made.state.copy(), made.spectral[0].w_eff.copy()
    made.p[...] *= 3.0
    made.normalise_weights(iterate=False)
    np.testing.assert_array_equal(made.state, before)
    np.testing.assert_allclose(made.spectral[0].w_eff, eff, rtol=1e-9)
    made.spectral[0].w[0] *= 2.0
    made.normalise_weights(iterate=False)
    assert not np.allclose(made.spectral[0].w_eff, eff)
    made.normalise_weights(iterate=True)
    assert not np.array_equal(made.state, before)


def test_passes_read_normalised_weights_and_biases_as_they_are() -> None:
    made = net()
    x = rng.host(0, "test/x").standard_normal((3, *SHAPE))
    made.layout.views(made.p)["t.3.b"][...] = 0.25
    y, _ = made.forward(x)
    made.layout.views(made.p)["t.3.b"][...] = 0.0
    bare = Net("t", Chain(Conv2d(4, 3, 2), Conv2d(5, (2, 3), 2), Reshape(-1), Linear(3)), SHAPE)
    bare.bind(ops, 0, np.float64)
    for norm, layer in zip(made.spectral, (bare.layers[0], bare.layers[1], bare.layers[3]), strict=True):
        ops.copyto(layer.w, norm.w.reshape(norm.shape) / sigma(norm))
    np.testing.assert_allclose(y, bare.forward(x)[0] + 0.25, rtol=0, atol=1e-9)  # _EPS / sigma^2 and no more


def test_gradients_begin_at_zero_and_are_finished_once() -> None:
    made = net()
    x = rng.host(0, "test/x").standard_normal((3, *SHAPE))
    found = []
    for _ in range(2):
        made.zero_grad()
        y, ctx = made.forward(x)
        made.backward(np.ones_like(y), ctx)
        made.finish_gradients()
        found.append(made.dp.copy())
    np.testing.assert_array_equal(*found)
    for norm in made.spectral:  # w_eff does not change when w grows, so dw has no part along w
        assert abs((norm.dw * norm.w).sum()) <= 1e-9 * np.linalg.norm(norm.dw) * np.linalg.norm(norm.w)


def test_ds_step_iterates_once_and_gs_leaves_d_bitwise() -> None:
    made = gan()
    before = made.D.state.copy()
    calls = []
    for norm in made.D.spectral:
        norm.iterate = lambda norm=norm: calls.append(norm.layer.name) or Spectral.iterate(norm)  # type: ignore[method-assign]
    z = rng.host(0, "test/z").standard_normal((6, 4)).astype(np.float32)
    made.clock.array[:HOST_WORDS] = made.clock.words(0, 0, [made.opt_d, made.opt_g])
    w = made.D.p.copy()
    made.d_step(batch(), z)
    assert not np.array_equal(w, made.D.p)
    assert calls == ["d.0", "d.2", "d.5"] and not np.array_equal(before, made.D.state)
    kept = [a.copy() for a in (made.D.p, made.D.dp, made.D.state)]
    made.g_step(z)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (made.D.p, made.D.dp, made.D.state), strict=True))
    assert len(calls) == 3
    for norm in made.D.spectral:  # made anew after D's update
        np.testing.assert_allclose(norm.w_eff, norm.w / sigma(norm), rtol=1e-5)


@pytest.mark.parametrize("penalty", ["none", "wgan-gp", "r1+r2"])
def test_cpp_takes_the_oracles_steps(penalty: str) -> None:
    cpp = pytest.importorskip("minigan.backends.cpp")
    keys = (f"penalty.name={penalty}", "g.rule=sgd", "d.rule=sgd", "d.lr=0.01")
    pair = [gan(*keys, backend=backend) for backend in (ops, cpp)]
    for step in range(3):
        for made in pair:
            made.step([batch(step)], step)
    for a, b in ((pair[0].D.p, pair[1].D.p), (pair[0].D.state, pair[1].D.state)):
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(a)


def test_a_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    keys = ("model.norm_d=spectral",)
    whole = run(tmp_path / "whole", *keys, "train.steps=12")
    assert any(name.endswith(".u") for name in state(whole).tensors)
    out = run(tmp_path / "run", *keys, "train.steps=5")
    run(out, *keys, "train.steps=12", resume=True)
    assert_same(state(out), state(whole))


@pytest.mark.parametrize("layer", [ConvTranspose2d(2, 3), Embedding(3, 2)])
def test_other_weights_are_refused(layer: Any) -> None:
    shape = () if isinstance(layer, Embedding) else SHAPE
    with pytest.raises(
        ConfigError, match=rf"for Linear, Conv2d and layers of labels, but t is a {type(layer).__name__}; take another"
    ):
        Net("t", layer, shape, spectral=True)


def test_what_goes_together_with_the_norm() -> None:
    config.load("digits", ["model.norm_d=spectral", "loss.name=wasserstein"])
    with pytest.raises(ConfigError, match=r"norm_d spectral and train\.weight_clip both bound D"):
        config.load("digits", ["model.norm_d=spectral", "train.weight_clip=0.01"])
