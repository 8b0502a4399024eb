"""The shapes of a convolution as kernels take them: 14 numbers, and what of them follows."""

from minigan.backends.cuda._numba import device_function
from minigan.models.shapes import Pads, Pair, Shape

# x (N,H,V,C), w (KH,KW,C,O), y (N,P,Q,O), stride, the padding before; CHUNK: how much of K a block takes (gemm.py)
N, H, V, C, KH, KW, O, P, Q, SH, SW, TOP, LEFT, CHUNK = range(14)  # noqa: E741
SIZE = 14


def geometry(x: Shape, w: Shape, out: Pair, stride: Pair, padding: Pads, chunk: int = 0) -> tuple[int, ...]:
    """x (N,H,W,I), w (KH,KW,I,O), out (P, Q)."""
    return (*x, w[0], w[1], w[3], *out, *stride, padding[0][0], padding[1][0], chunk)


@device_function
def window(g, row):
    """Row n, p, q of the windows: n, and the image's h and v under the kernel's first tap."""
    q, rest = row % g[Q], row // g[Q]
    return rest // g[P], rest % g[P] * g[SH] - g[TOP], q * g[SW] - g[LEFT]


@device_function
def first_of_class(stride, before, remainder):
    """The first pixel h of a class: (h + before) mod stride = remainder."""
    return (remainder - before % stride + stride) % stride


@device_function
def members(size, first, stride):
    """How many of first, first + stride, ... lie below `size`."""
    return (size - first + stride - 1) // stride
