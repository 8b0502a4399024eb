"""An evaluation in words: a row per number, which way is better, and what real data gets in the samples' place."""

from typing import Any

from minigan.evaluate.table import METRICS, SAYS

_WORDS = {"lower": "lower", "higher": "higher", "": "", "floor": "as real data's"}
COLUMNS = ("what", "samples", "real held-out rows", "better")


def rows(record: dict[str, Any], metrics: list[str]) -> list[tuple[str, str, str, str]]:
    """A row of COLUMNS for each number of these metrics."""
    keys = [key for name in metrics for key in METRICS[name].says]
    return [
        (
            SAYS[key].words,
            _number(record["values"][key]),
            _number(record["floor"].get(key)),
            _WORDS.get(SAYS[key].better, f"near {SAYS[key].better}"),
        )
        for key in keys
    ]


def lines(record: dict[str, Any], cached: bool) -> list[str]:
    """How the numbers came about, in a few lines."""
    said = record["protocol"]
    features, samples, real = said["features"], said["samples"], said["real"]
    accuracy = f" ({features['accuracy']:.2%} right on held-out rows)" if "accuracy" in features else ""
    took = f"taken from this run's records of {record['date']}" if cached else f"{record['seconds_in_all']:.1f} s"
    return [
        f"{samples['n']} samples of step {said['checkpoint']['step']} ({samples['weights']}, seed {samples['seed']}) "
        f"against {real['train']['rows']} training rows of {real['data']}; held-out rows: {real['held']['from']}",
        f"features: {features['name']}{accuracy}, digest {features['digest']}; labels: {samples['labels']}; {took}",
        "numbers of other features, another n or another split are not comparable with these: docs/evaluate.md",
    ]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"
