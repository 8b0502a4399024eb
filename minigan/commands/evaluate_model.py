"""`minigan evaluate-model MODEL... --run RUN`."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from minigan.commands.options import Best, Record, Seed, check


def evaluate_model(
    ctx: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="FILE.onnx or module:function, each with ,RANGE if not 0..1."),
    ],
    run: Annotated[Path, typer.Option(metavar="RUN", help="A conditional run: its folder or a checkpoint file.")],
    n: Annotated[int, typer.Option("-n", "--n", metavar="N", help="Samples of each level.")] = 1000,
    seed: Seed = 0,
    best: Best = False,
    json_: Record = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write pictures: levels, calibration, each model's failures.")
    ] = None,
) -> None:
    """Judge classifiers by labelled samples of a run, harder from level to level, beside real held-out rows."""
    from minigan.evaluate.asked import extra

    with extra():
        from minigan.evaluate import evaluate_model as examining
        from minigan.evaluate import model_figures, model_report
    from minigan.progress import counting, reporter
    from minigan.training.atomic import atomic_text

    console = ctx.obj
    check(json_, out)
    sys.path.insert(0, "")  # a user's own module:function lies where the user is
    made = examining.evaluate_models(models, run, n, seed, best, reporter(console), partial(counting, console))
    for of in (model_report.accuracies, model_report.calibrations):
        columns, rows = of(made.record, made.names)
        table = Table(Column(columns[0], no_wrap=True), *columns[1:])
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for line in model_report.lines(made.record):
        console.print(line, markup=False, highlight=False)
    if json_:
        atomic_text(json_, json.dumps(made.record, indent=1) + "\n")
        console.print(f"{json_}: the record", markup=False, highlight=False)
    if out:
        console.print(f"{out}: {', '.join(model_figures.write(made, out))}", markup=False, highlight=False)
