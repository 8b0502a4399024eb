"""Random arguments of ops: ragged sizes with SIMD tails, small integers or real values, extremes where asked."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan.backends.clock import BAD, CLIP, HOST_WORDS, SLOTS, WORDS, host_words
from minigan.models.shapes import Act, Array, Pads, Pair, Shape, conv_out

_CHANNELS = (1, 2, 3, 4, 5, 7, 8, 15, 17, 31, 33, 64)
_MOST_PRODUCTS = 40_000  # of one case, so that plain loops stay quick
_FACTORS = (-2.0, -1.0, -0.5, 0.25, 0.5, 1.0, 3.0)  # exact in any float


class Convolution(NamedTuple):
    """Shapes that fit together: x (N,H,W,I), w (KH,KW,I,O), y (N,P,Q,O)."""

    x: Shape
    w: Shape
    y: Shape
    stride: Pair
    padding: Pads


class Draw:
    """One case's source: every value is a function of (key, seed, dtype, integer)."""

    def __init__(self, key: int, seed: int, dtype: Any, integer: bool):
        self.rng, self.dtype, self.integer = np.random.default_rng([key, seed]), np.dtype(dtype).type, integer

    def size(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def maybe(self, value: Any) -> Any:
        return value if self.rng.random() < 0.75 else None

    def batch(self) -> int:
        return self.pick((1, 1, 2, 3, 5, 9))

    def channels(self) -> int:
        return self.pick(_CHANNELS)

    def shape(self) -> Shape:
        """1 to 4 axes, at most some 300 elements; powers of two for integers, so that their means are exact."""
        sizes = (1, 2, 4, 8) if self.integer else (1, 2, 3, 5, 9)
        lead = [self.pick(sizes[:3]) for _ in range(self.size(0, 3))]
        return (*lead, self.pick((1, 2, 4, 8, 16)) if self.integer else self.size(1, 37))

    def array(self, *shape: int) -> Array:
        """Integers in [-4, 4], or standard normal values."""
        if self.integer:
            return self.rng.integers(-4, 5, shape).astype(self.dtype)
        return self.rng.standard_normal(shape).astype(self.dtype)

    def special(self, *shape: int, infinite: bool = True, nan: bool = False) -> Array:
        """`array`, but real values span magnitudes, and some are zeros, subnormal, huge, infinite or NaN."""
        x = self.array(*shape)
        if self.integer:
            return x
        x *= self.dtype(10) ** self.rng.integers(-6, 4, shape).astype(self.dtype)
        odd = [0.0, -0.0, 1e-40, -1e-40, 9.0, -9.0, 15.0, 88.7, -88.7, -103.9, 1e4, -1e4]
        odd += [np.inf, -np.inf, np.nan] if infinite else [np.nan] if nan else []
        where = self.rng.random(shape) < 0.3
        x[where] = self.rng.choice(odd, int(where.sum())).astype(self.dtype)
        return x

    def integers(self, low: int, end: int, *shape: int) -> Array:
        return self.rng.integers(low, end, shape).astype(np.int32)

    def representable(self, value: float) -> float:
        """`value` as the type holds it, so that handing it over rounds nothing."""
        return float(self.dtype(value))

    def number(self) -> float:
        return self.pick(_FACTORS) if self.integer else self.representable(self.rng.uniform(-2, 2))

    def rate(self) -> float:
        return self.pick((0.0, 0.5, 0.75)) if self.integer else self.pick((0.0, 0.1, 0.3, 0.9))

    def act_of(self, *kinds: str) -> Act:
        kind = self.pick(kinds)
        slope = 0.25 if self.integer else self.pick((self.representable(0.2), 1.0))
        return Act(kind, slope if kind == "leaky_relu" else 0.0)

    def act(self) -> Act | None:
        """None or one that passes integers on; none of them makes an error larger."""
        return self.maybe(self.act_of("relu", "leaky_relu"))

    def any_act(self) -> Act | None:
        return self.maybe(self.act_of("relu", "leaky_relu", "tanh", "sigmoid"))

    def pads(self) -> Pads:
        top, bottom, left, right = (self.size(0, 3) for _ in range(4))
        return (top, bottom), (left, right)

    def convolution(self) -> Convolution:
        while True:
            kernel, stride = (self.size(1, 7), self.size(1, 7)), (self.size(1, 3), self.size(1, 3))
            padding, n, i, o = self.pads(), self.batch(), self.channels(), self.channels()
            h, w = (max(1, k - sum(side)) + self.size(0, 5) for k, side in zip(kernel, padding, strict=True))
            p, q = conv_out((h, w), kernel, stride, padding)
            if n * p * q * kernel[0] * kernel[1] * i * o <= _MOST_PRODUCTS:
                return Convolution((n, h, w, i), (*kernel, i, o), (n, p, q, o), stride, padding)

    def measured(self, dims: int | None) -> Array:
        """Values with a mean that is not 0, at least 8 in any group of a normalisation; (N,C) or (N,H,W,C)."""
        image = (dims or self.pick((2, 4))) == 4
        wide = self.pick([c for c in _CHANNELS if c >= 8])
        shape = (
            (self.size(1, 3), self.size(3, 7), self.size(3, 7), self.channels()) if image else (self.size(8, 20), wide)
        )
        centre = self.pick((0.5, -3.0, 1000.0) if self.dtype is np.float32 else (0.5, -3.0))
        x = centre + self.rng.standard_normal(shape)
        return (np.rint(4 * x) if self.integer else x).astype(self.dtype)

    def statistics(self, x: Array, kept: Sequence[int]) -> tuple[Array, Array]:
        """Mean and biased variance of x, rounded as the forward pass hands them over."""
        axes = tuple(set(range(x.ndim)) - {axis % x.ndim for axis in kept})
        wide = x.astype(np.float64)
        return wide.mean(axes).astype(self.dtype), wide.var(axes).astype(self.dtype)

    def clock(self) -> Array:
        """A clock with random seed, tick, rates and clip factors; every fourth one has BAD set."""
        rates = [
            (self.rng.uniform(1e-4, 0.1), self.rng.uniform(1, 10), self.rng.uniform(1, 1000)) for _ in range(SLOTS)
        ]
        clock = np.zeros(WORDS, self.dtype)
        clock[:HOST_WORDS] = host_words(self.size(0, 2**32 - 1), self.size(0, 2**32 - 1), rates, self.dtype)
        clock[CLIP : CLIP + SLOTS] = self.rng.uniform(0.1, 1, SLOTS)
        clock[BAD] = self.rng.random() < 0.25
        return clock
