"""Two builds of minigan measured in one run: their steps take turns, so that neither has the quieter machine."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minigan
from minigan.errors import ConfigError
from minigan.study import measure
from minigan.study.recording import ABOUT_S, FEWEST, MOST
from minigan.study.workers import Failed, Worker

HERE = Path(minigan.__file__).parents[1]


def worker(home: Path, **variables: str) -> Worker:
    """A process on the minigan that lies in folder `home`. Raises ConfigError where that has no worker."""
    if not (home / "minigan" / "study" / "worker.py").is_file():
        raise ConfigError(
            f"{home} holds no minigan that can be profiled; give the folder of a checkout that has minigan profile, "
            "with its extension built in place"
        )
    path = os.pathsep.join([str(home.resolve()), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-P", "-m", "minigan.study.worker"]
    return Worker(str(home), command, {**os.environ, "PYTHONPATH": path, **variables})


def measured(
    checkout: Path, name: str, overrides: list[Any], steps: int, cold: bool, tick: Callable[[float], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The profiles of `checkout` and of this build, as JSON. `steps` 0: as many as fit into some seconds."""
    with worker(checkout) as theirs, worker(HERE) as ours:
        sides = [("the other build", theirs), ("this build", ours)]
        seconds = [_ask(words, side, "open", name, overrides, cold) for words, side in sides]
        steps = steps or min(MOST, max(FEWEST, round(ABOUT_S / max(seconds))))
        block = min(measure.calls_per_block(max(seconds)), -(-steps // 5))
        done, backwards = 0, False
        while done < steps:
            n = min(block, steps - done)
            for words, side in sides[:: -1 if backwards else 1]:
                for what in ("whole", "apart"):
                    _ask(words, side, what, n)
            done, backwards = done + n, not backwards
            tick(done / steps)
        found = [_ask(words, side, "profile") for words, side in sides]
        return found[0], found[1]


def _ask(words: str, side: Worker, *request: Any) -> Any:
    try:
        return side.ask(*request)
    except Failed as e:
        raise Failed(f"{words}: {e}") from e
