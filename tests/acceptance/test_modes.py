"""The presets on the ring and the grid, trained in full by the command line, must find the modes of docs/modes.md.

Protocol: 2,500 samples of seed 0, counted as in metrics/modes.py; KL is the reverse KL over modes, in nats, which is
log(8 / 7) = 0.13 when one mode of eight is missing, and about 0.9 where the plain GAN loses most of the grid.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minigan.data import toys
from minigan.metrics.modes import modes

SAMPLES = 2_500
# preset: its data, the fewest modes, the smallest share of high quality, the largest reverse KL
PRESETS = {
    "pac2-ring8": ("ring8", 8, 0.7, 0.1),
    "wgan-gp-ring8": ("ring8", 8, 0.5, 0.1),
    "r1-grid25": ("grid25", 23, 0.1, 0.2),
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_finds_the_modes(preset: str, tmp_path: Path, minigan: Callable[..., None]) -> None:
    data, fewest, quality, kl = PRESETS[preset]
    run, file = tmp_path / "run", tmp_path / "samples.npy"
    minigan("train", preset, "--out", run)
    minigan("sample", run, "-n", SAMPLES, "--out", file)
    found = modes(np.load(file), toys.centres(data), toys.STD[data])
    print(f"{preset}: {found}")
    assert found.found >= fewest and found.high_quality >= quality and found.reverse_kl <= kl, found
