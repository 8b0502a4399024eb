"""What one training step was like: numbers of every layer's arrays, how far it moved, and what of it is odd."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minigan.models.layers import Layer
from minigan.study.passes import Moved, Pass, Seen

BINS = 16

# (the sub-step's optimizer, net, call) -> what that forward pass is for, in every task that has such a pass
_GAN_D = {("d", "d", 0): "on real", ("d", "d", 1): "on generated", ("d", "d", 2): "at the penalty's points"}
_GAN_G = {("g", "g", 0): "makes the batch", ("g", "d", 0): "judges it for G", ("g", "d", 1): "on real, for the pair"}
PURPOSES: dict[str, dict[tuple[str, str, int], str]] = {
    "gan": {
        **_GAN_D, **_GAN_G, ("d", "g", 0): "makes the batch",
        ("d", "d", 3): "on real, augmented", ("d", "d", 4): "on generated, augmented",
    },
    "superres": {**_GAN_D, **_GAN_G, ("g", "g", 0): "enlarges the batch"},
    "cyclegan": {
        **{("d", f"d_{x}", 0): f"on real pictures of {x}" for x in "ab"},
        **{("d", f"d_{x}", 1): f"on pictures translated to {x}" for x in "ab"},
        **{("g", f"d_{x}", 0): "judges them for G" for x in "ab"},
        **{("g", f"d_{x}", 1): "on real, for the pair" for x in "ab"},
        **{("d", f"g_{x}", 0): "translates" for x in ("ab", "ba")},
        **{("g", f"g_{x}", 1): "translates back" for x in ("ab", "ba")},
        **{("g", f"g_{x}", 2): "leaves what is there already" for x in ("ab", "ba")},
    },
    "vae": {("g", "e", 0): "encodes", ("g", "g", 0): "decodes"},
    "classifier": {("d", "d", 0): "on the batch"},
}  # fmt: skip


def purpose(task: str, during: Pass) -> str:
    """What a pass is, in words: its net, direction, and what its forward pass is for."""
    of = during.forward or during
    words = PURPOSES.get(task, {}).get((of.part, of.net, of.call), f"call {of.call}")
    return f"{during.net} {during.which} ({words})"


class Numbers(NamedTuple):
    """What an array is like: of its finite numbers, NaN where there are none; `zeros` is a share, `bad` counts the
    others. `counts` is their histogram: BINS equal bins from min to max.
    """

    shape: tuple[int, ...]
    min: float
    mean: float
    max: float
    std: float
    norm: float
    zeros: float
    bad: int
    counts: tuple[int, ...]


def numbers(a: NDArray[Any]) -> Numbers:
    """Of an array of any shape, in float64."""
    flat = a.ravel().astype(np.float64)
    sound = flat[np.isfinite(flat)]
    if not sound.size:
        none = float("nan")
        return Numbers(a.shape, none, none, none, none, none, 0.0, flat.size, (0,) * BINS)
    low, high = float(sound.min()), float(sound.max())
    # np.histogram refuses bins narrower than the last bit, which weights just after a start may need
    places = np.zeros(sound.size) if low == high else (sound - low) / (high - low) * BINS
    counts = np.bincount(np.minimum(places.astype(int), BINS - 1), minlength=BINS)
    norm = float(np.linalg.norm(sound))
    zeros = float((sound == 0).mean())
    bad = flat.size - sound.size
    return Numbers(
        a.shape, low, float(sound.mean()), high, float(sound.std()), norm, zeros, bad, tuple(map(int, counts))
    )


@dataclasses.dataclass(frozen=True)
class Row:
    """A layer in the whole step. `weight`, `gradient` and `ratio` (update : weight) are 2-norms of its first parameter,
    as the last sub-step moved it, None without; `mean` and `std` are of all it gave in forward passes, `dead` the share
    of its units that gave one and the same number there, None where it only moves numbers; `bad` counts what was not
    finite in any of its passes.
    """

    layer: str
    kind: str
    parameter: str
    frozen: bool
    weight: float | None
    gradient: float | None
    ratio: float | None
    mean: float
    std: float
    dead: float | None
    bad: int


class _Outputs:
    """What a layer gave, over several passes: sums, and which units never changed."""

    def __init__(self) -> None:
        self.n, self.sum, self.squares, self.bad = 0, 0.0, 0.0, 0
        self.first: NDArray[Any] | None = None
        self.still: NDArray[Any] = np.array(True)

    def add(self, y: NDArray[Any]) -> None:
        flat = y.reshape(-1, y.shape[-1])
        if self.first is None:
            self.first = flat[0]
        self.still = self.still & (flat == self.first).all(axis=0)
        with np.errstate(invalid="ignore", over="ignore"):  # numbers that are not finite are counted, and shown so
            self.n, self.sum = self.n + y.size, self.sum + float(y.sum(dtype=np.float64))
            self.squares += float((y.astype(np.float64) ** 2).sum())

    @property
    def mean(self) -> float:
        return self.sum / self.n if self.n else float("nan")

    @property
    def std(self) -> float:
        return float(np.sqrt(max(self.squares / self.n - self.mean**2, 0.0))) if self.n else float("nan")


class Overview:
    """Takes in what is seen of a step, layer by layer, and keeps no array."""

    def __init__(self) -> None:
        self._outputs: dict[str, _Outputs] = {}

    def see(self, seen: Seen) -> None:
        """As Watch hands it on."""
        found = self._outputs.setdefault(seen.layer.name, _Outputs())
        found.bad += sum(int(a.size - np.isfinite(a).sum()) for a in seen.arrays.values())
        if seen.during.which == "forward":
            found.add(seen.arrays["y"])

    def rows(self, layers: Sequence[Layer], moved: Sequence[Moved]) -> list[Row]:
        """A row for each layer that took part."""
        last = {name: (net, name) for net in moved for name in net.before}
        return [self._row(layer, last) for layer in layers if layer.name in self._outputs]

    def _row(self, layer: Layer, last: dict[str, tuple[Moved, str]]) -> Row:
        found, parameter = self._outputs[layer.name], next(iter(layer.params), "")
        weight = gradient = ratio = None
        if f"{layer.name}.{parameter}" in last:
            net, name = last[f"{layer.name}.{parameter}"]
            weight, gradient, ratio = norms(net, name)
        computes = bool(layer.params) or getattr(layer, "act", None) is not None
        dead = float(np.mean(found.still)) if computes else None
        kind = type(layer).__name__
        return Row(
            layer.name, kind, parameter, layer.frozen, weight, gradient, ratio, found.mean, found.std, dead, found.bad
        )


def norms(net: Moved, name: str) -> tuple[float, float, float]:
    """||w||, ||dw|| and ||update|| / ||w|| of a parameter; the last is infinite where zeros moved."""
    w, dw, after = (a[name].astype(np.float64) for a in (net.before, net.gradient, net.after))
    weight, update = float(np.linalg.norm(w)), float(np.linalg.norm(after - w))
    return weight, float(np.linalg.norm(dw)), update / weight if weight else float("inf") if update else 0.0


# What is odd of a row beside the others of its net, with the figures that are chosen: an update of Adam moves a weight
# by about its learning rate, 1e-5 to 1e-2 of what initial values are like; gradients of neighbours differ by ten or so.
FEW, MANY, APART, DEAD = 1e-7, 0.1, 1e-5, 0.5
_Odd = tuple[Callable[[Row, float], bool], str]
ODD: tuple[_Odd, ...] = (
    (lambda row, most: row.bad > 0, "{row.bad} numbers are not finite"),
    (
        lambda row, most: (row.dead or 0.0) >= DEAD,
        "{dead:.0f} % of its units are dead: one and the same number throughout",
    ),
    (
        lambda row, most: row.gradient == 0 and not row.frozen,
        "no gradient reaches {row.parameter}, and it is not frozen",
    ),
    (
        lambda row, most: row.gradient is not None and 0 < row.gradient < APART * most,
        "its gradient is less than a hundred-thousandth of the net's largest: it vanishes on its way here",
    ),
    (
        lambda row, most: row.ratio is not None and row.ratio > MANY,
        "{row.parameter} moved by {row.ratio:.2g} of its length in one step: a smaller lr, or clip_norm",
    ),
    (
        lambda row, most: row.ratio is not None and row.ratio < FEW and bool(row.gradient) and not row.frozen,
        "{row.parameter} moved by {row.ratio:.2g} of its length: it hardly learns",
    ),
)


def odd(rows: Sequence[Row]) -> Iterator[str]:
    """What is odd, a line each."""
    most: dict[str, float] = {}
    for row in rows:
        net = row.layer.partition(".")[0]
        most[net] = max(most.get(net, 0.0), row.gradient or 0.0)
    for row in rows:
        for test, words in ODD:
            if test(row, most[row.layer.partition(".")[0]]):
                yield f"{row.layer} {row.kind}: {words.format(row=row, dead=100 * (row.dead or 0.0))}"
