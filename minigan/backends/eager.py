"""How a part of a training step is run: called as it is.

A task hands over what the host drew and worked out, and a function that reads it from clock and arguments alone. A
backend that can record such a part and replay it offers a runner of the same face, `ops.graphs(clock)`: the same bits.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from minigan.models.shapes import Array


class Eager:
    """Runs parts on `ops`, a backend or a proxy around it. `clock` is the part of it that the host writes."""

    def __init__(self, ops: Any, clock: Array):
        self.ops, self.clock = ops, clock

    def __call__(
        self, key: Hashable, part: Callable[..., Any], words: Array, inputs: Sequence[Array], left: Any = None
    ) -> Any:
        """part(left, *inputs), with `words` in the clock and the host's arrays `inputs` on the backend.

        `key` names what the part does: parts of equal keys and shapes differ in the values of words and inputs alone.
        `left` is what an earlier part left on the backend, as it is.
        """
        self.ops.copyto(self.clock, words)
        return part(left, *map(self.ops.asarray, inputs))
