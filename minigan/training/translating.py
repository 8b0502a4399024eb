"""Pictures of one domain into the other's, by a run of task cyclegan: into a picture, an array, a folder."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan.config import RANGES
from minigan.data import load
from minigan.data.domains import Domains
from minigan.errors import ConfigError
from minigan.training import export, pictures
from minigan.training.parts import open_data
from minigan.training.run import Run

COLUMNS = 12  # four pictures a row, each with its translation and its way back
SUFFIXES = (".png", ".npy", "")


def translations(run: Run, direction: str, data: str, n: int, out: Path) -> int:
    """The first n pictures of `data`, or of the run's own domain, translated into `out`; returns how many there were.

    .png: a grid, every picture with its translation and its way back beside it; .npy: the translations (N,H,W,C) uint8;
    no suffix: a folder with a PNG each. Raises ConfigError on another suffix or direction, or a run that translates
    nothing, DataError on bad data, CheckpointError when the disk refuses.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--out {str(out)!r}: give a .png (grid), a .npy (array) or a folder without a suffix")
    x = _pictures(run, direction, data, n)
    made = run.translate(x, direction)
    if out.suffix.lower() == ".png":
        rows = np.stack([x, made, run.translate(made, direction[::-1])], axis=1).reshape(-1, *x.shape[1:])
        pictures.save(pictures.grid(pictures.to_uint8(rows, run.picture_range), columns=min(COLUMNS, 3 * len(x))), out)
        return len(x)
    as_bytes = pictures.to_uint8(made, run.picture_range)
    if out.suffix:
        export.array(as_bytes, out)
    else:
        export.check_folder(out)
        export.folder(as_bytes, out)
    return len(x)


def _pictures(run: Run, direction: str, data: str, n: int) -> NDArray[Any]:
    """The first n of `data` as the domain that `direction` starts from has them; of that domain itself without."""
    run.task.translator(direction)  # refuses before data is read
    c = run.config.data
    if data:
        height, _, channels = run.shape
        source = load(data, value_range=RANGES[c.range], size=height, channels=channels // 2)
    else:
        both = open_data(run.config)
        assert isinstance(both, Domains)  # as every cyclegan's are
        source = both.a if direction == "a-b" else both.b
    return source.read(np.arange(min(n, len(source))))
