"""The activation that an op applies on its way out: act(value), of a value that is still in a register."""

import math

from minigan.backends.cuda._numba import device_function, float32
from minigan.models.shapes import ACTIVATIONS, Act

NONE, RELU, LEAKY_RELU, TANH, SIGMOID = range(5)
_CODES = dict(zip(ACTIVATIONS, (RELU, LEAKY_RELU, TANH, SIGMOID), strict=True))


def code(act: Act | None) -> tuple[int, float]:
    """(kind, slope) as kernels take them."""
    return (NONE, 0.0) if act is None else (_CODES[act.kind], float(act.slope))


@device_function
def sigmoid(x):
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows and no digits are lost on either side."""
    e = float32(math.exp(-abs(x)))
    top = e if x < float32(0) else float32(1)
    return top / (float32(1) + e)


@device_function
def activate(x, kind, slope):
    """act(x). A comparison with NaN is false, so NaN passes through relu and leaky_relu."""
    if kind == RELU:
        return float32(0) if x <= float32(0) else x
    if kind == LEAKY_RELU:
        return slope * x if x <= float32(0) else x
    if kind == TANH:
        return float32(math.tanh(x))
    if kind == SIGMOID:
        return sigmoid(x)
    return x
