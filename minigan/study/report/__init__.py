"""`minigan report RUN`: one self-contained page about a run. Python gathers what it says, page/report.js shows it.

Every section of the page is a function here that gives its content as JSON values, or None where a run has nothing to
say: then the page has no such section.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigan.config import Config
from minigan.errors import CheckpointError
from minigan.study.recording import prepared
from minigan.study.report import curves, images, networks, opened, speed
from minigan.study.report.opened import Opened
from minigan.training import checkpoint
from minigan.training.run import load

# The page's sections, in the order in which they are worked out; nothing of the run's folder changes.
SECTIONS: dict[str, Callable[[Opened], Any]] = {
    "facts": opened.facts,
    "config": opened.configuration,
    "reproduce": opened.reproduce,
    "log": curves.log,
    "evaluation": curves.evaluation,
    "history": curves.history,
    "samples": images.samples,
    "interpolation": images.interpolation,
    "nearest": images.nearest,
    "network": networks.network,
    "speed": speed.speed,
}
PROFILED = {"speed"}


def open_run(path: Path, complete: Callable[[Config], Config] | None = None) -> Opened:
    """A run folder, ready to be told of. `complete` fills in what a configuration leaves to be found (recording.py).

    Raises CheckpointError, ConfigError, DataError.
    """
    if path.is_file():
        raise CheckpointError(f"{path} is a file, and a report is of a whole run; give its run folder")
    file = checkpoint.resolve(path)
    return Opened(path, file, checkpoint.read_header(file)[0], load(path), prepared(str(path), [], complete))


def gather(
    run: Opened, profile: bool = True, advance: Callable[[], object] = lambda: None, verdict: str | None = None
) -> dict[str, Any]:
    """All that a report says, by section; `advance` is called after each. Without `profile` no step is timed.

    `verdict` is what verdicts.py says, which may take long: a classifier may have to be trained for it.
    """
    found: dict[str, Any] = {"verdict": verdict}
    for name, section in SECTIONS.items():
        if profile or name not in PROFILED:
            found[name] = section(run)
        advance()
    return {name: content for name, content in found.items() if content}
