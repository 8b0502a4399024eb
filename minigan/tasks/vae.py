"""A variational autoencoder, the model that GANs are compared with: it learns by what it makes of an image again.

    mean, logvar = E(x)      z = mean + e^(logvar/2) eps,  eps normal      a = the logits of G(z)
    -ELBO = sum_pixels (softplus(a) - x a) + 1/2 sum_z (mean^2 + e^logvar - 1 - logvar)    (mean over the batch, nats)

The first term is -log p(x|z) of a pixel that is 1 with probability sigmoid(a), also where x is grey; the second holds
E's normal distribution against the one that z is drawn from when it samples. Backward, the noise is a constant:

    da = sigmoid(a) - x     dmean = dz + mean     dlogvar = dz eps e^(logvar/2) / 2 + (e^logvar - 1) / 2     (all / N)

Source: Kingma & Welling 2014, arXiv:1312.6114 (z's normal distribution: appendix B; its gradient: section 2.4).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from minigan import rng
from minigan.config import Config
from minigan.losses import called
from minigan.models.autoencoders import make_autoencoder
from minigan.models.shapes import Array, Shape
from minigan.models.taps import backward_taps, forward_taps
from minigan.optim import Optimizer
from minigan.tasks.base import Record, Task

_ROWS = 500  # held-out rows that are judged at a time
_LOGITS = 0  # the node of G that gives them; the sigmoid comes behind it


def reconstruction(ops: Any, a: Array, x: Array) -> tuple[Array, Array]:
    """Logits a, values x in 0..1, both (N, ...) -> mean_n sum (softplus(a) - x a), da = (sigmoid(a) - x) / N."""
    size = a.size // a.shape[0]
    softplus, da = ops.logit_loss(a, "bce", 0.0)
    loss = ops.axpby(size, softplus, -size, ops.mean(ops.mul(x, a)))
    return loss, ops.axpby(size, da, -1.0 / a.shape[0], x)


class VAE(Task):
    """Encoder and decoder under one optimizer, that of section [g]. `held` are the rows whose ELBO the log tells."""

    judged = True
    plots: ClassVar = {
        "-ELBO, nats": {"loss": "a training batch", "loss_held": "held-out rows"},
        "nats": {"kl": "KL of E(x) from what z is drawn from"},
    }
    words = (
        "-ELBO {loss:.2f}  reconstruction {loss_x:.2f}  KL {kl:.2f}  held-out -ELBO {loss_held:.2f}",
        "-ELBO {loss:.1f} held-out {loss_held:.1f}",
    )

    def __init__(self, config: Config, ops: Any, shape: Shape, classes: int = 0):
        super().__init__(config, ops, shape, classes)
        family = partial(called, config.model.family) if ":" in config.model.family else None
        self.E, self.G = make_autoencoder(config.model, self.shape, config.g.l2, config.g.freeze, family)
        self.own({"e": self.E, "g": self.G})
        self.opt = Optimizer(config.g, [self.E, self.G], 0, self.dtype)
        self.optimizers["g"] = self.opt

    def mover(self, sub: int) -> Optimizer:
        return self.opt

    def part(self, batches: Sequence[Array], labels: Sequence[Array], step: int, sub: int, update: bool) -> Record:
        x = batches[0]
        return self.play("g", partial(self._part, update), step, sub, [x, self._noise("z/e", step, len(x))])

    def _noise(self, stream: str, step: int, n: int) -> Array:
        g = rng.host(self.config.train.seed, stream, step)
        return g.standard_normal((n, self.config.model.z)).astype(self.dtype)

    def _part(self, update: bool, left: None, x: Array, eps: Array) -> Record:
        record = self.g_step(x, eps, update)
        self.count_bad()
        return record

    def g_step(self, x: Array, eps: Array, update: bool = True) -> Record:
        """x (N, *shape) in 0..1, eps (N, Z): one update of both nets."""
        E, G, ops = self.E, self.G, self.G.ops
        E.normalise_weights(iterate=True)
        (mean, logvar), ctx_e = E.forward(x)
        std = ops.exp(ops.scale(logvar, 0.5))
        z = ops.axpby(1.0, mean, 1.0, ops.mul(std, eps))
        (a,), ctx_g = forward_taps(G, z, [_LOGITS], "batch")
        loss_x, da = reconstruction(ops, a, x)
        kl, dmean, dlogvar = ops.kl_gauss(mean, logvar)
        loss = E.add_penalty(G.add_penalty(ops.axpby(1.0, loss_x, 1.0, kl)))
        E.zero_grad()
        G.zero_grad()
        dz = backward_taps(G, [da], ctx_g, need_dw=True)
        dmean = ops.axpby(1.0, dmean, 1.0, dz)
        dlogvar = ops.axpby(1.0, dlogvar, 0.5, ops.mul(ops.mul(dz, eps), std))
        E.backward((dmean, dlogvar), ctx_e, need_dx=False)
        E.finish_gradients()
        G.finish_gradients()
        norm2 = self.opt.guard(ops, loss, self.clock.array)
        if update:
            self.opt.step(ops, self.clock.array)
        return {"loss": loss, "loss_x": loss_x, "kl": kl, "grad_norm2_g": norm2}

    def line(self, values: dict[str, float], step: int) -> dict[str, float]:
        return super().line(values | {"loss_held": -self.elbo()}, step)

    def elbo(self) -> float:
        """The mean over all held-out rows of the ELBO in nats, one z each, without l2, with running statistics."""
        total = 0.0
        for block, start in enumerate(range(0, len(self.held), _ROWS)):
            x = self.held.read(np.arange(start, min(start + _ROWS, len(self.held)))).astype(self.dtype)
            mean, logvar, a = self._through(x, self._noise("z/held", block, len(x)))
            loss_x = (np.logaddexp(0.0, a) - x * a).reshape(len(x), -1).sum(axis=1)
            kl = 0.5 * (mean**2 + np.exp(logvar) - 1.0 - logvar).sum(axis=1)
            total -= float((loss_x + kl).sum())
        return total / len(self.held)

    def _through(self, x: Array, eps: Array) -> tuple[Array, Array, Array]:
        """x (N, *shape), eps (N, Z) host -> mean, log variance and logits, host, float64."""
        ops = self.ops
        self.E.normalise_weights(iterate=False)
        (mean, logvar), _ = self.E.forward(ops.asarray(x), mode="running")
        std = ops.exp(ops.scale(logvar, 0.5))
        z = ops.axpby(1.0, mean, 1.0, ops.mul(std, ops.asarray(eps)))
        (a,), _ = forward_taps(self.G, z, [_LOGITS])
        mean, logvar, a = (ops.to_numpy(value).astype(np.float64) for value in (mean, logvar, a))
        return mean, logvar, a

    def picture(self, stream: str, n: int, real: Array) -> Array | None:
        """Samples; in the grids of a run, each held-out image with what comes of it again to its right."""
        if len(self.shape) != 3:
            return None
        if stream != "grid":
            return self.samples(self.z(stream, 0, n), "g")
        x = self.held.read(np.arange(min(n // 2, len(self.held)))).astype(self.dtype)
        _, _, a = self._through(x, np.zeros((len(x), self.config.model.z), self.dtype))
        again = 0.5 * (1.0 + np.tanh(0.5 * a))
        return np.stack([x, again], axis=1).reshape(-1, *self.shape)

    def samples(self, z: Array, weights: str, labels: Array | None = None) -> Array:
        """z (N, Z) host -> (N, *shape) host: the probabilities of the pixels, not drawn from them."""
        return self.drawn(self.nets[weights], z)
