"""What ops touch: inputs never, named buffers in place, results never alias what was given."""

from typing import Any

import numpy as np
import pytest
from cases import NOT_OPS, ROWS, Row

from minigan.backends import oracle
from minigan.backends.bounds import run
from minigan.backends.clock import WORDS
from minigan.backends.oracle.pointwise import activation
from minigan.models.shapes import Act

SEEDS = range(15)
GRADIENTS = [row for row in ROWS if row.op.endswith(("_wgrad", "_grad", "_backward", "add_scaled")) and row.writes]
# None as activation is the identity: the very same array
IDENTITY = {"activation", "activation_backward"}


def _arrays(args: tuple[Any, ...]) -> dict[int, np.ndarray]:
    return {i: a for i, a in enumerate(args) if isinstance(a, np.ndarray)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_inputs_are_left_alone_and_results_are_fresh(row: Row) -> None:
    for seed in SEEDS:
        args = row.args(seed, np.float32, integer=False)
        before = {i: a.copy() for i, a in _arrays(args).items()}
        out = getattr(oracle, row.op)(*args)
        case = f"case({row.name!r}, seed={seed}), shapes {[a.shape for a in before.values()]}"
        for i, a in _arrays(args).items():
            unchanged = np.array_equal(a, before[i], equal_nan=a.dtype.kind == "f")
            assert unchanged or i in row.writes, f"{case}: argument {i} was modified"
            for result in out if isinstance(out, tuple) else (out,):
                assert result is None or not np.shares_memory(result, a), f"{case}: a result is a view of argument {i}"


@pytest.mark.parametrize("row", GRADIENTS, ids=lambda row: row.name)
def test_parameter_gradients_add(row: Row) -> None:
    """What lies in the buffer stays, and the gradient comes on top."""
    largest = 0.0
    for seed in SEEDS:
        args = row.args(seed, np.float64, integer=row.check.exact)
        zeroed = tuple(0 * a if i in row.writes and a is not None else a for i, a in enumerate(args))
        written = sum(args[i] is not None for i in row.writes)
        fresh = run(oracle, row.op, zeroed)[-written:]
        added = run(oracle, row.op, args)[-written:]
        for gradient, total, i in zip(fresh, added, [i for i in row.writes if args[i] is not None], strict=True):
            largest = max(largest, np.abs(gradient).max())
            assert np.allclose(total, args[i] + gradient, rtol=1e-13, atol=1e-13), f"case({row.name!r}, seed={seed})"
    assert largest > 0.1


@pytest.mark.parametrize(
    "act", [Act("relu"), Act("leaky_relu", 0.2), Act("tanh"), Act("sigmoid")], ids=lambda a: a.kind
)
@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "conv2d_dgrad", "batchnorm", "batchnorm_running", "layernorm", "instancenorm"]
)
def test_epilogue_is_the_activation_of_the_plain_output(name: str, act: Act) -> None:
    (row,) = (row for row in ROWS if row.name == name)
    for seed in SEEDS:
        *args, _ = row.args(seed, np.float32, integer=False)
        plain, fused = (getattr(oracle, name)(*args, a) for a in (None, act))
        y, z = (a[0] if isinstance(a, tuple) else a for a in (plain, fused))
        assert np.array_equal(activation(y, act), z), f"case({name!r}, seed={seed})"


@pytest.mark.parametrize("op", sorted(IDENTITY))
def test_no_activation_is_the_identity(op: str) -> None:
    x = np.arange(3.0)
    assert np.array_equal(getattr(oracle, op)(*([x] if op == "activation" else [x, x]), None), x)


NAN_CASES = {
    "relu": lambda x: oracle.activation(x, Act("relu")),
    "leaky_relu": lambda x: oracle.activation(x, Act("leaky_relu", 0.2)),
    "relu backward, y": lambda x: oracle.activation_backward(np.ones_like(x), x, Act("relu")),
    "relu backward, dy": lambda x: oracle.activation_backward(x, np.ones_like(x), Act("relu")),
    "leaky_relu backward, y": lambda x: oracle.activation_backward(np.ones_like(x), x, Act("leaky_relu", 0.2)),
    "hinge dx": lambda x: oracle.logit_loss(x, "hinge", 1.0)[1],
    "hinge loss": lambda x: oracle.logit_loss(x[1:2], "hinge", -1.0)[0],
    "dropout": lambda x: oracle.dropout(x, 0.0, np.zeros(WORDS, np.float32), 0),
    "maximum of softmax": lambda x: oracle.softmax_cross_entropy(x[None], np.zeros(1, np.int32))[1][0],
}


@pytest.mark.parametrize("name", NAN_CASES)
def test_nan_passes_through(name: str) -> None:
    y = np.asarray(NAN_CASES[name](np.array([1.0, np.nan, -1.0], np.float32)))
    assert np.isnan(y if y.ndim == 0 else y[1])


def test_clip_keeps_nan() -> None:
    p = np.array([5.0, np.nan, -5.0], np.float32)
    oracle.clip(p, 1.0)
    assert np.array_equal(p, [1, np.nan, -1], equal_nan=True)


def test_plumbing() -> None:
    assert set(oracle.__all__) >= NOT_OPS
    a = oracle.asarray(np.arange(6.0, dtype=np.float32).reshape(2, 3).T)
    assert (
        a.flags.c_contiguous and a.dtype == np.float32 and np.array_equal(oracle.to_numpy(a), [[0, 3], [1, 4], [2, 5]])
    )
    assert oracle.asarray([1, 2]).dtype == np.int32 and oracle.asarray(np.float64(2)).shape == ()
    assert oracle.empty((2, 0, 3)).shape == (2, 0, 3)
    z = oracle.zeros((2, 3), np.float64)
    assert z.dtype == np.float64 and not z.any()
    oracle.copyto(z, [[1, 2, 3], [4, 5, 6]])
    assert z.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert oracle.synchronize() is None
