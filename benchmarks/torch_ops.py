"""PyTorch's side of `benchmarks.ops`: one op at a time, without autograd, in both memory formats."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.torch_nets import about
from benchmarks.works import EPS, KERNEL, RATE, SLOPE, N

__all__ = ["about", "prepare"]

aten = torch.ops.aten
Call = Callable[[], Any]


def _linear(work: dict[str, Any], form: Callable[[Tensor], Tensor]) -> dict[str, Call]:
    n, i, o = work["n"], work["i"], work["o"]
    x, w, dy = torch.randn(n, i), torch.randn(o, i), torch.randn(n, o)
    return {"forward": lambda: F.linear(x, w), "dgrad": lambda: dy @ w, "wgrad": lambda: dy.T @ x}


def _conv(work: dict[str, Any], form: Callable[[Tensor], Tensor]) -> dict[str, Call]:
    size, i, o, s, turned = work["size"], work["i"], work["o"], work["stride"], work["kind"] == "convT"
    large, small = form(torch.randn(N, i, size, size)), form(torch.randn(N, o, size // s, size // s))
    x, dy = (small, large) if turned else (large, small)
    w, pad, grow = form(torch.randn(o, i, KERNEL, KERNEL)), KERNEL // 2, s - 1 if turned else 0

    def backward(dx: bool, dw: bool) -> Any:
        where = ([s, s], [pad, pad], [1, 1], turned, [grow, grow], 1)
        return aten.convolution_backward(dy, x, w, None, *where, [dx, dw, False])

    return {
        "forward": lambda: aten.convolution(x, w, None, [s, s], [pad, pad], [1, 1], turned, [grow, grow], 1),
        "dgrad": lambda: backward(True, False),
        "wgrad": lambda: backward(False, True),
    }


def _batchnorm(work: dict[str, Any], form: Callable[[Tensor], Tensor]) -> dict[str, Call]:
    x, dy = _pair(work, form)
    c = x.shape[1]
    gamma, beta, mean, var = torch.ones(c), torch.zeros(c), torch.zeros(c), torch.ones(c)
    _, kept_mean, kept_scale = aten.native_batch_norm(x, gamma, beta, mean, var, True, 0.1, EPS)
    saved = (gamma, mean, var, kept_mean, kept_scale, True, EPS, [True, True, True])
    return {
        "forward": lambda: F.batch_norm(x, mean, var, gamma, beta, True, 0.1, EPS),
        "backward": lambda: aten.native_batch_norm_backward(dy, x, *saved),
    }


def _leaky_relu(work: dict[str, Any], form: Callable[[Tensor], Tensor]) -> dict[str, Call]:
    x, dy = _pair(work, form)
    return {
        "forward": lambda: F.leaky_relu(x, SLOPE),
        "backward": lambda: aten.leaky_relu_backward(dy, x, SLOPE, True),
    }


def _tanh(work: dict[str, Any], form: Callable[[Tensor], Tensor]) -> dict[str, Call]:
    x, dy = _pair(work, form)
    y = torch.tanh(x)
    return {"forward": lambda: torch.tanh(x), "backward": lambda: aten.tanh_backward(dy, y)}


def _dropout(work: dict[str, Any], form: Callable[[Tensor], Tensor]) -> dict[str, Call]:
    x, dy = _pair(work, form)
    _, mask = aten.native_dropout(x, RATE, True)
    return {
        "forward": lambda: aten.native_dropout(x, RATE, True),
        "backward": lambda: aten.native_dropout_backward(dy, mask, 1 / (1 - RATE)),
    }


def _adam(work: dict[str, Any], form: Callable[[Tensor], Tensor]) -> dict[str, Call]:
    p = torch.randn(work["shape"], requires_grad=True)
    p.grad = torch.randn(work["shape"])
    return {"step": torch.optim.Adam([p], 2e-4, (0.5, 0.999), fused=True, capturable=p.is_cuda).step}


def _pair(work: dict[str, Any], form: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """x and dy (N,C) or (N,C,H,W); `shape` has its channels last."""
    n, *hw, c = work["shape"]
    return form(torch.randn(n, c, *hw)), form(torch.randn(n, c, *hw))


KINDS = {
    "linear": _linear,
    "conv": _conv,
    "convT": _conv,
    "batchnorm": _batchnorm,
    "leaky_relu": _leaky_relu,
    "tanh": _tanh,
    "dropout": _dropout,
    "adam": _adam,
}


def prepare(settings: dict[str, Any], work: dict[str, Any]) -> tuple[Call, dict[str, Any]]:
    """The pass that `work` names, in the memory format of `settings`."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)

    def form(x: Tensor) -> Tensor:
        last = settings["channels_last"] and x.ndim == 4
        return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    call = KINDS[work["kind"]](work, form)[work["pass"]]

    def without_graph() -> None:
        with torch.inference_mode():
            call()

    return (call if work["kind"] == "adam" else without_graph), {}
