"""What the checkpoint tests and the process they kill both know: the state of a run after each step."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigan.errors import CheckpointError
from minigan.training import checkpoint


def state(step: int, ballast: int = 0) -> dict[str, np.ndarray]:
    """What a run holds after `step` steps: a pure function of it, so that both sides know every bit."""
    draw = np.random.Generator(np.random.Philox(key=step))
    return {
        "g.slab": draw.standard_normal(150, dtype=np.float32),
        "opt.m": draw.standard_normal((3, 5)),
        "seen": np.array(64 * step),
        "bytes": draw.integers(0, 256, 7, dtype=np.uint8),
        "ballast": draw.integers(0, 256, ballast, dtype=np.uint8),
    }


def meta(step: int) -> dict[str, Any]:
    return {"counters": {"seen": 64 * step}, "lr": 0.1 * step}


def identical(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Same names, dtypes, shapes and bits."""
    return a.keys() == b.keys() and all(
        (x.dtype, x.shape, x.tobytes()) == (b[name].dtype, b[name].shape, b[name].tobytes()) for name, x in a.items()
    )


def intact(path: Path) -> bool:
    found = checkpoint.load(path)
    return identical(found.tensors, state(found.step, found.tensors["ballast"].size)) and found.meta == meta(found.step)


def put(folder: Path, step: int, keep: int = 2) -> Path:
    return checkpoint.save(folder, step, state(step), meta(step), keep)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def refusal(call: Callable[..., Any], *args: Any) -> str:
    """The one line that `call(*args)` is refused with."""
    try:
        result = call(*args)
    except CheckpointError as error:
        message = str(error)
        assert "\n" not in message and len(message) < 1000, message
        return message
    raise AssertionError(f"{call.__name__}{args} was not refused; it gave {result!r}")
