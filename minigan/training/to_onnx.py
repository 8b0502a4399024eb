"""A generator as an ONNX file: z (N, Z) float32, N free -> x (N, *shape) float32, the numbers that `sample` gives; of
nets that take pictures, x (N,H,W,C) -> y (N,H,W,C). A net that is told labels has a second input, label (N,) int64.

ONNX puts channels first, so images are turned where they first meet a layer that cares, and back at the end. Batchnorm
runs on its running statistics, y = s x + t with s = gamma / sqrt(var + eps), t = beta - mean s: where it follows a
convolution or dense layer without an activation between them, s goes into that layer's weights and s and t into its
bias; elsewhere it stays as one product and one sum, and by label where it has a gamma and a beta for each.
Source: onnx.ai/onnx/operators, opset 22.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan import rng
from minigan.errors import BackendError, ConfigError
from minigan.models.layers import (
    Activation,
    AvgPool2x,
    BatchNorm,
    ConcatLabel,
    ConditionalBatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    InstanceNorm,
    Linear,
    Reshape,
    Upsample2x,
)
from minigan.models.net import Net
from minigan.models.shapes import Act
from minigan.models.trees import Chain, Residual, Skip
from minigan.training.atomic import atomic_bytes
from minigan.training.layouts import outward
from minigan.training.run import Run

OPSET, IR = 22, 10  # ONNX 1.17, onnxruntime 1.20
LATENTS = 64
BOUND = 1e-5  # of the largest |x|, where that is above 1
LABEL = "label"  # the input that samples' labels come in by
FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)  # perm of a Transpose: channels first, channels last


class Value(NamedTuple):
    """A tensor of the graph: its name, and whether it is an image with channels first."""

    name: str
    first: bool = False


class Graph:
    """What is written so far: nodes and constants; `array` reads a layer's numbers."""

    def __init__(self, helper: Any, array: Callable[[Any], NDArray[Any]]):
        self.helper, self.array = helper, array
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.turned: set[str] = set()

    def node(self, op: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node and returns the name of what it makes, which is its own."""
        self.nodes.append(self.helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        self.constants[name] = np.ascontiguousarray(value, dtype)
        return name

    def ordered(self, x: Value, first: bool, shape: tuple[int, ...]) -> Value:
        """x with channels first, or last; `shape` is the sample's, as it is here."""
        if len(shape) != 3 or x.first == first:
            return x
        name = f"{x.name}.channels_{'first' if first else 'last'}"
        if name not in self.turned:  # two branches may ask for the same
            self.turned.add(self.node("Transpose", name, x.name, perm=FIRST if first else LAST))
        return Value(name, first)

    def act(self, x: Value, act: Act | None, name: str) -> Value:
        if act is None:
            return x
        op, attributes = ACTS[act.kind](act)
        return Value(self.node(op, f"{name}.{act.kind}", x.name, **attributes), x.first)


ACTS: dict[str, Callable[[Act], tuple[str, dict[str, Any]]]] = {
    "relu": lambda act: ("Relu", {}),
    "leaky_relu": lambda act: ("LeakyRelu", {"alpha": act.slope}),
    "tanh": lambda act: ("Tanh", {}),
    "sigmoid": lambda act: ("Sigmoid", {}),
}


def _scale_shift(graph: Graph, norm: BatchNorm | ConditionalBatchNorm) -> tuple[NDArray[Any], NDArray[Any]]:
    """s and t of y = s x + t, (C,) each, or (K,C) by label, in float64."""
    gamma, beta, mean, var = (graph.array(a).astype(np.float64) for a in (norm.gamma, norm.beta, norm.mean, norm.var))
    s = gamma / np.sqrt(var + norm.eps)
    return s, beta - mean * s


def _weighted(graph: Graph, layer: Any, x: Value, norm: BatchNorm | None) -> Value:
    """Linear, Conv2d, ConvTranspose2d, and the batchnorm behind it."""
    w = graph.array(layer.w).astype(np.float64)
    b = np.zeros(layer.out) if layer.b is None else graph.array(layer.b).astype(np.float64)
    if norm is not None:
        s, t = _scale_shift(graph, norm)
        w, b = w * (s[:, None] if isinstance(layer, ConvTranspose2d) else s), b * s + t
    weights = graph.constant(f"{layer.name}.weight", outward(layer, "w", w))
    inputs = [weights] if layer.b is None and norm is None else [weights, graph.constant(f"{layer.name}.bias", b)]
    x = graph.ordered(x, True, layer.in_shape)
    op, attributes = WEIGHTED[type(layer)](layer)
    y = Value(graph.node(op, layer.name, x.name, *inputs, **attributes), len(layer.out_shape) == 3)
    return graph.act(y, layer.act if norm is None else norm.act, layer.name)


def _window(layer: Any) -> dict[str, Any]:
    (top, bottom), (left, right) = layer.padding
    return {"kernel_shape": layer.kernel, "strides": layer.stride, "pads": (top, left, bottom, right)}


def _beyond(layer: ConvTranspose2d) -> dict[str, Any]:
    """output_padding: rows and columns that no tap of the kernel reaches, where the stride is larger than it."""
    sizes = zip(layer.in_shape, layer.out_shape, layer.kernel, layer.stride, layer.padding, strict=False)
    return {"output_padding": [out - ((size - 1) * s + k - sum(pads)) for size, out, k, s, pads in sizes]}


WEIGHTED: dict[type, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    Linear: lambda layer: ("Gemm", {"transB": 1}),
    Conv2d: lambda layer: ("Conv", _window(layer)),
    ConvTranspose2d: lambda layer: ("ConvTranspose", _window(layer) | _beyond(layer)),
}


def _batchnorm(graph: Graph, layer: BatchNorm, x: Value) -> Value:
    s, t = _scale_shift(graph, layer)
    axes = (-1, 1, 1) if x.first else (-1,)
    scaled = graph.node("Mul", f"{layer.name}.scaled", x.name, graph.constant(f"{layer.name}.scale", s.reshape(axes)))
    y = graph.node("Add", layer.name, scaled, graph.constant(f"{layer.name}.shift", t.reshape(axes)))
    return graph.act(Value(y, x.first), layer.act, layer.name)


def _conditional_batchnorm(graph: Graph, layer: ConditionalBatchNorm, x: Value) -> Value:
    scale, shift = (
        _by_label(graph, f"{layer.name}.{key}", table, _per_channel(layer, x))
        for key, table in zip(("scale", "shift"), _scale_shift(graph, layer), strict=True)
    )
    scaled = graph.node("Mul", f"{layer.name}.scaled", x.name, scale)
    y = graph.node("Add", layer.name, scaled, shift)
    return graph.act(Value(y, x.first), layer.act, layer.name)


def _per_channel(layer: Any, x: Value) -> tuple[int, ...]:
    """What a sample's (C,) numbers are reshaped to beside x."""
    return layer.in_shape if len(layer.in_shape) == 1 else (-1, 1, 1) if x.first else (1, 1, -1)


def _concat_label(graph: Graph, layer: ConcatLabel, x: Value) -> Value:
    e = _by_label(graph, f"{layer.name}.e", graph.array(layer.w), (*layer.in_shape[:-1], layer.features))
    x = graph.ordered(x, False, layer.in_shape)
    return Value(graph.node("Concat", layer.name, x.name, e, axis=-1))


def _by_label(graph: Graph, name: str, table: NDArray[Any], shape: tuple[int, ...]) -> str:
    """table (K,F): of each sample the row of its label, reshaped to `shape`."""
    row = graph.node("Gather", f"{name}.row", graph.constant(f"{name}.table", table), LABEL)
    return graph.node("Reshape", name, row, graph.constant(f"{name}.shape", (0, *shape), np.int64))


def _instancenorm(graph: Graph, layer: InstanceNorm, x: Value) -> Value:
    gamma, beta = (graph.constant(f"{layer.name}.{k}", graph.array(getattr(layer, k))) for k in ("gamma", "beta"))
    x = graph.ordered(x, True, layer.in_shape)
    y = graph.node("InstanceNormalization", layer.name, x.name, gamma, beta, epsilon=layer.eps)
    return graph.act(Value(y, True), layer.act, layer.name)


def _reshape(graph: Graph, layer: Reshape, x: Value) -> Value:
    """Features keep the order (H,W,C), as here."""
    x = graph.ordered(x, False, layer.in_shape)
    shape = graph.constant(f"{layer.name}.shape", (0, *layer.out_shape), np.int64)  # 0: N as it is
    return Value(graph.node("Reshape", layer.name, x.name, shape))


def _upsample(graph: Graph, layer: Upsample2x, x: Value) -> Value:
    x = graph.ordered(x, True, layer.in_shape)
    scales = graph.constant(f"{layer.name}.scales", (1, 1, 2, 2))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return Value(graph.node("Resize", layer.name, x.name, "", scales, **how), True)


def _avgpool(graph: Graph, layer: AvgPool2x, x: Value) -> Value:
    x = graph.ordered(x, True, layer.in_shape)
    return Value(graph.node("AveragePool", layer.name, x.name, kernel_shape=(2, 2), strides=(2, 2)), True)


def _chain(graph: Graph, chain: Chain, x: Value) -> Value:
    nodes = list(chain.nodes)
    while nodes:
        node = nodes.pop(0)
        if type(node) in WEIGHTED:
            follows = bool(nodes) and type(nodes[0]) is BatchNorm and node.act is None
            x = _weighted(graph, node, x, nodes.pop(0) if follows else None)
        else:
            x = _write(graph, node, x)
    return x


def _residual(graph: Graph, node: Residual, x: Value) -> Value:
    a, b = (_channels_first(graph, part, x) for part in (node.body, node.skip))
    return Value(graph.node("Add", node.name, a.name, b.name), a.first)


def _skip(graph: Graph, node: Skip, x: Value) -> Value:
    h = _channels_first(graph, node.down, x)
    u = _channels_first(graph, node.inner, h)
    both = Value(graph.node("Concat", f"{node.name}.concat", h.name, u.name, axis=1), h.first)
    return _write(graph, node.up, both)


def _channels_first(graph: Graph, node: Any, x: Value) -> Value:
    return graph.ordered(_write(graph, node, x), True, node.out_shape)


WRITERS: dict[type, Callable[[Graph, Any, Value], Value]] = {
    Linear: lambda graph, layer, x: _weighted(graph, layer, x, None),
    Conv2d: lambda graph, layer, x: _weighted(graph, layer, x, None),
    ConvTranspose2d: lambda graph, layer, x: _weighted(graph, layer, x, None),
    BatchNorm: _batchnorm,
    ConditionalBatchNorm: _conditional_batchnorm,
    ConcatLabel: _concat_label,
    InstanceNorm: _instancenorm,
    Activation: lambda graph, layer, x: graph.act(x, layer.act, layer.name),
    Dropout: lambda graph, layer, x: x,  # which drops in training alone
    Reshape: _reshape,
    Upsample2x: _upsample,
    AvgPool2x: _avgpool,
    Chain: _chain,
    Residual: _residual,
    Skip: _skip,
}


def _write(graph: Graph, node: Any, x: Value) -> Value:
    if type(node) not in WRITERS:
        name, known = getattr(node, "name", "a node"), ", ".join(kind.__name__ for kind in WRITERS)
        raise ConfigError(f"{name} ({type(node).__name__}) has no ONNX form here; known: {known}")
    return WRITERS[type(node)](graph, node, x)


def names(net: Net) -> tuple[str, str]:
    """What goes in and out is called: z and x, or x and y where pictures go in."""
    return ("x", "y") if len(net.in_shape) == 3 else ("z", "x")


def told(net: Net) -> bool:
    """Whether a layer of the net is told labels."""
    return any(isinstance(layer, ConcatLabel | ConditionalBatchNorm) for layer in net.layers)


def model(net: Net, helper: Any, numpy_helper: Any) -> Any:
    """A bound net as an ONNX ModelProto. Raises ConfigError at a layer that has no form there."""
    graph = Graph(helper, net.ops.to_numpy)
    given, gives = names(net)
    last = graph.ordered(_write(graph, net.root, Value(given)), False, net.out_shape)
    graph.node("Identity", gives, last.name)
    kind, whole = (helper.np_dtype_to_tensor_dtype(np.dtype(a)) for a in (np.float32, np.int64))
    labels = [helper.make_tensor_value_info(LABEL, whole, ("N",))] if told(net) else []
    made = helper.make_graph(
        graph.nodes,
        "generator",
        [helper.make_tensor_value_info(given, kind, ("N", *net.in_shape)), *labels],
        [helper.make_tensor_value_info(gives, kind, ("N", *net.out_shape))],
        [numpy_helper.from_array(a, name) for name, a in graph.constants.items()],
    )
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="minigan"
    )


def write(run: Run, out: Path, name: str = "") -> str:
    """The generator that `sample` draws from, or the net of that name, into `out`, checked first; returns what was.

    Raises ConfigError without onnx, on a net that is not there, or at a layer that has no ONNX form, BackendError when
    onnxruntime computes other numbers; nothing is written then.
    """
    nets = run.task.nets
    if (name or run.weights) not in nets:
        raise ConfigError(f"net {name or run.weights!r} is none of this run; give --net {' or '.join(nets)}")
    net = nets[name or run.weights]
    try:
        import onnx
    except ImportError as e:
        raise ConfigError("an .onnx file is written by the package onnx: pip install 'minigan[export]'") from e
    made = model(net, onnx.helper, onnx.numpy_helper)
    onnx.checker.check_model(made, full_check=True)
    data = made.SerializeToString()
    verdict = _compared(run, net, data, out)
    atomic_bytes(out, data)
    return verdict


def _compared(run: Run, net: Net, data: bytes, out: Path) -> str:
    """Runs it on LATENTS z, or pictures of noise, where onnxruntime is installed, held against minigan's numbers."""
    try:
        import onnxruntime
    except ImportError:
        return "passed onnx.checker; not run, for onnxruntime is not installed"
    labels = run.labels(LATENTS) if told(net) else None
    if len(net.in_shape) == 3:
        given = rng.host(0, "export").uniform(*run.picture_range, (LATENTS, *net.in_shape)).astype(np.float32)
    else:
        given = run.task.z("sample", 0, LATENTS, 0).astype(np.float32)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    inputs = {names(net)[0]: given} | ({} if labels is None else {LABEL: labels.astype(np.int64)})
    (x,), own = session.run(None, inputs), run.task.drawn(net, given, labels)
    worst = float(np.abs(x - own).max() / max(1.0, np.abs(own).max()))
    if not worst <= BOUND:
        raise BackendError(
            f"{out}: not written: onnxruntime {onnxruntime.__version__} makes samples that are {worst:.1e} from "
            f"minigan's, at most {BOUND:.0e} may be; try another onnxruntime"
        )
    return f"passed onnx.checker, and onnxruntime {onnxruntime.__version__} gives {LATENTS} samples within {worst:.1e}"
