"""How many kernels a training step launches:   NUMBA_ENABLE_CUDASIM=1 python -m benchmarks.fast_launches PRESET ...

Launches are counted instead of run, so that a step of real size takes no time; nothing of a step depends on numbers.
Prints one JSON object: preset -> [kernels of a step, how many different ones].
"""

import json
import sys
from collections import Counter

import numpy as np

from benchmarks import works
from minigan import backends, config
from minigan.tasks.gan import GAN

SHAPES = {"digits": (8, 8, 1)}  # of items; MNIST's else


def launches(preset: str) -> list[int]:
    """One step of the preset."""
    ops = backends.load("cuda")
    from minigan.backends.cuda import launch

    counts: Counter[str] = Counter()
    run, launch.Kernel.__call__ = launch.Kernel.__call__, lambda self, *_: counts.update([self.name])
    try:
        given, shape = config.load(preset), SHAPES.get(preset, works.SHAPE)
        task = GAN(given, ops, shape)
        counts.clear()  # initial values are no part of a step
        batch = np.zeros((given.train.batch_size, *shape), np.float32)
        task.step([batch] * task.batches_per_step, 0)
    finally:
        launch.Kernel.__call__ = run
    return [sum(counts.values()), len(counts)]


if __name__ == "__main__":
    print(json.dumps({preset: launches(preset) for preset in sys.argv[1:]}))
