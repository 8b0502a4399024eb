"""The GAN's training step: the story that this program tells.

d_step: real and generated batches through D; D learns to tell them apart; G is not touched.
g_step: a generated batch through D into G; G learns to fool D; D is not touched.

With model.condition the nets are told labels, and D may have a second head, whose loss joins in where D's verdicts get
theirs (condition.py).

With model.packing D judges several samples at once: its batches are packed (models/packing.py), and the gradient by
G's images is unpacked again.

With train.instance_noise all that D sees is blurred by noise that fades away (arXiv:1610.04490): the host adds it to
the real batch, and hands in what is added to the generated one.

With train.augment D never sees a batch as it is, but T of it (models/augment.py), drawn anew each time: after the
noise, before the packing. What D's loss and penalty say, they say at T(x), so R1 is about the gradient by T(x); what
G's loss says goes back through T to G's images. With train.consistency D and G work on images as they are, and D pays
for what T changes of its output (bCR, arXiv:2002.04724), which it sees in passes of their own, call 3 and 4.

In both, "frozen" means: normalise with the batch's own statistics, but leave the running ones alone, since this net is
not the one that learns. D is run twice in a d_step (call 0 on real, call 1 on generated images), so that dropout draws
anew and D's running statistics move once for each. (One run on both, 2N samples, saved 1.3 of 31 ms of the DCGAN's D
step at batch 64, but is wrong as soon as a layer of D couples its batch, as batchnorm does; so there is one path.)
With train.share_fake G learns from the batch that D has just learned from. A loss on pairs (losses.py) holds G's batch
against D's last real one, which then runs through D as well, as call 1; one on features reads both inside D, at node
`tap`, and does not run what follows. A penalty on D's gradient by its input, if
any, adds its own part to D's gradient (penalties.py); loss_d is without it, so that it reads the same in lazy steps.
With model.norm_d spectral D works with normalised weights (models/spectral.py), made anew in each step: its own
brings the singular vectors nearer first. `finish_gradients` turns their gradients into those of the weights, and adds
what comes from no batch: the gradient of lambda ||theta||^2. `guard` measures the gradient and
sets the finite flag and the clip factor, which the optimizer reads from the clock.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from minigan import rng
from minigan.config import RANGES, Config
from minigan.errors import ConfigError
from minigan.losses import called, make_loss
from minigan.models.augment import Augment
from minigan.models.builders import make_nets
from minigan.models.consistency import pull
from minigan.models.layers import Dropout
from minigan.models.packing import pack, unpack
from minigan.models.shapes import Act, Array, Shape
from minigan.models.taps import backward_taps, forward_taps
from minigan.models.trees import Chain
from minigan.optim import Optimizer
from minigan.penalties import Penalty
from minigan.tasks.base import Record, Task
from minigan.tasks.condition import Condition, Told

Draws = Sequence[Array]
Moves = tuple[Draws, Draws]  # what train.augment draws for a real batch and for a generated one
STILL: Moves = ((), ())
ROW, MOST_ROWS = 10, 20  # with labels, a picture shows so many images of each, and so many labels at most


def added(ops: Any, x: Array, noise: Array | None) -> Array:
    """x + noise, where there is some."""
    return x if noise is None else ops.axpby(1.0, x, 1.0, noise)


class GAN(Task):
    """Two nets, two optimizers, and their step. `step(batches, step)` is called with n_critic batches."""

    plots: ClassVar = {
        "loss": {"loss_d": "loss of D", "loss_g": "loss of G"},
        "D": {"d_real": "mean D(x)", "d_fake": "mean D(G(z))"},
    }
    words = (
        "loss D {loss_d:.4f}  G {loss_g:.4f}  D(x) {d_real:.3f}  D(G(z)) {d_fake:.3f}",
        "D {loss_d:.3f} G {loss_g:.3f}",
    )

    def __init__(self, config: Config, ops: Any, shape: Shape, classes: int = 0):
        super().__init__(config, ops, shape, classes)
        seed, model, self.packing = config.train.seed, config.model, config.model.packing
        family = partial(called, model.family) if ":" in model.family else None
        freeze = config.g.freeze, config.d.freeze
        self.condition = Condition(config, classes)
        self.labelled, labels = self.condition.labelled, self.condition.labels
        self.G, self.D = make_nets(model, self.shape, config.g.l2, config.d.l2, family, freeze, labels)
        self.own({"g": self.G, "d": self.D})
        if config.train.ema:
            self.own({"ema": make_nets(model, self.shape, 0.0, 0.0, family, freeze, labels)[0]})  # G's layout
        self.opt_d = Optimizer(config.d, [self.D], 0, self.dtype)
        self.opt_g = Optimizer(config.g, [self.G], 1, self.dtype)
        self.optimizers |= {"d": self.opt_d, "g": self.opt_g}
        self.made: Any = None  # with train.share_fake: G's forward pass of the D step, for the G step that follows
        self.told: Told = []  # and what its nets were told
        self.maker: Any = None  # the key of the part that `made` it: each leaves arrays of its own
        if config.train.share_fake and any(isinstance(layer, Dropout) for layer in self.G.layers):
            raise ConfigError(
                "train.share_fake is set, but G has dropout, whose mask changes with each step; leave one of them out"
            )
        self.penalty = Penalty(config.penalty, self.D, seed) if config.penalty.name != "none" else None
        self.loss = make_loss(config.loss.name, config.loss.smoothing)
        self.pairs = getattr(self.loss, "pairs", False)  # whether G's loss also reads D(x)
        self.tap = self._tap() if getattr(self.loss, "features", False) else None  # where in D; None is its output
        values = RANGES.get(config.data.range)
        self.augment = Augment(config.train.augment, self.shape, values and values[1] - values[0])
        self.consistency = config.train.consistency
        if self.consistency and self.condition.heads:
            raise ConfigError(
                f"train.consistency holds D's one output steady, but with model.condition {model.condition} D has two; "
                "leave it out"
            )

    def _tap(self) -> int:
        """The number of D's node that loss.layer means."""
        name, layer, root = self.config.loss.name, self.config.loss.layer, self.D.root
        if not isinstance(root, Chain):
            raise ConfigError(f"loss.name {name} reads inside a D that is a chain, but D is a {type(root).__name__}")
        last = len(root.nodes) - 1
        tap = last - 1 if layer < 0 else layer
        if not 0 <= tap <= last:
            raise ConfigError(f"loss.name {name} reads node {tap} of D, but its nodes are 0 to {last}; see --dry-run")
        return tap

    @property
    def batches_per_step(self) -> int:
        """How many real batches one step takes."""
        return self.config.train.n_critic

    @property
    def parts_per_step(self) -> int:
        """How many sub-steps one step has: D's, and G's after them."""
        return self.config.train.n_critic + 1

    def mover(self, sub: int) -> Optimizer:
        return self.opt_g if sub == self.config.train.n_critic else self.opt_d

    def part(self, batches: Sequence[Array], labels: Sequence[Array], step: int, sub: int, update: bool) -> Record:
        """D's step on batch number `sub`; G's after the last. The host draws z, noise and what a penalty takes."""
        tick, at = self.tick(step, sub), min(sub, len(batches) - 1)
        x_real, noise = self._noisy(batches[at], step, tick)
        made, stream = (self.made, "z/g") if sub == len(batches) else (None, "z/d")
        if not made:
            z = self.z(stream, tick, len(x_real))
            self.told = self.condition.told(labels[at] if labels else None, z, tick)
        if sub == len(batches):
            real, fake = STILL if self.consistency else self.moves(tick, len(x_real))
            against = [x_real, *real] if self.pairs else []
            inputs = [*([] if made else [z]), *self.told, *noise, *fake, *against]
            part = partial(self._g_part, update, bool(noise))
            return self.play(("g", self.maker, bool(noise)), part, step, sub, inputs, made)
        shared = self.config.train.share_fake and sub + 1 == len(batches)
        drawn = self.penalty_inputs(x_real)
        real, fake = self.moves(tick, len(x_real))
        inputs = [x_real, z, *self.told, *noise, *real, *fake, *drawn]
        key = ("d", shared, bool(noise), bool(drawn))
        record, self.made = self.play(key, partial(self._d_part, update, shared, bool(noise)), step, sub, inputs)
        self.maker = key if shared else None
        return record

    def _noisy(self, x_real: Array, step: int, tick: int) -> tuple[Array, list[Array]]:
        """The real batch under instance noise, and the noise that the generated one gets, if there still is any."""
        train = self.config.train
        if step >= train.noise_steps:
            return x_real, []
        size = train.instance_noise * (1 - step / train.noise_steps)
        real, fake = size * rng.host(train.seed, "noise", tick).standard_normal((2, *x_real.shape))
        return np.asarray(x_real + real, self.dtype), [np.asarray(fake, self.dtype)]

    def moves(self, tick: int, n: int) -> Moves:
        """What train.augment draws for this sub-step's real and generated batch, on the host."""
        g = rng.host(self.config.train.seed, "augment", tick)
        return self.augment.draw(g, n, self.dtype), self.augment.draw(g, n, self.dtype)

    def penalty_inputs(self, x_real: Array) -> list[Array]:
        """What d_step takes for its penalty beside x_real, on the host; empty where D's coming update has none."""
        packed = (len(x_real) // self.packing, *self.D.in_shape)
        return self.penalty.draw(packed, self.dtype, self.opt_d.count + 1) if self.penalty else []

    def _d_part(
        self, update: bool, shared: bool, noisy: bool, left: None, x_real: Array, z: Array, *more: Array
    ) -> tuple[Record, Any]:
        told, more = more[: self.condition.arrays], more[self.condition.arrays :]
        made = self.G.forward(z, labels=_labels(told)) if shared else None
        noise, more = (more[0], more[1:]) if noisy else (None, more)
        k = self.augment.drawn
        moves = more[:k], more[k : 2 * k]
        record = self.d_step(x_real, z, update, made, more[2 * k :], noise, told, moves)
        self.count_bad()
        return record, made

    def _g_part(self, update: bool, noisy: bool, made: Any, *inputs: Array) -> Record:
        given = iter(inputs)
        z = None if made else next(given)
        told = [next(given) for _ in range(self.condition.arrays)]
        noise = next(given) if noisy else None
        fake = list(islice(given, 0 if self.consistency else self.augment.drawn))
        x_real, real = (next(given), list(given)) if self.pairs else (None, [])
        record = self.g_step(z, update, made, x_real, noise, told, (real, fake))
        self.count_bad()
        return record

    def _shown(self, x: Array, moves: Draws = (), noise: Array | None = None) -> Array:
        """What D is shown of items x (N, *shape): with noise, moved, packed."""
        ops = self.D.ops
        return pack(ops, self.augment.forward(ops, added(ops, x, noise), moves), self.packing)

    def _shown_backward(self, dy: Array, moves: Draws) -> Array:
        """The gradient by what D is shown -> the one by items."""
        return self.augment.backward(self.G.ops, unpack(self.G.ops, dy, self.packing), moves)

    def _judged(self, x: Array, labels: Array | None, call: int = 0) -> tuple[Any, Any]:
        """What G's loss reads of D on what it is shown, and a ctx: D's output, or that of node `tap`."""
        if self.tap is None:
            return self.D.forward(x, mode="frozen", call=call, labels=labels)
        (features,), ctx = forward_taps(self.D, x, [self.tap], "frozen", call, labels)
        return features, ctx

    def _judged_backward(self, dy: Any, ctx: Any) -> Array:
        """The gradient by what G's loss read -> the one by what D was shown: through D, not into D."""
        return self.D.backward(dy, ctx, need_dw=False) if self.tap is None else backward_taps(self.D, [dy], ctx)

    def d_step(
        self,
        x_real: Array,
        z: Array,
        update: bool = True,
        made: Any = None,
        drawn: Sequence[Array] = (),
        noise: Array | None = None,
        told: Sequence[Array] = (),
        moves: Moves = STILL,
    ) -> Record:
        """x_real (N, *shape), z (N, Z): one update of D. G's values, gradients and statistics stay as they are.

        `made` is what G's forward pass gave for z, where G's step will use it too (train.share_fake); `drawn` what
        `penalty_inputs` gave, on the backend; `noise` (N, *shape) is added to what G made; `told` is what
        `condition` tells of both batches, and `moves` what train.augment drew for each, on the backend.
        """
        G, D, ops, labels = self.G, self.D, self.D.ops, _labels(told)
        D.normalise_weights(iterate=True)
        x_fake, _ = made or G.forward(z, mode="frozen", labels=labels)
        moved = self._shown(x_real, moves[0]), self._shown(x_fake, moves[1], noise)
        x_real, x_fake = (self._shown(x_real), self._shown(x_fake, (), noise)) if self.consistency else moved
        real, ctx_real = D.forward(x_real, call=0, labels=labels)
        fake, ctx_fake = D.forward(x_fake, call=1, labels=labels)
        loss, dreal, dfake, said = self._critic(real, fake, told)
        loss = D.add_penalty(loss)
        D.zero_grad()
        if self.consistency:
            on_real, pull_real = pull(D, real, moved[0], self.consistency, 3, labels)
            on_fake, pull_fake = pull(D, fake, moved[1], self.consistency, 4, labels)
            dreal, dfake = ops.axpby(1.0, dreal, 1.0, pull_real), ops.axpby(1.0, dfake, 1.0, pull_fake)
            said = {**said, "consistency": ops.axpby(1.0, on_real, 1.0, on_fake)}
        D.backward(dreal, ctx_real, need_dx=False)
        D.backward(dfake, ctx_fake, need_dx=False)
        penalty = {}
        if self.penalty and drawn:
            penalty = self.penalty.add((x_real, ctx_real), (x_fake, ctx_fake), drawn, labels)
        D.finish_gradients()
        norm2 = self.opt_d.guard(ops, loss, self.clock.array)
        if update:
            self.opt_d.step(ops, self.clock.array)
            if self.config.train.weight_clip:
                ops.clip(D.p[D.layout.learned], self.config.train.weight_clip)
        return {
            "loss_d": loss,
            "d_real": self._mean(real),
            "d_fake": self._mean(fake),
            "grad_norm2_d": norm2,
            **said,
            **penalty,
        }

    def g_step(
        self,
        z: Array | None,
        update: bool = True,
        made: Any = None,
        x_real: Array | None = None,
        noise: Array | None = None,
        told: Sequence[Array] = (),
        moves: Moves = STILL,
    ) -> Record:
        """z (N, Z), or the pass that `made` G's batch: one update of G. The gradient runs through D, not into D.

        x_real (N, *shape) is for losses on pairs, which hold D(G(z)) against D(x); D(x) passes no gradient on. `noise`
        (N, *shape) is added to what D sees of G's batch, and the gradient by that is the gradient by G's batch.
        `told` and `moves` are as in d_step.
        """
        G, D, ops, labels = self.G, self.D, self.G.ops, _labels(told)
        D.normalise_weights(iterate=False)
        x_fake, ctx_g = made or G.forward(z, labels=labels)
        fake, ctx_d = self._judged(self._shown(x_fake, moves[1], noise), labels)
        against = [self._judged(self._shown(x_real, moves[0]), labels, call=1)[0]] if self.pairs else []
        loss, dfake, said = self._generator(fake, against, told)
        loss = G.add_penalty(loss)
        G.zero_grad()
        dx_fake = self._judged_backward(dfake, ctx_d)
        G.backward(self._shown_backward(dx_fake, moves[1]), ctx_g, need_dx=False)
        G.finish_gradients()
        norm2 = self.opt_g.guard(ops, loss, self.clock.array)
        if update:
            self.opt_g.step(ops, self.clock.array)
            if ema := self.nets.get("ema"):
                ops.ema_update(ema.p, G.p, self.clock.array)
                if G.state.size:  # running statistics, where G has any
                    ops.ema_update(ema.state, G.state, self.clock.array)
        return {"loss_g": loss, "grad_norm2_g": norm2, **said}

    def _critic(self, real: Any, fake: Any, told: Sequence[Array]) -> tuple[Array, Any, Any, Record]:
        """D's outputs -> what D minimises (0-d), dreal, dfake, what a log says of a second head."""
        ops = self.D.ops
        loss, dreal, dfake = self.loss.critic(ops, _verdict(real), _verdict(fake))
        if not self.condition.heads:
            return loss, dreal, dfake, {}
        more, dreal2, dfake2, said = self.condition.critic(ops, real[1], fake[1], told)
        return ops.axpby(1.0, loss, 1.0, more), (dreal, dreal2), (dfake, dfake2), said

    def _generator(self, fake: Any, against: Sequence[Any], told: Sequence[Array]) -> tuple[Array, Any, Record]:
        """The same of what G minimises -> loss (0-d), dfake, what a log says."""
        ops = self.G.ops
        loss, dfake = self.loss.generator(ops, _verdict(fake), *map(_verdict, against))
        if not self.condition.heads:
            return loss, dfake, {}
        more, dfake2, said = self.condition.generator(ops, fake[1], told)
        return ops.axpby(1.0, loss, 1.0, more), (dfake, dfake2), said

    def replay(self, batches: Sequence[Array], step: int, ops: Any, labels: Sequence[Array] = ()) -> None:
        self.use(ops)
        if self.config.train.share_fake and self.failed == len(batches):  # G's batch is made in D's part
            self.part(batches, labels, step, self.failed - 1, update=False)
        super().replay(batches, step, ops, labels)

    def cautions(self) -> Iterator[str]:
        if not self.loss.probability:
            yield f"loss {self.config.loss.name}: D(x) and D(G(z)) are D's raw outputs, not probabilities"

    def z(self, stream: str, tick: int, n: int, seed: int | None = None) -> Array:
        z = super().z(stream, tick, n, seed)
        seed = self.config.train.seed if seed is None else seed
        return self.condition.with_codes(z, seed, stream, tick) if self.condition.codes else z

    def picture(self, stream: str, n: int, real: Array) -> Array | None:
        """n samples, where they can be seen: images, or points in the plane. With labels a row of images for each."""
        if len(self.shape) != 3 and self.shape != (2,):
            return None
        weights = "ema" if "ema" in self.nets else "g"
        if not self.columns:
            return self.samples(self.z(stream, 0, n), weights)
        rows = min(self.condition.labels, MOST_ROWS)
        z = np.tile(self.z(stream, 0, self.columns), (rows, 1))
        return self.samples(z, weights, np.repeat(np.arange(rows), self.columns))

    @property
    def columns(self) -> int:
        return ROW if self.condition.labels and len(self.shape) == 3 else 0

    @property
    def labels(self) -> int:
        return self.condition.labels

    def samples(self, z: Array, weights: str, labels: Array | None = None) -> Array:
        """z (N, Z), labels (N,) host -> (N, *shape) host, of net "ema" or "g". Without labels, each in turn."""
        if self.labels and labels is None:
            labels = np.arange(len(z)) % self.labels
        return self.drawn(self.nets[weights], z, labels)

    def ema_decay(self) -> float:
        """min(train.ema, (1 + t) / (10 + t)) after t updates of G, so that initial values are soon forgotten."""
        t = self.opt_g.count
        return min(self.config.train.ema, (1 + t) / (10 + t))

    def _mean(self, y: Any) -> Array:
        """The mean of D's verdict: of its sigmoid where the loss reads it as a probability, else as it is."""
        logits = _verdict(y)
        return self.ops.mean(self.ops.activation(logits, Act("sigmoid")) if self.loss.probability else logits)


def _verdict(y: Any) -> Array:
    """D's first head (N,1), where it has two."""
    return y[0] if isinstance(y, tuple) else y


def _labels(told: Sequence[Array]) -> Array | None:
    return told[0] if told else None
