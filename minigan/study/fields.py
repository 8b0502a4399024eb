"""Receptive fields: how many pixels of a net's input a number inside it can depend on, along each axis.

A layer tells which of its inputs lo .. hi reach its outputs a .. b:

    Conv2d            a s - before  ..  b s - before + k - 1
    ConvTranspose2d   ceil((a + before - k + 1) / s)  ..  floor((b + before) / s)
    AvgPool2x         2 a .. 2 b + 1             Upsample2x   a // 2 .. b // 2
    pixel by pixel    a .. b                     anything else: all

and the layers' maps are composed, back to the input; branches that join give the hull of both. The field of a layer is
the widest one of its pixels', padding included. That a norm reads the whole image for its statistics is not counted.
Source: Dumoulin & Visin 2016, arXiv:1603.07285.
"""

from collections.abc import Callable
from math import inf
from typing import Any

from minigan.models.layers import AvgPool2x, Conv2d, ConvTranspose2d, Layer, Upsample2x
from minigan.models.net import Net
from minigan.models.trees import Chain, Heads, Residual, Skip

Span = tuple[float, float]
Back = Callable[[int, Span], Span]  # (axis, the span of a node's outputs) -> the span of the net's inputs
ALL: Span = (-inf, inf)


def fields(net: Net) -> dict[str, tuple[float, float]]:
    """layer -> (height, width) of its receptive field; infinite where it sees all. {} where the input is no image."""
    found: dict[str, tuple[float, float]] = {}
    if len(net.in_shape) == 3:
        _visit(net.root, lambda axis, span: span, found)
    return found


def _visit(node: Any, back: Back, found: dict[str, tuple[float, float]]) -> Back:
    """Notes the fields of the layers in `node`, whose inputs go `back`, and gives what goes back from its outputs."""
    if isinstance(node, Layer):
        own = _layer(node)
        through: Back = lambda axis, span: back(axis, own(axis, span))  # noqa: E731
        found[node.name] = _widest(through, node, 0), _widest(through, node, 1)
        return through
    return _VISITS[type(node)](node, back, found)


def _chain(node: Chain, back: Back, found: Any) -> Back:
    for child in node.nodes:
        back = _visit(child, back, found)
    return back


def _residual(node: Residual, back: Back, found: Any) -> Back:
    return _hull(_visit(node.body, back, found), _visit(node.skip, back, found))


def _skip(node: Skip, back: Back, found: Any) -> Back:
    down = _visit(node.down, back, found)
    return _visit(node.up, _hull(down, _visit(node.inner, down, found)), found)


def _heads(node: Heads, back: Back, found: Any) -> Back:
    trunk = _visit(node.trunk, back, found)
    return _hull(_visit(node.a, trunk, found), _visit(node.b, trunk, found))


_VISITS: dict[Any, Callable[[Any, Back, Any], Back]] = {
    Chain: _chain,
    Residual: _residual,
    Skip: _skip,
    Heads: _heads,
}


def _hull(a: Back, b: Back) -> Back:
    def both(axis: int, span: Span) -> Span:
        (lo, hi), (low, high) = a(axis, span), b(axis, span)
        return min(lo, low), max(hi, high)

    return both


def _layer(layer: Any) -> Back:
    """Which inputs of a layer reach a span of its outputs."""
    if isinstance(layer, Conv2d | ConvTranspose2d):
        k, s, before = layer.kernel, layer.stride, [pads[0] for pads in layer.padding]
        if isinstance(layer, Conv2d):
            return lambda axis, span: (
                span[0] * s[axis] - before[axis],
                span[1] * s[axis] - before[axis] + k[axis] - 1,
            )
        return lambda axis, span: (
            -((k[axis] - 1 - before[axis] - span[0]) // s[axis]),
            (span[1] + before[axis]) // s[axis],
        )
    if isinstance(layer, AvgPool2x):
        return lambda axis, span: (2 * span[0], 2 * span[1] + 1)
    if isinstance(layer, Upsample2x):
        return lambda axis, span: (span[0] // 2, span[1] // 2)
    images = len(layer.in_shape) == len(layer.out_shape) == 3
    same = images and layer.in_shape[:2] == layer.out_shape[:2]
    return (lambda axis, span: span) if same else (lambda axis, span: ALL)


def _widest(back: Back, layer: Layer, axis: int) -> float:
    """Over all of a layer's pixels; without pixels, what its first output sees."""
    size = layer.out_shape[axis] if len(layer.out_shape) == 3 else 1
    spans = [back(axis, (a, a)) for a in range(size)]
    return max(hi - lo + 1 for lo, hi in spans)
