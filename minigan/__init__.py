"""minigan: train small GANs without a deep-learning framework, with hand-written and proven gradients.

run = minigan.train(minigan.config.load("digits", ["train.epochs=50"]))
x = minigan.load(run.path).sample(16, seed=0)
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["backends", "config", "gradcheck", "layers", "load", "losses", "train"]

if TYPE_CHECKING:
    from minigan import backends, config, losses
    from minigan.api import gradcheck, load, train
    from minigan.models import layers


def __getattr__(name: str) -> Any:
    """The public names, imported when first used, so that `import minigan` is quick and needs no backend."""
    modules = {"backends": "backends", "config": "config", "layers": "models.layers", "losses": "losses"}
    if name in modules:
        import importlib

        return importlib.import_module(f"minigan.{modules[name]}")
    if name in __all__:
        from minigan import api

        return getattr(api, name)
    raise AttributeError(f"module 'minigan' has no attribute {name!r}")
