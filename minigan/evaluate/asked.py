"""What is asked for, before anything of it is imported: training alone needs neither SciPy nor scikit-learn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from minigan.config import Config
from minigan.errors import ConfigError
from minigan.training.parts import Parts
from minigan.training.reporter import Reporter

if TYPE_CHECKING:
    from minigan.evaluate.during import During


@contextmanager
def extra() -> Iterator[None]:
    """Around the import of what the extra `eval` installs. Raises ConfigError where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as e:
        raise ConfigError(f"judging samples needs {e.name}, which is not here; pip install 'minigan[eval]'") from e


def judging(config: Config, reporter: Reporter | None = None) -> "Callable[[Parts], During] | None":
    """What makes the judge of a run of this configuration, when all else of it is known to be right; None without one.

    `reporter` sees a classifier train. Raises ConfigError on metrics that do not exist.
    """
    if not config.evaluate.every:
        return None
    with extra():
        from minigan.evaluate.during import During, check
    check(config)
    return lambda parts: During(parts, reporter)
