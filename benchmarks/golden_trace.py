"""Golden traces: the first GAN steps computed by PyTorch, in float64, for tests/test_golden.py to meet.

From minigan come inputs alone: initial parameters, z, dropout masks, and the data in file order: batch k is rows k B to
(k + 1) B - 1. Forward passes, losses, gradients (autograd), optimizers and running statistics are PyTorch's. Parameters
keep minigan's layout (KH,KW,I,O) and are permuted inside the passes, so that their gradients come out in it too.

    python benchmarks/golden_trace.py MNIST_FOLDER        writes tests/golden/*.json
"""

import hashlib
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minigan import config as configs
from minigan import data, rng
from minigan.backends import oracle
from minigan.backends.clock import HOST_WORDS, WORDS, host_words
from minigan.tasks.gan import GAN

STEPS = 5
FOLDER = Path(__file__).parent.parent / "tests" / "golden"
FLOAT64 = "train.dtype=float64"
SMALL = [
    FLOAT64,
    "train.batch_size=8",
    "model.z=6",
    "model.widths_g=[8,6,4]",
    "model.widths_d=[4,6]",
    "model.init_std=0.2",
    "g.lr=0.002",
    "d.lr=0.002",
]
OTHER_ACTIVATIONS = ["model.act_g=relu", "model.act_d=tanh"]
PENALTY = ["g.l2=0.01", "d.l2=0.02"]
DECAYING = ["g.weight_decay=0.1", "d.weight_decay=0.2", "d.schedule=cosine", "d.horizon=8"]
MOMENTUM = ["g.rule=sgd", "g.lr=0.02", "d.rule=sgd", "d.momentum=0.9"]
CLIPPED = ["g.rule=rmsprop", "d.rule=rmsprop", "train.weight_clip=0.1", "train.n_critic=2"]

# file name: (preset, --set overrides, data). "synthetic" is uniform in [-1, 1), of SYNTHETIC_SHAPE.
TRACES: dict[str, tuple[str, list[str], str]] = {
    "mlp-mnist": ("mlp-mnist", [FLOAT64], "mnist"),
    "dcgan-mnist": ("dcgan-mnist", [FLOAT64], "mnist"),
    "non-saturating": ("dcgan-mnist", [*SMALL, *OTHER_ACTIVATIONS, "model.noise=uniform"], "synthetic"),
    "minimax": ("dcgan-mnist", [*SMALL, "loss.name=minimax", "loss.smoothing=0.1", *PENALTY], "synthetic"),
    "least-squares": ("dcgan-mnist", [*SMALL, "loss.name=least-squares", *DECAYING, "d.clip_norm=12"], "synthetic"),
    "hinge": ("dcgan-mnist", [*SMALL, "loss.name=hinge", *MOMENTUM, "d.clip_norm=3.1"], "synthetic"),
    "wasserstein": ("dcgan-mnist", [*SMALL, "loss.name=wasserstein", *CLIPPED, "d.clip_norm=0.62"], "synthetic"),
    "relativistic": ("dcgan-mnist", [*SMALL, "loss.name=relativistic", "train.n_critic=2"], "synthetic"),
    "feature-matching": ("dcgan-mnist", [*SMALL, "loss.name=feature-matching"], "synthetic"),
}
SYNTHETIC_SHAPE = (8, 8, 3)

ACTIVATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "relu": lambda x, slope: F.relu(x),
    "leaky_relu": F.leaky_relu,
    "tanh": lambda x, slope: torch.tanh(x),
    "sigmoid": lambda x, slope: torch.sigmoid(x),
}


def bce(logits: Tensor, target: float) -> Tensor:
    """-mean(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x)))"""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def mse(x: Tensor, target: float) -> Tensor:
    """mean (x - t)^2"""
    return F.mse_loss(x, torch.full_like(x, target))


# name: (loss of D from real, fake, smoothing; loss of G from fake and real; whether D(x) means D's sigmoid);
# feature-matching's loss of G is given what feeds D's last layer
LOSSES: dict[str, tuple[Callable[[Tensor, Tensor, float], Tensor], Callable[[Tensor, Tensor], Tensor], bool]] = {
    "minimax": (lambda r, f, s: bce(r, 1 - s) + bce(f, 0), lambda f, r: F.logsigmoid(-f).mean(), True),
    "non-saturating": (lambda r, f, s: bce(r, 1 - s) + bce(f, 0), lambda f, r: -F.logsigmoid(f).mean(), True),
    "least-squares": (lambda r, f, s: mse(r, 1) + mse(f, 0), lambda f, r: mse(f, 1), False),
    "hinge": (lambda r, f, s: F.relu(1 - r).mean() + F.relu(1 + f).mean(), lambda f, r: -f.mean(), False),
    "wasserstein": (lambda r, f, s: f.mean() - r.mean(), lambda f, r: -f.mean(), False),
    "relativistic": (lambda r, f, s: F.softplus(f - r).mean(), lambda f, r: F.softplus(r - f).mean(), False),
    "feature-matching": (
        lambda r, f, s: bce(r, 1 - s) + bce(f, 0),
        lambda f, r: (f.mean(dim=0) - r.mean(dim=0)).square().sum(),
        True,
    ),
}

OPTIMIZERS: dict[str, Callable[[Any, Any], torch.optim.Optimizer]] = {
    "adam": lambda groups, c: torch.optim.AdamW(groups, lr=c.lr, betas=(c.beta1, c.beta2), eps=c.eps),
    "sgd": lambda groups, c: torch.optim.SGD(groups, lr=c.lr, momentum=c.momentum),
    "rmsprop": lambda groups, c: torch.optim.RMSprop(groups, lr=c.lr, alpha=c.rho, eps=c.eps),
}


def same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows that "same" adds before and after: ceil(size / stride) come out, the odd row goes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def conv(x: Tensor, w: Tensor, b: Tensor, stride: int) -> Tensor:
    """x (N,I,H,W), w (K,K,I,O) -> (N,O,ceil(H/s),ceil(W/s))"""
    before, after = same(x.shape[2], w.shape[0], stride)
    return F.conv2d(F.pad(x, (before, after, before, after)), w.permute(3, 2, 0, 1), b, stride)


def conv_transpose(x: Tensor, w: Tensor, stride: int) -> Tensor:
    """x (N,I,P,Q), w (K,K,O,I) -> (N,O,P s,Q s): the adjoint of `conv`, whose padding is cropped away."""
    full = F.conv_transpose2d(x, w.permute(3, 2, 0, 1), stride=stride)
    size = x.shape[2] * stride
    before, _ = same(size, w.shape[0], stride)
    return full[:, :, before : before + size, before : before + size]


class Reference:
    """G, D, losses and optimizers in PyTorch; `p` holds parameters, `stats` running statistics, by minigan's names."""

    def __init__(self, config: configs.Config, shape: tuple[int, ...], initial: dict[str, np.ndarray]):
        self.config, self.model, self.shape = config, config.model, shape
        tensors = {name: torch.tensor(a, dtype=torch.float64) for name, a in initial.items()}
        self.stats = {n: t for n, t in tensors.items() if n.endswith((".mean", ".var"))}
        self.p = {n: t.requires_grad_() for n, t in tensors.items() if n not in self.stats}
        self.optimizers = {"g": self._optimizer("g", config.g), "d": self._optimizer("d", config.d)}
        self.schedules = {"g": self._schedule("g", config.g), "d": self._schedule("d", config.d)}
        self.critic_loss, self.generator_loss, self.probability = LOSSES[config.loss.name]

    def of(self, net: str) -> dict[str, Tensor]:
        """One net's parameters."""
        return {n: t for n, t in self.p.items() if n.startswith(f"{net}.")}

    def weights(self, net: str) -> list[Tensor]:
        """What weight decay and lambda ||theta||^2 touch."""
        return [t for n, t in self.of(net).items() if n.endswith(".w")]

    def _optimizer(self, net: str, c: configs.Optim) -> torch.optim.Optimizer:
        others = [t for n, t in self.of(net).items() if not n.endswith(".w")]
        groups = [
            {"params": self.weights(net), "weight_decay": c.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return OPTIMIZERS[c.rule](groups, c)

    def _schedule(self, net: str, c: configs.Optim) -> torch.optim.lr_scheduler.LRScheduler:
        make: dict[str, Callable[[Any], torch.optim.lr_scheduler.LRScheduler]] = {
            "constant": lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0),
            "cosine": lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, c.horizon, c.floor * c.lr),
        }
        return make[c.schedule](self.optimizers[net])

    def _norm(self, x: Tensor, name: str, update: bool) -> Tensor:
        """x (N,C,...): batch statistics; the running variance is biased, as minigan's."""
        y = F.batch_norm(
            x, None, None, self.p[f"{name}.gamma"], self.p[f"{name}.beta"], training=True, eps=self.model.bn_eps
        )
        if update:
            var, mean = torch.var_mean(x.detach(), [i for i in range(x.ndim) if i != 1], correction=0)
            for key, batch in (("mean", mean), ("var", var)):
                self.stats[f"{name}.{key}"].lerp_(batch, 1 - self.model.bn_momentum)
        return ACTIVATIONS[self.model.act_g](y, self.model.slope)

    def _dcgan_g(self, z: Tensor, update: bool) -> Tensor:
        strides, first = self.model.strides_g, self.model.widths_g[0]
        h = self.shape[0] // int(np.prod(strides))
        x = self._norm(z @ self.p["g.0.w"], "g.1", update).reshape(-1, h, h, first).permute(0, 3, 1, 2)
        for k, stride in enumerate(strides[:-1]):
            x = self._norm(conv_transpose(x, self.p[f"g.{3 + 2 * k}.w"], stride), f"g.{4 + 2 * k}", update)
        return conv_transpose(x, self.p[f"g.{1 + 2 * len(strides)}.w"], strides[-1]).permute(0, 2, 3, 1)

    def _dcgan_d(self, x: Tensor, drop: Callable[[Tensor, str], Tensor]) -> tuple[Tensor, Tensor]:
        for k in range(len(self.model.widths_d)):
            y = conv(x.permute(0, 3, 1, 2), self.p[f"d.{2 * k}.w"], self.p[f"d.{2 * k}.b"], 2).permute(0, 2, 3, 1)
            x = drop(ACTIVATIONS[self.model.act_d](y, self.model.slope), f"d.{2 * k + 1}")
        last = f"d.{2 * len(self.model.widths_d) + 1}"
        x = x.reshape(len(x), -1)
        return x, x @ self.p[f"{last}.w"] + self.p[f"{last}.b"]

    def _mlp_g(self, z: Tensor, update: bool) -> Tensor:
        hidden = ACTIVATIONS[self.model.act_g](F.linear(z, self.p["g.0.w"].T, self.p["g.0.b"]), self.model.slope)
        return F.linear(hidden, self.p["g.1.w"].T, self.p["g.1.b"]).reshape(-1, *self.shape)

    def _mlp_d(self, x: Tensor, drop: Callable[[Tensor, str], Tensor]) -> tuple[Tensor, Tensor]:
        hidden = F.linear(x.reshape(len(x), -1), self.p["d.1.w"].T, self.p["d.1.b"])
        hidden = ACTIVATIONS[self.model.act_d](hidden, self.model.slope)
        return hidden, F.linear(hidden, self.p["d.2.w"].T, self.p["d.2.b"])

    def generate(self, z: np.ndarray, update: bool) -> Tensor:
        """z (N,Z) -> images (N,H,W,C); `update` moves the running statistics."""
        families = {"dcgan": self._dcgan_g, "mlp": self._mlp_g}
        return ACTIVATIONS[self.model.output](families[self.model.family](torch.tensor(z), update), self.model.slope)

    def judge(self, x: Tensor, tick: int, call: int) -> tuple[Tensor, Tensor]:
        """Images (N,H,W,C) -> what feeds D's last layer (N,F), and D's output (N,1); (tick, call) choose the masks."""
        clock = np.zeros(WORDS)
        clock[:HOST_WORDS] = host_words(self.config.train.seed, tick, [], np.float64)

        def drop(y: Tensor, name: str) -> Tensor:
            stream = zlib.crc32(name.encode()) & 0xFFFFFF00 | call
            return y * torch.tensor(oracle.dropout(np.ones(y.shape), self.model.dropout, clock, stream))

        families = {"dcgan": self._dcgan_d, "mlp": self._mlp_d}
        return families[self.model.family](x, drop)

    def update(self, net: str, loss: Tensor, optim: configs.Optim) -> dict[str, float]:
        """One optimizer step of one net on loss + lambda ||theta||^2; the norms of its gradient before clipping."""
        for t in self.p.values():
            t.grad = None
        total = loss + optim.l2 * sum((t * t).sum() for t in self.weights(net))
        total.backward()
        grads = {n: t.grad for n, t in self.of(net).items() if t.grad is not None}
        norms = {n: float(g.norm()) for n, g in grads.items()}
        whole = float(np.sqrt(sum(v * v for v in norms.values())))
        if optim.clip_norm and whole > optim.clip_norm:
            for g in grads.values():
                g.mul_(optim.clip_norm / whole)
        self.optimizers[net].step()
        return {
            f"loss_{net}": float(total.detach()),
            f"grad_norm_{net}": whole,
            **{f"grad_norm/{n}": v for n, v in norms.items()},
        }

    def step(self, batches: list[np.ndarray], step: int) -> dict[str, float]:
        """n_critic D steps and one G step; numbers of the last of each."""
        train, out = self.config.train, {}
        mean = (lambda x: float(x.sigmoid().mean())) if self.probability else (lambda x: float(x.mean()))
        for k, batch in enumerate(batches):
            tick = step * (train.n_critic + 1) + k
            with torch.no_grad():
                images = self.generate(self._z("z/d", tick), update=False)
            (_, real), (_, fake) = self.judge(torch.tensor(batch), tick, 0), self.judge(images, tick, 1)
            out |= {"d_real": mean(real.detach()), "d_fake": mean(fake.detach())}
            out |= self.update("d", self.critic_loss(real, fake, self.config.loss.smoothing), self.config.d)
            if train.weight_clip:
                with torch.no_grad():
                    for t in self.of("d").values():
                        t.clamp_(-train.weight_clip, train.weight_clip)
        tick = step * (train.n_critic + 1) + len(batches)
        which = 0 if self.config.loss.name == "feature-matching" else 1
        fake = self.judge(self.generate(self._z("z/g", tick), update=True), tick, 0)[which]
        real = self.judge(torch.tensor(batches[-1]), tick, 1)[which]
        out |= self.update("g", self.generator_loss(fake, real), self.config.g)
        for schedule in self.schedules.values():
            schedule.step()
        return out

    def _z(self, stream: str, tick: int) -> np.ndarray:
        train, model = self.config.train, self.config.model
        return rng.draw_z(train.seed, stream, tick, train.batch_size, model.z, model.noise)

    def norms(self) -> dict[str, float]:
        """The 2-norm of every parameter and running statistic."""
        return {n: float(t.detach().norm()) for n, t in (self.p | self.stats).items()}


def real_batches(source: str, folder: str, config: configs.Config, count: int) -> np.ndarray:
    """(count, B, *shape) float64: the first rows of MNIST in file order, or numbers from the host generator."""
    size = config.train.batch_size
    if source == "synthetic":
        draws = [
            rng.host(config.train.seed, "golden/real", k).uniform(-1, 1, (size, *SYNTHETIC_SHAPE)) for k in range(count)
        ]
        return np.stack(draws)
    dataset = data.load(folder, value_range=configs.RANGES[config.data.range])
    return dataset.read(range(count * size)).astype(np.float64).reshape(count, size, *dataset.shape)


def trace(preset: str, overrides: list[str], source: str, folder: str) -> dict[str, Any]:
    """What one JSON file holds."""
    config = configs.load(preset, overrides)
    n = config.train.n_critic
    x = real_batches(source, folder, config, STEPS * n)
    gan = GAN(config, oracle, x.shape[2:])
    reference = Reference(config, x.shape[2:], {**gan.G.tensors(), **gan.D.tensors()})
    return {
        "preset": preset,
        "set": overrides,
        "data": source,
        "data_sha256": hashlib.sha256(x.tobytes()).hexdigest(),
        "made_with": {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": np.__version__},
        "shape": list(x.shape[2:]),
        "initial_norms": reference.norms(),
        "steps": [reference.step(list(x[k * n : (k + 1) * n]), k) for k in range(STEPS)],
        "final_norms": reference.norms(),
    }


def main() -> None:
    """Writes every trace; the argument is a folder with MNIST's IDX files."""
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/golden_trace.py MNIST_FOLDER")
    FOLDER.mkdir(exist_ok=True)
    for name, row in TRACES.items():
        result = trace(*row, sys.argv[1])
        (FOLDER / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        last = result["steps"][-1]
        print(f"{name:<16} loss_d {last['loss_d']:.6f}  loss_g {last['loss_g']:.6f}")


if __name__ == "__main__":
    main()
