"""A GAN on points in the plane, opened to be watched step by step: there D, G and what passes between them can be seen.

The steps are the run's own, on its own data and draws: whole ones are those of `minigan train` to the last bit. D's
part of a step and G's can also be made alone.
"""

from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan import config as configs
from minigan.backends.proxies import NotFinite
from minigan.errors import ConfigError
from minigan.models.packing import pack
from minigan.models.shapes import Act
from minigan.study import recording
from minigan.tasks.gan import GAN
from minigan.training.parts import Parts

REAL = 512  # points of the data that are shown, at least
_LINES, _ALONG = 11, 41  # of the net in z in each direction, and points on each of them
_TAIL = 0.01  # of z's distribution, beyond the outermost line
_NORMAL = NormalDist()


def _truncated(share: float) -> float:
    low = _NORMAL.cdf(-2)
    return _NORMAL.inv_cdf(low + share * (1 - 2 * low))


QUANTILES: dict[str, Callable[[float], float]] = {  # of each noise that z may be drawn from: rng.NOISE
    "normal": _NORMAL.inv_cdf,
    "uniform": lambda share: 2 * share - 1,
    "truncated": _truncated,
}


class Frame(NamedTuple):
    """One moment. `record` holds what the last step found, by the log's keys.

    field (S,S): D at the middles of S x S squares, the lowest row first: a probability where the loss reads D so, else
    D's raw output; fakes (N,2): G of the same z in every frame; gradient (N,2): that of G's loss by them, as G gets
    it; net (L,P,2): L lines, straight in the plane of z, as G bends them; None where z has not two numbers.
    """

    step: int
    record: dict[str, float]
    field: NDArray[Any]
    fakes: NDArray[Any]
    gradient: NDArray[Any]
    net: NDArray[Any] | None


class Toy:
    """A run opened at its newest step. `limits` are those of both axes, `real` (R,2) points of the data."""

    def __init__(self, parts: Parts):
        task = parts.task
        if not isinstance(task, GAN) or task.shape != (2,):
            what = f"a {parts.config.task.name} on items of shape {task.shape}"
            raise ConfigError(f"{parts.config.preset} is {what}; give a GAN on 2-D points, as wgan-gp-ring8")
        if parts.config.model.condition != "none":
            raise ConfigError(
                "with labels D has a field for each of them (model.condition); give a run without, or "
                "--set model.condition=none"
            )
        self.parts, self.task = parts, task
        self.limits = parts.picture_range
        self.real = np.asarray(parts.real_rows(max(REAL, parts.config.train.batch_size)))
        self.probability = task.loss.probability  # whether D's field is one
        self.number = task.opt_g.count  # a step has one update of G
        self.record: dict[str, float] = {}

    def step(self, who: str = "both") -> None:
        """D's part of one step, G's, or both, each with fresh data and z. Raises NotFinite; no weight moved then."""
        task, n = self.task, self.task.batches_per_step
        batches, labels = self.parts.given([self.parts.batches.at(self.number * n + k) for k in range(n)])
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            if who == "both":
                record = task.step(batches, self.number, labels)
            else:
                record = {}
                task.made = task.maker = None  # with train.share_fake: G alone draws a z of its own
                for sub in {"d": range(n), "g": range(n, n + 1)}[who]:
                    record |= task.part(batches, labels, self.number, sub, update=True)
                    task.mover(sub).count += 1
        self.number += 1
        if task.bad():
            raise NotFinite(f"step {self.number} was not finite, and moved no weight; lower g.lr and d.lr")
        self.record |= {key: float(task.ops.to_numpy(value)) for key, value in record.items()}

    def frame(self, side: int = 64) -> Frame:
        """What there is to see now, D's field as side x side numbers. Changes nothing."""
        z = self.task.z("toy", 0, self.parts.config.train.batch_size)
        self.task.D.normalise_weights(iterate=False)
        x_fake, _ = self.task.G.forward(self.task.ops.asarray(z), mode="frozen")
        fakes, gradient = (np.array(self.task.ops.to_numpy(a)) for a in (x_fake, self.gradient(x_fake)))
        return Frame(self.number, dict(self.record), self.field(side), fakes, gradient, self.net())

    def field(self, side: int) -> NDArray[Any]:
        """D (side,side) at the middles of squares that fill the window; packed: of the same point all over."""
        task, ops, m = self.task, self.task.ops, self.task.packing
        x = middles(self.limits, side).astype(task.dtype)
        y, _ = task.D.forward(pack(ops, ops.asarray(np.tile(x, (m, 1))), m), mode="running")
        y = ops.activation(y, Act("sigmoid")) if self.probability else y
        return np.array(ops.to_numpy(y)).reshape(side, side)

    def gradient(self, x_fake: Any) -> Any:
        """(N,2) on the backend -> what g_step hands to G.backward for them: the gradient of G's loss, through D.

        Without train.instance_noise, which would move the points.
        """
        handed: list[Any] = []
        G: Any = self.task.G
        real = self.task.ops.asarray(self.real[: len(x_fake)].astype(self.task.dtype))  # for losses on pairs
        G.backward = lambda dy, ctx, **needs: handed.append(dy)
        try:
            self.task.g_step(None, update=False, made=(x_fake, None), x_real=real)
        finally:
            del G.backward
        return handed[0]

    def net(self) -> NDArray[Any] | None:
        """Lines (L,P,2) that are straight in z and the same share of its distribution apart, as G bends them."""
        model = self.parts.config.model
        if model.z != 2:
            return None
        quantile = np.vectorize(QUANTILES[model.noise])
        across, along = (quantile(np.linspace(_TAIL, 1 - _TAIL, n)) for n in (_LINES, _ALONG))
        first = np.stack(np.meshgrid(across, along, indexing="ij"), axis=-1)
        z = np.concatenate([first, first[..., ::-1]])
        return self.task.samples(z.reshape(-1, 2).astype(self.task.dtype), "g").reshape(z.shape)


def opened(name: str, overrides: list[configs.Override]) -> Toy:
    """A preset, a TOML file, or a run at its newest checkpoint. Raises ConfigError when it is no GAN in the plane."""
    return Toy(recording.prepared(name, overrides))


def film(toy: Toy, steps: int, every: int, shown: Callable[[], None] = lambda: None) -> Iterator[Frame]:
    """The frames of `steps` steps: now, after each `every` of them, and at the end. `shown()` after each step."""
    yield toy.frame()
    for k in range(1, steps + 1):
        toy.step()
        shown()
        if k % every == 0 or k == steps:
            yield toy.frame()


def middles(limits: tuple[float, float], side: int) -> NDArray[np.float64]:
    """(side * side, 2): the middles of the squares, row by row from the lowest, and in a row from the left."""
    low, high = limits
    at = low + (np.arange(side) + 0.5) * (high - low) / side
    return np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
