"""How far a backend's numbers may lie from the exact ones: one row per op, equal or a bound derived from the formula.

u is half the distance of 1 to the next number of the type (2^-24 for float32). For a sum of K products in any order
|y - y64| <= (K + 2) u sum|a b|, and as roundings are not all of one sign an alarm is due at 4 sqrt(K) u sum|a b|. The
sum of |terms| is the same op run on absolute values. Source: Higham 2002, "Accuracy and Stability", section 3.1.

The exact numbers come from a *reference*: the oracle in float64 (backends/checked.py), or plain loops (the tests).
"""

import inspect
import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minigan.backends import checks
from minigan.models.shapes import Act, Array

Args = tuple[Any, ...]
Outputs = list[Array]
NORM_BOUND = 1e-6  # of normalisations: relative 2-norm, float32; as many u in float64
INEXACT_BOUND = 2e-6  # of an implementation that reorders its sums (fft): relative 2-norm, float32


class Call(NamedTuple):
    """One call, its arrays as they were before it, and what `reference` (a backend) makes of them in float64."""

    reference: Any
    op: str
    args: Args
    want: Outputs
    dtype: Any


class Check(NamedTuple):
    """`exact`: equal on small integers. allowed(call) -> the allowed |error| of each output's elements, or, when
    `whole`, of each output's 2-norm; None: equal on any values. `rounded`: the formula says where to round, so the
    reference runs in the arrays' own type."""

    exact: bool
    allowed: Callable[[Call], Outputs] | None
    whole: bool = False
    rounded: bool = False


# ------------------------------------------------------------------------------------------- running the reference


@cache
def writes(op: str) -> tuple[int, ...]:
    """Which arguments `op` writes in place."""
    rule: Any = getattr(checks, op)
    return tuple(i for i, name in enumerate(inspect.signature(rule).parameters) if "!" in rule.arrays.get(name, ""))


def run(ops: Any, op: str, args: Args) -> Outputs:
    """What `op` returns, then what it wrote, as NumPy arrays. `args` themselves stay as they are."""
    given = [ops.asarray(a.copy()) if isinstance(a, np.ndarray) else a for a in args]
    return outputs(ops, op, given, getattr(ops, op)(*given))


def outputs(ops: Any, op: str, args: Any, out: Any) -> Outputs:
    """`out`, which op(*args) returned, then what it wrote, as NumPy arrays."""
    returned = out if isinstance(out, tuple) else () if out is None else (out,)
    return [np.asarray(ops.to_numpy(a)) for a in (*returned, *(args[i] for i in writes(op) if args[i] is not None))]


_MADE_OF = {"dropout", "dropout_backward", "running_update"}  # 1 - momentum, floor(rate 2^32): made from the number


def wide(op: str, args: Args, dtype: Any) -> Args:
    """The same arguments with float arrays in float64, and numbers as `dtype` holds them where they are factors."""
    number = float if op in _MADE_OF else lambda a: float(np.dtype(dtype).type(a))
    return _mapped(args, lambda a: a.astype(np.float64), number, lambda act: Act(act.kind, number(act.slope)))


def _terms(call: Call, of: Any = np.abs) -> Outputs:
    """sum|terms| of every output, or the sum of another function `of` terms: the reference before the activation."""
    args = _mapped(wide(call.op, call.args, call.dtype), of, of, lambda act: None)
    return run(call.reference, call.op, args)


def _mapped(args: Args, of_array: Any, of_number: Any, of_act: Any) -> Args:
    def one(a: Any) -> Any:
        if isinstance(a, np.ndarray):
            return np.asarray(of_array(a)) if a.dtype.kind == "f" else a
        if isinstance(a, Act):
            return of_act(a)
        return of_number(a) if isinstance(a, float) else a

    return tuple(one(a) for a in args)


# ---------------------------------------------------------------------------------------------------- kinds of bound


def _unit(dtype: Any) -> float:
    return float(np.finfo(dtype).eps) / 2


def _spacing(a: Array, dtype: Any) -> Array:
    """One unit in the last place of |a|."""
    return np.spacing(np.abs(a).astype(dtype)).astype(np.float64)


# kind: (how many times larger it makes an error, its own in units in the last place)
_EPILOGUES: dict[str, tuple[Callable[[float], float], float]] = {
    "relu": (lambda slope: 1.0, 0.0),
    "leaky_relu": (lambda slope: max(1.0, slope), 0.5),
    "tanh": (lambda slope: 1.0, 8.0),
    "sigmoid": (lambda slope: 0.25, 8.0),
}


def _epilogue(call: Call) -> tuple[float, Outputs]:
    """(factor on an error before the call's activation, what the activation itself may add to each output)."""
    act = next((a for a in call.args if isinstance(a, Act)), None)
    if act is None:
        return 1.0, [np.zeros(())] * len(call.want)
    factor, ulps = _EPILOGUES[act.kind]
    return factor(act.slope), [ulps * _spacing(a, call.dtype) for a in call.want]


def summed(count: Callable[..., float]) -> Check:
    """A sum of count(*args) products."""

    def allowed(call: Call) -> Outputs:
        k = count(*call.args)
        c = min(4 * math.sqrt(k), k + 2)
        factor, own = _epilogue(call)
        floor = np.finfo(call.dtype).smallest_subnormal
        return [factor * c * _unit(call.dtype) * a + e + floor for a, e in zip(_terms(call), own, strict=True)]

    return Check(True, allowed)


def coarse(check: Check, unit: float) -> Check:
    """A sum of products whose factors are rounded first, to half a unit in the last place `unit`: exact where `check`
    is (small integers stay what they are), else off by its bound and (1 + unit)^2 - 1 of sum|terms|."""

    def allowed(call: Call) -> Outputs:
        assert check.allowed is not None, "a sum has a bound"
        rounded = (2 + unit) * unit * _epilogue(call)[0]
        return [a + rounded * terms for a, terms in zip(check.allowed(call), _terms(call), strict=True)]

    return Check(check.exact, allowed)


def _result(args: Args, want: Outputs) -> Outputs:
    return [np.abs(a) for a in want]


def within(
    ulps: Callable[..., float], magnitude: Callable[[Args, Outputs], Outputs] = _result, exact: bool = False
) -> Check:
    """Every element within ulps(*args) units in the last place of `magnitude`: of itself, unless terms cancel."""

    def allowed(call: Call) -> Outputs:
        args = wide(call.op, call.args, call.dtype)
        return [ulps(*call.args) * _spacing(a, call.dtype) for a in magnitude(args, call.want)]

    return Check(exact, allowed)


def _whole(call: Call) -> Outputs:
    """Returned arrays: relative to their own norm before the activation, which may leave one small number of many;
    dgamma, dbeta: to |initial| + sum|dy|, as x^ has unit size."""
    plain = any(isinstance(a, Act) for a in call.args)
    magnitude = _terms(call, lambda a: a) if plain else [np.abs(a) for a in call.want]
    written = writes(call.op)
    for k, at in enumerate(written):
        dy = np.abs(call.args[0].astype(np.float64))
        magnitude[len(call.want) - len(written) + k] = np.abs(call.args[at]) + dy.sum(axis=tuple(range(dy.ndim - 1)))
    bound = NORM_BOUND * _unit(call.dtype) / _unit(np.float32)
    return [np.asarray(bound * np.linalg.norm(a)) for a in magnitude]


def _inexact(call: Call) -> Outputs:
    """Relative to the 2-norm of the output or, where terms cancel, to that of sqrt(sum terms^2), which is what terms of
    random signs come to."""
    (factor, own), squares = _epilogue(call), _terms(call, np.square)
    sizes = [max(np.linalg.norm(want), np.sqrt(a.sum())) for want, a in zip(call.want, squares, strict=True)]
    bound = factor * INEXACT_BOUND
    return [np.asarray(bound * size + np.linalg.norm(e)) for size, e in zip(sizes, own, strict=True)]


SAME = Check(True, None)
SAME_ROUNDED = Check(True, None, rounded=True)
NORMED = Check(False, _whole, whole=True)
INEXACT = Check(False, _inexact, whole=True)


# ------------------------------------------------------------------------------------ sum|terms| where it is not plain


def _colour_terms(args: Args, want: Outputs) -> Outputs:
    x, *factors = (np.abs(a) for a in args)
    *brightness, saturation, contrast = (a[:, None, None, None] for a in factors)
    x = x + sum(brightness)
    x = x.mean(3, keepdims=True) * (1 + saturation) + saturation * x
    return [x.mean((1, 2, 3), keepdims=True) * (1 + contrast) + contrast * x]


def _bce_terms(args: Args, want: Outputs) -> Outputs:
    x, _, t = args
    e = np.exp(-np.abs(x))
    plus, minus = (np.where(s * x >= 0, 1, e) / (1 + e) for s in (1, -1))
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


def _bent_terms(args: Args, want: Outputs) -> Outputs:
    tdy, dy, y, ty, act = args
    slope, curve = {"tanh": ((1 - y) * (1 + y), -2 * y), "sigmoid": (y * (1 - y), 1 - 2 * y)}[act.kind]
    return [np.abs(tdy * slope) + np.abs(dy * curve * ty)]


def _norm_terms(args: Args, want: Outputs) -> Outputs:
    """A norm r is off by a relative e, so (r - 1)^2 by 2 |r - 1| r e and, where r is 1, by e^2; dx by e x / r."""
    x, kind = args
    norm = np.sqrt((x.reshape(len(x), -1) ** 2).sum(1))
    if kind == "zero":
        return [want[0], np.abs(want[1]), want[2]]
    factor = (1 + 1 / np.where(norm == 0, 1, norm)).reshape(-1, *(1 for _ in x.shape[1:]))
    return [(2 * np.abs(norm - 1) * norm + (norm - 1) ** 2 + 1e-6).mean(), 2 * factor * np.abs(x) / len(x), want[2]]


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


def _of_norms(x: Array, kind: str) -> float:
    """A sum of squares, its root, and their mean."""
    row = x.size // len(x)
    return 4 + min(2 * math.sqrt(row), (row + 2) / 2) + min(2 * math.sqrt(len(x)), (len(x) + 2) / 2)


_PIXELS = summed(lambda dy, *rest: dy.size // dy.shape[-1] + 1)
_ALL = summed(lambda x: x.size)
_1, _2, _4 = (summed(lambda *args, k=k: k) for k in (1, 2, 4))
_COLOUR = within(_plus_sum(4), _colour_terms, exact=True)

# op, or op/kind where its activation's kind or its loss's changes the bound
BOUNDS: dict[str, Check] = {
    "linear": summed(lambda x, *rest: x.shape[1] + 1),
    "linear_dgrad": summed(lambda dy, w: w.shape[1]),
    "linear_wgrad": _PIXELS,
    "conv2d": summed(lambda x, w, *rest: w.shape[0] * w.shape[1] * w.shape[2] + 1),
    "conv2d_dgrad": summed(lambda dy, w, *rest: w.shape[0] * w.shape[1] * w.shape[3] + 1),
    "conv2d_wgrad": _PIXELS,
    "bias_grad": _PIXELS,
    "embedding": SAME,
    "embedding_backward": summed(lambda dy, *rest: len(dy) + 1),
    "activation": within(_ulps(4), exact=True),
    "activation/tanh": within(_ulps(8)),
    "activation/sigmoid": within(_ulps(8)),
    "activation_backward": within(_ulps(4), exact=True),
    "activation_backward/tanh": within(_ulps(4)),
    "activation_backward/sigmoid": within(_ulps(4)),
    "activation_backward_tangent": within(_ulps(4), exact=True),
    "activation_backward_tangent/tanh": within(_ulps(4), _bent_terms),
    "activation_backward_tangent/sigmoid": within(_ulps(4), _bent_terms),
    "batchnorm": NORMED,
    "batchnorm_backward": NORMED,
    "batchnorm_running": NORMED,
    "batchnorm_running_backward": NORMED,
    "running_update": _2,
    "layernorm": NORMED,
    "layernorm_backward": NORMED,
    "layernorm_tangent": NORMED,
    "layernorm_backward_tangent": NORMED,
    "instancenorm": NORMED,
    "instancenorm_backward": NORMED,
    "instancenorm_tangent": NORMED,
    "instancenorm_backward_tangent": NORMED,
    "axpby": _2,
    "add_scaled": _2,
    "mul": SAME,
    "scale": SAME,
    "exp": within(_ulps(2)),
    "clip": SAME,
    "mean": _ALL,
    "sum_squares": _ALL,
    "row_sum_squares": summed(lambda x: x.size // len(x)),
    "dropout": _1,
    "dropout_backward": _1,
    "upsample2x": SAME,
    "upsample2x_backward": _4,
    "avgpool2x": _4,
    "avgpool2x_backward": SAME,
    "pad": SAME,
    "pad_backward": SAME,
    "concat": SAME,
    "split": SAME,
    "gather_pixels": SAME,
    "gather_pixels_backward": summed(lambda dy, *rest: dy.shape[1]),
    "shift": SAME,
    "flip": SAME,
    "cutout": SAME,
    "colour": _COLOUR,
    "colour_backward": _COLOUR,
    "minibatch_stddev": NORMED,
    "minibatch_stddev_backward": NORMED,
    "logit_loss/bce": within(_plus_sum(8), _bce_terms),
    "logit_loss/mse": within(_plus_sum(4)),
    "logit_loss/hinge": within(_plus_sum(4), _hinge_terms),
    "logit_loss/linear": within(_plus_sum(4), _linear_terms),
    "logit_loss/minimax": within(_plus_sum(8)),
    "softmax_cross_entropy": within(_plus_sum(4), _softmax_terms),
    "l1_loss": within(_plus_sum(1)),
    "mse_loss": within(_plus_sum(4)),
    "norm_loss": within(_of_norms, _norm_terms),
    "kl_gauss": within(_plus_sum(4), _kl_terms),
    "adam_step": SAME_ROUNDED,
    "sgd_step": SAME_ROUNDED,
    "rmsprop_step": SAME_ROUNDED,
    "ema_update": _2,
    "finite_flag": SAME,
    "clip_scale": within(_ulps(4)),
}
OPS = frozenset(name.split("/")[0] for name in BOUNDS)


def bound(op: str, args: Args) -> Check:
    """The row of such a call."""
    kind = next((a.kind if isinstance(a, Act) else a for a in args if isinstance(a, Act | str)), "")
    return BOUNDS.get(f"{op}/{kind}") or BOUNDS[op]


def call(reference: Any, op: str, args: Args, dtype: Any) -> Call:
    """op(*args) on the reference, `args` as the backend of float type `dtype` was given them."""
    given = args if bound(op, args).rounded else wide(op, args, dtype)
    return Call(reference, op, args, run(reference, op, given), dtype)


def share(got: Array, want: Array, allowed: Array | None, whole: bool) -> Array:
    """|got - want| as a share of `allowed`: of each element, or one number for all when `whole`; above 1 is a breach.

    Never above 1 where got is want rounded to its type (two NaN are equal); else infinite where nothing is allowed.
    """
    rounded = want.astype(got.dtype)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    if allowed is None:
        return np.where(same, 0.0, np.inf)
    with np.errstate(all="ignore"):
        error = np.where(got == want, 0.0, np.abs(got.astype(np.float64) - want))
        if whole:
            same = same.all()
            error = np.asarray(np.linalg.norm(np.where(np.isnan(got) & np.isnan(want), 0.0, error)))
        part = np.where(error == 0, 0.0, error / allowed)
    part[np.isnan(part)] = np.inf
    return np.where(same, np.minimum(part, 1.0), part)
