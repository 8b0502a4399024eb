"""The cuda backend where it cannot run: who is told what, and that nobody else pays for it."""

import subprocess

import pytest
from processes import PYTHON, environment

ALL_THERE = "import importlib.util as u; u.find_spec = lambda name: u\n"
DRIVER = "import ctypes; ctypes.CDLL = lambda name: u; u.cuInit = lambda flags: {}; u.cuDeviceGetCount = lambda n: 0\n"

# What is missing: how a program arranges it, and what the error says
MISSING = {
    "numba-cuda": (
        "import importlib.util as u; u.find_spec = lambda name: None",
        "backend 'cuda' needs numba-cuda, which is not installed: pip install 'minigan[cuda]'",
    ),
    "CuPy": (
        "import importlib.util as u; u.find_spec = lambda name: u if name == 'numba_cuda' else None",
        "backend 'cuda' needs CuPy, which is not installed: pip install 'minigan[cuda]'",
    ),
    "driver": (
        f"{ALL_THERE}def missing(name): raise OSError(name)\nimport ctypes; ctypes.CDLL = missing",
        "backend 'cuda' needs an NVIDIA driver, and none is installed: use another backend, or simulate one by "
        "NUMBA_ENABLE_CUDASIM=1",
    ),
    "device": (
        ALL_THERE + DRIVER.format(0),
        "backend 'cuda' needs an NVIDIA GPU, and the driver finds none (status 0): see nvidia-smi and "
        "CUDA_VISIBLE_DEVICES",
    ),
    "driver's consent": (
        ALL_THERE + DRIVER.format(100),
        "backend 'cuda' needs an NVIDIA GPU, and the driver finds none (status 100): see nvidia-smi and "
        "CUDA_VISIBLE_DEVICES",
    ),
    "kernel": (
        f"{ALL_THERE}{DRIVER.format(0)}u.cuDeviceGetCount = lambda n: setattr(n._obj, 'value', 1)\n"
        "import sys; sys.modules['minigan.backends.cuda.trial'] = u\n"
        "def run(): raise RuntimeError('CUDA_ERROR: no\\nand more')\nu.run = run",
        "backend 'cuda' needs a GPU that runs a kernel, and a trial failed: RuntimeError, CUDA_ERROR: no",
    ),
}
ASK = """
import sys
from minigan import backends
from minigan.errors import BackendError
for _ in range(2):
    try:
        backends.load("cuda")
    except BackendError as e:
        print(e)
print(backends.choose()[1])
print(sorted({"numba", "cupy"} & set(sys.modules)))
"""


def _python(program: str, **variables: str) -> list[str]:
    env = environment(**{"NUMBA_ENABLE_CUDASIM": "0", **variables})
    ran = subprocess.run([*PYTHON, "-c", program], capture_output=True, text=True, timeout=120, env=env)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize("what", MISSING)
def test_one_line_says_what_is_missing_and_auto_takes_the_next_backend(what: str) -> None:
    arranged, words = MISSING[what]
    first, second, auto, imported = _python(f"{arranged}\n{ASK}")
    assert first == second == words
    assert auto.startswith("backend cpp ('cuda' needs ") and imported == "[]"


@pytest.mark.parametrize("word", ["", "false"])
def test_what_numba_does_not_take_for_yes_is_no_simulator(word: str) -> None:
    arranged, words = MISSING["driver"]
    assert _python(f"{arranged}\n{ASK}", NUMBA_ENABLE_CUDASIM=word)[0] == words


def test_importing_minigan_imports_neither_numba_nor_cupy() -> None:
    program = "import sys, minigan, minigan.training.doctor\nprint(sorted({'numba', 'cupy'} & set(sys.modules)))"
    assert _python(program) == ["[]"]


VIEWS = """
import gc
from minigan.backends.cuda.views import Views
class Array:
    def __init__(self, name): self.name = name
made = []
views = Views(lambda a, axes: made.append((a.name, axes)) or (a.name, axes))
kept = Array("kept")
for k in range(50):  # these get each other's ids
    a = Array(k)
    assert views(a, 1) == views(a, 1) == (k, 1) and views(a, 2) == (k, 2) and views(kept, 1) == ("kept", 1)
del a
gc.collect()
print(len(views), len(made))
"""
TRIAL = """
import numpy as np
from minigan.backends.cuda import launch, trial
from minigan.backends.cuda.device import device
print(repr(trial.run()))
trial._add_one = lambda n, x: None
print(trial.run())
"""


def test_wrapped_arrays_are_kept_as_long_as_the_arrays_and_are_never_anothers() -> None:
    pytest.importorskip("numba_cuda")
    assert _python(VIEWS, NUMBA_ENABLE_CUDASIM="1") == ["1 101"]


def test_the_trial_kernel_is_looked_at() -> None:
    pytest.importorskip("numba_cuda")
    assert _python(TRIAL, NUMBA_ENABLE_CUDASIM="1") == ["''", "adding 1 to 0, 1, ... gave 0, 1, ..."]


def test_auto_does_not_take_the_simulator_for_a_gpu() -> None:
    pytest.importorskip("numba_cuda")
    program = "from minigan import backends\nprint(backends.load('cuda').NAME)\nprint(backends.choose()[1])"
    named, auto = _python(program, NUMBA_ENABLE_CUDASIM="1")
    assert (named, auto) == ("cuda", "backend cpp ('cuda' is simulated; see minigan doctor)")


def test_the_simulator_says_what_it_lacks() -> None:
    program = "import importlib.util as u; u.find_spec = lambda name: u if name == 'numba_cuda' else None\n" + ASK
    first, _, _, _ = _python(program, NUMBA_ENABLE_CUDASIM="1")
    assert first == "backend 'cuda' needs greenlet, for the simulator's threads: pip install 'minigan[cudasim]'"
