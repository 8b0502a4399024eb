"""What a conditional GAN's step is told beside images and z, and what its second head pays.

acgan     D and G both pay -log p(label | x) of D's second head, on real samples (D) and on generated ones (D, G).
infogan   the same on generated samples alone, whose label and codes u the host drew: the mean log q(label | x) bounds
          the mutual information of code and image from below, and so does that of log q(u | x), which for a normal
          of one variance is -|u - q(x)|^2 but for constants.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigan import rng
from minigan.config import Config
from minigan.models.conditions import CONDITIONS, label_count, latent_size
from minigan.models.shapes import Array

Told = Sequence[Array]  # [labels (N,) int32], with infogan's codes [labels, u (N,U)]; empty without a condition


class Condition:
    """What model.condition says at work, on data with labels in [0, classes)."""

    def __init__(self, config: Config, classes: int):
        model = config.model
        row = CONDITIONS.get(model.condition)
        self.config, self.labels = config, label_count(model, classes)
        self.labelled = row is not None and row.labelled
        self.drawn = row is not None and not row.labelled
        self.heads = row is not None and row.heads
        self.codes = latent_size(model) - model.z
        self.arrays = bool(self.labels) + bool(self.codes)  # of what is told

    def with_codes(self, z: Array, seed: int, stream: str, tick: int) -> Array:
        """z (N, model.z) -> (N, model.z + U): u uniform in [-1, 1) after it; row i depends on i alone."""
        u = rng.host(seed, f"{stream}/codes", tick).uniform(-1.0, 1.0, (len(z), self.codes))
        return np.concatenate([z, u.astype(z.dtype)], axis=1)

    def told(self, labels: Array | None, z: Array, tick: int) -> Told:
        """What both nets are told of a batch: the data's labels, or drawn ones and the codes that stand in z."""
        if self.drawn:
            seed = self.config.train.seed
            labels = rng.host(seed, "labels", tick).integers(0, self.labels, len(z), np.int32)
        known = [] if labels is None or not self.labels else [labels]
        return [*known, np.ascontiguousarray(z[:, -self.codes :])] if self.codes else known

    def critic(self, ops: Any, real: Array, fake: Array, told: Told) -> tuple[Array, Array, Array, dict[str, Array]]:
        """real, fake (N, labels + U): D's second head -> what D pays for it (0-d), dreal, dfake, what a log says."""
        loss, dfake, said = self._read(ops, fake, told)
        words = {f"{key}_fake": value for key, value in said.items()}
        if self.drawn:
            return loss, ops.scale(dfake, 0.0), dfake, words
        loss_real, dreal, said = self._read(ops, real, told)
        words |= {f"{key}_real": value for key, value in said.items()}
        return ops.axpby(1.0, loss, 1.0, loss_real), dreal, dfake, words

    def generator(self, ops: Any, fake: Array, told: Told) -> tuple[Array, Array, dict[str, Array]]:
        """The same of what G pays -> loss (0-d), dfake, what a log says."""
        loss, dfake, said = self._read(ops, fake, told)
        return loss, dfake, {f"{key}_g": value for key, value in said.items()}

    def _read(self, ops: Any, q: Array, told: Told) -> tuple[Array, Array, dict[str, Array]]:
        """q (N, labels + U) -> loss (0-d), dq, and its unweighted parts."""
        labels, *u = told
        weight = self.config.loss
        logits, *mean = ops.split(q, self.labels) if u else (q,)
        entropy, dlogits = ops.softmax_cross_entropy(logits, labels)
        loss, dlogits = ops.scale(entropy, weight.label), ops.scale(dlogits, weight.label)
        if not u:
            return loss, dlogits, {"label": entropy}
        error, dmean = ops.mse_loss(*mean, *u)
        loss = ops.axpby(1.0, loss, weight.codes, error)
        return loss, ops.concat(dlogits, ops.scale(dmean, weight.codes)), {"label": entropy, "codes": error}
