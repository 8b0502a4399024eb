"""The sections of a configuration: frozen dataclasses, every key with its meaning beside it."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

TASKS = ("gan", "classifier", "cyclegan", "vae", "superres")  # the rows of minigan/tasks
RANGES: dict[str, tuple[float, float] | None] = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "raw": None}


def key(
    default: Any, doc: str, low: float | None = None, high: float | None = None, resumable: bool = False, **more: Any
) -> Any:
    """A config key: its default, its meaning, its bounds (inclusive), whether --resume may change it, its `choices`."""
    tags = {"doc": doc, "low": low, "high": high, "resumable": resumable, **more}
    return field(default=default, metadata=tags)


@dataclass(frozen=True)
class Data:
    """What is trained on."""

    name: str = key(
        "digits",
        "a built-in name (`minigan data`) or a path: IDX folder, image or WAV folder or zip, .npy, .npz, .wav",
        resumable=True,
    )
    other: str = key(
        "",
        "domain B: a data set like name, or made of every second picture of A: inverted-slanted, outlined",
        resumable=True,
        task="cyclegan",
    )
    size: int = key(0, "resize and centre-crop images to this many pixels; 0 keeps them as they are", 0)
    channels: int = key(0, "1 grey, 3 RGB; 0 keeps them as they are", choices=(0, 1, 3))
    window: int = key(
        0, "signals: arrays and recordings are cut to this many samples each; 0: arrays hold images or vectors", 0
    )
    range: str = key(
        "auto", "values: -1..1, 0..1, raw (as they are), auto (what model.output gives)", choices=("auto", *RANGES)
    )


@dataclass(frozen=True)
class Task:
    """What is trained, and by which step. A key named for a task is for that one alone."""

    name: str = key(
        "gan",
        "gan; classifier: D alone, which learns the labels; cyclegan: two translators between two domains; "
        "vae: a variational autoencoder; superres: small pictures made large",
        choices=TASKS,
    )
    translator: str = key("resnet", "both generators: resnet or unet", choices=("resnet", "unet"), task="cyclegan")
    width: int = key(32, "channels of the translators at full size, of superres' G", 1, task=("cyclegan", "superres"))
    depth: int = key(2, "how often the translators halve the picture", 0, task="cyclegan")
    blocks: int = key(3, "residual blocks of the translators, of superres' G", 0, task=("cyclegan", "superres"))
    cycle: float = key(
        10.0, "weight of the L1 distance between a picture and its way there and back", 0.0, task="cyclegan"
    )
    identity: float = key(
        5.0, "weight of the L1 distance that G moves what is in its range already; 0: none", 0.0, task="cyclegan"
    )
    factor: int = key(4, "how many times as large G makes a picture", choices=(2, 4, 8), task="superres")
    l2_steps: int = key(0, "steps by the squared error alone, before features and D come in", 0, task="superres")
    content: float = key(0.1, "weight of the distance in a classifier's features", 0.0, task="superres")
    adversarial: float = key(1e-3, "weight of the GAN loss", 0.0, task="superres")
    features: str = key(
        "auto",
        "a run of task classifier on the same data; auto: one that minigan trains and keeps",
        task="superres",
    )


@dataclass(frozen=True)
class Model:
    """Both networks."""

    family: str = key(
        "mlp", "mlp, dcgan, resnet, wave (signals), or module:function of your own, called with (model, item shape)"
    )
    z: int = key(100, "numbers in z", 1)
    noise: str = key("normal", "distribution of z", choices=("normal", "uniform", "truncated"))
    width: int = key(
        0,
        "dcgan, resnet, wave: channels where pictures are largest, signals longest; widths and strides then follow "
        "from their size, 8 to 128 or any other that is even, or a signal's length; 0: as the lists say",
        0,
    )
    widths_g: tuple[int, ...] = key(
        (256,), "G's hidden widths (mlp) or channels, widest first (dcgan, wave; resnet: each doubles the image)", 1
    )
    strides_g: tuple[int, ...] = key((1, 2, 2), "dcgan, wave: stride of each of G's transposed convolutions", 1)
    widths_d: tuple[int, ...] = key(
        (256,),
        "D's hidden widths (mlp) or channels (dcgan: each halves the image; resnet: down to 7 pixels or less; wave)",
        1,
    )
    kernel: int = key(5, "dcgan: kernel height and width; wave: length", 1)
    act_g: str = key("relu", "activation inside G", choices=("relu", "leaky_relu", "tanh"))
    act_d: str = key("relu", "activation inside D", choices=("relu", "leaky_relu", "tanh"))
    slope: float = key(0.2, "leaky_relu's slope below zero", 0.0)
    output: str = key("sigmoid", "G's last activation", choices=("tanh", "sigmoid", "none"))
    norm_d: str = key(
        "none",
        "norm after D's hidden layers, of images but the first; layer and instance go with a penalty, batch does not; "
        "spectral: no layer, but every weight matrix of D is divided by its largest singular value",
        choices=("none", "batch", "layer", "instance", "spectral"),
    )
    packing: int = key(1, "PacGAN: D judges this many samples at once, joined along their channels; 1 is one by one", 1)
    minibatch_stddev: int = key(
        0,
        "before its last layer D also sees how much the samples of a group of this many differ (arXiv:1710.10196); "
        "0: it does not",
        0,
    )
    condition: str = key(
        "none",
        "how G and D go by labels: embedding, joined to what both are given; projection, of D's features; acgan, D "
        "says the class too; infogan, labels are codes that D finds in what G makes of them, and the data needs none",
        choices=("none", "embedding", "projection", "acgan", "infogan"),
    )
    condition_g: str = key(
        "embedding",
        "how G is told the label: embedding, joined to z; batchnorm, each with a gamma and a beta by class",
        choices=("embedding", "batchnorm"),
    )
    label_features: int = key(32, "numbers that a label becomes where it is joined to z, or to points", 1)
    code_classes: int = key(10, "infogan: values of the code that is a class", 2, condition=("infogan",))
    codes: int = key(2, "infogan: codes that are numbers, uniform in -1..1", 0, condition=("infogan",))
    dropout: float = key(0.0, "rate of dropout after D's hidden layers", 0.0, 0.99)
    init: str = key("normal", "initial weights", choices=("normal", "glorot_uniform", "he", "orthogonal"))
    init_std: float = key(0.02, "standard deviation of init normal", 0.0)
    bn_eps: float = key(1e-5, "eps of batchnorm, and of model.norm_d", 1e-30)
    bn_momentum: float = key(0.9, "batchnorm's running = momentum running + (1 - momentum) batch", 0.0, 1.0)


@dataclass(frozen=True)
class Loss:
    """What both networks minimise."""

    name: str = key(
        "non-saturating",
        "minimax, non-saturating (softplus), least-squares, hinge, wasserstein, relativistic (R3GAN's), "
        "feature-matching, or your module:function",
    )
    label: float = key(1.0, "acgan, infogan: weight of the cross entropy by class", 0.0, condition=("acgan", "infogan"))
    codes: float = key(
        0.1, "infogan: weight of the squared error of codes that are numbers", 0.0, condition=("infogan",)
    )
    smoothing: float = key(0.0, "one-sided label smoothing: D's target for real samples is 1 - smoothing", 0.0, 0.5)
    layer: int = key(-1, "feature-matching: D's node, from 0, whose output G matches; -1 feeds the last node", -1)


@dataclass(frozen=True)
class Penalty:
    """What D pays for a steep gradient by its input, f(||g||) with g = grad D(x)."""

    name: str = key(
        "none",
        "none; wgan-gp: (||g|| - 1)^2 between real and generated samples; dragan: the same around real ones; "
        "r1, r2, r1+r2: ||g||^2 / 2 at real, at generated ones, at both",
        choices=("none", "wgan-gp", "dragan", "r1", "r2", "r1+r2"),
    )
    weight: float = key(10.0, "what it is multiplied by: lambda of wgan-gp and dragan, gamma of r1, r2, r1+r2", 0.0)
    every: int = key(1, "lazy: only at every so many of D's updates, and as many times as strong there", 1)
    noise: float = key(0.5, "dragan: standard deviation of the noise around real samples, in the data's units", 0.0)


@dataclass(frozen=True)
class Optim:
    """One network's optimizer: section [g] is G's and [d] is D's."""

    rule: str = key("adam", "update rule", choices=("adam", "sgd", "rmsprop"))
    lr: float = key(2e-4, "learning rate", 0.0, 1e6)
    beta1: float = key(0.5, "adam: decay of the mean gradient", 0.0, 0.999999)
    beta2: float = key(0.999, "adam: decay of the mean squared gradient", 0.0, 0.9999999)
    eps: float = key(1e-8, "adam, rmsprop: added to the denominator", 1e-30)
    momentum: float = key(0.0, "sgd: momentum", 0.0, 0.999999)
    rho: float = key(0.99, "rmsprop: decay of the mean squared gradient", 0.0, 0.999999)
    weight_decay: float = key(0.0, "decoupled: p <- p - lr weight_decay p, weights only", 0.0)
    l2: float = key(0.0, "lambda of L = L_GAN + lambda ||theta||^2, weights only", 0.0)
    clip_norm: float = key(0.0, "longest gradient; 0 does not clip", 0.0)
    schedule: str = key("constant", "learning rate over time", choices=("constant", "step", "linear", "cosine"))
    horizon: int = key(10000, "linear, cosine: the step at which lr reaches floor", 1)
    floor: float = key(0.0, "step, linear, cosine: smallest factor on lr", 0.0, 1.0)
    every: int = key(1000, "step: steps between two cuts", 1)
    factor: float = key(0.5, "step: what a cut multiplies lr by", 0.0, 1.0)
    freeze: tuple[str, ...] = key((), "layers not to update, by name or prefix, as ['g.0', 'g.1']", of=str)


@dataclass(frozen=True)
class Train:
    """The run."""

    backend: str = key("auto", "auto, numpy, cpp or cuda", choices=("auto", "numpy", "cpp", "cuda"))
    dtype: str = key("float32", "float64 runs on the numpy backend alone", choices=("float32", "float64"))
    seed: int = key(0, "a run is a function of its seed", 0, 2**32 - 1)
    steps: int = key(0, "total steps (one G update each); 0 counts by epochs", 0, resumable=True)
    epochs: int = key(20, "total passes over the data, when steps is 0", 0, resumable=True)
    max_seconds: float = key(0.0, "stop after this much training time; 0 never", 0.0, resumable=True)
    patience: int = key(0, "stop when the means over this many log lines stand still; 0 never", 0, resumable=True)
    min_change: float = key(
        0.01, "patience: the largest move of a mean that counts as standing still", 0.0, resumable=True
    )
    batch_size: int = key(64, "samples per batch", 1)
    n_critic: int = key(1, "D steps per G step", 1)
    graph: bool = key(
        True, "cuda: record a step as a CUDA graph and replay it, the same bits; else call it", resumable=True
    )
    share_fake: bool = key(False, "G learns from the batch that D has just learned from, instead of drawing another")
    weight_clip: float = key(0.0, "wasserstein: D's weights are clipped to [-c, c] after each D step; 0 does not", 0.0)
    instance_noise: float = key(
        0.0, "standard deviation of noise on all that D sees, real or not, in the data's units, at step 0", 0.0
    )
    noise_steps: int = key(0, "the step at which instance_noise has fallen to 0, in a straight line", 0)
    augment: tuple[str, ...] = key(
        (), "DiffAugment of all that D sees, real or not, in this order: translation, cutout, colour, flip", of=str
    )
    consistency: float = key(
        0.0, "bCR: D sees images as they are, and pays this times (D(x) - D(T(x)))^2, T being train.augment", 0.0
    )
    ema: float = key(0.0, "decay of the moving average of G that `sample` then draws from; 0 keeps none", 0.0, 0.999999)
    log_every: int = key(100, "steps between lines of log.jsonl", 1)
    grid_every: int = key(1, "epochs between sample grids", 1)
    checkpoint_every: int = key(1000, "steps between checkpoints; the last step is always saved", 1)
    keep: int = key(2, "newest checkpoints kept, at least 2", 2, resumable=True)
    init_from: str = key("", "a run, checkpoint or .safetensors of weights that gives the first values where it fits")


@dataclass(frozen=True)
class Evaluate:
    """Samples judged while the run goes on, as minigan evaluate does it afterwards."""

    every: int = key(0, "steps between evaluations, a multiple of train.log_every; 0: none", 0)
    metrics: tuple[str, ...] = key(("fid",), "what is measured, as minigan evaluate names it", of=str)
    n: int = key(0, "samples, and real rows to hold them against; 0: 10,000, or as many as there are", 0)
    features: str = key("auto", "classifier, random, pixels, or FILE.onnx,RANGE; auto: what fits the data")
    best: str = key("", "the number by which a best checkpoint is told and kept, as fid; empty: none is")
    patience: int = key(0, "stop when so many evaluations in a row bring no better one; 0 never", 0, resumable=True)


@dataclass(frozen=True)
class Plan:
    """Which implementation serves which convolution, from `minigan tune`. Without rows: the built-in plan."""

    isa: str = key("", "the instruction set that it was made on, and serves on")
    build: str = key("", "for information: the minigan and compiler that it was made with", resumable=True)
    cpu: str = key("", "for information: the processor that it was made on", resumable=True)
    rows: tuple[str, ...] = key((), "rows 'op image kernel stride implementation'", of=str)


@dataclass(frozen=True)
class Config:
    """All of it. `preset` is where it came from."""

    preset: str = "digits"
    data: Data = Data()
    task: Task = Task()
    model: Model = Model()
    loss: Loss = Loss()
    penalty: Penalty = Penalty()
    g: Optim = Optim()
    d: Optim = Optim()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    plan: Plan = Plan()

    def to_dict(self) -> dict[str, Any]:
        """As plain tables, lists and numbers."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def to_toml(self) -> str:
        """The TOML text that reads back as this, every key with its meaning."""
        lines = [f"preset = {_toml(self.preset)}"]
        for section, kind in SECTIONS.items():
            values = getattr(self, section)
            lines += ["", f"[{section}]  # {(kind.__doc__ or '').splitlines()[0]}"]
            pairs = {
                f"{f.name} = {_toml(getattr(values, f.name))}": f.metadata["doc"] for f in dataclasses.fields(kind)
            }
            lines += [f"{pair:<32}  # {doc}" for pair, doc in pairs.items()]
        return "\n".join(lines) + "\n"


SECTIONS: dict[str, Any] = {f.name: type(f.default) for f in dataclasses.fields(Config) if f.name != "preset"}


def _toml(value: Any) -> str:
    of_texts = isinstance(value, tuple) and any(isinstance(v, str) for v in value)  # these a line each
    text = json.dumps(value, ensure_ascii=False, indent=2 if of_texts else None)
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON allows and TOML does not
