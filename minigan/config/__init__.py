"""The configuration of a run: frozen dataclasses (keys.py), read from TOML here, held against rules.py.

A preset is a TOML file; `--set section.key=value` overrides it; the resolved configuration is written into the run.
"""

import dataclasses
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from minigan.config.keys import (
    RANGES,
    SECTIONS,
    TASKS,
    Config,
    Data,
    Loss,
    Model,
    Optim,
    Penalty,
    Plan,
    Task,
    Train,
)
from minigan.config.rules import resolve
from minigan.errors import ConfigError, nearest

__all__ = [
    "RANGES",
    "SECTIONS",
    "TASKS",
    "Config",
    "Data",
    "Loss",
    "Model",
    "Optim",
    "Penalty",
    "Plan",
    "Task",
    "Train",
    "changed",
    "from_dict",
    "from_toml",
    "load",
    "presets",
    "time_of",
]

_LISTS = {int: "a list of whole numbers", str: "a list of texts"}


def presets() -> list[str]:
    """The names of the presets that minigan carries."""
    files = [p.name for p in resources.files("minigan.presets").iterdir()]
    return sorted(f.removesuffix(".toml") for f in files if f.endswith(".toml"))


def time_of(preset: str) -> str:
    """About how long one of `presets` trains with the C++ backend: on two cores, where it names no other number."""
    return _carried(preset)["time"]


Override = str | tuple[str, Any]  # "section.key=value" as typed, or ("section.key", value)


def load(preset: str, overrides: Iterable[Override] = ()) -> Config:
    """A preset by name or a TOML file by path, with overrides.

    A file that says preset = "digits" starts from that preset; other keys that it leaves out take the defaults.

    Raises ConfigError naming the nearest known word for an unknown preset or key, and the rule a value breaks.
    """
    return from_dict(_read(preset) | {"preset": preset}, preset, overrides)


def _read(preset: str) -> dict[str, Any]:
    if preset in presets():
        return _carried(preset)
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


def _carried(preset: str) -> dict[str, Any]:
    return _parse(resources.files("minigan.presets").joinpath(f"{preset}.toml").read_text("utf-8"), preset)


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
    name, _ = str(tables.pop("preset", where)), tables.pop("time", None)  # the latter is for whoever reads the file
    if name.encode("utf-8", "ignore").decode() != name:
        raise ConfigError(f"preset {name!r} is not valid Unicode; rename the file")
    for section in tables:
        if section in SECTIONS and not isinstance(tables[section], dict):
            raise ConfigError(f"{where}: {section} = {tables[section]!r} must be a table of keys; write [{section}]")
        if section not in SECTIONS:
            raise ConfigError(f"{where}: section [{section}] is unknown; {nearest(section, SECTIONS)}")
    parts = {s: _section(where, s, kind, tables.get(s, {})) for s, kind in SECTIONS.items()}
    return resolve(Config(name, **parts))


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


def changed(old: Config, new: Config) -> list[str]:
    """The keys in which two configurations differ, without those that --resume may change."""
    return [
        f"{s}.{f.name}"
        for s, kind in SECTIONS.items()
        for f in dataclasses.fields(kind)
        if not f.metadata["resumable"] and getattr(getattr(old, s), f.name) != getattr(getattr(new, s), f.name)
    ]
