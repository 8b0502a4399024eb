"""What the inner nodes of a chain give, the gradient back from them, and the perceptual loss made of both.

A perceptual loss compares images by what a fixed network sees in them: the net is run up to a few inner nodes, and the
gradient of the distance there is sent back to the image by the net's own backward passes, without touching its weights.
Source: Johnson et al. 2016, arXiv:1603.08155; Dosovitskiy & Brox 2016, arXiv:1602.02644.
"""

from collections.abc import Sequence
from typing import Any

from minigan.errors import ShapeError
from minigan.models.layers import How
from minigan.models.net import Net
from minigan.models.shapes import Array, expect
from minigan.models.trees import Chain, back


def forward_taps(
    net: Net, x: Array, taps: Sequence[int], mode: str = "running", call: int = 0, labels: Array | None = None
) -> tuple[list[Array], Any]:
    """x (N, *in_shape) -> the outputs of the nodes `taps` of the net's chain, ascending, and a ctx.

    `mode`, `call` and `labels` are as in Net.forward. Nodes behind the last tap do not run. Raises ShapeError when the
    net is no chain or has no such node.
    """
    nodes = net.root.nodes if isinstance(net.root, Chain) else []
    if not taps or list(taps) != sorted({*taps}) or not 0 <= taps[0] <= taps[-1] < len(nodes):
        raise ShapeError(f"taps {list(taps)} of {net.name}: give ascending numbers of its chain's {len(nodes)} nodes")
    expect(f"the input of {net.name}", x, None, *net.in_shape)
    net.announce("forward")
    how, outs, ctx = How(mode, net.clock, call, labels), [], []
    for i, node in enumerate(nodes[: taps[-1] + 1]):
        x, saved = node.forward(x, how)
        ctx.append(saved)
        if i in taps:
            outs.append(x)
    return outs, (tuple(taps), tuple(ctx))


def backward_taps(net: Net, douts: Sequence[Array], ctx: Any, need_dw: bool = False) -> Array:
    """douts, like what forward_taps gave -> dx (N, *in_shape); adds into `dp` when need_dw.

    Where a tap lies, the gradient that comes from behind and its own add up: dy_i = dout_i + dx_{i+1}.
    """
    taps, saved = ctx
    net.announce("backward")
    given = dict(zip(taps, douts, strict=True))
    dy = given.pop(taps[-1])
    for i in reversed(range(len(saved))):
        if i in given:
            dy = net.ops.axpby(1.0, dy, 1.0, given[i])
        dy = back(net.root.nodes[i], dy, saved[i], True, need_dw, None)
    return dy


def feature_distance(net: Net, x: Array, target: Array, taps: Sequence[int]) -> tuple[Array, Array]:
    """x, target (N, *in_shape) -> loss (0-d), dx: how far x is from target as the fixed net sees both.

    loss = 1/L sum_l mean (f_l(x) - f_l(target))^2    over the L nodes `taps`, f_l their outputs, running statistics
    dx = sum_l J_l' 2 (f_l(x) - f_l(target)) / (L size_l)    neither the target nor the net's weights get a gradient.
    Source: Johnson et al. 2016, arXiv:1603.08155, equation 2, the mean over layers.
    """
    ops, share = net.ops, 1.0 / len(taps)
    wanted, _ = forward_taps(net, target, taps)
    seen, ctx = forward_taps(net, x, taps)
    pairs = [ops.mse_loss(a, b) for a, b in zip(seen, wanted, strict=True)]
    loss = ops.scale(pairs[0][0], share)
    for term, _ in pairs[1:]:
        loss = ops.axpby(1.0, loss, share, term)
    return loss, backward_taps(net, [ops.scale(d, share) for _, d in pairs], ctx)
