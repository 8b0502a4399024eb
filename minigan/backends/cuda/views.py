"""Wrapped arrays, kept as long as the arrays: wrapping one for a kernel costs more than launching it."""

import weakref
from collections.abc import Callable
from typing import Any


class Views:
    """`views(a, axes)` is wrap(a, axes), made once per array object and number of axes.

    Nothing is keyed by an address, which the pool gives to another array as soon as this one goes. The key is the
    object: its entry goes when it goes, before its id can be another one's. `wrap` must not keep the array alive.
    """

    def __init__(self, wrap: Callable[[Any, int], Any]):
        self._wrap = wrap
        self._kept: dict[int, tuple[weakref.ref[Any], dict[int, Any]]] = {}  # id: the array, its wrappers by axes

    def __call__(self, a: Any, axes: int) -> Any:
        """`a` wrapped with this number of axes."""
        key, kept = id(a), self._kept
        if key not in kept:
            kept[key] = weakref.ref(a, lambda _: kept.pop(key)), {}
        wrapped = kept[key][1]
        if axes not in wrapped:
            wrapped[axes] = self._wrap(a, axes)
        return wrapped[axes]

    def __len__(self) -> int:
        return len(self._kept)
