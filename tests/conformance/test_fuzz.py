"""Any op with any arguments: refused in the oracle's words, or computed where the oracle computes; never a crash."""

import re
from typing import Any

import numpy as np
import pytest
from cases import ROWS, Row
from cpp_isas import BACKENDS, ISAS
from hypothesis import given, settings
from hypothesis import strategies as st
from test_refusals import SPOILT

from minigan.backends import oracle
from minigan.errors import ShapeError
from minigan.models.shapes import Act

# What may stand in place of any argument: of the wrong type, out of range, or of a shape that fits nothing
ODD: list[Any] = [
    None, "relu", "", -1, 0, 1, 7, 0.5, -0.5, 2.0, 2**31, 2**40, -(2**63), float("nan"), float("inf"), 1j, object(),
    b"x", (), (1,), (1, 1), (0, 1), (-1, 2), (1.5, 1), (1, "1"), [1, 1], (2**20, 1), (1, 1, 1), np.float64(2),
    np.int64(1), ((0, 0), (0, 0)), ((1, 0), (0, 2)), ((0, 0),), ((0, -1), (0, 0)), ((0, 0), (0,)), ((0, 0), 1),
    ((2**40, 0), (0, 0)), Act("relu"), Act("tanh"), Act("gelu"), Act(5), Act(None), Act("leaky_relu", "steep"),
    Act("relu", None), ("relu",), np.zeros(()), np.zeros((), np.float32), np.zeros(0, np.float32),
    np.ones(1, np.float32), np.ones((2, 3), np.float32), np.ones((1, 2, 2, 3), np.float32), np.ones(22, np.float32),
    np.full((2, 3), 10**6, np.int32), np.zeros((1,) * 32, np.float32), np.ones(3, "U1"), np.ones(3, object),
    np.zeros(3, "f4,f4"), np.ma.ones(3, "f4"),
]  # fmt: skip

SHAPES = {
    "axis more": lambda a: a[None].copy(),
    "axis less": lambda a: a[0].copy(),
    "one longer": lambda a: np.concatenate([a, a[:1]]),
    "one shorter": lambda a: a[1:].copy(),
    "flat": lambda a: a.flatten(),
    "turned": lambda a: a.T.copy("C"),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "other type": lambda a: a.view(np.int32 if a.dtype == np.float32 else np.float32).copy(),
    **{name: spoil for name, (spoil, _) in SPOILT.items()},
}


@st.composite
def mutated(draw: st.DrawFn, row: Row) -> list[Any]:
    """A right call's arguments with one to three of them replaced."""
    args = list(row.args(draw(st.integers(0, 50)), np.float32, draw(st.booleans())))
    for at in draw(st.lists(st.integers(0, len(args) - 1), min_size=1, max_size=3, unique=True)):
        arrays = [a for a in args if isinstance(a, np.ndarray)]
        if isinstance(args[at], np.ndarray) and args[at].ndim and draw(st.booleans()):
            with np.errstate(invalid="ignore"):
                args[at] = SHAPES[draw(st.sampled_from(sorted(SHAPES)))](args[at])
        else:  # another argument, or something odd
            args[at] = draw(st.sampled_from([*ODD, *arrays]))
    return args


def _outcome(ops: Any, op: str, args: list[Any]) -> str | None:
    """The ShapeError's words, None where the op computes."""
    try:
        with np.errstate(all="ignore"):
            getattr(ops, op)(*args)
    except ShapeError as e:
        return str(e)
    return None


def _copies(args: list[Any]) -> list[Any]:
    """Copies that share memory where the arguments do."""
    made = {id(a): a.copy() for a in args if isinstance(a, np.ndarray)}
    return [made.get(id(a), a) for a in args]


# Of compiled backends alone: the oracle takes any layout, and NumPy's scalars as arrays
LAYOUT = re.compile(
    "has dtype|is not C-contiguous|no multiple of|is read-only|size 0 holds no data|is of type (float|int|bool)[0-9]"
)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@settings(max_examples=60)
@given(data=st.data())
def test_any_arguments_are_computed_or_refused_as_by_the_oracle(row: Row, isa: str, data: st.DataObject) -> None:
    _hold(BACKENDS[isa], row, data.draw(mutated(row)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@settings(max_examples=6)
@given(data=st.data())
def test_any_arguments_are_computed_or_refused_as_by_the_oracle_on_cuda(
    row: Row, simulated: Any, data: st.DataObject
) -> None:
    _hold(simulated, row, data.draw(mutated(row)))


def _hold(ops: Any, row: Row, args: list[Any]) -> None:
    if row.op.startswith("activation") and args[-1] is None:
        return  # hands on what it was given, whatever that is
    before = [a.tobytes() if isinstance(a, np.ndarray) else None for a in args]
    said = _outcome(ops, row.op, args)
    if said is None:
        refused = _outcome(oracle, row.op, _copies(args))
        assert refused is None or "number" in refused  # a kernel takes what Python turns into a number
        return
    assert "please report" not in said
    assert [a.tobytes() if isinstance(a, np.ndarray) else None for a in args] == before, f"written, then: {said}"
    if not LAYOUT.search(said):
        assert _outcome(oracle, row.op, _copies(args)) == said
