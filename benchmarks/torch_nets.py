"""PyTorch's side of `benchmarks.step`: the networks of the presets mlp-mnist and dcgan-mnist and one training step.

The same work as minigan's, written as fast as PyTorch's own means allow: no graph is built for the fake batch of D's
step, and in G's step D's weights ask for no gradient. Imports nothing of minigan: it may run in another environment.
"""

import platform
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.works import SHAPE

Model = dict[str, Any]
_ACTIVATIONS: dict[str, Callable[[Model], nn.Module]] = {
    "relu": lambda model: nn.ReLU(),
    "leaky_relu": lambda model: nn.LeakyReLU(model["slope"]),
    "tanh": lambda model: nn.Tanh(),
    "sigmoid": lambda model: nn.Sigmoid(),
}


class Image(nn.Module):
    """Features -> images (N,C,H,W), of the given memory format, without a copy."""

    def __init__(self, size: int, channels: int, channels_last: bool):
        super().__init__()
        self.size, self.channels, self.channels_last = size, channels, channels_last

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_last:
            return x.view(-1, self.size, self.size, self.channels).permute(0, 3, 1, 2)
        return x.view(-1, self.channels, self.size, self.size)


def mlp(model: Model, channels_last: bool) -> tuple[nn.Module, nn.Module]:
    """G: z -> widths_g -> pixels; D: pixels -> widths_d -> 1."""
    pixels = SHAPE[0] * SHAPE[1] * SHAPE[2]

    def dense(sizes: list[int], act: str) -> list[nn.Module]:
        return [layer for i, o in pairwise(sizes) for layer in (nn.Linear(i, o), _ACTIVATIONS[act](model))]

    g = dense([model["z"], *model["widths_g"]], model["act_g"])
    d = dense([pixels, *model["widths_d"]], model["act_d"])
    g += [nn.Linear(model["widths_g"][-1], pixels), _ACTIVATIONS[model["output"]](model)]
    return nn.Sequential(*g), nn.Sequential(nn.Flatten(), *d, nn.Linear(model["widths_d"][-1], 1))


def dcgan(model: Model, channels_last: bool) -> tuple[nn.Module, nn.Module]:
    """As minigan's builder; padding 2 on both sides where Keras' "same" pads 1 and 2: the sizes are equal."""
    widths, strides, k = [*model["widths_g"], SHAPE[2]], model["strides_g"], model["kernel"]
    size = SHAPE[0]
    for stride in strides:
        size //= stride
    norm = {"eps": model["bn_eps"], "momentum": 1 - model["bn_momentum"]}
    features = size * size * widths[0]
    g = [nn.Linear(model["z"], features, bias=False), nn.BatchNorm1d(features, **norm)]
    g += [_ACTIVATIONS[model["act_g"]](model), Image(size, widths[0], channels_last)]
    for i, stride in enumerate(strides):
        g.append(nn.ConvTranspose2d(widths[i], widths[i + 1], k, stride, k // 2, stride - 1, bias=False))
        last = i == len(strides) - 1
        g += [] if last else [nn.BatchNorm2d(widths[i + 1], **norm)]
        g.append(_ACTIVATIONS[model["output" if last else "act_g"]](model))
    d, size, channels = [], SHAPE[0], SHAPE[2]
    for width in model["widths_d"]:
        d += [nn.Conv2d(channels, width, k, 2, k // 2), _ACTIVATIONS[model["act_d"]](model)]
        d += [nn.Dropout(model["dropout"])] if model["dropout"] else []
        size, channels = -(-size // 2), width
    return nn.Sequential(*g), nn.Sequential(*d, nn.Flatten(), nn.Linear(size * size * channels, 1))


FAMILIES = {"mlp": mlp, "dcgan": dcgan}


def about(settings: dict[str, Any]) -> dict[str, Any]:
    """Versions and threads."""
    torch.set_num_threads(settings["threads"])
    return {
        "version": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "isa": torch.backends.cpu.get_cpu_capability(),
    }


def prepare(settings: dict[str, Any], work: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    """One training step, or one batch of samples from a given z, of the variant that `settings` describes."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    tables, batch = work["config"], work["batch"]
    g, d = FAMILIES[tables["model"]["family"]](tables["model"], settings["channels_last"])
    for p in [*g.parameters(), *d.parameters()]:
        if p.ndim > 1:
            nn.init.normal_(p, std=tables["model"]["init_std"])
    facts = {"parameters": [sum(p.numel() for p in net.parameters()) for net in (g, d)]}
    layout = torch.channels_last if settings["channels_last"] else torch.contiguous_format
    if settings["channels_last"]:
        g, d = g.to(memory_format=layout), d.to(memory_format=layout)
    makers = {"step": _step, "sample": _sample}
    return makers[work["kind"]](settings, tables, batch, g, d, layout), facts


def _compiled(settings: dict[str, Any], net: nn.Module) -> nn.Module:
    return torch.compile(net) if settings["compile"] else net


def _sample(settings: dict[str, Any], tables: Any, batch: int, g: Any, d: Any, layout: Any) -> Callable[[], Any]:
    g, z = _compiled(settings, g.eval()), torch.randn(batch, tables["model"]["z"])

    def sample() -> Tensor:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=settings["bf16"]):
            return g(z)

    return sample


def _step(settings: dict[str, Any], tables: Any, batch: int, g: Any, d: Any, layout: Any) -> Callable[[], Any]:
    def adam(net: nn.Module, c: dict[str, Any]) -> torch.optim.Adam:
        how = {"fused": True if settings["fused"] else None, "capturable": settings.get("capturable", False)}
        return torch.optim.Adam(net.parameters(), c["lr"], (c["beta1"], c["beta2"]), c["eps"], **how)

    opt_g, opt_d = adam(g, tables["g"]), adam(d, tables["d"])
    weights_d = list(d.parameters())
    g, d = _compiled(settings, g), _compiled(settings, d)
    real = torch.rand(batch, SHAPE[2], *SHAPE[:2]).contiguous(memory_format=layout)
    one, zero, shared = torch.ones(batch, 1), torch.zeros(batch, 1), tables["train"]["share_fake"]

    def autocast() -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=settings["bf16"])

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits.float(), target)

    def z() -> Tensor:
        return torch.randn(batch, tables["model"]["z"])

    def step() -> None:
        with autocast():
            with torch.set_grad_enabled(shared):
                fake = g(z())
            opt_d.zero_grad(set_to_none=True)
            loss_d = loss(d(real), one) + loss(d(fake.detach()), zero)
        loss_d.backward()
        opt_d.step()
        for p in weights_d:
            p.requires_grad_(False)
        with autocast():
            opt_g.zero_grad(set_to_none=True)
            loss_g = loss(d(fake if shared else g(z())), one)
        loss_g.backward()
        opt_g.step()
        for p in weights_d:
            p.requires_grad_(True)

    return step
