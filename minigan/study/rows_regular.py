"""Rows of the gradient table: augmentations; what the players minimise under them, consistency, feature matching."""

from collections.abc import Callable, Sequence

import numpy as np

from minigan.models.augment import AUGMENTATIONS, Augment
from minigan.models.shapes import Shape
from minigan.study.rows import Numbers, Problem, Row, ops
from minigan.study.rows_nets import kinked, minimised

MOVES = ("flip", "translation", "cutout")  # items of the reduced presets are grey, and none has a range for colour
LOSSES = ("non-saturating", "relativistic", "feature-matching")


def _augmented(names: Sequence[str], shape: Shape = (6, 5, 3)) -> Callable[[Numbers], Problem]:
    """T and its gradient by x, for what was drawn once."""

    def make(g: Numbers) -> Problem:
        T = Augment(names, shape, 2.0)
        drawn = T.draw(g, 6, np.float64)
        return Problem(
            lambda x: T.forward(ops, x, drawn),
            lambda dy, x: [T.backward(ops, dy, drawn)],
            {"x": g.standard_normal((6, *shape))},
        )

    return make


_T = {"augment": MOVES}
ROWS: dict[str, Row] = {
    **{f"augment.{name}": Row(_augmented([name])) for name in AUGMENTATIONS},
    "augment.all": Row(_augmented(tuple(AUGMENTATIONS))),
    **{
        f"step.augmented.{loss}.{player}": kinked(minimised(loss, player, train=_T), 12)
        for loss in LOSSES
        for player in "dg"
    },
    "step.augmented.packed.g": kinked(minimised("hinge", "g", train=_T, packing=2), 12),
    **{
        f"step.consistency.{player}": kinked(minimised("non-saturating", player, train=_T | {"consistency": 5.0}), 12)
        for player in "dg"
    },
    "step.feature-matching.convolution.g": kinked(minimised("feature-matching", "g", layer=0), 12),
}
