"""The embedding: a dense layer whose input is one-hot, so rows of w are read, and rows of dy added up."""

import math

from minigan.backends import checks
from minigan.backends.cuda._numba import cuda, float32
from minigan.backends.cuda.device import device
from minigan.backends.cuda.indices import divide
from minigan.backends.cuda.launch import checked, kernel
from minigan.models.shapes import Array


@kernel("void(int32[::1], float32[:, ::1], float32[:, ::1])")
def _gather(labels, w, y):
    """labels (N,), w (K,F), y (N,F): one thread per element of y; a label that is none gives NaN"""
    i = cuda.grid(1)
    n, f = divide(i, w.shape[1])
    if n < labels.size:
        label = labels[n]
        y[n, f] = w[label, f] if 0 <= label < w.shape[0] else float32(math.nan)


@kernel("void(float32[:, ::1], int32[::1], float32[:, ::1])")
def _scatter(dy, labels, dw):
    """dy (N,F), labels (N,), dw (K,F): one thread per element of dw walks through all samples, so the order is fixed"""
    i = cuda.grid(1)
    k, f = divide(i, dw.shape[1])
    if k < dw.shape[0]:
        sum = float32(0)
        for n in range(labels.size):
            if labels[n] == k:
                sum += dy[n, f]
        dw[k, f] += sum


def embedding(labels: Array, w: Array) -> Array:
    """labels (N,) int32 in [0, K), w (K,F) -> y (N,F), y[n] = w[label_n]."""
    checked(checks.embedding, labels, w)
    y = device().empty((labels.size, w.shape[1]))
    _gather(y.size, labels, w, y)
    return y


def embedding_backward(dy: Array, labels: Array, dw: Array) -> None:
    """dy (N,F), labels (N,); adds into dw (K,F): dw[k] += sum_{n : label_n = k} dy[n]."""
    checked(checks.embedding_backward, dy, labels, dw)
    _scatter(dw.size, dy, labels, dw)
