"""A warm training step finds all its memory: none is asked of the system, and the process does not grow."""

import resource
import sys

import numpy as np
import pytest
from cpp_isas import BACKENDS, ISAS, _cpp

from minigan import config
from minigan.tasks.gan import GAN

WARM = 5  # steps; the pool's threads share the parts out anew in each, so every thread's scratch settles with time
PRESETS = [("digits", 8, 64), ("mlp-mnist", 28, 128), ("dcgan-mnist", 28, 16)]


def _gan(preset: str, side: int, isa: str) -> GAN:
    return GAN(config.load(preset), BACKENDS[isa], (side, side, 1))


def _images(n: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, side, side, 1)).astype(np.float32)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("preset", "side", "n"), PRESETS)
def test_a_warm_step_asks_for_no_memory(preset: str, side: int, n: int, isa: str) -> None:
    gan, images = _gan(preset, side, isa), _images(n, side)
    made = []
    for step in range(WARM + 10):
        before = _cpp.blocks_made()
        gan.step([images], step)
        made.append(_cpp.blocks_made() - before)
    assert _cpp.blocks_made() > 0, "nothing is counted"
    assert made[WARM:] == [0] * 10, made


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("preset", "side", "n"), [("mlp-mnist", 28, 128), ("dcgan-mnist", 28, 2)])
def test_the_process_does_not_grow_over_two_hundred_steps(preset: str, side: int, n: int) -> None:
    """Were one KiB left behind by each step, it would be 200 KiB."""

    def resident() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    gan, images = _gan(preset, side, ISAS[0]), _images(n, side)
    for step in range(20):
        gan.step([images], step)
    before = resident()
    for step in range(20, 220):
        gan.step([images], step)
    assert resident() - before < 128 << 10, f"grew by {resident() - before} bytes"
