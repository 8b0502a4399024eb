"""An examination of classifiers in words: a row a level, a column a model."""

from collections.abc import Iterator
from typing import Any

from minigan.evaluate.levels import AXES, PLAIN

Row = tuple[str, ...]
_NAMES = {"real": "real, {}", "synthetic": "samples, {}"}
_RANKS = {"rank": "tau", "rank_of_noisy": "tau, as noisy"}


def accuracies(record: dict[str, Any], names: list[str]) -> tuple[Row, list[Row]]:
    """Columns and rows: the share of right answers, real rows first, then each level of samples."""
    ranked = _RANKS if len(names) > 1 else {}
    columns = ("% right", "judge agrees", *names, *ranked.values())
    rows = []
    for kind in ("real", "synthetic"):
        for name, numbers in record[kind].items():
            agrees = _share(numbers["judge_agrees"]) if "judge_agrees" in numbers else ""
            taus = (_tau(numbers[key]) if key in numbers else "" for key in ranked)
            rows.append((_NAMES[kind].format(name), agrees, *map(_share, numbers["accuracy"]), *taus))
    return columns, rows


def calibrations(record: dict[str, Any], names: list[str]) -> tuple[Row, list[Row]]:
    """Columns and rows: a model's calibration on real rows and on samples as drawn."""
    real, made = record["real"][PLAIN.name], record["synthetic"][PLAIN.name]
    columns = ("model", "scores", "ECE, real", "ECE, samples", "Brier, real", "Brier, samples")
    about = record["protocol"]["models"]
    return columns, [
        (name, about[k]["scores"], *(f"{side[key][k]:.3f}" for key in ("ece", "brier") for side in (real, made)))
        for k, name in enumerate(names)
    ]


def lines(record: dict[str, Any]) -> Iterator[str]:
    """How the numbers came about."""
    said = record["protocol"]
    samples, real = said["samples"], said["real"]
    yield (
        f"{samples['n']} samples a level of step {said['checkpoint']['step']} ({samples['weights']}, seed "
        f"{samples['seed']}); {real['rows']} real rows of {real['data']}: {real['from']}"
    )
    agrees = record["synthetic"][PLAIN.name]["judge_agrees"]
    yield (
        f"samples' labels are what was asked of G; minigan's classifier of the data ({said['judge']['accuracy']:.2%} "
        f"right on held-out rows) agrees on {agrees:.2%} of those as drawn: about the most that a model can reach"
    )
    if (tau := record["rank_of_real_halves"]) is not None:
        yield f"tau: agreement in rank with real rows, or as noisy ones; two halves of the real rows: {tau:+.2f}"
    yield f"{', '.join(AXES)}: what the levels are, and which answer counts as right: docs/evaluate-model.md"


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _tau(rank: dict[str, float | None]) -> str:
    return "all alike" if rank["tau"] is None else f"{rank['tau']:+.2f}"
