"""Optimizers: a rule, its slabs and its step count, over any number of nets. One op call per net and segment."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from minigan.backends.clock import WORDS, host_words
from minigan.config import Optim
from minigan.models.net import Net
from minigan.models.shapes import Array
from minigan.schedules import SCHEDULES


class Rule(NamedTuple):
    """An update op, the slabs it keeps beside p, and the config keys it takes."""

    op: str
    slabs: tuple[str, ...]
    keys: tuple[str, ...]


RULES = {
    "adam": Rule("adam_step", ("m", "v"), ("beta1", "beta2", "eps")),
    "sgd": Rule("sgd_step", ("m",), ("momentum",)),
    "rmsprop": Rule("rmsprop_step", ("v",), ("rho", "eps")),
}


class Optimizer:
    """Owns (net, segment) pairs: weight decay touches "decay" alone, so biases and norm parameters are left alone."""

    def __init__(self, config: Optim, nets: Sequence[Net], slot: int, dtype: Any):
        self.config, self.nets, self.slot, self.count = config, nets, slot, 0
        self.rule = RULES[config.rule]
        self.slabs = {net.name: {s: net.ops.zeros((net.layout.size,), dtype) for s in self.rule.slabs} for net in nets}

    def rates(self, step: int) -> tuple[float, float, float]:
        """(learning rate, 1/(1-beta1^t), 1/(1-beta2^t)) of the coming update, for the clock, in float64."""
        c, t = self.config, self.count + 1
        factor = SCHEDULES[c.schedule](step, c.horizon, c.floor, c.every, c.factor)
        return c.lr * factor, 1 / (1 - c.beta1**t), 1 / (1 - c.beta2**t)

    def step(self, ops: Any, clock: Array) -> None:
        """p <- p - update, for every net and segment. `count` is the caller's to raise: no Python runs in a replay."""
        hyper = [getattr(self.config, key) for key in self.rule.keys]
        for net in self.nets:
            for segment, part in net.layout.segments.items():
                if segment == "frozen" or part.start == part.stop:
                    continue
                kept = [self.slabs[net.name][s][part] for s in self.rule.slabs]
                decay = self.config.weight_decay if segment == "decay" else 0.0
                getattr(ops, self.rule.op)(net.p[part], net.dp[part], *kept, clock, self.slot, *hyper, decay)

    def guard(self, ops: Any, loss: Array, clock: Array) -> Array:
        """The gradient's squared norm over all nets, 0-d, unclipped; sets finite flag and clip factor in `clock`."""
        self.nets[0].announce("update")
        norm2 = ops.sum_squares(self.nets[0].dp)
        for net in self.nets[1:]:
            norm2 = ops.axpby(1.0, norm2, 1.0, ops.sum_squares(net.dp))
        ops.finite_flag(loss, clock)
        ops.finite_flag(norm2, clock)
        ops.clip_scale(norm2, self.config.clip_norm or float("inf"), clock, self.slot)
        return norm2

    def tensors(self) -> dict[str, Array]:
        """The kept slabs by name, as views per parameter."""
        return {
            f"{name}/{of}": view
            for net in self.nets
            for name, slab in self.slabs[net.name].items()
            for of, view in net.layout.views(slab).items()
        }


class Clock:
    """The host's side of `clock`: what it holds before every sub-step, from the optimizers' rates.

    `bad_parts` (1,) counts the sub-steps since clock[BAD] was set, where that is read late.
    """

    def __init__(self, ops: Any, seed: int, dtype: Any):
        self.seed, self.dtype = seed, dtype
        self.array, self.bad_parts = ops.zeros((WORDS,), dtype), ops.zeros((1,), dtype)

    def words(self, tick: int, step: int, optimizers: Sequence[Optimizer], ema: float = 0.0) -> Array:
        """(HOST_WORDS,) to copy: seed, tick, the optimizers' rates, the EMA's decay; the other words kernels write."""
        return host_words(self.seed, tick, [o.rates(step) for o in optimizers], self.dtype, ema)
