"""The dense layer and the embedding, as loops."""

from minigan.models.shapes import Act, Array
from naive.conv import bias_grad
from naive.pointwise import act_of
from naive.scalars import accumulate, filled, total


def linear(x: Array, w: Array, b: Array | None, act: Act | None = None) -> Array:
    def element(n: int, o: int) -> float:
        terms = [x[n, i] * w[i, o] for i in range(w.shape[0])]
        return act_of(total([*terms, 0 if b is None else b[o]]), act)

    return filled((x.shape[0], w.shape[1]), element)


def linear_dgrad(dy: Array, w: Array) -> Array:
    return filled((dy.shape[0], w.shape[0]), lambda n, i: total(dy[n, o] * w[i, o] for o in range(w.shape[1])))


def linear_wgrad(dy: Array, x: Array, dw: Array, db: Array | None) -> None:
    accumulate(dw, lambda i, o: total(x[n, i] * dy[n, o] for n in range(len(x))))
    if db is not None:
        bias_grad(dy, db)


def embedding(labels: Array, w: Array) -> Array:
    return filled((len(labels), w.shape[1]), lambda n, f: w[labels[n], f])


def embedding_backward(dy: Array, labels: Array, dw: Array) -> None:
    accumulate(dw, lambda k, f: total(dy[n, f] for n in range(len(labels)) if labels[n] == k))
