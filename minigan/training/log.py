"""The run log: one JSON object a line, so that it can be followed while the run goes on and read by anything."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigan.errors import CheckpointError
from minigan.training.atomic import atomic_text, reported

NAME = "log.jsonl"
TIMES = ("images_per_s", "elapsed_s")  # all else is a function of configuration and data


class RunLog:
    """`name` of a run folder. Opening it at `step` cuts later lines, and one torn by a killed process.

    Every line has numbers by the keys `needed`: what the plot and train.patience read.
    """

    def __init__(self, folder: Path, step: int, needed: Sequence[str] = (), name: str = NAME):
        self.path = folder / name
        self.lines = [line for line in read(folder, needed, name) if line["step"] <= step]
        atomic_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))

    def append(self, line: dict[str, Any]) -> None:
        """Raises CheckpointError when the disk refuses."""
        self.lines.append(line)
        with reported("written", self.path), self.path.open("a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")


def read(folder: Path, needed: Sequence[str] = (), name: str = NAME) -> list[dict[str, Any]]:
    """The lines of a run's log `name`, oldest first; none when there is no log yet. A torn last line is left out.

    Raises CheckpointError naming the line when another one is damaged.
    """
    path = folder / name
    with reported("read", path):
        rows = path.read_bytes().splitlines() if path.exists() else []
    lines = []
    for number, row in enumerate(rows, 1):
        try:
            line = json.loads(row)
        except ValueError:
            line = None
        if isinstance(line, dict) and all(isinstance(line.get(k), int | float) for k in ("step", *needed)):
            lines.append(line)
        elif number < len(rows):
            raise CheckpointError(f"{path}: line {number} is no log line; remove it, or restore the file")
    return lines
