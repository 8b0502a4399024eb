"""The dense layer, on the matrix product of csrc/gemm.inl."""

from minigan.backends import checks
from minigan.backends.cpp.table import kernels, run
from minigan.models.shapes import Act, Array


def linear(x: Array, w: Array, b: Array | None, act: Act | None = None) -> Array:
    """x (N,I), w (I,O), b (O,) or None -> y (N,O) = act(x w + b)."""
    return run(kernels.linear, checks.linear, x, w, b, act)


def linear_dgrad(dy: Array, w: Array) -> Array:
    """dy (N,O), w (I,O) -> dx (N,I) = dy w^T."""
    return run(kernels.linear_dgrad, checks.linear_dgrad, dy, w)


def linear_wgrad(dy: Array, x: Array, dw: Array, db: Array | None) -> None:
    """dy (N,O), x (N,I); adds x^T dy into dw (I,O) and, unless None, the sum of dy's rows into db (O,)."""
    run(kernels.linear_wgrad, checks.linear_wgrad, dy, x, dw, db)


def embedding(labels: Array, w: Array) -> Array:
    """labels (N,) int32 in [0, K), w (K,F) -> y (N,F), y[n] = w[label_n]."""
    return run(kernels.embedding, checks.embedding, labels, w)


def embedding_backward(dy: Array, labels: Array, dw: Array) -> None:
    """dy (N,F), labels (N,); adds into dw (K,F): dw[k] += sum_{n : label_n = k} dy[n]."""
    run(kernels.embedding_backward, checks.embedding_backward, dy, labels, dw)
