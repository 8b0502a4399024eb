"""No memory, no threads, wrong settings: an exception or a slower run, then all is well again; never an abort."""

import subprocess
import sys

import pytest
from cpp_isas import _cpp
from processes import PYTHON, environment

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits on memory and processes")

SHORT_OF_MEMORY = """
import resource
import numpy as np
from minigan import _cpp
from minigan.backends import cpp
x, w, dw = np.ones((64, 14, 14, 64), "f4"), np.ones((5, 5, 64, 128), "f4"), np.ones((5, 5, 64, 128), "f4")
how = (1, 1), ((2, 2), (2, 2))
def work():
    y = cpp.conv2d(x, w, None, *how)
    cpp.conv2d_wgrad(y, x, dw, None, *how)
    return y[0, 0, 0, 0], cpp.conv2d_dgrad(y, w, None, *how, (14, 14))[0, 0, 0, 0]
_cpp.set_threads(2)
cpp.mul(dw, dw)  # the pool is up
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
failed = 0
for room in range(0, 256 << 20, 4 << 20):
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
    try:
        work()
    except MemoryError:
        failed += 1
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
print(failed > 3, work() == work())
"""

SHORT_OF_THREADS = """
import resource
import numpy as np
from minigan import _cpp
from minigan.backends import cpp
x = np.ones((64, 300), "f4")
want = cpp.linear(x, x.T.copy(), None).tobytes()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (48 << 20), resource.RLIM_INFINITY))  # stacks of 5 threads
_cpp.set_threads(1024)
print(cpp.linear(x, x.T.copy(), None).tobytes() == want, cpp.linear(x, x.T.copy(), None).tobytes() == want)
"""


def _run(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PYTHON, "-c", code], env=environment() | env, capture_output=True, text=True, timeout=120)


@linux
def test_an_op_without_memory_raises_and_the_next_one_works() -> None:
    run = _run(SHORT_OF_MEMORY)
    assert (run.returncode, run.stdout) == (0, "True True\n"), run.stderr


@linux
def test_threads_that_the_system_does_not_start_are_done_without() -> None:
    run = _run(SHORT_OF_THREADS)
    assert (run.returncode, run.stdout) == (0, "True True\n"), run.stderr


@pytest.mark.parametrize("given", ["0", "-3", "two", "2.5", "1025", "99999999999999999999"])
def test_a_number_of_threads_that_is_none_is_one_clear_error(given: str) -> None:
    run = _run("import minigan.backends.cpp", MINIGAN_NUM_THREADS=given)
    last = run.stderr.strip().splitlines()[-1]
    assert run.returncode == 1
    assert last == (
        f"minigan.errors.BackendError: MINIGAN_NUM_THREADS='{given}', expected a whole number from 1 to 1024; "
        "unset it for one thread per CPU"
    )


@pytest.mark.parametrize(("given", "used"), [("1", 1), ("5", 5), ("1024", 1024)])
def test_minigan_num_threads_is_obeyed(given: str, used: int) -> None:
    run = _run("from minigan import _cpp; print(_cpp.threads())", MINIGAN_NUM_THREADS=given)
    assert run.stdout == f"{used}\n", run.stderr


@pytest.mark.parametrize("given", [0, -1, 1025])
def test_no_threads_at_all_is_refused(given: int) -> None:
    with pytest.raises(_cpp.Refused):
        _cpp.set_threads(given)
