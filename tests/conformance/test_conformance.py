"""Every instruction set gives the oracle's numbers: exactly on integers, within the stated bound on real data."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import ROWS, compare
from cpp_isas import BACKENDS, ISAS
from gan_shapes import GAN_SHAPES

from minigan.backends import oracle, plan

NORMS = ("batchnorm", "batchnorm_running", "layernorm", "instancenorm")
MANY = {"linear", "linear_dgrad", "linear_wgrad", *plan.OPS, *NORMS, *(f"{norm}_backward" for norm in NORMS)}
QUICK, WHOLE = 20, 150  # seeds, each on integers and on real data
INEXACT = 2e-6
every_isa = pytest.mark.parametrize("isa", ISAS)


@pytest.fixture
def forced(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Forces one implementation on all convolutions."""
    monkeypatch.setattr(plan, "FORCED", dict.fromkeys(plan.OPS, request.param))
    plan.choose.cache_clear()
    yield request.param
    plan.choose.cache_clear()


def test_all_signatures_are_the_oracles() -> None:
    for isa, ops in BACKENDS.items():
        assert sorted(ops.__all__) == sorted(oracle.__all__), isa
        assert ops.table.kernels.isa == isa
        for name in oracle.__all__:
            mine, its = (inspect.signature(getattr(module, name)) for module in (ops, oracle))
            assert mine == its, f"{name}: {mine}, the oracle's {its}"


def _hold(row: Any, seeds: range) -> None:
    for seed in seeds:
        for integer in (True, False):
            for isa in ISAS:
                try:
                    compare(BACKENDS[isa], row, seed, np.float32, integer)
                except AssertionError as e:
                    raise AssertionError(f"MINIGAN_ISA={isa}: {e}") from e


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_op_agrees_with_the_loops(row: Any) -> None:
    _hold(row, range(QUICK))


@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in ROWS if row.op in MANY], ids=lambda row: row.name)
def test_an_op_agrees_with_the_loops_on_300_cases(row: Any) -> None:
    _hold(row, range(QUICK, QUICK + WHOLE))


CONVS = [row for row in ROWS if row.op in plan.OPS]


@pytest.mark.parametrize("forced", ["direct", "im2col"], indirect=True)
@pytest.mark.parametrize("row", CONVS, ids=lambda row: row.name)
def test_every_exact_implementation_serves_every_convolution(row: Any, forced: str) -> None:
    _hold(row, range(QUICK))


@every_isa
@pytest.mark.parametrize("forced", ["fft"], indirect=True)
@pytest.mark.parametrize("row", CONVS, ids=lambda row: row.name)
def test_fft_is_within_its_bound(row: Any, forced: str, isa: str) -> None:
    served = 0
    for seed in range(QUICK * 3):
        args = row.args(seed, np.float32, False)
        if (
            max(next(a for a in args if isinstance(a, tuple) and len(a) == 2 and isinstance(a[0], int)))
            > plan.FFT_STRIDE
        ):
            continue
        compare(BACKENDS[isa], row, seed, np.float32, False, inexact=INEXACT)
        served += 1
    assert served > QUICK


def _whole_numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-4, 5, shape).astype(np.float32)


@pytest.mark.parametrize("name", GAN_SHAPES)
def test_layers_of_known_gans(name: str) -> None:
    """By the plan's own choice: exact on integers, or within the fft's bound."""
    (h, w), i, o, kernel, stride, padding = GAN_SHAPES[name]
    rng = np.random.default_rng(3)
    for n in (1, 17):
        x, weights, pair = _whole_numbers(rng, n, h, w, i), _whole_numbers(rng, kernel, kernel, i, o), (stride, stride)
        y = oracle.conv2d(x, weights, None, pair, padding)
        dy, b, before = _whole_numbers(rng, *y.shape), _whole_numbers(rng, i), _whole_numbers(rng, *weights.shape)
        want = {
            "conv2d": y,
            "conv2d_dgrad": oracle.conv2d_dgrad(dy, weights, b, pair, padding, (h, w)),
            "conv2d_wgrad": before.copy(),
        }
        oracle.conv2d_wgrad(dy, x, want["conv2d_wgrad"], None, pair, padding)
        for isa in ISAS:
            ops, dw = BACKENDS[isa], before.copy()
            ops.conv2d_wgrad(dy, x, dw, None, pair, padding)
            got = {
                "conv2d": ops.conv2d(x, weights, None, pair, padding),
                "conv2d_dgrad": ops.conv2d_dgrad(dy, weights, b, pair, padding, (h, w)),
                "conv2d_wgrad": dw,
            }
            for op, numbers in got.items():
                chosen = ops.chosen(op, dy.shape if op == "conv2d_dgrad" else x.shape, weights.shape, pair)
                place = f"{name}, N {n}, {isa}, {op} by {chosen}"
                if chosen in plan.INEXACT:
                    error = np.linalg.norm(numbers - want[op]) / np.linalg.norm(want[op])
                    assert error <= INEXACT, f"{place}: relative error {error:.2e}"
                else:
                    assert np.array_equal(numbers, want[op]), place


TAILS = (1, 3, 7, 15, 17, 31, 33, 64)


@every_isa
@pytest.mark.parametrize("inputs", TAILS)
def test_dense_layers_of_every_tail(isa: str, inputs: int) -> None:
    ops, rng = BACKENDS[isa], np.random.default_rng(inputs)
    for outputs in TAILS:
        for n in (1, 5, 14, 29):
            x, w, dy = (_whole_numbers(rng, *s) for s in ((n, inputs), (inputs, outputs), (n, outputs)))
            b, dw, db = (_whole_numbers(rng, *s) for s in ((outputs,), (inputs, outputs), (outputs,)))
            want_w, want_b = dw + x.T @ dy, db + dy.sum(0)
            assert np.array_equal(ops.linear(x, w, b), x @ w + b), (n, inputs, outputs)
            assert np.array_equal(ops.linear_dgrad(dy, w), dy @ w.T), (n, inputs, outputs)
            ops.linear_wgrad(dy, x, dw, db)
            assert np.array_equal(dw, want_w) and np.array_equal(db, want_b), (n, inputs, outputs)


@every_isa
def test_elementwise_ops_of_every_length(isa: str) -> None:
    ops, rng = BACKENDS[isa], np.random.default_rng(0)
    for n in (*range(1, 71), 16384, 16385, 40000):
        x, y, p = (_whole_numbers(rng, n) for _ in range(3))
        assert np.array_equal(ops.axpby(2.0, x, -3.0, y), 2 * x - 3 * y), n
        assert np.array_equal(ops.mul(x, y), x * y) and np.array_equal(ops.scale(x, 0.5), x / 2), n
        assert ops.sum_squares(x) == (x * x).sum() and ops.row_sum_squares(x[None])[0] == (x * x).sum(), n
        want = np.clip(p, -2, 2)
        ops.clip(p, 2.0)
        assert np.array_equal(p, want), n
        assert np.array_equal(ops.upsample2x(x[None, None, None])[0, 1, 1], x), n
