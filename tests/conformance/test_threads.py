"""Same bits for any number of threads, from run to run, from several Python threads at once, and after a fork."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cpp_isas import BACKENDS, ISAS, _cpp

from minigan import config
from minigan.backends import plan
from minigan.backends.clock import WORDS
from minigan.models.shapes import Act
from minigan.tasks.gan import GAN

THREADS = (1, 2, 3, 8)


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = _cpp.threads()
    yield
    _cpp.set_threads(before)


def _arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def _linear(ops: Any) -> list[np.ndarray]:
    x, w, b, dy, dw, db = _arrays((130, 300), (300, 200), (200,), (130, 200), (300, 200), (200,))
    ops.linear_wgrad(dy, x, dw, db)
    return [ops.linear(x, w, b, Act("tanh")), ops.linear_dgrad(dy, w), dw, db]


def _long_sum(ops: Any) -> list[np.ndarray]:
    """A small dw with many samples, which is summed in stretches."""
    x, dy, dw, db = _arrays((9000, 25), (9000, 40), (25, 40), (40,))
    ops.linear_wgrad(dy, x, dw, db)
    return [dw, db]


def _convolution(ops: Any) -> list[np.ndarray]:
    x, w, dy, dw = _arrays((17, 14, 14, 48), (5, 5, 48, 40), (17, 7, 7, 40), (5, 5, 48, 40))
    how = ((2, 2), ((1, 2), (1, 2)))
    ops.conv2d_wgrad(dy, x, dw, None, *how)
    return [ops.conv2d(x, w, None, *how), ops.conv2d_dgrad(dy, w, None, *how, (14, 14)), dw]


def _norms(ops: Any) -> list[np.ndarray]:
    x, dy, gamma, beta = _arrays((33, 10, 10, 70), (33, 10, 10, 70), (70,), (70,))
    out: list[np.ndarray] = []
    for name in ("batchnorm", "layernorm", "instancenorm"):
        y, mean, var = getattr(ops, name)(x, gamma, beta, 1e-5)
        dgamma, dbeta = np.zeros_like(gamma), np.zeros_like(beta)
        dx = getattr(ops, f"{name}_backward")(dy, x, gamma, mean, var, 1e-5, dgamma, dbeta)
        out += [y, mean, var, dx, dgamma, dbeta]
    return out


def _elementwise(ops: Any) -> list[np.ndarray]:
    x, y = _arrays((5, 20_001), (5, 20_001))
    clock = np.zeros(WORDS, np.float32)
    loss = ops.logit_loss(x, "bce", 1.0)
    sums = ops.sum_squares(x), ops.mean(x), ops.row_sum_squares(x)
    return [*sums, ops.dropout(x, 0.3, clock, 5), *loss, ops.mul(x, y)]


WORK: dict[str, Callable[[Any], list[np.ndarray]]] = {
    "linear": _linear, "long sum": _long_sum, "convolution": _convolution, "norms": _norms, "elementwise": _elementwise
}  # fmt: skip


def _bits(arrays: list[np.ndarray]) -> list[bytes]:
    return [a.tobytes() for a in arrays]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", WORK)
def test_results_are_the_same_bits_for_any_number_of_threads(name: str, isa: str) -> None:
    _cpp.set_threads(1)
    want = _bits(WORK[name](BACKENDS[isa]))
    for threads in THREADS:
        _cpp.set_threads(threads)
        for _ in range(3):
            assert _bits(WORK[name](BACKENDS[isa])) == want, f"MINIGAN_ISA={isa}, {threads} threads"


@pytest.mark.parametrize("algorithm", plan.ALGORITHMS)
def test_every_implementation_of_a_convolution_is_the_same_for_any_number_of_threads(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "FORCED", dict.fromkeys(plan.OPS, algorithm))
    plan.choose.cache_clear()
    results = []
    for threads in THREADS:
        _cpp.set_threads(threads)
        results.append(_bits(_convolution(BACKENDS[ISAS[0]])))
    plan.choose.cache_clear()
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("preset", ["mlp-mnist", "dcgan-mnist"])
def test_training_is_the_same_bits_with_one_and_three_threads(preset: str) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (16, 28, 28, 1)).astype(np.float32)
    slabs = []
    for threads in (1, 3):
        _cpp.set_threads(threads)
        gan = GAN(config.load(preset), BACKENDS[ISAS[0]], (28, 28, 1))
        for step in range(2):
            gan.step([images], step)
        slabs.append(gan.G.p.tobytes() + gan.D.p.tobytes())
    assert slabs[0] == slabs[1]


def test_several_python_threads_may_call_at_once() -> None:
    ops = BACKENDS[ISAS[0]]
    want, got = _bits(_convolution(ops)), []
    workers = [threading.Thread(target=lambda: got.append(_bits(_convolution(ops)))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert got == [want] * 4


def _in_child(work: Callable[[], bool]) -> int:
    child = os.fork()
    if child == 0:
        os._exit(0 if work() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_on_a_pool_of_its_own() -> None:
    ops = BACKENDS[ISAS[0]]
    _cpp.set_threads(3)
    want = _bits(_linear(ops))
    assert _in_child(lambda: _bits(_linear(ops)) == want) == 0
    stop = threading.Event()
    busy = threading.Thread(target=lambda: [_convolution(ops) for _ in iter(stop.is_set, True)])
    busy.start()
    try:
        assert [_in_child(lambda: _bits(_linear(ops)) == want) for _ in range(5)] == [0] * 5
    finally:
        stop.set()
        busy.join()
    assert _bits(_linear(ops)) == want


@pytest.mark.parametrize("given", [0, -1])
def test_no_threads_at_all_is_refused(given: int) -> None:
    with pytest.raises(_cpp.Refused):
        _cpp.set_threads(given)
