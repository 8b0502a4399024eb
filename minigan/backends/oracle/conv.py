"""Convolution and its two gradients: three kernels that serve Conv2d and ConvTranspose2d alike.

All three run over the same taps (i, j) of the kernel and, per tap, over the same *window*: the pixels of the padded
image that tap (i, j) meets, one per output pixel,

    window(x, i, j)[n,p,q,:] = x[n, p*sh + i - top, q*sw + j - left, :]        (0 outside the image)

so that, summed over taps,
    forward          y          = window(x)  @ w[i,j]
    data gradient    window(dx) += dy @ w[i,j]^T
    weight gradient  dw[i,j]    += window(x)^T @ dy

which makes the adjoint identity <conv(x,w),dy> = <x,dgrad(dy,w)> = <w,wgrad(dy,x)> visible term by term.
Source: Dumoulin & Visin 2016, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285.
"""

from collections.abc import Iterator

import numpy as np

from minigan.backends import checks
from minigan.backends.oracle.pointwise import activation
from minigan.models.shapes import Act, Array, Pads, Pair, conv_out


def _windows(padded: Array, kernel: Pair, stride: Pair, out: Pair) -> Iterator[tuple[int, int, Array]]:
    """(i, j, view (N,P,Q,C) of `padded`) for every tap of the kernel."""
    (sh, sw), (p, q) = stride, out
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            yield i, j, padded[:, i : i + (p - 1) * sh + 1 : sh, j : j + (q - 1) * sw + 1 : sw]


def _pad(x: Array, padding: Pads) -> Array:
    return np.pad(x, ((0, 0), *padding, (0, 0)))


def _rows(image: Array) -> Array:
    """(N,P,Q,C) -> (N*P*Q, C): one row per pixel."""
    return image.reshape(-1, image.shape[-1])


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None) -> Array:
    """x (N,H,W,I), w (KH,KW,I,O), b (O,) or None -> y (N,P,Q,O)

    P = (H + top + bottom - KH) // sh + 1    Q = (W + left + right - KW) // sw + 1

    y[n,p,q,o] = act(b[o] + sum_{i,j,c} x[n, p*sh + i - top, q*sw + j - left, c] w[i,j,c,o])     (cross-correlation)
    Raises ShapeError when x and w disagree on I, or the kernel does not fit.
    """
    checks.conv2d(x, w, b, stride, padding, act)
    out = conv_out(x.shape[1:3], w.shape[:2], stride, padding)
    y = np.zeros((x.shape[0] * out[0] * out[1], w.shape[3]), x.dtype)
    for i, j, window in _windows(_pad(x, padding), w.shape[:2], stride, out):
        y += _rows(window) @ w[i, j]
    if b is not None:
        y += b
    return activation(y.reshape(x.shape[0], *out, -1), act)


def conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
) -> Array:
    """dy (N,P,Q,O), w (KH,KW,I,O), b (I,) or None -> dx (N,H,W,I) with (H, W) = out_hw.

    dx[n,h,v,c] = act(b[c] + sum_{i,j,o : p*sh + i - top = h, q*sw + j - left = v} dy[n,p,q,o] w[i,j,c,o])
    Conv2d's data gradient (b and act None) and ConvTranspose2d's forward pass, whose bias and activation b and act are.
    Raises ShapeError unless conv2d of an out_hw image has dy's shape.
    """
    checks.conv2d_dgrad(dy, w, b, stride, padding, out_hw, act)
    (top, bottom), (left, right) = padding
    h, v = out_hw
    padded = np.zeros((dy.shape[0], h + top + bottom, v + left + right, w.shape[2]), dy.dtype)
    for i, j, window in _windows(padded, w.shape[:2], stride, dy.shape[1:3]):
        window += (_rows(dy) @ w[i, j].T).reshape(window.shape)
    dx = padded[:, top : top + h, left : left + v]
    if b is not None:
        dx = dx + b
    return activation(np.ascontiguousarray(dx), act)


def conv2d_wgrad(dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    """dy (N,P,Q,O), x (N,H,W,I); adds into dw (KH,KW,I,O) and, unless None, db (O,).

    dw[i,j,c,o] += sum_{n,p,q} x[n, p*sh + i - top, q*sw + j - left, c] dy[n,p,q,o]
    db[o] += sum_{n,p,q} dy[n,p,q,o]
    Raises ShapeError unless conv2d of x has dy's shape.
    """
    checks.conv2d_wgrad(dy, x, dw, db, stride, padding)
    if db is not None:
        bias_grad(dy, db)
    for i, j, window in _windows(_pad(x, padding), dw.shape[:2], stride, dy.shape[1:3]):
        dw[i, j] += _rows(window).T @ _rows(dy)


def bias_grad(dy: Array, db: Array) -> None:
    """dy (...,C); adds its sum over all axes but the last into db (C,)."""
    checks.bias_grad(dy, db)
    db += _rows(dy).sum(axis=0)
