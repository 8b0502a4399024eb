"""What a configuration's keys mean together: "auto" resolved, contradictions refused."""

import dataclasses
from typing import Any

from minigan.config.keys import Config
from minigan.errors import ConfigError

_OF_GANS = (
    *("model.condition", "model.condition_g", "model.label_features", "model.packing", "model.minibatch_stddev"),
    *("penalty", "train.n_critic", "train.share_fake"),
    *("train.weight_clip", "train.instance_noise", "train.noise_steps", "train.augment", "train.consistency"),
    "train.ema",
)
_OF_G = ("model.family", "model.z", "model.noise", "model.width", "model.widths_g", "model.strides_g", "model.act_g")
# task.name: the sections and keys that its step does not read, so that setting one is a mistake
UNREAD = {
    "classifier": ("g", "loss", *_OF_G, *_OF_GANS),
    "cyclegan": ("model.dropout", "loss.layer", "g.freeze", "d.freeze", *_OF_G, *_OF_GANS),
    "superres": ("model.dropout", "loss.layer", "g.freeze", "d.freeze", *_OF_G, *_OF_GANS),
    "vae": ("d", "loss", "model.noise", *_OF_GANS),
}
_FITTING = {"tanh": "-1..1", "sigmoid": "0..1", "none": "raw"}


def resolve(config: Config) -> Config:
    """Replaces "auto" by what it means, and refuses what does not go together."""
    for section in ("task", "data"):
        values = getattr(config, section)
        for f in dataclasses.fields(values):
            given = f.metadata.get("task", config.task.name)
            owners = (given,) if isinstance(given, str) else given
            if config.task.name not in owners and getattr(values, f.name) != f.default:
                raise ConfigError(
                    f"{section}.{f.name} is for task.name {' and '.join(owners)}, not for {config.task.name}; "
                    "leave it out"
                )
    for key in UNREAD.get(config.task.name, ()):
        if _value(config, key) != _value(Config(), key):
            raise ConfigError(f"{key} means nothing to task.name {config.task.name}; leave it out")
    if config.task.name == "cyclegan" and not config.data.other:
        raise ConfigError("task.name cyclegan translates between two domains; give data.other, the second one")
    if config.task.name == "cyclegan" and config.model.output == "none":
        raise ConfigError("task.name cyclegan makes pictures of a range; give model.output tanh or sigmoid")
    if config.task.name == "superres" and (config.model.output != "none" or config.data.range in ("auto", "raw")):
        raise ConfigError(
            "task.name superres adds to the small picture what is missing, without an activation; give model.output "
            "none, and data.range -1..1 or 0..1"
        )
    if config.task.name == "vae" and config.model.output != "sigmoid":
        raise ConfigError(
            f"task.name vae takes values in 0..1 as probabilities; give model.output sigmoid, not {config.model.output}"
        )
    _condition(config)
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
    if penalty.name != "none" and config.model.minibatch_stddev:
        raise ConfigError(
            f"penalty.name {penalty.name} takes D's gradient sample by sample, but model.minibatch_stddev makes a "
            "sample's D(x) depend on its whole group; leave one of them out, or bound D by model.norm_d spectral"
        )
    size, packing = config.train.batch_size, config.model.packing
    if size % packing:
        raise ConfigError(
            f"train.batch_size = {size} cannot be packed by model.packing = {packing}; give a multiple of {packing}, "
            f"as {max(1, size // packing) * packing}"
        )
    judged, group = size // packing, config.model.minibatch_stddev
    if group == 1:
        raise ConfigError("model.minibatch_stddev = 1 compares a sample with itself; give 2 or more, as 4, or 0")
    if group and judged % group:
        raise ConfigError(
            f"train.batch_size = {size} gives D {judged} samples at once, which cannot be cut in groups of "
            f"model.minibatch_stddev = {group}; give a multiple of {group * packing}, "
            f"as {max(1, judged // group) * group * packing}"
        )
    if bool(config.train.instance_noise) != bool(config.train.noise_steps):
        raise ConfigError(
            f"train.instance_noise = {config.train.instance_noise} and train.noise_steps = {config.train.noise_steps} "
            "go together: how strong the noise begins, and the step at which it ends; give both or none"
        )
    if config.train.consistency and not config.train.augment:
        raise ConfigError(
            f"train.consistency = {config.train.consistency} needs images that are changed; give train.augment, as "
            '["translation", "flip"]'
        )
    if config.loss.layer >= 0 and config.loss.name != "feature-matching" and ":" not in config.loss.name:
        raise ConfigError(f"loss.layer is for loss.name feature-matching, not for {config.loss.name}; leave it out")
    if config.train.steps == 0 and config.train.epochs == 0:
        raise ConfigError("train.steps and train.epochs are both 0: nothing would be trained; give one of them")
    if config.train.dtype == "float64" and config.train.backend not in ("auto", "numpy"):
        raise ConfigError(f"train.dtype float64 runs on the numpy backend alone, not on {config.train.backend}")
    return config


def _value(config: Config, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name) if name else getattr(config, section)


def _condition(config: Config) -> None:
    """What goes with model.condition."""
    model = config.model
    for section in ("model", "loss"):
        for f in dataclasses.fields(getattr(config, section)):
            known = f.metadata.get("condition", (model.condition,))
            if model.condition not in known and getattr(getattr(config, section), f.name) != f.default:
                raise ConfigError(
                    f"{section}.{f.name} is for model.condition {' or '.join(known)}, not for {model.condition}; "
                    "leave it out"
                )
    if model.condition_g != "embedding" and model.condition == "none":
        raise ConfigError(f"model.condition_g {model.condition_g} needs a model.condition; give one, as projection")
    if model.condition != "none" and model.packing > 1:
        raise ConfigError(
            f"model.packing = {model.packing} joins samples of different labels, so model.condition {model.condition} "
            "has no label to go by; leave one of them out"
        )
