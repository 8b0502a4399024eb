"""Every bug of bugs_kernels.py is seen by the case that its row names."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import cuda_simulated
import numpy as np
import pytest
from bugs_kernels import BUGS
from cases import ROWS, compare
from test_cuda import BIG, FEW, LENGTHS, UPDATES, elementwise_ops, update_bits

import minigan

FOLDER = Path(minigan.__file__).parent / "backends" / "cuda"
ROW = {row.name: (row, FEW) for row in ROWS} | {f"{row.name} blocks": (row, 1) for row in BIG}


class _Planting(MetaPathFinder):
    """Imports one file of the backend with a text of it replaced."""

    def __init__(self, file: str, old: str, new: str):
        self.file, self.old, self.new = FOLDER / file, old, new

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != f"{cuda_simulated.PACKAGE}.{self.file.stem}":
            return None
        old, new = self.old, self.new

        class Loader(SourceFileLoader):
            def get_code(self, name: str) -> Any:
                text = self.get_data(self.path).decode()
                count = text.count(old)
                assert count == 1, f"{old!r} stands {count} times in {self.path}, expected once; renew the bug"
                return compile(text.replace(old, new), self.path, "exec")

        return spec_from_file_location(name, self.file, loader=Loader(name, str(self.file)))


@contextmanager
def _planted(file: str, old: str, new: str) -> Iterator[ModuleType]:
    from numba.cuda.simulator.kernel import FakeCUDAKernel  # the simulator is on by now

    finder, call = _Planting(file, old, new), FakeCUDAKernel.__call__
    sys.meta_path.insert(0, finder)
    try:
        yield cuda_simulated.load.__wrapped__()
    finally:
        sys.meta_path.remove(finder)
        FakeCUDAKernel.__call__ = call  # of the simulator without the bug


def _hold(ops: Any, case: str) -> None:
    if case == "lengths":
        for n in LENGTHS:
            elementwise_ops(ops, n)
    elif case == "updates":
        for op in UPDATES:
            update_bits(ops, op)
    else:
        row, seeds = ROW[case]
        for seed in range(seeds):
            for integer in (False, True)[: min(seeds, 2)]:
                compare(ops, row, seed, np.float32, integer)


@pytest.mark.parametrize(
    ("file", "old", "new", "case"),
    [
        pytest.param(*bug, id=f"{bug[0]}: {bug[2][:40]}", marks=[pytest.mark.slow] if i % 6 else [])
        for i, bug in enumerate(BUGS)
    ],
)
def test_a_bug_is_seen(file: str, old: str, new: str, case: str, simulated: ModuleType) -> None:
    with _planted(file, old, new) as ops, pytest.raises((AssertionError, RuntimeError)):  # a SimulatorError is one
        _hold(ops, case)


def test_what_sees_them_passes_without_one(simulated: ModuleType) -> None:
    """Rows do: test_cuda.py."""
    for case in ("lengths", "updates"):
        _hold(simulated, case)
