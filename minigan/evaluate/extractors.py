"""What images are compared by, a row of EXTRACTORS each: `--features classifier|random|pixels|FILE.onnx,RANGE`.

| name | features (N,F) | for |
|---|---|---|
| classifier | last hidden layer of a classifier of the same data, trained by minigan (features.py) | data with labels |
| random | the same network with its initial weights (He, seed 0): edges and shapes, no idea of classes | any images |
| pixels | the values on the first 64 principal components of the real rows (pixels.py) | anything |
| FILE.onnx | the first output of a network of yours (onnx_file.py) | any images |

A number is of its features: two of different ones cannot be compared, and `digest` is equal only where they are.
Source of random features as a judge: Naeem et al. 2020, arXiv:2002.09797, section 4.3.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from minigan import config as configs
from minigan.config import RANGES, Config
from minigan.errors import ConfigError, nearest
from minigan.evaluate import onnx_file, pixels
from minigan.evaluate.features import RANGE, Extractor, extractor, through, weights_digest, widths
from minigan.evaluate.items import Items, Real, as_floats
from minigan.models.classifiers import features_at, make_classifier
from minigan.training.plans import open_backend
from minigan.training.reporter import Reporter

RANDOM_SEED = 0


class Seen(NamedTuple):
    """features (N,F) float32; probabilities (N,K) of the data's classes, where it tells them."""

    features: NDArray[np.float32]
    probabilities: NDArray[np.float64] | None = None


class Eyes(Protocol):
    """Sees items. `about` is what a record says of it; `digest` is equal where the features are."""

    about: dict[str, Any]
    digest: str

    def see(self, items: Items) -> Seen:
        """items as items.py has them, any number of them; a row does not depend on the others."""


class ByClassifier:
    """The data's own classifier."""

    def __init__(self, net: Extractor):
        self.net, self.digest = net, net.record.weights
        self.about = {"name": "classifier", **dataclasses.asdict(net.record)}

    def see(self, items: Items) -> Seen:
        low, high = self.net.given or (0.0, 1.0)
        probabilities, features = self.net.see(as_floats(items, low, high))
        return Seen(features, probabilities)


class ByRandomNet:
    """The classifier's network, bound and never trained: batchnorm still passes on what it gets."""

    def __init__(self, shape: tuple[int, ...], backend: str):
        words = {"model.widths_d": widths(shape), "model.dropout": 0.0, "train.backend": backend}
        config = configs.load("classifier-mnist", list(words.items()))
        self.ops = open_backend(config)[0]
        self.net = make_classifier(config.model, shape, 2)
        self.net.bind(self.ops, RANDOM_SEED)
        self.digest = weights_digest(self.net)
        layers = " -> ".join(f"conv 5x5 {width} stride 2" for width in widths(shape))
        network = f"{layers} -> dense 128, leaky_relu 0.2 after each"
        self.about = {"name": "random", "network": network, "init": "he", "seed": RANDOM_SEED, "weights": self.digest}

    def see(self, items: Items) -> Seen:
        low, high = RANGES[RANGE] or (-1.0, 1.0)
        taps = (features_at(self.net),)
        return Seen(through(self.net, self.ops, items, taps, lambda x: as_floats(x, low, high))[0])


class _Plain:
    """Eyes around a function of items, which says of itself what `about` and `digest` are."""

    def __init__(self, of: Any):
        self.of, self.about, self.digest = of, of.about, of.digest

    def see(self, items: Items) -> Seen:
        return Seen(self.of(items))


def _classifier(config: Config, real: Real, reporter: Reporter | None) -> Eyes:
    return ByClassifier(extractor(config.data, config.train.backend, reporter))


def _random(config: Config, real: Real, reporter: Reporter | None) -> Eyes:
    if real.train.ndim != 4:
        raise ConfigError(f"--features random are of images, but {real.dataset.name} holds vectors; give pixels")
    return ByRandomNet(real.train.shape[1:], config.train.backend)


def _pixels(config: Config, real: Real, reporter: Reporter | None) -> Eyes:
    return _Plain(pixels.Pixels(real))


EXTRACTORS: dict[str, Callable[[Config, Real, Reporter | None], Eyes]] = {
    "classifier": _classifier,
    "random": _random,
    "pixels": _pixels,
}


def open_extractor(word: str, config: Config, real: Real, reporter: Reporter | None = None) -> Eyes:
    """The extractor that `word` names, for the data of a configuration; `reporter` sees a classifier train.

    "auto" is the classifier where images have labels, random for other images, pixels for vectors. Raises ConfigError
    on an unknown word, DataError or ShapeError on a file that does not serve.
    """
    if word == "auto":
        word = "pixels" if real.train.ndim != 4 else "random" if real.train_labels is None else "classifier"
    if ".onnx" in Path(word).name:
        return _Plain(onnx_file.OnnxFile(word, real.train))
    if word not in EXTRACTORS:
        raise ConfigError(f"--features {word!r} is unknown; {nearest(word, EXTRACTORS)}, or FILE.onnx,RANGE")
    return EXTRACTORS[word](config, real, reporter)


def data_of(config: Config, data: str) -> Config:
    """The configuration with other data in its place, where some is given."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, name=data)) if data else config
