"""Convolutions of signals, images of one row under long kernels 1xK: no backend makes a difference of that.

(length L, input channels, output channels, K, stride, padding left and right); of transposed convolutions the forward
convolution that they run backwards. Exact on integers but by fft. WaveGAN: arXiv:1802.04208, channels cut.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cpp_isas import BACKENDS, ISAS

from minigan.backends import oracle, plan
from minigan.backends.bounds import INEXACT_BOUND

SIGNALS = {
    "WaveGAN, D 1->16 and G 16->1": (256, 1, 16, 25, 4, (10, 11)),
    "WaveGAN, D 16->32": (256, 16, 32, 25, 4, (10, 11)),
    "WaveGAN, D 32->64 and G 64->32": (64, 32, 64, 25, 4, (10, 11)),
    "WaveGAN, stereo": (64, 2, 8, 25, 4, (10, 11)),
    "longer than the signal": (9, 3, 5, 25, 4, (10, 11)),
    "stride 1": (33, 33, 40, 7, 1, (3, 3)),
    "stride 2": (64, 33, 40, 7, 2, (2, 3)),
    "of one tap": (17, 9, 5, 1, 1, (0, 0)),
}
SHORT = {name: row for name, row in SIGNALS.items() if row[3] <= plan.FFT_TAPS}
SIMULATED = {"by 4": (16, 2, 3, 25, 4, (10, 11)), "by 1": (9, 3, 2, 5, 1, (2, 2))}
Arrays = dict[str, np.ndarray]


@pytest.fixture
def fft(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forces it on all convolutions."""
    monkeypatch.setattr(plan, "FORCED", dict.fromkeys(plan.OPS, "fft"))
    plan.choose.cache_clear()
    yield
    plan.choose.cache_clear()


def _three(ops: Any, row: tuple[Any, ...], n: int) -> Arrays:
    """What the three kernels make of integers, with biases where they take one."""
    length, i, o, kernel, s, sides = row
    stride, padding, rng = (1, s), ((0, 0), sides), np.random.default_rng(n)

    def whole(*shape: int) -> Any:
        return ops.asarray(rng.integers(-4, 5, shape).astype(np.float32))

    x, w, b, c = whole(n, 1, length, i), whole(1, kernel, i, o), whole(o), whole(i)
    y = ops.conv2d(x, w, b, stride, padding)
    dy, dw, db = whole(*y.shape), whole(*w.shape), whole(o)
    dx = ops.conv2d_dgrad(dy, w, c, stride, padding, (1, length))
    ops.conv2d_wgrad(dy, x, dw, db, stride, padding)
    return {key: np.array(ops.to_numpy(a)) for key, a in {"y": y, "dx": dx, "dw": dw, "db": db}.items()}


@pytest.mark.parametrize("name", SIGNALS)
def test_every_instruction_set_is_exact(name: str) -> None:
    for n in (1, 17):
        want = _three(oracle, SIGNALS[name], n)
        for isa in ISAS:
            for key, got in _three(BACKENDS[isa], SIGNALS[name], n).items():
                assert np.array_equal(got, want[key]), f"{name}, N {n}, {isa}: {key}"


@pytest.mark.parametrize("name", SHORT)
def test_fft_where_it_is_forced(name: str, fft: None) -> None:
    want = _three(oracle, SHORT[name], 17)
    for isa in ISAS:
        for key, got in _three(BACKENDS[isa], SHORT[name], 17).items():
            error = np.linalg.norm(got - want[key]) / np.linalg.norm(want[key])
            assert error <= INEXACT_BOUND, f"{name}, {isa}: {key} is off by {error:.1e}"


@pytest.mark.parametrize("name", SIMULATED)
def test_the_gpu_s_kernels(name: str, simulated: Any) -> None:
    want = _three(oracle, SIMULATED[name], 2)
    for key, got in _three(simulated, SIMULATED[name], 2).items():
        assert np.array_equal(got, want[key]), f"{name}: {key}"


def test_the_loops_agree() -> None:
    """The oracle itself, on the one shape whose kernel is longer than the signal: y by the sum of its definition."""
    length, i, o, kernel, s, (left, _) = SIGNALS["longer than the signal"]
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-4, 5, shape).astype(np.float32) for shape in ((2, 1, length, i), (1, kernel, i, o)))
    y = oracle.conv2d(x, w, None, (1, s), ((0, 0), (10, 11)))
    want = np.zeros_like(y)
    for q in range(y.shape[2]):
        for k in range(kernel):
            t = q * s + k - left
            if 0 <= t < length:
                want[:, 0, q] += x[:, 0, t] @ w[0, k]
    assert np.array_equal(y, want)
