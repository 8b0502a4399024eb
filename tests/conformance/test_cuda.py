"""The CUDA kernels give the loops' numbers, as the simulator runs them: exactly on integers, else within the bound.

Small shapes first, as all backends get; then shapes that take several blocks, chunks and parts, drawn for each tiling.
"""

import inspect
from typing import Any

import numpy as np
import pytest
from cases import ROWS, Row, compare
from draws import Draw

from minigan.backends import oracle
from minigan.backends.bounds import Args
from minigan.backends.clock import BAD, SEED, TICK, WORDS
from minigan.models.shapes import Act

FEW, MANY = 4, 60  # seeds, of which each is drawn on integers and on real data


def test_all_signatures_are_the_oracles(simulated: Any) -> None:
    assert sorted(simulated.__all__) == sorted(oracle.__all__)
    for name in oracle.__all__:
        mine, its = (inspect.signature(getattr(module, name)) for module in (simulated, oracle))
        assert mine == its, f"{name}: {mine}, the oracle's {its}"


def _hold(ops: Any, row: Row, seeds: range) -> None:
    for seed in seeds:
        for integer in (True, False):
            compare(ops, row, seed, np.float32, integer)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_op_agrees_with_the_loops(row: Row, simulated: Any) -> None:
    _hold(simulated, row, range(FEW))


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_op_agrees_with_the_loops_on_many_shapes(row: Row, simulated: Any) -> None:
    _hold(simulated, row, range(FEW, MANY))


# ------------------------------------------------------------------------------------------- more than a block can take


def _norm(*shape: int, statistics: tuple[int, ...] | None = None, centre: float = 1e3) -> Any:
    """Arguments of a normalisation, its mean far from 0; with `statistics`, the axes kept, of its backward pass."""

    def draw(d: Draw) -> Args:
        x = (centre + d.rng.standard_normal(shape)).astype(d.dtype)
        gamma, beta = d.array(shape[-1]), d.array(shape[-1])
        if statistics is None:
            return x, gamma, beta, 1e-5, Act("leaky_relu", 0.25)
        return d.array(*shape), x, gamma, *d.statistics(x, statistics), 1e-5, d.array(shape[-1]), beta

    return draw


def _tangent(*shape: int, statistics: tuple[int, ...]) -> Any:
    def draw(d: Draw) -> Args:
        x = (0.5 + d.rng.standard_normal(shape)).astype(d.dtype)
        return d.array(*shape), x, d.array(shape[-1]), *d.statistics(x, statistics), 1e-5

    return draw


def _backward_tangent(*shape: int, statistics: tuple[int, ...]) -> Any:
    def draw(d: Draw) -> Args:
        dgamma, dbeta = d.array(shape[-1]), d.array(shape[-1])
        return d.array(*shape), d.array(*shape), *_tangent(*shape, statistics=statistics)(d), dgamma, dbeta

    return draw


def _clocked(*rest: Any) -> Any:
    def draw(d: Draw) -> Args:
        clock = d.clock()
        clock[BAD] = 0
        return d.array(3, 2050), *rest[:1], clock, *rest[1:]

    return draw


CHUNKS, SAMPLES = (150, 33), (2, 13, 12, 34)  # rows in 3 chunks, in 3 of each sample
BIG = (
    Row("bias_grad", lambda d: (d.array(300, 3), d.array(3)), ""),
    Row("linear", lambda d: (d.array(3, 300), d.array(300, 2), d.array(2), Act("relu")), ""),
    Row(
        "conv2d_dgrad",
        lambda d: (d.array(2, 3, 3, 3), d.array(4, 3, 5, 3), None, (3, 2), ((1, 2), (2, 1)), (8, 5)),
        "",
    ),
    Row("mean", lambda d: (d.array(2, 4100),), ""),
    Row("sum_squares", lambda d: (d.array(9000),), ""),
    Row("row_sum_squares", lambda d: (d.array(3, 700),), ""),
    Row("logit_loss/bce", lambda d: (d.array(4100), "bce", 1.0), ""),
    Row("softmax_cross_entropy", lambda d: (1000 * d.array(11, 70), d.integers(0, 70, 11)), ""),
    Row("l1_loss", lambda d: (d.array(4100), d.array(4100)), ""),
    Row("kl_gauss", lambda d: (d.array(41, 101), d.array(41, 101)), ""),
    Row("dropout", _clocked(0.5, 7), ""),
    Row("embedding_backward", lambda d: (d.array(40, 33), d.integers(0, 9, 40), d.array(9, 33)), ""),
    Row("batchnorm", _norm(*CHUNKS), ""),
    Row("batchnorm/far", _norm(*CHUNKS, centre=1e5), ""),
    Row("batchnorm_backward", _norm(*CHUNKS, statistics=(-1,)), ""),
    Row("batchnorm_backward/far", _norm(*CHUNKS, statistics=(-1,), centre=1e5), ""),
    Row("batchnorm_running_backward", _norm(*CHUNKS, statistics=(-1,)), ""),
    Row("instancenorm", _norm(*SAMPLES), ""),
    Row("instancenorm_backward", _norm(*SAMPLES, statistics=(0, 3)), ""),
    Row("layernorm", _norm(*SAMPLES), ""),
    Row("layernorm/far", _norm(*SAMPLES, centre=1e5), ""),
    Row("layernorm_backward", _norm(*SAMPLES, statistics=(0,)), ""),
    Row("layernorm_backward/far", _norm(*SAMPLES, statistics=(0,), centre=1e5), ""),
    Row("layernorm_tangent", _tangent(*SAMPLES, statistics=(0,)), ""),
    Row("layernorm_backward_tangent", _backward_tangent(*SAMPLES, statistics=(0,)), ""),
    Row("instancenorm_tangent", _tangent(*SAMPLES, statistics=(0, 3)), ""),
    Row("instancenorm_backward_tangent", _backward_tangent(*SAMPLES, statistics=(0, 3)), ""),
    Row("norm_loss", lambda d: (d.array(3, 700), "one"), ""),
    Row("minibatch_stddev", lambda d: (d.array(6, 5, 6, 10), 3, 1e-8), ""),
    Row("minibatch_stddev_backward", lambda d: (d.array(6, 5, 6, 11), d.array(6, 5, 6, 10), 3, 1e-8), ""),
    Row("colour", lambda d: (d.array(2, 17, 16, 3), *(d.array(2) for _ in range(3))), ""),
)


@pytest.mark.parametrize("row", BIG, ids=lambda row: row.name)
def test_what_takes_several_blocks_agrees_with_the_loops(row: Row, simulated: Any) -> None:
    compare(simulated, row, 0, np.float32, False)


@pytest.mark.parametrize("row", [row for row in BIG if "norm" in row.op], ids=lambda row: row.name)
def test_chunks_grow_where_there_would_be_too_many(row: Row, simulated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on 256 x 64 rows and more, which are too many to simulate."""
    monkeypatch.setattr(simulated.norm, "MOST_CHUNKS", 2)
    compare(simulated, row, 0, np.float32, False)


LENGTHS = (1, 255, 256, 257, 769, 1023, 1024, 1025, 2900)  # around a block's 256 threads and its 1024 numbers
CLOCK = np.full(WORDS, 0.5, np.float32)
CLOCK[BAD] = CLOCK[SEED + 1] = CLOCK[TICK + 1] = 0
ACTS = (Act("relu"), Act("leaky_relu", 0.25))


@pytest.mark.parametrize("n", LENGTHS)
def test_elementwise_ops_of_every_length(n: int, simulated: Any) -> None:
    elementwise_ops(simulated, n)


def elementwise_ops(ops: Any, n: int) -> None:
    """Raises AssertionError unless each of them is right on n numbers."""
    rng = np.random.default_rng(n)
    x, y, p = (rng.integers(-4, 5, n).astype(np.float32) for _ in range(3))
    assert np.array_equal(ops.axpby(2.0, x, -3.0, y), 2 * x - 3 * y)
    assert np.array_equal(ops.mul(x, y), x * y) and np.array_equal(ops.scale(x, 0.5), x / 2)
    want = np.clip(p, -2, 2)
    ops.clip(p, 2.0)
    assert np.array_equal(p, want)
    for act in ACTS:
        assert np.array_equal(ops.activation(x, act), oracle.activation(x, act))
        assert np.array_equal(ops.activation_backward(y, x, act), oracle.activation_backward(y, x, act))
    assert np.array_equal(ops.dropout(x, 0.5, CLOCK, 3), oracle.dropout(x, 0.5, CLOCK, 3))


UPDATES: dict[str, tuple[int, tuple[Any, ...]]] = {  # op: how many slabs, what follows the clock; equal in every bit
    "adam_step": (4, (1, 0.9, 0.999, 1e-8, 0.01)),
    "sgd_step": (3, (1, 0.9, 0.01)),
    "rmsprop_step": (3, (1, 0.9, 1e-8, 0.01)),
    "ema_update": (2, ()),
}


@pytest.mark.parametrize("op", UPDATES)
def test_updates_have_the_oracles_bits(op: str, simulated: Any) -> None:
    update_bits(simulated, op)


def update_bits(ops: Any, op: str) -> None:
    """Raises AssertionError unless the update `op` gives the oracle's bits."""
    count, hyper = UPDATES[op]
    rng = np.random.default_rng(1)
    for n in (1, 255, 257, 900):
        slabs = [np.abs(rng.standard_normal(n)).astype(np.float32) for _ in range(count)]
        mine, its = ([a.copy() for a in slabs] for _ in range(2))
        getattr(ops, op)(*mine, CLOCK, *hyper)
        getattr(oracle, op)(*its, CLOCK, *hyper)
        assert [a.tobytes() for a in mine] == [a.tobytes() for a in its], n


def test_results_are_the_same_bits_every_time(simulated: Any) -> None:
    rng = np.random.default_rng(5)
    x, dy = rng.standard_normal((2, 150, 33)).astype(np.float32)
    gamma, beta = rng.standard_normal((2, 33)).astype(np.float32)

    def once() -> list[bytes]:
        y, mean, var = simulated.batchnorm(x, gamma, beta, 1e-5)
        dgamma, dbeta = np.zeros((2, 33), np.float32)
        dx = simulated.batchnorm_backward(dy, x, gamma, mean, var, 1e-5, dgamma, dbeta)
        return [a.tobytes() for a in (y, mean, var, dx, dgamma, dbeta, simulated.sum_squares(x))]

    assert once() == once()
