"""The C++ kernels against float64 truth, float32 NumPy and each other, on every instruction set that runs here."""

import inspect
import subprocess
import threading

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from processes import PYTHON, environment

from minigan.backends import clock, oracle
from minigan.errors import BackendError, ShapeError
from minigan.models.shapes import ACTIVATIONS, Act

_cpp = pytest.importorskip("minigan._cpp", reason="the extension is not built", exc_type=ImportError)
from minigan.backends import cpp  # noqa: E402  (it raises where the extension is missing)

ISAS = _cpp.isas()
TABLES = [_cpp.kernels(isa) for isa in ISAS]
LENGTHS = [*range(1, 71), 1000, 4099, 1 << 20]
SLOPE = 0.2
GUARD = np.float32(-12345.0)
HYPER = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "decay": 0.3}  # 0.5 would hide an FMA: its product is exact
RATES = {"lr": 2e-2, "c1": 1.9, "c2": 700.0, "clip": 0.37}

every_isa = pytest.mark.parametrize("table", TABLES, ids=ISAS)


def every_magnitude() -> np.ndarray:
    """Floats of both signs, 2000 per binade from the smallest subnormal to the largest, and the special ones."""
    rng = np.random.default_rng(1)
    bits = np.concatenate([rng.integers(e << 23, (e + 1) << 23, 2000) for e in range(255)]).astype(np.uint32)
    some = np.concatenate([bits.view(np.float32), np.linspace(0, 110, 300_001, dtype=np.float32)])
    special = np.array([0, 1e-45, 1.17549435e-38, 3.4028235e38, np.inf, 0.625, 88.72284, 103.97208], np.float32)
    x = np.concatenate([special, some])
    return np.concatenate([x, -x, np.array([np.nan], np.float32)])


def bits(a: np.ndarray) -> bytes:
    return np.ascontiguousarray(a).tobytes()


def sigmoid64(x: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


TRUTH = {
    "relu": lambda x: np.where(x <= 0, 0.0, x),
    "leaky_relu": lambda x: np.where(x > 0, x, np.float64(np.float32(SLOPE)) * x),
    "tanh": np.tanh,
    "sigmoid": sigmoid64,
}
ULP_LIMIT = {"relu": 0.0, "leaky_relu": 0.5, "tanh": 8.0, "sigmoid": 8.0}


def ulps(y: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """|y - truth| in units of float32's spacing at the truth; 0 where both are the same infinity."""
    with np.errstate(over="ignore", invalid="ignore"):  # the largest float has no next one; inf - inf
        spacing = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
        return np.where(y == truth, 0.0, np.abs(y - truth) / np.where(np.isfinite(spacing), spacing, 1.0))


@every_isa
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activation_is_near_the_truth_on_every_magnitude(table, kind):
    x = every_magnitude()
    y = table.activation(x, (kind, SLOPE))
    numbers, truth = x[:-1], TRUTH[kind](x[:-1].astype(np.float64))
    error = ulps(y[:-1].astype(np.float64), truth)
    worst = int(np.argmax(error))
    place = f"{kind}({numbers[worst]!r}) = {y[worst]!r}, truth {truth[worst]!r}"
    assert error[worst] <= ULP_LIMIT[kind], f"{error[worst]:.2f} ULP: {place}"
    assert np.isnan(y[-1]), f"{kind}(nan) = {y[-1]}"


@every_isa
def test_the_sign_of_zero_passes_through_odd_activations(table):
    zeros = np.array([0.0, -0.0], np.float32)
    for kind in ("tanh", "leaky_relu"):
        assert bits(table.activation(zeros, (kind, SLOPE))) == bits(zeros), kind


@every_isa
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_a_value_does_not_depend_on_its_position_or_the_length(table, kind):
    x = np.random.default_rng(2).normal(0, 3, max(LENGTHS) + 70).astype(np.float32)
    whole = table.activation(x, (kind, SLOPE))
    for n in LENGTHS:
        for start in (0, 1, 7):
            y = table.activation(x[start : start + n], (kind, SLOPE))
            assert bits(y) == bits(whole[start : start + n]), f"length {n} from {start}"


@pytest.mark.parametrize("kind", ["relu", "leaky_relu"])
def test_piecewise_linear_activations_have_the_same_bits_on_every_instruction_set(kind):
    x = every_magnitude()[:-1]
    expected = bits(oracle.activation(x, Act(kind, SLOPE if kind == "leaky_relu" else 0.0)) + np.float32(0))
    for table in TABLES:
        assert bits(table.activation(x, (kind, SLOPE)) + np.float32(0)) == expected, table.isa


@every_isa
def test_activation_keeps_the_shape_and_leaves_x_alone(table):
    x = np.random.default_rng(3).normal(size=(2, 3, 5, 7)).astype(np.float32)
    before = x.copy()
    assert table.activation(x, ("tanh", 0.0)).shape == x.shape
    assert table.activation(x[0, 0, 0, 0, ...].reshape(()), ("tanh", 0.0)).shape == ()
    assert bits(x) == bits(before)


def adam_float32(p, dp, m, v, rates):
    """The contract's expression in float32 NumPy, one rounding per operation, in the documented order."""
    f = np.float32
    beta1, beta2, eps, decay = (f(HYPER[k]) for k in ("beta1", "beta2", "eps", "decay"))
    lr, c1, c2, clip = (f(rates[k]) for k in ("lr", "c1", "c2", "clip"))
    g = dp * clip
    m = beta1 * m + f(1 - HYPER["beta1"]) * g
    v = beta2 * v + f(1 - HYPER["beta2"]) * g * g
    p = p - lr * decay * p
    p = p - lr * (m * c1) / (np.sqrt(v * c2) + eps)
    return p, m, v


def adam_state(n, seed):
    """p, dp, m, v with gradients over 24 orders of magnitude and zeros among them; v >= 0."""
    rng = np.random.default_rng(seed)
    dp = rng.normal(size=n) * 10.0 ** rng.uniform(-20, 4, n) * (rng.uniform(size=n) > 0.1)
    return [a.astype(np.float32) for a in (rng.normal(size=n), dp, rng.normal(size=n), rng.exponential(size=n) * 1e-3)]


@every_isa
@pytest.mark.parametrize("n", LENGTHS)
def test_adam_step_has_the_bits_of_float32_numpy_and_writes_no_further(table, n):
    p, dp, m, v = adam_state(n, n)
    expected = adam_float32(p, dp, m, v, RATES)
    padded = [np.concatenate([[GUARD], a, np.full(20, GUARD)]).astype(np.float32) for a in (p, m, v)]
    inner = [a[1 : n + 1] for a in padded]
    table.adam_step(inner[0], dp, inner[1], inner[2], clock_of(**RATES), 1, *HYPER.values())
    for name, got, want in zip("pmv", inner, expected, strict=True):
        assert bits(got) == bits(want), f"{name}, n {n}: {np.flatnonzero(got != want)[:5]}"
    for name, a in zip("pmv", padded, strict=True):
        assert a[0] == GUARD and (a[n + 1 :] == GUARD).all(), f"{name}: written outside"


@every_isa
def test_adam_step_follows_the_float64_formula(table):
    p, dp, m, v = adam_state(5000, 11)
    p64, dp64, m64, v64 = (a.astype(np.float64) for a in (p, dp, m, v))
    beta1, beta2 = HYPER["beta1"], HYPER["beta2"]
    for t in range(1, 11):
        c1, c2 = 1 / (1 - beta1**t), 1 / (1 - beta2**t)
        table.adam_step(p, dp, m, v, clock_of(1e-2, c1, c2, 0.5), 1, *HYPER.values())
        g = 0.5 * dp64
        m64 = beta1 * m64 + (1 - beta1) * g
        v64 = beta2 * v64 + (1 - beta2) * g * g
        p64 -= 1e-2 * HYPER["decay"] * p64 + 1e-2 * m64 * c1 / (np.sqrt(v64 * c2) + HYPER["eps"])
    scale = np.abs(p64) + 10 * 1e-2 * np.abs(m64 * 2).max()
    assert (np.abs(p - p64) / scale).max() < 40 * 2.0**-24


def clock_of(lr=2e-2, c1=1.9, c2=700.0, clip=0.37, slot=1):
    words = np.full(clock.WORDS, 9.0, np.float32)
    words[[clock.rate(slot, w) for w in (clock.LR, clock.C1, clock.C2)]] = lr, c1, c2
    words[clock.CLIP + slot], words[clock.BAD] = clip, 0
    return words


@given(n=st.integers(1, 40), seed=st.integers(0, 1 << 30), slot=st.integers(0, clock.SLOTS - 1))
@example(n=17, seed=0, slot=clock.SLOTS - 1)
def test_the_backend_steps_as_the_oracle_does(n, seed, slot):
    mine, its = adam_state(n, seed), adam_state(n, seed)
    words = clock_of(slot=slot)
    for ops, (p, dp, m, v) in ((cpp, mine), (oracle, its)):
        ops.adam_step(p, dp, m, v, words, slot, *HYPER.values())
    assert [bits(a) for a in mine] == [bits(a) for a in its]


@pytest.mark.parametrize("flag", [1.0, np.nan, np.inf])
def test_the_flag_of_a_bad_step_leaves_everything_untouched(flag):
    arrays, words = adam_state(33, 5), clock_of()
    before = [bits(a) for a in arrays]
    words[clock.BAD] = flag
    cpp.adam_step(*arrays, words, 1, *HYPER.values())
    assert [bits(a) for a in arrays] == before
    words[clock.BAD] = 0
    cpp.adam_step(*arrays, words, 1, *HYPER.values())
    assert [bits(a) for a in arrays] != before


def test_the_backend_has_the_oracles_signatures():
    for name in cpp.__all__:
        mine, its = inspect.signature(getattr(cpp, name)), inspect.signature(getattr(oracle, name))
        assert mine == its, name


def test_plumbing_makes_what_the_kernels_take():
    made = cpp.asarray(np.arange(6.0)[::2].astype(">f8"))
    assert made.dtype == np.float32 and made.dtype.isnative and made.flags.c_contiguous and list(made) == [0, 2, 4]
    assert cpp.asarray([3, 4]).dtype == np.int32
    assert cpp.empty((2, 3)).shape == (2, 3) and not cpp.zeros((2, 3)).any()
    target = cpp.zeros((3,))
    cpp.copyto(target, [1, 2, 3])
    assert list(cpp.to_numpy(target)) == [1, 2, 3]
    x = cpp.asarray([-1.0])
    assert cpp.activation(x, None) is x
    with pytest.raises(ShapeError, match="complex128"):
        cpp.asarray(np.ones(2, complex))


def misaligned(n: int) -> np.ndarray:
    return np.zeros(4 * n + 1, np.uint8)[1:].view(np.float32)


def read_only(n: int) -> np.ndarray:
    a = np.zeros(n, np.float32)
    a.flags.writeable = False
    return a


BAD_INPUTS = {
    "a list": ([1.0, 2.0], "of type list"),
    "None": (None, "of type NoneType"),
    "float64": (np.zeros(4), "dtype <f8"),
    "int32": (np.zeros(4, np.int32), "dtype <i4"),
    "big-endian": (np.zeros(4, ">f4"), "dtype >f4"),
    "empty": (np.zeros(0, np.float32), "size 0"),
    "an empty axis": (np.zeros((3, 0, 2), np.float32), r"\(3, 0, 2\)"),
    "strided": (np.zeros(8, np.float32)[::2], "not C-contiguous"),
    "reversed": (np.zeros(4, np.float32)[::-1], "not C-contiguous"),
    "broadcast": (np.broadcast_to(np.float32(0), 4), "not C-contiguous"),
    "Fortran order": (np.zeros((2, 3), np.float32, order="F"), "not C-contiguous"),
    "misaligned": (misaligned(4), "no multiple of 4"),
}
BAD_WRITES = {
    **BAD_INPUTS,
    "read-only": (read_only(4), "read-only"),
    "too short": (np.zeros(3, np.float32), r"\(3,\)"),
    "another shape": (np.zeros((2, 2), np.float32), r"\(2, 2\)"),
}


@pytest.mark.parametrize("what", BAD_INPUTS)
def test_activation_refuses(what):
    given_array, words = BAD_INPUTS[what]
    with pytest.raises(ShapeError, match=f"^x .*{words}"):
        cpp.activation(given_array, Act("relu"))


@pytest.mark.parametrize("place", [0, 1, 2, 3], ids=["p", "dp", "m", "v"])
@pytest.mark.parametrize("what", BAD_WRITES)
def test_adam_step_refuses_and_touches_nothing(what, place):
    if what == "read-only" and place == 1:
        cpp.adam_step(
            *(read_only(4) if i == 1 else np.ones(4, np.float32) for i in range(4)), clock_of(), 1, *HYPER.values()
        )
        return
    given_array, words = BAD_WRITES[what]
    arrays = [given_array if i == place else np.ones(4, np.float32) for i in range(4)]
    with pytest.raises(ShapeError, match=words):
        cpp.adam_step(*arrays, clock_of(), 1, *HYPER.values())
    assert all((a == 1).all() for i, a in enumerate(arrays) if i != place)


@pytest.mark.parametrize("slot", [-1, clock.SLOTS])
def test_a_slot_outside_the_clock_is_refused(slot):
    with pytest.raises(ShapeError, match=f"slot {slot} .* 0 to {clock.SLOTS - 1}"):
        cpp.adam_step(*adam_state(3, 0), clock_of(), slot, *HYPER.values())


def test_a_clock_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=f"clock has shape .* expected \\({clock.WORDS}\\)"):
        cpp.adam_step(*adam_state(3, 0), np.zeros(3, np.float32), 0, *HYPER.values())


def test_an_unknown_activation_is_refused_and_the_known_ones_are_the_same():
    with pytest.raises(ShapeError, match=f"'gelu' is unknown; known: {', '.join(ACTIVATIONS)}$"):
        cpp.activation(np.ones(3, np.float32), Act("gelu"))


def test_an_unknown_instruction_set_is_refused_by_name():
    with pytest.raises(BackendError, match=f"'sse9'.*{', '.join(ISAS)}"):
        _cpp.kernels("sse9")


def imported_under(isa: str | None) -> subprocess.CompletedProcess[str]:
    code = "from minigan.backends import cpp; from minigan import _cpp; print(_cpp.isa(), cpp.table.kernels.isa)"
    env = {k: v for k, v in environment().items() if k != "MINIGAN_ISA"} | ({} if isa is None else {"MINIGAN_ISA": isa})
    return subprocess.run([*PYTHON, "-c", code], env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("forced", "used"), [(None, ISAS[0]), ("", ISAS[0]), *zip(ISAS, ISAS, strict=True)])
def test_minigan_isa_forces_one_and_the_best_wins_otherwise(forced, used):
    run = imported_under(forced)
    assert run.stdout.split() == [used, used], run.stderr


def test_a_wrong_minigan_isa_is_one_clear_error():
    run = imported_under("nonsense")
    last = run.stderr.strip().splitlines()[-1]
    assert run.returncode == 1 and last.startswith("minigan.errors.BackendError: "), run.stderr
    assert all(word in last for word in ("'nonsense'", "MINIGAN_ISA", *ISAS)), last


def test_baseline_is_always_there_and_last():
    assert ISAS[-1] == "baseline" and len(set(ISAS)) == len(ISAS)
    assert set(_cpp.build()) == {"compiler", "version"}


def test_without_the_extension_the_import_says_what_to_do():
    code = "import sys; sys.modules['minigan._cpp'] = None; import minigan.backends.cpp"
    run = subprocess.run([*PYTHON, "-c", code], env=environment(), capture_output=True, text=True, timeout=60)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("minigan.errors.BackendError: the cpp backend needs"), run.stderr
    assert all(word in last for word in ("MINIGAN_NO_EXT", "pip install .", "pip install -e ."))


def test_threads_and_repeats_give_the_same_bits():
    x = np.random.default_rng(4).normal(size=1 << 18).astype(np.float32)
    expected, results = bits(cpp.activation(x, Act("sigmoid"))), []
    threads = [
        threading.Thread(target=lambda: results.append(bits(cpp.activation(x, Act("sigmoid"))))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4
