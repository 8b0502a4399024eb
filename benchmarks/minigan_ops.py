"""minigan's side of `benchmarks.ops`: one op of the backend at a time, and what it costs by backends/costs.py."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks import minigan_nets
from benchmarks.works import EPS, KERNEL, RATE, SLOPE, N
from minigan import backends, rng
from minigan.backends.clock import CLIP, HOST_WORDS, WORDS, host_words
from minigan.models.shapes import Act, pads
from minigan.study.work import cost

Passes = dict[str, tuple[Any, ...]]  # pass -> op and its arguments
_PEAK_S = 0.5


def about(settings: dict[str, Any]) -> dict[str, Any]:
    """As for the nets; and the peak of multiply-adds over all threads, measured by the extension, or None."""
    found = minigan_nets.extension()
    probe = getattr(found.kernels(found.isa()), "fma_peak", None) if found else None
    return minigan_nets.about(settings) | {"peak_gflop_per_s": probe(_PEAK_S) if probe else None}


def _linear(make: Any, work: dict[str, Any]) -> Passes:
    n, i, o = work["n"], work["i"], work["o"]
    x, w, dy, dw = make(n, i), make(i, o), make(n, o), make(i, o)
    return {
        "forward": ("linear", x, w, None),
        "dgrad": ("linear_dgrad", dy, w),
        "wgrad": ("linear_wgrad", dy, x, dw, None),
    }


def _conv(make: Any, work: dict[str, Any]) -> Passes:
    """Conv2d's passes, and ConvTranspose2d's: the same three kernels with the roles turned (models/layers.py)."""
    size, i, o, stride = work["size"], work["i"], work["o"], (work["stride"],) * 2
    padding = pads("same", (KERNEL, KERNEL), stride, (size, size))
    small = size // work["stride"]
    large, out, w, dw = make(N, size, size, i), make(N, small, small, o), make(5, 5, i, o), make(5, 5, i, o)
    down = ("conv2d", large, w, None, stride, padding)
    up = ("conv2d_dgrad", out, w, None, stride, padding, (size, size))
    forward, dgrad = (up, down) if work["kind"] == "convT" else (down, up)
    return {"forward": forward, "dgrad": dgrad, "wgrad": ("conv2d_wgrad", out, large, dw, None, stride, padding)}


def _batchnorm(make: Any, work: dict[str, Any]) -> Passes:
    x, dy = make(*work["shape"]), make(*work["shape"])
    gamma, beta, mean, var, dgamma, dbeta = (make(work["shape"][-1]) for _ in range(6))
    return {
        "forward": ("batchnorm", x, gamma, beta, EPS),
        "backward": ("batchnorm_backward", dy, x, gamma, mean, var * var, EPS, dgamma, dbeta),
    }


def _activation(make: Any, work: dict[str, Any]) -> Passes:
    x, dy, act = make(*work["shape"]), make(*work["shape"]), Act(work["kind"], SLOPE)
    return {"forward": ("activation", x, act), "backward": ("activation_backward", dy, np.tanh(x), act)}


def _dropout(make: Any, work: dict[str, Any]) -> Passes:
    x, clock = make(*work["shape"]), np.zeros(WORDS, np.float32)
    return {"forward": ("dropout", x, RATE, clock, 1), "backward": ("dropout_backward", x, RATE, clock, 1)}


def _adam(make: Any, work: dict[str, Any]) -> Passes:
    p, dp, m, v = (make(*work["shape"]) for _ in range(4))
    clock = np.zeros(WORDS, np.float32)
    clock[:HOST_WORDS] = host_words(0, 0, [(2e-4, 1.0, 1.0)], np.float32)
    clock[CLIP] = 1
    return {"step": ("adam_step", p, dp, m, v * v, clock, 0, 0.5, 0.999, 1e-8, 0.0)}


KINDS = {
    "linear": _linear,
    "conv": _conv,
    "convT": _conv,
    "batchnorm": _batchnorm,
    "leaky_relu": _activation,
    "tanh": _activation,
    "dropout": _dropout,
    "adam": _adam,
}


def prepare(settings: dict[str, Any], work: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    """The pass that `work` names, with its cost. Raises BackendError when the backend is incomplete."""
    ops, host = backends.load(settings["backend"]), rng.host(0, "benchmark")

    def make(*shape: int) -> Any:
        return ops.asarray(host.standard_normal(shape, np.float32))

    op, *args = KINDS[work["kind"]](make, work)[work["pass"]]
    return partial(getattr(ops, op), *args), {"op": op, **cost(ops, op, *args)}
