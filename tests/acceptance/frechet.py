"""The Frechet distance of two sets of pictures on stated features: the first principal components of real pixels."""

import numpy as np
from numpy.typing import NDArray

COMPONENTS = 64
Numbers = NDArray[np.float64]


def components(images: NDArray[np.uint8]) -> tuple[Numbers, Numbers]:
    """images (N,H,W,C) -> their mean (D,) and their first principal components (D, COMPONENTS), of pixels in 0..1."""
    x = _flat(images)
    mean = x.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(x - mean, rowvar=False))
    return mean, vectors[:, ::-1][:, :COMPONENTS]


def distance(images: NDArray[np.uint8], real: NDArray[np.uint8], basis: tuple[Numbers, Numbers]) -> float:
    """||m - m'||^2 + tr(S + S' - 2 (S S')^(1/2)) of the features' means and covariances.

    The eigenvalues of S S' are those of S^(1/2) S' S^(1/2): real, and none is negative but by rounding.
    Source: Heusel et al. 2017, arXiv:1706.08500.
    """
    mean, vectors = basis
    (m1, s1), (m2, s2) = (
        (f.mean(axis=0), np.cov(f, rowvar=False)) for f in ((_flat(a) - mean) @ vectors for a in (images, real))
    )
    values, rows = np.linalg.eigh(s1)
    root = (rows * np.sqrt(values.clip(min=0))) @ rows.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ s2 @ root).clip(min=0)).sum()
    return float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * cross)


def _flat(images: NDArray[np.uint8]) -> Numbers:
    return images.reshape(len(images), -1) / 255
