"""Convolution and its two gradients: the product of gemm.py over windows that are never written down.

              rows of C            columns    k, three digits    A                          B
    conv2d    n, p, q              o          i, j, c            x[n, p*sh+i-top, ..., c]   w[i,j,c,o]
    dgrad     n, h, v              c          i', j', o          dy[n, p, q, o]             w[i,j,c,o]
    wgrad     i, j, c              o          n, p, q            x[n, p*sh+i-top, ..., c]   dy[n,p,q,o]

Elements of A outside the image are zero. In the data gradient, pixel h meets tap i where p*sh + i - top = h: a stride
cuts the pixels into sh x sw classes by (h + top) mod sh, and each class meets its own taps only, i = r, r + sh, ...

    stride 2, 5 taps:   h + top even: taps 0 2 4        odd: taps 1 3        digit i' counts them: i = r + i' sh

so nothing is multiplied by the zeros between pixels. A grid plane is one class; of the other two it is a part of K.
"""

from minigan.backends.cuda._numba import device_function, float32
from minigan.backends.cuda.gemm import Operand, once, parts, product, run
from minigan.backends.cuda.geometry import (
    CHUNK,
    KH,
    KW,
    LEFT,
    SH,
    SIZE,
    SW,
    TOP,
    C,
    H,
    N,
    O,
    P,
    Q,
    V,
    first_of_class,
    geometry,
    members,
    window,
)  # fmt: skip
from minigan.models.shapes import Act, Array, Pads, Pair

# ------------------------------------------------------------------------------------------------------------- forward


@device_function
def _forward_part(g, z):
    """Plane z takes the k's from z chunk on; rows n, p, q."""
    begin, k = z * g[CHUNK], g[KH] * g[KW] * g[C]
    return g[N] * g[P] * g[Q], g[O], begin, min(begin + g[CHUNK], k), g[KW], g[C], z, 0


@device_function
def _window(g, part, _, row):
    """Row n, p, q: where its image begins, and its window's first pixel."""
    n, top, left = window(g, row)
    return n * g[H] * g[V] * g[C], top, left


@device_function
def _pixel(x, g, part, _, image, top, left, i, j, c):
    """x at tap (i, j) of the window, channel c."""
    h, v = top + i, left + j
    inside = h >= 0 and h < g[H] and v >= 0 and v < g[V]
    return x[image + (h * g[V] + v) * g[C] + c] if inside else float32(0)


@device_function
def _column_of_w(g, part, _, o):
    return o, 0, 0


@device_function
def _weight(w, g, part, _, o, o1, o2, i, j, c):
    return w[((i * g[KW] + j) * g[C] + c) * g[O] + o]


@device_function
def _forward_place(g, part, _, row):
    """y (N,P,Q,O), of every part."""
    return (part * g[N] * g[P] * g[Q] + row) * g[O]


_conv2d = product(
    "conv2d", SIZE, Operand(True, _window, _pixel), Operand(False, _column_of_w, _weight), _forward_part, _forward_place
)


# ------------------------------------------------------------------------------------------------------- data gradient


@device_function
def _dgrad_part(g, z):
    """Plane z is class (r, s): its pixels and its taps."""
    r, s = z // g[SW], z % g[SW]
    high = members(g[H], first_of_class(g[SH], g[TOP], r), g[SH])
    wide = members(g[V], first_of_class(g[SW], g[LEFT], s), g[SW])
    taps_h, taps_w = members(g[KH], r, g[SH]), members(g[KW], s, g[SW])
    return g[N] * high * wide, g[C], 0, taps_h * taps_w * g[O], taps_w, g[O], r, s


@device_function
def _class_pixel(g, r, s, row):
    """Row of class (r, s): n, h, v."""
    first_h, first_v = first_of_class(g[SH], g[TOP], r), first_of_class(g[SW], g[LEFT], s)
    high, wide = max(members(g[H], first_h, g[SH]), 1), max(members(g[V], first_v, g[SW]), 1)
    rest = row // wide
    return rest // high, first_h + rest % high * g[SH], first_v + row % wide * g[SW]


@device_function
def _first_output(g, r, s, row):
    """Pixel n, h, v: where the image of dy begins, and the p, q that its class's first tap comes from."""
    n, h, v = _class_pixel(g, r, s, row)
    return n * g[P] * g[Q] * g[O], (h + g[TOP] - r) // g[SH], (v + g[LEFT] - s) // g[SW]


@device_function
def _output(dy, g, r, s, image, p, q, i, j, o):
    """dy where tap (r + i sh, s + j sw) comes from."""
    p, q = p - i, q - j
    inside = p >= 0 and p < g[P] and q >= 0 and q < g[Q]
    return dy[image + (p * g[Q] + q) * g[O] + o] if inside else float32(0)


@device_function
def _channel_of_w(g, r, s, c):
    return c, 0, 0


@device_function
def _class_weight(w, g, r, s, c, o1, o2, i, j, o):
    return w[(((r + i * g[SH]) * g[KW] + s + j * g[SW]) * g[C] + c) * g[O] + o]


@device_function
def _dgrad_place(g, r, s, row):
    """dx (N,H,V,C)."""
    n, h, v = _class_pixel(g, r, s, row)
    return ((n * g[H] + h) * g[V] + v) * g[C]


_conv2d_dgrad = product(
    "conv2d_dgrad", SIZE, Operand(True, _first_output, _output), Operand(True, _channel_of_w, _class_weight),
    _dgrad_part, _dgrad_place,
)  # fmt: skip


# ----------------------------------------------------------------------------------------------------- weight gradient


@device_function
def _wgrad_part(g, z):
    """Plane z takes the k's from z chunk on; rows i, j, c."""
    begin, k = z * g[CHUNK], g[N] * g[P] * g[Q]
    return g[KH] * g[KW] * g[C], g[O], begin, min(begin + g[CHUNK], k), g[P], g[Q], z, 0


@device_function
def _tap(g, part, _, row):
    """Row i, j, c: the channel, and the tap's place in the image for p = q = 0."""
    c, rest = row % g[C], row // g[C]
    return c, rest // g[KW] - g[TOP], rest % g[KW] - g[LEFT]


@device_function
def _pixel_of_tap(x, g, part, _, c, top, left, n, p, q):
    """x at the tap's place in the window of n, p, q."""
    h, v = p * g[SH] + top, q * g[SW] + left
    inside = h >= 0 and h < g[H] and v >= 0 and v < g[V]
    return x[((n * g[H] + h) * g[V] + v) * g[C] + c] if inside else float32(0)


@device_function
def _gradient(dy, g, part, _, o, o1, o2, n, p, q):
    return dy[((n * g[P] + p) * g[Q] + q) * g[O] + o]


@device_function
def _wgrad_place(g, part, _, row):
    """dw (KH,KW,C,O), of every part."""
    return (part * g[KH] * g[KW] * g[C] + row) * g[O]


_conv2d_wgrad = product(
    "conv2d_wgrad", SIZE, Operand(False, _tap, _pixel_of_tap), Operand(False, _column_of_w, _gradient),
    _wgrad_part, _wgrad_place,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- the ops


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None, y: Array) -> None:
    """Fills y (N,P,Q,O)."""
    columns = w.shape[3]
    count, chunk = parts(y.size // columns, columns, w.size // columns)
    g = geometry(x.shape, w.shape, y.shape[1:3], stride, padding, chunk)
    run(_conv2d, x, w, y, g, (y.size // columns, columns, count), b, act)


def conv2d_dgrad(dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None, dx: Array) -> None:
    """Fills dx (N,H,W,I)."""
    largest = dx.shape[0] * -(-dx.shape[1] // stride[0]) * -(-dx.shape[2] // stride[1])  # class
    g = geometry(dx.shape, w.shape, dy.shape[1:3], stride, padding)
    once(_conv2d_dgrad, dy, w, dx, g, (largest, w.shape[2], stride[0] * stride[1]), b, act)


def conv2d_wgrad(dy: Array, x: Array, dw: Array, stride: Pair, padding: Pads) -> None:
    """Adds into dw (KH,KW,I,O)."""
    columns = dw.shape[3]
    count, chunk = parts(dw.size // columns, columns, dy.size // columns)
    g = geometry(x.shape, dw.shape, dy.shape[1:3], stride, padding, chunk)
    run(_conv2d_wgrad, x, dy, dw, g, (dw.size // columns, columns, count), add=True)
