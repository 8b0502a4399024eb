"""Draws the figures of this folder:   python docs/fast/figures.py [FOLDER]

Diagrams show an algorithm; those named ...-measured show the newest result of `python -m benchmarks.fast`. The same
result gives the same bytes.
"""

import sys
from pathlib import Path

from charts import MEASURED, newest
from diagrams import DIAGRAMS

HERE = Path(__file__).resolve().parent


def main(folder: Path) -> None:
    """Writes every figure."""
    result = newest()
    pictures = {name: str(draw()) for name, draw in DIAGRAMS.items()}
    pictures |= {name: str(draw(result)) for name, draw in MEASURED.items()}
    for name, svg in pictures.items():
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
