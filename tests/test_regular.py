"""Augmentation, consistency, feature matching, two learning rates: what they do to a step, worked out in other ways.

Tests that seeding.py plants bugs under are plain functions; that of cases take one by name.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_steps import KINDS, sgd_distance
from runs import assert_same, run, state
from test_wiring import MODEL, SHAPE, _assert_slope, batch, make, ops, ready, weights_squared, z

from minigan import config, rng
from minigan.errors import ConfigError
from minigan.losses import FeatureLoss, make_loss
from minigan.models.augment import AUGMENTATIONS, Augment
from minigan.models.taps import forward_taps
from minigan.tasks.gan import GAN

MOVES = ("flip", "translation", "cutout")
CASES = {**{name: (name,) for name in AUGMENTATIONS}, "all": tuple(AUGMENTATIONS)}


def drawn(names: tuple[str, ...], shape: tuple[int, ...], n: int, span: float = 2.0) -> tuple[Augment, list[Any]]:
    T = Augment(names, shape, span)
    return T, T.draw(rng.host(0, "test/moves"), n, np.float64)


# --------------------------------------------------------------------------------------------------------- augmentation


@pytest.mark.parametrize("case", CASES)
def test_backward_is_adjoint(case: str) -> None:
    shape = (8, 6, 3)
    T, arrays = drawn(CASES[case], shape, 20)
    g = np.random.default_rng(1)
    x, dy = g.standard_normal((2, 20, *shape))
    moved = T.forward(ops, x, arrays) - T.forward(ops, np.zeros_like(x), arrays)
    assert not np.allclose(moved, x), "T does nothing"
    assert float((moved * dy).sum()) == pytest.approx(float((x * T.backward(ops, dy, arrays)).sum()), rel=1e-12)


def test_draws_lie_where_the_paper_says() -> None:
    T, (by, back, box, brightness, saturation, contrast, mask) = drawn(
        ("translation", "cutout", "colour", "flip"), (32, 28, 3), 4000
    )
    assert T.drawn == 7 and all(a.dtype == np.int32 for a in (by, back, box, mask))
    np.testing.assert_array_equal(back, -by)
    for axis, most in enumerate((4, 4)):  # 28 / 8 = 3.5 is rounded up
        assert set(by[:, axis]) == set(range(-most, most + 1))
    assert set(box[:, 2] - box[:, 0]) == {16} and set(box[:, 3] - box[:, 1]) == {14}
    centre = box[:, :2] + [8, 7]
    assert centre.min(axis=0).tolist() == [0, 0] and centre.max(axis=0).tolist() == [32, 28]
    for values, low, high in ((brightness, -0.5, 0.5), (saturation, 0.0, 2.0), (contrast, 0.5, 1.5)):
        assert low <= values.min() < low + 0.01 and high - 0.01 < values.max() < high
    assert 0.45 < mask.mean() < 0.55
    halved = drawn(("colour",), (4, 4, 3), 50, span=1.0)[1][0]
    np.testing.assert_array_equal(2 * halved, drawn(("colour",), (4, 4, 3), 50)[1][0])


def test_each_augmentation_by_hand() -> None:
    x = np.arange(1.0, 25.0).reshape(1, 4, 3, 2)
    for name, arrays, expected in (
        ("translation", [[[1, -1]], [[-1, 1]]], np.pad(x[:, :3, 1:], ((0, 0), (1, 0), (0, 1), (0, 0)))),
        ("cutout", [[[-1, 1, 2, 3]]], np.where(np.arange(24).reshape(x.shape) // 2 % 3 * (x < 13) > 0, 0, x)),
        ("flip", [[1]], x[:, :, ::-1]),
    ):
        T = Augment((name,), (4, 3, 2), 2.0)
        np.testing.assert_array_equal(T.forward(ops, x, [np.array(a, np.int32) for a in arrays]), expected, name)
    T = Augment(("colour",), (4, 3, 2), 2.0)
    level = x.mean() + 0.25
    grey = x.mean(axis=3, keepdims=True) + 0.25
    bright, strong, hard = (np.array([a]) for a in (0.25, 2.0, 0.5))
    np.testing.assert_allclose(
        T.forward(ops, x, [bright, strong, hard]), level + 0.5 * (grey + 2 * (x + 0.25 - grey) - level), rtol=1e-12
    )


def test_what_cannot_be_augmented_is_refused() -> None:
    for names, shape, span, words in (
        (("fliip",), SHAPE, 2.0, "train.augment names 'fliip', which is unknown; did you mean 'flip'"),
        (("flip",), (2,), None, r"changes images, but the data's items are \(2,\); leave it out"),
        (("colour",), SHAPE, None, "what black and white are, but data.range is raw"),
    ):
        with pytest.raises(ConfigError, match=words):
            Augment(names, shape, span)
    with pytest.raises(ConfigError, match=r"consistency = 2\.0 needs .* give train\.augment"):
        config.load("digits", ["train.consistency=2"])


def watched(gan: GAN) -> list[np.ndarray]:
    """What D is shown from now on."""
    seen: list[np.ndarray] = []
    forward = gan.D.forward
    gan.D.forward = lambda x, *args, **more: seen.append(x) or forward(x, *args, **more)  # type: ignore[method-assign]
    return seen


def test_real_and_generated_images_are_moved_alike() -> None:
    """D sees T of what it saw before, drawn anew for each batch of each pass; both nets learn."""
    found, moves = [], []
    for keys in ({}, {"augment": MOVES}):
        gan = make("relativistic", n_critic=2, **keys)
        seen = watched(gan)
        gan.opt_d.step = gan.opt_g.step = lambda *_: None  # type: ignore[method-assign]
        gan.step([batch(1), batch(2)], 0)
        found.append(seen)
    for tick in range(3):
        g = rng.host(gan.config.train.seed, "augment", tick)
        pair = [gan.augment.draw(g, 8, np.float64) for _ in range(2)]
        moves += pair if tick < 2 else pair[::-1]  # G's step shows its own batch first
    assert len(moves) == len(found[0]) == 6
    for plain, moved, arrays in zip(*found, moves, strict=True):
        np.testing.assert_array_equal(moved, gan.augment.forward(ops, plain, arrays))
    assert len({b"".join(a.tobytes() for a in arrays) for arrays in moves}) == 6
    gan = make(augment=MOVES)
    before = {name: net.p.copy() for name, net in gan.nets.items()}
    gan.step([batch()], 0)
    assert not gan.bad() and all(not np.array_equal(gan.nets[name].p, p) for name, p in before.items())


def test_g_gradient_goes_back_through_t() -> None:
    gan, packed = ready(make(augment=MOVES)), 8
    moves = gan.moves(0, packed)
    gan.g_step(z(), update=False, moves=moves)

    def loss() -> float:
        shown = gan.augment.forward(ops, gan.G.forward(z(), "frozen")[0], moves[1])
        return float(gan.loss.generator(ops, gan.D.forward(shown, "frozen")[0])[0]) + 0.01 * weights_squared(gan.G)

    _assert_slope(gan.G, loss)


def test_r1_goes_by_the_augmented_image() -> None:
    keys = ["train.dtype=float64", 'train.augment=["translation", "cutout"]', "penalty.name=r1", "model.dropout=0"]
    words = config.load("digits", keys)
    gan = ready(GAN(words, ops, SHAPE))
    real, noise = batch(), rng.host(0, "test/z").standard_normal((8, words.model.z))
    moves = gan.moves(0, 8)
    record = gan.d_step(real, noise, update=False, drawn=gan.penalty_inputs(real), moves=moves)
    y, ctx = gan.D.forward(gan.augment.forward(ops, real, moves[0]))
    g = gan.D.backward(np.ones_like(y), ctx, need_dw=False)
    assert float(record["critic_grad_norm"]) == pytest.approx(np.sqrt((g**2).sum(axis=(1, 2, 3))).mean(), rel=1e-12)
    assert float(record["loss_d"]) > 0


def test_a_run_that_augments_resumes_bit_for_bit(tmp_path: Path) -> None:
    keys = ('train.augment=["translation", "cutout", "colour", "flip"]', "train.n_critic=1")
    whole = run(tmp_path / "whole", *keys, "train.steps=6")
    out = run(tmp_path / "run", *keys, "train.steps=3")
    run(out, *keys, "train.steps=6", resume=True)
    assert_same(state(out), state(whole))


@pytest.mark.parametrize("kind", ["augmented", "consistency", "features"])
def test_cpp_takes_the_oracles_steps(kind: str) -> None:
    cpp = pytest.importorskip("minigan.backends.cpp")
    small = ("train.batch_size=12", "model.widths_g=[6, 4]", "model.strides_g=[2, 2]", "model.widths_d=[4, 6]")
    assert sgd_distance(cpp, ops, (*DCGAN_KEYS, *small, *KINDS[kind])) <= 1e-5


DCGAN_KEYS = ("model.family=dcgan", "model.act_d=leaky_relu", "model.kernel=3", "loss.name=non-saturating")


# ---------------------------------------------------------------------------------------------------------- consistency


def test_consistency_by_hand() -> None:
    """C is in D's gradient, once for each batch; the loss that is logged, and G's step, are of images as they are."""
    gan, plain = (ready(make(**keys)) for keys in ({"augment": MOVES, "consistency": 3.0}, {}))
    moves = gan.moves(0, 8)
    records = [each.d_step(batch(), z(), update=False, **more) for each, more in ((gan, {"moves": moves}), (plain, {}))]
    x = batch(), gan.G.forward(z(), "frozen")[0]

    def consistency() -> float:
        total = 0.0
        for call, (image, arrays) in enumerate(zip(x, moves, strict=True)):
            y, _ = gan.D.forward(image, "frozen", call=call)
            seen, _ = gan.D.forward(gan.augment.forward(ops, image, arrays), "frozen", call=3 + call)
            total += 3.0 * float(((y - seen) ** 2).mean())
        return total

    assert consistency() > 0.1
    assert float(records[0]["consistency"]) == pytest.approx(consistency(), rel=1e-12)
    assert float(records[0]["loss_d"]) == float(records[1]["loss_d"])
    gan.D.dp[...] -= plain.D.dp
    _assert_slope(gan.D, consistency)
    np.testing.assert_array_equal(gan.D.state, plain.D.state)


def test_g_sees_images_as_they_are_under_consistency() -> None:
    gan = make(augment=MOVES, consistency=3.0)
    seen = watched(gan)
    gan.step([batch()], 0)
    assert len(seen) == 5, "real, generated, both moved; G's"
    np.testing.assert_array_equal(seen[0], batch())
    x_fake = gan.G.forward(gan.z("z/g", 1, 8), "frozen")[0]
    assert seen[4].shape == x_fake.shape and not any(np.array_equal(seen[4], x) for x in seen[:4])
    other = make()
    others = watched(other)
    other.opt_d.step = gan.opt_d.step = lambda *_: None  # type: ignore[method-assign]
    other.step([batch()], 0)
    np.testing.assert_array_equal(seen[4], others[2])


# ----------------------------------------------------------------------------------------------------- feature matching


def test_feature_matching_by_hand() -> None:
    fake, real = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [2.0, -2.0]])
    loss, dfake = make_loss("feature-matching").generator(ops, fake, real)  # means (2, 3) and (1, -1)
    assert float(loss) == pytest.approx(1 + 16, rel=1e-12)
    np.testing.assert_allclose(dfake, [[1.0, 4.0], [1.0, 4.0]], rtol=1e-12)
    for a, b, smoothing in ((0.3, -0.4, 0.0), (2.0, 1.5, 0.1)):
        logits = np.array([[a]]), np.array([[b]])
        ours, theirs = (
            make_loss(name, smoothing).critic(ops, *logits) for name in ("feature-matching", "non-saturating")
        )
        assert [float(v.item()) for v in ours] == [float(v.item()) for v in theirs]


def test_g_matches_features_of_the_layer_that_is_named() -> None:
    for layer, end, convolutions in ((1, 1, ["d.0"]), (-1, 5, ["d.0", "d.3"])):
        gan = ready(GAN(words_of(layer), ops, SHAPE))
        features = [
            forward_taps(gan.D, x, [end], "frozen", i)[0][0]
            for i, x in enumerate((gan.G.forward(z(), "frozen")[0], batch()))
        ]
        apart = (features[0].mean(axis=0) - features[1].mean(axis=0)).ravel()
        ran = convolved(gan)
        record = gan.g_step(z(), update=False, x_real=batch())
        assert ran == convolutions * 2, "of both batches, and what follows the layer is not run"
        assert float(record["loss_g"]) == pytest.approx(float(apart @ apart), rel=1e-12)


def convolved(gan: GAN) -> list[str]:
    """The names of D's convolutions that run from now on, in their order."""
    ran: list[str] = []
    for layer in (gan.D.layers[0], gan.D.layers[3]):
        forward = layer.forward
        layer.forward = lambda x, how, f=forward, name=layer.name: ran.append(name) or f(x, how)  # type: ignore[method-assign]
    return ran


def words_of(layer: int) -> config.Config:
    return config.Config(
        model=MODEL, loss=config.Loss("feature-matching", layer=layer), train=config.Train(dtype="float64", seed=3)
    )


def test_layers_that_cannot_be_matched_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"loss\.layer is for loss\.name feature-matching, not for hinge"):
        config.load("digits", ["loss.layer=1"])
    with pytest.raises(ConfigError, match=r"feature-matching reads node 7 of D, but its nodes are 0 to 6"):
        GAN(words_of(7), ops, SHAPE)
    for keys, words in (
        (["loss.name=feature-matching", "model.condition=acgan"], "reads inside a D that is a chain, but D is a Heads"),
        (
            ["model.condition=acgan", 'train.augment=["flip"]', "train.consistency=1"],
            "but with model.condition acgan D has",
        ),
    ):
        with pytest.raises(ConfigError, match=words):
            GAN(config.load("digits", keys), ops, SHAPE, 10)
    assert isinstance(make_loss("feature-matching", 0.1), FeatureLoss)


# -------------------------------------------------------------------------------------------- rates and decay of a step


def test_each_net_has_its_own_rate_and_decay() -> None:
    """Two time scales (TTUR, arXiv:1706.08500): doubling D's rate doubles D's step, and leaves G's as it was."""
    moved = {}
    for name, d_keys in (("one", {}), ("two", {"lr": 0.02}), ("decayed", {"weight_decay": 0.5})):
        sgd = {"rule": "sgd", "lr": 0.01, "l2": 0.0}
        gan = ready(make(g=sgd, d=sgd | d_keys))
        before = {key: net.p.copy() for key, net in gan.nets.items()}
        gan.d_step(batch(), z())
        moved[name] = {"d": gan.D.p - before["d"]}
        gan.D.p[...] = before["d"]
        gan.g_step(z())
        moved[name]["g"] = gan.G.p - before["g"]
    np.testing.assert_allclose(moved["two"]["d"], 2 * moved["one"]["d"], rtol=1e-9, atol=1e-15)
    decay = np.zeros_like(before["d"])
    weights = gan.D.layout.segments["decay"]
    decay[weights] = 0.01 * 0.5 * before["d"][weights]
    np.testing.assert_allclose(moved["decayed"]["d"], moved["one"]["d"] - decay, rtol=1e-9, atol=1e-15)
    for name in ("two", "decayed"):
        np.testing.assert_array_equal(moved[name]["g"], moved["one"]["g"])
