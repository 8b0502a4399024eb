"""Pictures made small and large again by a run of task superres, and how near that is to the originals."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minigan.config import Config
from minigan.errors import ConfigError
from minigan.evaluate.features import extractor
from minigan.evaluate.restore import some
from minigan.models.classifiers import stages
from minigan.models.net import Net
from minigan.models.taps import feature_distance
from minigan.tasks.superres import SuperRes, psnr
from minigan.training import pictures
from minigan.training.features import classifier
from minigan.training.parts import prepare
from minigan.training.reporter import Reporter
from minigan.training.run import Run, load

Images = NDArray[Any]  # (N,H,W,C) in the range of the run's pictures
_AT_ONCE = 64  # pictures that a classifier sees at a time


class Judged(NamedTuple):
    """How near pictures are to their originals: PSNR in dB, and, by a classifier, the distance in its features."""

    psnr: float
    distance: float


def with_features(config: Config, reporter: Reporter | None = None) -> Config:
    """The configuration with task.features "auto" replaced by the classifier's run that it stands for.

    The classifier is trained when the cache has none: `reporter` sees it. Other tasks' configurations stay as they are.
    """
    if config.task.name != "superres" or config.task.features != "auto":
        return config
    prepare(config)  # whatever else is wrong is said before the classifier is trained
    folder = extractor(config.data, config.train.backend, reporter).folder
    return dataclasses.replace(config, task=dataclasses.replace(config.task, features=str(folder)))


def bicubic(low: Images, factor: int) -> Images:
    """low (N,h,w,C) -> (N, factor h, factor w, C), what a picture program makes of them: the baseline."""
    n, h, w, c = low.shape
    size = (factor * w, factor * h)
    out = np.empty((n, factor * h, factor * w, c), np.float32)
    for k in range(n):
        for i in range(c):
            channel = Image.fromarray(low[k, ..., i].astype(np.float32))
            out[k, ..., i] = np.asarray(channel.resize(size, Image.Resampling.BICUBIC))
    return out


def judge(run: Run, x: Images, y: Images, net: Net) -> Judged:
    """Originals x and y (N,H,W,C), made of their small ones, by a classifier's net."""
    low, high = run.picture_range
    total, ops = 0.0, net.ops
    for start in range(0, len(x), _AT_ONCE):
        a, b = (ops.asarray(np.ascontiguousarray(p[start : start + _AT_ONCE], np.float32)) for p in (y, x))
        total += len(a) * float(ops.to_numpy(feature_distance(net, a, b, stages(net))[0]))
    return Judged(psnr(x, y, high - low), total / len(x))


def upscale(run: Run, data: str, n: int, seed: int = 0) -> tuple[list[Images], Judged, Judged]:
    """n held-out pictures: [small, bicubic, by the run, original], and how bicubic and the run are judged.

    Raises ConfigError when the run is of another task, or its classifier is gone.
    """
    task = _superres(run)
    _, x = some(run, data, n, seed)
    low = task.small(x)
    f = run.config.task.factor
    shown = [
        low.repeat(f, axis=1).repeat(f, axis=2),
        np.clip(bicubic(low, f), *run.picture_range),
        task.enlarge(low),
        x,
    ]
    net = classifier(run.config.task.features, task)
    by_hand, by_run = (judge(run, x, y, net) for y in shown[1:3])
    return shown, by_hand, by_run


def to_file(path: str | Path, data: str, n: int, seed: int, out: Path) -> list[str]:
    """`upscale` of the run at `path` as a PNG with a row each; and what there is to say of it."""
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out {str(out)!r}: give a .png")
    run = load(path)
    shown, by_hand, by_run = upscale(run, data, n, seed)
    rows = pictures.to_uint8(np.concatenate(shown), run.picture_range)
    pictures.save(pictures.grid(rows, columns=n), out)
    words = "PSNR {0.psnr:.2f} dB, distance in features {0.distance:.4f}"
    return [
        f"bicubic: {words.format(by_hand)}",
        f"by step {run.step}: {words.format(by_run)}",
        f"{out}: {n} pictures, {run.config.task.factor} times as large: small, bicubic, by the run, original",
    ]


def _superres(run: Run) -> SuperRes:
    if not isinstance(run.task, SuperRes):
        raise ConfigError(f"{run.path} is of task {run.config.task.name}; give a run of task superres")
    return run.task
