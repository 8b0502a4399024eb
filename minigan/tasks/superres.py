"""Super-resolution: G makes a picture of one that is `factor` times as small (SRGAN, arXiv:1609.04802).

The small picture is made from the large one by averaging blocks, inside the step. G adds to the small picture, each
pixel a block, what is missing (Kim et al. 2016, arXiv:1511.04587): so it begins near its aim, where a tanh would first
have to learn the black of the ground, and on MNIST saturates before it has learned more. Of many large pictures that
have the same small one, the squared error is smallest at their mean, which is a blur. So G learns in two stages:

    until task.l2_steps    L_G = mean (G(low) - x)^2                                                   D does not learn
    from then on           L_G = mean (G(low) - x)^2 + task.content  feature_distance(G(low), x)
                                                     + task.adversarial L_G of the GAN loss, on D(G(low))
                           L_D = the GAN loss of D(x), D(G(low))

Features are what a classifier of the same data sees (models/taps.py), in place of the paper's VGG, which never saw such
pictures; its weights stand still. The paper's second stage has no squared error; here it stays, since features of a
small classifier do not say how bright a pixel is.

g_step comes first, and D then judges the pictures that it made, before G moved.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from minigan.config import RANGES, Config
from minigan.errors import ShapeError
from minigan.losses import make_plain_loss
from minigan.models.classifiers import stages
from minigan.models.init import make_init
from minigan.models.layers import Upsample2x
from minigan.models.net import Net
from minigan.models.patches import patch_critic
from minigan.models.shapes import Act, Array, Shape
from minigan.models.taps import feature_distance
from minigan.models.translators import translator
from minigan.models.trees import Chain, Residual
from minigan.optim import Optimizer
from minigan.tasks.base import Record, Task

PICTURE_ROWS = 12  # a picture has the small one, what G makes of it, and the original, twice a row
_JUDGED = 256  # held-out pictures that a log line's PSNR is over


def make_nets(config: Config, shape: Shape) -> dict[str, Net]:
    """G, from pictures `factor` times as small, and D on pictures `shape` (H,W,C), unbound."""
    model, task = config.model, config.task
    if len(shape) != 3 or shape[0] % task.factor or shape[1] % task.factor:
        raise ShapeError(
            f"task superres with factor {task.factor} takes pictures whose sides are multiples of it, but is given "
            f"{shape}; give data.size, or another task.factor"
        )
    small = (shape[0] // task.factor, shape[1] // task.factor, shape[2])
    init = make_init(model.init, model.init_std)
    missing = translator("resnet", small, shape, task.width, 0, task.blocks, "none", None, init)
    root = Chain(Residual(missing, Chain(*(Upsample2x() for _ in range(halvings(task.factor))))))
    d = Net("d", patch_critic(model, shape), shape, config.d.l2, spectral=model.norm_d == "spectral")
    return {"g": Net("g", root, small, config.g.l2), "d": d}


def halvings(factor: int) -> int:
    """How often 2 goes into a factor 2, 4, 8, ..."""
    return factor.bit_length() - 1


def psnr(x: Array, y: Array, span: float) -> float:
    """x, y (N,H,W,C) host, white minus black = span -> the mean over images of 10 log10(span^2 / mse), in dB."""
    mse = ((x.astype(np.float64) - y) ** 2).reshape(len(x), -1).mean(axis=1)
    return float(np.mean(10 * np.log10(span**2 / np.maximum(mse, np.finfo(np.float64).tiny))))


class SuperRes(Task):
    """Two nets, two optimizers, and their step: G's part, and in the second stage D's. Items are the large pictures.

    `features` is a bound classifier of such pictures, to be handed in before the second stage.
    """

    judged = True
    plots: ClassVar = {
        "squared error": {"l2": "mean (G(low) - x)^2"},
        "PSNR in dB": {"psnr_held": "held-out pictures"},
    }
    words = ("squared error {l2:.5f}  held-out PSNR {psnr_held:.2f} dB", "PSNR {psnr_held:.2f}")

    def __init__(self, config: Config, ops: Any, shape: Shape, classes: int = 0):
        super().__init__(config, ops, shape, classes)
        nets = make_nets(config, self.shape)
        self.G, self.D = nets["g"], nets["d"]
        self.own(nets)
        self.opt_g = Optimizer(config.g, [self.G], 0, self.dtype)
        self.opt_d = Optimizer(config.d, [self.D], 1, self.dtype)
        self.optimizers |= {"g": self.opt_g, "d": self.opt_d}
        self.loss = make_plain_loss(config.loss.name, config.loss.smoothing, "superres")
        self.pairs = getattr(self.loss, "pairs", False)  # whether G's loss also reads D(x)
        self.made: Any = None  # from G's part to D's: the batch and what G made

    @property
    def lacks(self) -> str:
        if self.features is None:
            return "task superres compares pictures by a classifier's features; give task.features, a classifier's run"
        return ""

    @property
    def parts_per_step(self) -> int:
        """G's part and D's."""
        return 2

    def parts_of(self, step: int) -> int:
        return 1 if step < self.config.task.l2_steps else 2

    def mover(self, sub: int) -> Optimizer:
        return self.opt_d if sub else self.opt_g

    def part(self, batches: Sequence[Array], labels: Sequence[Array], step: int, sub: int, update: bool) -> Record:
        """G on batches[0] (N,H,W,C), or D on what G's part left. The host draws nothing."""
        second = self.parts_of(step) == 2
        if sub:
            made, self.made = self.made, None
            return self.play("d", partial(self._d_part, update), step, sub, [], made)
        part = partial(self._g_part, update, second)
        record, self.made = self.play(("g", second), part, step, sub, [batches[0]])
        return record

    def _g_part(self, update: bool, second: bool, left: None, x: Array) -> tuple[Record, Any]:
        record, y = self.g_step(x, second, update)
        self.count_bad()
        return record, (x, y)

    def _d_part(self, update: bool, left: Any) -> Record:
        x, y = left
        record = self.d_step(x, y, update)
        self.count_bad()
        return record

    def reduce(self, x: Array) -> Array:
        """x (N,H,W,C) -> low (N, H/factor, W/factor, C): the mean of each block."""
        for _ in range(halvings(self.config.task.factor)):
            x = self.ops.avgpool2x(x)
        return x

    def g_step(self, x: Array, second: bool, update: bool = True) -> tuple[Record, Array]:
        """x (N,H,W,C): one update of G, by the losses of the first or the second stage; and G(low) before it."""
        G, ops = self.G, self.ops
        y, ctx = G.forward(self.reduce(x))
        l2, dy = ops.mse_loss(y, x)
        loss, record = l2, {"l2": l2}
        if second:
            loss, dy, more = self._perceptual(x, y, loss, dy)
            record |= more
        loss = G.add_penalty(loss)
        G.zero_grad()
        G.backward(dy, ctx, need_dx=False)
        G.finish_gradients()
        norm2 = self.opt_g.guard(ops, loss, self.clock.array)
        if update:
            self.opt_g.step(ops, self.clock.array)
        return record | {"grad_norm2_g": norm2}, y

    def _perceptual(self, x: Array, y: Array, loss: Array, dy: Array) -> tuple[Array, Array, Record]:
        """What the second stage adds to G's loss at y = G(low), and to its gradient by y. D passes it on unmoved."""
        ops, D, weights = self.ops, self.D, self.config.task
        assert self.features is not None  # `lacks` refuses a run without, before it begins
        content, by_features = feature_distance(self.features, y, x, stages(self.features))
        D.normalise_weights(iterate=False)
        fake, ctx_d = D.forward(y, mode="frozen")
        against = [D.forward(x, mode="frozen", call=1)[0]] if self.pairs else []
        gan, dfake = self.loss.generator(ops, fake, *against)
        by_d = D.backward(dfake, ctx_d, need_dw=False)
        for weight, term, d in ((weights.content, content, by_features), (weights.adversarial, gan, by_d)):
            loss, dy = ops.axpby(1.0, loss, weight, term), ops.axpby(1.0, dy, weight, d)
        return loss, dy, {"content": content, "loss_g": gan}

    def d_step(self, x: Array, y: Array, update: bool = True) -> Record:
        """x (N,H,W,C) and y, what G made of its small ones: one update of D."""
        D, ops = self.D, self.ops
        D.normalise_weights(iterate=True)
        real, ctx_real = D.forward(x, call=0)
        fake, ctx_fake = D.forward(y, call=1)
        loss, dreal, dfake = self.loss.critic(ops, real, fake)
        loss = D.add_penalty(loss)
        D.zero_grad()
        D.backward(dreal, ctx_real, need_dx=False)
        D.backward(dfake, ctx_fake, need_dx=False)
        D.finish_gradients()
        norm2 = self.opt_d.guard(ops, loss, self.clock.array)
        if update:
            self.opt_d.step(ops, self.clock.array)
        return {
            "loss_d": loss,
            "d_real": self._verdict(real),
            "d_fake": self._verdict(fake),
            "grad_norm2_d": norm2,
        }

    def use(self, ops: Any) -> None:
        super().use(ops)
        if self.features is not None:
            self.features.use(ops)

    def replay(self, batches: Sequence[Array], step: int, ops: Any, labels: Sequence[Array] = ()) -> None:
        self.use(ops)
        if self.failed:  # D's part reads what G's leaves
            self.part(batches, labels, step, 0, update=False)
        super().replay(batches, step, ops, labels)

    def line(self, values: dict[str, float], step: int) -> dict[str, float]:
        x = self.held.read(np.arange(min(_JUDGED, len(self.held))))
        low, high = RANGES[self.config.data.range] or (0.0, 1.0)
        return super().line(values | {"psnr_held": psnr(x, self.enlarge(self.small(x)), high - low)}, step)

    def small(self, x: Array) -> Array:
        """`reduce` on the host: x (N,H,W,C) -> low."""
        return self.ops.to_numpy(self.reduce(self.ops.asarray(np.ascontiguousarray(x, self.dtype))))

    def enlarge(self, low: Array) -> Array:
        """low (N,h,w,C) host -> G(low) (N,H,W,C) host."""
        return self.drawn(self.G, low)

    def picture(self, stream: str, n: int, real: Array) -> Array:
        """(36,H,W,C) in six columns: a small picture, G's and the original; and another three."""
        x = real[:PICTURE_ROWS].astype(self.dtype)
        low, f = self.small(x), self.config.task.factor
        blocks = low.repeat(f, axis=1).repeat(f, axis=2)
        return np.stack([blocks, self.enlarge(low), x], axis=1).reshape(-1, *self.shape)

    def _verdict(self, logits: Array) -> Array:
        """The mean of D's output: of its sigmoid where the loss reads it as a probability, else as it is."""
        return self.ops.mean(self.ops.activation(logits, Act("sigmoid")) if self.loss.probability else logits)
