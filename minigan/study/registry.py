"""What `minigan explain` knows: every op of the oracle, every layer, GAN loss and penalty, by the names they go by."""

from collections.abc import Iterable
from typing import NamedTuple

from minigan.backends import costs, oracle
from minigan.errors import ConfigError, nearest
from minigan.losses import LOSSES
from minigan.models import layers
from minigan.penalties import PENALTIES
from minigan.study import mistakes
from minigan.study.example import Example
from minigan.study.examples_nets import LAYERS, OF_LOSSES, OF_PENALTIES
from minigan.study.examples_ops import EXAMPLES

OP, PLUMBING, LAYER, LOSS, PENALTY = KINDS = ("op", "plumbing", "layer", "loss", "penalty")
_OUTER = {"Layer", "Straight"}  # what layers are made from, and no layers


class Named(NamedTuple):
    """One of them: its kind, its example and which of the example's outputs are its own; plumbing has none."""

    kind: str
    name: str
    example: Example | None
    outs: tuple[str, ...]
    mistakes: tuple[str, ...]


def _is_layer(name: str) -> bool:
    kind = getattr(layers, name)
    return isinstance(kind, type) and issubclass(kind, layers.Layer) and name not in _OUTER


def names() -> dict[str, list[str]]:
    """kind -> names, as the registries themselves list them."""
    ops = [op for op in oracle.__all__ if op in costs.TABLE and op != "prepare_image"]
    return {
        OP: ops,
        PLUMBING: [op for op in oracle.__all__ if op not in ops],
        LAYER: [name for name in layers.__all__ if _is_layer(name)],
        LOSS: list(LOSSES),
        PENALTY: list(PENALTIES),
    }


def find(name: str) -> Named:
    """By its name. Raises ConfigError naming the nearest one."""
    kind = next((kind for kind, known in names().items() if name in known), None)
    if kind is None:
        known = [name for some in names().values() for name in some]
        raise ConfigError(f"explain knows no {name!r}; {_nearest(name, known)}`minigan explain` lists them all")
    if kind == OP:
        example = next(e for e in EXAMPLES.values() if any(out.op == name for out in e.outs.values()))
        outs = _own(example, name)
        ops = dict.fromkeys([name, *(example.outs[out].op for out in outs)])
        said = dict.fromkeys(mistake for op in ops for mistake in mistakes.OPS[op])
        return Named(kind, name, example, outs, tuple(said))
    if kind == PLUMBING:
        return Named(kind, name, None, (), mistakes.OPS[name])
    table, of_kind = {
        LAYER: (LAYERS, mistakes.LAYERS),
        LOSS: (OF_LOSSES, mistakes.LOSSES),
        PENALTY: (OF_PENALTIES, mistakes.PENALTIES),
    }[kind]
    return Named(kind, name, table[name], tuple(table[name].outs), of_kind[name])


def _own(example: Example, name: str) -> tuple[str, ...]:
    """The outputs that an op gives; all of its family's where the family is called by its name, as linear's."""
    return tuple(key for key, out in example.outs.items() if name in EXAMPLES or out.op == name)


def _nearest(name: str, known: Iterable[str]) -> str:
    """The nearest name, as a sentence's beginning; "" when none is near: all would be too many."""
    said = nearest(name, known)
    return f"{said} " if said.startswith("did") else ""
