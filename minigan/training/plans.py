"""Plan files, and the plan that a run follows: the rows in its configuration, whose words are backends/plan.py's.

A file is JSON: {"format": "minigan-plan-1", "isa": ..., "build": ..., "cpu": ..., "rows": ["conv2d ...", ...]}.
"""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minigan import __version__, backends
from minigan.backends import plan
from minigan.backends.planned import Planned
from minigan.config import Config, Override, Plan
from minigan.errors import ConfigError
from minigan.models.layers import Conv2d, ConvTranspose2d, Linear
from minigan.models.net import Net
from minigan.training import environment
from minigan.training.atomic import atomic_text, reported

FORMAT = "minigan-plan-1"
_MOST_BYTES = 1 << 20


def made(ops: Any, rows: dict[plan.Key, str]) -> Plan:
    """A plan of these rows, as measured here and now on the backend `ops`."""
    lines = tuple(plan.text(row, name) for row, name in rows.items())
    return Plan(ops.ISA, f"minigan {__version__}, {ops.BUILD}", environment.cpu(), lines)


def write(path: Path, given: Plan) -> None:
    """A plan file, complete or absent. Raises CheckpointError when the disk refuses."""
    atomic_text(path, json.dumps({"format": FORMAT, **dataclasses.asdict(given)}, indent=1, ensure_ascii=False) + "\n")


def check_writable(path: Path, option: str = "--out") -> None:
    """Raises ConfigError when `path`, given as `option`, can be no file, before anything is measured for it."""
    if path.is_dir() or not path.parent.is_dir():
        raise ConfigError(f"{option} {str(path)!r}: give the name of a file, in a folder that is there")


def read(path: Path) -> list[Override]:
    """What a plan file says, as overrides of a configuration. Raises ConfigError, and BackendError on a bad row."""
    with reported("read", path):
        if not path.is_file():
            raise ConfigError(f"{path}: no such plan file; make one: minigan tune PRESET --out {path}")
        with path.open("rb") as f:
            data = f.read(_MOST_BYTES + 1)
    fields = {f.name: type(f.default) for f in dataclasses.fields(Plan)} | {"rows": list}
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        content = json.loads(data)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            given = content.get("format") if isinstance(content, dict) else None
            raise ValueError(f"its format is {given!r:.60}, this minigan reads {FORMAT!r}")
        for name, kind in fields.items():
            if not isinstance(content.get(name), kind):
                raise ValueError(f"{name!r} is {content.get(name)!r:.60}, expected {_KINDS[kind]}")
        if not all(isinstance(row, str) for row in content["rows"]) or not content["rows"]:
            raise ValueError("'rows' must be a list of texts, one at least")
    except (ValueError, RecursionError) as e:
        raise ConfigError(f"{path} is no plan file: {e}; make one: minigan tune PRESET --out {path}") from e
    plan.rows(content["rows"], str(path))
    return [(f"plan.{name}", content[name]) for name in fields]


_KINDS: dict[Any, str] = {str: "a text", list: "a list of texts"}


def open_backend(config: Config, recorded: bool = False) -> tuple[Any, str]:
    """The backend a configuration names, under its plan, and a line that says which it is and why.

    Raises BackendError, and ConfigError when the plan is for another instruction set or backend, unless it is
    `recorded` in a run that goes on or is drawn from: then the built-in plan serves, and the line says so.
    """
    c = config.train
    if c.backend == "auto" and c.dtype == "float64":
        ops, note = backends.load("numpy"), "backend numpy (float64)"
    else:
        ops, note = backends.choose() if c.backend == "auto" else (backends.load(c.backend), f"backend {c.backend}")
    ops, line = _follow(ops, config.plan, recorded) if config.plan.rows else (ops, "")
    return ops, f"{note}; {line}" if line else note


def unmatched(config: Config) -> bool:
    """Whether there is a plan, but no row of it is for the run's batches."""
    batches = {row[1][0] for row in plan.rows(config.plan.rows, "plan.rows")}
    return bool(batches) and config.train.batch_size not in batches


_PLANNED: tuple[tuple[Any, dict[str, Any]], ...] = ((Conv2d | ConvTranspose2d, plan.OPS), (Linear, plan.DENSE))


def check_forced(ops: Any, nets: Iterable[Net]) -> None:
    """Raises BackendError when MINIGAN_PLAN forces an implementation that cannot serve a layer of the nets."""
    require = getattr(ops, "require", plan.require)
    for layer in (a for net in nets for a in net.layers) if hasattr(ops, "chosen") else ():
        planned = next((table for kinds, table in _PLANNED if isinstance(layer, kinds)), {})
        for op in sorted(planned.keys() & plan.FORCED.keys()):
            stride = getattr(layer, "stride", (1, 1))
            require(plan.FORCED[op], op, layer.params["w"].shape, stride, f"for {layer.name}, MINIGAN_PLAN")


def _follow(ops: Any, given: Plan, recorded: bool) -> tuple[Any, str]:
    rows = plan.rows(given.rows, "plan.rows")
    here = f"instruction set {ops.ISA}" if hasattr(ops, "ISA") else f"backend {ops.NAME}"
    if given.isa != getattr(ops, "ISA", None):
        if recorded:
            return ops, f"the run's plan is for instruction set {given.isa}, not for {here}: the built-in one serves"
        raise ConfigError(
            f"the plan is for the cpp backend on instruction set {given.isa!r}, but this run is on {here}; "
            "make one here by minigan tune, or leave it out"
        )
    return Planned(ops, rows), f"a plan of {len(rows)} rows"
