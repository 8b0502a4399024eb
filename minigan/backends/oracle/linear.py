"""The dense layer's three kernels, and the embedding, a dense layer whose input is one-hot."""

import numpy as np

from minigan.backends.oracle.pointwise import activation
from minigan.errors import ShapeError
from minigan.models.shapes import Act, Array, check_linear, expect, expect_same, expect_some


def linear(x: Array, w: Array, b: Array | None, act: Act | None = None) -> Array:
    """x (N,I), w (I,O), b (O,) or None -> y (N,O).

    y[n,o] = act(b[o] + sum_i x[n,i] w[i,o])
    Raises ShapeError when x and w disagree on I, or w and b on O.
    """
    check_linear(x, w, b)
    y = x @ w
    return activation(y if b is None else y + b, act)


def linear_dgrad(dy: Array, w: Array) -> Array:
    """dy (N,O), w (I,O) -> dx (N,I).   dx[n,i] = sum_o dy[n,o] w[i,o]"""
    expect_some("w", w, 2)
    expect("dy", dy, None, w.shape[1])
    return dy @ w.T


def linear_wgrad(dy: Array, x: Array, dw: Array, db: Array | None) -> None:
    """dy (N,O), x (N,I); adds into dw (I,O) and, unless None, db (O,).

    dw[i,o] += sum_n x[n,i] dy[n,o]        db[o] += sum_n dy[n,o]
    """
    expect_some("dw", dw, 2)
    expect("dy", dy, x.shape[0], dw.shape[1])
    expect("x", x, None, dw.shape[0])
    if db is not None:
        expect("db", db, dw.shape[1])
        db += dy.sum(axis=0)
    dw += x.T @ dy


def embedding(labels: Array, w: Array) -> Array:
    """labels (N,) integers in [0, K), w (K,F) -> y (N,F), y[n] = w[label_n]"""
    _check_labels(labels, w)
    return w[labels]


def embedding_backward(dy: Array, labels: Array, dw: Array) -> None:
    """dy (N,F), labels (N,); adds into dw (K,F): dw[k] += sum_{n : label_n = k} dy[n]"""
    _check_labels(labels, dw)
    expect_same("dy", dy, "w[labels]", dw[labels])
    np.add.at(dw, labels, dy)


def _check_labels(labels: Array, w: Array) -> None:
    expect_some("w", w, 2)
    expect("labels", labels, None)
    if labels.min() < 0 or labels.max() >= w.shape[0]:
        raise ShapeError(f"labels lie in [{labels.min()}, {labels.max()}], expected [0, {w.shape[0] - 1}]")
