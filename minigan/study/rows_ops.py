"""Rows of the gradient table: every differentiable op of the oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigan.models.shapes import Act, Array, Pads, Pair, conv_out
from minigan.study.rows import Numbers, Problem, Row, added, apart, clock, ops

Make = Callable[[Numbers], Problem]


def _linear(g: Numbers) -> Problem:
    n, i, o = g.integers(2, 6, 3)
    act = Act("tanh")

    def backward(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, ...]:
        dy = ops.activation_backward(dy, ops.linear(x, w, b, act), act)
        _, dw, db = added(lambda dw, db: ops.linear_wgrad(dy, x, dw, db), w, b)
        return ops.linear_dgrad(dy, w), dw, db

    inputs = {"x": g.standard_normal((n, i)), "w": g.standard_normal((i, o)), "b": g.standard_normal(o)}
    return Problem(lambda x, w, b: ops.linear(x, w, b, act), backward, inputs)


def _linear_dgrad(g: Numbers) -> Problem:
    n, i, o = g.integers(2, 6, 3)

    def backward(dx: Array, dy: Array, w: Array) -> tuple[Array, ...]:
        _, dw = added(lambda dw: ops.linear_wgrad(dy, dx, dw, None), w)
        return ops.linear(dx, w, None), dw

    return Problem(ops.linear_dgrad, backward, {"dy": g.standard_normal((n, o)), "w": g.standard_normal((i, o))})


Geometry = tuple[Pair, Pair, Pair, Pads]  # image, kernel, stride, padding
_SAME: Geometry = ((8, 6), (5, 5), (2, 2), ((1, 2), (1, 2)))
_RAGGED: Geometry = ((9, 7), (3, 2), (3, 2), ((0, 1), (2, 0)))  # a last row and column that no tap reaches


def _drawn(g: Numbers) -> Geometry:
    h, v, kh, kw, sh, sw = (int(k) for k in (*g.integers(6, 9, 2), *g.integers(1, 5, 2), *g.integers(1, 4, 2)))
    top, bottom, left, right = (int(k) for k in g.integers(0, 3, 4))
    return (h, v), (kh, kw), (sh, sw), ((top, bottom), (left, right))


def _conv2d(g: Numbers, geometry: Geometry) -> Problem:
    hw, kernel, stride, padding = geometry
    act = Act("tanh")

    def forward(x: Array, w: Array, b: Array) -> Array:
        return ops.conv2d(x, w, b, stride, padding, act)

    def backward(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, ...]:
        dy = ops.activation_backward(dy, forward(x, w, b), act)
        _, dw, db = added(lambda dw, db: ops.conv2d_wgrad(dy, x, dw, db, stride, padding), w, b)
        return ops.conv2d_dgrad(dy, w, None, stride, padding, hw), dw, db

    inputs = {"x": g.standard_normal((2, *hw, 3)), "w": g.standard_normal((*kernel, 3, 2)), "b": g.standard_normal(2)}
    return Problem(forward, backward, inputs)


def _conv2d_dgrad(g: Numbers, geometry: Geometry) -> Problem:
    hw, kernel, stride, padding = geometry
    act = Act("tanh")

    def forward(x: Array, w: Array, b: Array) -> Array:
        return ops.conv2d_dgrad(x, w, b, stride, padding, hw, act)

    def backward(dy: Array, x: Array, w: Array, b: Array) -> tuple[Array, ...]:
        dy = ops.activation_backward(dy, forward(x, w, b), act)
        _, dw, db = added(
            lambda dw, db: (ops.conv2d_wgrad(x, dy, dw, None, stride, padding), ops.bias_grad(dy, db)), w, b
        )
        return ops.conv2d(dy, w, None, stride, padding), dw, db

    out = conv_out(hw, kernel, stride, padding)
    inputs = {"x": g.standard_normal((2, *out, 3)), "w": g.standard_normal((*kernel, 2, 3)), "b": g.standard_normal(2)}
    return Problem(forward, backward, inputs)


def _norm(forward_op: str, backward_op: str, *shape: int) -> Make:
    """A norm whose statistics come from the batch: batchnorm, layernorm, instancenorm."""
    eps, act = 1e-3, Act("tanh")

    def make(g: Numbers) -> Problem:
        def run(x: Array, gamma: Array, beta: Array) -> Any:
            return getattr(ops, forward_op)(x, gamma, beta, eps, act)

        def backward(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
            y, mean, var = run(x, gamma, beta)
            dy = ops.activation_backward(dy, y, act)
            rule = getattr(ops, backward_op)
            return added(lambda dgamma, dbeta: rule(dy, x, gamma, mean, var, eps, dgamma, dbeta), gamma, beta)

        c = shape[-1]
        inputs = {"x": 1 + 2 * g.standard_normal(shape), "gamma": g.standard_normal(c), "beta": g.standard_normal(c)}
        return Problem(lambda x, gamma, beta: run(x, gamma, beta)[0], backward, inputs)

    return make


def _batchnorm_running(g: Numbers) -> Problem:
    mean, var, eps = g.standard_normal(3), g.uniform(0.5, 2.0, 3), 1e-3

    def backward(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
        rule = ops.batchnorm_running_backward
        return added(lambda dgamma, dbeta: rule(dy, x, gamma, mean, var, eps, dgamma, dbeta), gamma, beta)

    inputs = {"x": g.standard_normal((4, 3, 2, 3)), "gamma": g.standard_normal(3), "beta": g.standard_normal(3)}
    return Problem(lambda x, gamma, beta: ops.batchnorm_running(x, gamma, beta, mean, var, eps), backward, inputs)


def _activation(kind: str, slope: float = 0.0) -> Make:
    act = Act(kind, slope)
    return lambda g: Problem(
        lambda x: ops.activation(x, act),
        lambda dy, x: ops.activation_backward(dy, ops.activation(x, act), act),
        {"x": apart(g, 5, 7)},
    )


def _activation_tangent(kind: str, slope: float = 0.0) -> Make:
    """(x, dy) -> (dx, y): the gradients for (u, v) are what the passes give when x moves along u and dy along v."""
    act = Act(kind, slope)

    def forward(x: Array, dy: Array) -> tuple[Array, Array]:
        y = ops.activation(x, act)
        return ops.activation_backward(dy, y, act), y

    def backward(uv: tuple[Array, Array], x: Array, dy: Array) -> tuple[Array, Array]:
        (u, v), y = uv, ops.activation(x, act)
        ty = ops.activation_backward(u, y, act)
        return ops.activation_backward_tangent(v, dy, y, ty, act), ty

    return lambda g: Problem(forward, backward, {"x": apart(g, 5, 7), "dy": g.standard_normal((5, 7))})


def _norm_tangent(name: str, *shape: int) -> Make:
    """As _activation_tangent, of layernorm or instancenorm."""
    eps = 1e-3

    def passes(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array, Array]:
        y, mean, var = getattr(ops, name)(x, gamma, beta, eps)
        unused = np.zeros_like(gamma), np.zeros_like(beta)
        return getattr(ops, f"{name}_backward")(dy, x, gamma, mean, var, eps, *unused), y, mean, var

    def backward(uv: tuple[Array, Array], x: Array, dy: Array, gamma: Array, beta: Array) -> tuple[Array, ...]:
        (u, v), (_, _, mean, var) = uv, passes(dy, x, gamma, beta)
        rule = getattr(ops, f"{name}_backward_tangent")
        tdx, dgamma, dbeta = added(
            lambda dgamma, dbeta: rule(v, dy, u, x, gamma, mean, var, eps, dgamma, dbeta), gamma, beta
        )
        return tdx, getattr(ops, f"{name}_tangent")(u, x, gamma, mean, var, eps), dgamma, dbeta

    def make(g: Numbers) -> Problem:
        c = shape[-1]
        inputs = {"x": 1 + 2 * g.standard_normal(shape), "dy": g.standard_normal(shape)}
        inputs |= {"gamma": g.standard_normal(c), "beta": g.standard_normal(c)}
        return Problem(lambda x, dy, gamma, beta: passes(dy, x, gamma, beta)[:2], backward, inputs)

    return make


def _norm_loss(kind: str) -> Make:
    return lambda g: Problem(
        lambda x: ops.norm_loss(x, kind)[0],
        lambda dy, x: dy * ops.norm_loss(x, kind)[1],
        {"x": g.standard_normal((5, 3, 2))},
    )


def _dropout(g: Numbers) -> Problem:
    at = clock()
    return Problem(
        lambda x: ops.dropout(x, 0.3, at, 5), lambda dy, x: ops.dropout_backward(dy, 0.3, at, 5), {"x": apart(g, 4, 9)}
    )


def _loss(rule: Callable[..., Any], *shapes: tuple[int, ...], centre: float = 0.0) -> Make:
    """rule(*inputs) -> loss, gradient of each input"""
    return lambda g: Problem(
        lambda *inputs: rule(*inputs)[0],
        lambda dy, *inputs: tuple(dy * da for da in rule(*inputs)[1:]),
        {f"x{i}": centre + apart(g, *shape) for i, shape in enumerate(shapes)},
    )


def _logit_loss(kind: str, target: float) -> Make:
    kink = target if kind == "hinge" else 0.0  # max(0, 1 - t x) breaks at x = 1 / t = t
    return _loss(lambda x: ops.logit_loss(x, kind, target), (6, 2), centre=kink)


def _softmax(g: Numbers) -> Problem:
    labels = g.integers(0, 4, 5)
    return _loss(lambda x: ops.softmax_cross_entropy(x, labels), (5, 4))(g)


def _to_target(op: str) -> Make:
    def make(g: Numbers) -> Problem:
        target = g.standard_normal((4, 5))
        rule = getattr(ops, op)
        return Problem(
            lambda x: rule(x, target)[0], lambda dy, x: dy * rule(x, target)[1], {"x": target + apart(g, 4, 5)}
        )

    return make


def _pixels(forward: Callable[..., Any], backward: Callable[..., Any], **choices: Callable[[Numbers], Array]) -> Make:
    """An op on images (4,6,4,3): forward(x, *choices), backward(dy, *choices), with choices drawn once."""

    def make(g: Numbers) -> Problem:
        drawn = [draw(g) for draw in choices.values()]
        return Problem(
            lambda x: forward(x, *drawn), lambda dy, x: backward(dy, *drawn), {"x": g.standard_normal((4, 6, 4, 3))}
        )

    return make


_PADS = ((1, 2), (0, 3))
_BOX = np.array([[0, 1, 3, 4], [2, 0, 9, 2], [-1, -1, 2, 2], [3, 3, 3, 3]])


def _factor(g: Numbers) -> Array:
    return g.uniform(0.5, 1.5, 4)


def _stddev(g: Numbers) -> Problem:
    return Problem(
        lambda x: ops.minibatch_stddev(x, 3, 1e-8),
        lambda dy, x: ops.minibatch_stddev_backward(dy, x, 3, 1e-8),
        {"x": g.standard_normal((6, 2, 3, 2))},
    )


def _concat(g: Numbers) -> Problem:
    inputs = {"x": g.standard_normal((2, 3, 3, 4)), "y": g.standard_normal((2, 3, 3, 2))}
    return Problem(ops.concat, lambda dy, x, y: ops.split(dy, 4), inputs)


def _split(g: Numbers) -> Problem:
    return Problem(lambda x: ops.split(x, 4), lambda dys, x: ops.concat(*dys), {"x": g.standard_normal((2, 3, 3, 6))})


def _embedding(g: Numbers) -> Problem:
    labels = g.integers(0, 3, 7)
    return Problem(
        lambda w: ops.embedding(labels, w),
        lambda dy, w: added(lambda dw: ops.embedding_backward(dy, labels, dw), w)[1],
        {"w": g.standard_normal((3, 5))},
    )


def _elementwise(forward: Callable[..., Any], backward: Callable[..., Any]) -> Make:
    return lambda g: Problem(forward, backward, {"x": g.standard_normal((3, 4)), "y": g.standard_normal((3, 4))})


ROWS: dict[str, Row] = {
    "linear": Row(_linear),
    "linear_dgrad": Row(_linear_dgrad),
    "conv2d.same": Row(lambda g: _conv2d(g, _SAME)),
    "conv2d.ragged": Row(lambda g: _conv2d(g, _RAGGED)),
    "conv2d.drawn": Row(lambda g: _conv2d(g, _drawn(g))),
    "conv2d_dgrad.same": Row(lambda g: _conv2d_dgrad(g, _SAME)),
    "conv2d_dgrad.ragged": Row(lambda g: _conv2d_dgrad(g, _RAGGED)),
    "conv2d_dgrad.drawn": Row(lambda g: _conv2d_dgrad(g, _drawn(g))),
    "batchnorm.features": Row(_norm("batchnorm", "batchnorm_backward", 7, 4)),
    "batchnorm.images": Row(_norm("batchnorm", "batchnorm_backward", 3, 4, 2, 3)),
    "batchnorm_running": Row(_batchnorm_running),
    "layernorm.features": Row(_norm("layernorm", "layernorm_backward", 4, 7)),
    "layernorm.images": Row(_norm("layernorm", "layernorm_backward", 3, 4, 2, 3)),
    "instancenorm": Row(_norm("instancenorm", "instancenorm_backward", 2, 4, 3, 3)),
    "activation.relu": Row(_activation("relu"), smooth=False),
    "activation.leaky_relu": Row(_activation("leaky_relu", 0.2), smooth=False),
    "activation.tanh": Row(_activation("tanh")),
    "activation.sigmoid": Row(_activation("sigmoid")),
    "activation_backward_tangent.relu": Row(_activation_tangent("relu"), smooth=False),
    "activation_backward_tangent.leaky_relu": Row(_activation_tangent("leaky_relu", 0.2), smooth=False),
    "activation_backward_tangent.tanh": Row(_activation_tangent("tanh")),
    "activation_backward_tangent.sigmoid": Row(_activation_tangent("sigmoid")),
    "layernorm_tangent.features": Row(_norm_tangent("layernorm", 4, 7)),
    "layernorm_tangent.images": Row(_norm_tangent("layernorm", 3, 4, 2, 3)),
    "instancenorm_tangent": Row(_norm_tangent("instancenorm", 2, 4, 3, 3)),
    "dropout": Row(_dropout),
    "logit_loss.bce0": Row(_logit_loss("bce", 0.0)),
    "logit_loss.bce1": Row(_logit_loss("bce", 1.0)),
    "logit_loss.bce0.9": Row(_logit_loss("bce", 0.9)),
    "logit_loss.mse": Row(_logit_loss("mse", 1.0)),
    "logit_loss.hinge+": Row(_logit_loss("hinge", 1.0), smooth=False),
    "logit_loss.hinge-": Row(_logit_loss("hinge", -1.0), smooth=False),
    "logit_loss.linear": Row(_logit_loss("linear", -1.0)),
    "logit_loss.minimax": Row(_logit_loss("minimax", 0.0)),
    "softmax_cross_entropy": Row(_softmax),
    "l1_loss": Row(_to_target("l1_loss"), smooth=False),
    "mse_loss": Row(_to_target("mse_loss")),
    "norm_loss.one": Row(_norm_loss("one")),
    "norm_loss.zero": Row(_norm_loss("zero")),
    "kl_gauss": Row(_loss(lambda mean, logvar: ops.kl_gauss(mean, logvar), (4, 3), (4, 3))),
    "upsample2x": Row(_pixels(lambda x: ops.upsample2x(x), lambda dy: ops.upsample2x_backward(dy))),
    "avgpool2x": Row(_pixels(lambda x: ops.avgpool2x(x), lambda dy: ops.avgpool2x_backward(dy))),
    "pad": Row(_pixels(lambda x: ops.pad(x, _PADS), lambda dy: ops.pad_backward(dy, _PADS))),
    "gather_pixels": Row(
        _pixels(
            lambda x, index: ops.gather_pixels(x, index),
            lambda dy, index: ops.gather_pixels_backward(dy, index, (6, 4)),
            index=lambda g: g.integers(-1, 24, (4, 40)),
        )
    ),
    "shift": Row(
        _pixels(
            lambda x, by: ops.shift(x, by), lambda dy, by: ops.shift(dy, -by), by=lambda g: g.integers(-2, 3, (4, 2))
        )
    ),
    "flip": Row(
        _pixels(lambda x, m: ops.flip(x, m), lambda dy, m: ops.flip(dy, m), m=lambda g: np.array([1, 0, 1, 0]))
    ),
    "cutout": Row(_pixels(lambda x: ops.cutout(x, _BOX), lambda dy: ops.cutout(dy, _BOX))),
    "colour": Row(
        _pixels(
            lambda x, brightness, saturation, contrast: ops.colour(x, brightness, saturation, contrast),
            lambda dy, brightness, saturation, contrast: ops.colour_backward(dy, saturation, contrast),
            brightness=_factor,
            saturation=_factor,
            contrast=_factor,
        )
    ),
    "minibatch_stddev": Row(_stddev),
    "concat": Row(_concat),
    "split": Row(_split),
    "embedding": Row(_embedding),
    "axpby": Row(_elementwise(lambda x, y: ops.axpby(2.0, x, -3.0, y), lambda dy, x, y: (2.0 * dy, -3.0 * dy))),
    "scale": Row(_pixels(lambda x: ops.scale(x, -1.5), lambda dy: ops.scale(dy, -1.5))),
    "exp": Row(_elementwise(lambda x, y: ops.exp(x), lambda dy, x, y: (ops.mul(dy, ops.exp(x)), 0 * y))),
    "mul": Row(_elementwise(ops.mul, lambda dy, x, y: (ops.mul(dy, y), ops.mul(dy, x)))),
}
