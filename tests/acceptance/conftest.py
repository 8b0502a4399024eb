"""What the acceptance runs share: minigan's commands, run as a user runs them."""

import subprocess
from collections.abc import Callable

import pytest
from processes import PYTHON, environment


@pytest.fixture(scope="session")
def minigan() -> Callable[..., None]:
    """Runs `python -m minigan ...`; a status other than 0 fails with what it printed."""

    def run(*words: object) -> None:
        command = [*PYTHON, "-m", "minigan", *map(str, words)]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"

    return run
