"""The benchmarks' statistics and table on made-up results, and a short real run without PyTorch. No timing is held."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import PYTHON, environment

from minigan import config as configs
from minigan.backends import load, proxies
from minigan.errors import MiniganError

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))  # last, so that the tested minigan stays the installed one

from benchmarks import diagnose, modes, step, table, works  # noqa: E402
from benchmarks.layers import merged, taken_apart  # noqa: E402
from benchmarks.minigan_layers import Apart  # noqa: E402
from benchmarks.ops import rates  # noqa: E402
from benchmarks.step import variants  # noqa: E402
from minigan.study import measure  # noqa: E402


def test_a_summary_has_median_and_quartiles_over_all_rounds() -> None:
    found = measure.summary([[1.0, 5.0], [2.0, 4.0, 3.0]])
    assert found == {"median_s": 3.0, "q1_s": 2.0, "q3_s": 4.0, "min_s": 1.0, "calls": 5}


def test_a_ratio_is_that_of_the_medians_and_its_spread_that_of_the_rounds() -> None:
    theirs, ours = [[2.0, 2.0], [4.0], [6.0]], [[1.0], [1.0], [1.0]]
    assert measure.ratio(theirs, ours) == {"ratio": 3.0, "q1": 3.0, "q3": 5.0}


def test_pytorchs_best_is_its_smallest_median_of_the_group() -> None:
    blocks = {"minigan": [[2.0]], "eager": [[8.0]], "fused": [[6.0]], "bf16": [[4.0]]}
    found = measure.compared(blocks, "minigan", {"pytorch": ["eager", "fused", "skipped"], "pytorch_bf16": ["bf16"]})
    assert (found["pytorch"]["best"], found["pytorch"]["ratio"]) == ("fused", 3.0)
    assert list(found["pytorch"]["variants"]) == ["eager", "fused"]
    assert (found["pytorch_bf16"]["best"], found["pytorch_bf16"]["ratio"]) == ("bf16", 2.0)
    assert measure.compared(blocks, "minigan", {"pytorch": []})["pytorch"] == {"variants": {}, "best": None}


def test_sides_take_turns_and_every_other_round_runs_backwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PAUSE_S", 0)
    seen: list[tuple[str, int]] = []
    ticks: list[None] = []

    def side(name: str) -> Any:
        return lambda n: seen.append((name, n)) or [1.0] * n

    blocks = measure.interleave({"a": side("a"), "b": side("b")}, {"a": 2, "b": 3}, 3, lambda: ticks.append(None))
    assert seen == [("a", 2), ("b", 3), ("b", 3), ("a", 2), ("a", 2), ("b", 3)]
    assert blocks == {"a": [[1.0] * 2] * 3, "b": [[1.0] * 3] * 3} and len(ticks) == 3


def test_a_side_far_behind_takes_part_in_few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PAUSE_S", 0)
    seconds = {"eager": 0.5, "fused": 0.2, "bf16": 1.01, "compile": 0.99}
    assert measure.far_behind(seconds, ["eager", "fused"]) == ["bf16"]
    assert measure.far_behind(seconds, []) == []

    seen: list[tuple[str, int]] = []

    def side(name: str) -> Any:
        return lambda n: seen.append((name, n)) or [float(len(seen))] * n

    blocks = measure.interleave({"a": side("a"), "b": side("b")}, {"a": 4, "b": 9}, 7, lambda: None, ["b"])
    assert [n for name, n in seen if name == "a"] == [4] * 7
    assert [bool(block) for block in blocks["b"]] == [True, False, False, True, False, False, True]
    assert [n for name, n in seen if name == "b"] == [measure.FEWEST] * measure.FEW_ROUNDS
    assert measure.summary(blocks["b"])["calls"] == 6
    rounds = [blocks["b"][i][0] / blocks["a"][i][0] for i in (0, 3, 6)]  # the quartiles are those of shared rounds
    assert measure.ratio(blocks["b"], blocks["a"])["q1"] == pytest.approx((sorted(rounds)[0] + sorted(rounds)[1]) / 2)


class FakeWorker:
    """Answers as a worker would whose calls take 0.1 s, and 4 s in bf16."""

    def __init__(self, side: str, settings: dict[str, Any], python: str = ""):
        self.seconds = 4.0 if settings.get("bf16") else 0.1

    def ask(self, what: str, given: Any) -> Any:
        return {"seconds": self.seconds, "parameters": [1, 2]} if what == "prepare" else [self.seconds] * given

    def __enter__(self) -> "FakeWorker":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def test_the_result_names_who_sat_rounds_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PAUSE_S", 0)
    monkeypatch.setattr(step, "Worker", FakeWorker)
    row = step.measured(works.STEPS[0], "cpp", 1, 20, "python", lambda **_: None)
    assert row["rounds_if_fewer"] == {"fused Adam + bf16": 3, "channels-last + fused Adam + bf16": 3}
    assert {v["calls"] for v in row["pytorch_bf16"]["variants"].values()} == {6}
    assert {v["calls"] for v in row["pytorch"]["variants"].values()} == {40} == {row["minigan"]["calls"]}
    assert (row["pytorch_bf16"]["ratio"], row["pytorch"]["ratio"]) == (40.0, 1.0)


def test_a_block_lasts_about_as_long_for_slow_and_fast_work() -> None:
    assert [measure.calls_per_block(s) for s in (1e-6, 0.01, 0.05, 2.0)] == [200, 20, 4, 2]


def test_only_variants_that_differ_for_the_work_are_run() -> None:
    counts = {work["name"]: len(variants(work)) for work in works.STEPS}
    assert list(counts.values()) == [8, 8, 4, 6, 6]
    assert "channels-last" in variants(works.STEPS[0]) and "channels-last" not in variants(works.STEPS[2])


def test_rates_count_direct_and_done_work_apart() -> None:
    found = rates({"flops": 4_000_000_000, "done_flops": 3_000_000_000, "bytes": 2_000_000_000}, 0.5, 16.0)
    assert found == {
        "gflop_per_s": 8.0, "done_gflop_per_s": 6.0, "gb_per_s": 4.0, "peak_share": 0.5, "done_peak_share": 0.375,
    }  # fmt: skip
    assert rates({"flops": 1, "done_flops": 1, "bytes": 1}, 1.0, None)["peak_share"] is None


def test_a_take_sums_the_calls_of_each_of_the_last_steps() -> None:
    timed = proxies.Timed(load("numpy"))
    apart = Apart(timed, lambda: None)
    linear, bent = ((2, 3), (3, 4), None), ((2, 4), (2, 4), None)
    timed.args |= {("g.0", "linear"): {linear: linear}, ("g.0", "activation_backward"): {bent: bent}}
    for k in range(3):
        apart()
        for seconds in (2.0 * k + 1, 2.0 * k + 2):
            timed.events.append(("g.0", "forward", "linear", linear, 0.0, seconds))
        timed.events.append(("g.0", "backward", "activation_backward", bent, 0.0, 1.0))
    (row,) = apart.take(2)  # the activation is none and so does nothing
    assert (row["layer"], row["pass"], row["op"], row["calls"], row["seconds"]) == (
        "g.0", "forward", "linear", 2, [7.0, 11.0],
    )  # fmt: skip
    assert (row["flops"], row["bytes"]) == (2 * 2 * 2 * 3 * 4, 2 * 4 * (6 + 12 + 8))
    assert apart.take(2) == [] and apart.steps == 0


def test_rounds_are_joined_and_what_is_left_is_a_row() -> None:
    cost = {"calls": 1, "flops": 4_000_000_000, "done_flops": 2_000_000_000, "bytes": 1, "implementation": ""}
    place = {"layer": "g.0", "pass": "forward", "op": "linear", "shapes": [[2, 3]]}
    takes = [[place | cost | {"seconds": [1.0, 2.0]}], [place | cost | {"seconds": [6.0]}]]
    row, outside = taken_apart(merged(takes), 5.0, 4.0)
    assert (row["median_s"], row["share"], row["gflop_per_s"], row["done_peak_share"]) == (2.0, 0.4, 2.0, 0.25)
    assert (outside["layer"], outside["median_s"], outside["share"]) == ("outside ops", 3.0, 0.6)


def summary(ms: float) -> dict[str, float]:
    return {"median_s": ms / 1e3, "q1_s": ms / 1.1e3, "q3_s": ms / 0.9e3, "min_s": ms / 2e3, "calls": 9}


@pytest.fixture
def result() -> dict[str, Any]:
    float32 = {"eager": summary(160), "channels-last": summary(150)}
    best = {"variants": float32, "best": "channels-last", "ratio": 3.0, "q1": 2.9, "q3": 3.1}
    row = {"name": "one step", "minigan": summary(50), "pytorch": best, "pytorch_bf16": {"variants": {}, "best": None}}
    return {
        "what": "step", "date": "2026-11-23T10:00:00Z", "cpu": "a CPU", "threads": 2, "rounds": 20,
        "variables": {"MINIGAN_ISA": "avx2"}, "minigan": {"version": "0.1.0", "backend": "cpp", "isa": "avx2"},
        "pytorch": {"version": "2.13.0"}, "rows": [row],
    }  # fmt: skip


def test_the_table_says_what_was_measured_where_and_how(result: dict[str, Any]) -> None:
    lines = table.text(result).splitlines()
    row = "| one step | 50.0 ms (45.5 to 55.6) | 150 ms, channels-last | 3.00 (2.90 to 3.10) | not measured |  |"
    assert lines[2] == row and len(lines) == 5
    for fact in ("a CPU, threads: 2", "cpp (avx2)", "PyTorch 2.13.0", "MINIGAN_ISA=avx2", "20 rounds", "2026-11-23"):
        assert fact in lines[-1]


def test_the_table_of_ops_has_rates_and_shares(result: dict[str, Any]) -> None:
    row = result["rows"][0] | {"pass": "dgrad", "gflop_per_s": 300.0, "done_gflop_per_s": 207.0, "gb_per_s": 12.25}
    result |= {"what": "ops", "rows": [row | {"peak_share": 0.75, "done_peak_share": 0.52}]}
    result["minigan"]["peak_gflop_per_s"] = 400.0
    lines = table.text(result).splitlines()
    assert "| dgrad | 50.0 ms (45.5 to 55.6) | 300 | 75% | 207 | 52% | 12.2 | 150 ms, channels-last |" in lines[2]
    assert "measured peak 400 GFLOP/s" in lines[-1]


def test_the_table_of_modes_has_means_over_seeds_and_the_papers_figures(result: dict[str, Any]) -> None:
    runs = [
        {"name": name, "found": found, "high_quality": 0.5 + seed / 10, "reverse_kl": seed}
        for name, counts in {"GAN": (1, 2, 6), "R1": (8, 8, 8)}.items()
        for seed, found in enumerate(counts)
    ]
    result |= {"what": "modes ring8", "modes": 8, "seeds": 3, "cures": {"GAN": [], "R1": []}, "rows": runs}
    result |= {"published": {"GAN": 6.3}}
    del result["pytorch"], result["rounds"]
    lines = table.text(result).splitlines()
    assert "modes of 8" in lines[0]
    assert lines[2] == "| GAN | 3.0 ± 2.6 | 1 2 6 | 60% ± 10% | 1.00 ± 1.00 | 6.3 |"
    assert lines[3] == "| R1 | 8.0 ± 0.0 | 8 8 8 | 60% ± 10% | 1.00 ± 1.00 |  |" and len(lines) == 6
    assert "Means ± standard deviations over the seeds shown, 2026-11-23." in lines[-1]


def test_a_row_of_modes_is_the_plain_gan_but_for_its_cure() -> None:
    plain = modes.config("ring8", "GAN", 0)
    for row, cure in modes.ROWS.items():
        differs = configs.changed(plain, modes.config("ring8", row, 0))
        assert differs == [key.partition("=")[0] for key in cure], row


def test_a_run_of_modes_is_counted_and_is_a_function_of_its_seed() -> None:
    short = ("train.backend=numpy", "train.steps=4")
    (one, x), (_, y), (_, other) = (modes.trained("ring8", "R1", seed, *short) for seed in (3, 3, 4))
    assert (x == y).all() and (x != other).any() and x.shape == (modes.SAMPLES, 2)
    assert {"name": "R1", "seed": 3}.items() <= one.items() and one["found"] <= 8
    drawn = modes.picture({"GAN": x, "R1": y}, modes.toys.centres("ring8"))
    assert drawn.getcolors() and len(drawn.getcolors()) > 2


def _verdicts(result: dict[str, Any], what: str) -> list[str]:
    result |= {"what": what, "how": "2 of 3 runs right", "thresholds": [["G collapsed", "even", False, 0.6]]}
    result["rows"] = [
        {"name": "a", "label": "healthy", "verdict": "healthy", "signs": {"even": 0.9}},
        {"name": "b", "label": "G collapsed", "verdict": "G collapsed", "signs": {"even": 0.41}},
        {"name": "c", "label": "G collapsed", "verdict": "healthy", "signs": {"even": 0.7, "copies": 1}},
        {"name": "d", "label": "healthy", "verdict": "healthy", "signs": {"copies": 1}},
    ]
    del result["pytorch"], result["rounds"]
    return table.text(result).splitlines()


def test_the_table_of_thresholds_has_what_each_run_has(result: dict[str, Any]) -> None:
    lines = _verdicts(result, "diagnose chosen")
    assert lines[2] == "| G collapsed | `even` | below 0.6 | 0.41, 0.7 | 0.9 to 0.9 |"


def test_the_table_of_held_out_runs_counts_and_names_the_wrong_ones(result: dict[str, Any]) -> None:
    lines = _verdicts(result, "diagnose held-out")
    assert lines[0] == "| a run that is | said: healthy | said: G collapsed |"
    assert lines[2:4] == ["| **healthy** | 2 |  |", "| **G collapsed** | 1 | 1 |"]
    assert (
        lines[-1].endswith("Wrong: c, which is G collapsed, was called healthy.") and "2 of 3 runs right" in lines[-1]
    )


FINE = {
    "stirs": 0.1,
    "told": 0.9,
    "alike": 0.2,
    "sharp": 0.9,
    "classes": 0.9,
    "change": 0.1,
    "like": 0.0,
    "D_right": 0.8,
}
LOOKS: list[tuple[dict[str, float], str]] = [
    ({}, "healthy"),
    ({"stirs": 0.001, "told": 1.0}, "vanishing gradients"),
    ({"stirs": 0.001}, "healthy"),  # it has arrived
    ({"classes": 0.3, "change": 0.9}, "G collapsed"),
    ({"classes": 0.5, "change": 0.9}, "oscillating"),
    ({"classes": 0.5}, "G collapsed"),
    ({"classes": 0.3, "sharp": 0.4}, "healthy"),  # noise has no class
    ({"alike": 0.9, "sharp": 0.4}, "G collapsed"),
    ({"like": 0.6, "D_right": 1.0, "told": 1.0}, "memorising"),
    ({"D_right": 1.0, "told": 1.0}, "D too strong"),
    ({"D_right": 1.0}, "healthy"),
]


@pytest.mark.parametrize(("look", "expected"), LOOKS)
def test_a_run_of_diagnose_is_what_the_first_look_says(look: dict[str, float], expected: str) -> None:
    assert diagnose.label(FINE | look) == expected


def test_a_run_of_diagnose_is_trained_and_looked_at(tmp_path: Path) -> None:
    case = diagnose.Case("few", "memorising", "digits", "few digits", 1, 100, (*diagnose.DIGITS, *diagnose.COPYING))
    out = diagnose.trained(case, tmp_path, "auto")
    look = diagnose.looked(case, out)
    assert len(list((out / "checkpoints").iterdir())) == diagnose.CHECKPOINTS
    assert len(np.load(tmp_path / "few-digits-1.npz")["x"]) == 12
    assert look.keys() == FINE.keys() and all(np.isfinite(list(look.values()))), look
    assert 0 < look["stirs"] < 10 and 0 <= look["like"] <= 1 and max(look["alike"], look["sharp"]) <= 1


@pytest.mark.parametrize("which", diagnose.CASES)
def test_the_page_on_verdicts_has_the_newest_result_and_todays_thresholds(which: str) -> None:
    what = f"diagnose {which}"
    result = table.read(sorted(diagnose.command.RESULTS.glob(f"*-{what.replace(' ', '-')}.json"))[-1])
    assert result["thresholds"] == [[row.verdict, row.sign, row.above, row.threshold] for row in diagnose.ROWS]
    assert [row["name"] for row in result["rows"]] == [case.name for case in diagnose.CASES[which]]
    assert table.text(result) in table.TARGETS[what].read_text()


def test_the_table_names_what_was_measured_in_fewer_rounds(result: dict[str, Any]) -> None:
    result["rows"][0]["rounds_if_fewer"] = {"fused Adam + bf16": 3}
    assert "one step: far behind PyTorch's best float32" in table.text(result).splitlines()[-1]
    assert "fewer rounds: fused Adam + bf16 (3)." in table.text(result).splitlines()[-1]


@pytest.mark.parametrize(("seconds", "words"), [(0.1234, "123"), (0.01234, "12.3"), (0.001234, "1.23"), (4e-5, "0.04")])
def test_milliseconds_have_three_digits(seconds: float, words: str) -> None:
    assert table.milliseconds(seconds) == words


MARK = table.BEGIN.format("step")


@pytest.mark.parametrize(("what", "path"), table.TARGETS.items())
def test_a_table_has_its_place(what: str, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    table.rewrite(copy, what, "| new |")
    assert f"{table.BEGIN.format(what)}\n| new |\n{table.END}" in copy.read_text()


def test_the_readme_changes_between_the_marks_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    other = f"{table.BEGIN.format('ops')}\nanother table\n{table.END}\n"
    around = f"{other}before\n{MARK}\n{{}}\n{table.END}\nafter, with {table.END} again\n"
    readme.write_text(around.format("the old\ntable"))
    table.rewrite(readme, "step", "| new |")
    assert readme.read_text() == around.format("| new |")


@pytest.mark.parametrize(
    "text",
    ["", MARK, f"{table.END} {MARK}", f"{MARK} {MARK} {table.END}"],
    ids=["none", "no end", "turned", "two"],
)
def test_a_readme_without_the_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(MiniganError, match="expected one"):
        table.rewrite(readme, "step", "| new |")
    assert readme.read_text() == text


@pytest.mark.parametrize("text", ["{", "[]", '{"what": "else"}'])
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(MiniganError, match=r"result\.json"):
        table.read(tmp_path / "result.json")


def run(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """A command where `import torch` fails, whether or not PyTorch is installed."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch here')\n")
    variables = environment()
    variables["PYTHONPATH"] += f":{ROOT}:{tmp_path}"
    return subprocess.run(
        [*PYTHON, "-m", *args], env=variables, cwd=tmp_path, capture_output=True, text=True, check=False
    )


def test_a_short_run_without_pytorch(tmp_path: Path) -> None:
    done = run(
        tmp_path, "benchmarks.step", "--only", "mlp", "--backend", "numpy", "--rounds", "1", "--threads", "1",
        "--out", "r.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "without PyTorch: ModuleNotFoundError: no torch here" in done.stderr
    found = json.loads((tmp_path / "r.json").read_text())
    assert {"date", "cpu", "load_average_before", "variables"} <= found.keys()
    assert (found["what"], found["threads"], found["rounds"], found["pytorch"]) == ("step", 1, 1, None)
    assert {"version", "python", "numpy"} <= found["minigan"].keys() and found["minigan"]["backend"] == "numpy"
    (row,) = found["rows"]
    assert row["name"] == "MLP GAN batch 128 one step" and row["pytorch"]["best"] is None
    assert row["parameters"] == [100 * 256 + 256 + 256 * 784 + 784, 784 * 256 + 256 + 256 + 1]
    assert 0 < row["minigan"]["min_s"] <= row["minigan"]["median_s"] and row["minigan"]["calls"] >= 2
    assert "| MLP GAN batch 128 one step |" in done.stdout


@pytest.mark.parametrize(("name", "backend"), [("mlp", "numpy"), ("dcgan", "cpp")])
def test_a_step_taken_apart_adds_up(tmp_path: Path, name: str, backend: str) -> None:
    if backend == "cpp":
        pytest.importorskip("minigan._cpp")
    done = run(tmp_path, "benchmarks.layers", "--only", name, "--backend", backend, "--rounds", "1", "--out", "r.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "r.json").read_text())
    (work,) = found["rows"]
    *ops, outside = work["rows"]
    assert outside["layer"] == "outside ops" and outside["calls"] == 0
    assert sum(row["median_s"] for row in work["rows"]) == pytest.approx(work["apart"]["median_s"])
    assert sum(row["share"] for row in work["rows"]) == pytest.approx(1)
    assert work["whole"]["min_s"] > 0 and all(row["median_s"] > 0 and row["gb_per_s"] > 0 for row in ops)
    by = {(row["layer"], row["pass"], row["op"]): row for row in ops}
    assert len(by) == len(ops) - 2  # the optimizers' two segments
    if name == "mlp":  # D sees 784 pixels of 128 images three times, learns twice, and asks once for their gradient
        for which, op, calls in [
            ("forward", "linear", 3), ("backward", "linear_wgrad", 2), ("backward", "linear_dgrad", 1),
        ]:  # fmt: skip
            row = by["d.1", which, op]
            assert (row["calls"], row["flops"]) == (calls, calls * 2 * 128 * 784 * 256) and row["implementation"] == ""
    else:
        row = by["g.3", "forward", "conv2d_dgrad"]
        assert row["implementation"] == "fft" and row["calls"] == 2 and row["done_flops"] < 0.2 * row["flops"]
        assert by["d.0", "forward", "conv2d"]["implementation"] == "im2col"
    assert "| outside ops |" in done.stdout and f"**{work['name']}**" in done.stdout


def test_an_unknown_toy_set_ends_in_one_line(tmp_path: Path) -> None:
    done = run(tmp_path, "benchmarks.modes", "ring9")
    assert (done.returncode, done.stdout) == (2, "") and list(tmp_path.glob("*.json")) == []
    assert "did you mean 'ring8'?" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "nunpy"], "'nunpy' is unknown"),
        (["--only", "cnn"], "no row's name"),
        (["--rounds", "0"], "rounds"),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path: Path, options: list[str], words: str) -> None:
    done = run(tmp_path, "benchmarks.step", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr and len(done.stderr.splitlines()) == 1 and done.stderr.startswith("benchmarks: ")
