"""What a run's files say in numbers: log, evaluations, what each layer did; thinned where they are very long."""

from collections.abc import Sequence
from typing import Any

from minigan.errors import ConfigError
from minigan.evaluate import store
from minigan.evaluate.asked import extra
from minigan.study.report.opened import Opened
from minigan.training import layer_log
from minigan.training import log as logs

MOST_LINES = 4000  # of the log; of a longer one every second, third, ... is shown
MOST_STEPS = 200  # columns of the heat map
_NORMS = {"grad_norm_d": "of D", "grad_norm_g": "of G"}
_SPEED = {"images per second": {"images_per_s": "images per second"}}


def log(run: Opened) -> dict[str, Any] | None:
    """The log as columns, and which of them are drawn together: every number of it stands in one chart."""
    every, lines = _thinned(logs.read(run.path), MOST_LINES)
    if not lines:
        return None
    keys = [key for key in dict.fromkeys(key for line in lines for key in line) if key not in ("step", "elapsed_s")]
    columns = {key: [line.get(key) for line in lines] for key in ("step", *keys)}
    return {"every": every, "columns": columns, "charts": _charts(run, [key for key in keys if key != "epoch"])}


def _charts(run: Opened, keys: Sequence[str]) -> list[dict[str, Any]]:
    """A chart each: what the task plots, norms of gradients, metrics, learning rates, and what else there is."""
    norms = {key: _NORMS.get(key, key) for key in keys if key.startswith("grad_norm")}
    rates = {key: key for key in keys if key.startswith("lr_")}
    metrics = {words: {key: words} for key, words in _metrics().items() if key in keys}
    groups = {**run.parts.task.plots, "length of the gradient": norms, **metrics, "learning rate": rates, **_SPEED}
    drawn = {key for group in groups.values() for key in group}
    groups |= {key: {key: key} for key in keys if key not in drawn}
    return [
        {"title": title, "series": [{"key": key, "label": words} for key, words in group.items() if key in keys]}
        for title, group in groups.items()
        if any(key in keys for key in group)
    ]


def _metrics() -> dict[str, str]:
    """Metrics in words; none where the extra that judges samples is not installed."""
    try:
        with extra():
            from minigan.evaluate.table import SAYS
    except ConfigError:
        return {}
    return {key: says.words.strip() for key, says in SAYS.items()}


def _thinned(lines: list[dict[str, Any]], most: int) -> tuple[int, list[dict[str, Any]]]:
    """Every k-th line, counted from the last, so that at most `most` are left; and k."""
    every = max(1, -(-len(lines) // most))
    return every, lines[::-1][::every][::-1]


def evaluation(run: Opened) -> dict[str, Any] | None:
    """The newest record of `minigan evaluate`: a row per number, and how it came about."""
    records = store.records(run.path)
    if not records:
        return None
    try:
        with extra():
            from minigan.evaluate import report
            from minigan.evaluate.table import METRICS
    except ConfigError:
        return None
    record = records[-1]
    known = [name for name, metric in METRICS.items() if metric.says.keys() <= record["values"].keys()]
    return {
        "columns": report.COLUMNS,
        "rows": report.rows(record, known),
        "lines": [*report.lines(record, cached=True)[:2], f"records in all: {len(records)}"],
    }


def history(run: Opened) -> dict[str, Any] | None:
    """What each layer did over the steps: by quantity a row per layer, None where a line says nothing of it."""
    every, lines = _thinned(logs.read(run.path, name=layer_log.NAME), MOST_STEPS)
    if not lines:
        return None
    kinds = (layer_log.GRADIENT, layer_log.ACTIVATION, layer_log.UPDATE)
    values = {
        kind: {name: [line.get(kind, {}).get(name) for line in lines] for name in _names(lines, kind)} for kind in kinds
    }
    return {"every": every, "steps": [line["step"] for line in lines], "values": {k: v for k, v in values.items() if v}}


def _names(lines: list[dict[str, Any]], kind: str) -> list[str]:
    return list(dict.fromkeys(name for line in lines for name in line.get(kind, {})))
