"""Which classes do samples reach, and how evenly? The modes of labelled data, as a classifier counts them.

A class is found when its share among the samples is at least a tenth of its share in the data (and not 0): classifiers
err, and the strays of nine classes must not count as the tenth. Reverse KL is of all shares, in nats:

    KL(q || p) = sum_k q_k log(q_k / p_k),   q_k the share of samples of class k,   p_k that of the data

0 when shares are the data's, log(K / m) when m of K equally large classes are reached evenly; infinite when samples are
of a class that the data does not have.
Source: Metz et al. 2017, arXiv:1611.02163, and Lin et al. 2018, "PacGAN", arXiv:1712.04086 (the modes of stacked MNIST,
where one sample is enough: least = 0). Modes of known mixtures: modes.py.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from minigan.metrics.arrays import Numbers, class_labels, finite

LEAST = 0.1


class ClassShares(NamedTuple):
    """How many of the data's classes are found, of how many; the reverse KL; the shares of samples and data (K,)."""

    found: int
    of: int
    reverse_kl: float
    shares: Numbers
    reference: Numbers


def class_shares(samples: NDArray[Any], reference: NDArray[Any], classes: int, least: float = LEAST) -> ClassShares:
    """samples (N,) labels in 0..K-1; reference: labels (M,), or shares (K,) as floats that sum to 1 -> ClassShares.

    A class is found when its share is at least `least` times its share in the reference. Raises ValueError.
    """
    if not 0 <= least <= 1:
        raise ValueError(f"least = {least}, expected 0..1: the part of its share from which a class counts as found")
    q = _shares("samples", samples, classes)
    if np.issubdtype(reference.dtype, np.floating):
        p = finite("reference", reference)
        if p.shape != (classes,) or p.min() < 0 or abs(p.sum() - 1) > 1e-6:
            raise ValueError(
                f"reference has shape {p.shape} and sum {p.sum():g}, expected shares ({classes},) of sum 1"
            )
    else:
        p = _shares("reference", reference, classes)
    found = (p > 0) & (q > 0) & (q >= least * p)
    return ClassShares(int(found.sum()), int((p > 0).sum()), float(rel_entr(q, p).sum()), q, p)


def _shares(name: str, a: NDArray[Any], classes: int) -> Numbers:
    a = class_labels(name, a, len(a))
    if not len(a) or a.min() < 0 or a.max() >= classes:
        raise ValueError(f"{name}: {len(a)} labels, expected at least one, in 0..{classes - 1}")
    return np.bincount(a, minlength=classes) / len(a)
