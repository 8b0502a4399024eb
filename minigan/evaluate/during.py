"""The judge of a run that goes on: the command line hands it to the trainer, which imports nothing from here."""

from dataclasses import replace

from minigan.config import Config
from minigan.evaluate.evaluate import draw
from minigan.evaluate.items import real_rows
from minigan.evaluate.judge import Judge
from minigan.evaluate.table import METRICS, MISSING, RANKED, SAYS, better, chosen, metric_of, quick_fid
from minigan.tasks import Task
from minigan.training.parts import Parts
from minigan.training.reporter import Reporter
from minigan.training.trainer import drawn_from

SEED = 0  # of z: the same as that of minigan evaluate, whose numbers these therefore are
_FID = replace(METRICS["fid"], of=quick_fid, says={"fid": SAYS["fid"]})
TABLE = METRICS | {"fid": _FID}


class During:
    """Judges a task by the metrics of section [evaluate]; see training/evaluations.py."""

    def __init__(self, parts: Parts, reporter: Reporter | None = None):
        config = parts.config
        c, self.values = config.evaluate, parts.picture_range
        real = real_rows(config, parts.dataset.shape, self.values, n=c.n)
        self.judge = Judge(config, real, _names(config), c.features, reporter, TABLE)
        self.weights = drawn_from(config)
        self.keys = [key for name in self.judge.metrics for key in TABLE[name].says]
        self.words = {key: SAYS[key].words for key in self.keys if key in RANKED}

    def measure(self, task: Task) -> dict[str, float]:
        items, labels = draw(task, self.weights, self.values, self.judge.real.n, SEED)
        found = self.judge.measure(self.judge.side(items, labels)).values
        return {key: found[key] for key in self.keys}

    def better(self, key: str, new: float, old: float) -> bool:
        return better(key, new, old)


def check(config: Config) -> None:
    """Raises ConfigError on metrics that do not exist."""
    chosen(_names(config), {*MISSING, "features", "training"})


def _names(config: Config) -> list[str]:
    c = config.evaluate
    return list(dict.fromkeys([*c.metrics, *([metric_of(c.best)] if c.best else [])]))
