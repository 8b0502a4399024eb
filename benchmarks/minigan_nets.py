"""minigan's side of `benchmarks.step`: the real GAN.step, with its clock and its draws of z on the host."""

import platform
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from benchmarks.works import SHAPE
from minigan import __version__, backends, config, rng
from minigan.errors import BackendError
from minigan.tasks.gan import GAN


def extension() -> Any:
    """The C++ extension, or None where there is none."""
    try:
        from minigan import _cpp
    except ImportError:
        return None
    return _cpp


def about(settings: dict[str, Any]) -> dict[str, Any]:
    """Versions, the backend and why it was taken, its instruction set."""
    name = settings["backend"]
    ops, reason = backends.choose() if name == "auto" else (backends.load(name), f"backend {name}")
    facts = {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "backend": ops.NAME,
        "chosen": reason,
    }
    if ops.NAME == "cpp":
        facts |= {"isa": extension().isa(), "build": extension().build(), "threads": extension().threads()}
    return facts


def prepare(settings: dict[str, Any], work: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    """What `work` names, on the backend of `settings`."""
    return call(backends.load(settings["backend"]), work)


def call(ops: Any, work: dict[str, Any]) -> tuple[Callable[[], Any], dict[str, Any]]:
    """One training step, or one batch of samples from a given z. Raises BackendError when the step is not finite."""
    batch = work["batch"]
    gan = GAN(config.from_dict(work["config"], work["preset"]), ops, SHAPE)
    facts = {"parameters": [gan.G.parameters, gan.D.parameters]}
    host = rng.host(0, "benchmark")
    if work["kind"] == "sample":
        z = ops.asarray(host.standard_normal((batch, gan.config.model.z), np.float32))
        gan.G.prepare(batch)  # the weights stay, as those of PyTorch's compiled and packed nets do
        return lambda: gan.G.forward(z, mode="running"), facts
    real = host.random((batch, *SHAPE), np.float32)
    numbers = count()

    def step() -> None:
        gan.step([real], next(numbers))
        if gan.bad():
            raise BackendError("a loss or gradient was not finite: what was timed is no training step")

    return step, facts
