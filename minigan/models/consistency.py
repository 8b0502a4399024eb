"""Consistency: D pays for giving T(x) another verdict than x, C = weight * mean_n ||D(x_n) - D(T(x_n))||^2.

Of a real and of a generated batch, balanced consistency regularisation (bCR). Its gradient goes by both outputs:

    d = dC/dD(x) = 2 weight (D(x) - D(T(x))) / N, and dC/dD(T(x)) = -d

Source: Zhao et al. 2020, "Improved Consistency Regularization for GANs", arXiv:2002.04724; on real batches alone Zhang
et al. 2020, arXiv:1910.12027.
"""

from minigan.models.net import Net
from minigan.models.shapes import Array


def pull(D: Net, y: Array, moved: Array, weight: float, call: int, labels: Array | None = None) -> tuple[Array, Array]:
    """y = D(x) (N,1), moved = T(x) like x -> C (0-d), dy; adds to D's gradient what comes by D(T(x)).

    `call` numbers D's pass on T(x), which leaves running statistics alone: they are of images as they are.
    """
    ops = D.ops
    seen, ctx = D.forward(moved, mode="frozen", call=call, labels=labels)
    loss, dy = ops.mse_loss(y, seen)
    D.backward(ops.scale(dy, -weight), ctx, need_dx=False)
    return ops.scale(loss, weight), ops.scale(dy, weight)
