"""`minigan diagnose RUN`: a verdict on a GAN, the figures that say so, and what to try."""

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table


def diagnose(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a checkpoint file.")],
    n: Annotated[int, typer.Option("-n", "--n", metavar="N", help="Samples that are looked at.")] = 1000,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether a GAN is healthy, collapsed, oscillating ..., by its log and samples, and what to try."""
    from minigan.evaluate.asked import extra

    with extra():
        from minigan.evaluate import diagnose as diagnosis
    from minigan.progress import counting, reporter

    console = ctx.obj
    said = diagnosis.diagnose(run, n, None if json_ else reporter(console), partial(counting, console))
    if json_:
        print(json.dumps(said, allow_nan=False))
        return
    _show(console, said)


def _show(console: Any, said: dict[str, Any]) -> None:
    from minigan.training.verdicts import ROWS, WORDS

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    protocol = said["protocol"]
    say(f"{said['run']}, step {protocol['step']}: {said['verdict']}")
    for found in said["findings"]:
        say(f"- {found['verdict']}: {found['says']}")
        for remedy in found["try"]:
            say(f"    try {remedy}")
    table = Table("figure", Column("here", justify="right"), Column("speaks", no_wrap=True), "for")
    for row in ROWS:
        value = said["signs"].get(row.sign)
        side = f"{'above' if row.above else 'below'} {row.threshold:g}"
        table.add_row(WORDS[row.sign], "-" if value is None else f"{value:.3g}", side, row.verdict)
    console.print(table)
    for sign, why in said["not_looked_at"].items():
        say(f"not looked at: {WORDS[sign]}: {why}")
    say(
        f"{protocol['log_lines']} log lines; {protocol['n']} samples (seed {protocol['seed']}, {protocol['weights']}), "
        f"sorted by {protocol['sorted_by']}; {protocol['rows']} rows of {protocol['data']}"
    )
