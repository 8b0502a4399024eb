"""All that a number depends on, to be written beside it: two numbers may be compared when their protocols agree."""

import datetime
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from minigan import __version__
from minigan.evaluate.judge import MOST_TRAINING, Judge
from minigan.training import checkpoint, environment
from minigan.training.run import Run
from minigan.training.trainer import CONFIG

FORMAT = "minigan-evaluation-2"
RESIZE = "shorter side to the size, centre-cropped, Lanczos, antialiased (Pillow)"


def protocol(run: Run, judge: Judge, file: Path, seed: int) -> dict[str, Any]:
    """What decides the numbers: checkpoint, samples, real rows, features, versions. JSON values."""
    real, config = judge.real, run.config
    told = run.task.labelled and run.classes == real.dataset.classes
    classifier = judge.classifier
    return {
        "format": FORMAT,
        "checkpoint": {"step": run.step, "blake2b": checkpoint.digest(file)},
        "samples": {
            "n": real.n,
            "seed": seed,
            "weights": run.weights,
            "batchnorm": "running statistics",
            "labels": "of the run" if told else "by the classifier" if classifier else "none",
        },
        "real": {
            "data": real.dataset.name,
            "shape": list(real.dataset.shape),
            "resize": RESIZE if config.data.size else "none",
            "values": "uint8, as a picture file holds them" if real.train.ndim == 4 else "float32",
            "train": {"rows": real.n, "of": len(real.dataset), "fingerprint": real.fingerprints[0]},
            "held": {"rows": real.n, "from": real.split, "fingerprint": real.fingerprints[1]},
            "nearest_rows": min(MOST_TRAINING, len(real.training)),
        },
        "features": judge.eyes.about | {"digest": judge.eyes.digest},
        "classifier": classifier.about if classifier and classifier is not judge.eyes else None,
        "versions": {
            "minigan": __version__,
            "numpy": np.__version__,
            **{name: version(name) for name in ("scipy", "scikit-learn", "pillow")},
        },
    }


def circumstances(run: Run) -> dict[str, Any]:
    """What decides how long it takes, and when it was."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "preset": run.config.preset,
        "backend": run.task.ops.NAME,
        "threads": environment.threads(),
        "cpu": environment.cpu(),
        "python": platform.python_version(),
    }


def run_folder(file: Path) -> Path | None:
    """The run that a checkpoint lies in; None for a file that lies elsewhere."""
    folder = file.absolute().parent.parent
    return folder if (folder / CONFIG).is_file() else None
