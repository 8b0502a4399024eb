"""CycleGAN: two translators between picture domains A and B of which no pairs are known (arXiv:1703.10593).

G_AB makes pictures of B from those of A, and G_BA the other way; D_B and D_A judge what arrives. The cycle keeps a
translation near its picture: G_BA(G_AB(a)) is to be a again, and G_AB(G_BA(b)) b. What is of B already G_AB is to leave
alone: G_AB(b) is to be b (identity, section 5.2).

    L_D = sum over both ways of the GAN loss of D_B(b), D_B(G_AB(a))                          one optimizer for both D
    L_G = sum over both ways of the GAN loss of D_B(G_AB(a)) + task.cycle mean |G_BA(G_AB(a)) - a|
                                                             + task.identity mean |G_AB(b) - b|         one for both G

    a -> G_AB -> fake -> D_B -> logits          the gradient by `fake` is the sum of what D_B and G_BA hand back; G_AB
                   \\-> G_BA -> back            gets it once. G_BA learns from this way too: as the way back of a's.

d_step first: its translations, made of weights that only the coming g_step moves, serve g_step as well. A step's batch
holds both domains' pictures side by side (data/domains.py).
The paper shows D earlier translations too, from a history of 50 pictures; here D sees those of this step alone.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minigan.config import Config
from minigan.errors import ConfigError, ShapeError
from minigan.losses import make_plain_loss
from minigan.models.init import make_init
from minigan.models.net import Net
from minigan.models.patches import patch_critic
from minigan.models.shapes import Act, Array, Shape, make_act
from minigan.models.translators import translator
from minigan.optim import Optimizer
from minigan.tasks.base import Record, Task

PICTURE_ROWS = 6  # a picture has six columns (a, its translation, and back; b likewise), so six rows make it square


class Way(NamedTuple):
    """One way: `G` translates, `back` translates back, `D` judges what arrives."""

    G: Net
    back: Net
    D: Net


def make_nets(config: Config, side: Shape) -> dict[str, Net]:
    """The four nets on pictures `side` (H,W,C), unbound."""
    model, task = config.model, config.task
    output, init = make_act(model.output), make_init(model.init, model.init_std)

    def generator(name: str) -> Net:
        root = translator(task.translator, side, side, task.width, task.depth, task.blocks, output=output, init=init)
        return Net(name, root, side, config.g.l2)

    def critic(name: str) -> Net:
        return Net(name, patch_critic(model, side), side, config.d.l2, spectral=model.norm_d == "spectral")

    return {name: generator(name) for name in ("g_ab", "g_ba")} | {name: critic(name) for name in ("d_a", "d_b")}


class CycleGAN(Task):
    """Four nets, two optimizers, and their step: D's part and G's. Items are (H,W,2C)."""

    plots: ClassVar = {
        "loss": {"loss_d": "loss of both D", "loss_g": "GAN loss of both G"},
        "mean |difference|": {"cycle": "there and back (cycle)"},
        "D": {"d_real": "mean D(real)", "d_fake": "mean D(translated)"},
    }
    words = ("loss D {loss_d:.4f}  G {loss_g:.4f}  cycle {cycle:.4f}", "D {loss_d:.3f} G {loss_g:.3f}")

    def __init__(self, config: Config, ops: Any, shape: Shape, classes: int = 0):
        super().__init__(config, ops, shape, classes)
        if len(shape) != 3 or shape[2] % 2:
            raise ShapeError(f"cyclegan takes pictures of two domains side by side, (H,W,2C), but is given {shape}")
        self.channels = shape[2] // 2
        nets = make_nets(config, (*shape[:2], self.channels))
        self.own(nets)
        self.ab = Way(nets["g_ab"], nets["g_ba"], nets["d_b"])
        self.ba = Way(nets["g_ba"], nets["g_ab"], nets["d_a"])
        self.opt_d = Optimizer(config.d, [nets["d_a"], nets["d_b"]], 0, self.dtype)
        self.opt_g = Optimizer(config.g, [nets["g_ab"], nets["g_ba"]], 1, self.dtype)
        self.optimizers |= {"d": self.opt_d, "g": self.opt_g}
        self.loss = make_plain_loss(config.loss.name, config.loss.smoothing, "cyclegan")
        self.pairs = getattr(self.loss, "pairs", False)  # whether G's loss also reads D(real)
        self.made: Any = None  # from D's part to G's: both domains' batches, and the translators' passes on them

    @property
    def parts_per_step(self) -> int:
        """D's part and G's."""
        return 2

    def mover(self, sub: int) -> Optimizer:
        return self.opt_g if sub else self.opt_d

    def part(self, batches: Sequence[Array], labels: Sequence[Array], step: int, sub: int, update: bool) -> Record:
        """Both D on batches[0] (N,H,W,2C), or both G on what D's part left. The host draws nothing."""
        if sub:
            made, self.made = self.made, None
            return self.play("g", partial(self._g_part, update), step, sub, [], made)
        record, self.made = self.play("d", partial(self._d_part, update), step, sub, [batches[0]])
        return record

    def _d_part(self, update: bool, left: None, x: Array) -> tuple[Record, Any]:
        x_a, x_b = self.ops.split(x, self.channels)
        made = self.ab.G.forward(x_a), self.ba.G.forward(x_b)
        record = self.d_step(x_a, x_b, made, update)
        self.count_bad()
        return record, (x_a, x_b, made)

    def _g_part(self, update: bool, left: Any) -> Record:
        x_a, x_b, made = left
        record = self.g_step(x_a, x_b, made, update)
        self.count_bad()
        return record

    def d_step(self, x_a: Array, x_b: Array, made: Any, update: bool = True) -> Record:
        """x_a, x_b (N,H,W,C), `made` their passes through G_AB and G_BA: one update of both D. G stays as it is."""
        ops, losses, verdicts = self.ops, [], []
        for way, real, (fake, _) in zip((self.ab, self.ba), (x_b, x_a), made, strict=True):
            D = way.D
            D.normalise_weights(iterate=True)
            y_real, ctx_real = D.forward(real, call=0)
            y_fake, ctx_fake = D.forward(fake, call=1)
            loss, dreal, dfake = self.loss.critic(ops, y_real, y_fake)
            losses.append(D.add_penalty(loss))
            verdicts.append((self._verdict(y_real), self._verdict(y_fake)))
            D.zero_grad()
            D.backward(dreal, ctx_real, need_dx=False)
            D.backward(dfake, ctx_fake, need_dx=False)
            D.finish_gradients()
        loss = ops.axpby(1.0, losses[0], 1.0, losses[1])
        norm2 = self.opt_d.guard(ops, loss, self.clock.array)
        if update:
            self.opt_d.step(ops, self.clock.array)
        real, fake = (ops.axpby(0.5, a, 0.5, b) for a, b in zip(*verdicts, strict=True))
        return {"loss_d": loss, "d_real": real, "d_fake": fake, "grad_norm2_d": norm2}

    def g_step(self, x_a: Array, x_b: Array, made: Any, update: bool = True) -> Record:
        """As d_step: one update of G_AB and G_BA. The gradient runs through D, not into D."""
        ops, weights = self.ops, self.config.task
        for G in (self.ab.G, self.ba.G):
            G.zero_grad()
        (gan_a, cycle_a), (gan_b, cycle_b) = (
            self._there_and_back(way, x, to, *passed)
            for way, x, to, passed in zip((self.ab, self.ba), (x_a, x_b), (x_b, x_a), made, strict=True)
        )
        gan, cycle = ops.axpby(1.0, gan_a, 1.0, gan_b), ops.axpby(1.0, cycle_a, 1.0, cycle_b)
        loss, record = ops.axpby(1.0, gan, weights.cycle, cycle), {"loss_g": gan, "cycle": ops.scale(cycle, 0.5)}
        if weights.identity:
            same = ops.axpby(1.0, self._identity(self.ab.G, x_b), 1.0, self._identity(self.ba.G, x_a))
            loss = ops.axpby(1.0, loss, weights.identity, same)
            record["identity"] = ops.scale(same, 0.5)
        for G in (self.ab.G, self.ba.G):
            loss = G.add_penalty(loss)
            G.finish_gradients()
        norm2 = self.opt_g.guard(ops, loss, self.clock.array)
        if update:
            self.opt_g.step(ops, self.clock.array)
        return record | {"grad_norm2_g": norm2}

    def _there_and_back(self, way: Way, x: Array, to: Array, fake: Array, ctx: Any) -> tuple[Array, Array]:
        """x, `fake` = G(x) with its ctx, and samples `to` of where it arrives -> GAN loss and mean |back(fake) - x|.

        Adds both their gradients to G's, and the second one's to back's.
        """
        ops, D = self.ops, way.D
        D.normalise_weights(iterate=False)
        y, ctx_d = D.forward(fake, mode="frozen")
        against = [D.forward(to, mode="frozen", call=1)[0]] if self.pairs else []
        gan, dy = self.loss.generator(ops, y, *against)
        by_d = D.backward(dy, ctx_d, need_dw=False)
        back, ctx_back = way.back.forward(fake, call=1)
        cycle, dback = ops.l1_loss(back, x)
        by_cycle = way.back.backward(ops.scale(dback, self.config.task.cycle), ctx_back)
        way.G.backward(ops.axpby(1.0, by_d, 1.0, by_cycle), ctx, need_dx=False)
        return gan, cycle

    def _identity(self, G: Net, x: Array) -> Array:
        """mean |G(x) - x| of x in G's range; adds its gradient."""
        y, ctx = G.forward(x, call=2)
        same, dy = self.ops.l1_loss(y, x)
        G.backward(self.ops.scale(dy, self.config.task.identity), ctx, need_dx=False)
        return same

    def replay(self, batches: Sequence[Array], step: int, ops: Any, labels: Sequence[Array] = ()) -> None:
        self.use(ops)
        if self.failed:  # G's part reads what D's leaves
            self.part(batches, labels, step, 0, update=False)
        super().replay(batches, step, ops, labels)

    def picture(self, stream: str, n: int, real: Array) -> Array:
        """(36,H,W,C) in six columns: pictures of A, translated, and back; pictures of B, translated, and back."""
        a, b = np.split(real[:PICTURE_ROWS].astype(self.dtype), 2, axis=-1)
        columns = []
        for direction, x in (("a-b", a), ("b-a", b)):
            fake = self.drawn(self.translator(direction), x)
            columns += [x, fake, self.drawn(self.translator(direction[::-1]), fake)]
        return np.stack(columns, axis=1).reshape(-1, *a.shape[1:])

    def translator(self, direction: str) -> Net:
        ways = {"a-b": self.ab, "b-a": self.ba}
        if direction not in ways:
            raise ConfigError(f"direction {direction!r} is unknown; known: {', '.join(ways)}")
        return ways[direction].G

    def _verdict(self, logits: Array) -> Array:
        """The mean of D's output: of its sigmoid where the loss reads it as a probability, else as it is."""
        return self.ops.mean(self.ops.activation(logits, Act("sigmoid")) if self.loss.probability else logits)
