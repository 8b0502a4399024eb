"""`minigan profile --op`: sizes in words, who serves them, and what a call costs. No time is held against a number."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigan.backends import load
from minigan.backends.planned import Planned
from minigan.errors import ConfigError, MiniganError
from minigan.study import one_op, roofs
from minigan.study.work import MOVES, cost


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(roofs, "_EACH_S", 1e-4)


def _sizes(letters: str) -> str:
    return "".join(
        f"{x}{v}" for x, v in {"n": 2, "h": 4, "w": 6, "c": 3, "k": 3, "o": 5, "s": 2}.items() if x in letters
    )


@pytest.mark.parametrize("op", sorted(one_op.OPS))
def test_every_op_of_the_list_runs_on_its_sizes(op: str) -> None:
    run, facts = one_op.prepared(one_op.work(op, _sizes(one_op.OPS[op][0])), load("numpy"), "")
    run()
    assert facts["bytes"] > 0 and facts["memory_s"] > 0 and facts["planned"]


def test_a_convolutions_sizes_are_those_of_conv2d_whichever_gradient_is_asked_for() -> None:
    costs = {op: cost(load("numpy"), op, *one_op.OPS[op][1](_shapes, one_op.work(op, "n2h4w6c3k3o5s2")["sizes"]))
             for op in ("conv2d", "conv2d_dgrad", "conv2d_wgrad")}  # fmt: skip
    assert {c["flops"] for c in costs.values()} == {2 * 2 * (2 * 3) * 9 * 3 * 5}


def _shapes(*shape: int, positive: bool = False) -> Any:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("op", "shape", "words"),
    [
        ("linar", "n1c1o1", "did you mean 'linear'"),
        ("linear", "n1c1", "lacks o .output channels.; linear takes nco, as in --shape n64c128o64"),
        ("linear", "n1c1o1k3", "gives k, which linear has not"),
        ("linear", "n1,c1", "is no list of letters with numbers"),
        ("linear", "n1c1o1n2", "is no list of letters with numbers"),
        ("conv2d", "n0h4c1k3o1", "sizes that are 0 or too large"),
        ("linear", "n100000c100000o100000", "sizes that are 0 or too large"),
    ],
)
def test_sizes_that_an_op_cannot_take_are_refused(op: str, shape: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        one_op.work(op, shape)


def test_a_square_image_needs_one_size_and_stride_1_none() -> None:
    assert one_op.work("conv2d", "n1h4c2k3o1")["sizes"] == {"n": 1, "h": 4, "w": 4, "c": 2, "k": 3, "o": 1, "s": 1}


def test_every_implementation_instruction_set_and_backend_that_runs_here() -> None:
    cpp = pytest.importorskip("minigan._cpp", exc_type=ImportError)
    found = [side for side in one_op.sides("conv2d", "", True) if side[0] != "cuda"]
    assert found == [("numpy", "", ("",)), *(("cpp", isa, ("direct", "im2col", "fft")) for isa in cpp.isas())]
    assert list(one_op.sides("mul", "numpy", False)) == [("numpy", "", ("",))]


def test_what_an_implementation_really_does_is_told_of_it_and_of_a_plans_choice() -> None:
    cpp = pytest.importorskip("minigan.backends.cpp", exc_type=MiniganError)
    x, w, stride, padding = (16, 8, 8, 32), (5, 5, 32, 32), (1, 1), ((2, 2), (2, 2))
    told = {name: cpp.work_of("conv2d", x, w, None, stride, padding, impl=name) for name in ("direct", "fft")}
    assert told["direct"][0] == "direct" and told["fft"][0] == "fft" and told["fft"][1] < told["direct"][1]
    planned = Planned(cpp, {("conv2d", x, w, stride): "direct"})
    assert planned.work_of("conv2d", x, w, None, stride, padding) == told["direct"]
    assert planned.work_of("mul", x, x) is None


def test_what_the_plan_takes_is_marked() -> None:
    cpp = pytest.importorskip("minigan.backends.cpp", exc_type=MiniganError)
    given = one_op.work("conv2d", "n2h8c3k3o4")
    taken = one_op.prepared(given, cpp, "")[1]["implementation"]
    found = {name: one_op.prepared(given, cpp, name)[1]["planned"] for name in ("direct", "im2col", "fft")}
    assert found == {name: name == taken for name in found} and taken in found


def test_moves_cost_bytes_alone() -> None:
    ops = load("numpy")
    x = np.zeros((2, 3), np.float32)
    assert cost(ops, "copyto", x, 0) == {"implementation": "", "flops": 0, "done_flops": 0, "bytes": 24}
    assert cost(ops, "copyto", x, x)["bytes"] == 48 and cost(ops, "zeros", (2, 3), np.float32)["bytes"] == 24
    assert set(MOVES) == {"asarray", "copyto", "to_numpy", "zeros"}


def test_a_single_op_beyond_its_roof_is_one_too() -> None:
    row = {"backend": "cpp", "isa": "avx2", "implementation": "fft", "planned": True, "compute_s": 0.2, "memory_s": 0.1}
    row |= {"flops": 10, "done_flops": 10, "bytes": 10, "p20_s": 0.1, "p80_s": 0.3}
    given = {"op": "conv2d", "sizes": {"n": 1}}
    slow, fast = row | {"median_s": 0.2}, row | {"median_s": 0.19}
    assert one_op.too_fast([slow, fast, row]) == [fast]
    (line,) = [text for text in one_op.lines(given, [slow, fast]) if text.startswith("error")]
    assert line.startswith("error of counting: cpp avx2 fft * reaches 105 % of its roof")
