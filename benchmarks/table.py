"""A result as a table, written between two marks of a README:   python -m benchmarks.table RESULT.json

A result of benchmarks.step goes into README.md, one of benchmarks.ops into benchmarks/README.md.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from minigan.errors import MiniganError

BEGIN, END = "<!-- benchmark table -->", "<!-- end -->"
ROOT = Path(__file__).resolve().parents[1]
TARGETS = {"step": ROOT / "README.md", "ops": ROOT / "benchmarks" / "README.md"}


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


TABLES = {"step": _step, "ops": _ops}


def text(result: dict[str, Any]) -> str:
    """The table in Markdown, and a line that says where and how it was measured."""
    ours, theirs = result["minigan"], result["pytorch"]
    head, *rows = TABLES[result["what"]](result)
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    facts = [
        f"{result['cpu']}, threads: {result['threads']}",
        f"minigan {ours['version']}, backend {ours['backend']}" + (f" ({ours['isa']})" if "isa" in ours else ""),
        f"PyTorch {theirs['version']}" if theirs else "PyTorch not installed",
        *(f"{key}={value}" for key, value in result["variables"].items()),
    ]
    if result["what"] == "ops":
        peak = ours["peak_gflop_per_s"]
        facts.append(f"measured peak {peak:.0f} GFLOP/s" if peak else "peak not measured")
    how = f"Medians, quartiles in brackets, {result['rounds']} rounds, {result['date'][:10]}."
    return "\n".join([*lines, "", f"{'; '.join(facts)}. {how}"])


def rewrite(path: Path, table: str) -> None:
    """Puts `table` between the marks. Raises MiniganError when `path` has not exactly one pair of them, in order."""
    before, begin, rest = path.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest:
        raise MiniganError(f"{path}: expected one {BEGIN} and, below it, {END}; the table goes between them")
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """A result file. Raises MiniganError when it is none."""
    try:
        result = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise MiniganError(f"{path}: cannot be read as a result ({e})") from e
    if not isinstance(result, dict) or result.get("what") not in TABLES:
        raise MiniganError(f"{path}: is no result of benchmarks.step or benchmarks.ops")
    return result


def main(result: Annotated[Path, typer.Argument(metavar="RESULT.json")]) -> None:
    """Writes a result's table into the README."""
    found = read(result)
    rewrite(TARGETS[found["what"]], text(found))


if __name__ == "__main__":
    from benchmarks import command  # which imports this module for its text

    command.main(main)
