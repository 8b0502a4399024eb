"""The oracle against plain loops: exactly on small integers, within derived bounds on real values."""

import numpy as np
import pytest
from cases import NOT_OPS, ROWS, Row, compare

from minigan.backends import load, oracle

SEEDS = range(30)
TYPES = {"numpy": (np.float32, np.float64)}  # backend: the types it takes
BACKENDS = pytest.mark.parametrize(
    ("backend", "dtype"),
    [(name, t) for name, types in TYPES.items() for t in types],
    ids=lambda a: getattr(a, "__name__", a),
)


def test_every_op_has_a_row() -> None:
    assert {row.op for row in ROWS} == set(oracle.__all__) - NOT_OPS


@pytest.mark.parametrize("row", [row for row in ROWS if row.check.exact], ids=lambda row: row.name)
@BACKENDS
def test_equals_loops_on_integers(row: Row, backend: str, dtype: type) -> None:
    for seed in SEEDS:
        compare(load(backend), row, seed, dtype, integer=True)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@BACKENDS
def test_is_within_bound_of_loops(row: Row, backend: str, dtype: type) -> None:
    for seed in SEEDS:
        compare(load(backend), row, seed, dtype, integer=False)


def test_convolution_cases_reach_every_corner() -> None:
    """All kernel sizes and strides, both uneven, uneven padding, N = 1, rows left over."""
    (row,) = (row for row in ROWS if row.name == "conv2d_dgrad")
    seen = [row.args(seed, np.float32, True) for seed in SEEDS]
    kernels = [w.shape[:2] for _, w, *_ in seen]
    strides, paddings = [a[3] for a in seen], [a[4] for a in seen]
    left_over = [
        (h + sum(padding[0]) - w.shape[0]) % stride[0] for _, w, _, stride, padding, (h, _), _ in seen if stride[0] > 1
    ]
    assert {k for pair in kernels for k in pair} == set(range(1, 8)) and any(h != w for h, w in kernels)
    assert {s for pair in strides for s in pair} == {1, 2, 3} and any(h != w for h, w in strides)
    assert any(top != bottom for (top, bottom), _ in paddings) and any(
        vertical != across for vertical, across in paddings
    )
    assert {len(dy) for dy, *_ in seen} >= {1, 2} and any(left_over) and not all(left_over)
    assert any(b is None for _, _, b, *_ in seen) and any(b is not None for _, _, b, *_ in seen)
