"""The picture of a report in README.md and docs/report.md, docs/report.png.   python -m benchmarks.report RUN

Chromium draws the page of a run; what is below the first charts is cut off. Needs chromium on PATH.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from benchmarks import command
from minigan.study import report
from minigan.study.report.document import page
from minigan.study.report.verdicts import verdict

PICTURE = command.RESULTS.parents[1] / "docs" / "report.png"
WINDOW = (1280, 1830)  # of the page
WIDTH, COLOURS = 960, 128  # of the picture, to be at most 300 kB


def main(run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]) -> None:
    """Writes the picture."""
    with tempfile.TemporaryDirectory() as folder:
        html, shot = Path(folder) / "report.html", Path(folder) / "report.png"
        opened = report.open_run(run)
        html.write_text(page(run.resolve().name, report.gather(opened, verdict=verdict(opened))), encoding="utf-8")
        root = ["--no-sandbox"] if os.getuid() == 0 else []
        options = [
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        size = f"--window-size={WINDOW[0]},{WINDOW[1]}"
        words = ["chromium", *root, *options, size, f"--screenshot={shot}", html.as_uri()]
        subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
        with Image.open(shot) as taken:
            small = taken.convert("RGB").resize((WIDTH, WIDTH * taken.height // taken.width), Image.Resampling.LANCZOS)
    small.quantize(COLOURS).save(PICTURE, optimize=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    typer.run(main)
