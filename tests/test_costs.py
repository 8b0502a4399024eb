"""The table of costs against loops that count, what the ops take and give, and numbers worked by hand."""

import inspect
from itertools import product
from typing import Any

import numpy as np
import pytest
from cases import NOT_OPS, ROWS, Row

from minigan.backends import costs, oracle
from minigan.models.shapes import Act

SEEDS = range(12)
LOOKED_UP = {"embedding", "embedding_backward", "gather_pixels", "pad_backward"}  # ops that need not read all they get


def test_the_table_has_the_contracts_ops_and_no_others() -> None:
    assert set(costs.TABLE) == set(oracle.__all__) - NOT_OPS | {"prepare_image"}  # which takes time in a profile


def taps(x: Any, w: Any, stride: Any, padding: Any) -> tuple[int, int]:
    """Multiply-adds of x (N,H,W,I) and w (KH,KW,I,O), one loop per axis: all, and those that meet data."""
    (_, height, width, _), (kh, kw, i, o) = x, w
    (top, bottom), (left, right) = padding
    rows = range(0, top + height + bottom - kh + 1, stride[0])
    columns = range(0, left + width + right - kw + 1, stride[1])
    found = [
        top <= r + a < top + height and left <= c + b < left + width
        for r, c, a, b in product(rows, columns, range(kh), range(kw))
    ]
    return len(found) * x[0] * i * o, sum(found) * x[0] * i * o


CONVOLUTIONS = {
    "conv2d": lambda x, w, b, stride, padding, act: (x.shape, w.shape, stride, padding),
    "conv2d_dgrad": lambda dy, w, b, stride, padding, hw, act: ((len(dy), *hw, w.shape[2]), w.shape, stride, padding),
    "conv2d_wgrad": lambda dy, x, dw, db, stride, padding: (x.shape, dw.shape, stride, padding),
}


@pytest.mark.parametrize("row", [row for row in ROWS if row.op in CONVOLUTIONS], ids=lambda row: row.name)
def test_convolutions_against_counting_loops(row: Row) -> None:
    for seed in SEEDS:
        args = row.args(seed, np.float32, True)
        every, touched = taps(*CONVOLUTIONS[row.op](*args))
        assert (costs.flops(row.op, *args), costs.touched_flops(row.op, *args)) == (2 * every, 2 * touched)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_shapes_cost_what_their_arrays_do(row: Row) -> None:
    for seed in SEEDS:
        args = row.args(seed, np.float32, True)
        for cost in (costs.flops, costs.touched_flops, costs.bytes_moved):
            found = cost(row.op, *args)
            assert type(found) is int and found >= 0 and found == cost(row.op, *costs.shapes(args))
        assert costs.touched_flops(row.op, *args) <= costs.flops(row.op, *args)


@pytest.mark.parametrize("row", [row for row in ROWS if row.op not in LOOKED_UP], ids=lambda row: row.name)
def test_bytes_are_those_of_what_the_oracle_reads_and_writes(row: Row) -> None:
    """Every array given once, every one written in place once more, every one returned once; the clock is left out."""
    op = getattr(oracle, row.op)
    names = list(inspect.signature(op).parameters)
    for seed in SEEDS:
        args = row.args(seed, np.float32, True)
        arrays = {n: a for n, a in enumerate(args) if isinstance(a, np.ndarray) and names[n] != "clock"}
        expected = sum(a.size for a in arrays.values()) + sum(arrays[n].size for n in row.writes if n in arrays)
        with np.errstate(all="ignore"):
            out = op(*args)
        returned = out if isinstance(out, tuple) else () if out is None else (out,)
        expected += sum(a.size for a in returned)
        assert costs.bytes_moved(row.op, *args) == 4 * expected


S1, S2, SAME, EVEN = (1, 1), (2, 2), ((2, 2), (2, 2)), ((1, 2), (1, 2))
X = (2, 4, 4, 3)  # 96 numbers

# op, its arguments, operations, those that touch data, numbers read and written
WORKED: list[tuple[str, tuple[Any, ...], int, int, int]] = [
    ("linear", ((128, 784), (784, 256), (256,), None), 51_380_224, 51_380_224, 100_352 + 200_704 + 256 + 32_768),
    ("linear_dgrad", ((128, 256), (784, 256)), 51_380_224, 51_380_224, 32_768 + 200_704 + 100_352),
    ("linear_wgrad", ((2, 3), (2, 5), (5, 3), (3,)), 60, 60, 6 + 10 + 2 * 15 + 2 * 3),
    # on a 7x7 map a 5x5 kernel's taps meet 5 + 6 + 7 + 6 + 5 = 29 rows and columns of 35
    ("conv2d", ((64, 7, 7, 128), (5, 5, 128, 256), None, S1, SAME, None),
     2 * 64 * 35 * 35 * 128 * 256, 2 * 64 * 29 * 29 * 128 * 256, 401_408 + 819_200 + 802_816),
    ("conv2d_dgrad", ((64, 7, 7, 256), (5, 5, 128, 256), None, S1, SAME, (7, 7), None),
     2 * 64 * 35 * 35 * 128 * 256, 2 * 64 * 29 * 29 * 128 * 256, 802_816 + 819_200 + 401_408),
    # 28 -> 14, taps begin 1 before: 13 + 14 + 14 + 13 + 13 = 67 of 70
    ("conv2d_wgrad", ((1, 14, 14, 64), (1, 28, 28, 1), (5, 5, 1, 64), (64,), S2, EVEN),
     2 * 70 * 70 * 64, 2 * 67 * 67 * 64, 12_544 + 784 + 2 * 1600 + 2 * 64),
    ("bias_grad", (X, (3,)), 96, 96, 96 + 6),
    ("embedding", ((7,), (10, 4)), 0, 0, 7 * 9),
    ("embedding_backward", ((7, 4), (7,), (10, 4)), 28, 28, 28 + 7 + 56),
    ("activation", (X, Act("tanh")), 96, 96, 192),
    ("activation", (X, None), 0, 0, 0),
    ("activation_backward", (X, X, Act("leaky_relu", 0.2)), 192, 192, 288),
    ("batchnorm", (X, (3,), (3,), 1e-5, None), 8 * 96, 8 * 96, 192 + 4 * 3),
    ("batchnorm_backward", (X, X, (3,), (3,), (3,), 1e-5, (3,), (3,)), 13 * 96, 13 * 96, 288 + 7 * 3),
    ("batchnorm_running", (X, (3,), (3,), (3,), (3,), 1e-5, None), 4 * 96, 4 * 96, 192 + 4 * 3),
    ("instancenorm", (X, (3,), (3,), 1e-5, None), 8 * 96, 8 * 96, 192 + 2 * 3 + 2 * 6),
    ("layernorm_backward", (X, X, (3,), (2,), (2,), 1e-5, (3,), (3,)), 13 * 96, 13 * 96, 288 + 3 + 4 + 12),
    ("activation_backward_tangent", (X, X, X, X, Act("tanh")), 768, 768, 480),
    ("activation_backward_tangent", (X, X, X, X, Act("relu")), 192, 192, 480),
    ("layernorm_tangent", (X, X, (3,), (2,), (2,), 1e-5), 960, 960, 288 + 3 + 4),
    ("instancenorm_backward_tangent", (X, X, X, X, (3,), (2, 3), (2, 3), 1e-5, (3,), (3,)), 37 * 96, 37 * 96, 507),
    ("norm_loss", (X, "one"), 288, 288, 194),
    ("axpby", (1.0, X, 2.0, X), 288, 288, 288),
    ("exp", (X,), 96, 96, 192),
    ("clip", (X, 0.01), 192, 192, 192),
    ("mean", (X,), 96, 96, 97),
    ("row_sum_squares", (X,), 192, 192, 98),
    ("dropout", (X, 0.3, (22,), 1), 96, 96, 192),
    ("upsample2x", (X,), 0, 0, 96 + 384),
    ("upsample2x_backward", (X,), 72, 72, 96 + 24),
    ("avgpool2x", (X,), 96, 96, 96 + 24),
    ("pad", (X, ((1, 0), (2, 1))), 0, 0, 96 + 2 * 5 * 7 * 3),
    ("pad_backward", (X, ((1, 0), (2, 1))), 0, 0, 2 * 2 * 3 * 1 * 3),
    ("gather_pixels", (X, (2, 5)), 0, 0, 10 + 30 + 30),
    ("gather_pixels_backward", ((2, 5, 3), (2, 5), (4, 4)), 30, 30, 30 + 10 + 96),
    ("colour", (X, (2,), (2,), (2,)), 9 * 96, 9 * 96, 192 + 6),
    ("minibatch_stddev", (X, 2, 1e-8), 4 * 96 + 3 * 48, 4 * 96 + 3 * 48, 96 + 96 + 32),
    ("logit_loss", ((64, 1), "bce", 1.0), 22 * 64, 22 * 64, 129),
    ("softmax_cross_entropy", ((8, 10), (8,)), 480, 480, 80 + 8 + 80 + 1),
    ("mse_loss", (X, X), 480, 480, 289),
    ("kl_gauss", ((8, 2), (8, 2)), 128, 128, 65),
    ("adam_step", ((10,), (10,), (10,), (10,), (22,), 0, 0.5, 0.999, 1e-8, 0.0), 150, 150, 70),
    ("adam_step", ((10,), (10,), (10,), (10,), (22,), 0, 0.5, 0.999, 1e-8, 0.1), 170, 170, 70),
    ("sgd_step", ((10,), (10,), (10,), (22,), 0, 0.9, 0.0), 50, 50, 50),
    ("ema_update", ((10,), (10,), (22,)), 30, 30, 30),
    ("clip_scale", ((), 1.0, (22,), 0), 3, 3, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "args", "flops", "touched", "numbers"), WORKED, ids=lambda v: v if type(v) is str else ""
)
def test_numbers_worked_by_hand(op: str, args: tuple[Any, ...], flops: int, touched: int, numbers: int) -> None:
    found = costs.flops(op, *args), costs.touched_flops(op, *args), costs.bytes_moved(op, *args)
    assert found == (flops, touched, 4 * numbers)
