"""The dense layer's three kernels, and the embedding, a dense layer whose input is one-hot."""

import numpy as np

from minigan.backends import checks
from minigan.backends.oracle.pointwise import activation
from minigan.models.shapes import Act, Array


def linear(x: Array, w: Array, b: Array | None, act: Act | None = None) -> Array:
    """x (N,I), w (I,O), b (O,) or None -> y (N,O).

    y[n,o] = act(b[o] + sum_i x[n,i] w[i,o])
    Raises ShapeError when x and w disagree on I, or w and b on O.
    """
    checks.linear(x, w, b, act)
    y = x @ w
    return activation(y if b is None else y + b, act)


def linear_dgrad(dy: Array, w: Array) -> Array:
    """dy (N,O), w (I,O) -> dx (N,I).   dx[n,i] = sum_o dy[n,o] w[i,o]"""
    checks.linear_dgrad(dy, w)
    return dy @ w.T


def linear_wgrad(dy: Array, x: Array, dw: Array, db: Array | None) -> None:
    """dy (N,O), x (N,I); adds into dw (I,O) and, unless None, db (O,).

    dw[i,o] += sum_n x[n,i] dy[n,o]        db[o] += sum_n dy[n,o]
    """
    checks.linear_wgrad(dy, x, dw, db)
    if db is not None:
        db += dy.sum(axis=0)
    dw += x.T @ dy


def embedding(labels: Array, w: Array) -> Array:
    """labels (N,) integers in [0, K), w (K,F) -> y (N,F), y[n] = w[label_n]"""
    checks.embedding(labels, w)
    return w[labels]


def embedding_backward(dy: Array, labels: Array, dw: Array) -> None:
    """dy (N,F), labels (N,); adds into dw (K,F): dw[k] += sum_{n : label_n = k} dy[n]"""
    checks.embedding_backward(dy, labels, dw)
    np.add.at(dw, labels, dy)
