"""Fixtures and settings that all tests share."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import command_line
import cuda_simulated
import pytest
from crash_server import Server, serving
from hypothesis import settings

settings.register_profile(
    "minigan", deadline=None, derandomize="CI" in os.environ, print_blob=True, max_examples=50, database=None
)
settings.load_profile("minigan")

os.environ.setdefault("OMP_NUM_THREADS", "1")  # scikit-learn's threads spin when tests share the cores

_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: $MINIGAN_DATA, else ../shared/data beside the repository."""
    folder = Path(os.environ.get("MINIGAN_DATA", _ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; set MINIGAN_DATA to one that holds mnist/")
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A process that forks children to be killed."""
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def simulated() -> ModuleType:
    """The CUDA backend as the simulator runs it."""
    return cuda_simulated.load()


@pytest.fixture
def minigan(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., command_line.Result]:
    """Runs one command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MINIGAN_DATA", raising=False)
    return partial(command_line.call, capsys, monkeypatch)
