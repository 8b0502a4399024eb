"""Whatever does not fit raises a ShapeError with the oracle's words, writes nothing, and never crashes."""

import inspect
from typing import Any

import numpy as np
import pytest
from cases import ROWS, Row
from cpp_isas import BACKENDS, ISAS

from minigan.backends import checks, oracle
from minigan.errors import ShapeError
from minigan.models.shapes import Act


@pytest.fixture(scope="module", params=["cpp", "cuda"])
def ops(request: pytest.FixtureRequest) -> Any:
    """A backend with arrays of one type and layout; CUDA's is simulated, so that its arrays are on the host, too."""
    return BACKENDS[ISAS[0]] if request.param == "cpp" else request.getfixturevalue("simulated")


def _strided(a: np.ndarray) -> np.ndarray:
    return np.repeat(a, 2, axis=-1)[..., ::2]


def _misaligned(a: np.ndarray) -> np.ndarray:
    return np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape)


SPOILT = {
    "float64": (lambda a: a.astype(np.float64), "has dtype <f8, expected"),
    "big-endian": (lambda a: a.astype(a.dtype.newbyteorder(">")), "in native byte order"),
    "int64": (lambda a: a.astype(np.int64), "has dtype <i8, expected"),
    "strided": (_strided, "is not C-contiguous"),
    "misaligned": (_misaligned, "is no multiple of 4"),
    "empty": (lambda a: a[..., :0], "an axis of size 0 holds no data"),
    "list": (lambda a: a.tolist(), "expected an array; make one"),
    "none": (lambda a: None, "is of type NoneType, expected an array"),
}


def _positions(row: Row) -> list[int]:
    """Arguments that hold arrays with an axis."""
    args = row.args(1, np.float32, True)
    return [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.ndim]


def _bytes(args: tuple[Any, ...]) -> list[bytes]:
    return [a.tobytes() for a in args if isinstance(a, np.ndarray)]


def _refused(ops: Any, row: Row, args: tuple[Any, ...], words: str, place: str) -> None:
    before = _bytes(args)
    with pytest.raises(ShapeError) as raised:
        getattr(ops, row.op)(*args)
    assert words in str(raised.value), f"{place}: {raised.value}"
    assert _bytes(args) == before, f"{place}: written although refused"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_arrays_of_the_wrong_kind_are_refused(ops: Any, row: Row) -> None:
    check = getattr(checks, row.op)
    parameters, optional = inspect.signature(check).parameters, {w.replace("!", "") for w in check.arrays.values()}
    for at in _positions(row):
        for name, (spoil, words) in SPOILT.items():
            args = list(row.args(1, np.float32, True))
            if name == "strided" and args[at].size == 1:
                continue  # one number is contiguous however it lies
            if name == "none" and f"{list(parameters)[at]}?" in optional:
                continue
            args[at] = spoil(args[at])
            _refused(ops, row, tuple(args), words, f"{row.name}, argument {at}, {name}")


@pytest.mark.parametrize("row", [row for row in ROWS if row.writes], ids=lambda row: row.name)
def test_read_only_outputs_are_refused(ops: Any, row: Row) -> None:
    for at in row.writes:
        args = row.args(1, np.float32, True)
        if args[at] is None:
            continue
        args[at].flags.writeable = False
        _refused(ops, row, args, "is read-only", f"{row.name}, argument {at}")


@pytest.mark.parametrize("row", [row for row in ROWS if row.writes], ids=lambda row: row.name)
def test_an_output_that_shares_memory_with_an_argument_is_refused_on_every_backend(ops: Any, row: Row) -> None:
    """By one element is enough: the kernel would read what it has just written."""
    for out in row.writes:
        for other, b in enumerate(row.args(1, np.float32, True)):
            args = list(row.args(1, np.float32, True))
            a = args[out]
            if other == out or a is None or not isinstance(b, np.ndarray):
                continue
            memory = np.zeros(a.size + b.size - 1, np.float32)
            for at, start, values in ((out, 0, a), (other, a.size - 1, b)):
                args[at] = memory[start : start + values.size].view(values.dtype).reshape(values.shape)
                args[at][...] = values
            place = f"{row.name}, argument {out} over {other}"
            _refused(ops, row, tuple(args), "shares memory with", place)
            with pytest.raises(ShapeError, match="shares memory with"):
                getattr(oracle, row.op)(*args)


@pytest.mark.parametrize("row", [row for row in ROWS if row.writes], ids=lambda row: row.name)
def test_an_output_may_lie_beside_an_argument(ops: Any, row: Row) -> None:
    """As in a slab."""
    args = list(row.args(1, np.float32, True))
    arrays = [i for i, a in enumerate(args) if isinstance(a, np.ndarray)]
    memory = np.zeros(sum(args[i].size for i in arrays), np.float32)
    start = 0
    for i in arrays:
        a, end = args[i], start + args[i].size
        args[i] = memory[start:end].view(a.dtype).reshape(a.shape)
        args[i][...] = a
        start = end
    getattr(ops, row.op)(*args)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_wrong_shapes_are_refused_in_the_oracles_words(ops: Any, row: Row) -> None:
    seen = 0
    for at in _positions(row):
        for axis in range(row.args(1, np.float32, True)[at].ndim):
            args = list(row.args(1, np.float32, True))
            args[at] = np.concatenate([args[at], args[at].take([0], axis)], axis)
            with np.errstate(all="ignore"):
                try:
                    getattr(oracle, row.op)(*(a.copy() if isinstance(a, np.ndarray) else a for a in args))
                except ShapeError as e:
                    _refused(ops, row, tuple(args), str(e), f"{row.name}, argument {at}, axis {axis}")
                    seen += 1
                else:
                    getattr(ops, row.op)(*args)
    free = {"activation", "scale", "exp", "clip", "mean", "sum_squares", "row_sum_squares", "upsample2x",
            "avgpool2x_backward", "pad", "split", "pad_backward", "logit_loss", "norm_loss", "concat",
            "embedding"}  # fmt: skip
    assert seen or row.op in free, f"{row.name}: no wrong shape was refused"


def test_words_that_no_kernel_knows_are_refused_as_by_the_oracle(ops: Any) -> None:
    x = np.ones((2, 3), np.float32)
    for backend in (ops, oracle):
        with pytest.raises(ShapeError, match="activation 'gelu' is unknown; known: relu"):
            backend.activation(x, Act("gelu"))
        with pytest.raises(ShapeError, match="loss kind 'nope' is unknown; known: bce"):
            backend.logit_loss(x, "nope", 1.0)
        for target in (0.0, 0.9, -2.0, np.nan):
            with pytest.raises(ShapeError, match=r"the hinge's target is \S+, expected 1 \(real\) or -1 \(generated\)"):
                backend.logit_loss(x, "hinge", target)
        with pytest.raises(ShapeError, match=r"labels lie in \[0, 3\], expected \[0, 2\]"):
            backend.softmax_cross_entropy(x, np.array([0, 3], np.int32))
        with pytest.raises(ShapeError, match=r"index lies in \[-2, 0\], expected \[-1, 0\]"):
            backend.gather_pixels(np.ones((1, 1, 1, 2), np.float32), np.array([[-2, 0]], np.int32))
        with pytest.raises(ShapeError, match="slot 4 is not in the clock"):
            backend.clip_scale(np.array(1, np.float32), 1.0, np.zeros(22, np.float32), 4)


LARGE = {
    "linear": lambda: (_zeros(65536, 1), _zeros(1, 65536), None),
    "pad": lambda: (_zeros(1, 1, 1, 16), ((2**20 - 1, 0), (2**20 - 1, 0))),
    "conv2d": lambda: (_zeros(1, 1, 1, 1), _zeros(1, 1, 1, 1), None, (1, 1), ((2**20 - 1, 0), (2**20 - 1, 0))),
    "conv2d_dgrad": lambda: (
        _zeros(1, 1, 1, 1), _zeros(1, 1, 4, 1), None, (2**20 - 1, 2**20 - 1), ((0, 0), (0, 0)), (2**16, 2**16)
    ),
    "gather_pixels_backward": lambda: (_zeros(1, 2, 1), np.full((1, 2), -1, np.int32), (2**16, 2**16)),
}  # fmt: skip


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize("op", LARGE)
def test_a_result_of_more_elements_than_an_int_counts_is_refused(ops: Any, op: str) -> None:
    with pytest.raises(ShapeError, match=r"the result would have shape \(.*expected fewer than 2147483648 elements"):
        getattr(ops, op)(*LARGE[op]())


def test_an_argument_of_more_elements_than_an_int_counts_is_refused(ops: Any, tmp_path: Any) -> None:
    x = np.memmap(tmp_path / "hole", np.float32, "w+", shape=(2**31,))  # a file of one hole
    with pytest.raises(ShapeError, match="x has 2147483648 elements, expected at most 2147483647"):
        ops.scale(x, 2.0)


def test_every_op_has_a_rule() -> None:
    assert {row.op for row in ROWS} <= set(checks.__all__)
    assert tuple(oracle.loss.LOGIT_LOSSES) == checks.LOSS_KINDS
