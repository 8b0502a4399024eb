"""Every instruction set gives the oracle's numbers: exactly on integers, within the stated bound on real data."""

import inspect
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import ROWS, compare
from cpp_isas import BACKENDS, ISAS
from gan_shapes import GAN_SHAPES

from minigan.backends import oracle, plan
from minigan.backends.bounds import INEXACT_BOUND
from minigan.backends.clock import BAD, SEED, TICK, WORDS
from minigan.models.shapes import Act

NORMS = ("batchnorm", "batchnorm_running", "layernorm", "instancenorm")
TANGENTS = [f"{norm}_{which}" for norm in NORMS[2:] for which in ("tangent", "backward_tangent")]
MANY = {"linear", "linear_dgrad", "linear_wgrad", *plan.OPS, *NORMS, *(f"{norm}_backward" for norm in NORMS), *TANGENTS}
QUICK, WHOLE = 20, 600  # seeds: the first ones on integers and on real data, later ones on either
SHAPES = 300  # that are different, of each op of MANY
TAILS = (1, 3, 7, 15, 17, 31, 33, 64)
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


def _cases(seeds: int) -> list[tuple[int, bool]]:
    """(seed, integer)"""
    both = [(seed, integer) for seed in range(min(seeds, QUICK)) for integer in (True, False)]
    return both + [(seed, seed % 2 == 0) for seed in range(QUICK, seeds)]


def _hold(row: Any, seeds: int) -> None:
    for seed, integer in _cases(seeds):
        for isa in ISAS:
            try:
                compare(BACKENDS[isa], row, seed, np.float32, integer)
            except AssertionError as e:
                raise AssertionError(f"MINIGAN_ISA={isa}: {e}") from e


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_op_agrees_with_the_loops(row: Any) -> None:
    """Convolutions, dense layers and norms on at least 300 shapes."""
    _hold(row, WHOLE if row.op in MANY else QUICK)


def _drawn(row: Any) -> dict[str, set[Any]]:
    """Axis -> its sizes over the cases drawn; "shapes": all of one case's; of convolutions also stride, padding, what
    the stride leaves of the padded image, and in how many directions the padding is unequal."""
    seen: dict[str, set[Any]] = defaultdict(set)
    for seed, integer in _cases(WHOLE):
        args = row.args(seed, np.float32, integer)
        shapes = [a.shape if isinstance(a, np.ndarray) else () for a in args]
        seen["shapes"].add((*shapes, *(a for a in args if type(a) is tuple)))
        for axes, shape in zip(row.shapes.split(" | "), shapes, strict=True):
            named = axes.split()
            at_end = named[-1:] if "..." in named else ()
            for name, size in [*zip(named, shape, strict=False), *zip(at_end, shape[-1:], strict=False)]:
                seen[name].add(size)
        if row.op in plan.OPS:
            stride, padding, *more = (a for a in args if type(a) is tuple)
            (image,) = more or [shapes[row.op == "conv2d_wgrad"][1:3]]
            kernel = shapes[2 if row.op == "conv2d_wgrad" else 1][:2]
            seen["stride"].update(stride)
            seen["unequal pads"].add(sum(before != after for before, after in padding))
            for size, k, s, sides in zip(image, kernel, stride, padding, strict=True):
                seen["left"].add((size + sum(sides) - k) % s)
    return seen


@pytest.mark.parametrize("row", [row for row in ROWS if row.op in MANY], ids=lambda row: row.name)
def test_the_cases_drawn_reach_every_tail(row: Any) -> None:
    """Else the promise of the test above would be empty."""
    seen = _drawn(row)
    assert len(seen["shapes"]) >= SHAPES
    for axis in {"I", "O", "C"} & set(row.shapes.split()):
        assert seen[axis] >= set(TAILS), f"{axis}: {sorted(seen[axis])}"
    if row.op in plan.OPS:
        assert seen["KH"] == seen["KW"] == set(range(1, 8))
        assert (seen["stride"], seen["left"], seen["unequal pads"]) == ({1, 2, 3}, {0, 1, 2}, {0, 1, 2})
    assert 1 in seen["N"] and len(seen["N"]) > 2, sorted(seen["N"])


CONVS = [row for row in ROWS if row.op in plan.OPS]


@pytest.mark.parametrize("forced", ["direct", "im2col"], indirect=True)
@pytest.mark.parametrize("row", CONVS, ids=lambda row: row.name)
def test_every_exact_implementation_serves_every_convolution(row: Any, forced: str) -> None:
    _hold(row, QUICK)


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
        compare(BACKENDS[isa], row, seed, np.float32, False, inexact=True)
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
                    assert error <= INEXACT_BOUND, f"{place}: relative error {error:.2e}"
                else:
                    assert np.array_equal(numbers, want[op]), place


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


CLOCK = np.full(WORDS, 0.5, np.float32)
CLOCK[BAD] = CLOCK[SEED + 1] = CLOCK[TICK + 1] = 0


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
        for act in (Act("relu"), Act("leaky_relu", 0.25)):
            assert np.array_equal(ops.activation(x, act), oracle.activation(x, act)), n
            assert np.array_equal(ops.activation_backward(y, x, act), oracle.activation_backward(y, x, act)), n
        assert np.array_equal(ops.dropout(x, 0.5, CLOCK, 3), oracle.dropout(x, 0.5, CLOCK, 3)), n


UPDATES: dict[str, tuple[int, tuple[Any, ...]]] = {  # op: how many slabs, what follows the clock; equal in every bit
    "adam_step": (4, (1, 0.5, 0.875, 0.25, 0.5)),
    "sgd_step": (3, (1, 0.5, 0.25)),
    "rmsprop_step": (3, (1, 0.875, 0.25, 0.5)),
    "ema_update": (2, ()),
}


@every_isa
@pytest.mark.parametrize("op", UPDATES)
def test_updates_of_every_length(isa: str, op: str) -> None:
    count, hyper = UPDATES[op]
    rng = np.random.default_rng(1)
    for n in (*range(1, 71), 16384, 16385, 40000):
        slabs = [np.abs(_whole_numbers(rng, n)) for _ in range(count)]
        mine, its = ([a.copy() for a in slabs] for _ in range(2))
        getattr(BACKENDS[isa], op)(*mine, CLOCK, *hyper)
        getattr(oracle, op)(*its, CLOCK, *hyper)
        assert [a.tobytes() for a in mine] == [a.tobytes() for a in its], n
