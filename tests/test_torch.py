"""Penalties against PyTorch's double backward, in float64. Run with `pytest -m bench`."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_second import bound, gan, numbers

from minigan import config
from minigan.models.layers import (
    AvgPool2x,
    Conv2d,
    ConvTranspose2d,
    InstanceNorm,
    LayerNorm,
    Linear,
    Reshape,
    Upsample2x,
)
from minigan.models.net import Net
from minigan.models.shapes import Act
from minigan.models.trees import Chain, Residual
from minigan.penalties import PENALTIES, Penalty
from minigan.study.rows_second import NETS

pytestmark = pytest.mark.bench
torch = pytest.importorskip("torch")

ACTS: dict[str, Callable[[Any, float], Any]] = {
    "relu": lambda z, slope: torch.relu(z),
    "leaky_relu": lambda z, slope: torch.nn.functional.leaky_relu(z, slope),
    "tanh": lambda z, slope: torch.tanh(z),
    "sigmoid": lambda z, slope: torch.sigmoid(z),
}


def _conv2d(layer: Any, x: Any, p: dict[str, Any]) -> Any:
    (top, bottom), (left, right) = layer.padding
    x = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    return torch.nn.functional.conv2d(x, p["w"].permute(3, 2, 0, 1), p.get("b"), layer.stride).permute(0, 2, 3, 1)


def _transposed(layer: Any, x: Any, p: dict[str, Any]) -> Any:
    (top, _), (left, _) = layer.padding
    h, w, _ = layer.out_shape
    y = torch.nn.functional.conv_transpose2d(x.permute(0, 3, 1, 2), p["w"].permute(3, 2, 0, 1), None, layer.stride)
    return y.permute(0, 2, 3, 1)[:, top : top + h, left : left + w] + p["b"]


def _norm(*axes: int) -> Callable[[Any, Any, dict[str, Any]], Any]:
    def run(layer: Any, x: Any, p: dict[str, Any]) -> Any:
        over = axes or tuple(range(1, x.ndim))
        mean = x.mean(dim=over, keepdim=True)
        var = ((x - mean) ** 2).mean(dim=over, keepdim=True)
        return p["gamma"] * (x - mean) / torch.sqrt(var + layer.eps) + p["beta"]

    return run


LAYERS: dict[str, Callable[[Any, Any, dict[str, Any]], Any]] = {
    "Linear": lambda layer, x, p: x @ p["w"] + p.get("b", 0.0),
    "Conv2d": _conv2d,
    "ConvTranspose2d": _transposed,
    "LayerNorm": _norm(),
    "InstanceNorm": _norm(1, 2),
    "Activation": lambda layer, x, p: x,
    "Reshape": lambda layer, x, p: x.reshape(len(x), *layer.out_shape),
    "Upsample2x": lambda layer, x, p: x.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2),
    "AvgPool2x": lambda layer, x, p: x.unflatten(1, (-1, 2)).unflatten(3, (-1, 2)).mean(dim=(2, 4)),
}


def _forward(node: Any, x: Any, params: dict[str, Any]) -> Any:
    """What a tree of chains and residual blocks gives for x."""
    if isinstance(node, Residual):
        return _forward(node.body, x, params) + _forward(node.skip, x, params)
    if isinstance(node, Chain):
        for child in node.nodes:
            x = _forward(child, x, params)
        return x
    y = LAYERS[type(node).__name__](node, x, {key: params[f"{node.name}.{key}"] for key in node.params})
    act = getattr(node, "act", None)
    return y if act is None else ACTS[act.kind](y, act.slope)


def _by_torch(net: Net, name: str, batches: list[np.ndarray], weight: float) -> tuple[float, dict[str, np.ndarray]]:
    """The penalty at these points, and its gradient by every parameter, by differentiating twice."""
    params = {key: torch.tensor(a, requires_grad=True) for key, a in net.layout.views(net.p).items()}
    penalty = 0.0
    for x in batches:
        points = torch.tensor(x, requires_grad=True)
        (g,) = torch.autograd.grad(_forward(net.root, points, params).sum(), points, create_graph=True)
        r = g.flatten(1).norm(dim=1)
        penalty = penalty + weight * ((r - 1) ** 2 if PENALTIES[name].norm == "one" else r**2 / 2).mean()
    grads = torch.autograd.grad(penalty, list(params.values()), allow_unused=True)
    found = [np.zeros(a.shape) if da is None else da.numpy() for a, da in zip(params.values(), grads, strict=True)]
    return float(penalty.detach()), dict(zip(params, found, strict=True))


def _mixed() -> Net:
    """Every layer with a tangent in one critic, but dropout, whose mask PyTorch does not draw, and labels."""
    tanh, sigmoid, leaky = Act("tanh"), Act("sigmoid"), Act("leaky_relu", 0.2)
    root = Chain(
        Conv2d(3, 3, 2, act=tanh), InstanceNorm(act=leaky), ConvTranspose2d(4, 5, 2, act=sigmoid), AvgPool2x(),
        LayerNorm(act=tanh), Upsample2x(), Conv2d(2, (3, 2), (2, 1), act=leaky), Reshape(-1), Linear(5, act=tanh),
        Linear(1),
    )  # fmt: skip
    return bound(root, (8, 8, 2))


KINDS: dict[str, Callable[[], Net]] = {
    # a spectrally normalised w is a function of the w that is learned; gradcheck and test_spectral.py hold its gradient
    **{kind: lambda kind=kind: gan("none", kind).D for kind in NETS if "spectral" not in kind},  # type: ignore[misc]
    "mixed": _mixed,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_is_that_of_differentiating_twice(name: str, kind: str) -> None:
    net, words = KINDS[kind](), config.Penalty(name, weight=3.0)
    real, fake = ((x, net.forward(x)[1]) for x in (numbers(6, *net.in_shape, seed=s) for s in (1, 2)))
    net.dp[...] = 0.0
    penalty = Penalty(words, net, seed=0)
    given = penalty.draw(real[0].shape, np.float64, 1)
    value = penalty.add(real, fake, given)["penalty"]
    batches = [points(net, real, fake, given[1:])[0] for points in penalty.row.points]
    expected, grads = _by_torch(net, name, batches, 3.0)
    assert float(value) == pytest.approx(expected, rel=1e-12)
    size = np.sqrt(sum((a**2).sum() for a in grads.values()))
    for key, mine in net.layout.views(net.dp).items():
        assert np.abs(mine - grads[key]).max() <= 1e-10 * size, key
