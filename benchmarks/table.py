"""A result as a table, written between two marks of a README:   python -m benchmarks.table RESULT.json

A result of benchmarks.step goes into README.md, one of benchmarks.ops or benchmarks.layers into benchmarks/README.md,
one of benchmarks.modes into docs/modes.md, one of benchmarks.diagnose into docs/diagnose.md.
"""

import json
import statistics
from pathlib import Path
from typing import Annotated, Any

import typer

from minigan.errors import MiniganError

BEGIN, END = "<!-- table of benchmarks.{} -->", "<!-- end of the table -->"
ROOT = Path(__file__).resolve().parents[1]
BESIDE = ROOT / "benchmarks" / "README.md"
MODES = ROOT / "docs" / "modes.md"
DIAGNOSE = ROOT / "docs" / "diagnose.md"
TARGETS = {
    "step": ROOT / "README.md",
    "ops": BESIDE,
    "layers": BESIDE,
    "modes ring8": MODES,
    "modes grid25": MODES,
    "diagnose chosen": DIAGNOSE,
    "diagnose held-out": DIAGNOSE,
}


def milliseconds(seconds: float) -> str:
    """Three digits, in ms."""
    ms = seconds * 1e3
    return f"{ms:.{2 if ms < 10 else 1 if ms < 100 else 0}f}" if ms >= 1 else f"{ms:.3g}"


def _time(summary: dict[str, float]) -> str:
    low, high = (milliseconds(summary[key]) for key in ("q1_s", "q3_s"))
    return f"{milliseconds(summary['median_s'])} ms ({low} to {high})"


def _best(group: dict[str, Any]) -> tuple[str, str]:
    """The best variant's time, and how many times as fast minigan is."""
    if group["best"] is None:
        return "not measured", ""
    time = milliseconds(group["variants"][group["best"]]["median_s"])
    return f"{time} ms, {group['best']}", f"{group['ratio']:.2f} ({group['q1']:.2f} to {group['q3']:.2f})"


def _step(result: dict[str, Any]) -> list[list[str]]:
    head = ["work", "minigan", "PyTorch, its best float32", "times as fast", "PyTorch, bf16 autocast", "times as fast"]
    rows = [[r["name"], _time(r["minigan"]), *_best(r["pytorch"]), *_best(r["pytorch_bf16"])] for r in result["rows"]]
    return [head, *rows]


def _ops(result: dict[str, Any]) -> list[list[str]]:
    head = [
        "op",
        "pass",
        "minigan",
        "GFLOP/s",
        "of peak",
        "done GFLOP/s",
        "of peak",
        "GB/s",
        "PyTorch",
        "times as fast",
    ]
    rows = []
    for r in result["rows"]:
        direct, done = (f"{r[key]:.0%}" if r[key] is not None else "" for key in ("peak_share", "done_peak_share"))
        speeds = [f"{r['gflop_per_s']:.0f}", direct, f"{r['done_gflop_per_s']:.0f}", done, f"{r['gb_per_s']:.1f}"]
        rows.append([r["name"], r["pass"], _time(r["minigan"]), *speeds, *_best(r["pytorch"])])
    return [head, *rows]


def _layers(result: dict[str, Any]) -> list[list[str]]:
    head = ["layer", "pass", "op", "first array", "by", "calls", "ms", "of the step"]
    head += ["GFLOP", "done", "done GFLOP/s", "of peak", "GB/s"]
    rows = []
    for work in result["rows"]:
        whole = work["apart"]["median_s"]
        rows.append([f"**{work['name']}**", *[""] * 5, f"**{milliseconds(whole)}**", "100%", *[""] * 5])
        for r in work["rows"]:
            which = r["pass"] if "." in r["layer"] else ""  # a loss or an update belongs to no layer's pass
            words = [r["layer"], which, r["op"], "x".join(map(str, r["shapes"][0])) if r["shapes"] else ""]
            time = [str(r["calls"] or ""), milliseconds(r["median_s"]), f"{r['share']:.1%}"]
            rows.append([*words, r["implementation"], *time, *_work(r)])
    return [head, *rows]


def _work(row: dict[str, Any]) -> list[str]:
    """Operations and what a second did; nothing where nothing is counted."""
    if not row["calls"]:
        return [""] * 5
    share = f"{row['done_peak_share']:.0%}" if row["done_peak_share"] is not None else ""
    counts = [f"{row[key] / 1e9:.3g}" for key in ("flops", "done_flops")]
    return [*counts, f"{row['done_gflop_per_s']:.3g}", share, f"{row['gb_per_s']:.3g}"]


def _modes(result: dict[str, Any]) -> list[list[str]]:
    modes, published = result["modes"], result["published"]
    head = ["cure", f"modes of {modes}", "by seed", "of high quality", "reverse KL, nats"]
    rows = []
    for name in result["cures"]:
        runs = [row for row in result["rows"] if row["name"] == name]
        found, quality, kl = ([run[key] for run in runs] for key in ("found", "high_quality", "reverse_kl"))
        by_seed, paper = " ".join(map(str, found)), str(published.get(name, ""))
        rows.append([name, _spread(found, ".1f"), by_seed, _spread(quality, ".0%"), _spread(kl, ".2f"), paper])
    return [[*head, "modes in PacGAN's paper"], *rows]


def _spread(values: list[float], form: str) -> str:
    """Mean and standard deviation."""
    return f"{statistics.mean(values):{form}} ± {statistics.stdev(values):{form}}"


def _thresholds(result: dict[str, Any]) -> list[list[str]]:
    """What the chosen runs have of each figure: each of a verdict's, and the range of the healthy ones."""
    rows = []
    for name, sign, above, threshold in result["thresholds"]:
        so, healthy = (
            sorted(r["signs"][sign] for r in result["rows"] if r["label"] == label and sign in r["signs"])
            for label in (name, "healthy")
        )
        side = f"{'above' if above else 'below'} {threshold:g}"
        spread = f"{healthy[0]:.2g} to {healthy[-1]:.2g}" if healthy else ""
        rows.append([name, f"`{sign}`", side, ", ".join(f"{x:.2g}" for x in so), spread])
    return [["verdict", "figure", "speaks", "each run that is so", "healthy runs"], *rows]


def _confusion(result: dict[str, Any]) -> list[list[str]]:
    """Held-out runs: a row for what they are, a column for what is said."""
    names = list(dict.fromkeys(["healthy", *(row[0] for row in result["thresholds"])]))
    pairs = [(row["label"], row["verdict"]) for row in result["rows"]]
    return [
        ["a run that is", *(f"said: {name}" for name in names)],
        *([f"**{is_}**", *(str(pairs.count((is_, said)) or "") for said in names)] for is_ in names),
    ]


TABLES = {
    "step": _step,
    "ops": _ops,
    "layers": _layers,
    "modes ring8": _modes,
    "modes grid25": _modes,
    "diagnose chosen": _thresholds,
    "diagnose held-out": _confusion,
}


def _remarks(result: dict[str, Any]) -> list[str]:
    """What a reader has to know about single rows."""
    said = []
    for row in result["rows"]:
        if fewer := row.get("rounds_if_fewer"):
            names = ", ".join(f"{name} ({rounds})" for name, rounds in fewer.items())
            said.append(f"{row['name']}: far behind PyTorch's best float32 and so measured in fewer rounds: {names}.")
        if row.get("label") != row.get("verdict"):
            said.append(f"Wrong: {row['name']}, which is {row['label']}, was called {row['verdict']}.")
        if "apart" in row:
            said.append(f"{row['name']}: {milliseconds(row['whole']['median_s'])} ms when it is not taken apart.")
    return said


def text(result: dict[str, Any]) -> str:
    """The table in Markdown, and a line that says where and how it was measured."""
    ours = result["minigan"]
    head, *rows = TABLES[result["what"]](result)
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    facts = [
        f"{result['cpu']}, threads: {result['threads']}",
        f"minigan {ours['version']}, backend {ours['backend']}" + (f" ({ours['isa']})" if "isa" in ours else ""),
        *_pytorch(result),
        *(f"{key}={value}" for key, value in result["variables"].items()),
    ]
    if "peak_gflop_per_s" in ours:
        peak = ours["peak_gflop_per_s"]
        facts.append(f"measured peak {peak:.0f} GFLOP/s" if peak else "peak not measured")
    date = result["date"][:10]
    medians = "Medians, quartiles in brackets, {rounds} rounds"
    how = "Means ± standard deviations over the seeds shown" if "seeds" in result else result.get("how", medians)
    return "\n".join(
        [*lines, "", " ".join([f"{'; '.join(facts)}. {how.format(**result)}, {date}.", *_remarks(result)])]
    )


def _pytorch(result: dict[str, Any]) -> list[str]:
    if "pytorch" not in result:
        return []
    theirs = result["pytorch"]
    return [f"PyTorch {theirs['version']}" if theirs else "PyTorch not installed"]


def rewrite(path: Path, what: str, table: str) -> None:
    """Puts the table of benchmarks.`what` between its marks.

    Raises MiniganError when `path` has not exactly one pair of them, in order.
    """
    mark = BEGIN.format(what)
    before, begin, rest = path.read_text("utf-8").partition(mark)
    _, end, after = rest.partition(END)
    if not begin or not end or mark in rest:
        raise MiniganError(f"{path}: expected one {mark} and, below it, {END}; the table goes between them")
    path.write_text(f"{before}{mark}\n{table}\n{END}{after}", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """A result file. Raises MiniganError when it is none."""
    try:
        result = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise MiniganError(f"{path}: cannot be read as a result ({e})") from e
    if not isinstance(result, dict) or result.get("what") not in TABLES:
        raise MiniganError(f"{path}: is no result of benchmarks.step, ops, layers, modes or diagnose")
    return result


def main(result: Annotated[Path, typer.Argument(metavar="RESULT.json")]) -> None:
    """Writes a result's table into the README."""
    found = read(result)
    rewrite(TARGETS[found["what"]], found["what"], text(found))


if __name__ == "__main__":
    from benchmarks import command  # which imports this module for its text

    command.main(main)
