"""The Python face: what `minigan.<name>` gives."""

from pathlib import Path

from minigan import config as configs
from minigan.config import Config
from minigan.evaluate.asked import judging
from minigan.evaluate.upscale import with_features
from minigan.study.gradcheck import gradcheck
from minigan.training import trainer
from minigan.training.run import Run, load

__all__ = ["gradcheck", "load", "train"]


def train(
    config: Config | str = "digits",
    out: str | Path | None = None,
    resume: bool = False,
    reporter: trainer.Reporter | None = None,
    verify: int = 0,
) -> Run:
    """Trains a configuration (or a preset by name) into the folder `out`, a new one under runs/ by default.

    Returns the run, ready to draw from. With `resume` the run in `out` goes on; with `verify` every so many steps' ops
    are checked on the oracle. Ctrl-C and SIGTERM finish the step, save and return. Raises ConfigError, DataError,
    BackendError, CheckpointError before anything is written.
    """
    config = with_features(configs.load(config) if isinstance(config, str) else config, reporter)
    folder = Path(out) if out is not None else trainer.fresh_folder(Path("runs"), Path(config.preset).stem)
    path, _ = trainer.train(config, folder, resume, reporter, verify, judging(config, reporter))
    return load(path, config.train.backend)
