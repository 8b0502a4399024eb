"""Convolution and its two gradients, as loops over output elements."""

from minigan.models.shapes import Act, Array, Pads, Pair
from naive.pointwise import act_of
from naive.scalars import accumulate, filled, indices, total


def bias_grad(dy: Array, db: Array) -> None:
    accumulate(db, lambda c: total(dy[(*at, c)] for at in indices(dy.shape[:-1])))


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, act: Act | None = None) -> Array:
    (N, H, W, _), (KH, KW, I, O) = x.shape, w.shape  # noqa: E741
    (sh, sw), ((top, bottom), (left, right)) = stride, padding

    def element(n: int, p: int, q: int, o: int) -> float:
        terms = [0 if b is None else b[o]]
        for i in range(KH):
            for j in range(KW):
                h, v = p * sh + i - top, q * sw + j - left
                if 0 <= h < H and 0 <= v < W:
                    terms += [x[n, h, v, c] * w[i, j, c, o] for c in range(I)]
        return act_of(total(terms), act)

    return filled((N, (H + top + bottom - KH) // sh + 1, (W + left + right - KW) // sw + 1, O), element)


def conv2d_dgrad(
    dy: Array, w: Array, b: Array | None, stride: Pair, padding: Pads, out_hw: Pair, act: Act | None = None
) -> Array:
    (N, P, Q, O), (KH, KW, I, _) = dy.shape, w.shape  # noqa: E741
    (sh, sw), ((top, _), (left, _)) = stride, padding

    def element(n: int, h: int, v: int, c: int) -> float:
        terms = [0 if b is None else b[c]]
        for p, i in ((p, i) for p in range(P) for i in range(KH) if p * sh + i - top == h):
            for q, j in ((q, j) for q in range(Q) for j in range(KW) if q * sw + j - left == v):
                terms += [dy[n, p, q, o] * w[i, j, c, o] for o in range(O)]
        return act_of(total(terms), act)

    return filled((N, *out_hw, I), element)


def conv2d_wgrad(dy: Array, x: Array, dw: Array, db: Array | None, stride: Pair, padding: Pads) -> None:
    (N, P, Q, _), (_, H, W, _) = dy.shape, x.shape
    (sh, sw), ((top, _), (left, _)) = stride, padding

    def element(i: int, j: int, c: int, o: int) -> float:
        terms = []
        for p, h in ((p, p * sh + i - top) for p in range(P) if 0 <= p * sh + i - top < H):
            for q, v in ((q, q * sw + j - left) for q in range(Q) if 0 <= q * sw + j - left < W):
                terms += [x[n, h, v, c] * dy[n, p, q, o] for n in range(N)]
        return total(terms)

    accumulate(dw, element)
    if db is not None:
        bias_grad(dy, db)
