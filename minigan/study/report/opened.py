"""A run opened for its report, and what is known of it before anything is computed: facts, configuration, command."""

import dataclasses
import json
import platform
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigan import __version__
from minigan import config as configs
from minigan.config import SECTIONS, Config
from minigan.errors import ConfigError
from minigan.training import checkpoint
from minigan.training.parts import Parts
from minigan.training.run import Run


class Opened(NamedTuple):
    """A run folder, its newest checkpoint with its step, the run to draw from, and the parts that would train on."""

    path: Path
    file: Path
    step: int
    run: Run
    parts: Parts

    @property
    def config(self) -> Config:
        """As the run recorded it."""
        return self.parts.config


def facts(run: Opened) -> list[tuple[str, str]]:
    """What run this is, in pairs of words."""
    c, parts = run.config, run.parts
    meta = checkpoint.read_meta(run.file)
    shape = "x".join(map(str, parts.dataset.shape))
    learned = {name: net.parameters for name, net in parts.task.nets.items() if name != "ema"}
    return [
        ("run", run.path.resolve().name),
        ("preset", c.preset),
        ("task", c.task.name),
        ("data", f"{parts.dataset.name}: {len(parts.dataset):,} items of {shape}"),
        ("steps", f"{run.step:,} of {parts.total_steps:,}"),
        ("batch", f"{c.train.batch_size}"),
        ("parameters", ", ".join(f"{name} {n:,}" for name, n in learned.items())),
        ("time trained", _duration(meta["elapsed_s"])),
        ("trained on", _machine(meta["environment"])),
        ("this report", f"minigan {__version__}, Python {platform.python_version()}, NumPy {np.__version__}"),
    ]


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60} min {rest % 60:02d} s"


def _machine(environment: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in environment.items() if isinstance(value, str | int) and value)


def configuration(run: Opened) -> list[dict[str, Any]]:
    """Section by section every key: its name, value and meaning, and whether it is other than the preset's."""
    own = run.config
    base = _preset(own)
    changed = _differing(own, base) if base else set()
    return [
        {
            "name": section,
            "about": (kind.__doc__ or "").splitlines()[0],
            "keys": [
                {
                    "key": f.name,
                    "value": _shown(getattr(getattr(own, section), f.name)),
                    "doc": f.metadata["doc"],
                    "changed": f"{section}.{f.name}" in changed,
                }
                for f in dataclasses.fields(kind)
            ],
        }
        for section, kind in SECTIONS.items()
    ]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _preset(config: Config) -> Config | None:
    """The preset as it comes, where the run began with one that minigan carries."""
    return configs.load(config.preset) if config.preset in configs.presets() else None


def _differing(own: Config, base: Config) -> set[str]:
    return {
        f"{s}.{f.name}"
        for s, kind in SECTIONS.items()
        for f in dataclasses.fields(kind)
        if getattr(getattr(own, s), f.name) != getattr(getattr(base, s), f.name)
    }


def reproduce(run: Opened) -> dict[str, str]:
    """The exact command, the configuration that it stands for as a file, and what else equal bits need."""
    return {
        "command": command(run.config, run.path.resolve().name),
        "config": run.config.to_toml(),
        "name": f"{run.path.resolve().name}.toml",
    }


def command(config: Config, name: str) -> str:
    """What trains the same run anew: its preset and the keys in which it differs; else its configuration as a file.

    The second also where words cannot say it: a text on the command line that reads as a number is one.
    """
    base = _preset(config)
    out = f"{name}-again"
    words = ["minigan", "train", config.preset]
    if base:
        given = [f"{path}={_word(config, path)}" for path in sorted(_differing(config, base))]
        for pair in given:
            words += ["--set", pair]
        if _reads_back(config, given):
            return shlex.join([*words, "--out", out])
    return shlex.join(["minigan", "train", f"{name}.toml", "--out", out])


def _word(config: Config, path: str) -> str:
    """A value as --set takes it: JSON's numbers, texts and lists are TOML's as well."""
    section, _, key = path.partition(".")
    return json.dumps(getattr(getattr(config, section), key), ensure_ascii=False)


def _reads_back(config: Config, given: list[str]) -> bool:
    try:
        return configs.load(config.preset, given) == config
    except ConfigError:
        return False
