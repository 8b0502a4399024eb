"""What every op costs: one table, read by profiler, inspect and benchmarks. Arrays may be given as their shapes.

Operations are those of the formula in the oracle, done by the direct algorithm, whichever algorithm runs:

- products (linear, conv2d and their gradients): 2 per multiply-add, those that meet padding included. The passes of a
  convolution are equal, 2 N P Q KH KW I O: zeros that a stride inserts into a data gradient's image are no terms. Bias,
  activation and bias gradient on the way, at most one operation in K of them (K terms a sum), are left out.
- all others: 1 per + - x / root, comparison and function (exp, log, tanh) of each element. An activation on the way and
  what is done once per group, row or call are left out. Signs, moves and integers count nothing.

`touched_flops` leaves out the taps that meet padding. Bytes are 4 per number: what has to be read counts once, what is
written once, what is changed in place twice. The clock's few words and table rows that no label names are not counted.
"""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from minigan.models.shapes import Act, Pads, Pair, Shape, conv_out

Formula = Callable[..., int]


class Cost(NamedTuple):
    """Formulas of the op's own arguments, its arrays as shapes: operations, and numbers read and written."""

    flops: Formula
    numbers: Formula
    touched: Formula | None = None  # None: as flops


def shapes(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with a shape in the place of each array."""
    return tuple(tuple(a.shape) if isinstance(getattr(a, "shape", None), tuple) else a for a in args)


def flops(op: str, *args: Any) -> int:
    """Operations of the direct algorithm, padding included. Raises KeyError for what is no op (asarray, empty, ...)."""
    return TABLE[op].flops(*shapes(args))


def touched_flops(op: str, *args: Any) -> int:
    """As `flops`, less the taps that meet padding."""
    return (TABLE[op].touched or TABLE[op].flops)(*shapes(args))


def bytes_moved(op: str, *args: Any) -> int:
    """Bytes that the op has to read and write, 4 per number."""
    return 4 * TABLE[op].numbers(*shapes(args))


def _size(*arrays: Shape | None) -> int:
    return sum(prod(shape) for shape in arrays if shape is not None)


def _each(flops: int, numbers: int) -> Cost:
    """So many operations, and numbers read or written, per element of the first array."""
    return Cost(lambda x, *rest: flops * prod(x), lambda x, *rest: numbers * prod(x))


# ------------------------------------------------------------------------------------------------------- convolutions


def _meets(size: int, out: int, kernel: int, stride: int, before: int) -> int:
    """Along one axis: how many pairs of an output pixel and a tap meet data."""
    return sum(0 <= p * stride + i - before < size for p in range(out) for i in range(kernel))


def _taps(x: Shape, w: Shape, stride: Pair, padding: Pads) -> int:
    """x (N,H,W,I), w (KH,KW,I,O): 2 N P Q KH KW I O"""
    p, q = conv_out((x[1], x[2]), (w[0], w[1]), stride, padding)
    return 2 * x[0] * p * q * prod(w)


def _touched_taps(x: Shape, w: Shape, stride: Pair, padding: Pads) -> int:
    out = conv_out((x[1], x[2]), (w[0], w[1]), stride, padding)
    rows, columns = (_meets(x[1 + a], out[a], w[a], stride[a], padding[a][0]) for a in (0, 1))
    return 2 * x[0] * rows * columns * w[2] * w[3]


def _conv2d(taps: Formula) -> Formula:
    return lambda x, w, b, stride, padding, act=None: taps(x, w, stride, padding)


def _conv2d_dgrad(taps: Formula) -> Formula:
    return lambda dy, w, b, stride, padding, out_hw, act=None: taps((dy[0], *out_hw, w[2]), w, stride, padding)


def _conv2d_wgrad(taps: Formula) -> Formula:
    return lambda dy, x, dw, db, stride, padding: taps(x, dw, stride, padding)


def _conv2d_numbers(x: Shape, w: Shape, b: Shape | None, stride: Pair, padding: Pads, act: Act | None = None) -> int:
    return _size(x, w, b, (x[0], *conv_out((x[1], x[2]), (w[0], w[1]), stride, padding), w[3]))


# -------------------------------------------------------------------------------------------------------------- others

# kind -> operations of (y from x, dx from dy and y)
_ACTIVATIONS = {"relu": (1, 2), "leaky_relu": (2, 2), "tanh": (1, 4), "sigmoid": (3, 3)}
_BENT = {"relu": 2, "leaky_relu": 2, "tanh": 4 + 4, "sigmoid": 3 + 5}  # tdx from tdy, dy, y and ty
# kind -> operations of (loss and derivative, their mean and division by the size); softplus 4, sigmoid 3
_LOGIT_LOSSES = {"bce": 20 + 2, "mse": 3 + 2, "hinge": 3 + 2, "linear": 1 + 2, "minimax": 7 + 2}


def _activation(pass_: int) -> Formula:
    return lambda x, *rest: prod(x) * _ACTIVATIONS[rest[-1].kind][pass_] if rest[-1] else 0


def _norm(statistics: Callable[[Shape], int], given: bool = False) -> Cost:
    """`statistics`: how many groups x has. Mean 1, variance 3, and gamma (x - mean) / root + beta 4 operations."""

    def numbers(x: Shape, *rest: Any) -> int:
        return 2 * prod(x) + 2 * x[-1] + 2 * statistics(x)

    return Cost(lambda x, *rest: (4 if given else 8) * prod(x), numbers)


def _norm_backward(flops: int) -> Cost:
    """x^ 2, dgamma 2, dbeta 1, and dx: 8 for g, its two means and (g - a - x^ b) / root; 1 with constant statistics."""

    def numbers(dy: Shape, x: Shape, gamma: Shape, mean: Shape, var: Shape, eps: float, *affine: Shape) -> int:
        return 3 * prod(x) + _size(gamma, mean, var) + 2 * _size(*affine)

    return Cost(lambda dy, *rest: flops * prod(dy), numbers)


def _numbers(arrays: int) -> Formula:
    """`arrays` like x are read or written, then gamma, mean and var, and what is added to."""

    def numbers(x: Shape, gamma: Shape, mean: Shape, var: Shape, eps: float, *affine: Shape) -> int:
        return arrays * prod(x) + _size(gamma, mean, var) + 2 * _size(*affine)

    return numbers


# x^ 2, tx^ 7, gamma 1
_NORM_TANGENT = Cost(lambda tx, *rest: (2 + 7 + 1) * prod(tx), lambda tx, *rest: _numbers(3)(*rest))
# x^ 2, tx^ 7; dgamma 4, dbeta 1; g and tg 2; their means 7; dx 6, tdx 6, and what comes off it 2
_NORM_BACKWARD_TANGENT = Cost(
    lambda tdy, *rest: (2 + 7 + 4 + 1 + 2 + 7 + 6 + 6 + 2) * prod(tdy),
    lambda tdy, dy, tx, *rest: _numbers(5)(*rest),
)


def _padded(x: Shape, padding: Pads, sign: int) -> Shape:
    """x (N,H,W,C) with `sign` times the padding added"""
    return (x[0], *(x[1 + axis] + sign * sum(padding[axis]) for axis in (0, 1)), x[3])


def _update(flops: int, slabs: int) -> Cost:
    """p and `slabs` kept beside it change in place, dp is read; weight decay adds 2 operations."""
    return Cost(
        lambda p, *rest: (flops + 2 * bool(rest[-1])) * prod(p), lambda p, *rest: (2 * (1 + slabs) + 1) * prod(p)
    )


TABLE: dict[str, Cost] = {
    "linear": Cost(
        lambda x, w, b, act=None: 2 * x[0] * prod(w), lambda x, w, b, act=None: _size(x, w, b, (x[0], w[1]))
    ),
    "linear_dgrad": Cost(lambda dy, w: 2 * dy[0] * prod(w), lambda dy, w: _size(dy, w, (dy[0], w[0]))),
    "linear_wgrad": Cost(
        lambda dy, x, dw, db: 2 * dy[0] * prod(dw), lambda dy, x, dw, db: _size(dy, x) + 2 * _size(dw, db)
    ),
    "conv2d": Cost(_conv2d(_taps), _conv2d_numbers, _conv2d(_touched_taps)),
    "conv2d_dgrad": Cost(
        _conv2d_dgrad(_taps),
        lambda dy, w, b, stride, padding, out_hw, act=None: _size(dy, w, b, (dy[0], *out_hw, w[2])),
        _conv2d_dgrad(_touched_taps),
    ),
    "conv2d_wgrad": Cost(
        _conv2d_wgrad(_taps),
        lambda dy, x, dw, db, stride, padding: _size(dy, x) + 2 * _size(dw, db),
        _conv2d_wgrad(_touched_taps),
    ),
    # no operation of the formula; the transform's own are among those that work_of tells of the two convolutions
    "prepare_image": Cost(lambda x, w, stride, padding: 0, lambda x, w, stride, padding: prod(x)),
    "bias_grad": Cost(lambda dy, db: prod(dy), lambda dy, db: _size(dy) + 2 * _size(db)),
    "embedding": Cost(lambda labels, w: 0, lambda labels, w: labels[0] * (1 + 2 * w[1])),
    "embedding_backward": Cost(lambda dy, labels, dw: prod(dy), lambda dy, labels, dw: 3 * prod(dy) + prod(labels)),
    "activation": Cost(_activation(0), lambda x, act: 2 * prod(x) if act else 0),
    "activation_backward": Cost(_activation(1), lambda dy, y, act: 3 * prod(dy) if act else 0),
    "activation_backward_tangent": Cost(
        lambda tdy, dy, y, ty, act: prod(tdy) * _BENT[act.kind] if act else 0,
        lambda tdy, dy, y, ty, act: 5 * prod(tdy) if act else 0,
    ),
    "axpby": Cost(lambda alpha, x, beta, y: 3 * prod(x), lambda alpha, x, beta, y: 3 * prod(x)),
    "add_scaled": Cost(lambda alpha, x, dp: 2 * prod(x), lambda alpha, x, dp: 3 * prod(x)),
    "mul": _each(1, 3),
    "scale": _each(1, 2),
    "exp": _each(1, 2),
    "clip": _each(2, 2),
    "mean": Cost(prod, lambda x: prod(x) + 1),
    "sum_squares": Cost(lambda x: 2 * prod(x), lambda x: prod(x) + 1),
    "row_sum_squares": Cost(lambda x: 2 * prod(x), lambda x: prod(x) + x[0]),
    "dropout": _each(1, 2),
    "dropout_backward": _each(1, 2),
    "batchnorm": _norm(lambda x: x[-1]),
    "batchnorm_backward": _norm_backward(2 + 2 + 1 + 8),
    "batchnorm_running": _norm(lambda x: x[-1], given=True),
    "batchnorm_running_backward": _norm_backward(2 + 2 + 1 + 1),
    "running_update": _each(3, 3),
    "layernorm": _norm(lambda x: x[0]),
    "layernorm_backward": _norm_backward(2 + 2 + 1 + 8),
    "layernorm_tangent": _NORM_TANGENT,
    "layernorm_backward_tangent": _NORM_BACKWARD_TANGENT,
    "instancenorm": _norm(lambda x: x[0] * x[-1]),
    "instancenorm_backward": _norm_backward(2 + 2 + 1 + 8),
    "instancenorm_tangent": _NORM_TANGENT,
    "instancenorm_backward_tangent": _NORM_BACKWARD_TANGENT,
    "upsample2x": _each(0, 1 + 4),
    "upsample2x_backward": Cost(lambda dy: 3 * prod(dy) // 4, lambda dy: prod(dy) * 5 // 4),
    "avgpool2x": Cost(prod, lambda x: prod(x) * 5 // 4),
    "avgpool2x_backward": _each(1, 1 + 4),
    "pad": Cost(lambda x, padding: 0, lambda x, padding: prod(x) + _size(_padded(x, padding, 1))),
    "pad_backward": Cost(lambda dy, padding: 0, lambda dy, padding: 2 * _size(_padded(dy, padding, -1))),
    "concat": Cost(lambda x, y: 0, lambda x, y: 2 * _size(x, y)),
    "split": _each(0, 2),
    "gather_pixels": Cost(lambda x, index: 0, lambda x, index: prod(index) * (1 + 2 * x[3])),
    "gather_pixels_backward": Cost(
        lambda dy, index, hw: prod(dy), lambda dy, index, hw: _size(dy, index, (dy[0], *hw, dy[2]))
    ),
    "shift": Cost(lambda x, by: 0, lambda x, by: 2 * _size(x) + _size(by)),
    "flip": Cost(lambda x, mask: 0, lambda x, mask: 2 * _size(x) + _size(mask)),
    "cutout": Cost(lambda x, box: 0, lambda x, box: 2 * _size(x) + _size(box)),
    "colour": Cost(lambda x, *factors: 9 * prod(x), lambda x, *factors: 2 * _size(x) + _size(*factors)),
    "colour_backward": Cost(lambda dy, *factors: 8 * prod(dy), lambda dy, *factors: 2 * _size(dy) + _size(*factors)),
    "minibatch_stddev": Cost(
        lambda x, group, eps: (4 * group + 3) * (prod(x) // group),
        lambda x, group, eps: 2 * prod(x) + prod(x[:3]),
    ),
    "minibatch_stddev_backward": Cost(
        lambda dy, x, group, eps: (7 * group + 3) * (prod(x) // group) + prod(x[:3]),
        lambda dy, x, group, eps: _size(dy, x, x),
    ),
    "logit_loss": Cost(lambda x, kind, target: _LOGIT_LOSSES[kind] * prod(x), lambda x, kind, target: 2 * prod(x) + 1),
    "softmax_cross_entropy": Cost(lambda x, labels: 6 * prod(x), lambda x, labels: 2 * prod(x) + labels[0] + 1),
    "l1_loss": Cost(lambda x, target: 3 * prod(x), lambda x, target: 3 * prod(x) + 1),
    "mse_loss": Cost(lambda x, target: 5 * prod(x), lambda x, target: 3 * prod(x) + 1),
    "norm_loss": Cost(lambda x, kind: 3 * prod(x), lambda x, kind: 2 * prod(x) + 2),
    "kl_gauss": Cost(lambda mean, logvar: 8 * prod(mean), lambda mean, logvar: 4 * prod(mean) + 1),
    "adam_step": _update(1 + 3 + 4 + 7, slabs=2),
    "sgd_step": _update(1 + 2 + 2, slabs=1),
    "rmsprop_step": _update(1 + 4 + 5, slabs=1),
    "ema_update": _each(3, 3),
    "finite_flag": _each(1, 1),
    "clip_scale": _each(3, 1),
}
