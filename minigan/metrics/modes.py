"""Which modes of a known mixture do samples reach, and how evenly?

A sample is of high quality when it lies within 3 standard deviations of the centre nearest to it; a mode is found when
at least one high-quality sample is nearest to its centre. Reverse KL holds where *all* samples are, high quality or
not, against equal shares:

    KL(q || p) = sum_k q_k log(q_k / p_k),   q_k the share of samples nearest to centre k,   p_k = 1 / M,   in nats

0 means as many samples at every centre, log M all at one, and log(M / m) evenly at m of them: so it tells a generator
that puts one sample in a thousand on a mode from one that has learned it, which the count of modes does not.
Source: Lin et al. 2018, "PacGAN", arXiv:1712.04086, section 4.1 (in whose code the 3 standard deviations are excluded).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WITHIN = 3.0  # standard deviations


class Modes(NamedTuple):
    """What `modes` finds: how many modes, the share of high-quality samples in 0..1, the reverse KL in nats."""

    found: int
    high_quality: float
    reverse_kl: float


def modes(samples: NDArray[np.floating], centres: NDArray[np.floating], std: float) -> Modes:
    """samples (N,F), centres (M,F) of Gaussians with standard deviation `std` in every direction -> Modes.

    Raises ValueError on arrays of other shapes, no samples, one that is not finite, or a std that is not positive.
    """
    if samples.ndim != 2 or centres.ndim != 2 or samples.shape[1] != centres.shape[1] or not len(centres):
        raise ValueError(f"samples {samples.shape} and centres {centres.shape}: expected (N,F) and (M,F), M at least 1")
    if not len(samples) or not np.isfinite(samples).all():
        raise ValueError(f"samples {samples.shape}: expected at least one, and finite numbers; draw them again")
    if not std > 0:
        raise ValueError(f"std = {std}: the modes' standard deviation must be positive")
    nearest, distance = assign(samples, centres)
    good = distance < WITHIN * std
    shares = np.bincount(nearest, minlength=len(centres)) / len(samples)
    seen = shares[shares > 0]  # q log q is 0 at q = 0
    return Modes(
        found=len(np.unique(nearest[good])),
        high_quality=float(good.mean()),
        reverse_kl=float(np.sum(seen * np.log(seen * len(centres)))),
    )


def assign(samples: NDArray[np.floating], centres: NDArray[np.floating]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """For each sample the index of the centre nearest to it, and how far that is: (N,), (N,)."""
    difference = samples[:, None].astype(np.float64) - centres[None]
    distance = np.sqrt(np.sum(difference * difference, axis=-1))
    nearest = np.argmin(distance, axis=1)
    return nearest, distance[np.arange(len(samples)), nearest]
