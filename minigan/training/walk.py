"""The layers of a task's nets, one after the other: what a dry run, and whoever looks inside, tell of."""

from collections.abc import Iterator
from typing import NamedTuple

from minigan.models.layers import Layer
from minigan.models.net import Net
from minigan.models.shapes import Shape
from minigan.models.slabs import size_of
from minigan.tasks import Task


class Place(NamedTuple):
    """A layer, in which net, and how many samples pass through it at a time."""

    net: Net
    layer: Layer
    n: int

    @property
    def kind(self) -> str:
        """Its class, and whether it is frozen."""
        return f"{type(self.layer).__name__}{', frozen' if self.layer.frozen else ''}"

    @property
    def shape(self) -> Shape:
        """Of its output, N included."""
        return (self.n, *self.layer.out_shape)

    @property
    def parameters(self) -> int:
        """How many numbers it learns."""
        return sum(size_of(param.shape) for param in self.layer.params.values())


def nets(task: Task) -> dict[str, tuple[Net, int]]:
    """The nets that learn, by name, each with the samples that it takes at a time: of packed ones fewer."""
    c = task.config
    size = {"d": c.train.batch_size // c.model.packing}
    return {key: (net, size.get(key, c.train.batch_size)) for key, net in task.nets.items() if key != "ema"}


def places(net: Net, n: int) -> Iterator[Place]:
    """The layers of a net, in the order of the forward pass."""
    return (Place(net, layer, n) for layer in net.layers)
