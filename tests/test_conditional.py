"""Conditional GANs: layers that are told labels, what a step is told, runs whose samples have a class.

What a seeded bug is held against (bugs_condition.py) is a plain function without fixtures.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gan_steps
import numpy as np
import pytest
from runs import assert_same, run, small, state
from test_layers import bound, numbers

from minigan import config as configs
from minigan.backends import load
from minigan.errors import BackendError, ConfigError, ShapeError
from minigan.models.layers import BatchNorm, ConcatLabel, ConditionalBatchNorm, Linear, Projection
from minigan.models.layers.label import folded, tiled
from minigan.models.shapes import Act
from minigan.models.trees import Chain, Heads, Residual, leaves, mapped
from minigan.tasks import make_task
from minigan.tasks.gan import GAN
from minigan.training import export, pictures, to_onnx
from minigan.training import run as runs
from minigan.training.parts import prepare
from minigan.training.trainer import train

ops = load("numpy")
SHAPE, CLASSES, N = (8, 8, 1), 3, 12
LABELS = np.array([0, 1, 2, 1] * 3, np.int32)

# kinds of conditional GANs that between them have every way of telling, every loss on heads and every penalty's points
KINDS: dict[str, tuple[str, ...]] = {
    "embedding": ("model.condition=embedding", "penalty.name=wgan-gp"),
    "points": ("model.condition=embedding", "model.family=mlp", "penalty.name=dragan"),
    "projection": ("model.condition=projection", "model.condition_g=batchnorm", "model.norm_d=spectral"),
    "acgan": ("model.condition=acgan", "train.share_fake=true", "loss.name=non-saturating", "loss.smoothing=0.1"),
    "acgan on pairs": ("model.condition=acgan", "loss.name=relativistic", "penalty.name=r1+r2", "train.n_critic=2"),
    "infogan": ("model.condition=infogan", "model.condition_g=batchnorm", "train.instance_noise=0.1",
                "train.noise_steps=9"),
    "infogan, shared": ("model.condition=infogan", "train.share_fake=true", "train.n_critic=2", "model.codes=1"),
    "infogan, labels alone": ("model.condition=infogan", "model.codes=0", "model.code_classes=4"),
}  # fmt: skip


def make(kind: str, *more: str, classes: int = CLASSES) -> GAN:
    words = ("model.dropout=0", "train.n_critic=1", "g.schedule=constant", "train.dtype=float64", *KINDS[kind], *more)
    gan = make_task(small("train.batch_size=12", "model.label_features=2", *words), ops, SHAPE, classes)
    assert isinstance(gan, GAN)
    return gan


def batches(gan: GAN, step: int = 0) -> dict[str, Any]:
    x = np.random.default_rng(step).uniform(-1, 1, (gan.batches_per_step, N, *SHAPE))
    return {"batches": list(x), "labels": [LABELS] * len(x) if gan.labelled else [], "step": step}


# --------------------------------------------------------------------------------------------------------------- layers


def test_tiled_is_tile_and_folded_its_adjoint() -> None:
    v = numbers(3, 2)
    for m in range(1, 12):
        y = tiled(ops, v, m)
        np.testing.assert_array_equal(y, np.tile(v, m), err_msg=str(m))
        dy = numbers(*y.shape, seed=m)
        np.testing.assert_allclose(folded(ops, dy, m), dy.reshape(3, m, 2).sum(axis=1), rtol=1e-13, err_msg=str(m))


def test_concat_label_by_hand() -> None:
    for shape, axes in (((5,), ()), ((2, 3, 4), (2, 3))):
        net = bound(ConcatLabel(CLASSES, 2), shape)
        x = numbers(4, *shape)
        y, _ = net.forward(x, labels=LABELS[:4])
        np.testing.assert_array_equal(y[..., : shape[-1]], x)
        np.testing.assert_array_equal(y[..., shape[-1] :], net.layers[0].w[LABELS[:4]].reshape(4, *axes, 2))


def test_projection_by_hand() -> None:
    net, x = bound(Projection(CLASSES), (5,)), numbers(4, 5)
    y, _ = net.forward(x, labels=LABELS[:4])
    np.testing.assert_allclose(y, (net.layers[0].w[LABELS[:4]] * x).sum(axis=1, keepdims=True), rtol=1e-13)


def test_conditional_batchnorm_with_equal_rows_is_batchnorm() -> None:
    for shape in ((5,), (3, 2, 5)):
        x, dy = numbers(4, *shape), numbers(4, *shape, seed=2)
        for mode in ("batch", "frozen", "running"):
            plain, told = bound(BatchNorm(act=Act("tanh")), shape), bound(ConditionalBatchNorm(CLASSES), shape)
            one, each = plain.layers[0], told.layers[0]
            each.act = one.act
            each.gamma[...], each.beta[...], each.mean[...], each.var[...] = one.gamma, one.beta, one.mean, one.var
            told.dp[...] = plain.dp[...] = 0
            (y, ctx), (y2, ctx2) = plain.forward(x, mode), told.forward(x, mode, labels=LABELS[:4])
            np.testing.assert_allclose(y2, y, rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(each.mean, one.mean, rtol=1e-15)
            np.testing.assert_allclose(each.var, one.var, rtol=1e-15)
            np.testing.assert_allclose(told.backward(dy, ctx2), plain.backward(dy, ctx), rtol=1e-10, atol=1e-13)
            for name in ("dgamma", "dbeta"):
                rows = getattr(each, name)
                np.testing.assert_allclose(rows.sum(axis=0), getattr(one, name), rtol=1e-11, err_msg=name)
                assert np.array_equal(np.abs(rows).max(axis=1) > 0, [True, True, True])


def test_a_class_has_its_own_rows() -> None:
    net = bound(ConditionalBatchNorm(CLASSES), (2, 2, 3))
    x = numbers(4, 2, 2, 3)
    y, ctx = net.forward(x, labels=np.array([0, 0, 2, 2], np.int32))
    layer = net.layers[0]
    h = (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + layer.eps)
    np.testing.assert_allclose(y[:2], layer.gamma[0] * h[:2] + layer.beta[0], rtol=1e-12)
    np.testing.assert_allclose(y[2:], layer.gamma[2] * h[2:] + layer.beta[2], rtol=1e-12)
    net.dp[...] = 0
    net.backward(numbers(*y.shape), ctx)
    assert not layer.dgamma[1].any() and not layer.dbeta[1].any() and layer.dgamma[0].all() and layer.dbeta[2].all()


def test_gradients_nobody_wants_are_not_written() -> None:
    for root, shape in ((ConcatLabel(3, 2), (4,)), (Projection(3), (4,)), (ConditionalBatchNorm(3), (4,))):
        net = bound(root, shape)
        y, ctx = net.forward(numbers(4, *shape), labels=LABELS[:4])
        before = net.dp.copy()
        assert net.backward(y, ctx, need_dw=False).shape == (4, *shape)
        np.testing.assert_array_equal(net.dp, before)
        assert net.backward(y, ctx, need_dx=False) is None and not np.array_equal(net.dp, before)


@pytest.mark.parametrize("root", [lambda: ConcatLabel(3, 2), lambda: Projection(3), lambda: ConditionalBatchNorm(3)])
def test_a_layer_that_is_told_nothing_says_so(root: Callable[[], Any]) -> None:
    with pytest.raises(ShapeError, match=r"t \(\w+\) is told labels; give forward\(x, labels=labels\)"):
        bound(root(), (4,)).forward(numbers(4, 4))


def test_mapped_reaches_every_layer() -> None:
    tree = Chain(
        Linear(3), Residual(Chain(BatchNorm(), Linear(3)), BatchNorm()), Heads(BatchNorm(), Linear(1), Chain())
    )
    kinds = [type(layer) for layer in leaves(mapped(tree, lambda a: Linear(7) if isinstance(a, BatchNorm) else a))]
    assert kinds == [Linear] * 6


# ----------------------------------------------------------------------------------------------------------- the step


@pytest.mark.parametrize("kind", KINDS)
def test_both_nets_move_and_neither_step_touches_the_other(kind: str) -> None:
    gan = make(kind)
    given = batches(gan)
    for sub in range(gan.parts_per_step):
        mover = "g" if sub + 1 == gan.parts_per_step else "d"
        before = {name: (net.p.copy(), net.dp.copy(), net.state.copy()) for name, net in gan.nets.items()}
        record = gan.part(given["batches"], given["labels"], 0, sub, update=True)
        gan.mover(sub).count += 1
        assert all(np.isfinite(float(value)) for value in record.values()) and not gan.bad()
        for name in "gd":
            same = [np.array_equal(a, b) for a, b in zip(before[name], (gan.nets[name].p, gan.nets[name].dp))]  # noqa: B905
            assert same == [name != mover] * 2, f"{name} in the step of {mover}"
        if mover == "d" and not gan.config.train.share_fake:  # else G's batch is made in D's part
            np.testing.assert_array_equal(before["g"][2], gan.G.state)
    for name in "gd":
        views = gan.nets[name].layout.views(gan.nets[name].dp)
        learned = [key for key in views if not key.endswith(".b")]  # on pairs D's last bias cancels
        assert len(learned) > 3 and not [key for key in learned if not views[key].any()], name


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "infogan" not in kind])
def test_a_step_goes_by_the_labels_it_is_given(kind: str) -> None:
    one, other = make(kind), make(kind)
    given = batches(one)
    one.step(**given)
    other.step(**given | {"labels": [(LABELS + 1) % CLASSES] * len(given["labels"])})
    assert not np.array_equal(one.D.p, other.D.p) and not np.array_equal(one.G.p, other.G.p)


def test_infogan_draws_what_it_tells() -> None:
    gan = make("infogan", "model.code_classes=5")
    z = gan.z("z/d", 7, 400)
    labels, u = gan.condition.told(None, z, 7)
    assert z.shape == (400, 5 + 2) and labels.dtype == np.int32 and sorted(set(labels.tolist())) == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(u, z[:, 5:])
    assert np.abs(u).max() <= 1 and np.allclose(u.var(axis=0), 1 / 3, atol=0.05)
    np.testing.assert_array_equal(gan.z("z/d", 7, 10), z[:10])
    assert not np.array_equal(gan.condition.told(None, z, 8)[0], labels)
    assert make("infogan, labels alone").z("z/d", 0, 3).shape == (3, 5)
    assert [len(make(kind).condition.told(LABELS, z, 0)) for kind in ("embedding", "infogan, labels alone")] == [1, 1]


def test_a_shared_batch_keeps_what_it_was_told() -> None:
    gan = make("infogan, shared")
    given = batches(gan)
    seen = []
    for sub in range(3):
        gan.part(given["batches"], given["labels"], 0, sub, update=True)
        seen.append(gan.told)
    assert seen[2] is seen[1] and not np.array_equal(seen[0][1], seen[1][1])


def test_the_second_heads_losses_by_hand() -> None:
    gan = make("infogan", "loss.label=0.7", "loss.codes=0.3", "model.code_classes=3")
    q, u = numbers(4, 5), numbers(4, 2, seed=3)
    labels = LABELS[:4]
    loss, dq, said = gan.condition.generator(ops, q, [labels, u])
    entropy = np.mean(np.log(np.exp(q[:, :3]).sum(axis=1)) - q[np.arange(4), labels])
    error = np.mean((q[:, 3:] - u) ** 2)
    assert float(loss) == pytest.approx(0.7 * entropy + 0.3 * error, rel=1e-12)
    assert {key: float(v) for key, v in said.items()} == pytest.approx({"label_g": entropy, "codes_g": error})
    np.testing.assert_allclose(dq[:, 3:], 0.3 * 2 * (q[:, 3:] - u) / 8, rtol=1e-12)
    loss, dreal, dfake, said = gan.condition.critic(ops, q + 1, q, [labels, u])
    assert not dreal.any() and np.array_equal(dfake, dq) and set(said) == {"label_fake", "codes_fake"}
    made = make("acgan", "loss.label=0.5")
    loss, dreal, dfake, said = made.condition.critic(ops, q[:, ::-1][:, :3], q[:, :3], [labels])
    assert set(said) == {"label_fake", "label_real"} and dreal.any() and not np.array_equal(dreal, dfake)
    assert float(loss) == pytest.approx(0.5 * (float(said["label_fake"]) + float(said["label_real"])), rel=1e-12)


def test_a_condition_changes_the_networks_as_said() -> None:
    gan = make("projection")
    assert sum(isinstance(a, ConditionalBatchNorm) for a in gan.G.layers) == 2
    assert not any(isinstance(a, BatchNorm | ConcatLabel) for a in gan.G.layers)
    assert isinstance(gan.D.root.nodes[-1], Residual) and any(a.layer.name.endswith("skip.0") for a in gan.D.spectral)
    gan = make("embedding")
    assert isinstance(gan.D.layers[0], ConcatLabel) and gan.D.layers[0].out_shape == (8, 8, 2)
    assert gan.G.layers[0].out_shape == (5 + 2,) and gan.G.in_shape == (5,)
    assert make("acgan").D.out_shape == ((1,), (CLASSES,)) and make("infogan").D.out_shape == ((1,), (12,))
    assert make("infogan").G.in_shape == (7,)


@pytest.mark.parametrize("kind", ["projection", "infogan, shared batch"])
def test_three_steps_on_cpp_are_the_oracles(kind: str) -> None:
    try:
        cpp = load("cpp")
    except BackendError as e:
        pytest.skip(str(e))
    words = [*gan_steps.DCGAN, *gan_steps.SMALL, "train.batch_size=12", *gan_steps.KINDS[kind]]
    assert gan_steps.sgd_distance(cpp, ops, words) <= 1e-5


# ----------------------------------------------------------------------------------------------------------- refusals

REFUSED = {
    "no labels": (("model.condition=acgan",), "model.condition acgan learns from labels, but the data has none"),
    "packed": (
        ("model.condition=projection", "model.packing=2"),
        "model.packing = 2 joins samples of different labels",
    ),
    "G alone": (("model.condition_g=batchnorm",), "model.condition_g batchnorm needs a model.condition"),
    "no norm": (
        ("model.condition=infogan", "model.condition_g=batchnorm", "model.family=mlp"),
        "G of model.family 'mlp' has none; give model.condition_g embedding",
    ),
    "codes": (("model.condition=acgan", "model.codes=3"), "model.codes is for model.condition infogan, not for acgan"),
    "weight": (("loss.label=2.0",), "loss.label is for model.condition acgan or infogan, not for none"),
    "own D": (
        ("model.condition=projection", "model.family=test_conditional:no_last_layer"),
        "goes into D's last layer, a Linear in a Chain",
    ),
}


def no_last_layer(model: Any, shape: Any) -> tuple[Any, Any]:
    from minigan.models.layers import Reshape

    return Chain(Linear(64), Reshape(8, 8, 1)), Chain(Reshape(-1), Residual(Linear(1), Linear(1)))


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(case: str) -> None:
    words, text = REFUSED[case]
    with pytest.raises(ConfigError, match=text.replace("(", r"\(")) as e:
        make_task(small(*words), ops, SHAPE, 0 if case == "no labels" else CLASSES)
    assert "\n" not in str(e.value)


def test_data_without_labels_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(-1, 1, (60, *SHAPE)).astype(np.float32))
    words = small("model.condition=embedding", f"data.name={tmp_path / 'x.npy'}")
    with pytest.raises(ConfigError, match="the data has none; give data with labels"):
        train(words, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    prepare(small("model.condition=infogan", f"data.name={tmp_path / 'x.npy'}"))


# --------------------------------------------------------------------------------------------------------------- runs


@pytest.fixture(scope="module", params=["projection", "infogan"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("conditional") / request.param
    return request.param, run(folder, *KINDS[request.param], "train.steps=6")


def test_samples_have_the_class_asked_for(trained: tuple[str, Path]) -> None:
    opened = runs.load(trained[1], "numpy")
    assert opened.classes == tuple("0123456789")
    mixed, seven = opened.sample(23, seed=4), opened.sample(23, seed=4, label=7)
    np.testing.assert_array_equal(seven, opened.sample(23, seed=4, label="7"))
    np.testing.assert_array_equal(mixed[7::10], seven[7::10])
    assert not np.array_equal(mixed[6::10], seven[6::10])
    np.testing.assert_array_equal(opened.sample(5, seed=4), mixed[:5])
    with pytest.raises(
        ConfigError, match=r"class 'seven' is none of .*; give one of 0, 1, .*, 9, or its number, 0 to 9"
    ):
        opened.sample(1, label="seven")
    with pytest.raises(ConfigError, match="class 10 is none of"):
        opened.sample(1, label=10)
    assert opened.interpolate(corners=2, steps=3, label="3").shape == (2, 3, *SHAPE)
    assert not np.array_equal(opened.interpolate(corners=2, steps=3, label="3"), opened.interpolate(corners=2, steps=3))


def test_names_come_before_numbers(trained: tuple[str, Path]) -> None:
    opened = runs.load(trained[1], "numpy")
    opened.classes = ("cat", "2", "dog", "0")
    given = [opened.labels(1, label) for label in ("cat", "2", 2, "dog", "1", "0", 0)]
    assert [int(a[0]) for a in given if a is not None] == [0, 1, 2, 2, 1, 3, 0]


def test_a_grid_has_a_row_for_each_class(trained: tuple[str, Path]) -> None:
    opened = runs.load(trained[1], "numpy")
    x = opened.task.picture("grid", 64, np.empty(0))
    assert x is not None and x.shape == (100, *SHAPE) and opened.task.columns == 10
    z = opened.task.z("grid", 0, 10)
    np.testing.assert_array_equal(x[30:40], opened.task.samples(z, "ema", np.full(10, 3)))
    images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1) * np.ones((7, 56, 56, 1), np.uint8)
    sheet = np.asarray(pictures.by_class(images, np.array([0, 1, 2, 0, 1, 2, 0])))
    assert sheet[30::58, 30::58].tolist() == [[0, 3, 6], [1, 4, 40], [2, 5, 40]]


def test_sweep_moves_one_code(trained: tuple[str, Path], tmp_path: Path) -> None:
    kind, folder = trained
    opened = runs.load(folder, "numpy")
    if kind == "projection":
        with pytest.raises(ConfigError, match=r"has no codes to go along \(model.condition projection\)"):
            opened.sweep(0)
        return
    rows = [opened.sweep(code, seed=1, steps=5, dtype="float32") for code in (0, 1)]
    assert rows[0].shape == (10, 5, *SHAPE) and not np.array_equal(*rows)
    z = opened.task.z("sweep", 0, 1, 1)
    z[0, 5] = -2.0
    np.testing.assert_array_equal(rows[0][6, 0], opened.task.samples(z, "ema", np.array([6]))[0])
    with pytest.raises(ConfigError, match=r"code 2 was asked for, but .* has 2 codes, numbered from 0"):
        opened.sweep(2)
    for name in ("sweep.png", "sweep.gif"):
        export.walk(opened, 0, tmp_path / name, code=1)
        assert (tmp_path / name).stat().st_size > 100
    with pytest.raises(ConfigError, match="--code shows every class, and --class one"):
        export.walk(opened, 0, tmp_path / "x.png", "3", 1)


def test_a_run_without_classes_refuses_one(tmp_path: Path) -> None:
    opened = runs.load(run(tmp_path / "run", "train.steps=1"), "numpy")
    assert opened.classes == () and opened.labels(3) is None
    with pytest.raises(ConfigError, match=r"class 7 was asked for, but .* was trained without classes"):
        opened.sample(1, label=7)


def test_onnx_takes_the_label(trained: tuple[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    opened, out = runs.load(trained[1], "numpy"), tmp_path / "generator.onnx"
    g = np.random.default_rng(1)
    for name, view in opened.task.nets["ema"].tensors().items():  # far from the values that a run begins with
        view[...] = g.uniform(0.5, 1.5, view.shape) if name.endswith("var") else g.normal(0, 0.5, view.shape)
    assert "of 10 classes" in export.run_itself(opened, out)
    z = opened.task.z("sample", 0, 20, 3).astype(np.float32)
    session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
    (x,) = session.run(None, {"z": z, to_onnx.LABEL: np.full(20, 7)})
    assert np.abs(x - opened.sample(20, 3, label=7)).max() <= 1e-5
    assert np.abs(x - opened.sample(20, 3, label=6)).max() > 1e-3


@pytest.mark.parametrize("kind", ["acgan", "infogan, shared"])
def test_a_resumed_run_is_the_whole_one(kind: str, tmp_path: Path) -> None:
    keys = (*KINDS[kind], "train.batch_size=300")
    whole = state(run(tmp_path / "whole", *keys, "train.steps=6"))
    run(tmp_path / "parts", *keys, "train.steps=3")
    assert_same(whole, state(run(tmp_path / "parts", *keys, "train.steps=6", resume=True)))


def test_labels_have_names_in_a_checkpoint(tmp_path: Path) -> None:
    assert state(run(tmp_path / "run", "train.steps=1")).meta["class_names"] == list("0123456789")


TOY = (
    "data.name=ring8", "model.output=none", "model.z=2", "model.widths_g=[64, 64]", "model.widths_d=[64, 64]",
    "model.label_features=8", "model.dropout=0", "loss.name=non-saturating", "g.lr=2e-3", "d.lr=2e-3",
    "train.batch_size=128", "train.steps=400", "train.ema=0.98", "train.grid_every=1000", "train.backend=numpy",
    "model.condition=embedding",
)  # fmt: skip


def test_points_come_where_their_label_lies(tmp_path: Path) -> None:
    """On the ring: a sample of each label is nearest to the mode of that label."""
    from minigan.data.toys import centres

    opened = runs.load(train(configs.load("digits", TOY), tmp_path / "run")[0], "numpy")
    x = opened.sample(400, seed=1)
    nearest = np.linalg.norm(x[:, None] - centres("ring8"), axis=2).argmin(axis=1)
    share = float((nearest == np.arange(400) % 8).mean())
    assert share >= 0.95, share
