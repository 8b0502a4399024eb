"""The run log: one JSON object a line, so that it can be followed while the run goes on and read by anything."""

import json
from pathlib import Path
from typing import Any

from minigan.training.atomic import atomic_text, reported

NAME = "log.jsonl"
TIMES = ("images_per_s", "elapsed_s")  # all else is a function of configuration and data


class RunLog:
    """log.jsonl of a run folder. Opening it at `step` cuts later lines, and one torn by a killed process."""

    def __init__(self, folder: Path, step: int):
        self.path = folder / NAME
        self.lines = [line for line in read(folder) if line["step"] <= step]
        atomic_text(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))

    def append(self, line: dict[str, Any]) -> None:
        """Raises CheckpointError when the disk refuses."""
        self.lines.append(line)
        with reported("written", self.path), self.path.open("a", encoding="utf-8") as f:
            f.write(json.dumps(line) + "\n")


def read(folder: Path) -> list[dict[str, Any]]:
    """The complete lines of a run's log, oldest first; none when there is no log yet."""
    path = folder / NAME
    with reported("read", path):
        text = path.read_text("utf-8") if path.exists() else ""
    lines = []
    for row in text.splitlines():
        try:
            lines.append(json.loads(row))
        except json.JSONDecodeError:  # a killed process tore the last line
            break
    return lines
