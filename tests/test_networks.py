"""Builders: networks of any size, residual blocks, minibatch-stddev, and translators."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gan_steps import CLASSES, batches, digits, labels
from runs import small

from minigan import backends, config
from minigan.config import Model
from minigan.errors import ConfigError, ShapeError
from minigan.models.builders import make_nets
from minigan.models.conditions import CONDITIONS
from minigan.models.layers import BatchNorm, Conv2d, ConvTranspose2d, Layer, LayerNorm
from minigan.models.net import Net
from minigan.models.resnets import resnet
from minigan.models.shapes import Act
from minigan.models.translators import translator
from minigan.models.trees import Chain, Residual
from minigan.tasks.gan import GAN

numpy = backends.load("numpy")
PICTURES = ("dcgan", "resnet")


def nets(shape: tuple[int, ...], **model: Any) -> tuple[Net, Net]:
    """G and D."""
    return make_nets(Model(**model), shape, 0.0, 0.0)


def weights(net: Net) -> list[tuple[int, ...]]:
    """The shapes of all w, in the order of the forward pass."""
    return [layer.params["w"].shape for layer in net.layers if "w" in layer.params]


# ------------------------------------------------------------------------------------------------- one width, any size


@pytest.mark.parametrize("family", PICTURES)
@pytest.mark.parametrize("size", [8, 10, 14, 16, 28, 32, 48, 64, 96, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_width_and_a_size_are_enough(family: str, size: int, channels: int) -> None:
    g, d = nets((size, size, channels), family=family, width=2, z=3)
    assert (g.out_shape, d.out_shape) == ((size, size, channels), (1,))
    smallest = {shape[0] for net in (g, d) for shape in (a.out_shape for a in net.layers) if len(shape) == 3}
    assert 4 <= min(smallest) <= 7


def test_dcgan_by_width_is_the_paper_s() -> None:
    """arXiv:1511.06434, figure 1: 100 -> 4x4x1024 -> 512 -> 256 -> 128 -> 64x64x3."""
    g, d = nets((64, 64, 3), family="dcgan", width=128)
    assert weights(g) == [
        (100, 4 * 4 * 1024), (5, 5, 512, 1024), (5, 5, 256, 512), (5, 5, 128, 256), (5, 5, 3, 128)
    ]  # fmt: skip
    assert weights(d) == [
        (5, 5, 3, 128), (5, 5, 128, 256), (5, 5, 256, 512), (5, 5, 512, 1024), (4 * 4 * 1024, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "widths"), [(28, [2, 1]), (32, [4, 2, 1]), (128, [8, 8, 4, 2, 1])])
def test_dcgan_by_width_is_dcgan_by_lists(size: int, widths: list[int]) -> None:
    lists = {"widths_g": tuple(widths), "strides_g": (2,) * len(widths), "widths_d": tuple(widths[::-1])}
    for one, other in zip(
        nets((size, size, 1), family="dcgan", width=1, z=2),
        nets((size, size, 1), family="dcgan", z=2, **lists),
        strict=True,
    ):
        assert one.layers and [type(a) for a in one.layers] == [type(a) for a in other.layers]
        assert weights(one) == weights(other)


REFUSED: dict[str, tuple[tuple[int, ...], dict[str, Any], str]] = {
    "mlp": ((8, 8, 1), {"width": 4}, "model.width = 4 is for families of images; give mlp widths_g and widths_d"),
    "odd": ((27, 27, 1), {"family": "dcgan", "width": 4}, "27x27 is odd, or not above 7; give data.size, as 8, 28"),
    "tiny": ((6, 6, 1), {"family": "resnet", "width": 4}, "6x6 is odd, or not above 7"),
    "oblong": ((8, 16, 1), {"family": "resnet", "width": 4}, r"'resnet' makes square images, .* are \(8, 16, 1\)"),
    "points": ((2,), {"family": "dcgan", "width": 4}, r"'dcgan' makes square images, .* are \(2,\)"),
    "doublings": (
        (28, 28, 1),
        {"family": "resnet", "widths_g": (8, 4, 2)},
        r"28x28 do not fit the 3 doublings of model.widths_g \[8, 4, 2\]: .* multiple of 8; give data.size, or model.w",
    ),
    "strides": (
        (28, 28, 1),
        {"family": "dcgan", "widths_g": (4,), "strides_g": (2, 2)},
        "model.strides_g has 2 strides and model.widths_g 1 widths; give one stride per width, or model.width",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str) -> None:
    shape, model, message = REFUSED[case]
    with pytest.raises((ConfigError, ShapeError), match=message):
        nets(shape, **model)


# ----------------------------------------------------------------------------------------------------- residual blocks


def test_resnet_s_blocks_are_the_papers() -> None:
    g, d = nets((32, 32, 3), family="resnet", width=4, z=8)
    assert weights(g) == [
        (8, 4 * 4 * 16),
        *((3, 3, 16, 16), (3, 3, 16, 16), (1, 1, 16, 16)),  # to 8x8
        *((3, 3, 16, 8), (3, 3, 8, 8), (1, 1, 16, 8)),  # to 16x16
        *((3, 3, 8, 4), (3, 3, 4, 4), (1, 1, 8, 4)),  # to 32x32
        (3, 3, 4, 3),
    ]
    assert weights(d) == [
        *((3, 3, 3, 4), (3, 3, 4, 4), (1, 1, 3, 4)),  # to 16x16
        *((3, 3, 4, 8), (3, 3, 8, 8), (1, 1, 4, 8)),  # to 8x8
        *((3, 3, 8, 16), (3, 3, 16, 16), (1, 1, 8, 16)),  # to 4x4
        *((3, 3, 16, 16), (3, 3, 16, 16)),  # which adds to its input itself
        (4 * 4 * 16, 1),
    ]
    blocks = [node for node in g.root.nodes if isinstance(node, Residual)]
    kinds = [[type(a).__name__ for a in block.body.nodes] for block in blocks]
    assert kinds == [["BatchNorm", "Upsample2x", "Conv2d", "BatchNorm", "Conv2d"]] * 3
    assert [type(node).__name__ for node in g.root.nodes[-2:]] == ["BatchNorm", "Conv2d"]
    assert d.root.nodes[-3].act == Act("relu")  # Activation, Reshape, Linear: what the last sum gives is bent once more


def test_d_halves_down_to_seven_pixels_and_keeps_them() -> None:
    d = nets((28, 28, 1), family="resnet", widths_g=(4, 2), widths_d=(2, 3, 4, 4, 4))[1]
    sizes = [node.out_shape for node in d.root.nodes if isinstance(node, Residual)]
    assert sizes == [(14, 14, 2), (7, 7, 3), (7, 7, 4), (7, 7, 4), (7, 7, 4)]


@pytest.mark.parametrize(("norm", "kind"), [("batch", BatchNorm), ("layer", LayerNorm)])
def test_norms_stand_before_every_convolution_of_d_but_the_first_block_s(norm: str, kind: type[Layer]) -> None:
    d = nets((8, 8, 1), family="resnet", widths_g=(2,), widths_d=(2, 2), norm_d=norm, act_d="leaky_relu")[1]
    first, second = (node for node in d.root.nodes if isinstance(node, Residual))
    assert not any(isinstance(a, kind) for a in first.body.nodes)
    assert [type(a) for a in second.body.nodes] == [kind, Conv2d, kind, Conv2d]
    assert [a.act for a in second.body.nodes[::2]] == [Act("leaky_relu", 0.2)] * 2
    assert [a.bias for a in second.body.nodes[1::2]] == [False, True]  # the first one's is the norm's beta


def test_the_way_round_may_be_convolved_on_the_small_picture() -> None:
    """conv1x1 then up == up then conv1x1, and down then conv1x1 == conv1x1 then down."""
    g = np.random.default_rng(0)
    x, w = g.standard_normal((2, 4, 6, 3)), g.standard_normal((1, 1, 3, 5))
    pads = ((0, 0), (0, 0))
    for resample in (numpy.upsample2x, numpy.avgpool2x):
        one = resample(numpy.conv2d(x, w, None, (1, 1), pads))
        other = numpy.conv2d(resample(x), w, None, (1, 1), pads)
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)


def test_a_block_adds_its_input() -> None:
    """With the last convolution of its body at 0, a block of D that keeps its size and width gives back its input."""
    root = resnet(Model(family="resnet", widths_g=(2,), widths_d=(2, 2)), (8, 8, 1))[1].nodes[1]
    net = Net("b", Chain(root), (4, 4, 2))
    net.bind(numpy, 0, np.float64)
    net.layers[-1].w[...] = 0.0
    x = np.random.default_rng(0).standard_normal((3, 4, 4, 2))
    np.testing.assert_array_equal(net.forward(x)[0], x)


# ---------------------------------------------------------------------------------------------------- minibatch-stddev

LISTS = {"widths_g": (4, 3), "strides_g": (2, 2), "widths_d": (3, 4), "z": 3}
PIXELS = {"mlp": 1, "dcgan": 2 * 2, "resnet": 4 * 4}  # of what D's last layer reads


@pytest.mark.parametrize("family", PIXELS)
def test_d_alone_sees_how_its_group_differs(family: str) -> None:
    (g, d), (plain_g, plain) = (nets((8, 8, 1), family=family, **LISTS, minibatch_stddev=n) for n in (2, 0))
    assert weights(g) == weights(plain_g) and weights(d)[:-1] == weights(plain)[:-1]
    assert weights(d)[-1] == (weights(plain)[-1][0] + PIXELS[family], 1)
    d.bind(numpy, 0, np.float64)
    x = np.random.default_rng(0).standard_normal((4, 8, 8, 1))
    before = d.forward(x)[0]
    x[1] += 1.0
    after = d.forward(x)[0]
    assert after[0] != before[0] and (after[2:] == before[2:]).all(), "samples 0 and 1 are a group, 2 and 3 another"


MEETS: dict[str, tuple[list[str], str]] = {
    "a batch": (
        ["model.minibatch_stddev=4", "train.batch_size=50"],
        "train.batch_size = 50 gives D 50 samples at once, which cannot be cut in groups of "
        "model.minibatch_stddev = 4; give a multiple of 4, as 48",
    ),
    "a packed batch": (
        ["model.minibatch_stddev=8", "train.batch_size=48", "model.packing=4"],
        "train.batch_size = 48 gives D 12 samples at once, .* = 8; give a multiple of 32, as 32",
    ),
    "too small a batch": (["model.minibatch_stddev=8", "train.batch_size=6"], "give a multiple of 8, as 8"),
    "itself": (["model.minibatch_stddev=1"], "model.minibatch_stddev = 1 compares a sample with itself; give 2 or"),
    "a penalty": (
        ["model.minibatch_stddev=4", "penalty.name=r1"],
        "penalty.name r1 takes D's gradient sample by sample, but model.minibatch_stddev makes .* leave one of them",
    ),
}


@pytest.mark.parametrize("what", MEETS)
def test_minibatch_stddev_is_refused_where_it_does_not_fit(what: str) -> None:
    overrides, message = MEETS[what]
    with pytest.raises(ConfigError, match=message):
        config.load("digits", overrides)


def test_minibatch_stddev_goes_with_packing() -> None:
    assert config.load("digits", ["model.minibatch_stddev=4", "train.batch_size=36", "model.packing=3"])


# --------------------------------------------------------------------------------------------------------- translators

MADE: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "resnet": (("resnet", (12, 8, 1), (12, 8, 3)), {"width": 2}),
    "resnet, 4 times as large": (("resnet", (7, 7, 1), (28, 28, 1)), {"width": 2, "depth": 0, "norm": "batch"}),
    "resnet, halved and 8 times as large": (("resnet", (2, 6, 3), (16, 48, 3)), {"width": 2, "depth": 1, "blocks": 0}),
    "unet": (("unet", (28, 28, 1), (28, 28, 3)), {"width": 2, "blocks": 1}),
    "unet down to a pixel": (("unet", (32, 32, 3), (32, 32, 1)), {"width": 2, "depth": 5, "blocks": 0}),
    "unet of one level": (("unet", (2, 4, 1), (2, 4, 1)), {"width": 2, "depth": 1, "norm": "none", "output": None}),
}


@pytest.mark.parametrize("case", MADE)
def test_translators_make_pictures_of_pictures(case: str) -> None:
    (kind, shape_in, shape_out), more = MADE[case]
    net = Net("g", translator(kind, shape_in, shape_out, **more), shape_in)
    net.bind(numpy, 0, np.float64)
    x = np.random.default_rng(0).standard_normal((2, *shape_in))
    y, ctx = net.forward(x, "frozen")
    dx = net.backward(np.ones_like(y), ctx)
    assert net.out_shape == shape_out == y.shape[1:] and dx.shape == x.shape
    assert y.std() > 0 and dx.std() > 0, "nothing of the picture comes through"
    changed = x.copy()
    changed[1] += 1.0
    assert (net.forward(changed, "running")[0][0] == net.forward(x, "running")[0][0]).all()


def test_resnet_s_layers_are_cyclegan_s() -> None:
    """arXiv:1703.10593, section 7.2: c7s1-64, d128, d256, R256, ..., u128, u64, c7s1-3; halved and doubled by 4x4."""
    net = Net("g", translator("resnet", (32, 32, 3), (32, 32, 3), width=64, blocks=6), (32, 32, 3))
    blocks = [(3, 3, 256, 256)] * 12
    assert weights(net) == [
        (7, 7, 3, 64), (4, 4, 64, 128), (4, 4, 128, 256), *blocks, (4, 4, 128, 256), (4, 4, 64, 128), (7, 7, 64, 3)
    ]  # fmt: skip


def test_unet_s_layers_are_pix2pix_s() -> None:
    """arXiv:1611.07004, section 6.1.1: C64-C128-C256-C512-C512 and back, with what was seen joined to what was made."""
    net = Net("g", translator("unet", (32, 32, 3), (32, 32, 1), width=64, depth=5, blocks=0), (32, 32, 3))
    down = [(4, 4, 3, 64), (4, 4, 64, 128), (4, 4, 128, 256), (4, 4, 256, 512), (4, 4, 512, 512)]
    up = [(4, 4, 512, 512), (4, 4, 256, 1024), (4, 4, 128, 512), (4, 4, 64, 256), (4, 4, 1, 128)]  # (..., O, I)
    assert weights(net) == down + up
    bare = [a.name for a in net.layers if isinstance(a, Conv2d | ConvTranspose2d) and a.bias]
    assert bare == ["g.down.0", "g.inner.inner.inner.inner.0", "g.up.0"], "outermost and innermost have no norm"


@pytest.mark.parametrize("kind", ["resnet", "unet"])
def test_a_translator_s_weights_serve_another_size(kind: str) -> None:
    small, large = (Net("g", translator(kind, s, s, 2, 2, 1), s) for s in ((8, 8, 1), (16, 24, 1)))
    for net in (small, large):
        net.bind(numpy, 0)
    assert {k: v.shape for k, v in small.tensors().items()} == {k: v.shape for k, v in large.tensors().items()}
    assert small.p.tobytes() == large.p.tobytes()


WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "kind": (("u-net", (8, 8, 1), (8, 8, 1)), {}, "translator kind 'u-net' is unknown; did you mean 'unet'"),
    "norm": (("unet", (8, 8, 1), (8, 8, 1)), {"norm": "layer"}, "translator norm 'layer' is unknown; "),
    "features": (("resnet", (8,), (8, 8, 1)), {}, r"takes and makes pictures \(H,W,C\), but is given \(8,\)"),
    "halvings": (
        ("unet", (10, 8, 1), (10, 8, 1)),
        {},
        "unet with depth 2 halves pictures 2 times, but 10x8 is no multiple of 4; give a smaller depth",
    ),
    "a third": (("resnet", (8, 8, 1), (24, 24, 1)), {}, "1, 2, 4, 8, ... times as large, not 24x24 of 8x8"),
    "smaller": (("resnet", (8, 8, 1), (4, 4, 1)), {}, "times as large, not 4x4 of 8x8"),
    "stretched": (("resnet", (8, 8, 1), (16, 8, 1)), {}, "times as large, not 16x8 of 8x8"),
    "unet larger": (("unet", (8, 8, 1), (16, 16, 1)), {}, "unet keeps the size, but is to make 16x16 of 8x8; take res"),
    "no level": (("unet", (8, 8, 1), (8, 8, 1)), {"depth": 0}, "unet with depth 0 has no level; give at least 1"),
    "one pixel": (("resnet", (4, 4, 1), (4, 4, 1)), {}, "leaves one pixel of 4x4, which instancenorm turns to zero"),
}


@pytest.mark.parametrize("case", WRONG)
def test_translators_refuse_what_does_not_fit(case: str) -> None:
    (kind, shape_in, shape_out), more, message = WRONG[case]
    with pytest.raises((ConfigError, ShapeError), match=message):
        translator(kind, shape_in, shape_out, **more)


# --------------------------------------------------------------------------------------------- on backends, in training

BOTH: dict[str, Callable[[], Net]] = {
    "resnet g": lambda: nets((16, 16, 3), family="resnet", width=4, z=5)[0],
    "resnet d": lambda: nets((14, 14, 1), family="resnet", width=4, norm_d="layer", minibatch_stddev=2)[1],
    "translator resnet": lambda: Net("g", translator("resnet", (4, 8, 1), (8, 16, 2), 4, 1, 1), (4, 8, 1)),
    "translator unet": lambda: Net("g", translator("unet", (8, 12, 2), (8, 12, 1), 4, 2, 1), (8, 12, 2)),
}


@pytest.mark.parametrize("case", BOTH)
def test_cpp_gives_what_the_oracle_gives_in_float64(case: str) -> None:
    pytest.importorskip("minigan._cpp", reason="the extension is not built", exc_type=ImportError)
    found = []
    for name, dtype in (("numpy", np.float64), ("cpp", np.float32)):
        ops, net = backends.load(name), BOTH[case]()
        net.bind(ops, 0, dtype)
        g = np.random.default_rng(0)
        for key, view in net.layout.views(net.p).items():
            value = 0.3 * g.standard_normal(view.shape) + key.endswith("gamma")
            ops.copyto(view, value.astype(np.float32).astype(dtype))
        x = g.standard_normal((4, *net.in_shape)).astype(np.float32).astype(dtype)
        y, ctx = net.forward(ops.asarray(x))
        dx = net.backward(ops.asarray(np.ones(y.shape, dtype)), ctx)
        dw = np.concatenate([ops.to_numpy(a).ravel() for a in net.layout.views(net.dp).values()])
        found.append([ops.to_numpy(y), ops.to_numpy(dx), dw])
    for one, other in zip(*found, strict=True):
        assert np.linalg.norm(one - other) <= 1e-5 * np.linalg.norm(one)


TOLD = {
    **{name: [f"model.condition={name}"] for name in CONDITIONS},
    "batchnorm": ["model.condition=projection", "model.condition_g=batchnorm"],
}


@pytest.mark.parametrize("how", TOLD)
def test_residual_nets_are_told_labels(how: str) -> None:
    words = small("model.family=resnet", "model.width=4", *TOLD[how])
    task = GAN(words, numpy, (8, 8, 1), CLASSES)
    before = [net.p.copy() for net in (task.G, task.D)]
    for step in range(2):
        task.step(batches(task, step), step, labels(task, step))
    for net, old in zip((task.G, task.D), before, strict=True):
        still = [name for name, view in net.layout.views(net.p - old).items() if not np.abs(view).max() > 0]
        assert still == [], "parameters stand still"


@pytest.mark.parametrize("task", ["classifier", "cyclegan"])
def test_tasks_with_networks_of_their_own_refuse_the_key(task: str) -> None:
    with pytest.raises(ConfigError, match=f"model.width means nothing to task.name {task}; leave it out"):
        config.load({"classifier": "classifier-mnist", "cyclegan": "cyclegan-digits"}[task], ["model.width=8"])


SHORT = {
    "dcgan by width": ["model.family=dcgan", "model.width=4"],
    "resnet": ["model.family=resnet", "model.width=4", "model.norm_d=spectral", "loss.name=hinge"],
    "stddev": ["model.minibatch_stddev=4", "train.batch_size=48"],
}


@pytest.mark.parametrize("case", SHORT)
def test_a_few_steps_move_both_nets(case: str) -> None:
    words = small(*SHORT[case])
    task = GAN(words, numpy, (8, 8, 1))
    before = [net.p.copy() for net in (task.G, task.D)]
    x = digits()[: 2 * words.train.batch_size].reshape(2, -1, 8, 8, 1)
    for step in range(3):
        record = task.step(list(x), step)
        assert all(np.isfinite(a) for a in record.values())
    for net, old in zip((task.G, task.D), before, strict=True):
        moved = [name for name, view in net.layout.views(net.p - old).items() if np.abs(view).max() > 0]
        assert moved == list(net.layout.views(net.p)), "a parameter stands still"
