"""Same bits for any number of threads, from run to run, from several Python threads at once, and after a fork."""

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cases import ROWS
from cpp_isas import BACKENDS, ISAS, _cpp

from minigan import config
from minigan.backends import plan
from minigan.backends.checks import LOSS_KINDS, NORM_KINDS
from minigan.backends.clock import BAD, WORDS
from minigan.models.shapes import Act
from minigan.tasks.gan import GAN

THREADS = (1, 2, 3, 8, 40)  # the last: more than machines that run this have cores


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
    ops.bias_grad(dy, db)
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
        if name != "batchnorm":
            tx, tdy = x[::-1].copy(), dy[::-1].copy()
            how = (x, gamma, mean, var, 1e-5)
            out.append(getattr(ops, f"{name}_tangent")(tx, *how))
            out.append(getattr(ops, f"{name}_backward_tangent")(tdy, dy, tx, *how, dgamma, dbeta))
    return out


def _one_channel(ops: Any) -> list[np.ndarray]:
    x, w, dy, dw, db = _arrays((17, 28, 28, 1), (5, 5, 1, 64), (17, 14, 14, 64), (5, 5, 1, 64), (64,))
    how = ((2, 2), ((1, 2), (1, 2)))
    ops.conv2d_wgrad(dy, x, dw, db, *how)
    return [ops.conv2d(x, w, db, *how, Act("relu")), ops.conv2d_dgrad(dy, w, None, *how, (28, 28)), dw, db]


def _given_statistics(ops: Any) -> list[np.ndarray]:
    x, dy, gamma, beta, mean, var, dgamma, dbeta = _arrays((900, 70), (900, 70), *[(70,)] * 6)
    var, how = np.abs(var), (1e-5,)
    dx = ops.batchnorm_running_backward(dy, x, gamma, mean, var, *how, dgamma, dbeta)
    out = [ops.batchnorm_running(x, gamma, beta, mean, var, *how, Act("leaky_relu", 0.2)), dx, dgamma, dbeta]
    ops.running_update(mean, var, 0.9)
    return [*out, mean]


def _losses(ops: Any) -> list[np.ndarray]:
    x, y = _arrays((3000, 21), (3000, 21))
    labels = np.arange(3000, dtype=np.int32) % 21
    out = [ops.logit_loss(x, kind, 1.0 if kind == "hinge" else 0.9) for kind in LOSS_KINDS]
    out += [ops.norm_loss(x, kind) for kind in NORM_KINDS]
    return [a for loss in (*out, ops.l1_loss(x, y), ops.mse_loss(x, y), ops.kl_gauss(x, y)) for a in loss] + [
        *ops.softmax_cross_entropy(x, labels)
    ]


def _updates(ops: Any) -> list[np.ndarray]:
    clock = np.full(WORDS, 0.5, np.float32)
    clock[BAD] = 0
    p, dp, m, v, state = _arrays(*[(70_001,)] * 5)
    v = np.abs(v)
    ops.adam_step(p, dp, m, v, clock, 1, 0.5, 0.999, 1e-8, 0.01)
    ops.sgd_step(p, dp, m, clock, 0, 0.9, 0.01)
    ops.rmsprop_step(p, dp, v, clock, 2, 0.9, 1e-8, 0.01)
    ops.ema_update(state, p, clock)
    ops.add_scaled(0.3, dp, m)
    ops.clip(dp, 0.5)
    return [p, dp, m, v, state]


def _images(ops: Any) -> list[np.ndarray]:
    x, dy, w, three = _arrays((24, 16, 16, 19), (24, 16, 16, 20), (9, 300), (3, 24))
    index = (np.arange(24 * 400, dtype=np.int32).reshape(24, 400) * 7) % 257 - 1
    small = index[:, :4] % 5
    out = [ops.upsample2x(x), ops.upsample2x_backward(x), ops.avgpool2x(x), ops.avgpool2x_backward(x)]
    out += [ops.pad(x, ((1, 2), (3, 0))), ops.pad_backward(x, ((1, 2), (3, 0))), *ops.split(x, 5), ops.concat(x, dy)]
    out += [ops.gather_pixels(x, index), ops.gather_pixels_backward(ops.gather_pixels(x, index), index, (16, 16))]
    out += [ops.shift(x, small[:, :2].copy()), ops.flip(x, small[:, 0] % 2), ops.cutout(x, small)]
    out += [ops.colour(x, *three), ops.colour_backward(x, *three[:2])]
    out += [ops.minibatch_stddev(x, 4, 1e-8), ops.minibatch_stddev_backward(dy, x, 4, 1e-8)]
    labels, dw = index[0] % 9, w.copy()
    ops.embedding_backward(ops.embedding(labels, w), labels, dw)
    return [*out, dw]


def _elementwise(ops: Any) -> list[np.ndarray]:
    x, y = _arrays((5, 20_001), (5, 20_001))
    clock = np.zeros(WORDS, np.float32)
    loss = ops.logit_loss(x, "bce", 1.0)
    sums = ops.sum_squares(x), ops.mean(x), ops.row_sum_squares(x)
    acts = [ops.activation(x, Act(kind)) for kind in ("relu", "tanh", "sigmoid")]
    acts += [ops.activation_backward(y, x, Act(kind)) for kind in ("relu", "tanh", "sigmoid")]
    acts += [ops.activation_backward_tangent(y, x, x, y, Act(kind)) for kind in ("relu", "tanh", "sigmoid")]
    dropped = [ops.dropout(x, 0.3, clock, 5), ops.dropout_backward(x, 0.3, clock, 5)]
    plain = [ops.mul(x, y), ops.axpby(0.3, x, 0.7, y), ops.scale(x, 0.3), ops.exp(x)]
    return [*sums, *dropped, *loss, *acts, *plain]


WORK: dict[str, Callable[[Any], list[np.ndarray]]] = {
    "linear": _linear, "long sum": _long_sum, "convolution": _convolution, "one channel": _one_channel, "norms": _norms,
    "given statistics": _given_statistics, "losses": _losses, "updates": _updates, "images": _images,
    "elementwise": _elementwise,
}  # fmt: skip


class _Noting:
    """A backend that notes which of its ops are called."""

    def __init__(self, ops: Any):
        self.ops, self.called = ops, set[str]()

    def __getattr__(self, op: str) -> Any:
        self.called.add(op)
        return getattr(self.ops, op)


def test_every_op_but_the_flags_is_among_the_work() -> None:
    noting = _Noting(BACKENDS[ISAS[0]])
    for work in WORK.values():
        work(noting)
    assert {row.op for row in ROWS} - noting.called == {"finite_flag", "clip_scale"}  # of single numbers


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


@pytest.mark.parametrize(("preset", "side"), [("digits", 8), ("mlp-mnist", 28), ("dcgan-mnist", 28)])
@pytest.mark.parametrize("isa", ISAS)
def test_training_is_the_same_bits_for_any_number_of_threads_and_from_run_to_run(
    preset: str, side: int, isa: str
) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (16, side, side, 1)).astype(np.float32)
    slabs = []
    for threads in (1, *THREADS):
        _cpp.set_threads(threads)
        gan = GAN(config.load(preset), BACKENDS[isa], (side, side, 1))
        records = [gan.step([images], step) for step in range(3)]
        kept = [a for net in gan.nets.values() for a in (net.p, net.state)]
        slabs.append([a.tobytes() for a in (*kept, *(a for record in records for a in record.values()))])
    assert all(slab == slabs[0] for slab in slabs)


def test_several_python_threads_may_call_at_once_and_change_the_pool() -> None:
    ops = BACKENDS[ISAS[0]]
    names = list(WORK)
    want, got = {name: _bits(WORK[name](ops)) for name in names}, []

    def work(first: int) -> None:
        for name in names[first:] + names[:first]:
            _cpp.set_threads(1 + first % 5)
            got.append(_bits(WORK[name](ops)) == want[name])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(names))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert got == [True] * len(names) ** 2


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
