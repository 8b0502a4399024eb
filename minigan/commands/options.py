"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(metavar="N", help="The same seed draws the same z.", min=0, max=2**64 - 1)]
Best = Annotated[bool, typer.Option("--best", help="The checkpoint that train --keep-best kept.")]
Record = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the record with its whole protocol.")
]


def check(record: Path | None, folder: Path | None) -> None:
    """Raises ConfigError or CheckpointError where --json or a folder of pictures cannot be written, before the work."""
    from minigan.training.export import check_folder
    from minigan.training.plans import check_writable

    if folder:
        check_folder(folder)
    if record:
        check_writable(record, "--json")
