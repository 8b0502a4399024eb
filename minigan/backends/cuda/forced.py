"""Calls by a named implementation, and what a planned call really does."""

from collections.abc import Callable
from typing import Any

from minigan.backends import plan
from minigan.backends.cuda.conv import conv2d_by, conv2d_dgrad_by, conv2d_wgrad_by
from minigan.backends.cuda.linear import linear_by, linear_dgrad_by, linear_wgrad_by
from minigan.models.shapes import Array, Pads, Pair, Shape

PLANNED = (*plan.OPS, *plan.DENSE)  # ops of several implementations
_CALLS: dict[str, Callable[..., Any]] = {
    "conv2d": conv2d_by,
    "conv2d_dgrad": conv2d_dgrad_by,
    "conv2d_wgrad": conv2d_wgrad_by,
    "linear": linear_by,
    "linear_dgrad": linear_dgrad_by,
    "linear_wgrad": linear_wgrad_by,
}


def by(impl: str, op: str, *args: Any) -> Any:
    """op(*args) by the implementation `impl`, whatever the plan says.

    Raises BackendError when it is unknown or cannot serve the shape, and ShapeError as the op does.
    """
    return _CALLS[op](impl, *args)


def prepare_by(impl: str, op: str, image: Shape, w: Array, stride: Pair, padding: Pads, out_hw: Any = None) -> Array:
    """What `op` by `impl` takes in place of w: w itself, as all implementations do."""
    return w


def image_by(impl: str, x: Array, w: Array, stride: Pair, padding: Pads) -> Array:
    """What convolutions by `impl` take in place of x: x itself, as all implementations do."""
    return x
