"""What the host draws: initial values, z, permutations. (What kernels draw is `philox` in the backends.)

Every draw is a pure function of (seed, stream name, step): there is no generator whose hidden state a checkpoint would
have to carry. Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; numpy.random.Philox.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from minigan.errors import ConfigError


def host(seed: int, stream: str, step: int = 0) -> np.random.Generator:
    """A generator for one draw: key = (seed, hash of the stream's name), counter = (0, 0, step, 0).

    Steps are 2**128 numbers apart, so no draw runs into the next.
    """
    key = int.from_bytes(hashlib.blake2b(stream.encode(), digest_size=8).digest(), "little")
    return np.random.Generator(
        np.random.Philox(key=np.array([seed, key], np.uint64), counter=np.array([0, 0, step, 0], np.uint64))
    )


def _normal(g: np.random.Generator, n: int, size: int) -> NDArray[np.float64]:
    return g.standard_normal((n, size))


def _uniform(g: np.random.Generator, n: int, size: int) -> NDArray[np.float64]:
    return g.uniform(-1.0, 1.0, (n, size))


def _truncated(g: np.random.Generator, n: int, size: int) -> NDArray[np.float64]:
    """Normal values redrawn until |z| <= 2, value by value, so that row i does not depend on n."""
    z = np.empty(n * size)
    filled = 0
    while filled < z.size:
        draw = g.standard_normal(z.size)
        kept = draw[np.abs(draw) <= 2.0][: z.size - filled]
        z[filled : filled + kept.size] = kept
        filled += kept.size
    return z.reshape(n, size)


NOISE = {"normal": _normal, "uniform": _uniform, "truncated": _truncated}


def draw_z(seed: int, stream: str, step: int, n: int, size: int, kind: str) -> NDArray[np.float64]:
    """z (n, size) float64. Row i is the same whatever n is. Raises ConfigError on an unknown `kind`."""
    if kind not in NOISE:
        raise ConfigError(f"noise {kind!r} is unknown; known: {', '.join(NOISE)}")
    return NOISE[kind](host(seed, stream, step), n, size)
