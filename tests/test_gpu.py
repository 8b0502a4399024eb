"""The checks of gpu_checks.py, one test each: `pytest -m gpu`, on a machine with an NVIDIA GPU."""

from typing import Any

import pytest
from gpu_checks import CHECKS

from minigan import backends
from minigan.errors import BackendError


@pytest.fixture(scope="module")
def cuda() -> Any:
    """The backend; without a GPU its own line says what is missing."""
    try:
        return backends.load("cuda")
    except BackendError as e:
        why = str(e)
    pytest.fail(why, pytrace=False)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CHECKS)
def test_on_a_gpu(name: str, cuda: Any) -> None:
    CHECKS[name](cuda)
