"""The parent's side of benchmarks/worker.py."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import minigan
from minigan.study import workers
from minigan.study.workers import Failed as Failed

ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = str(Path(minigan.__file__).parents[1])  # a worker measures the minigan that was imported here
_THREADS = ("MINIGAN_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Worker(workers.Worker):
    """A process that waits for requests; `settings` holds "threads" and what the side reads."""

    def __init__(self, side: str, settings: dict[str, Any], python: str = sys.executable, **variables: str):
        home = [_PACKAGE] if python == sys.executable else []
        path = os.pathsep.join([*home, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {
            **os.environ,
            **dict.fromkeys(_THREADS, str(settings["threads"])),
            "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no pool of compilers beside what is measured
            "PYTHONPATH": path,
            **variables,
        }
        super().__init__(side, [python, "-P", "-m", "benchmarks.worker", side, json.dumps(settings)], environment)

    def __enter__(self) -> "Worker":
        return self
