"""`minigan profile`: rows that add up, ceilings, traces, comparisons, single ops. No time is held against a number."""

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from processes import PYTHON, environment

from minigan import cli
from minigan.backends import load
from minigan.backends.proxies import PAUSE, Event, Timed
from minigan.errors import ConfigError, MiniganError
from minigan.study import (
    against,
    compare,
    measure,
    one_op,
    profile,
    profile_html,
    profile_text,
    recording,
    roofs,
    trace,
)
from minigan.study.roofs import Level, Roofs

SMALL = ("train.batch_size=4", "model.z=3", "model.widths_g=[5]", "model.widths_d=[6]", "train.backend=numpy")
ROOFS = Roofs(
    "a CPU", 1, "2026-11-24", {"avx2": 100.0, "baseline": 50.0},
    (
        Level("L1", 1000, 10.0, 100.0, 20.0), Level("L2", 10_000, 50.0, 40.0, 30.0),
        Level("memory", None, 5.0, 8.0, 10.0),
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(roofs, "_EACH_S", 1e-4)


@pytest.fixture
def opened() -> recording.Recording:
    return recording.Recording(recording.prepared("digits", [*SMALL]))


# ---------------------------------------------------------------------------------------------------------- the column


def event(where: str, which: str, op: str, start: float, end: float, *shapes: tuple[int, ...]) -> Event:
    return Event(where, which, op, shapes, start, end)


def made_up(*events: Event, end: float = 10.0, parts: Any = ((2.0, 8.0),)) -> recording.Step:
    return recording.Step(0.0, 1.0, end, True, parts, events)


def test_a_step_is_the_sum_of_what_it_is_taken_apart_into() -> None:
    ops = (
        event("g.0", "forward", "linear", 3.0, 4.0), event("", "", PAUSE, 4.0, 4.5), event("g", "", "mul", 5.0, 5.5),
        event("", "", "to_numpy", 8.5, 9.0),
    )  # fmt: skip
    found = profile.between([(made_up(*ops),)])
    assert found == {"data": [1.0], "python": [6.0 - 2.0], "host": [9.0 - 6.0 - 0.5]}
    assert sum(v[0] for v in found.values()) + sum(e.end_s - e.start_s for e in ops) == 10.0
    assert made_up(*ops).elapsed_s == 9.5
    less = profile.between([(made_up(*ops),)], timer_s=0.25)
    assert (less["python"], less["host"]) == ([4.0 - 3 * 0.25], [2.5 - 0.25])


def test_the_column_adds_up_to_the_step_and_every_op_has_its_row(opened: recording.Recording) -> None:
    found = profile.profile(opened, 12, lambda share: None)
    assert found.step and found.roofs
    assert sum(row.median_s or 0.0 for row in found.rows) == pytest.approx(found.step.median_s, rel=1e-9)
    assert [row.layer for row in found.rows][-4:] == ["data", "host", "python", "unaccounted"]
    ops = {(e.where or "step", profile.role(e), e.op) for e in opened.steps[-1].events}
    idle = {(a, b, c) for a, b, c in ops if c == "activation_backward"}  # of an activation that is none
    assert {(row.layer, row.which, row.op) for row in found.rows if row.op} | idle == ops | idle
    per_step = {row.name: row.calls for row in found.rows}
    assert (per_step["g.0 forward linear"], per_step["d.3 forward linear"], per_step["d.1 dW linear_wgrad"]) == (
        2,
        3,
        2,
    )


def test_weights_are_the_runs_own_and_a_step_taken_apart_is_the_same_step(tmp_path: Path) -> None:
    one, other = (recording.Recording(recording.prepared("digits", [*SMALL])) for _ in range(2))
    one.whole(3)
    other.apart(3)
    for name, a in one.task.tensors().items():
        assert np.array_equal(a, other.task.tensors()[name]), name
    assert other.task.run is other.task.own_run and len(other.steps) == 3


ROLES = [
    ("g.0", "forward", "linear", "forward"), ("g.0", "backward", "linear_dgrad", "dX"),
    ("g.1", "backward", "conv2d", "dX"), ("g.0", "backward", "conv2d_wgrad", "dW"),
    ("g.0", "backward", "bias_grad", "dW"),
    ("g.0", "backward", "batchnorm_backward", "dX, dW"), ("d.0", "forward tangent", "conv2d", "forward tangent"),
    ("d.0", "backward tangent", "linear_wgrad", "dW tangent"), ("d", "forward", "logit_loss", "loss"),
    ("d", "update", "adam_step", "optimizer"), ("", "update", "mean", "record"), ("d", "backward", "axpby", "step"),
    ("d", "forward", "copyto", "zero"), ("", "", "asarray", "copies"),
]  # fmt: skip


@pytest.mark.parametrize(("where", "which", "op", "role"), ROLES)
def test_a_call_is_named_as_its_layer_names_it(where: str, which: str, op: str, role: str) -> None:
    assert profile.role(event(where, which, op, 0.0, 1.0)) == role


def test_steps_of_several_shares_make_one_column() -> None:
    """By steps whose parts last 6, and whose ops of share 0 and 1 take 1 and 2.5 of it."""
    a = made_up(event("g.0", "forward", "linear", 3.0, 4.0))
    b = made_up(event("d.0", "forward", "linear", 3.0, 5.5))._replace(share=1)
    other = made_up(event("d.0", "forward", "mul", 3.0, 5.5))._replace(share=1)
    found, rest = profile.rounds([a, a, b, a, other, b], 2)
    assert (found, rest) == ([(a, b)] * 2, 1)
    assert profile.between(found, timer_s=0.5) == {"data": [1.0] * 2, "python": [6 - 3.5 - 0.5] * 2, "host": [3.0] * 2}


def test_shares_together_note_what_a_step_of_its_own_does(opened: recording.Recording) -> None:
    (whole,) = opened.timeline(1)
    opened.share_out(3, whole)
    opened.whole(2)
    opened.timed.args.clear()  # what shares see anew, as a lazy penalty's ops, has costs as well
    opened.apart(7)
    assert [step.share for step in opened.steps] == [0, 0, 0, 1, 1, 2, 2]
    kinds = [[tuple(e[:4]) for e in step.events] for step in opened.steps]
    assert kinds[0] == kinds[1] and kinds[3] == kinds[4]
    loads = [len(kinds[i]) for i in (0, 3, 5)]
    layers = [{e[0] for e in kinds[i]} for i in (0, 3, 5)]
    assert all(loads) and max(loads) < len(whole.events)
    assert sum(map(len, layers)) == len(set.union(*layers)), "a layer's ops are of one share"
    noted = [e for i in (0, 3, 5) for e in kinds[i]]
    assert sorted(noted) == sorted(tuple(e[:4]) for e in whole.events)
    found = profile.made(opened)
    full = {(e.where or "step", profile.role(e), e.op) for e in whole.events}
    assert {(row.layer, row.which, row.op) for row in found.rows if row.op} <= full
    assert found.facts["shares"] == 3 and found.facts["used_apart"] == 6
    per_step = {row.name: row.calls for row in found.rows}
    assert (per_step["g.0 forward linear"], per_step["d.3 forward linear"]) == (2, 3)


@pytest.mark.parametrize(("noting", "steps", "shares"), [(0.0, 40, 1), (1e9, 40, 4), (1e9, 9, 1)])
def test_the_more_noting_would_cost_the_more_shares(
    opened: recording.Recording, monkeypatch: pytest.MonkeyPatch, noting: float, steps: int, shares: int
) -> None:
    monkeypatch.setattr(recording, "_NOTING_S", noting)
    monkeypatch.setattr(recording, "_WARM_S", 0.0)
    recording.record(opened, steps, lambda share: None)
    assert len(opened.shares) == shares and len(opened.steps) == len(opened.whole_steps) == steps
    assert {step.share for step in opened.steps} == set(range(shares))


def test_steps_of_the_most_common_kind_count() -> None:
    usual, lazy = made_up(event("d", "", "mul", 2.0, 3.0)), made_up(event("d", "", "exp", 2.0, 3.0))
    assert profile.common([usual, lazy, usual]) == ([usual, usual], 1)


def test_interrupted_steps_do_not_count_where_there_are_enough_others() -> None:
    quiet = made_up()
    loud = quiet._replace(quiet=False)
    enough = measure.ENOUGH_QUIET
    assert measure.quiet([quiet, loud] * enough) == [quiet] * enough
    assert measure.quiet([quiet, loud] * (enough - 1)) == [quiet, loud] * (enough - 1)


def test_bytes_kept_for_backward_are_counted_once(opened: recording.Recording) -> None:
    found = opened.saved_bytes()
    n = 4
    # g.0: x (4,3) and y (4,5); g.1: y alone, for its x is g.0's y; d.1: x where it is real, and y (4,6)
    assert found["g.0"] == 4 * n * (3 + 5) and found["g.1"] == 4 * n * 64
    assert found["d.1"] == 4 * n * (64 + 6) and "forward" not in vars(opened.task.G.layers[0])


def test_a_ready_image_counts_as_its_array_and_what_was_made_of_it() -> None:
    cpp = pytest.importorskip("minigan.backends.cpp", exc_type=MiniganError)
    x, w = np.ones((16, 8, 8, 32), np.float32), np.ones((5, 5, 32, 32), np.float32)
    ready = cpp.image_by("fft", x, w, (1, 1), ((2, 2), (2, 2)))
    assert ready.nbytes > x.nbytes
    assert [a is x or a is ready for a in recording._arrays((ready, None, 3))] == [True, True]


# --------------------------------------------------------------------------------------------------------- the ceilings


def test_bytes_come_from_as_near_as_they_fit() -> None:
    assert ROOFS.memory_s(1000) == pytest.approx(1000 / 100e9)
    assert ROOFS.memory_s(3000) == pytest.approx(1000 / 100e9 + 2000 / 50e9)
    assert ROOFS.memory_s(21_000) == pytest.approx(1000 / 100e9 + 10_000 / 50e9 + 10_000 / 10e9)
    assert ROOFS.memory_s(1000, cold=True) == pytest.approx(1000 / 10e9)
    assert [ROOFS.level(size) for size in (1000, 1001, 10_001)] == ["L1", "L2", "memory"]
    assert (ROOFS.compute_s(1e9, "baseline"), ROOFS.compute_s(1e9, "numpy")) == (0.02, 0.01)


def test_ceilings_are_measured_once_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    ops = load("numpy")
    first = roofs.roofs(ops)
    assert all(level.gb_per_s > 0 for level in first.levels) and first.levels[-1].bytes is None
    assert min(first.peaks.values()) > 0
    monkeypatch.setattr(roofs, "_levels", lambda *args: pytest.fail("measured again"))
    assert roofs.roofs(ops) == first
    (file,) = (Path(roofs.cache_folder("roofs"))).iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), "format": "another"}))
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        roofs.roofs(ops)


def test_without_the_extension_numpy_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofs, "extension", lambda: None)
    found = roofs.roofs(load("numpy"))
    assert list(found.peaks) == ["gemm"] and found.threads == 1


def test_ceilings_of_threads_that_share_a_cpu_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofs, "extension", lambda: None)
    kept = roofs.cache_folder("roofs")
    for cpus in (0, 4, 0):  # of the one thread that NumPy is measured on
        monkeypatch.setattr(roofs.environment, "threads", lambda cpus=cpus: cpus)
        roofs.roofs(load("numpy"))
    crowded = {path for path in kept.glob("*-numpy.json") if "-on-0-" in path.name}
    assert len(crowded) == 1 and len({*kept.glob("*-numpy.json")} - crowded) == 1


def row(layer: str, seconds: float, **more: Any) -> profile.Row:
    given = {"which": "forward", "op": "linear", "by": "avx2", "calls": 1, "bytes": 100, "done_flops": 50} | more
    return profile.Row(layer, median_s=seconds, p20_s=0.9 * seconds, p80_s=1.1 * seconds, **given)


def profiled(*rows: profile.Row, backend: str = "cpp", **more: Any) -> profile.Profile:
    facts = {
        "preset": "p", "task": "gan", "data": "digits", "batch": 4, "backend": backend, "isa": "avx2", "note": "why",
        "device": "a CPU", "threads": 2, "minigan": "0", "build": "GCC", "python": "3", "numpy": "2", "timer": "t",
        "cold": False, "steps": 20, "other_steps": 0, "used_whole": 20, "used_apart": 9,
    } | more  # fmt: skip
    from minigan.study.measure import Spread

    total = sum(r.median_s or 0 for r in rows)
    return profile.Profile(facts, rows, Spread(total, 0.9 * total, 1.1 * total), Spread(1.01 * total, 0, 0), ROOFS)


PYTHON_ROW = profile.Row("python", "", "", median_s=0.002, p20_s=0.0019, p80_s=0.0021)
REST = (PYTHON_ROW, profile.Row("unaccounted", "", "", median_s=0.0001))


def test_more_than_a_roof_is_an_error_of_counting() -> None:
    given = profiled(row("g.0", 0.010, compute_s=0.0101), row("g.1", 0.010, memory_s=0.009), *REST)
    assert [r.layer for r in given.too_fast] == ["g.0"]
    said = list(profile_text.closing(given))
    assert said[0].startswith("error of counting: g.0 forward linear reaches 101 % of its compute roof")
    assert not any("g.1" in text for text in said[:1])


def test_the_three_places_are_those_with_most_to_win_in_words() -> None:
    rows = (
        row("g.0", 0.030, compute_s=0.029), row("g.1", 0.020, memory_s=0.010), row("g.2", 0.008, compute_s=0.001),
        row("g.3", 0.001, compute_s=0.0001),
    )  # fmt: skip
    said = profile_text.worth_work(profiled(*rows, *REST))
    assert [text.split(":")[0] for text in said] == ["g.1 forward", "g.2 forward", "python"]
    assert "20.00 ms, 33 % of the step" in said[0] and "at 50 % of its memory roof" in said[0]
    assert "10.00 ms less" in said[0] and "fewer bytes" in said[0] and "minigan tune" in said[1]


def test_the_table_has_a_line_for_each_row_and_says_what_is_unaccounted() -> None:
    given = profiled(row("g.0", 0.030, compute_s=0.015, flops=2 * 10**9, saved_bytes=2048), *REST)
    lines = list(profile_text.lines(given))
    (line,) = [text for text in lines if text.startswith("g.0")]
    for cell in ("30.000", "27.000-33.000", "93.5 %", "2.000", "50 %", "compute"):
        assert f" {cell} " in f"{line} ", cell
    assert line.endswith(" 2") and any(text.startswith("unaccounted") for text in lines)
    assert "unaccounted: 0.3 % of the step" in lines and "timing every op made the step +1.0 % longer" in lines
    assert any("20 and 9 count" in text for text in lines) and any("L2 9 KiB 50, 40, 30" in text for text in lines)
    loud = profiled(row("g.0", 0.030), profile.Row("unaccounted", "", "", median_s=0.01))
    assert any("more than 3 %" in text for text in profile_text.closing(loud))


def test_the_page_needs_nothing_else() -> None:
    text = profile_html.page(profiled(row("g.<0>", 0.030, compute_s=0.015), *REST, note="<why>"))
    assert text.startswith("<!doctype html>") and "<svg" in text and "g.&lt;0&gt;" in text and "<script" not in text
    assert len(text) < 200_000 and "&lt;why&gt;" in text and not re.search("<0>|<why>", text)
    assert "<link" not in text and "<img" not in text and "url(http" not in text


# ------------------------------------------------------------------------------------------------------------ the trace


def test_spans_of_a_trace_are_strictly_nested(opened: recording.Recording) -> None:
    opened.apart(3)
    content = json.loads(json.dumps(trace.trace(opened.steps, {"preset": "digits"})))
    spans = [e for e in content["traceEvents"] if e["ph"] == "X"]
    assert sum(e["name"].startswith("step ") for e in spans) == 3 and any(e["name"] == "g.0 forward" for e in spans)
    assert sum(e["name"] == "linear" for e in spans) == 3 * 10
    stack: list[float] = []
    for e in sorted(spans, key=lambda e: (e["ts"], -e["dur"])):
        while stack and stack[-1] <= e["ts"] + 1e-6:
            stack.pop()
        assert not stack or e["ts"] + e["dur"] <= stack[-1] + 1e-3, e["name"]
        stack.append(e["ts"] + e["dur"])


def test_a_trace_has_every_span_where_it_was_in_microseconds() -> None:
    events = (
        Event("g.0", "forward", "linear", ((2, 3), None), 1.5, 1.75),
        Event("g.0", "forward", "mul", ((2, 4),), 1.75, 2.0),
        Event("", "", "adam_step", ((5,),), 2.75, 2.875),
    )  # fmt: skip
    step = recording.Step(1.0, 1.25, 3.0, True, ((1.5, 2.5),), events)
    found = trace.trace([step], {"preset": "digits"})["traceEvents"]
    assert [(e["name"], e["ts"], e["dur"]) for e in found if e["ph"] == "X"] == [
        ("step 0", 0, 2e6), ("data", 0, 0.25e6), ("part 0", 0.5e6, 1e6), ("g.0 forward", 0.5e6, 0.5e6),
        ("linear", 0.5e6, 0.25e6), ("mul", 0.75e6, 0.25e6), ("adam_step", 1.75e6, 0.125e6),
    ]  # fmt: skip
    many = [step._replace(start_s=1.0 - k, parts=(), events=()) for k in range(trace.MOST_STEPS + 1)]
    lengths = [e["dur"] for e in trace.trace(many, {"preset": ""})["traceEvents"] if e["name"].startswith("step ")]
    assert lengths == [1e6 * (2 + k) for k in range(1, trace.MOST_STEPS + 1)], "the last ones are shown"


# --------------------------------------------------------------------------------------------------------- comparisons


def as_json(*rows: profile.Row, **facts: Any) -> dict[str, Any]:
    return json.loads(json.dumps(profile.to_dict(profiled(*rows, *REST, **facts))))


def test_a_verdict_stands_where_intervals_do_not_overlap() -> None:
    some = "g.0", "g.1", "g.2", "drift up", "drift down"
    loud = [profile.Row("unaccounted", "", "", median_s=x, p20_s=x, p80_s=x) for x in (0.010, 0.012)]
    then = as_json(*(row(name, 0.010) for name in some), row("g.3", 1e-5), loud[0])
    times = 0.014, 0.011, 0.006, 0.0125, 0.008  # the last two: beyond the other's interval by less than builds drift
    now = as_json(*map(row, some, times), row("g.3", 1e-4), loud[1])
    found = {c.name: c.verdict for c in compare.changes(then, now)}
    assert found == {
        "step": "", "g.0 forward linear": "slower", "g.1 forward linear": "", "g.2 forward linear": "faster",
        "drift up forward linear": "", "drift down forward linear": "", "python": "",
    }  # fmt: skip
    assert compare.regressed(compare.changes(then, now)) and not compare.regressed(compare.changes(then, then))
    assert any("0.70x" not in line and "slower" in line for line in compare.lines(compare.changes(then, now)))


def test_earlier_times_are_scaled_by_the_ceilings_of_both_machines() -> None:
    slow = dataclasses.replace(
        ROOFS, peaks={"avx2": 50.0}, levels=tuple(dataclasses.replace(x, read_gb_per_s=1e3) for x in ROOFS.levels)
    )
    rows = row("g.0", 0.010, compute_s=0.001), row("g.1", 0.010, memory_s=0.001)
    then = as_json(*rows) | {"roofs": json.loads(json.dumps(slow.to_dict()))}
    a, b = compare.changes(then, as_json(*rows))[1:3]
    assert a.then[0] == pytest.approx(0.005) and a.verdict == "slower"
    assert (
        b.then[0] == pytest.approx(0.010 * ROOFS.memory_s(8 << 20) / slow.memory_s(8 << 20)) and b.verdict == "faster"
    )
    assert [c.then[0] for c in compare.changes(then, as_json(*rows), scaled=False)[1:3]] == [0.010, 0.010]


def test_profiles_of_different_steps_are_not_compared(tmp_path: Path) -> None:
    then = as_json(row("g.0", 0.010))
    with pytest.raises(ConfigError, match="batch is 4 in the earlier one and 8 now"):
        compare.changes(then, as_json(row("g.0", 0.010), batch=8))
    with pytest.raises(ConfigError, match="cold is False in the earlier one and True now"):
        compare.changes(then, as_json(row("g.0", 0.010), cold=True))
    for text in ("{", "[]", '{"format": "minigan-profile-1", "step": null}'):
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(ConfigError, match="no profile with times"):
            compare.read(tmp_path / "p.json")


class FakeBuild:
    """A worker whose steps take the given time."""

    def __init__(self, seconds: float, log: list[str], name: str):
        self.seconds, self.log, self.name = seconds, log, name

    def ask(self, what: str, *args: Any) -> Any:
        self.log.append(f"{self.name} {what} {args[0]}" if what in ("whole", "apart") else f"{self.name} {what}")
        return self.seconds if what == "open" else as_json(row("g.0", self.seconds)) if what == "profile" else None

    def __enter__(self) -> "FakeBuild":
        return self

    def __exit__(self, *_: object) -> None: ...


def test_two_builds_take_turns_and_every_other_round_runs_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    builds = iter([FakeBuild(0.1, log, "a"), FakeBuild(0.2, log, "b")])
    monkeypatch.setattr(against, "worker", lambda home: next(builds))
    shares: list[float] = []
    theirs, ours = against.measured(Path("x"), "digits", [], 4, False, shares.append)
    assert log[2:-2] == [f"{s} {w} 1" for side in ("ab", "ba", "ab", "ba") for s in side for w in ("whole", "apart")]
    assert shares == [0.25, 0.5, 0.75, 1.0]
    changes = compare.changes(theirs, ours, scaled=False)
    assert [c.verdict for c in changes] == ["slower", "slower", ""] and compare.regressed(changes)


def test_a_worker_measures_steps_and_ops_and_says_what_is_wrong_in_a_line(tmp_path: Path) -> None:
    with against.worker(against.HERE) as worker:
        assert worker.ask("open", "digits", [*SMALL, ["train.seed", 3]], False) > 0
        for what in ("whole", "apart"):
            worker.ask(what, 2)
        found = worker.ask("profile")
        assert found["format"] == profile.FORMAT and found["facts"]["steps"] == 2
        op = worker.ask("op", one_op.work("linear", "n2c3o4"), "numpy", "")
        assert op["flops"] == 2 * 2 * 3 * 4 and len(worker.ask("run", op["number"], 3)) == 3
        with pytest.raises(MiniganError, match="preset 'digit'"):
            worker.ask("open", "digit", [], False)
    with pytest.raises(ConfigError, match="no minigan that can be profiled"):
        against.worker(tmp_path)


# ----------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def minigan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIGAN_DATA", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["minigan", "profile", *words])
        monkeypatch.setattr(cli, "out_console", cli.Console(soft_wrap=True))
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, err

    path = list(sys.path)
    yield call
    sys.path[:] = path


WORDS = [word for text in SMALL for word in ("--set", text)]


@pytest.fixture
def _high(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ceilings that nothing comes near, where those measured in the tests' short time may be low."""
    levels = tuple(Level(x.name, x.bytes, *[1e6] * 3) for x in ROOFS.levels)
    high = dataclasses.replace(ROOFS, peaks={"avx2": 1e9}, levels=levels)
    monkeypatch.setattr(profile, "roofs", lambda ops: high)


@pytest.mark.usefixtures("_high")
def test_an_error_of_counting_is_said_written_and_the_exit_status(
    minigan: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    status, out, _ = minigan("digits", *WORDS, "--steps", "5", "--json", "base.json")
    assert status == 0 and "error of counting" not in out
    low = dataclasses.replace(ROOFS, peaks={"avx2": 1e-9})
    monkeypatch.setattr(profile, "roofs", lambda ops: low)
    status, out, err = minigan("digits", *WORDS, "--steps", "5", "--json", "p.json", "--compare", "base.json")
    assert (status, err) == (1, "") and "error of counting: " in out and " of its compute roof" in out
    assert any((row["roof"] or 0) > 1 for row in json.loads(Path("p.json").read_text())["rows"])
    row = {"backend": "cpp", "isa": "avx2", "implementation": "fft", "planned": True, "compute_s": 0.2, "memory_s": 0.1}
    row |= {"flops": 10, "done_flops": 10, "bytes": 10, "p20_s": 0.1, "p80_s": 0.3}
    for median_s, status in ((0.2, 0), (0.19, 1)):
        monkeypatch.setattr(one_op, "measured", lambda *args, s=median_s: [row | {"median_s": s}])
        assert minigan("--op", "linear", "--shape", "n2c3o4")[0] == status


@pytest.mark.usefixtures("_high")
def test_a_preset_is_profiled_written_and_compared(
    minigan: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    files = ["--json", "p.json", "--trace", "t.json", "--html", "r.html"]
    status, out, err = minigan("digits", *WORDS, "--steps", "6", *files)
    assert (status, err) == (0, "") and "one step of digits" in out and "\n1. " in out and "\n3. " in out
    base = json.loads(Path("p.json").read_text())
    assert json.loads(Path("t.json").read_text())["traceEvents"] and Path("r.html").stat().st_size > 1000
    for part in (base["step"], *base["rows"]):
        part |= {key: part[key] / 100 for key in ("median_s", "p20_s", "p80_s")}
    Path("fast.json").write_text(json.dumps(base))
    status, out, _ = minigan("digits", *WORDS, "--steps", "6", "--compare", "fast.json")
    assert status == compare.REGRESSION and "slower" in out
    status, _, err = minigan("digits", *WORDS, "--batch-size", "8", "--compare", "fast.json")
    assert status == 2 and err.startswith("minigan: the two profiles are not of the same step: batch")


def test_cold_steps_leave_the_flushes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "caches", lambda: iter([]))
    monkeypatch.setattr(recording, "_FLUSH_BYTES", 1 << 20)
    cold = recording.Recording(recording.prepared("digits", [*SMALL]), cold=True)
    found = profile.profile(cold, 3, lambda share: None)
    assert found.step and sum(r.median_s or 0.0 for r in found.rows) == pytest.approx(found.step.median_s, rel=1e-9)
    events = cold.steps[-1].events
    assert [e.op == PAUSE for e in events] == [True, False] * (len(events) // 2)
    assert found.step.median_s < min(s.end_s - s.start_s for s in cold.steps)


def test_a_run_folder_is_profiled_with_its_weights(tmp_path: Path) -> None:
    from runs import run

    folder = run(tmp_path / "run", "train.steps=2", "train.checkpoint_every=1000")
    parts = recording.prepared(str(folder), [])
    from minigan.training import checkpoint

    saved = checkpoint.load(checkpoint.newest(folder / "checkpoints"))
    for name, a in parts.task.tensors().items():
        assert np.array_equal(a, saved.tensors[name]), name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give what to profile"),
        (("digits", "--op", "linear", "--shape", "n1c1o1"), "give what to profile"),
        (("--op", "linear"), "go together"),
        (("digits", "--all-impl"), "go together"),
        (("--op", "mul", "--shape", "n1c1", "--trace", "t.json"), "--trace is for the step"),
        (("digits", "--against", ".", "--html", "h.html"), "leave out --html"),
        (("digits", "--json", "nowhere/p.json"), "--json 'nowhere/p.json': give the name of a file"),
        (("digits", "--html", "nowhere/p.html"), "--html 'nowhere/p.html'"),
        (("--op", "mul", "--shape", "n1c1", "--json", "nowhere/p.json"), "--json 'nowhere/p.json'"),
        (("digits", "--against", "nowhere", "--json", "nowhere/p.json"), "--json 'nowhere/p.json'"),
        (("digits", "--compare", "none.json"), "none.json"),
    ],
)
def test_words_that_do_not_go_together(
    minigan: Callable[..., tuple[int, str, str]], words: tuple[str, ...], said: str
) -> None:
    status, out, err = minigan(*words)
    assert (status, out) == (2, "") and said in err and err.count("\n") == 1


def test_on_a_simulated_gpu_there_are_rows_and_no_times(tmp_path: Path) -> None:
    pytest.importorskip("numba_cuda")
    pytest.importorskip("greenlet")
    words = [w for text in SMALL[1:4] for w in ("--set", text)] + ["--backend", "cuda", "--batch-size", "2"]
    done = subprocess.run(
        [*PYTHON, "-m", "minigan", "profile", "digits", *words, "--json", "p.json"], cwd=tmp_path, capture_output=True,
        env=environment(NUMBA_ENABLE_CUDASIM="1"), text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "p.json").read_text())
    assert found["step"] is None and not [r for r in found["rows"] if r["median_s"] is not None]
    assert "numba simulator" in done.stdout and " ms" not in done.stdout and "simulator here" in done.stdout


def test_a_gpus_span_is_a_range_of_nvtx() -> None:
    pytest.importorskip("numba_cuda")
    code = """
from types import SimpleNamespace
from minigan.backends.cuda.device import CuPy
seen = []
nvtx = SimpleNamespace(available=True, RangePush=seen.append, RangePop=lambda: seen.append("pop"))
gpu = object.__new__(CuPy)
gpu._cupy = SimpleNamespace(cuda=SimpleNamespace(nvtx=nvtx))
with gpu.span("g.0 forward"):
    seen.append("op")
nvtx.available = False
with gpu.span("g.1"):
    pass
assert seen == ["g.0 forward", "op", "pop"], seen
"""
    done = subprocess.run(
        [*PYTHON, "-c", code], env=environment(NUMBA_ENABLE_CUDASIM="1"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_copies_reads_and_updates_are_measured_whatever_the_size() -> None:
    cpp = pytest.importorskip("minigan._cpp", exc_type=ImportError)
    for way in (cpp.copy_peak, cpp.read_peak, cpp.update_peak):
        for size in (0, 1 << 14, 9 << 20):
            assert 0 < way(size, 1e-4) < 1e5


def test_a_backends_parts_are_noted_as_it_names_them() -> None:
    timed = Timed(SimpleNamespace(mul=lambda x, y: None))
    timed.mul(np.ones(2), np.ones(2))
    assert [e[2] for e in timed.events] == ["mul"] and profile.timer_cost_s() >= 0
