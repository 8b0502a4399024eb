"""Spectral normalisation: a layer works with w / sigma(w), so that it stretches no x by more than 1.

W (K,O) is w with all axes but the last one flattened, and sigma its largest singular value, by power iteration:

    u = W v / ||W v||    v = W' u / ||W' u||    sigma = u' W v    w_eff = w / sigma

u (K,) and v (O,) are state, kept from update to update, since W moves little between two. The gradient holds them:

    dw = (dw_eff - <dw_eff, w_eff> u v') / sigma       <a, b> = sum a b

Passes read w_eff and add into dw_eff, tangent passes too; dw follows once from the sum of all, so a penalty is no
special case. All of it is made of the backends' ops. Source: Miyato et al. 2018, arXiv:1802.05957.
"""

from typing import Any

import numpy as np

from minigan.errors import ConfigError
from minigan.models.layers import ConcatLabel, Conv2d, Layer, Linear, Projection
from minigan.models.shapes import Array, Shape

_EPS = 1e-12  # added to the square of what is divided by


class Spectral:
    """One layer's w under the norm. Raises ConfigError on a layer with another kind of w."""

    def __init__(self, layer: Layer):
        if not isinstance(layer, Linear | Conv2d | ConcatLabel | Projection):
            raise ConfigError(
                f"model.norm_d spectral is for Linear, Conv2d and layers of labels, but {layer.name} is a "
                f"{type(layer).__name__}; take another layer, or another norm"
            )
        self.layer, self.shape = layer, layer.params["w"].shape
        self.K, self.O = int(np.prod(self.shape[:-1])), self.shape[-1]

    @property
    def state(self) -> dict[str, Shape]:
        """Shapes of u and v by name."""
        return {f"{self.layer.name}.u": (self.K,), f"{self.layer.name}.v": (self.O,)}

    def bind(self, w: Array, dw: Array, w_eff: Array, dw_eff: Array, u: Array, v: Array, ones: Array) -> None:
        """Views of the net's slabs, v already drawn; `ones` has max(K, O) of them or more. The layer gets w_eff."""
        matrix = (self.K, self.O)
        self.layer.w, self.layer.dw = w_eff, dw_eff
        self.w, self.dw, self.w_eff, self.dw_eff = (a.reshape(matrix) for a in (w, dw, w_eff, dw_eff))
        self.u, self.v, self.ones = u.reshape(1, self.K), v.reshape(1, self.O), ones

    @property
    def ops(self) -> Any:
        """The layer's, so that a profile or an error names it."""
        return self.layer.ops

    def iterate(self) -> None:
        """One power iteration of u and v."""
        u = self.ops.linear_dgrad(self.v, self.w)
        self.ops.copyto(self.u, self._over(u, self.ops.sum_squares(u)))
        v = self.ops.linear(self.u, self.w, None)
        self.ops.copyto(self.v, self._over(v, self.ops.sum_squares(v)))

    def normalise(self) -> None:
        """w_eff = w / sigma, with u and v as they are."""
        sigma = self.ops.linear(self.ops.linear(self.u, self.w, None), self.v.reshape(self.O, 1), None)
        self.sigma2 = self.ops.mul(sigma, sigma)
        self.ops.copyto(self.w_eff, self._over(self.w, self.sigma2))

    def finish(self) -> None:
        """Adds to dw what dw_eff makes of it, and spends dw_eff."""
        inner = self.ops.mean(self.ops.mul(self.dw_eff, self.w_eff)).reshape(1, 1)
        along = self.ops.linear(self.u.reshape(self.K, 1), self.ops.scale(inner, -self.K * self.O), None)
        self.ops.linear_wgrad(self.v, along.reshape(1, self.K), self.dw_eff, None)
        self.ops.add_scaled(1.0, self._over(self.dw_eff, self.sigma2), self.dw)

    def _over(self, x: Array, square: Array) -> Array:
        """x (N,C) / sqrt(square), one number: what batchnorm_running does with variance `square` and mean 0."""
        c = x.shape[1]
        ones = self.ones[:c]
        zeros, var = self.ops.scale(ones, 0.0), self.ops.linear(square.reshape(1, 1), ones.reshape(1, c), None)
        return self.ops.batchnorm_running(x, ones, zeros, zeros, var.reshape(c), _EPS)
