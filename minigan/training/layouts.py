"""Layouts at the border: how PyTorch and ONNX name and turn the arrays that a layer holds here.

Both put channels first: a convolution's weights are (O,I,KH,KW), a transposed one's (I,O,KH,KW), a dense layer's (O,I).
None of them is flipped: all three run the same cross-correlation, and its adjoint. Vectors are as they are.

    here      there                 Conv2d (KH,KW,I,O) -> (O,I,KH,KW)
    g.0.w     g.0.weight            ConvTranspose2d (KH,KW,O,I) -> (I,O,KH,KW)
    g.0.b     g.0.bias              Linear (I,O) -> (O,I)
    g.1.gamma g.1.weight, and so on
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.models.layers import Conv2d, ConvTranspose2d, Layer, Linear
from minigan.models.net import Net

NAMES = {"w": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}
AXES: dict[Any, Sequence[int]] = {Conv2d: (3, 2, 0, 1), ConvTranspose2d: (3, 2, 0, 1), Linear: (1, 0)}  # of w


def outward(layer: Layer, key: str, a: NDArray[Any]) -> NDArray[Any]:
    """A layer's array `key` as PyTorch and ONNX lay it out."""
    return np.ascontiguousarray(a.transpose(_axes(layer, key, a.ndim)))


def inward(layer: Layer, key: str, a: NDArray[Any]) -> NDArray[Any]:
    """The way back. An array with another number of axes than the layer's comes back as it is."""
    axes = _axes(layer, key, a.ndim)
    return np.ascontiguousarray(a.transpose(np.argsort(axes))) if len(axes) == a.ndim else a


def pairs(net: Net, name: str) -> dict[str, tuple[str, Layer, str]]:
    """there -> (here, layer, key) for all that `net` holds, in a file that calls the net `name`."""
    return {
        f"{name}{layer.name.removeprefix(net.name)}.{NAMES.get(key, key)}": (f"{layer.name}.{key}", layer, key)
        for layer in net.layers
        for key in (*layer.params, *layer.state)
    }


def _axes(layer: Layer, key: str, ndim: int) -> Sequence[int]:
    kinds = (axes for kind, axes in AXES.items() if key == "w" and isinstance(layer, kind))
    return next(kinds, range(ndim))
