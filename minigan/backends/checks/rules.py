"""How a rule is written, and how a compiled backend finds the words for what its kernel refused."""

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from minigan.errors import ShapeError
from minigan.models.shapes import Array, expect, expect_same, expect_some


def rule(arrays: str) -> Callable[[Any], Any]:
    """Names a check's arrays for `explain`: "b?" may be None, "dw!" is written in place, "labels#" is int32."""

    def mark(check: Any) -> Any:
        check.arrays = {word.rstrip("?!#"): word for word in arrays.split()}
        return check

    return mark


def explain(check: Any, args: tuple[Any, ...]) -> NoReturn:
    """Raises the ShapeError that says why a compiled backend refused `args`: layout first, then `check`."""
    for name, value in zip(inspect.signature(check).parameters, args, strict=False):
        word = check.arrays.get(name)
        if word and not (value is None and "?" in word):
            _layout(name, value, np.dtype(np.int32 if "#" in word else np.float32), "!" in word)
    check(*args)
    raise ShapeError(f"the backend refused what the rules of {check.__name__} allow; please report this")


def _layout(name: str, a: Any, dtype: Any, written: bool) -> None:
    if not isinstance(a, np.ndarray):
        raise ShapeError(
            f"{name} is of type {type(a).__name__}, expected a NumPy array of {dtype.name}; make one with asarray"
        )
    if a.dtype != dtype:
        raise ShapeError(
            f"{name} has dtype {a.dtype.str}, expected {dtype.name} in native byte order; convert it with asarray"
        )
    expect_some(name, a)
    if not a.flags.c_contiguous:
        raise ShapeError(
            f"{name} of shape {a.shape} is not C-contiguous; make a contiguous copy with numpy.ascontiguousarray"
        )
    if not a.flags.aligned:
        raise ShapeError(f"{name} starts at an address that is no multiple of {dtype.itemsize}; give a copy of it")
    if written and not a.flags.writeable:
        raise ShapeError(f"{name} is read-only, but is updated in place; give a writeable array")


def with_channels(name: str, a: Array) -> None:
    """`a` holds data along one axis at least."""
    expect_some(name, a)
    if a.ndim == 0:
        raise ShapeError(f"{name} is a single number, expected an array with at least one axis")


def two(first: str, a: Array, second: str, b: Array) -> None:
    """`a` and `b` hold data and have one shape."""
    expect_some(first, a)
    expect_same(second, b, first, a)


def in_range(name: str, values: Array, low: int, high: int) -> None:
    """Whole numbers from `low` to `high`."""
    if values.min() < low or values.max() > high:
        lies = "lie" if name == "labels" else "lies"
        raise ShapeError(f"{name} {lies} in [{values.min()}, {values.max()}], expected [{low}, {high}]")


def per_sample(name: str, a: Array, x: Array, *more: int) -> None:
    """`a` has one entry (of shape `more`) for each sample of x."""
    expect(name, a, x.shape[0], *more)
