"""`minigan inspect`: a network layer by layer, a checkpoint's numbers, two checkpoints beside each other."""

import json
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

_UNITS = ("", "k", "M", "G", "T")


def inspect(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(metavar="PRESET|RUN|CHECKPOINT", help="Of a run, its newest checkpoint.")],
    other: Annotated[str, typer.Argument(metavar="[B]", help="Tell two runs or checkpoints apart.")] = "",
    stats: Annotated[bool, typer.Option("--stats", help="Read the numbers: range, NaN, dead units.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, every number whole.")] = False,
) -> None:
    """Show what a network is made of: shapes, parameters, FLOPs, memory and receptive field of every layer."""
    from minigan.errors import ConfigError

    if other and stats:
        raise ConfigError("--stats is of one checkpoint, and two were given; leave one of them out")
    console = ctx.obj
    said = _apart(console, what, other) if other else _one(console, what, stats)
    if json_:
        print(json.dumps(said, allow_nan=False))
        return
    _SHOW["apart" if other else "one"](console, said)


def _one(console: Any, what: str, stats: bool) -> dict[str, Any]:
    from minigan.study import checkpoints
    from minigan.study import inspect as study

    with console.status("running a batch through"):
        subject = study.open_subject(what)
        saved = checkpoints.loaded(subject) if stats else None
        said: dict[str, Any] = {"title": subject.title, "layers": [row._asdict() for row in study.rows(subject.task)]}
        if saved is not None:
            units, left = checkpoints.units(subject.task)
            said["tensors"] = [_finite(row._asdict()) for row in checkpoints.tensors(saved)]
            said["units"] = [row._asdict() for row in units]
            said["not_watched"] = left
    return said


def _apart(console: Any, a: str, b: str) -> dict[str, Any]:
    from minigan.study import checkpoints

    with console.status("comparing"):
        words, rows = checkpoints.apart(Path(a), Path(b))
    return {"words": words, "tensors": [_finite(row._asdict()) for row in rows]}


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: they are given as texts."""
    return {k: str(v) if isinstance(v, float) and (v != v or abs(v) == float("inf")) else v for k, v in row.items()}


def _show_one(console: Any, said: dict[str, Any]) -> None:
    _say(console, said["title"])
    for _, found in groupby(said["layers"], lambda row: row["net"]):
        console.print(_layers(list(found)))
    _say(
        console, "forward, dX, dW: FLOP of a batch by minigan/backends/costs.py, a norm's dgamma and dbeta among its dX"
    )
    _say(console, "saved: bytes that are kept for backward, each array where it is first; field: of the net's input")
    if "tensors" not in said:
        return
    table = Table("tensor", "shape", *(_right(word) for word in ("min", "mean", "max", "NaN", "infinite")))
    for row in said["tensors"]:
        numbers = (f"{float(row[key]):.4g}" for key in ("min", "mean", "max"))
        table.add_row(row["name"], _shape(row["shape"]), *numbers, str(row["nan"]), str(row["infinite"]))
    console.print(table)
    table = Table("layer", _right("units"), _right("dead"))
    for row in said["units"]:
        table.add_row(row["layer"], str(row["units"]), str(row["dead"]))
    console.print(table)
    _say(console, "dead: units that give one and the same number for all pixels of 64 drawn samples")
    if said["not_watched"]:
        _say(console, f"not watched, for nothing that is drawn fits: {', '.join(said['not_watched'])}")


def _layers(rows: list[dict[str, Any]]) -> Table:
    numbers = ("parameters", "%", "MAC", "forward", "dX", "dW", "output", "saved", "field")
    words = (Column(word, overflow="fold") for word in ("layer", "kind", "shape"))
    table = Table(*words, *(_right(word) for word in numbers), show_footer=True)
    keys = ("macs", "flops_forward", "flops_dx", "flops_dw", "activation_bytes", "saved_bytes")
    for row in rows:
        field = "x".join(map(str, row["field"])) if row["field"] else "-"
        size, share = row["parameters"], 100 * row["share"]
        learned = (f"{size:,}", f"{share:.1f}") if size else ("", "")
        table.add_row(row["layer"], row["kind"], _shape(row["shape"]), *learned, *(_short(row[k]) for k in keys), field)
    totals = [f"{sum(row['parameters'] for row in rows):,}", "", *(_short(sum(row[k] for row in rows)) for k in keys)]
    for column, total in zip(table.columns, ["total", "", rows[0]["dtype"], *totals, ""], strict=True):
        column.footer = total
    return table


def _show_apart(console: Any, said: dict[str, Any]) -> None:
    for line in said["words"]:
        _say(console, line)
    for only, missing in (("A", "shape_b"), ("B", "shape_a")):
        alone = [row["name"] for row in said["tensors"] if row[missing] is None]
        if alone:
            _say(console, f"only in {only}: {', '.join(alone)}")
    both = [row for row in said["tensors"] if row["shape_a"] is not None and row["shape_b"] is not None]
    differing = [row for row in both if row["largest"] != 0]
    table = Table("tensor", "A", "B", _right("max |A - B|"), _right("||A - B|| / ||A||"))
    for row in differing:
        shapes = (_shape(row[key]) for key in ("shape_a", "shape_b"))
        numbers = ("-" if row[key] is None else f"{float(row[key]):.3g}" for key in ("largest", "relative"))
        table.add_row(row["name"], *shapes, *numbers)
    if differing:
        console.print(table)
    _say(console, f"{len(both) - len(differing)} of the {len(both)} tensors that both have are equal")


_SHOW = {"one": _show_one, "apart": _show_apart}


def _say(console: Any, text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _right(word: str) -> Column:
    return Column(word, justify="right", no_wrap=True)


def _shape(shape: Any) -> str:
    return f"({', '.join(map(str, shape))})"


def _short(n: float) -> str:
    """1284505600 -> 1.28G"""
    for unit in _UNITS:
        if abs(n) < 1000 or unit == _UNITS[-1]:
            break
        n /= 1000
    return f"{n:.3g}{unit}" if n else "-"
