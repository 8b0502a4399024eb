"""A method of some objects wrapped for a while: layers looked at from outside, without a word of it in them."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def wrapped(objects: Collection[Any], method: str, around: Callable[[Any, Callable[..., Any]], Any]) -> Iterator[None]:
    """While it lasts, each object's `method` is around(object, method)."""
    for one in objects:
        setattr(one, method, around(one, getattr(one, method)))
    try:
        yield
    finally:
        for one in objects:
            delattr(one, method)
