"""Slabs: one buffer for all arrays of a role, and where in it each of them lies."""

import numpy as np

from minigan.models.shapes import Array, Shape

SEGMENTS = ("decay", "no_decay", "frozen")  # frozen last, so that what is learned is one slice
_ALIGN_BYTES = 64


class Layout:
    """Where each named array lies in a slab: offsets padded to 64 bytes, segments one after the other."""

    def __init__(self, shapes: dict[str, tuple[Shape, str]], itemsize: int):
        self.shapes = {name: shape for name, (shape, _) in shapes.items()}
        self.at: dict[str, int] = {}
        self.segments: dict[str, slice] = {}
        unit, size = _ALIGN_BYTES // itemsize, 0
        for segment in SEGMENTS:
            start = size
            for name, (shape, of) in shapes.items():
                if of == segment:
                    self.at[name] = size
                    size += -(-size_of(shape) // unit) * unit
            self.segments[segment] = slice(start, size)
        self.size = size
        self.learned = slice(0, self.segments["frozen"].start)
        self.frozen = frozenset(name for name, (_, of) in shapes.items() if of == "frozen")

    def views(self, slab: Array) -> dict[str, Array]:
        """name -> view of the slab, in the shape it was declared with."""
        return {n: slab[a : a + size_of(self.shapes[n])].reshape(self.shapes[n]) for n, a in self.at.items()}


def size_of(shape: Shape) -> int:
    """How many numbers an array of this shape has."""
    return int(np.prod(shape, dtype=np.int64))
