"""A row per op of the contract: how arguments are drawn, and how a backend's numbers are held against the loops.

`compare(backends.load(name), row, seed, dtype, integer)` runs one case: a row here and every backend fails by name.
Shapes are ragged, strides differ per axis, padding is asymmetric, kernels go from 1 to 7. `shapes` names the axes of
each argument: equal letters must be equal sizes, "P*" follows from the others, "..." are any axes (the same ones
everywhere), "-" is no array or one of free shape.
"""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import arguments as drawn
import numpy as np
from compare import NORMED, SAME, Args, Check, Outputs, compare, summed, within
from draws import Draw
from naive.scalars import sigmoid

__all__ = ["NOT_OPS", "ROWS", "Row", "compare"]

NOT_OPS = {"asarray", "copyto", "empty", "prepare", "synchronize", "to_numpy", "zeros"}  # plumbing


class Row(NamedTuple):
    """`writes`: indices of the arguments written in place. `rounded`: the loops round in the arrays' own type."""

    name: str
    draw: Callable[[Draw], Args]
    check: Check
    shapes: str
    writes: tuple[int, ...] = ()
    rounded: bool = False

    @property
    def op(self) -> str:
        return self.name.split("/")[0]

    def args(self, seed: int, dtype: Any, integer: bool) -> Args:
        """One case, a function of the row's name and these."""
        return self.draw(Draw(zlib.crc32(self.name.encode()), seed, dtype, integer))


# ------------------------------------------------------------------------------------ sum|terms| where it is not plain


def _colour_terms(args: Args, want: Outputs) -> Outputs:
    x, *factors = (np.abs(a) for a in args)
    *brightness, saturation, contrast = (a[:, None, None, None] for a in factors)
    x = x + sum(brightness)
    x = x.mean(3, keepdims=True) * (1 + saturation) + saturation * x
    return [x.mean((1, 2, 3), keepdims=True) * (1 + contrast) + contrast * x]


def _bce_terms(args: Args, want: Outputs) -> Outputs:
    x, _, t = args
    plus, minus = (np.vectorize(sigmoid)(s * x) for s in (1, -1))
    return [want[0], ((1 - t) * plus + t * minus) / x.size]


def _linear_terms(args: Args, want: Outputs) -> Outputs:
    x, _, t = args
    return [np.abs(t * x).mean(), want[1]]


def _hinge_terms(args: Args, want: Outputs) -> Outputs:
    x, _, t = args
    return [(1 + np.abs(t * x)).mean(), want[1]]


def _softmax_terms(args: Args, want: Outputs) -> Outputs:
    """e^(x - max) is off by the rounding of its argument, a relative |x| + |max|."""
    x, labels = args
    argument = np.abs(x) + np.abs(x.max(1, keepdims=True))
    p = np.exp(x - x.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return [np.asarray(argument.max() + np.log(x.shape[1])), (p * (1 + argument) + np.eye(x.shape[1])[labels]) / len(x)]


def _kl_terms(args: Args, want: Outputs) -> Outputs:
    mean, logvar = args
    parts = mean**2 + np.exp(logvar) + 1 + np.abs(logvar)
    return [0.5 * parts.sum() / len(mean), want[1], (np.exp(logvar) + 1) / len(mean)]


# ---------------------------------------------------------------------------------------------------------- the table


def _ulps(number: int) -> Callable[..., float]:
    return lambda *args: number


def _plus_sum(number: int) -> Callable[..., float]:
    """Terms within `number` units each, then their mean: what rounding the sum may add is half a unit a term."""
    return lambda x, *rest: number + min(2 * np.sqrt(x.size), (x.size + 2) / 2)


K_TAPS = summed(lambda x, w, *rest: w.shape[0] * w.shape[1] * w.shape[2] + 1)
K_TAPS_T = summed(lambda dy, w, *rest: w.shape[0] * w.shape[1] * w.shape[3] + 1)
K_PIXELS = summed(lambda dy, *rest: dy.size // dy.shape[-1] + 1)
K_ALL = summed(lambda x: x.size)
K1, K2, K4 = (summed(lambda *args, k=k: k) for k in (1, 2, 4))
PIXEL = "N H W C"

ROWS = (
    Row("linear", drawn.linear, summed(lambda x, *rest: x.shape[1] + 1), "N I | I O | O | -"),
    Row("linear_dgrad", drawn.linear_dgrad, summed(lambda dy, w: w.shape[1]), "N O | I O"),
    Row("linear_wgrad", drawn.linear_wgrad, K_PIXELS, "N O | N I | I O | O", (2, 3)),
    Row("conv2d", drawn.conv2d, K_TAPS, "N H W I | KH KW I O | O | - | - | -"),
    Row("conv2d_dgrad", drawn.conv2d_dgrad, K_TAPS_T, "N P* Q* O | KH KW I O | I | - | - | - | -"),
    Row("conv2d_wgrad", drawn.conv2d_wgrad, K_PIXELS, "N P* Q* O | N H W I | KH KW I O | O | - | -", (2, 3)),
    Row("bias_grad", drawn.bias_grad, K_PIXELS, "... C | C", (1,)),
    Row("embedding", drawn.embedding, SAME, "N | K F"),
    Row("embedding_backward", drawn.embedding_backward, summed(lambda dy, *rest: len(dy) + 1), "N F | N | K F", (2,)),
    Row("activation", drawn.activation("relu", "leaky_relu"), within(_ulps(4), exact=True), "... | -"),
    Row("activation/smooth", drawn.activation("tanh", "sigmoid"), within(_ulps(8)), "... | -"),
    Row("activation_backward",
        drawn.activation_backward("relu", "leaky_relu"), within(_ulps(4), exact=True), "... | ... | -",
    ),
    Row("activation_backward/smooth", drawn.activation_backward("tanh", "sigmoid"), within(_ulps(4)), "... | ... | -"),
    Row("batchnorm", drawn.norm(None), NORMED, "N ... C | C | C | - | -"),
    Row("batchnorm_backward",
        drawn.norm_backward((-1,), None), NORMED, "N ... C | N ... C | C | C | C | - | C | C", (6, 7),
    ),
    Row("batchnorm_running", drawn.norm(None, (-1,)), NORMED, "N ... C | C | C | C | C | - | -"),
    Row("batchnorm_running_backward",
        drawn.norm_backward((-1,), None), NORMED, "N ... C | N ... C | C | C | C | - | C | C", (6, 7),
    ),
    Row("running_update", drawn.mix, K2, "C | C | -", (0,)),
    Row("layernorm", drawn.norm(None), NORMED, "N ... C | C | C | - | -"),
    Row("layernorm_backward",
        drawn.norm_backward((0,), None), NORMED, "N ... C | N ... C | C | N | N | - | C | C", (6, 7),
    ),
    Row("instancenorm", drawn.norm(4), NORMED, "N H W C | C | C | - | -"),
    Row("instancenorm_backward",
        drawn.norm_backward((0, 3), 4), NORMED, "N H W C | N H W C | C | N C | N C | - | C | C", (6, 7),
    ),
    Row("axpby", drawn.axpby, K2, "- | ... | - | ..."),
    Row("add_scaled", lambda d: (d.number(), *drawn.pair(d)), K2, "- | ... | ...", (2,)),
    Row("mul", drawn.pair, SAME, "... | ..."),
    Row("scale", lambda d: (d.array(*d.shape()), d.number()), SAME, "... | -"),
    Row("clip", lambda d: (d.special(*d.shape()), d.representable(0.01)), SAME, "... | -", (0,)),
    Row("mean", lambda d: (d.array(*d.shape()),), K_ALL, "..."),
    Row("sum_squares", lambda d: (d.array(*d.shape()),), K_ALL, "..."),
    Row("row_sum_squares", lambda d: (d.array(*d.shape()),), summed(lambda x: x.size // len(x)), "N ..."),
    Row("dropout", drawn.dropout, K1, "N ... | - | - | -"),
    Row("dropout_backward", drawn.dropout, K1, "N ... | - | - | -"),
    Row("upsample2x", lambda d: (drawn.image(d),), SAME, PIXEL),
    Row("upsample2x_backward", lambda d: (drawn.image(d, even=True),), K4, PIXEL),
    Row("avgpool2x", lambda d: (drawn.image(d, even=True),), K4, PIXEL),
    Row("avgpool2x_backward", lambda d: (drawn.image(d),), SAME, PIXEL),
    Row("pad", drawn.pad, SAME, f"{PIXEL} | -"),
    Row("pad_backward", drawn.pad_backward, SAME, f"{PIXEL} | -"),
    Row("concat", drawn.concat, SAME, "... A | ... B"),
    Row("split", drawn.split, SAME, "N ... | -"),
    Row("gather_pixels", drawn.gather, SAME, f"{PIXEL} | N P"),
    Row("gather_pixels_backward", drawn.gather_backward, summed(lambda dy, *rest: dy.shape[1]), "N P C | N P | -"),
    Row("shift", drawn.shift, SAME, f"{PIXEL} | N -"),
    Row("flip", drawn.flip, SAME, f"{PIXEL} | N"),
    Row("cutout", drawn.cutout, SAME, f"{PIXEL} | N -"),
    Row("colour", drawn.colour, within(_plus_sum(4), _colour_terms, exact=True), f"{PIXEL} | N | N | N"),
    Row("colour_backward",
        drawn.colour_backward, within(_plus_sum(4), _colour_terms, exact=True), f"{PIXEL} | N | N",
    ),
    Row("minibatch_stddev", drawn.stddev, NORMED, f"{PIXEL} | - | -"),
    Row("minibatch_stddev_backward", drawn.stddev_backward, NORMED, "N H W - | N H W - | - | -"),
    Row("logit_loss/bce", drawn.logits("bce", 0.0, 1.0, 0.9), within(_plus_sum(8), _bce_terms), "N ... | - | -"),
    Row("logit_loss/one bce", drawn.one_logit("bce", 0.0, 1.0), within(_plus_sum(8), _bce_terms), "N ... | - | -"),
    Row("logit_loss/mse", drawn.logits("mse", 0.0, 1.0), within(_plus_sum(4)), "N ... | - | -"),
    Row("logit_loss/hinge", drawn.logits("hinge", 1.0, -1.0), within(_plus_sum(4), _hinge_terms), "N ... | - | -"),
    Row("logit_loss/linear", drawn.logits("linear", 1.0, -1.0), within(_plus_sum(4), _linear_terms), "N ... | - | -"),
    Row("logit_loss/minimax", drawn.logits("minimax", 0.0), within(_plus_sum(8)), "N ... | - | -"),
    Row("softmax_cross_entropy", drawn.softmax, within(_plus_sum(4), _softmax_terms), "N K | N"),
    Row("l1_loss", drawn.pair, within(_plus_sum(1)), "N ... | N ..."),
    Row("mse_loss", drawn.pair, within(_plus_sum(4)), "N ... | N ..."),
    Row("kl_gauss", drawn.kl, within(_plus_sum(4), _kl_terms), "N F | N F"),
    Row("adam_step",
        drawn.slabs(4, 0.5, 0.999, 1e-8), SAME, "... | ... | ... | ... | - | - | - | - | - | -", (0, 2, 3), True,
    ),
    Row("sgd_step", drawn.slabs(3, 0.9), SAME, "... | ... | ... | - | - | - | -", (0, 2), True),
    Row("rmsprop_step", drawn.slabs(3, 0.9, 1e-8), SAME, "... | ... | ... | - | - | - | - | -", (0, 2), True),
    Row("ema_update", drawn.ema, K2, "... | ... | -", (0,)),
    Row("finite_flag", drawn.finite_flag, SAME, "- | -", (1,)),
    Row("clip_scale", drawn.clip_scale, within(_ulps(4)), "- | - | - | -", (2,)),
)  # fmt: skip
