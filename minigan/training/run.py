"""A finished or running run, opened to draw from it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigan import config as configs
from minigan import rng
from minigan.config import Config
from minigan.errors import ConfigError
from minigan.tasks import Task, make_task
from minigan.training import checkpoint, pictures
from minigan.training.plans import open_backend
from minigan.training.trainer import drawn_from, restore


class Run:
    """A checkpoint with its network: `sample` and `interpolate`.

    `path` is what was opened, a run folder or a checkpoint; `weights` says what is drawn from: "ema" or "g";
    `picture_range` holds the values of black and white, or the axes' limits of points.
    """

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, step {self.step}, samples {self.shape} from {self.weights})"

    def __init__(self, path: Path, saved: checkpoint.Checkpoint, config: Config, task: Task):
        self.path, self.step, self.config, self.task = path, saved.step, config, task
        low, high = saved.meta["picture_range"]
        self.picture_range = (float(low), float(high))
        self.weights = drawn_from(config)
        self.shape = task.shape

    def sample(self, n: int, seed: int = 0, dtype: str = "float32") -> NDArray[Any]:
        """n samples (n,H,W,C), or (n,F) for vectors: float32 in the data's range, or uint8 in 0..255.

        Sample i of a seed has the same bits whatever n is. Raises ConfigError on n < 1, a seed outside [0, 2^64), an
        unknown dtype.
        """
        if n < 1:
            raise ConfigError(f"{n} samples were asked for; give at least 1")
        _check_seed(seed)
        model = self.config.model
        return self._draw(rng.draw_z(seed, "sample", 0, n, model.z, model.noise), dtype)

    def interpolate(self, seed: int = 0, corners: int = 8, steps: int = 12, dtype: str = "uint8") -> NDArray[Any]:
        """A walk through `corners` random z, `steps` samples from one to the next: (corners, steps, H, W, C).

        On the sphere for normal noise, on which straight lines leave the shell where z lie; straight for other noise.
        Source: White 2016, "Sampling Generative Networks", arXiv:1609.04468 (slerp).
        """
        _check_seed(seed)
        model = self.config.model
        ends = rng.draw_z(seed, "walk", 0, corners, model.z, model.noise)
        mix = slerp if model.noise == "normal" else _straight
        z = [mix(ends[k], ends[(k + 1) % corners], t / steps) for k in range(corners) for t in range(steps)]
        return self._draw(np.stack(z), dtype).reshape(corners, steps, *self.shape)

    def _draw(self, z: NDArray[Any], dtype: str) -> NDArray[Any]:
        if dtype not in ("float32", "uint8"):
            raise ConfigError(f"dtype {dtype!r} is unknown; known: float32, uint8")
        x = self.task.samples(z, self.weights)
        if dtype == "float32":
            return x.astype(np.float32)
        if len(self.shape) != 3:
            raise ConfigError(f"samples of shape {self.shape} are vectors, which have no uint8 form; ask for float32")
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


def load(path: str | Path, backend: str = "auto") -> Run:
    """The newest checkpoint of a run folder, or one checkpoint file, ready to draw from. Raises CheckpointError."""
    file = checkpoint.resolve(Path(path))
    saved = checkpoint.load(file)
    config = configs.from_dict(saved.meta["config"], str(file), [f"train.backend={backend}"])
    ops, _ = open_backend(config, recorded=True)
    task = make_task(config, ops, tuple(saved.meta["shape"]), saved.meta.get("classes", 0))
    restore(task, saved)
    return Run(Path(path), saved, config, task)
