"""What only a GPU can show, as plain functions of the cuda backend, so that they run where pytest is not installed:

    python tests/gpu_checks.py          one line per check; the exit status is 1 when one failed, 2 without a GPU

With pytest: `pytest -m gpu`. Both are run by benchmarks/gpu.sh.
"""

import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    sys.path += [str(here), str(here / "conformance"), str(here.parent)]

import gan_steps
import numpy as np
from cases import ROWS, compare
from gan_shapes import GAN_SHAPES
from gan_steps import DCGAN, KINDS, SMALL, make, run

from minigan import backends
from minigan.backends import bounds, oracle
from minigan.backends.checked import Checked, Ledger
from minigan.backends.proxies import Finite, NotFinite
from minigan.errors import BackendError

Check = Callable[[Any], None]
SEEDS = 12
MNIST = (28, 28, 1)
PRESETS = {"mlp-mnist": 128, "dcgan-mnist": 32}
GPU_PLANS = ("numba", "cublas", "cublas_tf32", "cublas_bf16", "fft")


def _row(row: Any, ops: Any) -> None:
    for seed in range(SEEDS):
        for integer in (True, False):
            compare(ops, row, seed, np.float32, integer)


def _whole(draw: np.random.Generator, *shape: int) -> np.ndarray:
    return draw.integers(-4, 5, shape).astype(np.float32)


def _convolutions(name: str, ops: Any) -> None:
    """Every implementation, on whole numbers that bf16's 8 bits hold: exact, or for fft within its bound."""
    (h, w), i, o, kernel, stride, padding = GAN_SHAPES[name]
    draw, pair = np.random.default_rng(3), (stride, stride)
    x, weights = _whole(draw, 17, h, w, i), _whole(draw, kernel, kernel, i, o)
    y = oracle.conv2d(x, weights, None, pair, padding)
    dy = _whole(draw, *y.shape)
    calls = {
        "conv2d": (x, weights, None, pair, padding),
        "conv2d_dgrad": (dy, weights, None, pair, padding, (h, w)),
        "conv2d_wgrad": (dy, x, np.zeros_like(weights), None, pair, padding),
    }
    for op, args in calls.items():
        want = bounds.call(oracle, op, args, np.float32).want
        for implementation in GPU_PLANS:
            given = [ops.asarray(a) if isinstance(a, np.ndarray) else a for a in args]
            try:
                got = bounds.outputs(ops, op, given, ops.by(implementation, op, *given))
            except BackendError as e:
                assert implementation == "fft" and "stride" in str(e), f"{implementation}, {op}: {e}"
                continue
            for g, t in zip(got, want, strict=True):
                off = float(np.linalg.norm(g - t) / max(np.linalg.norm(t), 1e-30))
                most = bounds.INEXACT_BOUND if implementation == "fft" else 0.0
                assert off <= most, f"{implementation}, {op}: relative norm {off:.2g}, allowed {most:.2g}"


def _verified(preset: str, ops: Any) -> None:
    """A whole step at its real size, every op of it against the oracle in float64."""
    task = make(ops, [f"train.batch_size={PRESETS[preset]}"], MNIST, preset)
    ledger = Ledger()
    task.use(Checked(ops, oracle, ledger))
    run(task, 1)
    assert ledger.found and max(found.share for found in ledger.found.values()) <= 1


def _graph(preset: str, words: tuple[str, ...], ops: Any) -> None:
    shape = MNIST if preset.endswith("mnist") else (8, 8, 1)
    gan_steps.assert_graph_is_eager(ops, words, 12, shape=shape, preset=preset)


def _deterministic(preset: str, words: tuple[str, ...], ops: Any) -> None:
    shape = MNIST if preset.endswith("mnist") else (8, 8, 1)
    gan_steps.assert_deterministic(ops, words, 12, shape=shape, preset=preset)


def _others() -> list[Any]:
    try:
        return [oracle, backends.load("cpp")]
    except BackendError:
        return [oracle]


def _near(distance: Callable[..., float], most: float, words: tuple[str, ...], ops: Any) -> None:
    for other in _others():
        found = distance(ops, other, words)
        assert found <= most, f"{found:.3g} from {other.NAME}, allowed {most:g}"


def _late(ops: Any) -> None:
    """NaN in a batch: no weight moves, the step that met it is found 3 steps later, and named."""
    task = make(ops, [*DCGAN, *SMALL, "train.n_critic=1"])
    run(task, 4)
    bad = gan_steps.batches(task, 4)
    bad[0][3, 4, 4, 0] = np.nan
    before = gan_steps.bits(task)
    task.step(bad, 4)
    run(task, 3, 5)
    assert task.bad() and (task.failed_step(7), task.failed) == (4, 0)
    try:
        task.replay(bad, 4, Finite(ops))
    except NotFinite as e:
        assert str(e) == "d.0, forward: conv2d, input 0 is not finite", e
    else:
        raise AssertionError("the replay named nothing")
    after = gan_steps.bits(task)
    moved = [name for name in before if before[name] != after[name] and not name.endswith((".mean", ".var"))]
    assert not moved, f"{', '.join(moved)} moved"


def _ahead(ops: Any) -> None:
    """Many steps without a look: no batch is overwritten on its way, whatever the host is ahead."""
    free, slow = make(ops, [*DCGAN, *SMALL]), make(ops, [*DCGAN, *SMALL])
    for step in range(60):
        free.step(gan_steps.batches(free, step), step)
        slow.step(gan_steps.batches(slow, step), step)
        ops.synchronize()
    gan_steps.assert_same(gan_steps.bits(free), gan_steps.bits(slow))


def _samples(ops: Any) -> None:
    task = make(ops, [*DCGAN, *SMALL])
    run(task, 3)
    z = np.random.default_rng(0).standard_normal((70, 5)).astype(np.float32)
    many = task.samples(z, "ema")
    assert task.samples(z[:3], "ema").tobytes() == many[:3].tobytes() and np.isfinite(many).all()


SMALL_DCGAN = (*DCGAN, *SMALL)
CHECKS: dict[str, Check] = {
    **{f"conformance: {row.name}": partial(_row, row) for row in ROWS},
    **{f"implementations: {name}": partial(_convolutions, name) for name in GAN_SHAPES},
    **{f"verified step: {preset}": partial(_verified, preset) for preset in PRESETS},
    **{f"graph == eager: {kind}": partial(_graph, "digits", (*SMALL_DCGAN, *KINDS[kind])) for kind in KINDS},
    **{f"graph == eager: {preset}": partial(_graph, preset, ("train.batch_size=64",)) for preset in PRESETS},
    **{f"deterministic: {preset}": partial(_deterministic, preset, ("train.batch_size=64",)) for preset in PRESETS},
    "parity: 3 steps of SGD": partial(_near, gan_steps.sgd_distance, 1e-5, SMALL_DCGAN),
    "parity: 3 steps of Adam": partial(_near, gan_steps.adam_distance, 1e-3, SMALL_DCGAN),
    "parity: 200 steps, means of 50": partial(_near, gan_steps.window_distance, 0.05, SMALL_DCGAN),
    "a NaN is found late and named": _late,
    "the host runs ahead": _ahead,
    "samples do not depend on how many": _samples,
}


def main() -> int:
    """Runs all checks; see above."""
    try:
        ops = backends.load("cuda")
    except BackendError as e:
        print(f"gpu_checks: {e}", file=sys.stderr)
        return 2
    failed = 0
    for name, check in CHECKS.items():
        began = time.perf_counter()
        try:
            check(ops)
            words = "ok"
        except Exception as e:
            failed += 1
            words = f"FAILED: {type(e).__name__}: {' '.join(str(e).split())[:400]}"
            if not isinstance(e, AssertionError):
                words += f" at {traceback.extract_tb(e.__traceback__)[-1]}"
        print(f"{name:<50} {time.perf_counter() - began:6.2f} s  {words}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        sys.exit(main())
