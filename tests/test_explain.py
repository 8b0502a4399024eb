"""`minigan explain`: everything that there is, the terms' sums, the sources by name, and what a user sees."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from command_line import Result

from minigan.backends import costs, load, oracle
from minigan.errors import BackendError, ConfigError
from minigan.losses import LOSSES
from minigan.models import layers
from minigan.penalties import PENALTIES
from minigan.study import explain, gradcheck, mistakes, registry, sources, sources_cpp
from minigan.study.example import Example, Out, counted, linear_in, product_of, worked
from minigan.study.examples_nets import LAYERS, OF_LOSSES, OF_PENALTIES
from minigan.study.examples_ops import EXAMPLES
from minigan.study.terms import entries

NAMES = [name for known in registry.names().values() for name in known]
OPS = registry.names()["op"]
TABLES = {"ops": EXAMPLES, "layers": LAYERS, "losses": OF_LOSSES, "penalties": OF_PENALTIES}
OUTS = [(kind, name, out) for kind, table in TABLES.items() for name, example in table.items() for out in example.outs]
FREE = {"mean", "sum_squares", "row_sum_squares", "add_scaled", "clip"}  # used inside losses, updates and penalties
UPDATES = {"adam_step", "sgd_step", "rmsprop_step", "ema_update", "finite_flag", "clip_scale"}


def test_the_registry_is_all_there_is() -> None:
    known = registry.names()
    assert sorted(known["op"] + known["plumbing"]) == sorted(oracle.__all__)
    assert {*known["op"], "prepare_image"} == set(costs.TABLE)
    of_layers = {n for n in layers.__all__ if isinstance(getattr(layers, n), type)} - {
        "How",
        "Layer",
        "Param",
        "Straight",
    }
    assert set(known["layer"]) == of_layers and len(of_layers) == 16
    assert known["loss"] == [*LOSSES] and known["penalty"] == [*PENALTIES]
    assert len(set(NAMES)) == len(NAMES)


def test_every_mistake_is_about_something_that_there_is() -> None:
    said = [*mistakes.OPS, *mistakes.LAYERS, *mistakes.LOSSES, *mistakes.PENALTIES]
    assert sorted(said) == sorted(NAMES)
    assert all(registry.find(name).mistakes for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_everything_is_explained(name: str) -> None:
    said = explain.explain(name)
    assert said.formula[0] and said.own and all(listing.text for listing in said.own)
    assert said.named.mistakes
    if said.named.kind == "plumbing":
        return
    assert said.entries and said.inputs and (said.calls or name == "Reshape")
    assert said.compared.startswith("cpp gives")
    assert bool(said.kernel) == (said.named.kind == "op")
    assert bool(said.checks) == (name not in FREE | UPDATES)
    assert all(row in gradcheck.ROWS for row in said.checks)


@pytest.mark.parametrize(("kind", "name", "out"), OUTS)
def test_the_terms_sum_to_the_entry(kind: str, name: str, out: str) -> None:
    """To the bit, on every output that is a sum; and a gradient always is one."""
    example = TABLES[kind][name]
    found = worked(oracle, example, [out])[out]
    groups = example.outs[out].groups
    assert found and (groups is not None or not re.match(r"t?d", out))
    if groups is None:
        assert all(entry.terms == () for entry in found)
        return
    assert [entry.value for entry in found] == [entry.total for entry in found]
    assert any(len(entry.terms) > 0 for entry in found)
    assert all(name for entry in found for term in entry.terms for name, _ in term.factors)


INTEGERS = {"linear", "linear_dgrad", "linear_wgrad", "conv2d", "conv2d_dgrad", "conv2d_wgrad", "bias_grad"}


def test_products_are_of_integers() -> None:
    for name in INTEGERS:
        said = explain.explain(name, "numpy")
        assert all((a == a.astype(int)).all() and (a != 0).all() for a in said.inputs.values())
        terms = [term for found in said.entries.values() for entry in found for term in entry.terms]
        assert terms and all(term.coefficient == 1 for term in terms)


def test_a_term_stands_where_the_formula_has_it() -> None:
    """dw[i,o] = sum_n x[n,i] dy[n,o], and nothing else."""
    found = explain.explain("linear_wgrad", "numpy").entries["dw"]
    assert str(found[1]) == "dw[0,1] = x[0,0] dy[0,1] + x[1,0] dy[1,1] = 1*(-2) + 3*(-3) = -11"


SLOPES = {
    "leaky_relu": lambda y: np.where(y > 0, 1, 0.25),
    "tanh": lambda y: (1 - y) * (1 + y),
    "sigmoid": lambda y: y * (1 - y),
}


@pytest.mark.parametrize("kind", SLOPES)
@pytest.mark.parametrize(("op", "out", "by"), [("activation_backward", "dx", "dy"),
                                               ("activation_backward_tangent", "tdx", "tdy")])  # fmt: skip
def test_an_activations_slopes_are_those_of_the_y_that_is_shown(kind: str, op: str, out: str, by: str) -> None:
    said = explain.explain(op, "numpy")
    (y,) = (a for name, a in said.inputs.items() if name.startswith("y (") and kind in name)
    terms = [term for entry in said.entries[f"{out} ({kind})"] for term in entry.terms if term.factors[0][0][:-3] == by]
    found = [next((t.coefficient for t in terms if t.factors[0][0] == f"{by}[{i}]"), 0.0) for i in range(y.size)]
    assert found == list(SLOPES[kind](y)), f"{op} of {kind} at y = {y}"


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penaltys_gradient_is_that_of_u_g(name: str) -> None:
    """Two ways to the same numbers: all of Penalty.add, and the tangent passes along a u that is held."""
    found = explain.explain(name, "numpy").entries
    for key in ("dw", "dv"):
        assert [e.value for e in found[f"{key} of u g"]] == [e.value for e in found[key]]
        assert all(len(e.terms) >= 8 for e in found["dv of u g"]) and any(e.value for e in found[key])


def test_a_forgotten_group_is_seen() -> None:
    """What no group explains is one term of its own name, so a sum cannot come out right by leaving something out."""
    arrays = {"x": counted(2, 2), "b": counted(2)}
    found = entries("y", lambda a: a["x"] @ a["x"] + a["b"], arrays, product_of("x", "x") + linear_in("b"))
    assert [entry.total for entry in found] == [entry.value for entry in found]
    found = entries("y", lambda a: a["x"] + a["b"], arrays, linear_in("x"), "rest")
    assert {term.factors[-1][0] for entry in found for term in entry.terms if term.factors[0][0] == "rest"} == {"rest"}
    found = entries("y", lambda a: a["x"] ** 3, arrays, linear_in("x"))
    assert [entry.total for entry in found] != [entry.value for entry in found]


@pytest.mark.parametrize("op", OPS)
def test_sources_are_the_ops_own(op: str) -> None:
    """Each listing is what its file has at that line; CUDA's begins with the function that launches."""
    ours = sources.oracle(op)
    assert ours[0].name == op and ours[0].text.startswith(f"def {op}(")
    kernel = sources_cpp.cpp(op)
    assert kernel[0].file.startswith("csrc/") and kernel[0].text.rstrip().endswith("}")
    for listing in (*ours, *kernel):
        assert listing.text.count("{") == listing.text.count("}") or listing.file.endswith(".py")
        root = sources_cpp.CSRC if listing.file.startswith("csrc/") else sources.PACKAGE
        path = root.parent / listing.file
        assert path.read_text().splitlines()[listing.line - 1] == listing.text.splitlines()[0]
    cuda = sources.cuda(op)
    assert cuda[0].text.startswith(f"def {op}(") and any("@kernel" in a.text or "_kernels(" in a.text for a in cuda[1:])


CPP = {
    "linear_dgrad": "linear_dgrad",
    "conv2d": "direct_forward",
    "conv2d_dgrad": "direct_dgrad",
    "conv2d_wgrad": "direct_wgrad",
    "batchnorm_running": "norm_given",
    "batchnorm_running_backward": "norm_backward",
    "layernorm_backward_tangent": "norm_backward_tangent",
    "upsample2x_backward": "gather2x",
    "avgpool2x_backward": "spread2x",
    "pad": "window",
    "dropout_backward": "dropout",
    "ema_update": "mix",
    "mse_loss": "squared",
    "mean": "sum",
    "finite_flag": "finite_flag",
}


def test_the_kernel_is_the_one_that_is_bound() -> None:
    assert {op: sources_cpp.cpp(op)[0].name for op in CPP} == CPP
    assert [a.name for a in sources_cpp.cpp("conv2d")][-2:] == ["fft_forward", "im2col_forward"]


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'conv2d'"):
        explain.explain("conv2")
    with pytest.raises(ConfigError, match=r"^explain knows no 'zzz'; `minigan explain` lists them all$"):
        explain.explain("zzz")
    with pytest.raises(BackendError, match="backend 'cpu' is unknown"):
        explain.explain("linear", "cpu")


def test_another_backends_numbers_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    example = Example({"x": counted(2)}, {"y": Out("scale", lambda o, a: o.scale(a.x, 1 + (o.NAME != "numpy")), None)})
    named = registry.find("scale")._replace(example=example, outs=("y",))
    assert explain._compared(named, "cpp") == "cpp gives these numbers within 2.0e+00"
    monkeypatch.setattr(explain, "load", lambda name: _refuse())
    assert explain._compared(named, "cuda") == "the example was not run on cuda: no GPU"


def _refuse() -> None:
    raise BackendError("no GPU")


def test_the_command_says_it_all(minigan: Callable[..., Result]) -> None:
    shown = minigan("explain", "activation_backward").out
    for text in (
        "dx = dy act'(x)",
        "def activation_backward(",
        "csrc/pointwise.inl",
        "dx (tanh)[0] = 0.75 dy[0] = 0.75*1 = 0.75",
        "cpp gives the same numbers",
        "- act' is written in x",
        "activation.tanh: ok",
    ):
        assert text in shown
    shown = minigan("explain").out
    assert all(name in shown.split() for name in NAMES)
    result = minigan("explain", "leaky")
    assert (result.status, result.out) == (2, "") and result.err.count("\n") == 1


def test_listings_stand_beside_each_other_where_there_is_room(
    minigan: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    lines = minigan("explain", "mul").out.splitlines()
    assert any("def mul(" in line and "csrc" not in line and "void mul(" in line for line in lines)


def test_a_failed_check_is_an_exit_status(minigan: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    row = gradcheck.ROWS["mul"]
    wrong = row._replace(make=lambda g: row.make(g)._replace(backward=lambda dy, x, y: (dy * x, dy * y)))
    monkeypatch.setitem(gradcheck.ROWS, "mul", wrong)
    result = minigan("explain", "mul")
    assert result.status == 1 and "mul: wrong" in result.out


def test_float32_is_what_other_backends_get() -> None:
    ops = load("cpp")
    found = worked(ops, EXAMPLES["linear"], ["dw"])["dw"]
    assert [entry.value for entry in found] == [
        entry.value for entry in worked(oracle, EXAMPLES["linear"], ["dw"])["dw"]
    ]
    assert np.asarray(found[0].value).dtype == np.float64
