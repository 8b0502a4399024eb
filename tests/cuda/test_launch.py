"""How kernels are launched, on a compiler that keeps books: what a launch costs the host is paid once."""

from typing import Any

import numpy as np
import pytest

GRIDS = 200  # more than numba keeps, for all kernels together


def test_each_grid_of_a_kernel_is_made_ready_once(simulated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    launched: list[Any] = []

    class Compiled:
        def __getitem__(self, key: Any) -> Any:
            made.append(key)
            return lambda x: launched.append(key)

    monkeypatch.setattr(simulated._numba, "SIMULATED", False)
    monkeypatch.setattr(simulated.launch, "compiled", lambda function, signature: Compiled())
    kernel = simulated.launch.Kernel(test_each_grid_of_a_kernel_is_made_ready_once, "void(float32[::1])", (32,), (32,))
    x, stream = np.zeros(3, np.float32), simulated.device.device().launch_stream
    for _ in range(2):
        for n in range(1, GRIDS + 1):
            kernel(32 * n, x)
    assert made == [((n,), (32,), stream) for n in range(1, GRIDS + 1)]
    assert launched == 2 * made
