"""<f(x), dy> = <x, f_backward(dy)> for every op that is linear in x, exactly, on integers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import ROWS
from draws import Draw
from hypothesis import given
from hypothesis import strategies as st

from minigan.backends import oracle
from minigan.models.shapes import Array, conv_out

SEEDS = range(30)
BY_NAME = {row.name: row for row in ROWS}


def _added(op: Callable[..., None], like: Array, *args: Any) -> Array:
    """What `op` adds into its third argument."""
    d = np.zeros_like(like)
    op(*args[:2], d, *args[2:])
    return d


def _bias_grad(dy: Array, c: Array) -> Array:
    db = np.zeros_like(c)
    oracle.bias_grad(dy, db)
    return db


# A constant gamma / sqrt(var + eps) = gamma / 2, and no mean or beta: the running form is then linear in x and exact.
def _running(x: Array, gamma: Array) -> Array:
    zero, three = np.zeros_like(gamma), np.full_like(gamma, 3)
    return oracle.batchnorm_running(x, gamma, zero, zero, three, 1.0)


def _running_backward(dy: Array, x: Array, gamma: Array) -> Array:
    zero, three = np.zeros_like(gamma), np.full_like(gamma, 3)
    return oracle.batchnorm_running_backward(dy, x, gamma, zero, three, 1.0, zero.copy(), zero.copy())


# name: (the row whose arguments are drawn, the argument that f is linear in, f(args), f_backward(dy, args))
LINEAR: dict[str, tuple[str, int, Callable[..., Any], Callable[..., Any]]] = {
    "linear": (
        "linear", 0, lambda x, w, *_: oracle.linear(x, w, None), lambda dy, x, w, *_: oracle.linear_dgrad(dy, w),
    ),
    "linear in w": (
        "linear", 1, lambda x, w, *_: oracle.linear(x, w, None),
        lambda dy, x, w, *_: _added(oracle.linear_wgrad, w, dy, x, None),
    ),
    "bias": ("bias_grad", 1, lambda y, b: np.broadcast_to(b, y.shape), lambda dy, y, b: _bias_grad(dy, b)),
    "embedding in w": (
        "embedding", 1, oracle.embedding, lambda dy, labels, w: _added(oracle.embedding_backward, w, dy, labels),
    ),
    "batchnorm_running": (
        "batchnorm_running", 0, lambda x, g, *_: _running(x, g),
        lambda dy, x, g, *_: _running_backward(dy, x, g),
    ),
    "dropout": ("dropout", 0, oracle.dropout, lambda dy, x, *how: oracle.dropout_backward(dy, *how)),
    "upsample2x": ("upsample2x", 0, oracle.upsample2x, lambda dy, x: oracle.upsample2x_backward(dy)),
    "avgpool2x": ("avgpool2x", 0, oracle.avgpool2x, lambda dy, x: oracle.avgpool2x_backward(dy)),
    "pad": ("pad", 0, oracle.pad, lambda dy, x, padding: oracle.pad_backward(dy, padding)),
    "concat": ("concat", 0, lambda x, y: oracle.concat(x, 0 * y), lambda dy, x, y: oracle.split(dy, x.shape[-1])[0]),
    "split": (
        "split", 0, lambda x, first: oracle.split(x, first)[1],
        lambda dy, x, first: oracle.concat(np.zeros_like(x[..., :first]), dy),
    ),
    "gather_pixels": (
        "gather_pixels", 0, oracle.gather_pixels,
        lambda dy, x, index: oracle.gather_pixels_backward(dy, index, x.shape[1:3]),
    ),
    "shift": ("shift", 0, oracle.shift, lambda dy, x, by: oracle.shift(dy, -by)),
    "flip": ("flip", 0, oracle.flip, lambda dy, x, mask: oracle.flip(dy, mask)),
    "cutout": ("cutout", 0, oracle.cutout, lambda dy, x, box: oracle.cutout(dy, box)),
    "colour": (
        "colour", 0, lambda x, b, *factors: oracle.colour(x, 0 * b, *factors),
        lambda dy, x, b, *factors: oracle.colour_backward(dy, *factors),
    ),
    "activation, relu": (
        "activation_backward", 0, lambda dy, y, act: oracle.activation_backward(dy, y, act),
        lambda dy, _, y, act: oracle.activation_backward(dy, y, act),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINEAR)
def test_backward_is_adjoint(name: str) -> None:
    row, linear_in, forward, backward = LINEAR[name]
    for seed in SEEDS:
        args = BY_NAME[row].args(seed, np.float64, integer=True)
        y = forward(*args)
        dy = Draw(0, seed, np.float64, True).array(*y.shape)
        dx = backward(dy, *args)
        assert np.vdot(y, dy) == np.vdot(args[linear_in], dx), f"{name}: case({row!r}, seed={seed}), shapes {y.shape}"


@st.composite
def _convolutions(draw: st.DrawFn) -> tuple[Any, ...]:
    """x, w, dy in integers, stride, padding; the image is any that the kernel fits."""
    kernel, stride = (draw(st.tuples(st.integers(1, high), st.integers(1, high))) for high in (7, 3))
    padding = tuple(draw(st.tuples(st.integers(0, 3), st.integers(0, 3))) for _ in range(2))
    hw = tuple(max(1, k - sum(side)) + draw(st.integers(0, 6)) for k, side in zip(kernel, padding, strict=True))
    n, i, o = (draw(st.integers(1, 4)) for _ in range(3))
    p, q = conv_out(hw, kernel, stride, padding)
    d = Draw(0, draw(st.integers(0, 2**32 - 1)), np.float32, True)
    return d.array(n, *hw, i), d.array(*kernel, i, o), d.array(n, p, q, o), stride, padding


@given(_convolutions())
def test_convolution_gradients_are_adjoint(case: tuple[Any, ...]) -> None:
    x, w, dy, stride, padding = case
    dx = oracle.conv2d_dgrad(dy, w, None, stride, padding, x.shape[1:3])
    dw, db = np.zeros_like(w), np.zeros_like(w[0, 0, 0])
    oracle.conv2d_wgrad(dy, x, dw, db, stride, padding)
    inner = np.vdot(oracle.conv2d(x, w, None, stride, padding), dy)
    assert inner == np.vdot(x, dx) == np.vdot(w, dw)
    assert np.array_equal(db, dy.sum((0, 1, 2)))
