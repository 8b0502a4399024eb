"""How a rule is written, and how a compiled backend finds the words for what its kernel refused."""

import functools
import inspect
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NoReturn

import numpy as np

from minigan.errors import ShapeError
from minigan.models.shapes import ACTIVATIONS, Act, Array, Pads, Pair, expect, expect_same, expect_some

MOST_ELEMENTS = 2**31 - 1  # of a compiled backend's array
MOST_SIZE = 2**20 - 1  # of a stride, a padding, an image's side given by number


def rule(arrays: str) -> Callable[[Any], Any]:
    """Names a check's arrays: "b?" may be None, "dw!" is written in place, "labels#" is int32.

    What all ops have in common is refused before the check itself: no array where one is due, a number or pair that is
    none (by the parameter's annotation), and an array written in place that shares memory with another one.
    """

    def mark(check: Any) -> Any:
        words = {word.rstrip("?!#"): word for word in arrays.split()}
        parameters = inspect.signature(check).parameters
        scalars = {name: SCALARS[p.annotation] for name, p in parameters.items() if p.annotation in SCALARS}

        @functools.wraps(check)
        def checked(*args: Any) -> None:
            given = dict(zip(parameters, args, strict=False))
            for name, word in words.items():
                _array(name, given[name], "?" in word)
            for name in scalars.keys() & given.keys():
                scalars[name](name, given[name])
            _apart({name: given[name] for name in words}, [name for name, word in words.items() if "!" in word])
            check(*args)

        checked.arrays = words  # type: ignore[attr-defined]
        return checked

    return mark


def explain(check: Any, args: tuple[Any, ...]) -> NoReturn:
    """Raises the ShapeError that says why a compiled backend refused `args`."""
    require(check, args)
    raise ShapeError(f"the backend refused what the rules of {check.__name__} allow; please report this")


def require(check: Any, args: tuple[Any, ...], kind: type = np.ndarray) -> None:
    """Raises a ShapeError unless `args` are what a compiled backend whose arrays are of type `kind` takes: layout
    first, then `check`."""
    for name, value in zip(inspect.signature(check).parameters, args, strict=False):
        word = check.arrays.get(name)
        if word and not (value is None and "?" in word):
            _layout(name, value, np.dtype(np.int32 if "#" in word else np.float32), "!" in word, kind)
    check(*args)


def _array(name: str, a: Any, may_be_none: bool) -> None:
    if not (hasattr(a, "shape") and hasattr(a, "dtype")) and not (a is None and may_be_none):
        raise ShapeError(f"{name} is of type {type(a).__name__}, expected an array; make one with asarray")


def _apart(arrays: dict[str, Any], written: list[str]) -> None:
    for out in written:
        for name, a in arrays.items():
            if name != out and a is not None and arrays[out] is not None and _overlap(arrays[out], a):
                raise ShapeError(
                    f"{out} shares memory with {name}, but is updated in place while that is read; give a copy of one"
                )


def _overlap(a: Any, b: Any) -> bool:
    """Whether two arrays share memory; on a device, where both are contiguous, by their addresses."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.shares_memory(a, b)
    first, second = (x.__cuda_array_interface__["data"][0] for x in (a, b))
    return first < second + b.nbytes and second < first + a.nbytes


def _real(name: str, value: Any) -> None:
    if not isinstance(value, Real):
        raise ShapeError(f"{name} is {value!r}, expected a number")


def _whole(name: str, value: Any) -> None:
    if not isinstance(value, Integral):
        raise ShapeError(f"{name} is {value!r}, expected a whole number")


def _word(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise ShapeError(f"{name} is {value!r}, expected a word")


def _sizes(value: Any, least: int) -> bool:
    """Is it two whole numbers in range?"""
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(n, Integral) and least <= int(n) <= MOST_SIZE for n in value)
    )


def _pair(name: str, value: Any) -> None:
    if not _sizes(value, 1):
        raise ShapeError(f"{name} is {value!r}, expected a tuple of two whole numbers from 1 to {MOST_SIZE}")


def _pads(name: str, value: Any) -> None:
    if not (isinstance(value, tuple) and len(value) == 2 and all(_sizes(side, 0) for side in value)):
        raise ShapeError(
            f"{name} is {value!r}, expected ((top, bottom), (left, right)) of whole numbers from 0 to {MOST_SIZE}"
        )


def _act(name: str, act: Any) -> None:
    if act is None:
        return
    if not (isinstance(act, tuple) and len(act) == 2 and isinstance(act[0], str) and isinstance(act[1], Real)):
        raise ShapeError(f"{name} is {act!r}, expected None or Act(kind, slope)")
    if act[0] not in ACTIVATIONS:
        raise ShapeError(f"activation {act[0]!r} is unknown; known: {', '.join(ACTIVATIONS)}")


# What a parameter must be, by its annotation
SCALARS: dict[Any, Callable[[str, Any], None]] = {
    float: _real,
    int: _whole,
    str: _word,
    Pair: _pair,
    Pads: _pads,
    Act | None: _act,
}


def _layout(name: str, a: Any, dtype: Any, written: bool, kind: Any) -> None:
    if isinstance(a, np.ndarray) and not issubclass(np.ndarray, kind):
        raise ShapeError(f"{name} is an array on the host, expected one of the device; make it with asarray")
    if not isinstance(a, kind):
        raise ShapeError(f"{name} is of type {type(a).__name__}, expected an array; make one with asarray")
    if a.dtype != dtype:
        raise ShapeError(
            f"{name} has dtype {a.dtype.str}, expected {dtype.name} in native byte order; convert it with asarray"
        )
    expect_some(name, a)
    if a.size > MOST_ELEMENTS:
        raise ShapeError(f"{name} has {a.size} elements, expected at most {MOST_ELEMENTS}; give it in parts")
    if not a.flags.c_contiguous:
        raise ShapeError(
            f"{name} of shape {a.shape} is not C-contiguous; make a contiguous copy with numpy.ascontiguousarray"
        )
    if kind is not np.ndarray:  # device memory is aligned and writeable
        return
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
    """Whole numbers from `low` to `high`. On a device they are not looked at, which would wait: kernels answer NaN."""
    if not isinstance(values, np.ndarray):
        return
    if values.min() < low or values.max() > high:
        lies = "lie" if name == "labels" else "lies"
        raise ShapeError(f"{name} {lies} in [{values.min()}, {values.max()}], expected [{low}, {high}]")


def per_sample(name: str, a: Array, x: Array, *more: int) -> None:
    """`a` has one entry (of shape `more`) for each sample of x."""
    expect(name, a, x.shape[0], *more)
