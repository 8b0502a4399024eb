"""A small example with numbers of an op, layer, loss or penalty: what goes in, what comes out, and of which terms.

The numbers are integers, or fractions of powers of two, so that nothing is rounded: the terms sum to the entry exactly.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minigan.backends.clock import CLIP, EMA, LR, SEED, TICK, WORDS, rate
from minigan.models.shapes import Array
from minigan.study.terms import Alone, Arrays, Entry, Group, Numbers, Product, entries


class Given:
    """Arrays by name, as attributes (a.x) or as a dict's (a["x"]); `read` holds the names that were asked for."""

    def __init__(self, arrays: dict[str, Any]):
        self._arrays, self.read = arrays, set[str]()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self._arrays[name]

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def get(self, name: str) -> Any:
        """The array, None where there is none of that name."""
        return self[name] if name in self._arrays else None


class Out(NamedTuple):
    """One output: which op gives it, how, and what it is a sum of. `groups` None: it is no sum, and shown as it is."""

    op: str
    run: Callable[[Any, Given], Array]
    groups: tuple[Group, ...] | None = None
    rest: str = ""


class Example(NamedTuple):
    """`inputs` by name, in float64 (integers stay such), and `outs` by name. `rows`: the gradient checks that cover it,
    as `minigan gradcheck --op` takes them.
    """

    inputs: Arrays
    outs: dict[str, Out]
    rows: tuple[str, ...] = ()


def linear_in(*names: str) -> tuple[Group, ...]:
    """A sum over the entries of each of these arrays."""
    return tuple(Product((name,)) for name in names)


def product_of(*names: str) -> tuple[Group, ...]:
    """A sum over products of an entry of each of these arrays."""
    return (Product(names),)


def mean_over(*names: str) -> tuple[Group, ...]:
    """A mean over the rows of these arrays."""
    return (Alone(names),)


def counted(*shape: int, start: int = 0) -> Numbers:
    """Small integers, none of them 0, the same ones for the same arguments."""
    line = np.array([1, 2, -1, 3, -2, 4, -3, 2, 1, -4, 3], np.float64)
    return np.resize(np.roll(line, -start), shape)


def clock(lr: float = 0.5, clip: float = 1.0, ema: float = 0.75) -> Numbers:
    """A clock of the first step: from which dropout draws, and with rates that round nothing."""
    words = np.zeros(WORDS)
    words[SEED], words[TICK], words[EMA], words[CLIP] = 7, 3, ema, clip
    words[rate(0, LR)], words[rate(0, LR) + 1 : rate(0, LR) + 3] = lr, 1.0
    return words


def added(ops: Any, rule: Callable[..., Any], like: Array, which: int = 0, of: Sequence[Array] = ()) -> Array:
    """What `rule` adds to a buffer of zeros like `like`; where it takes some like `of`, to number `which` of them."""
    buffers = [ops.zeros(tuple(a.shape), a.dtype) for a in (of or [like])]
    rule(*buffers)
    return buffers[which]


def moved(ops: Any, rule: Callable[[Array], Any], p: Array) -> Array:
    """A copy of `p` that `rule` has changed in place."""
    copy = ops.scale(p, 1.0)
    rule(copy)
    return copy


def on(ops: Any, arrays: Arrays) -> Given:
    """The arrays as the backend takes them: float64 on the oracle, float32 elsewhere, integers as they are."""
    kind = np.float64 if ops.NAME == "numpy" else np.float32
    return Given({key: ops.asarray(a if a.dtype.kind in "iu" else np.array(a, kind)) for key, a in arrays.items()})


def output(ops: Any, example: Example, name: str, arrays: Arrays) -> Numbers:
    """Output `name` of the example, by `ops`, as the host's float64."""
    return np.array(ops.to_numpy(example.outs[name].run(ops, on(ops, arrays))), np.float64)


def worked(ops: Any, example: Example, names: Sequence[str]) -> dict[str, list[Entry]]:
    """Each of these outputs, entry by entry."""
    outs = {name: example.outs[name] for name in names}
    return {
        name: entries(name, partial(output, ops, example, name), example.inputs, out.groups, out.rest)
        for name, out in outs.items()
    }
