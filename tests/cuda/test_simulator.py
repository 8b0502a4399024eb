"""The simulator runs kernels as a GPU would, and refuses what a GPU leaves undefined."""

import subprocess
from typing import Any

import pytest
from processes import PYTHON, environment

# Kernels and how they are launched; each ends with an error of the simulator's
PRELUDE = """
import math
import numpy as np
from minigan.backends.cuda._numba import SIMULATED, cuda, float32, int32, libdevice
assert SIMULATED
x = np.arange(64, dtype=np.float32)
def kernel(f): return cuda.jit(f)
"""
REFUSED = {
    "a barrier that half of a block reaches": (
        """
        t = cuda.threadIdx.x
        if t < 32:
            cuda.syncthreads()
        x[t] = float32(t)
        """,
        "divergent barrier in block 0: threads 0 to 31 (32 of them) at line 4 for their block; "
        "threads 32 to 63 (32 of them) ended",
    ),
    "a barrier in either branch": (
        """
        if cuda.threadIdx.x % 2 == 0:
            cuda.syncthreads()
        else:
            cuda.syncthreads()
        """,
        "divergent barrier in block 0: threads 0 to 62 (32 of them) at line 3 for their block; "
        "threads 1 to 63 (32 of them) at line 5 for their block",
    ),
    "a shuffle that half of a warp reaches": (
        """
        t = cuda.threadIdx.x
        if t % 32 < 16:
            x[t] = cuda.shfl_down_sync(0xFFFFFFFF, x[t], 1)
        """,
        "divergent barrier in block 0: threads 0 to 47 (32 of them) at line 4 for their warp",
    ),
    "a shuffle of some lanes": (
        "x[cuda.threadIdx.x] = cuda.shfl_down_sync(0xFFFF, x[0], 1)",
        "a shuffle has mask 0xffff, expected all lanes, 0xffffffff",
    ),
    "a barrier forgotten after a write": (
        """
        t = cuda.threadIdx.x
        s = cuda.shared.array(64, float32)
        s[t] = x[t]
        x[t] = s[63 - t]
        """,
        "race at 32, written by thread 32 of block 0, read by thread 31 of block 0",
    ),
    "a barrier forgotten before a write": (
        """
        t = cuda.threadIdx.x
        s = cuda.shared.array(64, float32)
        s[t] = x[t]
        cuda.syncthreads()
        x[t] = s[63 - t]
        s[t] = x[t]
        """,
        "race at 32, read by thread 31 of block 0, written by thread 32",
    ),
    "a barrier of the warp where the block's is due": (
        """
        t = cuda.threadIdx.x
        s = cuda.shared.array(64, float32)
        s[t] = x[t]
        cuda.syncwarp()
        x[t] = s[63 - t]
        """,
        "race at 0, read by thread 63 of block 0, written by thread 0",
    ),
    "two blocks that write one number": (
        """
        if cuda.threadIdx.x == 0:
            x[0] = float32(cuda.blockIdx.x)
        """,
        "race at 0, written by thread 0 of block 1, written by thread 0 of block 0",
    ),
    "an index beyond the end": ("x[cuda.grid(1) + 100] = float32(1)", "index 100 is outside of (64,), thread 0"),
    "an index below 0": ("x[cuda.grid(1) - 1] = float32(1)", "index -1 is outside of (64,), thread 0 of block 0"),
    "an index beyond an array of the thread's own": (
        "cuda.local.array((2, 3), float32)[1, 3] = x[0]",
        "local array of line 2: index (1, 3) is outside of (2, 3), thread 0 of block 0",
    ),
    "a double that is stored in an array of the thread's own": (
        "cuda.local.array(4, float32)[0] = np.float64(0.1)",
        "local array of line 2: float64 stored at 0 by thread 0 of block 0",
    ),
    "a double that is stored": ("x[cuda.grid(1)] = np.float64(0.1)", "float64 stored at 0 by thread 0 of block 0"),
    "a function of libdevice that has no row": (
        "x[cuda.grid(1)] = libdevice.sinf(x[cuda.grid(1)])",
        "libdevice.sinf is not in the simulator; give it a row",
    ),
}


def _run(body: str, blocks: int | str = 2, then: str = "") -> subprocess.CompletedProcess[str]:
    lines = [line.removeprefix("        ") for line in body.strip("\n").splitlines()]
    function = "\n    ".join(["def f(x):", *lines])
    program = f"{PRELUDE}\nexec(compile({function!r}, 'kernel', 'exec'))\nkernel(f)[{blocks}, 64](x)\n{then}"
    return subprocess.run(
        [*PYTHON, "-c", program],
        env=environment(NUMBA_ENABLE_CUDASIM="1"),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_gpu_leaves_undefined_is_refused(name: str) -> None:
    body, words = REFUSED[name]
    run = _run(body)
    assert run.returncode == 1
    assert "SimulatorError: " in run.stderr and words in run.stderr, run.stderr[-600:]


@pytest.mark.parametrize("grid", ["(1, 65536)", "(1, 1, 65536)"])
def test_a_grid_that_no_gpu_takes_is_refused(grid: str) -> None:
    run = _run("x[0] = float32(1)", grid)
    assert f"f is launched with grid {grid.removesuffix(')') + (', 1)' if grid.count(',') == 1 else ')')}" in run.stderr


def test_a_block_that_no_gpu_takes_is_refused() -> None:
    run = _run("x[cuda.threadIdx.x] = float32(1)", 1, "kernel(f)[1, 1025](x)")
    assert "f is launched with grid (1, 1, 1), block (1025, 1, 1): no GPU takes as many" in run.stderr


STOCK = """
import numpy as np
from numba import cuda
@cuda.jit
def f(x):
    if cuda.threadIdx.x < 16:
        cuda.syncthreads()
    x[cuda.threadIdx.x] = 1
x = np.zeros(32, np.float32)
f[1, 32](x)
print(x.sum())
"""


def test_numbas_own_simulator_lets_a_divergent_barrier_pass() -> None:
    """Else ours were not needed."""
    run = subprocess.run(
        [*PYTHON, "-c", STOCK], env=environment(NUMBA_ENABLE_CUDASIM="1"), capture_output=True, text=True, timeout=120
    )
    assert run.stdout == "32.0\n", run.stderr


def test_memory_that_nobody_wrote_is_no_number() -> None:
    run = _run("x[cuda.threadIdx.x] = cuda.shared.array(64, float32)[cuda.threadIdx.x]", 1, "print(np.isnan(x).all())")
    assert run.stdout == "True\n", run.stderr
    run = _run("x[cuda.threadIdx.x] = cuda.local.array(4, int32)[2]", 1, "print((x == 2**31 - 1).all())")
    assert run.stdout == "True\n", run.stderr


SUM = """
        v = x[cuda.threadIdx.x]
        for half in (16, 8, 4, 2, 1):
            v += cuda.shfl_xor_sync(0xFFFFFFFF, v, half)
        s = cuda.shared.array(2, float32)
        t = cuda.shared.array(2, float32)
        if cuda.threadIdx.x % 32 == 0:
            s[cuda.threadIdx.x // 32] = v
        cuda.syncthreads()
        if cuda.laneid == 0:
            t[cuda.threadIdx.x // 32] = s[0] + s[1]
        cuda.syncwarp()
        x[cuda.threadIdx.x] = t[cuda.threadIdx.x // 32]
"""


def test_shuffles_and_shared_memory_add_up() -> None:
    run = _run(SUM, 1, "print(set(x.tolist()) == {float(sum(range(64)))})")
    assert run.stdout == "True\n", run.stderr


def test_functions_of_math_are_rounded_to_float32_and_overflow_to_infinity() -> None:
    run = _run("x[cuda.threadIdx.x] = math.exp(x[cuda.threadIdx.x] * float32(2))", 1, "print(x.dtype, x[1], x[63])")
    assert run.stdout == "float32 7.389056 inf\n", run.stderr


def test_nobody_else_in_this_process_takes_the_simulator_for_a_gpu(simulated: Any) -> None:
    from minigan import backends

    assert simulated.NAME == "cuda" and simulated.SIMULATED
    assert backends.choose()[0].NAME != "cuda"
