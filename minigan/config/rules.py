"""What a configuration's keys mean together: "auto" resolved, contradictions refused."""

import dataclasses

from minigan.config.keys import Config
from minigan.errors import ConfigError

_FITTING = {"tanh": "-1..1", "sigmoid": "0..1", "none": "raw"}


def resolve(config: Config) -> Config:
    """Replaces "auto" by what it means, and refuses what does not go together."""
    for f in dataclasses.fields(config.task):
        owner = f.metadata.get("task", config.task.name)
        if owner != config.task.name and getattr(config.task, f.name) != f.default:
            raise ConfigError(f"task.{f.name} is for task.name {owner}, not for {config.task.name}; leave it out")
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
    if config.train.consistency and not config.train.augment:
        raise ConfigError(
            f"train.consistency = {config.train.consistency} needs images that are changed; give train.augment, as "
            '["translation", "flip"]'
        )
    if config.loss.layer and config.loss.name != "feature-matching" and ":" not in config.loss.name:
        raise ConfigError(f"loss.layer is for loss.name feature-matching, not for {config.loss.name}; leave it out")
    if config.train.steps == 0 and config.train.epochs == 0:
        raise ConfigError("train.steps and train.epochs are both 0: nothing would be trained; give one of them")
    if config.train.dtype == "float64" and config.train.backend not in ("auto", "numpy"):
        raise ConfigError(f"train.dtype float64 runs on the numpy backend alone, not on {config.train.backend}")
    return config
