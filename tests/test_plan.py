"""Plans: a pure choice, rows that read back, calls by a named implementation, nets with plans of their own, tuning."""

import ast
import dataclasses
import inspect
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cpp_isas import BACKENDS, ISAS, _cpp
from hypothesis import given
from hypothesis import strategies as st
from runs import small

from minigan import backends
from minigan.backends import oracle, plan
from minigan.backends.planned import Planned
from minigan.backends.proxies import Finite
from minigan.config import Plan
from minigan.errors import BackendError, ConfigError, ShapeError
from minigan.models.net import Net
from minigan.study import tune
from minigan.tasks.gan import GAN
from minigan.training import environment, parts, plans, trainer
from minigan.training.convolutions import Call, recorded
from minigan.training.run import load

cpp: Any = backends.load("cpp")
SHAPES: list[tuple[Any, Any, Any]] = [
    ((n, 14, 14, i), (k, k, i, o), (s, s))
    for n in (1, 15, 16, 64)
    for i in (1, 8, 9, 32, 64)
    for o in (1, 31, 32)
    for k in (3, 4, 5, 7, 9)
    for s in (1, 2, 3)
]
KEYS = [(op, *shape) for op in plan.OPS for shape in SHAPES]
LAYER = ((16, 14, 14, 32), (5, 5, 32, 40), (2, 2))  # of which fft is the built-in choice
SAME = ((1, 2), (1, 2))


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What MINIGAN_PLAN forces, to be filled in."""
    ops: dict[str, str] = {}
    monkeypatch.setattr(plan, "FORCED", ops)
    plan.choose.cache_clear()
    yield ops
    plan.choose.cache_clear()


def _arrays(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image, w, _ = LAYER
    return tuple(rng.standard_normal(s).astype(np.float32) for s in (image, w, (16, 7, 7, 40)))  # type: ignore[return-value]


def _passes(ops: Any) -> dict[str, bytes]:
    """Every convolution op once on the arrays of LAYER, as bits."""
    x, w, dy = _arrays()
    dw, stride = np.zeros_like(w), LAYER[2]
    y, dx = ops.conv2d(x, w, None, stride, SAME), ops.conv2d_dgrad(dy, w, None, stride, SAME, (14, 14))
    ops.conv2d_wgrad(dy, x, dw, None, stride, SAME)
    return {"conv2d": y.tobytes(), "conv2d_dgrad": dx.tobytes(), "conv2d_wgrad": dw.tobytes()}


def _by(name: str) -> dict[plan.Key, str]:
    """Rows that give LAYER's three ops to one implementation."""
    image, w, stride = LAYER
    return {(op, (16, 7, 7, 40) if op == "conv2d_dgrad" else image, w, stride): name for op in plan.OPS}


def test_the_choice_does_not_depend_on_threads_or_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def choices() -> list[str]:
        plan.choose.cache_clear()
        return [plan.choose(*key, isa=isa) for key in KEYS for isa in plan.RULES]

    before, want = _cpp.threads(), choices()
    assert set(want) == set(plan.ALGORITHMS)
    for clock in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, clock, lambda: 1 / 0)
    try:
        for threads in (1, 2, 8):
            _cpp.set_threads(threads)
            assert choices() == want
    finally:
        _cpp.set_threads(before)
    tree = ast.parse(inspect.getsource(plan))
    used = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "os"}
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert used == {"environ"} and imported == {"os", "re"}, "the plan reads something beside MINIGAN_PLAN"


def test_every_instruction_set_has_its_rule() -> None:
    compiled = {p.stem.removeprefix("isa_") for p in (Path(__file__).parents[1] / "csrc").glob("isa_*.cpp")}
    assert set(plan.RULES) == compiled >= set(ISAS)


@pytest.mark.parametrize("isa", plan.RULES)
def test_the_rule_is_what_its_words_say(isa: str) -> None:
    rule, (few, large, *ready, rest) = plan.RULES[isa], plan.explain(isa)
    assert f"at most {rule.im2col_channels} channels" in few and "im2col" in few and "all else: direct" in rest
    for words in ("at stride 1", "at stride 2", f"sides from {rule.fft_side},", f"channels from {rule.fft_channels} "):
        assert words in large
    assert f"batches from {rule.fft_batch} on" in large
    for stride, kernel in zip((1, 2), rule.fft_kernel, strict=True):
        assert f"{kernel} to {plan.FFT_TAPS} at stride {stride}" in large
        side = stride * rule.fft_side
        least = {"n": rule.fft_batch, "side": side, "i": rule.fft_channels, "o": rule.fft_channels, "kernel": kernel}
        assert _chosen(isa, stride, **least) == _chosen(isa, stride, **least | {"kernel": plan.FFT_TAPS}) == "fft"
        assert _chosen(isa, stride, "conv2d_dgrad", **least | {"side": rule.fft_side}) == "fft"
        for name, size in least.items():
            assert _chosen(isa, stride, **least | {name: size - 1}) == "direct", name
        assert _chosen(isa, stride, "conv2d_dgrad", **least | {"side": rule.fft_side - 1}) == "direct"
        assert _chosen(isa, stride, **least | {"kernel": plan.FFT_TAPS + 1}) == "direct"
        assert _chosen(isa, plan.FFT_STRIDE + 1, **least) == "direct"
        assert _chosen(isa, stride, **least | {"i": rule.im2col_channels}) == "im2col"
        assert _chosen(isa, stride, **least | {"i": rule.im2col_channels + 1}) == "direct"
    assert bool(ready) == bool(rule.fft_ready)
    for stride, (kernel, batch) in enumerate(zip(rule.fft_kernel, rule.fft_batch_ready, strict=True), 1):
        widest = rule.fft_ready // rule.fft_channels
        least = {"n": batch, "side": stride * rule.fft_side, "i": rule.fft_channels, "o": widest, "kernel": kernel}
        if ready:
            assert f"{rule.fft_ready} numbers per tap" in ready[0] and f"{batch} at stride {stride}" in ready[0]
            assert _chosen(isa, stride, ready=True, **least) == "fft" and _chosen(isa, stride, **least) == "direct"
            assert _chosen(isa, stride, ready=True, **least | {"o": widest + 1}) == "direct"
            assert _chosen(isa, stride, ready=True, **least | {"n": batch - 1}) == "direct"


def _chosen(
    isa: str, stride: int, op: str = "conv2d", *, n: int, side: int, i: int, o: int, kernel: int, ready: bool = False
) -> str:
    return plan.choose(op, (n, side, side + 1, i), (kernel, kernel, i, o), (stride, stride), isa, ready)


_SIDES = st.integers(1, 999_999)
_ROWS = st.dictionaries(
    st.tuples(st.sampled_from(list(plan.OPS)), *(st.tuples(*[_SIDES] * n) for n in (4, 4, 2))),
    st.sampled_from(["direct", "im2col"]),
)


@given(_ROWS)
def test_rows_read_back_from_their_text(made: dict[plan.Key, str]) -> None:
    assert plan.rows([plan.text(row, name) for row, name in made.items()], "test") == made


GOOD = "conv2d 64x28x28x1 5x5x1x64 2x2 im2col"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["conv2d 64x28x28x1 5x5x1x64 im2col"], ("must read op image kernel stride implementation", GOOD)),
        (["conv2d 64x28x28 5x5x1x64 2x2 im2col"], ("must read",)),
        (["conv2d 64x28x28x0 5x5x1x64 2x2 im2col"], ("must read",)),
        (["conv2d 64x28x28x1e3 5x5x1x64 2x2 im2col"], ("must read",)),
        ([f"conv2d {'9' * 5000}x28x28x1 5x5x1x64 2x2 im2col"], ("must read",)),
        ([""], ("must read",)),
        (["conv2 64x28x28x1 5x5x1x64 2x2 im2col"], ("'conv2' is unknown; did you mean 'conv2d'?",)),
        (["conv2d 64x28x28x1 5x5x1x64 2x2 im2co"], ("'im2co' is unknown; did you mean 'im2col'?",)),
        (["conv2d 64x28x28x64 5x5x64x64 3x3 fft"], ("fft takes strides to 2", "stride (3, 3)")),
        (["conv2d 64x28x28x64 9x9x64x64 1x1 fft"], ("kernels to 7", "9x9 kernel")),
        ([GOOD, GOOD.replace("im2col", "direct")], ("an earlier row names",)),
    ],
)
def test_a_bad_row_says_what_is_wrong(lines: list[str], words: tuple[str, ...]) -> None:
    with pytest.raises(BackendError) as e:
        plan.rows(lines, "own.json")
    assert all(word in str(e.value) for word in ("own.json", *words)) and len(str(e.value)) < 500, e.value


@pytest.mark.parametrize("isa", ISAS)
def test_a_call_is_forced_by_name(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ops, (x, w, dy), stride, dw = BACKENDS[isa], _arrays(), LAYER[2], np.zeros((5, 5, 32, 40), np.float32)
    ran: list[tuple[str, str]] = []
    real = ops.conv.kernels

    class Spy:
        def __getattr__(self, op: str) -> Any:
            return lambda name, *args: ran.append((op, name)) or getattr(real, op)(name, *args)

    monkeypatch.setattr(ops.conv, "kernels", Spy())
    calls: dict[str, tuple[Any, ...]] = {
        "conv2d": (x, w, None, stride, SAME),
        "conv2d_dgrad": (dy, w, None, stride, SAME, (14, 14)),
        "conv2d_wgrad": (dy, x, dw, None, stride, SAME),
    }
    for op, args in calls.items():
        for name in plan.ALGORITHMS:
            ops.by(name, op, *args)
        getattr(ops, op)(*args)
        assert ran == [(op, name) for name in (*plan.ALGORITHMS, "fft")]
        ran.clear()


def test_a_forced_call_refuses_what_it_cannot_serve() -> None:
    x, w, _ = _arrays()
    with pytest.raises(BackendError, match="fft takes strides to 2"):
        cpp.by("fft", "conv2d", x, w, None, (3, 3), SAME)
    with pytest.raises(BackendError, match="'ftt' is unknown; did you mean 'fft'"):
        cpp.by("ftt", "conv2d", x, w, None, (1, 1), SAME)
    said = []
    for call in (cpp.conv2d, lambda *args: cpp.by("direct", "conv2d", *args)):
        with pytest.raises(ShapeError) as e:
            call(x, w[:, :, 1:].copy(), None, (1, 1), SAME)  # type: ignore[operator]
        said.append(str(e.value))
    assert said[0] == said[1]


def test_a_planned_backend_has_the_oracles_signatures() -> None:
    ops = Planned(cpp, {})
    for name in oracle.__all__:
        mine, its = (inspect.signature(getattr(module, name)) for module in (ops, oracle))
        assert mine == its, f"{name}: {mine}, the oracle's {its}"
    assert ("cpp", _cpp.isa()) == (ops.NAME, ops.ISA)  # type: ignore[attr-defined]


def test_rows_decide_and_the_built_in_plan_serves_the_rest() -> None:
    fft, direct = _passes(cpp), _passes(Planned(cpp, _by("direct")))
    assert all(fft[op] != direct[op] for op in plan.OPS)
    for key in _by("direct"):
        ops = Planned(cpp, {key: "direct"})
        assert _passes(ops) == fft | {key[0]: direct[key[0]]}
        assert {row: ops.chosen(*row) for row in _by("")} == _by("fft") | {key: "direct"}
    assert _passes(Finite(Planned(cpp, _by("direct")))) == direct


def test_what_minigan_plan_forces_wins_over_rows(forced: dict[str, str]) -> None:
    fft, direct = _passes(cpp), _passes(Planned(cpp, _by("direct")))
    plan.choose.cache_clear()
    forced["conv2d"] = "fft"
    assert _passes(Planned(cpp, _by("direct"))) == direct | {"conv2d": fft["conv2d"]}
    forced["conv2d_dgrad"] = "fft"
    with pytest.raises(BackendError, match=r"for g\.0, MINIGAN_PLAN asks for fft on conv2d"):
        plans.check_forced(cpp, [_net(kernel=9)])
    plans.check_forced(cpp, [_net(kernel=7)])
    plans.check_forced(oracle, [_net(kernel=9)])
    with pytest.raises(BackendError, match=r"for g\.3, MINIGAN_PLAN"):  # before a run writes anything
        parts.prepare(small("train.backend=cpp", "model.kernel=9"))


def _net(kernel: int) -> Net:
    from minigan.models.layers import Conv2d
    from minigan.models.trees import Chain

    return Net("g", Chain(Conv2d(2, kernel)), (20, 20, 2))


def _steps(tasks: list[GAN], count: int = 3) -> list[bytes]:
    """The tasks' parameters after some steps, which they take by turns."""
    images = np.random.default_rng(0).uniform(-1, 1, (50, 8, 8, 1)).astype(np.float32)
    for step in range(count):
        for task in tasks:
            task.step([images], step)
    return [task.G.p.tobytes() + task.D.p.tobytes() for task in tasks]


def _plans() -> list[dict[plan.Key, str]]:
    """One plan per implementation, for all shapes of the small network."""
    task = GAN(small(), cpp, (8, 8, 1))
    with recorded(task) as calls:
        _steps([task], 1)
    return [{call.key: name for call in calls} for name in plan.ALGORITHMS]


def test_nets_with_different_plans_train_side_by_side() -> None:
    made = _plans()
    together = _steps([GAN(small(), Planned(cpp, rows), (8, 8, 1)) for rows in made])
    alone = [_steps([GAN(small(), Planned(cpp, rows), (8, 8, 1))])[0] for rows in made]
    assert together == alone
    assert len(set(alone)) > 1, "the plans' sums differ in their order, so the bits do"
    built_in = _steps([GAN(small(), cpp, (8, 8, 1))])[0]
    assert built_in == alone[plan.ALGORITHMS.index("im2col")], "the rule for few channels"


def test_a_run_is_drawn_from_by_its_plan(tmp_path: Path) -> None:
    rows = {**_plans()[plan.ALGORITHMS.index("fft")], ("conv2d_dgrad", (64, 4, 4, 4), (3, 3, 1, 4), (2, 2)): "fft"}
    config = dataclasses.replace(small("train.backend=cpp", "train.steps=1"), plan=plans.made(cpp, rows))
    out, _ = trainer.train(config, tmp_path / "run")
    drawn = load(out)
    assert {row: drawn.task.ops.chosen(*row) for row in rows} == rows
    with recorded(drawn.task) as calls:
        drawn.sample(1)
    assert [drawn.task.ops.chosen(*call.key) for call in calls] == ["im2col", "fft"]
    assert not hasattr(load(out, "numpy").task.ops, "chosen")


def test_calls_are_recorded_by_layer_and_role() -> None:
    task = GAN(small("model.widths_d=[4, 6]"), cpp, (8, 8, 1))
    before = task.G.ops
    with recorded(task) as calls:
        _steps([task], 1)
    roles = {(call.layer, call.role): call.key for call in calls}
    assert {layer for layer, _ in roles} == {"g.3", "g.5", "d.0", "d.2"}
    assert all((layer, role) in roles for layer in ("g.3", "g.5", "d.0", "d.2") for role in ("forward", "dX", "dW"))
    assert roles["d.0", "forward"] == ("conv2d", (50, 8, 8, 1), (3, 3, 1, 4), (2, 2))
    assert roles["g.5", "forward"] == ("conv2d_dgrad", (50, 4, 4, 4), (3, 3, 1, 4), (2, 2))
    assert roles["g.5", "dX"] == ("conv2d", (50, 8, 8, 1), (3, 3, 1, 4), (2, 2))
    assert task.G.ops is before is task.D.ops


class Clocked:
    """A backend whose calls take the seconds that are written down, on a clock that only it moves."""

    ISA, BUILD = "avx2", "none"

    def __init__(self, seconds: dict[str, list[float]]):
        self.now, self.seconds, self.count = 0.0, seconds, dict.fromkeys(seconds, 0)

    def by(self, impl: str, op: str, *args: Any) -> None:
        times = self.seconds[impl]
        self.now += times[self.count[impl] % len(times)]
        self.count[impl] += 1

    def chosen(self, *key: Any) -> str:
        return "im2col"


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"direct": [1.0], "im2col": [2.0], "fft": [3.0]}, "direct"),
        ({"direct": [1.0], "im2col": [1.04], "fft": [3.0]}, "im2col"),  # within the margin: as built in
        ({"direct": [1.0], "im2col": [1.06], "fft": [3.0]}, "direct"),
        ({"direct": [2.0, 2.0, 2.0, 2.0, 50.0], "im2col": [3.0], "fft": [9.0]}, "direct"),  # a neighbour woke up
    ],
)
def test_the_fastest_by_median_is_chosen(
    seconds: dict[str, list[float]], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops, rounds = Clocked(seconds), []
    monkeypatch.setattr(time, "perf_counter", lambda: ops.now)
    call = Call("d.0", "forward", ("conv2d", *LAYER), ())
    made, (row,) = tune.tune(ops, [call], lambda: rounds.append(1))
    assert (row.chosen, row.built_in, len(rounds)) == (chosen, "im2col", tune.ROUNDS)
    assert row.seconds == pytest.approx({name: np.median(times) for name, times in seconds.items()})
    assert made.rows == (f"conv2d 16x14x14x32 5x5x32x40 2x2 {chosen}",)
    ops = Clocked(seconds)
    wide: Any = ("conv2d", (16, 8, 8, 32), (9, 9, 32, 40), (1, 1))
    _, (row,) = tune.tune(ops, [Call("d.0", "forward", wide, ())], lambda: None)
    assert set(row.seconds) == {"direct", "im2col"} and ops.count["fft"] == 0


def test_tuning_sees_the_shapes_of_steps_and_of_sampling() -> None:
    parts, calls = tune.prepared(small())
    keys = [call.key for call in calls]
    assert parts.ops is cpp and len(set(keys)) == len(keys)
    trained = {key for rows in _plans() for key in rows}
    drawn = {
        ("conv2d_dgrad", (64, 2, 2, 6), (3, 3, 4, 6), (2, 2)),
        ("conv2d_dgrad", (64, 4, 4, 4), (3, 3, 1, 4), (2, 2)),
    }
    assert set(keys) == trained | drawn
    with pytest.raises(ConfigError, match="nothing to tune"):
        tune.prepared(small("model.family=mlp"))


def test_tuning_under_a_forced_plan_is_refused(forced: dict[str, str]) -> None:
    forced["conv2d"] = "direct"
    with pytest.raises(ConfigError, match="unset it"):
        tune.prepared(small())


def _file(**changes: Any) -> dict[str, Any]:
    return {"format": plans.FORMAT, "isa": "avx2", "build": "b", "cpu": "c", "rows": [GOOD]} | changes


def test_a_plan_file_reads_back(tmp_path: Path) -> None:
    made = plans.made(cpp, {row: "direct" for row in _by("")})
    plans.write(tmp_path / "plan.json", made)
    read = dict(override for override in plans.read(tmp_path / "plan.json") if isinstance(override, tuple))
    assert Plan(**{name.removeprefix("plan."): value for name, value in read.items()} | {"rows": made.rows}) == made
    assert read["plan.rows"] == list(made.rows) and made.isa == _cpp.isa()
    assert plan.rows(made.rows, "test") == _by("direct")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ("Expecting",)),
        ("[" * 100_000, ("recursion",)),
        ("[]", ("format is None",)),
        (json.dumps(_file(format="minigan-plan-9")), ("'minigan-plan-9'", "reads 'minigan-plan-1'")),
        (json.dumps(_file(isa=3)), ("'isa' is 3, expected a text",)),
        (json.dumps(_file(rows="all")), ("'rows' is 'all', expected a list of texts",)),
        (json.dumps(_file(rows=[])), ("one at least",)),
        (json.dumps(_file(rows=[3])), ("a list of texts",)),
        (json.dumps(_file(rows=[GOOD.replace("im2col", "magic")])), ("'magic' is unknown",)),
        (" " * (2 << 20), ("bytes",)),
        ("\udce9", ("decode",)),
    ],
)
def test_a_bad_plan_file_is_refused(content: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises((ConfigError, BackendError)) as e:
        plans.read(path)
    assert all(word in str(e.value) for word in ("own.json", *words)), e.value


def test_what_is_forced_is_part_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIGAN_PLAN", raising=False)
    then = environment.record("cpp", "avx2")
    monkeypatch.setenv("MINIGAN_PLAN", "conv2d=direct")
    now = environment.record("cpp", "baseline")
    assert environment.differences(then, now) == ["MINIGAN_PLAN: None -> conv2d=direct", "isa: avx2 -> baseline"]
