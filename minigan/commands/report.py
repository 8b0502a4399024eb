"""`minigan report RUN`: all that a run has to say, on one page."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def report(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The page to write.")] = Path("report.html"),
    no_profile: Annotated[
        bool, typer.Option("--no-profile", help="Time no steps: no roofline, no timeline, some seconds less.")
    ] = False,
) -> None:
    """Write one self-contained page about a run: samples, curves, layers, gradients, where the time goes."""
    from minigan.evaluate.upscale import with_features
    from minigan.progress import counting, reporter
    from minigan.study import report as reports
    from minigan.study.report.document import page
    from minigan.study.report.verdicts import verdict
    from minigan.training.atomic import atomic_text
    from minigan.training.plans import check_writable

    console = ctx.obj
    check_writable(out)
    opened = reports.open_run(run, partial(with_features, reporter=reporter(console)))
    health = verdict(opened, reporter(console), partial(counting, console))
    with counting(console, "sections of the report", len(reports.SECTIONS)) as advance:
        found = reports.gather(opened, not no_profile, advance, health)
    text = page(run.resolve().name, found)
    atomic_text(out, text)
    said = f"{out}: {len(text.encode()) / 1e6:.1f} MB, to be opened in a browser; {', '.join(found)}"
    console.print(said, markup=False, highlight=False)
