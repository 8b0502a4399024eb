"""The picture of docs/watch.md: the board of `minigan train --watch`, as it is left at the end of a run of STEPS steps.

python -m benchmarks.watch     trains, and writes docs/watch.svg; a quarter of a minute on one core.
"""

import os
import re
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import modes
from minigan import config as configs
from minigan.study.watch import Watch
from minigan.training.trainer import train

STEPS = 6_000
SIZE = 112, 22  # of the terminal, in columns and lines
OUT = modes.PICTURES / "watch.svg"


def main() -> None:
    """Trains, draws, writes."""
    size = dict(zip(("width", "height"), SIZE, strict=True))
    with open(os.devnull, "w") as nowhere, tempfile.TemporaryDirectory() as folder:
        console = Console(file=nowhere, force_terminal=True, color_system="truecolor", record=True, **size)
        watch = Watch(console)
        train(configs.load("digits", [f"train.steps={STEPS}"]), Path(folder) / "run", reporter=watch)
        console.export_text()  # forgets what was drawn on the way
        console.print(watch.board)
    svg = console.export_svg(title="minigan train --watch")
    OUT.write_text(re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL), "utf-8")  # fonts of the reader's own


if __name__ == "__main__":
    main()
