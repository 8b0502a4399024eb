"""proxies.Timed: whose time it notes, under which name, and that it changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

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


def test_another_layer_gets_its_own_name_and_a_cached_op_stays_the_layers_own() -> None:
    timed = proxies.Timed(load("numpy"))
    x = np.ones((2, 3), np.float32)
    one = timed.named("g.0")
    one.mul(x, x)
    one.mul(x, x)  # found in the proxy itself now
    one.named("g.1").mul(x, x)
    assert timed.named("g.0") is one, "whoever uses the proxy again finds its ops ready"
    timed.mul(x, x)
    assert [e[0] for e in timed.events] == ["g.0", "g.0", "g.1", ""]


def test_a_layers_first_array_stands_for_its_others_but_a_steps_does_not() -> None:
    timed = proxies.Timed(load("numpy"))
    layer = timed.named("g.0")
    x, y = np.ones((2, 3), np.float32), np.ones((2, 1), np.float32)
    for ops in (layer, timed):
        ops.concat(x, y)
        ops.concat(x, x)
        ops.concat(y, x)
    assert [e[3] for e in timed.events] == [
        ((2, 3), (2, 1)), ((2, 3), (2, 1)), ((2, 1), (2, 3)), ((2, 3), (2, 1)), ((2, 3), (2, 3)), ((2, 1), (2, 3)),
    ]  # fmt: skip


def test_moves_are_noted_when_asked_for_and_pauses_lie_outside_of_ops(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = map(float, count())
    monkeypatch.setattr(proxies, "perf_counter", lambda: next(ticks))
    paused: list[None] = []
    timed = proxies.Timed(load("numpy"), {"zeros"}, lambda: paused.append(None))
    timed.zeros((3,))
    assert [e[2:] for e in timed.events] == [(proxies.PAUSE, (), 0.0, 1.0), ("zeros", (None,), 2.0, 3.0)]
    assert len(paused) == 1 and list(timed.calls) == [("", "", "zeros", ())]


def test_a_backend_that_is_watched_is_shown_what_runs() -> None:
    seen: list[str] = []

    class Watched:
        LATE = True

        @staticmethod
        @contextmanager
        def span(name: str) -> Iterator[None]:
            seen.append(name)
            yield
            seen.append("end")

        def mul(self, x: Any, y: Any) -> None:
            seen.append("op")

        def synchronize(self) -> None:
            seen.append("waited")

    timed = proxies.Timed(Watched())
    timed.announce("forward")
    timed.named("g.0").mul(np.ones(2), np.ones(2))
    assert seen == ["g.0 forward mul", "op", "end", "waited"]
