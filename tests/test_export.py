"""A run as other programs read it: ONNX, and weights in PyTorch's layouts."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import run, small, state
from safetensors.numpy import load_file

from minigan import backends, rng
from minigan.config import Model
from minigan.errors import BackendError, ConfigError
from minigan.models.builders import make_nets
from minigan.models.layers import (
    Activation,
    AvgPool2x,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    InstanceNorm,
    LayerNorm,
    Linear,
    Reshape,
    Upsample2x,
)
from minigan.models.net import Net
from minigan.models.shapes import Act
from minigan.models.translators import translator
from minigan.models.trees import Chain, Residual, Skip
from minigan.training import export, layouts, to_onnx, transfer, weights
from minigan.training import run as runs
from minigan.training.parts import prepare

RELU, LEAKY = Act("relu"), Act("leaky_relu", 0.2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("export") / "run", "train.steps=6", "model.norm_d=batch")


def filled(net: Net) -> Net:
    """Every number of the net drawn anew, so that none is the 0 or 1 that hides a mistake."""
    net.bind(backends.load("numpy"), 0)
    g = np.random.default_rng(1)
    for name, view in net.tensors().items():
        view[...] = g.uniform(0.5, 1.5, view.shape) if name.endswith("var") else g.normal(0, 0.5, view.shape)
    return net


def session(net: Net) -> tuple[Any, Any]:
    """The net's ONNX model, checked, and an onnxruntime session of it."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    model = to_onnx.model(net, onnx.helper, onnx.numpy_helper)
    onnx.checker.check_model(model, full_check=True)
    return model, onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


NETS: dict[str, Callable[[], Net]] = {
    "dense": lambda: Net(
        "g", Chain(Linear(9, act=Act("tanh")), Linear(12, act=Act("sigmoid")), Reshape(2, 2, 3)), (5,)
    ),
    "points": lambda: Net("g", Chain(Linear(7, bias=False), BatchNorm(act=LEAKY), Linear(2)), (3,)),
    "dcgan": lambda: prepare(small()).task.G,
    "resnet": lambda: make_nets(Model(family="resnet", width=4, z=5, output="tanh"), (14, 14, 3), 0.0, 0.0)[0],
    "translator resnet": lambda: Net("g", translator("resnet", (4, 6, 2), (8, 12, 3), 4, 1, 2), (4, 6, 2)),
    "translator resnet, batchnorm": lambda: Net(
        "g", translator("resnet", (3, 4, 1), (12, 16, 1), 3, 0, 1, "batch"), (3, 4, 1)
    ),
    "translator unet": lambda: Net("g", translator("unet", (8, 12, 3), (8, 12, 1), 4, 2, 1), (8, 12, 3)),
    "odd sizes, stride above the kernel": lambda: Net(
        "g",
        Chain(
            Linear(3 * 2 * 4, act=RELU),
            BatchNorm(),  # after an activation: its own product and sum
            Reshape(3, 2, 4),
            BatchNorm(act=LEAKY),  # on images with channels last
            ConvTranspose2d(5, (3, 2), (2, 3), bias=False),
            BatchNorm(0.1, act=RELU),
            ConvTranspose2d(3, 1, 2),
            Conv2d(4, 4, 2),
            BatchNorm(),
            ConvTranspose2d(2, 3, 2, padding=((1, 0), (0, 1)), act=Act("tanh")),
            BatchNorm(),  # on images with channels first
        ),
        (6,),
    ),
    "trees": lambda: Net(
        "g",
        Chain(
            Linear(4 * 4 * 6),
            Reshape(4, 4, 6),
            Residual(Chain(InstanceNorm(act=RELU), Conv2d(6, 3))),
            Residual(Conv2d(5, 3), Conv2d(5, 1)),
            Skip(Chain(Conv2d(4, 3, act=LEAKY)), Chain(AvgPool2x(), Upsample2x()), Conv2d(3, 3)),
            Residual(Reshape(4, 4, 3)),
            Dropout(0.5),
            Activation(Act("sigmoid")),
            Reshape(8, 2, 3),
        ),
        (5,),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_onnxruntime_gives_what_the_net_gives_for_any_batch(name: str) -> None:
    net = filled(NETS[name]()) if name != "dcgan" else NETS[name]()
    model, onnx_net = session(net)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 22)]
    for n in (1, 3, 64):
        z = np.random.default_rng(n).normal(size=(n, *net.in_shape)).astype(np.float32)
        (x,), (own, _) = onnx_net.run(None, {to_onnx.names(net)[0]: z}), net.forward(z, mode="running")
        assert x.shape == own.shape and np.abs(x - own).max() <= to_onnx.BOUND * max(1, np.abs(own).max())


@pytest.mark.parametrize(
    ("name", "left"),
    [("dcgan", 0), ("points", 0), ("odd sizes, stride above the kernel", 3)],
)
def test_batchnorm_is_folded_where_it_follows_weights(name: str, left: int) -> None:
    ops = [node.op_type for node in session(NETS[name]() if name == "dcgan" else filled(NETS[name]()))[0].graph.node]
    assert (ops.count("Mul"), ops.count("Add"), ops.count("BatchNormalization")) == (left, left, 0)


def test_a_layer_without_a_form_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"g\.1 \(LayerNorm\) has no ONNX form here; known: Linear, "):
        session(filled(Net("g", Chain(Linear(3), LayerNorm()), (2,))))


def test_the_generator_is_what_sample_draws_from(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    opened, out = runs.load(trained, "numpy"), tmp_path / "generator.onnx"
    said = export.run_itself(opened, out)
    assert said.startswith(
        "the generator, the moving average (EMA) of G's weights, of step 6; passed onnx.checker, and"
    )
    z = rng.draw_z(7, "sample", 0, 64, opened.config.model.z, "normal").astype(np.float32)
    (x,) = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"]).run(None, {"z": z})
    assert np.abs(x - opened.sample(64, seed=7)).max() <= 1e-5
    assert np.abs(x - opened.task.samples(z, "g")).max() > 1e-5


def test_other_samples_are_refused_and_nothing_is_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setitem(to_onnx.ACTS, "tanh", lambda act: ("Sigmoid", {}))
    with pytest.raises(BackendError, match=r"not written: onnxruntime .* makes samples that are"):
        export.run_itself(runs.load(trained, "numpy"), tmp_path / "generator.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_what_to_install(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = runs.load(trained, "numpy")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"pip install 'minigan\[export\]'"):
        export.run_itself(opened, tmp_path / "generator.onnx")
    monkeypatch.undo()
    pytest.importorskip("onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    said = export.run_itself(opened, tmp_path / "generator.onnx")
    assert said.endswith("passed onnx.checker; not run, for onnxruntime is not installed")


def test_an_unknown_form_points_to_the_png_folder(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a folder of PNGs is what minigan sample RUN -n N --out FOLDER writes"):
        export.run_itself(runs.load(trained, "numpy"), tmp_path / "pngs")


def test_weights_have_documented_names_and_pytorch_s_layouts(trained: Path, tmp_path: Path) -> None:
    out, own = tmp_path / "weights.safetensors", state(trained).tensors
    assert export.run_itself(runs.load(trained, "numpy"), out) == "31 arrays of step 6 in PyTorch's layouts"
    given = load_file(out)
    shapes = {name: a.shape for name, a in given.items() if not name.startswith("ema")}
    assert shapes == {
        "g.0.weight": (24, 5),  # Linear (O,I)
        "g.1.weight": (24,), "g.1.bias": (24,), "g.1.running_mean": (24,), "g.1.running_var": (24,),
        "g.3.weight": (6, 4, 3, 3),  # ConvTranspose2d (I,O,KH,KW)
        "g.4.weight": (4,), "g.4.bias": (4,), "g.4.running_mean": (4,), "g.4.running_var": (4,),
        "g.5.weight": (4, 1, 3, 3),
        "d.0.weight": (4, 1, 3, 3), "d.0.bias": (4,),  # Conv2d (O,I,KH,KW)
        "d.2.weight": (6, 4, 3, 3),
        "d.3.weight": (6,), "d.3.bias": (6,), "d.3.running_mean": (6,), "d.3.running_var": (6,),
        "d.6.weight": (1, 24), "d.6.bias": (1,),
    }  # fmt: skip
    for o, i, kh, kw in np.ndindex(6, 4, 3, 3):
        assert given["d.2.weight"][o, i, kh, kw] == own["d/d.2.w"][kh, kw, i, o]
        assert given["g.3.weight"][o, i, kh, kw] == own["g/g.3.w"][kh, kw, i, o]  # there o counts inputs, i outputs
    assert np.array_equal(given["g.0.weight"], own["g/g.0.w"].T)
    assert np.array_equal(given["ema.0.weight"], own["ema/g.0.w"].T)


def test_weights_come_back_bit_for_bit(trained: Path, tmp_path: Path) -> None:
    own, task = state(trained).tensors, prepare(small("model.norm_d=batch", "train.seed=9")).task
    weights.write(runs.load(trained, "numpy").task, 6, tmp_path / "w.safetensors")
    begun = transfer.begin(task, str(tmp_path / "w.safetensors"))
    assert begun is not None and begun.left == ()
    for name, a in task.tensors().items():
        if name.startswith(("g/", "d/")):
            assert a.tobytes() == own[name].tobytes(), name


def test_of_a_normalised_weight_what_the_layer_works_with_is_written(tmp_path: Path) -> None:
    task = prepare(small("model.norm_d=spectral")).task
    task.D.p *= 3
    weights.write(task, 0, tmp_path / "w.safetensors")
    w = load_file(tmp_path / "w.safetensors")["d.2.weight"]
    raw = task.D.tensors()["d.2.w"].transpose(3, 2, 0, 1)
    task.D.normalise_weights(iterate=False)
    assert np.array_equal(w, task.D.layers[2].w.transpose(3, 2, 0, 1)) and not np.allclose(w, raw)
    assert abs(np.sum(w * raw) / np.sum(w * w) * w - raw).max() <= 1e-6  # the same direction


@pytest.mark.parametrize("name", ["resnet", "translator resnet", "translator unet"])
def test_layers_of_trees_have_names_and_a_way_back(name: str) -> None:
    net = filled(NETS[name]())
    found, own = layouts.pairs(net, "ema"), net.tensors()
    assert sorted(here for here, _, _ in found.values()) == sorted(own)
    wanted = {
        "resnet": "ema.2.body.2.weight ema.2.body.3.running_var ema.2.skip.0.weight",
        "translator resnet": "ema.4.body.0.weight ema.4.body.3.bias",
        "translator unet": "ema.down.0.weight ema.inner.1.body.0.weight ema.up.0.weight",
    }
    assert set(wanted[name].split()) <= set(found)
    for here, layer, key in found.values():
        assert np.array_equal(layouts.inward(layer, key, layouts.outward(layer, key, own[here])), own[here])


def test_the_way_back_leaves_an_array_of_other_axes_as_it_is() -> None:
    net = Net("d", Chain(Conv2d(2, 3)), (4, 4, 1))
    a = np.arange(6.0).reshape(2, 3)
    assert layouts.inward(net.layers[0], "w", a) is a
