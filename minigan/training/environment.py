"""What a run's bits depend on beside its configuration, recorded so that a resume under other conditions says so."""

import os
import platform
from typing import Any

import numpy as np

from minigan import __version__

_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "MINIGAN_ISA",
    "MINIGAN_PLAN",
)


def threads() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu() -> str:
    """The processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def record(backend: str, isa: str = "", build: str = "") -> dict[str, Any]:
    """Versions, processor features, BLAS and threads; `isa` is the backend's instruction set and `build` the compiler
    that made it, where it has one."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    return {
        "minigan": __version__,
        "backend": backend,
        **({"isa": isa} if isa else {}),
        **({"build": build} if build else {}),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "cpu": cpu(),
        "simd": config["SIMD Extensions"]["found"],
        "threads": threads(),
        **{name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def of(ops: Any) -> dict[str, Any]:
    """`record` of a backend."""
    return record(ops.NAME, getattr(ops, "ISA", ""), getattr(ops, "BUILD", ""))


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What is not as it was, as "key: then -> now"."""
    return [f"{k}: {then.get(k)} -> {now.get(k)}" for k in sorted({*then, *now}) if then.get(k) != now.get(k)]
