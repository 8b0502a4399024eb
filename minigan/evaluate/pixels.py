"""Pixels as features: values on the first principal components of real rows. No network, and anything has them."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from minigan.evaluate.items import Items, Real, as_floats

COMPONENTS = 64
RECIPE = 1  # to be raised when the same rows would get other components


class Pixels:
    """items -> (N, K), K = min(64, numbers in an item): x - mean on the real rows' first principal components.

    Images lie in 0..1. A component's sign is of no meaning; no metric here depends on it.
    """

    def __init__(self, real: Real):
        x = self._flat(real.train)
        self.fitted = PCA(min(COMPONENTS, *x.shape), random_state=0).fit(x)
        components, share = self.fitted.n_components_, float(self.fitted.explained_variance_ratio_.sum())
        said = f"pixels {RECIPE} {components} {real.fingerprints[0]} {real.train.shape}"  # not their bits
        self.digest = hashlib.blake2b(said.encode(), digest_size=8).hexdigest()
        self.about: dict[str, Any] = {"name": "pixels", "components": int(components), "variance": round(share, 4)}

    def __call__(self, items: Items) -> NDArray[np.float32]:
        return self.fitted.transform(self._flat(items)).astype(np.float32)

    @staticmethod
    def _flat(items: Items) -> NDArray[np.float64]:
        return as_floats(items).reshape(len(items), -1).astype(np.float64)
