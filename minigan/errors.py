"""Errors a user can cause. Each message says what was given, what was expected and what to do.

The command line prints the message alone and ends with exit status 2; from Python they are ordinary exceptions.
"""

import difflib
from collections.abc import Iterable


class MiniganError(Exception):
    """Root of every error that is the caller's to mend."""


class ShapeError(MiniganError, ValueError):
    """Arrays whose shapes, dtypes or layouts do not fit together."""


class ConfigError(MiniganError, ValueError):
    """An unknown or ill-typed key, preset or option."""


class DataError(MiniganError, ValueError):
    """A data file or folder that breaks its format's rules."""


class CheckpointError(MiniganError, ValueError):
    """A checkpoint or run folder that cannot be read, written or does not fit."""


class BackendError(MiniganError, RuntimeError):
    """A backend that does not exist, is not built, or lacks what is asked of it."""


def nearest(word: str, known: Iterable[str]) -> str:
    """`word` among the `known` ones: a sentence that names the nearest, or all when none is near."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
