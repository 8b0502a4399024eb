"""--verify: right results pass on every backend, bits unchanged; wrong ones are named by net, layer, pass and op."""

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import NOT_OPS, ROWS, Row
from runs import Notes, assert_same, run, small, state

from minigan.backends import bounds, load, oracle, plan
from minigan.backends.bounds import BOUNDS, OPS
from minigan.backends.checked import Breach, Checked, Ledger
from minigan.backends.proxies import NotFinite
from minigan.errors import ConfigError
from minigan.tasks.gan import GAN
from minigan.training import checkpoint, parts, trainer
from minigan.training.trainer import Silent

BACKENDS = ["numpy", *(["cpp"] if importlib.util.find_spec("minigan._cpp") else [])]
every_backend = pytest.mark.parametrize("backend", BACKENDS)
every_op = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
SHAPE = (8, 8, 1)


class Broken:
    """The oracle, but for one op, in whose place stands `wrong`, called with the right one first."""

    def __init__(self, key: str, wrong: Callable[..., Any]):
        self.key, self.wrong = key, wrong

    def __getattr__(self, key: str) -> Any:
        op = getattr(oracle, key)
        return (lambda *args: self.wrong(op, *args)) if key == self.key else op


def copies(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)


# ---------------------------------------------------------------------------------------------------------- op by op


def test_every_op_has_a_bound() -> None:
    assert set(oracle.__all__) - NOT_OPS == OPS
    kinds = {name for name in BOUNDS if "/" in name}
    assert kinds >= {f"logit_loss/{kind}" for kind in oracle.loss.LOGIT_LOSSES}


@every_backend
@every_op
def test_right_results_pass_as_they_are(row: Row, backend: str) -> None:
    ops, ledger = load(backend), Ledger()
    checked = Checked(ops, oracle, ledger)
    for seed in range(10):
        bare, seen = (copies(row.args(seed, np.float32, integer=False)) for _ in range(2))
        with np.errstate(all="ignore"):
            want = bounds.outputs(ops, row.op, bare, getattr(ops, row.op)(*bare))
            got = bounds.outputs(ops, row.op, seen, getattr(checked, row.op)(*seen))
        assert [a.tobytes() for a in got] == [a.tobytes() for a in want]
    assert ledger.found and all(found.share <= 1 for found in ledger.found.values())


def spoil(a: np.ndarray) -> None:
    """One element, by a thousandth of the largest."""
    a.flat[a.size // 2] += 1e-3 * float(np.abs(a).max()) or 1.0


@every_op
def test_one_wrong_element_of_any_output_is_seen(row: Row) -> None:
    args = next(a for a in (row.args(seed, np.float32, integer=True) for seed in range(30)) if _written(row, a))
    count = len(bounds.run(oracle, row.op, args))

    def spoilt(k: int) -> Callable[..., Any]:
        def wrong(op: Any, *given: Any) -> Any:
            out = op(*given)
            returned = out if isinstance(out, tuple) else () if out is None else (out,)
            results = [np.array(a) for a in returned]
            spoil([*results, *(given[i] for i in bounds.writes(row.op))][k])
            return None if out is None else tuple(results) if isinstance(out, tuple) else results[0]

        return wrong

    for k in range(count):
        with pytest.raises(Breach, match=rf"^step, loss: {row.op}, output {k} "):
            getattr(Checked(Broken(row.op, spoilt(k)), oracle), row.op)(*copies(args))


def _written(row: Row, args: tuple[Any, ...]) -> bool:
    """All of the buffers are there, and what is written is finite."""
    given = [args[i] for i in bounds.writes(row.op)]
    return all(a is not None for a in given) and all(np.isfinite(a).all() for a in args if isinstance(a, np.ndarray))


def test_an_input_that_changes_is_seen() -> None:
    def wrong(op: Any, x: Any, alpha: float) -> Any:
        y = op(x, alpha)
        x[0] = 0
        return y

    with pytest.raises(Breach, match=r"scale changed its argument 0 of shape \(3,\)"):
        Checked(Broken("scale", wrong), oracle).scale(np.ones(3, np.float32), 2.0)


def test_outputs_that_lack_or_have_another_shape_or_type_are_seen() -> None:
    x = np.ones((2, 3), np.float32)
    with pytest.raises(Breach, match=r"split gave 1 outputs, the oracle 2"):
        Checked(Broken("split", lambda op, *args: op(*args)[0]), oracle).split(x, 1)
    with pytest.raises(Breach, match=r"output 0 \(3, 2\) is float32, expected \(2, 3\) of float32"):
        Checked(Broken("mul", lambda op, *args: op(*args).T), oracle).mul(x, x)
    with pytest.raises(Breach, match=r"output 0 \(2, 3\) is float64, expected \(2, 3\) of float32"):
        Checked(Broken("mul", lambda op, *args: op(*args).astype(float)), oracle).mul(x, x)


@every_backend
def test_numbers_are_those_that_float32_holds(backend: str) -> None:
    """1 - 0.97 of what float32 makes of 0.97 is off by 1e-6 of itself, which is no error of the op."""
    checked = Checked(load(backend), oracle)
    x = np.random.default_rng(1).uniform(12, 14, 100).astype(np.float32)
    checked.scale(x, 0.1)
    checked.logit_loss(x, "bce", 0.97)
    checked.logit_loss(x[:1], "bce", 0.999)


def test_numbers_that_are_not_finite_are_left_to_the_flag() -> None:
    x = np.array([1, np.nan, np.inf], np.float32)
    checked = Checked(Broken("mean", lambda op, x: np.float32(7)), oracle)
    assert checked.mean(x) == 7
    clock = np.zeros(22, np.float32)
    with pytest.raises(
        Breach, match=r"finite_flag, output 0 \(22,\) is 0 at \[21\], expected 1: off by 1, they must be equal"
    ):
        Checked(Broken("finite_flag", lambda op, *args: None), oracle).finite_flag(np.float32(np.nan), clock)


# --------------------------------------------------------------------------------------------- inexact implementations


@pytest.fixture
def fft(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The cpp backend with all convolutions by fft."""
    if "cpp" not in BACKENDS:
        pytest.skip("the extension is not built")
    monkeypatch.setattr(plan, "FORCED", dict.fromkeys(plan.OPS, "fft"))
    plan.choose.cache_clear()
    yield load("cpp")
    plan.choose.cache_clear()


HOW = ((1, 1), ((2, 2), (2, 2)))


def _convolution() -> list[np.ndarray]:
    """x, w, dy"""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(np.float32) for s in ((4, 9, 9, 5), (5, 5, 5, 6), (4, 9, 9, 6))]


def test_an_inexact_implementation_is_held_to_its_norm_and_named(fft: Any) -> None:
    ledger, (x, w, dy) = Ledger(), _convolution()
    checked = Checked(fft, oracle, ledger)
    checked.conv2d(x, w, None, *HOW)
    checked.conv2d_dgrad(dy, w, None, *HOW, (9, 9))
    checked.conv2d_wgrad(dy, x, np.ones_like(w), np.ones(6, np.float32), *HOW)
    assert set(ledger.found) == {f"{op} (fft)" for op in plan.OPS}
    assert all(0.02 < found.share < 0.7 for found in ledger.found.values()), ledger.found


def test_an_inexact_implementation_may_leave_something_where_terms_cancel(fft: Any) -> None:
    ledger, (x, w, _) = Ledger(), _convolution()
    x[..., 1], w[:, :, 1], x[..., 2:] = x[..., 0], -w[:, :, 0], 0
    assert np.abs(Checked(fft, oracle, ledger).conv2d(x, w, None, *HOW)).max() > 0
    assert ledger.found["conv2d (fft)"].share < 0.5


class Off:
    """The cpp backend; what conv2d gives is off by 4e-6 of itself."""

    def __getattr__(self, key: str) -> Any:
        return getattr(load("cpp"), key)

    def conv2d(self, *args: Any) -> Any:
        return load("cpp").conv2d(*args) * np.float32(1 + 4e-6)


def test_an_inexact_implementation_that_is_off_is_seen(fft: Any) -> None:
    x, w, _ = _convolution()
    with pytest.raises(Breach, match=r"conv2d \(fft\), output 0 .* \(2-norm\), allowed"):
        Checked(Off(), oracle).conv2d(x, w, None, *HOW)


# ------------------------------------------------------------------------------------------------- bugs in a GAN's step


NETS = {
    "dense": ("model.family=mlp", "model.act_g=tanh", "model.output=sigmoid", "g.clip_norm=0.1", "d.l2=1e-3",
              "g.rule=sgd", "g.momentum=0.5", "loss.name=least-squares", "data.range=0..1"),
    "convolutions": ("g.weight_decay=1e-3", "model.dropout=0.25", "loss.smoothing=0.03"),
    "batchnorm in both": ("model.family=normed_dcgan:build", "model.strides_g=[2, 2]", "train.weight_clip=0.05",
                          "loss.name=wasserstein"),
}  # fmt: skip


def gan(ops: Any, *overrides: str) -> GAN:
    """A small one in float32 whose biases are not 0."""
    task = GAN(small("train.n_critic=1", *overrides), ops, SHAPE)
    for net in (task.G, task.D):
        net.p += np.float32(0.05)
    return task


def batch() -> np.ndarray:
    return np.random.default_rng(2).uniform(-1, 1, (10, *SHAPE)).astype(np.float32)


@every_backend
@pytest.mark.parametrize("name", NETS)
def test_a_healthy_step_is_within_every_bound_and_keeps_its_bits(name: str, backend: str) -> None:
    ops, ledger = load(backend), Ledger()
    bare, seen = (gan(ops, *NETS[name]) for _ in range(2))
    seen.use(Checked(ops, oracle, ledger))
    for step in range(3):
        bare.step([batch()], step)
        seen.step([batch()], step)
    for key, a in bare.tensors().items():
        assert a.tobytes() == seen.tensors()[key].tobytes(), key
    shares = {op: found.share for op, found in ledger.found.items()}
    assert len(shares) > 12 and max(shares.values()) < 1 and sum(share > 0.01 for share in shares.values()) > 7, shares
    assert {found.where.split(".")[0].split(",")[0] for found in ledger.found.values()} >= {"d", "g"}


def _unflipped(op: Any, dy: Any, w: Any, *rest: Any) -> Any:
    return op(dy, np.ascontiguousarray(w[::-1, ::-1]), *rest)


def _stale(op: Any, x: Any, *rest: Any) -> Any:
    y, mean, var = op(x, *rest)
    return y, np.roll(mean, 1), var


def _lost(op: Any, dy: Any, x: Any, dw: Any, *rest: Any) -> None:
    dw[...] = 0
    op(dy, x, dw, *rest)


def _no_bias(op: Any, x: Any, w: Any, b: Any, *rest: Any) -> Any:
    return op(x, w, None, *rest)


# what is wrong: (net, op, in place of it, where it is named)
BUGS: dict[str, tuple[str, str, Callable[..., Any], str]] = {
    "the bias is left out, dense": ("dense", "linear", _no_bias, r"g\.0, forward: linear"),
    "sign of a data gradient": ("dense", "linear_dgrad", lambda op, *a: -op(*a), r"d\.5, backward: linear_dgrad"),
    "accumulation lost, dense": ("dense", "linear_wgrad", _lost, r"d\.5, backward: linear_wgrad"),
    "tanh' of x, not of y": (
        "dense",
        "activation_backward",
        lambda op, dy, y, act: op(dy, np.tanh(y), act),
        r"g\.2, backward: activation_backward",
    ),
    "the loss is a sum": (
        "dense",
        "logit_loss",
        lambda op, x, *a: (op(x, *a)[0], op(x, *a)[1] * x.size),
        r"d, forward: logit_loss",
    ),
    "a penalty's gradient without its 2": (
        "dense",
        "add_scaled",
        lambda op, k, *a: op(k / 2, *a),
        r"d, backward: add_scaled",
    ),
    "a penalty that is not added": ("dense", "axpby", lambda op, a, x, b, y: op(a, x, 0.0, y), r"d, forward: axpby"),
    "clip factor of another slot": (
        "dense",
        "clip_scale",
        lambda op, n, most, clock, slot: op(n, most, clock, 1 - slot),
        r"d, update: clip_scale",
    ),
    "momentum forgotten": ("dense", "sgd_step", lambda op, *a: op(*a[:5], 0.0, *a[6:]), r"g, update: sgd_step"),
    "the bias is left out": ("convolutions", "conv2d", _no_bias, r"d\.0, forward: conv2d"),
    "the kernel is not flipped": ("convolutions", "conv2d_dgrad", _unflipped, r"g\.3, forward: conv2d_dgrad"),
    "accumulation lost": ("convolutions", "conv2d_wgrad", _lost, r"d\.2, backward: conv2d_wgrad"),
    "another mask in backward": (
        "convolutions",
        "dropout_backward",
        lambda op, dy, r, c, o: op(dy, r, c, o + 1),
        r"d\.3, backward: dropout_backward",
    ),
    "dropout does not scale": (
        "convolutions",
        "dropout",
        lambda op, x, r, *a: op(x, r, *a) * np.float32(1 - r),
        r"d\.1, forward: dropout",
    ),
    "mean of another channel": ("convolutions", "batchnorm", _stale, r"g\.1, forward: batchnorm, output 1"),
    "batch and running swapped": (
        "convolutions",
        "running_update",
        lambda op, s, b, m: op(s, b, 1 - m),
        r"g\.1, forward: running_update",
    ),
    "mean is taken for constant": (
        "convolutions",
        "batchnorm_backward",
        lambda op, *a: oracle.batchnorm_running_backward(*a),
        r"g\.4, backward: batchnorm_backward, output 0",
    ),
    "beta1 and beta2 swapped": (
        "convolutions",
        "adam_step",
        lambda op, *a: op(*a[:6], a[7], a[6], *a[8:]),
        r"g, update: adam_step",
    ),
    "no weight decay": ("convolutions", "adam_step", lambda op, *a: op(*a[:-1], 0.0), r"g, update: adam_step"),
    "rmsprop without its root": (
        "convolutions",
        "rmsprop_step",
        lambda op, *a: op(a[0], a[1] * a[1], *a[2:]),
        r"d, update: rmsprop_step",
    ),
    "the average moves too fast": (
        "convolutions",
        "ema_update",
        lambda op, s, p, c: op(s, (s + p) / np.float32(2), c),
        r"g, update: ema_update",
    ),
    "norm of half the gradient": (
        "convolutions",
        "sum_squares",
        lambda op, x: op(x[: x.size // 2]),
        r"d, update: sum_squares",
    ),
    "no weight clip": ("batchnorm in both", "clip", lambda op, p, limit: None, r"d, update: clip"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_named_by_layer_and_pass(bug: str) -> None:
    name, op, wrong, where = BUGS[bug]
    task = gan(oracle, *NETS[name])
    task.step([batch()], 0)
    task.use(Checked(Broken(op, wrong), oracle))
    with pytest.raises(Breach, match=f"^{where}"):
        task.step([batch()], 1)


# --------------------------------------------------------------------------------------------------------- whole runs


@every_backend
def test_a_verified_run_has_the_bits_of_one_that_is_not(tmp_path: Path, backend: str) -> None:
    out, notes = run(tmp_path / "bare", "train.steps=10", f"train.backend={backend}"), Notes()
    trainer.train(small("train.steps=10", f"train.backend={backend}"), tmp_path / "seen", reporter=notes, verify=4)
    assert_same(state(out), state(tmp_path / "seen"))
    said = "\n".join(notes.notes)
    assert "verified on the oracle:" in said and "in 3 steps" in said, said
    table = said[said.index("verified on the oracle") :].splitlines()[2:]
    assert {"batchnorm_backward", "rmsprop_step", "ema_update", "dropout"} <= {line.split()[0] for line in table}
    shares = [float(line[: line.index(" %")].split()[-1]) for line in table]
    assert (
        shares == sorted(shares, reverse=True)
        and 10 < shares[0] < 100
        and {"step 1", "step 5"} & {line.rpartition(", ")[2] for line in table}
    )


def test_without_verify_nothing_is_checked(tmp_path: Path) -> None:
    notes = Notes()
    trainer.train(small("train.steps=3"), tmp_path / "run", reporter=notes)
    assert not any("verified" in text for text in notes.notes)


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """breaking(k): from its k-th call on, adam_step of the backend adds a little to p."""

    def arrange(k: int) -> None:
        calls = iter(range(10**6))

        def wrong(op: Any, p: Any, *rest: Any) -> None:
            op(p, *rest)
            if next(calls) >= k:
                p[0] += np.float32(1e-3)

        monkeypatch.setattr(parts, "open_backend", lambda *given: (Broken("adam_step", wrong), "backend numpy"))

    return arrange


def test_a_breach_keeps_nothing_of_its_step_and_the_run_goes_on(
    tmp_path: Path, breaking: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, notes, often = tmp_path / "run", Notes(), "train.checkpoint_every=2"
    breaking(2 * 4)  # two segments of G a step
    with pytest.raises(Breach) as e:
        trainer.train(small("train.steps=9", often), out, reporter=notes, verify=1)
    words = (
        "stopped at step 5: g, update: adam_step, output 0 (",
        "they must be equal",
        "given (",
        "step-00000004",
    )
    for word in words:
        assert word in str(e.value), e.value
    assert any(line.startswith("adam_step") and "inf" in line for line in notes.notes), notes.notes
    saved = checkpoint.newest(out / "checkpoints")
    assert saved is not None and saved.name == "step-00000004.safetensors" and not (out / "samples.png").exists()
    monkeypatch.undo()
    run(out, "train.steps=9", often, resume=True)
    assert_same(state(out), state(run(tmp_path / "whole", "train.steps=9", often)))


def test_a_breach_between_two_checked_steps_is_not_seen_before_the_next(
    tmp_path: Path, breaking: Callable[[int], None]
) -> None:
    breaking(2)
    with pytest.raises(Breach, match="stopped at step 4: "):
        trainer.train(small("train.steps=9"), tmp_path / "run", verify=3)


def test_nan_is_reported_as_without_verify(tmp_path: Path) -> None:
    t = trainer.Trainer(small("train.steps=5"), tmp_path / "run", False, Silent(), verify=1)
    t.task.G.layers[3].w[0, 0, 0, 0] = np.nan
    with pytest.raises(NotFinite, match=r"stopped at step 1: g\.3, forward: conv2d_dgrad"):
        t.run()


def test_what_cannot_be_verified_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for overrides, verify, words in ((["train.dtype=float64"], 1, "train.dtype is float64"), ([], -1, "at least 0")):
        with pytest.raises(ConfigError, match=words):
            trainer.train(small("train.steps=5", *overrides), tmp_path / "run", verify=verify)
    assert not (tmp_path / "run").exists()


def test_the_step_that_is_resumed_first_is_checked(tmp_path: Path) -> None:
    out, notes = run(tmp_path / "run", "train.steps=3"), Notes()
    trainer.train(small("train.steps=5"), out, True, notes, 100)
    assert any(text.endswith("step 4") for text in notes.notes), notes.notes
