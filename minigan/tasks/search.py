"""The search in z: which z of a trained generator gives a picture of which only a part, or a noisy view, is known?

    L(z) = mean_i loss(w_i G(z)_i, w_i x_i)  +  prior L_G(D(G(z)))  +  pull mean_k z_k^2

w is 1 where x is known and 0 where it is not; other numbers make a pixel count more or less. The first term is the
*context*; the second, G's own loss on D's verdict, keeps what G makes up between the known pixels realistic (Yeh et al.
2017, arXiv:1607.07539); the third keeps z where G was trained (Bora et al. 2017, arXiv:1703.03208). No weight learns:
the gradient runs through D and through G into z, with running statistics, so that an image's z does not depend on which
others are searched for beside it.

L has many valleys, so each image begins from several z, and the lowest end is kept (Bora et al., section 6).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minigan.backends.clock import BAD, host_words
from minigan.errors import ConfigError
from minigan.models.shapes import Array, expect
from minigan.rng import draw_z
from minigan.tasks.gan import GAN

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
AT_ONCE = 128  # z of all images and restarts that are moved together; more images take their turn
# model.noise: how far from 0 its numbers lie at most; one that is moved beyond is put back (Yeh et al., section 3.3)
LIMITS = {"uniform": 1.0, "truncated": 2.0}
# of w y and w x: the op that gives the loss and its gradient, and the same of each pixel on the host
CONTEXTS: dict[str, tuple[str, Callable[[Array], Array]]] = {"l1": ("l1_loss", np.abs), "l2": ("mse_loss", np.square)}


@dataclass(frozen=True)
class Settings:
    """How long, from how many z, and by which loss."""

    context: str = "l2"
    steps: int = 300
    restarts: int = 4
    lr: float = 0.05
    prior: float = 0.0
    pull: float = 0.0


def images_at_once(settings: Settings) -> int:
    """How many images, with all their restarts, are searched for together."""
    return max(1, AT_ONCE // settings.restarts)


def moves(settings: Settings, n: int) -> int:
    """How often z are moved in a search for n images."""
    return settings.steps * -(-n // images_at_once(settings))


class Search:
    """A trained GAN with settings; `weights` names the net that is searched, "ema" or "g".

    Raises ConfigError when G is told labels or codes, or the prior asks for a verdict that this D does not give on one
    sample alone.
    """

    def __init__(self, task: GAN, weights: str, settings: Settings):
        self.task, self.ops, self.settings = task, task.ops, settings
        self.G, self.D = task.nets[weights], task.D
        if task.config.model.condition != "none":
            raise ConfigError(
                f"this run's G is told more than z (model.condition {task.config.model.condition}), which the search "
                "does not look for; give a run without"
            )
        if settings.prior and (task.pairs or task.tap is not None or task.packing > 1):
            judged = "packs of samples" if task.packing > 1 else "samples against real ones"
            raise ConfigError(
                f"a prior of {settings.prior:g} wants D's verdict on one sample, but this run's D judges {judged}; "
                "give a prior of 0"
            )
        self.D.normalise_weights(iterate=False)

    def run(self, x: Array, w: Array, seed: int = 0, advance: Callable[[], None] = lambda: None) -> tuple[Array, Array]:
        """x, w (N, *shape) host -> z (N, Z) and G(z) (N, *shape), host. x is not read where w is 0.

        `advance` is called after each of the `moves`. Raises ShapeError when the shapes are not those of the run's
        samples, ConfigError when a gradient is not finite.
        """
        expect("x", x, None, *self.task.shape)
        expect("w", w, len(x), *self.task.shape)
        self.advance = advance
        at_once = images_at_once(self.settings)
        z, y = [], []
        for start in range(0, len(x), at_once):
            part = slice(start, start + at_once)
            best = self._best(x[part], w[part], self._first(start, len(x[part]), seed))
            z.append(best[0])
            y.append(best[1])
        return np.concatenate(z), np.concatenate(y)

    def _first(self, start: int, n: int, seed: int) -> Array:
        """The z (n R, Z) from which n images begin, R rows each: the same ones whatever n is."""
        model, r = self.task.config.model, self.settings.restarts
        return draw_z(seed, "search", 0, (start + n) * r, model.z, model.noise)[start * r :]

    def _best(self, x: Array, w: Array, first: Array) -> tuple[Array, Array]:
        """Of each image's restarts the z and y of lowest L, the prior left out."""
        n, r = len(x), self.settings.restarts
        x, w = (np.repeat(a, r, axis=0).astype(self.task.dtype) for a in (np.where(w > 0, x, 0), w))
        z, y = self._searched(x, w, first.astype(self.task.dtype))
        off = CONTEXTS[self.settings.context][1](w * (y - x)).reshape(n, r, -1).mean(axis=2)
        off += self.settings.pull * (z * z).reshape(n, r, -1).mean(axis=2)
        best = np.arange(n) * r + off.argmin(axis=1)
        return z[best], y[best]

    def _searched(self, x: Array, w: Array, first: Array) -> tuple[Array, Array]:
        """x, w (M, *shape), first (M, Z) -> z, G(z) after all steps, on the host."""
        ops, c, clock = self.ops, self.settings, self.task.clock.array
        w, wx = ops.asarray(w), ops.asarray(w * x)
        z, m, v = (ops.zeros(first.shape, self.task.dtype) for _ in range(3))
        ops.copyto(z, first)
        ops.copyto(clock[BAD:], 0)
        limit = LIMITS.get(self.task.config.model.noise)

        def part(left: None) -> None:
            dz = self.gradient(z, w, wx)
            norm2 = ops.sum_squares(dz)
            ops.finite_flag(norm2, clock)
            ops.clip_scale(norm2, float("inf"), clock, 0)
            ops.adam_step(z, dz, m, v, clock, 0, BETA1, BETA2, EPS, 0.0)
            if limit:
                ops.clip(z, limit)

        run = self.task.runner(ops)
        for t in range(1, c.steps + 1):
            rates = c.lr, 1 / (1 - BETA1**t), 1 / (1 - BETA2**t)
            run("search", part, host_words(0, t, [rates], self.task.dtype), [])
            self.advance()
        if self.task.bad():
            raise ConfigError(f"the search met a gradient that is not finite; give a learning rate below {c.lr:g}")
        return ops.to_numpy(z), ops.to_numpy(self.G.forward(z, mode="running")[0])

    def gradient(self, z: Array, w: Array, wx: Array) -> Array:
        """z (M, Z), w and w x (M, *shape) -> dz (M, Z): row by row the gradient of L by that row's z alone.

        The losses are means over rows, so that theirs is M times too small, whatever M is.
        """
        ops, c = self.ops, self.settings
        y, ctx_g = self.G.forward(z, mode="running")
        _, dy = getattr(ops, CONTEXTS[c.context][0])(ops.mul(w, y), wx)
        dy = ops.mul(w, dy)
        if c.prior:
            fake, ctx_d = self.D.forward(y, mode="running")
            _, dfake = self.task.loss.generator(ops, fake)
            dy = ops.axpby(1.0, dy, c.prior, self.D.backward(dfake, ctx_d, need_dw=False))
        dz = self.G.backward(dy, ctx_g, need_dw=False)
        rows, size = z.shape
        return ops.axpby(float(rows), dz, 2 * c.pull / size, z)
