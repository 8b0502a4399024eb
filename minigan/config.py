"""The configuration of a run: frozen dataclasses, read from TOML, every key with its meaning beside it.

A preset is a TOML file; `--set section.key=value` overrides it; the resolved configuration is written into the run.
"""

import dataclasses
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from minigan.errors import ConfigError, nearest

RANGES: dict[str, tuple[float, float] | None] = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "raw": None}
_FITTING = {"tanh": "-1..1", "sigmoid": "0..1", "none": "raw"}


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
        "a built-in name (`minigan data`) or a path: IDX folder, image folder or zip, .npy, .npz",
        resumable=True,
    )
    size: int = key(0, "resize and centre-crop images to this many pixels; 0 keeps them as they are", 0)
    channels: int = key(0, "1 grey, 3 RGB; 0 keeps them as they are", choices=(0, 1, 3))
    range: str = key(
        "auto", "values: -1..1, 0..1, raw (as they are), auto (what model.output gives)", choices=("auto", *RANGES)
    )


@dataclass(frozen=True)
class Model:
    """Both networks."""

    family: str = key("mlp", "mlp, dcgan, or module:function of your own, called with (model, item shape)")
    z: int = key(100, "numbers in z", 1)
    noise: str = key("normal", "distribution of z", choices=("normal", "uniform", "truncated"))
    widths_g: tuple[int, ...] = key((256,), "G's hidden widths (mlp) or channels, widest first (dcgan)", 1)
    strides_g: tuple[int, ...] = key((1, 2, 2), "dcgan: stride of each of G's transposed convolutions", 1)
    widths_d: tuple[int, ...] = key((256,), "D's hidden widths (mlp) or channels (dcgan; each halves the image)", 1)
    kernel: int = key(5, "dcgan: kernel height and width", 1)
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
        "minimax, non-saturating, least-squares, hinge, wasserstein, relativistic (R3GAN's), or your module:function",
    )
    smoothing: float = key(0.0, "one-sided label smoothing: D's target for real samples is 1 - smoothing", 0.0, 0.5)


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
    ema: float = key(0.0, "decay of the moving average of G that `sample` then draws from; 0 keeps none", 0.0, 0.999999)
    log_every: int = key(100, "steps between lines of log.jsonl", 1)
    grid_every: int = key(1, "epochs between sample grids", 1)
    checkpoint_every: int = key(1000, "steps between checkpoints; the last step is always saved", 1)
    keep: int = key(2, "newest checkpoints kept, at least 2", 2, resumable=True)
    init_from: str = key("", "a run, checkpoint or .safetensors of weights that gives the first values where it fits")


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
    model: Model = Model()
    loss: Loss = Loss()
    penalty: Penalty = Penalty()
    g: Optim = Optim()
    d: Optim = Optim()
    train: Train = Train()
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
_LISTS = {int: "a list of whole numbers", str: "a list of texts"}


def _toml(value: Any) -> str:
    of_texts = isinstance(value, tuple) and any(isinstance(v, str) for v in value)  # these a line each
    text = json.dumps(value, ensure_ascii=False, indent=2 if of_texts else None)
    return text.replace("\x7f", "\\u007f")  # the one control character that JSON allows and TOML does not


def presets() -> list[str]:
    """The names of the presets that minigan carries."""
    files = [p.name for p in resources.files("minigan.presets").iterdir()]
    return sorted(f.removesuffix(".toml") for f in files if f.endswith(".toml"))


Override = str | tuple[str, Any]  # "section.key=value" as typed, or ("section.key", value)


def load(preset: str, overrides: Iterable[Override] = ()) -> Config:
    """A preset by name or a TOML file by path, with overrides.

    A file that says preset = "digits" starts from that preset; other keys that it leaves out take the defaults.

    Raises ConfigError naming the nearest known word for an unknown preset or key, and the rule a value breaks.
    """
    return from_dict(_read(preset) | {"preset": preset}, preset, overrides)


def _read(preset: str) -> dict[str, Any]:
    if preset in presets():
        return _parse(resources.files("minigan.presets").joinpath(f"{preset}.toml").read_text("utf-8"), preset)
    path = Path(preset)
    if not path.is_file():
        if path.suffix == ".toml":
            raise ConfigError(
                f"preset {preset!r}: there is no such file; give its path, or one of {', '.join(presets())}"
            )
        raise ConfigError(f"preset {preset!r} is neither a preset nor a TOML file; {nearest(preset, presets())}")
    try:
        tables = _parse(path.read_text("utf-8"), preset)
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{preset}: cannot be read as TOML text ({e})") from e
    below = _read(tables["preset"]) if tables.get("preset") in presets() else {}
    return _overlaid(below, tables)


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"{where}: not valid TOML: {e}") from e


def from_toml(text: str, where: str) -> Config:
    """What `to_toml` wrote. `where` names the file in errors."""
    return from_dict(_parse(text, where), where)


def from_dict(tables: dict[str, Any], where: str, overrides: Iterable[Override] = ()) -> Config:
    """Checked values from plain tables. Raises ConfigError."""
    tables = {k: dict(v) if isinstance(v, dict) else v for k, v in tables.items()}
    given: dict[str, Any] = {}
    for section, key_name, value in map(_override, overrides):
        given.setdefault(section, {})[key_name] = value
    tables = _overlaid(tables, given)
    name = str(tables.pop("preset", where))
    if name.encode("utf-8", "ignore").decode() != name:
        raise ConfigError(f"preset {name!r} is not valid Unicode; rename the file")
    for section in tables:
        if section in SECTIONS and not isinstance(tables[section], dict):
            raise ConfigError(f"{where}: {section} = {tables[section]!r} must be a table of keys; write [{section}]")
        if section not in SECTIONS:
            raise ConfigError(f"{where}: section [{section}] is unknown; {nearest(section, SECTIONS)}")
    parts = {s: _section(where, s, kind, tables.get(s, {})) for s, kind in SECTIONS.items()}
    return _resolve(Config(name, **parts))


def _overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Tables `above` over tables `below`, key by key; epochs above replace steps below."""
    train = above.get("train")
    if isinstance(train, dict) and "epochs" in train:
        above = above | {"train": {"steps": 0} | train}
    both = {k for k in above if isinstance(above[k], dict) and isinstance(below.get(k), dict)}
    return below | above | {k: below[k] | above[k] for k in both}


def _override(given: Override) -> tuple[str, str, Any]:
    if isinstance(given, str):
        path, eq, text = (part.strip() for part in given.partition("="))
        if not eq:
            raise ConfigError(f"--set {given!r} must read section.key=value, as in --set g.lr=1e-4")
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except (ValueError, RecursionError):
            value = text  # an unquoted word
    else:
        path, value = given
    known = {f"{s}.{f.name}" for s, kind in SECTIONS.items() for f in dataclasses.fields(kind)}
    if path not in known:
        raise ConfigError(f"--set {path!r}: no such key; {nearest(path, known)}")
    section, _, name = path.partition(".")
    return section, name, value


def _section(where: str, section: str, kind: Any, values: dict[str, Any]) -> Any:
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            raise ConfigError(f"{where}: key {section}.{name} is unknown; {nearest(name, fields)}")
    return kind(**{name: _value(f"{section}.{name}", fields[name], value) for name, value in values.items()})


def _value(name: str, f: Any, value: Any) -> Any:
    default, tags = f.default, f.metadata
    if isinstance(default, tuple):
        value = tuple(value) if isinstance(value, list | tuple) else (value,)
        of = tags.get("of", int)
        good = bool(value or not default) and all(type(v) is of for v in value)
        kind = _LISTS[of]
    elif isinstance(default, float):
        good, kind = type(value) in (int, float) and abs(value) < 1e300, "a number"
        value = float(value) if good else value
    else:
        good, kind = type(value) is type(default), "a whole number" if isinstance(default, int) else "a word in quotes"
        if isinstance(value, str) and value.encode("utf-8", "ignore").decode() != value:
            raise ConfigError(f"{name} = {value!r}: is not valid Unicode; rename the file")
    if not good:
        raise ConfigError(f"{name} = {value!r}: expected {kind}, as {default!r}")
    if "choices" in tags and value not in tags["choices"]:
        raise ConfigError(f"{name} = {value!r}: {nearest(str(value), map(str, tags['choices']))}")
    for v in value if isinstance(value, tuple) else (value,):
        if (tags["low"] is not None and v < tags["low"]) or (tags["high"] is not None and v > tags["high"]):
            high = "" if tags["high"] is None else f" and at most {tags['high']}"
            raise ConfigError(f"{name} = {v}: must be at least {tags['low']}{high}")
    return value


def _resolve(config: Config) -> Config:
    """Replaces "auto" by what it means, and refuses what does not go together."""
    fitting = _FITTING[config.model.output]
    if config.data.range == "auto":
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, range=fitting))
    elif fitting != "raw" and config.data.range != fitting:
        raise ConfigError(
            f"data.range = {config.data.range!r} does not fit model.output = {config.model.output!r}, whose values "
            f"lie in {fitting}; give data.range = 'auto'"
        )
    penalty = config.penalty
    spectral = config.model.norm_d == "spectral"
    if config.loss.name == "wasserstein" and not (config.train.weight_clip or penalty.name != "none" or spectral):
        raise ConfigError(
            "loss.name wasserstein needs a bounded D: give penalty.name wgan-gp, or train.weight_clip, "
            "0.01 in its paper, or model.norm_d spectral"
        )
    if spectral and config.train.weight_clip:
        raise ConfigError(
            "model.norm_d spectral and train.weight_clip both bound D, and the norm makes up for what the clip takes; "
            "leave one of them out"
        )
    if penalty.name != "none" and config.train.weight_clip:
        raise ConfigError(
            f"penalty.name {penalty.name} and train.weight_clip both bound D, and clipped weights leave the penalty "
            "little to do; leave one of them out"
        )
    if penalty.name != "none" and not penalty.weight:
        raise ConfigError(f"penalty.weight = 0 leaves nothing of penalty.name {penalty.name}; give penalty.name none")
    if penalty.name != "none" and config.model.norm_d == "batch":
        raise ConfigError(
            f"penalty.name {penalty.name} takes D's gradient sample by sample, but batchnorm in D makes a sample's "
            "D(x) depend on its whole batch (arXiv:1704.00028, section 4); give model.norm_d layer"
        )
    size, packing = config.train.batch_size, config.model.packing
    if size % packing:
        raise ConfigError(
            f"train.batch_size = {size} cannot be packed by model.packing = {packing}; give a multiple of {packing}, "
            f"as {max(1, size // packing) * packing}"
        )
    if bool(config.train.instance_noise) != bool(config.train.noise_steps):
        raise ConfigError(
            f"train.instance_noise = {config.train.instance_noise} and train.noise_steps = {config.train.noise_steps} "
            "go together: how strong the noise begins, and the step at which it ends; give both or none"
        )
    if config.train.steps == 0 and config.train.epochs == 0:
        raise ConfigError("train.steps and train.epochs are both 0: nothing would be trained; give one of them")
    if config.train.dtype == "float64" and config.train.backend not in ("auto", "numpy"):
        raise ConfigError(f"train.dtype float64 runs on the numpy backend alone, not on {config.train.backend}")
    return config


def changed(old: Config, new: Config) -> list[str]:
    """The keys in which two configurations differ, without those that --resume may change."""
    return [
        f"{s}.{f.name}"
        for s, kind in SECTIONS.items()
        for f in dataclasses.fields(kind)
        if not f.metadata["resumable"] and getattr(getattr(old, s), f.name) != getattr(getattr(new, s), f.name)
    ]
