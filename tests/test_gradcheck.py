"""The gradient table passes, covers what there is, and sees wrong gradients."""

import inspect
import itertools
import pkgutil
import re
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minigan.backends.oracle as oracle
from minigan.errors import ConfigError, ShapeError
from minigan.losses import LOSSES, Term
from minigan.models import layers, translators, trees
from minigan.models.augment import AUGMENTATIONS
from minigan.models.builders import FAMILIES
from minigan.models.conditions import CONDITIONS
from minigan.models.layers import MODES
from minigan.models.parts import NORMS_D
from minigan.models.shapes import ACTIVATIONS
from minigan.penalties import PENALTIES
from minigan.study import gradcheck as table
from minigan.study.gradcheck import Result, gradcheck
from minigan.study.rows_nets import NARROW, reduced
from minigan.study.rows_second import NETS
from minigan.tasks.search import CONTEXTS

# Ops without a derivative of their own: plumbing, updates, logging, and halves of a pair whose other half is a row.
NO_ROW = {
    *("asarray", "to_numpy", "empty", "zeros", "copyto", "prepare", "synchronize"),
    *("adam_step", "sgd_step", "rmsprop_step", "ema_update", "running_update", "clip", "clip_scale", "finite_flag"),
    *("mean", "row_sum_squares"),
}


@pytest.mark.parametrize("name", table.ROWS)
def test_row(name: str) -> None:
    result = table.check_row(name)
    assert result.ok, str(result)
    assert result.worst_complex is not None
    assert result.points >= 12


def test_every_op_is_called_by_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    called = set()

    def spy(key, op):
        def counted(*args, **kwargs):
            called.add(key)
            return op(*args, **kwargs)

        return counted

    for key in oracle.__all__:
        monkeypatch.setattr(oracle, key, spy(key, getattr(oracle, key)))
    for name in table.ROWS:
        problem = table.ROWS[name].make(np.random.default_rng(0))
        gradcheck(*problem, points=1)
    assert set(oracle.__all__) - called - NO_ROW == set()


def _defined(folder: ModuleType) -> set[type]:
    """The classes with a backward pass in a package's files, or in a module; a base's name begins with _."""
    below = [info.name for info in pkgutil.iter_modules(getattr(folder, "__path__", []))]
    files = [import_module(f"{folder.__name__}.{name}") for name in below] or [folder]
    kinds = {kind for file in files for kind in vars(file).values() if inspect.isclass(kind)}
    bases = {layers.Layer, layers.Straight}
    return {kind for kind in kinds - bases if hasattr(kind, "backward") and not kind.__name__.startswith("_")}


LAYERS, COMBINATORS = _defined(layers), _defined(trees)
SECOND = {kind for kind in LAYERS if kind.forward_tangent is not layers.Layer.forward_tangent}
STATISTICAL = {kind for kind in LAYERS if "self.state" in inspect.getsource(kind)}
FAMILY = {reduced(name).model.family: name for name in NARROW}


def _names(pattern: str, *tables: Iterable[Any]) -> set[str]:
    """`pattern` filled in every combination, by the names in the tables."""
    rows = itertools.product(*tables)
    return {pattern.format(*(getattr(word, "__name__", word) for word in row)) for row in rows}


# what there is -> the rows that it must have: one of that name, or some that begin with it and a dot
WANTED: dict[str, set[str]] = {
    "layers": _names("{}", LAYERS),
    "combinators": _names("{}", COMBINATORS),
    "tangents": _names("tangent.{}", SECOND | COMBINATORS),
    "statistics x mode": _names("{}.{}", STATISTICAL, MODES),
    "family x net x mode": _names("net.{}.{}.{}", [FAMILY[name] for name in FAMILIES], "gd", MODES),
    "translators": _names("net.translator.{}", translators.KINDS),
    "activations": _names("{}.{}", ("activation", "activation_backward_tangent"), ACTIVATIONS),
    "augmentations": _names("augment.{}", AUGMENTATIONS),
    "kinds of loss": _names("logit_loss.{}", {t.kind for row in LOSSES.values() for t in row if isinstance(t, Term)}),
    "loss x player": _names("step.{}.{}", LOSSES, "dg"),
    "loss x penalty": _names("penalty.{1}.loss.{0}", LOSSES, PENALTIES),
    "penalty x D": _names("penalty.{}.{}", PENALTIES, NETS),
    "penalty x norm of D": _names("penalty.{}.dcgan.{}", PENALTIES, NORMS_D.keys() - {"batch"} | {"spectral"}),
    "condition x player": _names("step.{}.{}", CONDITIONS, "dg"),
    "condition x penalty": _names("penalty.{1}.{0}.mlp", CONDITIONS, PENALTIES),
    "contexts of the search": _names("search.{}", CONTEXTS),
    "tasks": _names(
        "{}", ("step.classifier", "step.vae", "cyclegan", "superres.first", "superres.second", "superres.d")
    ),
}


@pytest.mark.parametrize("what", WANTED)
def test_every_combination_has_a_row(what: str) -> None:
    missing = [name for name in WANTED[what] if not any(f"{row}.".startswith(f"{name}.") for row in _rows())]
    assert WANTED[what] and missing == []


def _rows() -> list[str]:
    """The table's rows, those of a kind with its target (logit_loss.bce0.9, logit_loss.hinge+) as the kind."""
    return [re.sub(r"(logit_loss\.[a-z]+)[0-9.+-]*$", r"\1", row) for row in table.ROWS]


def test_run_reports_each_row_and_selects() -> None:
    seen: list[Result] = []
    results = table.run("activation", False, seen.append)
    assert results == seen
    assert [r.op for r in results] == [f"activation.{kind}" for kind in ("relu", "leaky_relu", "tanh", "sigmoid")]
    assert [r.op for r in table.run("mul", False)] == ["mul"]
    assert table.select(None) == list(table.ROWS)


def test_full_checks_every_entry_of_several_draws() -> None:
    sampled, full = table.run("pad", False), table.run("pad", True)
    assert len(sampled) == 1
    assert [r.points for r in full] == 3 * [4 * 6 * 4 * 3]
    assert len({r.worst for r in full}) == 3, "three draws give three worst errors"


def test_unknown_row_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"gradcheck knows no row 'conv3d'; did you mean 'conv2d'\?"):
        table.run("conv3d", False)


# ---------------------------------------------------------------------------------------------- a student's wrong layer


def _numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape)


def _square(x, w):
    return np.tanh(x @ w)


def _square_backward(dy, x, w):
    dz = dy * (1 - np.tanh(x @ w) ** 2)
    return dz @ w.T, x.T @ dz


WRONG = {
    "sign": lambda dx, dw: (dx, -dw),
    "factor": lambda dx, dw: (dx, dw * (1 + 1e-5)),
    "transposed": lambda dx, dw: (dx, dw.T),
    "zero": lambda dx, dw: (dx, 0 * dw),
    "shifted": lambda dx, dw: (dx, np.roll(dw, 1, axis=0)),
    "one entry": lambda dx, dw: (dx, dw + 1e-4 * (np.arange(dw.size) == 5).reshape(dw.shape)),
    "NaN": lambda dx, dw: (dx, np.where(dw == dw.max(), np.nan, dw)),
}


def _check_square(spoil=lambda dx, dw: (dx, dw), **options) -> Result:
    inputs = {"x": _numbers(5, 4), "w": _numbers(4, 4)}
    return gradcheck(_square, lambda dy, x, w: spoil(*_square_backward(dy, x, w)), inputs, **options)


def test_a_right_layer_passes_by_name_or_in_order() -> None:
    named, ordered = _check_square(), gradcheck(_square, _square_backward, [_numbers(5, 4), _numbers(4, 4)])
    assert named.ok and ordered.ok
    assert named.points == ordered.points == 5 * 4 + 4 * 4
    assert named.worst == ordered.worst <= 1e-6
    assert ordered.where.startswith("input ")
    assert named.worst_complex is None
    assert _check_square(analytic=True, smooth=True).worst_complex <= 1e-10


@pytest.mark.parametrize("bug", WRONG)
def test_a_wrong_gradient_is_found_and_placed(bug: str) -> None:
    result = _check_square(WRONG[bug])
    assert result.verdict == "wrong", str(result)
    assert result.where.startswith("w["), str(result)
    assert not result.ok


def test_the_worst_entry_is_named() -> None:
    result = _check_square(WRONG["one entry"])
    assert result.where == "w[1, 1]"
    assert result.analytic - result.numeric == pytest.approx(1e-4, rel=1e-3)
    assert f"at w[1, 1]: analytic {result.analytic:.9g}" in str(result)


def test_the_complex_step_sees_what_differences_cannot() -> None:
    spoil = lambda dx, dw: (dx * (1 + 1e-8), dw)  # noqa: E731
    assert _check_square(spoil).ok
    result = _check_square(spoil, analytic=True)
    assert result.verdict == "wrong (complex step)"
    assert result.where.startswith("x[")


def _relu(x):
    return np.maximum(x, 0)


def _relu_backward(dy, x):
    return (dy * (x > 0),)


def test_kinks_are_counted_and_bounded() -> None:
    x = np.abs(_numbers(200)) + 0.1
    x[3] = 0.0
    few = gradcheck(_relu, _relu_backward, [x], points=None)
    assert (few.kinks, few.verdict) == (1, "ok"), str(few)
    assert few.worst <= 1e-6, "the kink is not the worst error"
    smooth = gradcheck(_relu, _relu_backward, [x], points=None, smooth=True)
    assert (smooth.kinks, smooth.verdict) == (1, "too many kinks")
    x[:3] = 0.0
    many = gradcheck(_relu, _relu_backward, [x], points=None)
    assert (many.kinks, many.verdict) == (4, "too many kinks")


def test_a_wrong_value_at_a_kink_is_wrong() -> None:
    x = np.abs(_numbers(200)) + 0.1
    x[3] = 0.0
    result = gradcheck(_relu, lambda dy, x: (dy * (x > 0) - 2 * dy * (x == 0),), [x], points=None)
    assert (result.verdict, result.where) == ("wrong", "input 0[3]")


@pytest.mark.parametrize("x", [-np.abs(_numbers(50)) - 0.1, np.r_[-np.ones(47), np.ones(3)]])
def test_mostly_zeros_are_untrusted(x: np.ndarray) -> None:
    assert gradcheck(_relu, _relu_backward, [x]).verdict == "untrusted"


def test_an_exact_zero_may_be_zero() -> None:
    result = gradcheck(lambda x: x - x.mean(), lambda dy, x: (dy - dy.mean(),), [_numbers(20)])
    assert result.ok, str(result)
    constant = gradcheck(
        lambda x, b: x + b - (x + b).mean(axis=0),
        lambda dy, x, b: (dy - dy.mean(axis=0), np.zeros(3)),
        {"x": _numbers(6, 3), "b": _numbers(3)},
    )
    assert constant.ok, str(constant)


def test_changed_inputs_are_seen() -> None:
    def backward(dy, x):
        dy *= x > 0
        return (dy,)

    assert gradcheck(_relu, backward, [_numbers(50)]).verdict == "inputs changed"


def test_tuples_of_outputs_and_labels() -> None:
    labels = np.array([0, 2, 1])

    def forward(w, labels):
        return w[labels], w * w

    def backward(dys, w, labels):
        dw = 2 * w * dys[1]
        np.add.at(dw, labels, dys[0])
        return dw, None

    assert gradcheck(forward, backward, {"w": _numbers(3, 4), "labels": labels}).ok


ERRORS = {
    "float64": (lambda: gradcheck(_relu, _relu_backward, [_numbers(3).astype(np.float32)]), "input 0 is float32"),
    "empty": (lambda: gradcheck(_relu, _relu_backward, [_numbers(3, 0)]), r"input 0 has shape \(3, 0\)"),
    "count": (
        lambda: gradcheck(_relu, lambda dy, x: (dy, dy), {"x": _numbers(3)}),
        r"returned 2 gradients for 1 inputs \(x\)",
    ),
    "shape": (
        lambda: gradcheck(_relu, lambda dy, x: (dy[:2],), {"x": _numbers(3)}),
        r"x has shape \(2,\), expected \(3,\)",
    ),
    "dtype": (lambda: gradcheck(_relu, lambda dy, x: (x > 0,), [_numbers(3)]), "is bool, expected float64"),
    "labels": (lambda: gradcheck(lambda x: x * 1.0, lambda dy, x: (dy,), [np.arange(3)]), "which is int64; give None"),
    "nothing": (lambda: gradcheck(_relu, lambda dy, x: (None,), [_numbers(3)]), "nothing to check"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_checked_is_said(case: str) -> None:
    call, message = ERRORS[case]
    with pytest.raises(ShapeError, match=message):
        call()


def test_a_failed_result_is_false() -> None:
    assert not gradcheck(np.tanh, lambda dy, x: 0 * x, [_numbers(5)])
    assert gradcheck(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), [_numbers(5)])


def test_rounding_is_not_called_wrong() -> None:
    """Values of y near 1e6 leave differences with few digits: not proven, but not wrong either."""
    x, w = 255 * _numbers(64, 784), _numbers(784, 8)
    found = gradcheck(lambda x, w: x @ w, lambda dy, x, w: (dy @ w.T, x.T @ dy), [x, w])
    assert found.verdict in ("ok", "lost in rounding"), str(found)
    assert gradcheck(lambda x, w: x @ w, lambda dy, x, w: (-dy @ w.T, x.T @ dy), [x, w]).verdict == "wrong"


def test_a_gradient_that_is_zero_but_for_rounding_passes() -> None:
    """A bias before a batch's mean is subtracted."""

    def centred(x, w, b):
        y = x @ w + b
        return y - y.mean(axis=0)

    def backward(dy, x, w, b):
        dz = dy - dy.mean(axis=0)
        return dz @ w.T, x.T @ dz, dz.sum(axis=0)

    assert gradcheck(centred, backward, [_numbers(512, 8), _numbers(8, 64), _numbers(64)]).ok


def test_a_gradient_too_small_to_see_is_untrusted() -> None:
    x, w = _numbers(4, 3), 1e-10 * _numbers(3, 5)
    assert gradcheck(lambda x, w: x @ w, lambda dy, x, w: (-dy @ w.T, x.T @ dy), [x, w]).verdict == "untrusted"
