"""An examination of classifiers in words: a row a level, a column a model."""

from collections.abc import Iterator
from typing import Any

from minigan.evaluate.levels import AXES, PLAIN

Row = tuple[str, ...]


def accuracies(record: dict[str, Any], names: list[str]) -> tuple[Row, list[Row]]:
    """Columns and rows: the share of right answers, real rows first, then each level of samples."""
    several = len(names) > 1
    columns = ("rows", "judge agrees", *names, *(["tau, real rows"] if several else []))
    real = [
        ("real" if name == PLAIN.name else f"real, {name}", "", *map(_share, numbers["accuracy"]), *([""] * several))
        for name, numbers in record["real"].items()
    ]
    made = [
        (
            "samples" if name == PLAIN.name else f"samples, {name}",
            _share(numbers["judge_agrees"]),
            *map(_share, numbers["accuracy"]),
            *([_tau(numbers["rank"])] * several),
        )
        for name, numbers in record["synthetic"].items()
    ]
    return columns, real + made


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
        yield f"tau: agreement in rank with real rows; two halves of the real rows agree by {tau:.2f}"
    yield f"{', '.join(AXES)}: what the levels are, and which answer counts as right: docs/evaluate-model.md"


def _share(value: float) -> str:
    return f"{100 * value:.1f}"


def _tau(rank: dict[str, float | None]) -> str:
    tau, p = rank["tau"], rank["p_value"]
    return "none: all alike" if tau is None or p is None else f"{tau:+.2f} (p {p:.2g})"
