"""The gradient table passes, covers what there is, and sees wrong gradients."""

import inspect

import numpy as np
import pytest

import minigan.backends.oracle as oracle
from minigan.errors import ConfigError, ShapeError
from minigan.losses import LOSSES, Term
from minigan.models import layers, net
from minigan.penalties import PENALTIES
from minigan.study import gradcheck as table
from minigan.study.gradcheck import Result, gradcheck
from minigan.study.rows_second import NETS

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


def _classes(module, which: str = "backward") -> set[str]:
    return {
        name
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__.startswith(module.__name__) and which in vars(kind) and name != "Layer"
    }


def test_every_layer_combinator_and_loss_has_a_row() -> None:
    families = {name.partition(".")[0] for name in table.ROWS}
    assert _classes(layers) - families - {"_Norm", "_Convolution"} == set()
    assert _classes(net) - families - {"Net"} == set()
    tangents = {name.split(".")[1] for name in table.ROWS if name.startswith("tangent.")}
    assert (_classes(layers, "forward_tangent") | _classes(net, "forward_tangent")) - tangents == {"Net"}
    assert {f"penalty.{name}.{kind}" for name in PENALTIES for kind in NETS} <= set(table.ROWS)
    assert {f"step.{loss}.{player}" for loss in LOSSES for player in "dg"} <= set(table.ROWS)
    kinds = {term.kind for row in LOSSES.values() for term in row if isinstance(term, Term)}
    assert all(any(row.startswith(f"logit_loss.{kind}") for row in table.ROWS) for kind in kinds)


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
