"""A result of `benchmarks.gpu` as text:   python -m benchmarks.gpu_table RESULT.json"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from minigan.errors import MiniganError

Rows = list[list[str]]


def micro(seconds: float) -> str:
    """Microseconds, three digits."""
    us = seconds * 1e6
    return f"{us:.0f}" if us >= 100 else f"{us:.1f}" if us >= 10 else f"{us:.2f}"


def aligned(rows: Rows) -> list[str]:
    """Columns as wide as their widest cell, words to the left and the rest to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _steps(result: dict[str, Any]) -> Rows:
    out = [["step, us", "side", "device", "host", "q1", "q3", "eager / it", "graph / it"]]
    for row in result["steps"]:
        sides = row["sides"]
        name = f"{row['name']} batch {row['batch']} {row['precision']}"
        bases = [_best(sides, "PyTorch eager"), _best(sides, "PyTorch graph")]
        for side, found in sides.items():
            host = found["host"]
            device = micro(found["device"]["median_s"]) if "device" in found else ""
            ratios = [f"{base / host['median_s']:.2f}" if base else "" for base in bases]
            out.append([name, side, device, *(micro(host[k]) for k in ("median_s", "q1_s", "q3_s")), *ratios])
            name = ""
    return out


def _best(sides: dict[str, Any], prefix: str) -> float | None:
    """The best median among the memory formats of one of PyTorch's variants."""
    return min((f["host"]["median_s"] for side, f in sides.items() if side.startswith(prefix)), default=None)


def _ops(result: dict[str, Any]) -> Rows:
    out = [
        [
            "op, us",
            "pass",
            "precision",
            "by",
            "minigan",
            "PyTorch",
            "times as fast",
            "GFLOP/s",
            "of product",
            "GB/s",
            "of copy",
        ]
    ]
    for row in result["ops"]:
        mine = _median(row["minigan"])
        theirs = min((_median(f) for f in row.get("pytorch", {}).values()), default=None)
        shares = [f"{row[key]:.0%}" if row[key] is not None else "" for key in ("gemm_share", "copy_share")]
        out.append([
            row["name"], row["pass"], row["precision"], row["minigan"]["facts"]["implementation"], micro(mine),
            micro(theirs) if theirs else "", f"{theirs / mine:.2f}" if theirs else "",
            f"{row['gflop_per_s']:.0f}", shares[0], f"{row['gb_per_s']:.0f}", shares[1],
        ])  # fmt: skip
    return out


def _median(found: dict[str, Any]) -> float:
    return float(found.get("device", found["host"])["median_s"])


HOW = """host: the clock from the first of a block's steps to
the end of the last, draws and uploads included; device: between events around them; eager / it, graph / it: PyTorch's
host time over this one's. Ops: device time, as graphs, over sets of arrays larger than the second cache."""
UNITS = {"copy_gb_per_s": "copy {:.0f} GB/s", "float32_gflop_per_s": "float32 product {:.0f} GFLOP/s",
         "tf32_gflop_per_s": "TF32 product {:.0f} GFLOP/s"}  # fmt: skip


def text(result: dict[str, Any]) -> str:
    """Machine, ceilings, steps, ops, and what was left out."""
    theirs = result["pytorch"]
    lines = [*result["minigan"]["device"], f"{result['cpu']}, {result['date']}"]
    lines.append(
        f"minigan {result['minigan']['version']}; " + (f"PyTorch {theirs['version']}" if theirs else "no PyTorch")
    )
    lines += [f"checks: {result['checks']}"] if result["checks"] else []
    lines.append("ceilings: " + ", ".join(UNITS[key].format(value) for key, value in result["ceilings"].items()))
    lines += ["", *aligned(_steps(result))]
    if result["ops"]:
        lines += ["", *aligned(_ops(result))]
    lines += ["", f"Medians of {result['rounds']} blocks, random data. {HOW}"]
    lines += [f"left out: {what}: {why}" for what, why in result["left_out"].items()]
    return "\n".join(lines)


def main(result: Annotated[Path, typer.Argument(metavar="RESULT.json")]) -> None:
    """Prints a result's table."""
    try:
        found = json.loads(result.read_text("utf-8"))
    except (OSError, ValueError) as e:
        raise MiniganError(f"{result}: cannot be read as a result ({e})") from e
    if not isinstance(found, dict) or found.get("what") != "gpu":
        raise MiniganError(f"{result}: is no result of benchmarks.gpu")
    print(text(found))


if __name__ == "__main__":
    from benchmarks import command

    command.main(main)
