"""The GAN's training step: the story that this program tells.

d_step: real and generated batches through D; D learns to tell them apart; G is not touched.
g_step: a generated batch through D into G; G learns to fool D; D is not touched.

With model.packing D judges several samples at once: its batches are packed (models/packing.py), and the gradient by
G's images is unpacked again.

With train.instance_noise all that D sees is blurred by noise that fades away (arXiv:1610.04490): the host adds it to
the real batch, and hands in what is added to the generated one.

In both, "frozen" means: normalise with the batch's own statistics, but leave the running ones alone, since this net is
not the one that learns. D is run twice in a d_step (call 0 on real, call 1 on generated images), so that dropout draws
anew and D's running statistics move once for each. (One run on both, 2N samples, saved 1.3 of 31 ms of the DCGAN's D
step at batch 64, but is wrong as soon as a layer of D couples its batch, as batchnorm does; so there is one path.)
With train.share_fake G learns from the batch that D has just learned from. A loss on pairs (losses.py) holds G's batch
against D's last real one, which then runs through D as well, as call 1. A penalty on D's gradient by its input, if
any, adds its own part to D's gradient (penalties.py); loss_d is without it, so that it reads the same in lazy steps.
With model.norm_d spectral D works with normalised weights (models/spectral.py), made anew in each step: its own
brings the singular vectors nearer first. `finish_gradients` turns their gradients into those of the weights, and adds
what comes from no batch: the gradient of lambda ||theta||^2. `guard` measures the gradient and
sets the finite flag and the clip factor, which the optimizer reads from the clock.

A *part* of a step is one sub-step without what the host does for it: seed, tick and rates reach it through the clock,
the real batch, z and what a penalty draws as its arguments, and what it finds out stays on the backend. So a GPU may
record it once and replay it (`run`; backends/cuda/graph.py), and nobody waits for it before a number is wanted.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from minigan import rng
from minigan.backends.clock import BAD, HOST_WORDS
from minigan.backends.eager import Eager
from minigan.config import Config
from minigan.errors import ConfigError
from minigan.losses import called, make_loss
from minigan.models.builders import make_nets
from minigan.models.layers import Dropout
from minigan.models.net import Net
from minigan.models.packing import pack, unpack
from minigan.models.shapes import Act, Array, Shape
from minigan.optim import Clock, Optimizer
from minigan.penalties import Penalty

Record = dict[str, Array]
DRAW = 64  # samples are always drawn in batches of this size, so a picture does not depend on how many are drawn


def added(ops: Any, x: Array, noise: Array | None) -> Array:
    """x + noise, where there is some."""
    return x if noise is None else ops.axpby(1.0, x, 1.0, noise)


class GAN:
    """Two nets, two optimizers, and their step. `step(batches, step)` is called with n_critic batches."""

    def __init__(self, config: Config, ops: Any, shape: Shape):
        self.config, self.ops, self.shape = config, ops, tuple(shape)
        self.dtype = np.dtype(config.train.dtype)
        seed, model, self.packing = config.train.seed, config.model, config.model.packing
        family = partial(called, model.family) if ":" in model.family else None
        self.clock = Clock(ops, seed, self.dtype)
        freeze = config.g.freeze, config.d.freeze
        self.G, self.D = make_nets(model, self.shape, config.g.l2, config.d.l2, family, freeze)
        self.nets: dict[str, Net] = {"g": self.G, "d": self.D}
        if config.train.ema:
            self.nets["ema"] = make_nets(model, self.shape, 0.0, 0.0, family, freeze)[0]  # the same layout as G's
        for net in self.nets.values():
            net.bind(ops, seed, self.dtype, self.clock.array)
        self.opt_d = Optimizer(config.d, [self.D], 0, self.dtype)
        self.opt_g = Optimizer(config.g, [self.G], 1, self.dtype)
        self.optimizers = {"d": self.opt_d, "g": self.opt_g}
        self.late = getattr(ops, "LATE", False)  # the finite flag is read when the caller asks, not after every part
        self.failed = 0  # the sub-step of the last step that was not finite; see replay
        self.made: Any = None  # with train.share_fake: G's forward pass of the D step, for the G step that follows
        self.maker: Any = None  # the key of the part that `made` it: each leaves arrays of its own
        self.own_ops, self.own_run = ops, self._runner(ops)
        self.run: Any = self.own_run
        if config.train.share_fake and any(isinstance(layer, Dropout) for layer in self.G.layers):
            raise ConfigError(
                "train.share_fake is set, but G has dropout, whose mask changes with each step; leave one of them out"
            )
        self.penalty = Penalty(config.penalty, self.D, seed) if config.penalty.name != "none" else None
        self.loss = make_loss(config.loss.name, config.loss.smoothing)
        self.pairs = getattr(self.loss, "pairs", False)  # whether G's loss also reads D(x)

    @property
    def batches_per_step(self) -> int:
        """How many real batches one step takes."""
        return self.config.train.n_critic

    @property
    def parts_per_step(self) -> int:
        """How many sub-steps one step has: D's, and G's after them."""
        return self.config.train.n_critic + 1

    def step(self, batches: Sequence[Array], step: int) -> Record:
        """n_critic D steps and one G step; `step` counts from 0. Returns what a log line shows, as 0-d arrays.

        `batches` (N, *shape) are the host's. Stops at the first sub-step that is not finite, unless `late`: then the
        rest runs too, without touching a weight, and whoever reads a number asks `bad` before.
        """
        record: Record = {}
        for sub in range(len(batches) + 1):
            record |= self._sub_step(batches, step, sub)
            if not self.late and self.bad():
                self.failed = sub
                break
        return record

    def _sub_step(self, batches: Sequence[Array], step: int, sub: int) -> Record:
        """D's step on batch number `sub`; G's after the last."""
        record = self._part(batches, step, sub, update=True)
        (self.opt_g if sub == len(batches) else self.opt_d).count += 1
        return record

    def _part(self, batches: Sequence[Array], step: int, sub: int, update: bool) -> Record:
        """What the host does for a sub-step: tick, rates, z. The rest is d_step or g_step, by way of `run`."""
        tick = step * self.parts_per_step + sub
        words = self.clock.words(tick, step, [self.opt_d, self.opt_g], self._ema_decay())
        x_real, noise = self._noisy(batches[min(sub, len(batches) - 1)], step, tick)
        if sub == len(batches):
            z = [] if self.made else [self._z("z/g", tick, len(x_real))]
            inputs, part = [*z, *noise, *([x_real] if self.pairs else [])], partial(self._g_part, update, bool(noise))
            return self.run(("g", self.maker, bool(noise)), part, words, inputs, self.made)
        shared = self.config.train.share_fake and sub + 1 == len(batches)
        drawn = self.drawn(x_real)
        inputs = [x_real, self._z("z/d", tick, len(x_real)), *noise, *drawn]
        key = ("d", shared, bool(noise), bool(drawn))
        record, self.made = self.run(key, partial(self._d_part, update, shared, bool(noise)), words, inputs)
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

    def drawn(self, x_real: Array) -> list[Array]:
        """What d_step takes for its penalty beside x_real, on the host; empty where D's coming update has none."""
        packed = (len(x_real) // self.packing, *self.D.in_shape)
        return self.penalty.draw(packed, self.dtype, self.opt_d.count + 1) if self.penalty else []

    def _d_part(
        self, update: bool, shared: bool, noisy: bool, left: None, x_real: Array, z: Array, *more: Array
    ) -> tuple[Record, Any]:
        made = self.G.forward(z) if shared else None
        record = self.d_step(x_real, z, update, made, more[noisy:], more[0] if noisy else None)
        self._count_bad()
        return record, made

    def _g_part(self, update: bool, noisy: bool, made: Any, *inputs: Array) -> Record:
        given = iter(inputs)
        z = None if made else next(given)
        noise = next(given) if noisy else None
        record = self.g_step(z, update, made, next(given) if self.pairs else None, noise)
        self._count_bad()
        return record

    def d_step(
        self,
        x_real: Array,
        z: Array,
        update: bool = True,
        made: Any = None,
        drawn: Sequence[Array] = (),
        noise: Array | None = None,
    ) -> Record:
        """x_real (N, *shape), z (N, Z): one update of D. G's values, gradients and statistics stay as they are.

        `made` is what G's forward pass gave for z, where G's step will use it too (train.share_fake); `drawn` what
        `drawn` gave, on the backend; `noise` (N, *shape) is added to what G made.
        """
        G, D, ops = self.G, self.D, self.D.ops
        D.normalise_weights(iterate=True)
        x_fake, _ = made or G.forward(z, mode="frozen")
        x_real, x_fake = pack(ops, x_real, self.packing), pack(ops, added(ops, x_fake, noise), self.packing)
        real, ctx_real = D.forward(x_real, call=0)
        fake, ctx_fake = D.forward(x_fake, call=1)
        loss, dreal, dfake = self.loss.critic(ops, real, fake)
        loss = D.add_penalty(loss)
        D.zero_grad()
        D.backward(dreal, ctx_real, need_dx=False)
        D.backward(dfake, ctx_fake, need_dx=False)
        penalty = self.penalty.add((x_real, ctx_real), (x_fake, ctx_fake), drawn) if self.penalty and drawn else {}
        D.finish_gradients()
        norm2 = self.opt_d.guard(ops, loss, self.clock.array)
        if update:
            self.opt_d.step(ops, self.clock.array)
            if self.config.train.weight_clip:
                ops.clip(D.p[D.layout.learned], self.config.train.weight_clip)
        return {
            "loss_d": loss,
            "d_real": self._verdict(real),
            "d_fake": self._verdict(fake),
            "grad_norm2_d": norm2,
        } | penalty

    def g_step(
        self,
        z: Array | None,
        update: bool = True,
        made: Any = None,
        x_real: Array | None = None,
        noise: Array | None = None,
    ) -> Record:
        """z (N, Z), or the pass that `made` G's batch: one update of G. The gradient runs through D, not into D.

        x_real (N, *shape) is for losses on pairs, which hold D(G(z)) against D(x); D(x) passes no gradient on. `noise`
        (N, *shape) is added to what D sees of G's batch, and the gradient by that is the gradient by G's batch.
        """
        G, D, ops = self.G, self.D, self.G.ops
        D.normalise_weights(iterate=False)
        x_fake, ctx_g = made or G.forward(z)
        fake, ctx_d = D.forward(pack(ops, added(ops, x_fake, noise), self.packing), mode="frozen")
        against = [D.forward(pack(ops, x_real, self.packing), mode="frozen", call=1)[0]] if self.pairs else []
        loss, dfake = self.loss.generator(ops, fake, *against)
        loss = G.add_penalty(loss)
        G.zero_grad()
        dx_fake = D.backward(dfake, ctx_d, need_dw=False)
        G.backward(unpack(ops, dx_fake, self.packing), ctx_g, need_dx=False)
        G.finish_gradients()
        norm2 = self.opt_g.guard(ops, loss, self.clock.array)
        if update:
            self.opt_g.step(ops, self.clock.array)
            if ema := self.nets.get("ema"):
                ops.ema_update(ema.p, G.p, self.clock.array)
                if G.state.size:  # running statistics, where G has any
                    ops.ema_update(ema.state, G.state, self.clock.array)
        return {"loss_g": loss, "grad_norm2_g": norm2}

    def bad(self) -> bool:
        """Whether a loss or gradient was not finite (the weights were not touched since)."""
        return bool(self.ops.to_numpy(self.clock.array)[BAD] != 0)

    def failed_step(self, step: int) -> int:
        """The step whose sub-step was the first that was not finite, when `bad` says so after `step`."""
        if self.late:
            since = int(self.ops.to_numpy(self.clock.bad_parts)[0])  # the one that failed included
            step, self.failed = divmod((step + 1) * self.parts_per_step - since, self.parts_per_step)
        return step

    def use(self, ops: Any) -> None:
        """Runs on `ops` from now on: a backend, or a proxy around it, which sees every call: nothing is replayed."""
        self.ops = ops
        self.run = self.own_run if ops is self.own_ops else Eager(ops, self.clock.array[:HOST_WORDS])
        for net in self.nets.values():
            net.use(ops)

    def replay(self, batches: Sequence[Array], step: int, ops: Any) -> None:
        """The sub-step that failed again on `ops` (a proxy that looks for NaN), without updating any weight."""
        self.use(ops)
        if self.config.train.share_fake and self.failed == len(batches):  # G's batch is made in D's part
            self._part(batches, step, self.failed - 1, update=False)
        self._part(batches, step, self.failed, update=False)

    def samples(self, z: Array, weights: str) -> Array:
        """z (N, Z) host -> (N, *shape) host, of net "ema" or "g": batches of DRAW, padded, with running statistics."""
        net, rows = self.nets[weights], []
        net.prepare(DRAW)
        try:
            for start in range(0, len(z), DRAW):
                part = z[start : start + DRAW]
                padded = np.zeros((DRAW, z.shape[1]), self.dtype)
                padded[: len(part)] = part
                x, _ = net.forward(self.ops.asarray(padded), mode="running")
                rows.append(self.ops.to_numpy(x)[: len(part)])
        finally:
            net.release()
        return np.concatenate(rows)

    def tensors(self) -> dict[str, Array]:
        """All that a checkpoint holds, by name, as views: parameters, statistics, EMA, the optimizers' slabs."""
        out = {f"{name}/{key}": a for name, net in self.nets.items() for key, a in net.tensors().items()}
        return out | {f"opt/{name}/{key}": a for name, o in self.optimizers.items() for key, a in o.tensors().items()}

    def counters(self) -> dict[str, int]:
        """The optimizers' step counts."""
        return {name: o.count for name, o in self.optimizers.items()}

    def restore(self, tensors: dict[str, Any], counters: dict[str, int]) -> None:
        """Puts back what `tensors` and `counters` gave."""
        for name, view in self.tensors().items():
            self.ops.copyto(view, tensors[name])
        for name, o in self.optimizers.items():
            o.count = counters[name]

    def _runner(self, ops: Any) -> Any:
        """How parts run on the backend itself: recorded and replayed where it can, else called."""
        clock = self.clock.array[:HOST_WORDS]
        return ops.graphs(clock) if self.config.train.graph and hasattr(ops, "graphs") else Eager(ops, clock)

    def _count_bad(self) -> None:
        """How many parts have run since a number was not finite, for whoever reads that late."""
        if self.late:
            self.ops.add_scaled(1.0, self.clock.array[BAD:], self.clock.bad_parts)

    def _ema_decay(self) -> float:
        """min(train.ema, (1 + t) / (10 + t)) after t updates of G, so that initial values are soon forgotten."""
        t = self.opt_g.count
        return min(self.config.train.ema, (1 + t) / (10 + t))

    def _z(self, stream: str, tick: int, n: int) -> Array:
        model = self.config.model
        return rng.draw_z(self.config.train.seed, stream, tick, n, model.z, model.noise).astype(self.dtype)

    def _verdict(self, logits: Array) -> Array:
        """The mean of D's output: of its sigmoid where the loss reads it as a probability, else as it is."""
        return self.ops.mean(self.ops.activation(logits, Act("sigmoid")) if self.loss.probability else logits)
