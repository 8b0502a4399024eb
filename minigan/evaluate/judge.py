"""A judge of samples: real rows, features and a list of metrics, prepared once and asked as often as wanted."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.config import Config
from minigan.data.toys import CENTRES
from minigan.errors import DataError
from minigan.evaluate import store
from minigan.evaluate.extractors import Eyes, open_extractor
from minigan.evaluate.items import Items, Real, as_items
from minigan.evaluate.table import METRICS, Against, Metric, Numbers, Side, chosen
from minigan.training.reporter import Counting, Reporter, uncounted

Advance = Callable[[str], None]  # told what begins
MOST_TRAINING = 60_000  # training rows among which nearest neighbours are looked for
RECIPE = 2  # to be raised when cached numbers of real rows would come out otherwise
_BLOCK = 4096  # training rows read at a time


class Measured(NamedTuple):
    """Numbers by name, and the seconds each metric took."""

    values: Numbers
    seconds: Numbers


class Judge:
    """Judges samples of the data of `config` against `real`.

    `eyes` see features; `classifier`, which may be the same, tells classes and is None where nothing asked needs it.
    Raises ConfigError on metrics that are unknown or lack what they need.
    """

    def __init__(
        self,
        config: Config,
        real: Real,
        metrics: Sequence[str] = (),
        features: str = "auto",
        reporter: Reporter | None = None,
        table: dict[str, Metric] = METRICS,
        counting: Counting = uncounted,
    ):
        self.real, self.table, self.counting = real, table, counting
        images, labelled = real.train.ndim == 4, real.train_labels is not None
        told = labelled and (images or features == "classifier")
        there = {
            *("features", "training"),
            *(("probabilities", "labels") if told else ()),
            *(("pictures",) if images else ()),
            *(("centres",) if real.dataset.name in CENTRES else ()),
        }
        self.metrics = chosen(metrics, there)
        needs = {need for name in self.metrics for need in table[name].needs}
        self.eyes = open_extractor(features, config, real, reporter)
        self.classifier: Eyes | None = None
        own = self.eyes.about["name"] == "classifier"
        if own or (told and needs & {"probabilities", "labels", "pictures"}):
            self.classifier = self.eyes if own else open_extractor("classifier", config, real, reporter)
        self.name = store.key(RECIPE, real.fingerprints, real.train.shape, self.eyes.digest, self._classifier_digest())
        seen = store.arrays(f"real-{self.name}", self._look)
        train, held = (
            Side(items, seen[f"{which}_features"], seen.get(f"{which}_probabilities"), labels)
            for which, items, labels in (
                ("train", real.train, real.train_labels),
                ("held", real.held, real.held_labels),
            )
        )
        training = self._training() if "training" in needs else None
        self.against = Against(train, held, training, len(real.dataset.classes), real.dataset.name, self._keep)

    def _classifier_digest(self) -> str:
        return self.classifier.digest if self.classifier else ""

    def side(self, items: Items, labels: NDArray[Any] | None = None) -> Side:
        """Items and what is seen in them; without `labels` the classifier's, where there is one."""
        seen = self.eyes.see(items)
        told = seen if self.classifier is self.eyes or not self.classifier else self.classifier.see(items)
        probabilities = told.probabilities if self.classifier else None
        if labels is None and probabilities is not None:
            labels = probabilities.argmax(axis=1)
        return Side(items, seen.features, probabilities, labels)

    def measure(self, side: Side, advance: Advance = lambda name: None) -> Measured:
        """Every metric of a side. Raises DataError when a metric cannot say anything of it."""
        values: Numbers = {}
        seconds: Numbers = {}
        for name in self.metrics:
            advance(name)
            began = time.perf_counter()
            values |= _plain(name, self.table[name].of, side, self.against)
            seconds[name] = round(time.perf_counter() - began, 3)
        return Measured(values, seconds)

    def floor(self, advance: Advance = lambda name: None) -> Numbers:
        """What held-out rows get in the place of samples; kept, so that it is computed once."""
        name = f"floor-{self.name}"
        kept = store.numbers(name)
        missing = [metric for metric in self.metrics if metric not in kept]
        for metric in missing:
            advance(metric)
            row = self.table[metric]
            of, given = (row.floor, ()) if row.floor else (row.of, (self.against.held,))
            kept[metric] = _plain(metric, of, *given, self.against)
        if missing:
            store.keep_numbers(name, kept)
        return {key: value for metric in self.metrics for key, value in kept[metric].items()}

    def floors_missing(self) -> int:
        """How many metrics `floor` has to compute."""
        kept = store.numbers(f"floor-{self.name}")
        return sum(metric not in kept for metric in self.metrics)

    def _keep(self, name: str, make: Callable[[], store.Arrays]) -> store.Arrays:
        return store.arrays(f"{name}-{self.name}", make)

    def _look(self) -> store.Arrays:
        out: store.Arrays = {}
        sets = (("train", self.real.train), ("held", self.real.held))
        with self.counting("looking at real rows", len(sets)) as advance:
            for which, items in sets:
                side = self.side(items)
                out |= {
                    f"{which}_{what}": a
                    for what, a in (("features", side.features), ("probabilities", side.probabilities))
                    if a is not None
                }
                advance()
        return out

    def _training(self) -> NDArray[Any]:
        rows = self.training_rows()

        def look() -> store.Arrays:
            data, blocks = self.real.dataset, np.array_split(rows, -(-len(rows) // _BLOCK))
            seen = []
            with self.counting("looking at training rows", len(blocks)) as advance:
                for block in blocks:
                    seen.append(self.eyes.see(as_items(data.read(block), data.value_range or (0.0, 1.0))).features)
                    advance()
            return {"features": np.concatenate(seen)}

        name = store.key(RECIPE, self.real.fingerprints[0], self.real.train.shape[1:], len(rows), self.eyes.digest)
        return store.arrays(f"training-{name}", look)["features"]

    def training_rows(self) -> NDArray[Any]:
        """Which rows nearest neighbours are looked for in: all that the run may have learned from, up to a number."""
        return self.real.training[:MOST_TRAINING]


def _plain(name: str, of: Callable[..., Numbers], *given: Any) -> Numbers:
    try:
        return {key: float(value) for key, value in of(*given).items()}
    except ValueError as e:
        raise DataError(f"metric {name}: {e}") from e
