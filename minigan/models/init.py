"""Initial values of weights. Each takes a host generator and a shape (..., I, O), and returns float64.

fan_in = KH KW I and fan_out = KH KW O of the forward pass; a transposed convolution hands in its I and O turned.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from minigan.errors import ConfigError, nearest

Values = NDArray[np.float64]
Init = Callable[[np.random.Generator, tuple[int, ...], int, int], Values]  # (generator, shape, fan_in, fan_out)


def normal(std: float) -> Init:
    """N(0, std^2), as DCGAN (arXiv:1511.06434) with std = 0.02."""
    return lambda g, shape, fan_in, fan_out: g.normal(0.0, std, shape)


def glorot_uniform(g: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
    """U(-a, a), a = sqrt(6 / (fan_in + fan_out)). Source: Glorot & Bengio 2010."""
    a = np.sqrt(6.0 / (fan_in + fan_out))
    return g.uniform(-a, a, shape)


def he(g: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
    """N(0, 2 / fan_in). Source: He et al. 2015, arXiv:1502.01852."""
    return g.normal(0.0, np.sqrt(2.0 / fan_in), shape)


def orthogonal(g: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> Values:
    """Rows or columns of the (KH KW I, O) matrix orthonormal, signs made unique.

    Source: Saxe et al. 2014, arXiv:1312.6120.
    """
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    q, r = np.linalg.qr(g.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape)


def constant(value: float) -> Init:
    """Every element `value`: biases 0, gains 1."""
    return lambda g, shape, fan_in, fan_out: np.full(shape, value)


INITS: dict[str, Callable[[float], Init]] = {
    "normal": normal,
    "glorot_uniform": lambda std: glorot_uniform,
    "he": lambda std: he,
    "orthogonal": lambda std: orthogonal,
}


def make_init(name: str, std: float) -> Init:
    """An initialiser by name; `std` counts for "normal" alone. Raises ConfigError on an unknown name."""
    if name not in INITS:
        raise ConfigError(f"initialiser {name!r} is unknown; {nearest(name, INITS)}")
    return INITS[name](std)
