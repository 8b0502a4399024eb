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

from minigan.backends import checks
from minigan.backends.cuda._numba import device_function, float32
from minigan.backends.cuda.columns import column_sums
from minigan.backends.cuda.device import device
from minigan.backends.cuda.gemm import Operand, once, parts, product, run
from minigan.backends.cuda.launch import checked
from minigan.models.shapes import Act, Array, Pads, Pair, Shape, conv_out

# What the functions below read of g: x (N,H,V,C), w (KH,KW,C,O), y (N,P,Q,O), and how much of K a block takes
_N, _H, _V, _C, _KH, _KW, _O, _P, _Q, _SH, _SW, _TOP, _LEFT, _CHUNK = range(14)


# ------------------------------------------------------------------------------------------------------------- forward


@device_function
def _forward_part(g, z):
    """Plane z takes the k's from z chunk on; rows n, p, q."""
    begin, k = z * g[_CHUNK], g[_KH] * g[_KW] * g[_C]
    return g[_N] * g[_P] * g[_Q], g[_O], begin, min(begin + g[_CHUNK], k), g[_KW], g[_C], z, 0


@device_function
def _window(g, part, _, row):
    """Row n, p, q: where its image begins, and its window's first pixel."""
    q, rest = row % g[_Q], row // g[_Q]
    p, n = rest % g[_P], rest // g[_P]
    return n * g[_H] * g[_V] * g[_C], p * g[_SH] - g[_TOP], q * g[_SW] - g[_LEFT]


@device_function
def _pixel(x, g, part, _, image, top, left, i, j, c):
    """x at tap (i, j) of the window, channel c."""
    h, v = top + i, left + j
    inside = h >= 0 and h < g[_H] and v >= 0 and v < g[_V]
    return x[image + (h * g[_V] + v) * g[_C] + c] if inside else float32(0)


@device_function
def _column_of_w(g, part, _, o):
    return o, 0, 0


@device_function
def _weight(w, g, part, _, o, o1, o2, i, j, c):
    return w[((i * g[_KW] + j) * g[_C] + c) * g[_O] + o]


@device_function
def _forward_place(g, part, _, row):
    """y (N,P,Q,O), of every part."""
    return (part * g[_N] * g[_P] * g[_Q] + row) * g[_O]


_conv2d = product(
    "conv2d", 14, Operand(True, _window, _pixel), Operand(False, _column_of_w, _weight), _forward_part, _forward_place
)


# ------------------------------------------------------------------------------------------------------- data gradient


@device_function
def _in_class(size, stride, before, remainder):
    """The first pixel of a class and how many there are: those h below `size` with (h + before) mod stride = r."""
    first = (remainder - before % stride + stride) % stride
    return first, (size - first + stride - 1) // stride


@device_function
def _taps(kernel, stride, remainder):
    """How many taps r, r + stride, ... a kernel has."""
    return (kernel - remainder + stride - 1) // stride


@device_function
def _dgrad_part(g, z):
    """Plane z is class (r, s): its pixels and its taps."""
    r, s = z // g[_SW], z % g[_SW]
    _, high = _in_class(g[_H], g[_SH], g[_TOP], r)
    _, wide = _in_class(g[_V], g[_SW], g[_LEFT], s)
    taps_w = _taps(g[_KW], g[_SW], s)
    return g[_N] * high * wide, g[_C], 0, _taps(g[_KH], g[_SH], r) * taps_w * g[_O], taps_w, g[_O], r, s


@device_function
def _class_pixel(g, r, s, row):
    """Row of class (r, s): n, h, v."""
    first_h, high = _in_class(g[_H], g[_SH], g[_TOP], r)
    first_v, wide = _in_class(g[_V], g[_SW], g[_LEFT], s)
    v, rest = row % max(wide, 1), row // max(wide, 1)
    h, n = rest % max(high, 1), rest // max(high, 1)
    return n, first_h + h * g[_SH], first_v + v * g[_SW]


@device_function
def _first_output(g, r, s, row):
    """Pixel n, h, v: where the image of dy begins, and the p, q that its class's first tap comes from."""
    n, h, v = _class_pixel(g, r, s, row)
    return n * g[_P] * g[_Q] * g[_O], (h + g[_TOP] - r) // g[_SH], (v + g[_LEFT] - s) // g[_SW]


@device_function
def _output(dy, g, r, s, image, p, q, i, j, o):
    """dy where tap (r + i sh, s + j sw) comes from."""
    p, q = p - i, q - j
    inside = p >= 0 and p < g[_P] and q >= 0 and q < g[_Q]
    return dy[image + (p * g[_Q] + q) * g[_O] + o] if inside else float32(0)


@device_function
def _channel_of_w(g, r, s, c):
    return c, 0, 0


@device_function
def _class_weight(w, g, r, s, c, o1, o2, i, j, o):
    return w[(((r + i * g[_SH]) * g[_KW] + s + j * g[_SW]) * g[_C] + c) * g[_O] + o]


@device_function
def _dgrad_place(g, r, s, row):
    """dx (N,H,V,C)."""
    n, h, v = _class_pixel(g, r, s, row)
    return ((n * g[_H] + h) * g[_V] + v) * g[_C]


_conv2d_dgrad = product(
    "conv2d_dgrad", 14, Operand(True, _first_output, _output), Operand(True, _channel_of_w, _class_weight),
    _dgrad_part, _dgrad_place,
)  # fmt: skip


# ----------------------------------------------------------------------------------------------------- weight gradient


@device_function
def _wgrad_part(g, z):
    """Plane z takes the k's from z chunk on; rows i, j, c."""
    begin, k = z * g[_CHUNK], g[_N] * g[_P] * g[_Q]
    return g[_KH] * g[_KW] * g[_C], g[_O], begin, min(begin + g[_CHUNK], k), g[_P], g[_Q], z, 0


@device_function
def _tap(g, part, _, row):
    """Row i, j, c: the channel, and the tap's place in the image for p = q = 0."""
    c, rest = row % g[_C], row // g[_C]
    return c, rest // g[_KW] - g[_TOP], rest % g[_KW] - g[_LEFT]


@device_function
def _pixel_of_tap(x, g, part, _, c, top, left, n, p, q):
    """x at the tap's place in the window of n, p, q."""
    h, v = p * g[_SH] + top, q * g[_SW] + left
    inside = h >= 0 and h < g[_H] and v >= 0 and v < g[_V]
    return x[((n * g[_H] + h) * g[_V] + v) * g[_C] + c] if inside else float32(0)


@device_function
def _gradient(dy, g, part, _, o, o1, o2, n, p, q):
    return dy[((n * g[_P] + p) * g[_Q] + q) * g[_O] + o]


@device_function
def _wgrad_place(g, part, _, row):
    """dw (KH,KW,C,O), of every part."""
    return (part * g[_KH] * g[_KW] * g[_C] + row) * g[_O]


_conv2d_wgrad = product(
    "conv2d_wgrad", 14, Operand(False, _tap, _pixel_of_tap), Operand(False, _column_of_w, _gradient),
    _wgrad_part, _wgrad_place,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- the ops


def _geometry(x: Shape, w: Shape, out: Pair, stride: Pair, padding: Pads, chunk: int = 0) -> tuple[int, ...]:
    """g of the functions above."""
    return (*x, w[0], w[1], w[3], *out, *stride, padding[0][0], padding[1][0], chunk)


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None) -> Array:
    """x (N,H,W,I), w (KH,KW,I,O), b (O,) or None -> y (N,P,Q,O)."""
    checked(checks.conv2d, x, w, b, stride, padding, act)
    out = conv_out(x.shape[1:3], w.shape[:2], stride, padding)
    y = device().empty((x.shape[0], *out, w.shape[3]))
    rows, columns = y.size // w.shape[3], w.shape[3]
    count, chunk = parts(rows, columns, w.size // columns)
    run(_conv2d, x, w, y, _geometry(x.shape, w.shape, out, stride, padding, chunk), (rows, columns, count), b, act)
    return y


def conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
) -> Array:
    """dy (N,P,Q,O), w (KH,KW,I,O), b (I,) or None -> dx (N,H,W,I) with (H, W) = out_hw."""
    checked(checks.conv2d_dgrad, dy, w, b, stride, padding, out_hw, act)
    dx = device().empty((dy.shape[0], *out_hw, w.shape[2]))
    largest = dy.shape[0] * -(-out_hw[0] // stride[0]) * -(-out_hw[1] // stride[1])  # class
    g = _geometry(dx.shape, w.shape, dy.shape[1:3], stride, padding)
    once(_conv2d_dgrad, dy, w, dx, g, (largest, w.shape[2], stride[0] * stride[1]), b, act)
    return dx


def conv2d_wgrad(dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    """dy (N,P,Q,O), x (N,H,W,I); adds into dw (KH,KW,I,O) and, unless None, db (O,)."""
    checked(checks.conv2d_wgrad, dy, x, dw, db, stride, padding)
    columns = dw.shape[3]
    rows = dw.size // columns
    count, chunk = parts(rows, columns, dy.size // columns)
    g = _geometry(x.shape, dw.shape, dy.shape[1:3], stride, padding, chunk)
    run(_conv2d_wgrad, x, dy, dw, g, (rows, columns, count), add=True)
    if db is not None:
        column_sums(dy, db)


def bias_grad(dy: Array, db: Array) -> None:
    """dy (...,C); adds its sum over all axes but the last into db (C,)."""
    checked(checks.bias_grad, dy, db)
    column_sums(dy, db)
