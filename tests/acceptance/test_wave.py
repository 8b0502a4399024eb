"""The preset `wave`, trained in full by the command line: its spectra must be far nearer to real ones than noise's.

Protocol: 2,000 samples of seed 0 against 2,000 tones that nothing was trained on, by metrics/spectrum.py; beside them
white noise of the tones' mean and deviation, clipped to -1..1 as samples are, and 2,000 other tones, the floor: what
two draws of the same differ by.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minigan import rng
from minigan.data.waves import tones
from minigan.metrics.spectrum import spectrum_distance

SAMPLES = 2_000


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_spectra_are_three_times_as_near_as_noise_s(tmp_path: Path, minigan: Callable[..., None]) -> None:
    run, file = tmp_path / "run", tmp_path / "samples.npy"
    minigan("train", "wave", "--out", run)
    minigan("sample", run, "-n", SAMPLES, "--out", file)
    held, others = (tones(SAMPLES, seed)[0] for seed in (1, 2))
    noise = np.clip(held.mean() + held.std() * rng.host(0, "test/noise").standard_normal(held.shape), -1, 1)
    made = np.load(file)[..., 0]
    distance, of_noise, floor = (spectrum_distance(held, x) for x in (made, noise, others))
    print(f"wave: {distance:.2f} dB, noise {of_noise:.2f} dB, other tones {floor:.2f} dB")
    assert floor < distance <= of_noise / 3
