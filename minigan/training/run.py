"""A finished or running run, opened to draw from it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan import config as configs
from minigan.config import Config
from minigan.errors import ConfigError
from minigan.tasks import Task, make_task
from minigan.training import checkpoint, pictures
from minigan.training.plans import open_backend
from minigan.training.trainer import drawn_from, restore


class Run:
    """A checkpoint with its network: `sample`, `interpolate` and, with infogan's codes, `sweep`.

    `path` is what was opened, a run folder or a checkpoint; `weights` says what is drawn from: "ema" or "g";
    `picture_range` holds the values of black and white, or the axes' limits of points; `rate` is in samples a second,
    None where the data does not say it; `classes` names the labels that samples may be asked for by, in order, ()
    without a model.condition.
    """

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, step {self.step}, samples {self.shape} from {self.weights})"

    def __init__(self, path: Path, saved: checkpoint.Checkpoint, config: Config, task: Task):
        self.path, self.step, self.config, self.task = path, saved.step, config, task
        low, high = saved.meta["picture_range"]
        self.picture_range = (float(low), float(high))
        self.rate: int | None = saved.meta.get("rate")
        self.weights = drawn_from(config)
        self.shape = task.shape
        names = saved.meta.get("class_names", ())
        self.classes = tuple(names) if task.labelled else tuple(map(str, range(task.labels)))

    def sample(self, n: int, seed: int = 0, dtype: str = "float32", label: str | int | None = None) -> NDArray[Any]:
        """n samples (n,H,W,C), (n,1,L,C) for signals, or (n,F) for vectors: float32 in the data's range, or for images
        uint8 in 0..255.

        `label` is the name or number of a class; without it a conditional run gives one of each in turn. Sample i of a
        seed has the same bits whatever n is. Raises ConfigError on n < 1, a seed outside [0, 2^64), an unknown dtype or
        label.
        """
        if n < 1:
            raise ConfigError(f"{n} samples were asked for; give at least 1")
        _check_seed(seed)
        labels = self.labels(n, label)
        return self._draw(self.task.z("sample", 0, n, seed), dtype, labels)

    def labels(self, n: int, label: str | int | None = None) -> NDArray[Any] | None:
        """The labels (n,) of n samples: all `label`, a class by name or number, or without it each in turn.

        None where the run knows no labels. Raises ConfigError on one that it does not know.
        """
        if label is None:
            return np.arange(n) % len(self.classes) if self.classes else None
        if not self.classes:
            raise ConfigError(
                f"class {label} was asked for, but {self.path} was trained without classes (model.condition none); "
                "train a preset that has them, as cgan-mnist"
            )
        number = self.classes.index(label) if label in self.classes else label
        known = range(len(self.classes))
        if str(number) not in map(str, known):
            raise ConfigError(
                f"class {label!r} is none of {self.path}; give one of {', '.join(self.classes)}, or its number, "
                f"{known[0]} to {known[-1]}"
            )
        return np.full(n, int(number))

    def sweep(
        self, code: int, seed: int = 0, steps: int = 10, limit: float = 2.0, dtype: str = "uint8"
    ) -> NDArray[Any]:
        """infogan: a row per class, along it code number `code` from -limit to limit: (classes, steps, H, W, C).

        z and the other codes are the same throughout. Raises ConfigError when there is no such code.
        """
        _check_seed(seed)
        size, known = self.config.model.z, self.task.z("sweep", 0, 1, seed)
        codes = known.shape[1] - size
        if not 0 <= code < codes:
            raise ConfigError(
                f"code {code} was asked for, but {self.path} has {codes} codes, numbered from 0"
                if codes
                else f"{self.path} has no codes to go along (model.condition {self.config.model.condition}); "
                "train infogan-mnist, or leave --code out"
            )
        z = np.tile(known, (len(self.classes) * steps, 1))
        z[:, size + code] = np.tile(np.linspace(-limit, limit, steps), len(self.classes))
        labels = np.repeat(np.arange(len(self.classes)), steps)
        return self._draw(z, dtype, labels).reshape(len(self.classes), steps, *self.shape)

    def interpolate(
        self, seed: int = 0, corners: int = 8, steps: int = 12, dtype: str = "uint8", label: str | int | None = None
    ) -> NDArray[Any]:
        """A walk through `corners` random z, `steps` samples from one to the next: (corners, steps, H, W, C).

        All are of class `label`, by name or number, or of the run's first. On the sphere for normal noise, on which
        straight lines leave the shell where z lie; straight for other noise.
        Source: White 2016, "Sampling Generative Networks", arXiv:1609.04468 (slerp).
        """
        _check_seed(seed)
        model = self.config.model
        labels = self.labels(corners * steps, 0 if label is None and self.classes else label)
        ends, codes = np.split(self.task.z("walk", 0, corners, seed).astype(np.float64), [model.z], axis=1)
        mix = slerp if model.noise == "normal" else _straight
        legs = [(k, (k + 1) % corners, t / steps) for k in range(corners) for t in range(steps)]
        z = [np.concatenate([mix(ends[a], ends[b], t), _straight(codes[a], codes[b], t)]) for a, b, t in legs]
        return self._draw(np.stack(z), dtype, labels).reshape(corners, steps, *self.shape)

    def translate(self, x: NDArray[Any], direction: str = "a-b", dtype: str = "float32") -> NDArray[Any]:
        """Pictures x (N,H,W,C) of one domain, in the data's range -> their translations (N,H,W,C), or as uint8.

        `direction` is "a-b" or "b-a". Raises ConfigError on another one, on a run that translates nothing, and on an
        unknown dtype, ShapeError on pictures of another shape.
        """
        net = self.task.translator(direction)
        return self._as(self.task.drawn(net, np.asarray(x)), dtype)

    def _draw(self, z: NDArray[Any], dtype: str, labels: NDArray[Any] | None = None) -> NDArray[Any]:
        return self._as(self.task.samples(z, self.weights, labels), dtype)

    def _as(self, x: NDArray[Any], dtype: str) -> NDArray[Any]:
        if dtype not in ("float32", "uint8"):
            raise ConfigError(f"dtype {dtype!r} is unknown; known: float32, uint8")
        if dtype == "float32":
            return x.astype(np.float32)
        if len(self.shape) != 3 or self.shape[0] == 1:
            raise ConfigError(f"samples of shape {self.shape} are no pictures and have no uint8 form; ask for float32")
        return pictures.to_uint8(x, self.picture_range)


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**64:
        raise ConfigError(f"seed {seed} must be at least 0 and less than 2^64")


def slerp(a: NDArray[Any], b: NDArray[Any], t: float) -> NDArray[Any]:
    """From a (t = 0) to b (t = 1) along the great circle: (sin((1-t)w) a + sin(tw) b) / sin w, w the angle between."""
    cosine = np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1.0, 1.0)
    w = np.arccos(cosine)
    if np.sin(w) < 1e-9:  # parallel: any path is the straight one
        return _straight(a, b, t)
    return (np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w)


def _straight(a: NDArray[Any], b: NDArray[Any], t: float) -> NDArray[Any]:
    return (1 - t) * a + t * b


def load(path: str | Path, backend: str = "auto", best: bool = False) -> Run:
    """The newest checkpoint of a run folder, or its best, or one checkpoint file, ready to draw from.

    Raises CheckpointError.
    """
    file = checkpoint.best(Path(path)) if best else checkpoint.resolve(Path(path))
    saved = checkpoint.load(file)
    config = configs.from_dict(saved.meta["config"], str(file), [f"train.backend={backend}"])
    ops, _ = open_backend(config, recorded=True)
    task = make_task(config, ops, tuple(saved.meta["shape"]), saved.meta.get("classes", 0))
    restore(task, saved)
    return Run(Path(path), saved, config, task)
