"""`minigan evaluate RUN`."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from minigan.commands.options import Best, Record, Seed, check

DRAWN = "samples by class, real beside generated, nearest training rows, features, curves"


def evaluate(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a checkpoint file.")],
    metrics: Annotated[str, typer.Option(metavar="NAME,NAME", help="These alone, as fid,kid; all by default.")] = "",
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help="What to hold samples against; the run's own.")] = "",
    n: Annotated[int, typer.Option("-n", "--n", metavar="N", help="Samples, and real rows; 0: 10,000 or all.")] = 0,
    seed: Seed = 0,
    features: Annotated[
        str, typer.Option(metavar="NAME", help="classifier, random, pixels, or FILE.onnx,RANGE as x.onnx,-1..1.")
    ] = "auto",
    best: Best = False,
    json_: Record = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help=f"Write pictures: {DRAWN}.")] = None,
) -> None:
    """Judge a run's samples: how near the data, how varied, copied or not; beside what real data itself gets."""
    from minigan.evaluate.asked import extra

    with extra():
        from minigan.evaluate import evaluate as evaluation
        from minigan.evaluate import figures, report
    from minigan.progress import counting, reporter
    from minigan.training.atomic import atomic_text

    console = ctx.obj
    check(json_, out)
    names = [name.strip() for name in metrics.split(",") if name.strip()]
    counted = partial(counting, console)
    made = evaluation.evaluate(run, names, data, n, seed, features, best, reporter(console), counted)
    table = Table(*report.COLUMNS)
    for row in report.rows(made.record, made.judge.metrics):
        table.add_row(*row)
    console.print(table)
    for line in report.lines(made.record, made.cached):
        console.print(line, markup=False, highlight=False)
    if json_:
        atomic_text(json_, json.dumps(made.record, indent=1) + "\n")
        console.print(f"{json_}: the record", markup=False, highlight=False)
    if out:
        written = figures.write(made, out, counted)
        console.print(f"{out}: {', '.join(written)}", markup=False, highlight=False)
