"""Steps of small GANs on a given backend, and how two of them are held against each other.

Needs neither pytest nor what reads data and writes runs, so that it also serves where little is installed.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import minigan
from minigan import config as configs
from minigan import rng
from minigan.tasks.gan import GAN

Record = dict[str, float]

# dropout, batchnorm, momentum slabs, a moving average, a schedule, two D steps
DCGAN = (
    "model.family=dcgan", "loss.name=non-saturating", "model.act_d=leaky_relu", "g.lr=2e-4", "d.lr=2e-4",
    "model.kernel=3", "model.dropout=0.25", "train.ema=0.9", "train.n_critic=2", "g.schedule=cosine", "g.horizon=150",
    "d.rule=rmsprop",
)  # fmt: skip
TINY = ("train.batch_size=3", "model.z=2", "model.widths_g=[3, 2]", "model.strides_g=[2, 2]", "model.widths_d=[2, 3]")
SMALL = ("train.batch_size=51", "model.z=5", "model.widths_g=[6, 4]", "model.strides_g=[2, 2]", "model.widths_d=[4, 6]")

CLASSES = 4  # of labels, which are drawn

# What a step can be made of, over DCGAN and a size.
KINDS: dict[str, tuple[str, ...]] = {
    "every state": (),
    "one D step": ("train.n_critic=1", "g.l2=0.01", "d.l2=0.01", "d.clip_norm=0.1", "d.schedule=cosine"),
    "shared batch": ("train.share_fake=true",),
    "shared batch, one D step": ("train.share_fake=true", "train.n_critic=1"),
    "wasserstein": ("loss.name=wasserstein", "train.weight_clip=0.05", "g.rule=sgd", "g.momentum=0.9"),
    # by far too strong, a penalty takes steps of many times the weights, in which rounding grows past any bound
    "penalty": ("model.norm_d=layer", "loss.name=wasserstein", "penalty.name=wgan-gp", "penalty.weight=0.1"),
    "lazy penalty": ("train.n_critic=1", "penalty.name=r1", "penalty.weight=0.1", "penalty.every=2"),
    "lazy penalty, shared batch": (
        "train.n_critic=1", "train.share_fake=true", "model.norm_d=layer", "penalty.name=dragan", "penalty.weight=0.1",
        "penalty.every=2",
    ),
    "spectral": ("model.norm_d=spectral", "loss.name=hinge"),
    "on pairs": ("loss.name=relativistic", "penalty.name=r1+r2", "penalty.weight=0.1"),
    "packed": ("model.packing=3",),
    "noise": ("train.instance_noise=0.3", "train.noise_steps=100", "loss.name=relativistic", "penalty.name=r1"),
    "augmented": (
        'train.augment=["translation", "cutout", "colour", "flip"]', "train.n_critic=1", "loss.name=relativistic",
        "penalty.name=r1", "penalty.weight=0.1",
    ),
    "consistency": ('train.augment=["translation", "flip"]', "train.consistency=0.5", "train.n_critic=1"),
    "features": ("loss.name=feature-matching", "train.n_critic=1"),
    "r1": ("penalty.name=r1", "model.norm_d=instance", "model.act_d=tanh", "train.n_critic=1"),
    "projection": (
        "model.condition=projection", "model.condition_g=batchnorm", "penalty.name=r1", "penalty.weight=0.1",
    ),
    "infogan, shared batch": ("model.condition=infogan", "train.share_fake=true", "model.label_features=3"),
    "residual, groups": ("model.family=resnet", "model.norm_d=layer", "model.minibatch_stddev=3", "train.n_critic=1"),
    "mlp": ("model.family=mlp", "model.dropout=0.0", "train.ema=0.0"),
}  # fmt: skip


@cache
def digits() -> np.ndarray:
    """(1797, 8, 8, 1) in -1 .. 1."""
    with np.load(Path(minigan.__file__).parent / "data" / "digits.npz") as file:
        return (file["x"].astype(np.float32) / 8 - 1).reshape(-1, 8, 8, 1)


def make(ops: Any, overrides: Sequence[str], shape: tuple[int, ...] = (8, 8, 1), preset: str = "digits") -> GAN:
    """A GAN on images of this shape."""
    return GAN(configs.load(preset, ["train.backend=numpy", *overrides]), ops, shape, CLASSES)


def batches(task: GAN, step: int) -> list[np.ndarray]:
    """The real batches of one step: digits where they fit, else random images."""
    n, count = task.config.train.batch_size, task.batches_per_step
    draw = rng.host(7, "test/real", step)
    if task.shape == (8, 8, 1):
        return [digits()[draw.integers(0, len(digits()), n)] for _ in range(count)]
    return list(draw.uniform(-1, 1, (count, n, *task.shape)).astype(np.float32))


def labels(task: GAN, step: int) -> list[np.ndarray]:
    """Labels (N,) for each of a step's batches, where the task wants them."""
    n = task.config.train.batch_size
    draw = rng.host(7, "test/labels", step)
    return [draw.integers(0, CLASSES, n, np.int32) for _ in range(task.batches_per_step * task.labelled)]


def run(task: GAN, steps: int, first: int = 0) -> list[Record]:
    """The records of some steps."""
    out = []
    for step in range(first, first + steps):
        with np.errstate(all="ignore"):
            record = task.step(batches(task, step), step, labels(task, step))
            out.append({name: float(task.ops.to_numpy(a)) for name, a in record.items()})
    return out


def tensors(task: GAN) -> dict[str, np.ndarray]:
    """All that a checkpoint would hold, on the host."""
    return {name: np.array(task.ops.to_numpy(a)) for name, a in task.tensors().items()}


def bits(task: GAN) -> dict[str, bytes]:
    """The same, byte for byte."""
    return {name: a.tobytes() for name, a in tensors(task).items()}


# ------------------------------------------------------------------------- one backend against another, as it must be

SGD = ("g.rule=sgd", "d.rule=sgd", "g.lr=0.05", "d.lr=0.05", "g.schedule=constant", "train.ema=0.0")
ADAM = ("g.rule=adam", "d.rule=adam", "g.schedule=constant")
WINDOW = 50


def sgd_distance(a: Any, b: Any, overrides: Sequence[str], **more: Any) -> float:
    """The largest relative norm between nets, gradients and statistics after 3 steps of SGD; at most 1e-5."""
    slabs = []
    for ops in (a, b):
        task = make(ops, [*overrides, *SGD], **more)
        run(task, 3)
        slabs.append([ops.to_numpy(s) for net in task.nets.values() for s in (net.p, net.dp, net.state) if s.size])
    return max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in zip(*slabs, strict=True))


def adam_distance(a: Any, b: Any, overrides: Sequence[str], **more: Any) -> float:
    """The largest difference of a loss in 3 steps of Adam, which turns rounding noise into +-lr; at most 1e-3."""
    first, second = (run(make(ops, [*overrides, *ADAM], **more), 3) for ops in (a, b))
    return max(abs(x[key] - y[key]) for x, y in zip(first, second, strict=True) for key in ("loss_d", "loss_g"))


def window_distance(a: Any, b: Any, overrides: Sequence[str], steps: int = 200) -> float:
    """The largest relative difference of a mean over 50 steps, of losses and D's verdicts; at most 5 %."""
    first, second = (run(make(ops, [*overrides, *ADAM]), steps) for ops in (a, b))
    worst = 0.0
    for start in range(0, steps, WINDOW):
        for key in ("loss_d", "loss_g", "d_real", "d_fake"):
            x, y = (np.mean([record[key] for record in part[start : start + WINDOW]]) for part in (first, second))
            worst = max(worst, abs(float(x - y)) / abs(float(y)))
    return worst


# ------------------------------------------------------------------------------------------------- a backend by itself


def assert_graph_is_eager(ops: Any, overrides: Sequence[str], steps: int, **more: Any) -> None:
    """A step that is recorded and replayed has the bits of one that is called."""
    graph, eager = (make(ops, [*overrides, f"train.graph={on}"], **more) for on in ("true", "false"))
    assert type(graph.run).__name__ == "Graphs" and type(eager.run).__name__ == "Eager"
    assert run(graph, steps) == run(eager, steps), "the records differ"
    assert_same(bits(graph), bits(eager))
    assert all(part.graph is not None for part in graph.run.parts.values()), "a part was not recorded"


def assert_deterministic(ops: Any, overrides: Sequence[str], steps: int, **more: Any) -> None:
    """Two runs have the same bits."""
    first, second = make(ops, overrides, **more), make(ops, overrides, **more)
    assert run(first, steps) == run(second, steps), "the records differ"
    assert_same(bits(first), bits(second))


def assert_same(a: dict[str, bytes], b: dict[str, bytes]) -> None:
    """Equal byte for byte."""
    off = [name for name in a if a[name] != b[name]]
    assert a.keys() == b.keys() and not off, f"{', '.join(off)} differ"
