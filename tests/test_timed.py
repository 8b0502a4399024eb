"""proxies.Timed: whose time it notes, under which name, and that it changes nothing."""

from itertools import count

import numpy as np
import pytest

from minigan import config
from minigan.backends import costs, load, proxies
from minigan.models.shapes import Act
from minigan.tasks.gan import GAN


def test_calls_are_noted_by_layer_pass_op_and_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = map(float, count())  # a clock that moves by 1 each time it is read
    monkeypatch.setattr(proxies, "perf_counter", lambda: next(ticks))
    timed = proxies.Timed(load("numpy"))
    one, other = timed.named("g.0"), timed.named("g.1")
    x, w = np.ones((2, 3), np.float32), np.ones((3, 4), np.float32)
    timed.announce("forward")
    for _ in range(2):
        one.linear(x, w, None)
    other.linear(x, w, None)
    timed.announce("backward")
    one.linear_dgrad(x @ w, w)
    one.linear(x[:1], w, None)
    assert {key: calls.elapsed_s for key, calls in timed.calls.items()} == {
        ("g.0", "forward", "linear", ((2, 3), (3, 4))): [1.0, 1.0],
        ("g.1", "forward", "linear", ((2, 3), (3, 4))): [1.0],
        ("g.0", "backward", "linear_dgrad", ((2, 4), (3, 4))): [1.0],
        ("g.0", "backward", "linear", ((1, 3), (3, 4))): [1.0],
    }


def test_a_call_keeps_what_its_cost_needs() -> None:
    timed = proxies.Timed(load("numpy"))
    x, w = np.ones((2, 5, 5, 3), np.float32), np.ones((3, 3, 3, 4), np.float32)
    args = (x, w, None, (2, 1), ((1, 1), (0, 2)), Act("relu"))
    timed.conv2d(*args)
    ((_, calls),) = timed.calls.items()
    assert calls.args[:2] == (x.shape, w.shape)
    assert costs.flops("conv2d", *calls.args) == costs.flops("conv2d", *args)


def test_what_is_no_op_is_passed_on() -> None:
    ops = load("numpy")
    timed = proxies.Timed(ops)
    assert timed.NAME == ops.NAME and timed.zeros is ops.zeros and timed.to_numpy is ops.to_numpy
    timed.zeros((3,))
    assert timed.calls == {}


def test_a_timed_step_is_the_same_step() -> None:
    """And every op of it that the table of costs knows is noted, with a layer for what layers call."""
    small = config.load("digits", ["train.steps=1", "train.batch_size=4"])
    real = np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    timed = proxies.Timed(load("numpy"))
    plain, apart = (GAN(small, ops, (8, 8, 1)) for ops in (load("numpy"), timed))
    for gan in (plain, apart):
        gan.step([real] * gan.batches_per_step, 0)
    for name, tensor in plain.tensors().items():
        assert np.array_equal(tensor, apart.tensors()[name]), name
    ops = {(op, "." in layer) for layer, _, op, _ in timed.calls}
    assert {("linear", True), ("linear_wgrad", True), ("logit_loss", False), ("adam_step", False)} <= ops
    assert ("linear", False) not in ops
