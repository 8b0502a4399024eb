"""A step as a graph, on host arrays: tests/cuda/graphs.py, in a process of its own, with the simulator on."""

import subprocess
from pathlib import Path

import pytest
from processes import PYTHON, environment


def test_graphs_on_host_arrays() -> None:
    pytest.importorskip("numba_cuda")
    cases = Path(__file__).parent / "cuda" / "graphs.py"
    ran = subprocess.run(
        [*PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)],
        env=environment(NUMBA_ENABLE_CUDASIM="1"),
        cwd=cases.parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
