"""A verdict on a GAN from its signs: a row of ROWS each, with the figure that says so and what to try.

Rows stand in the order in which they count: the first whose sign is past its threshold is the verdict, the others that
are stand beside it. The thresholds were chosen on runs that were made to fail in each way, and tried on others:
docs/diagnose.md.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from minigan.config import Config
from minigan.training.signs import LOG_SIGNS, Signs, of_log

HEALTHY, UNKNOWN = "healthy", "not known"


class Row(NamedTuple):
    """`says` takes the sign's value as str.format does; `above`: on which side of the threshold it speaks."""

    verdict: str
    sign: str
    above: bool
    threshold: float
    says: str
    remedies: tuple[str, ...]

    def speaks(self, value: float) -> bool:
        """Whether the sign is past the threshold."""
        return value > self.threshold if self.above else value < self.threshold


class Finding(NamedTuple):
    """A row whose sign is past its threshold, the sign's value, and more that is known of it."""

    row: Row
    value: float
    detail: str = ""

    def __str__(self) -> str:
        said = self.row.says.format(self.value)
        return f"{said} ({self.detail})" if self.detail else said

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        row = self.row
        return {
            "verdict": row.verdict,
            "sign": row.sign,
            "value": self.value,
            "threshold": row.threshold,
            "says": str(self),
            "try": list(row.remedies),
        }


_LET_G_LEARN = (
    "loss.name non-saturating, hinge or relativistic: they teach G while D is right",
    "a penalty that keeps D smooth: penalty.name r1",
)
_EASIER_D = ("a lower d.lr, or train.n_critic 1", "dropout in D (model.dropout), loss.smoothing, train.instance_noise")
_TURNS = (
    "a lower g.lr; g.beta1 and d.beta1 at 0.5 or 0",
    "a penalty that damps the game: penalty.name r1 or wgan-gp",
    "samples from a moving average: train.ema 0.999",
)
_VARIETY = (
    "a penalty: penalty.name r1, or wasserstein with wgan-gp",
    "a D that sees several samples at once: model.packing 2, or model.minibatch_stddev",
    "a lower g.lr, a D that keeps up: d.lr as large as g.lr; a wider G, more z",
)

ROWS = (
    Row("vanishing gradients", "g_gradient", False, 0.05, "G's gradient is {:.2g} of what it was", _LET_G_LEARN),
    Row("G collapsed", "even", False, 0.33, "samples fill {:.0%} of the classes or modes evenly", _VARIETY),
    Row("oscillating", "moved", True, 0.25, "{:.0%} of the samples changed their class between checkpoints", _TURNS),
    Row("oscillating", "g_swing", True, 1.0, "the logarithm of G's gradient swings by {:.2g}", _TURNS),
    Row("G collapsed", "even", False, 0.6, "samples fill {:.0%} of the classes or modes evenly", _VARIETY),
    Row(
        "G collapsed",
        "spread",
        False,
        0.5,
        "samples vary {:.2g} times as much as real rows, within classes where they have any",
        _VARIETY,
    ),
    Row(
        "memorising",
        "copies",
        False,
        0.45,
        "samples lie {:.2g} times as far from the nearest training row as these from each other",
        ("more data, or train.augment", "a smaller D, model.dropout, fewer steps"),
    ),
    Row(
        "D too strong",
        "d_loss",
        False,
        0.05,
        "D pays {:.2g} of what a D pays that cannot tell",
        _EASIER_D + _LET_G_LEARN,
    ),
)

# What a sign is, as a user reads it.
WORDS = {
    "g_gradient": "G's gradient, of the longest it had",
    "even": "share of classes or modes that samples fill evenly",
    "moved": "samples that changed their class between checkpoints",
    "g_swing": "swing of the logarithm of G's gradient",
    "spread": "variety of samples within a class, of real rows'",
    "copies": "distance to the nearest training row, of unseen rows'",
    "d_loss": "D's loss, of a D that cannot tell",
}


def findings(values: dict[str, float], details: dict[str, str] | None = None) -> list[Finding]:
    """The rows that speak, the first of each sign, the verdict's first; none of a healthy run.

    Signs that are missing say nothing. `details` are put behind what is said of a sign.
    """
    said, found = details or {}, dict[str, Finding]()
    for row in ROWS:
        if row.sign in values and row.speaks(values[row.sign]):
            found.setdefault(row.sign, Finding(row, values[row.sign], said.get(row.sign, "")))
    return list(found.values())


def verdict(values: dict[str, float]) -> str:
    """In a word or two."""
    found = findings(values)
    return found[0].row.verdict if found else HEALTHY if values else UNKNOWN


def in_short(config: Config, lines: Sequence[dict[str, Any]]) -> str:
    """What the log alone says of a run, in a line; "" of one that trains no GAN."""
    if config.task.name != "gan":
        return ""
    signs = of_log(config, lines)
    why = "; ".join(map(str, findings(signs.values))) or _nothing(signs)
    return f"by its log {verdict(signs.values)}: {why}; samples were not looked at: minigan diagnose does"


def _nothing(signs: Signs) -> str:
    said = [f"{name} {signs.values[name]:.2g}" for name in LOG_SIGNS if name in signs.values]
    return ", ".join(said) or next(iter(signs.missing.values()))
