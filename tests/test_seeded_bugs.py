"""A check that was never seen failing is not one: every seeded bug is seen by each check that its row names."""

from pathlib import Path

import pytest
import seeded_bugs
from seeded_bugs import BUGS
from seeding import Bug, planted, sees

import minigan.backends.oracle as oracle
from minigan.models import layers, net
from minigan.models.layers import base
from minigan.optim import RULES
from minigan.schedules import SCHEDULES

DOC = Path(__file__).resolve().parents[1] / "docs" / "seeded-bugs.md"


@pytest.mark.parametrize("check", sorted({check for bug in BUGS for check in bug.checks}))
def test_checks_pass_without_a_bug(check: str) -> None:
    assert sees(check) is None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.place}: {bug.what}")
def test_a_seeded_bug_is_seen(bug: Bug) -> None:
    assert bug.checks, "a bug that no check sees"
    with planted(bug):
        blind = [check for check in bug.checks if sees(check) is None]
    assert not blind, f"{bug.file}: with {bug.new!r} for {bug.old!r} these pass: {blind}"


def test_a_bug_is_taken_out_again() -> None:
    bug = next(bug for bug in BUGS if bug.place == "linear_wgrad")
    with planted(bug):
        assert sees(bug.checks[0]) is not None
    assert sees(bug.checks[0]) is None
    table = next(bug for bug in BUGS if bug.place == "_ACTIVATIONS")
    with planted(table):
        assert sees(table.checks[0]) is not None
    assert sees(table.checks[0]) is None


def test_a_stale_bug_says_so() -> None:
    stale = Bug("stale", "losses.py", "no such line", "", ())
    with pytest.raises(
        AssertionError, match=r"'no such line' stands 0 times in losses\.py, expected once; renew the bug"
    ):
        stale.text  # noqa: B018


def _backward_ops() -> set[str]:
    """Ops that compute a gradient: named so, or losses, which return theirs."""
    named = {op for op in oracle.__all__ if op.endswith(("_backward", "_tangent", "dgrad", "wgrad", "bias_grad"))}
    return named | {op for op in oracle.__all__ if op.endswith(("_loss", "_cross_entropy", "_gauss"))}


def test_every_rule_has_a_bug() -> None:
    places = {bug.place for bug in BUGS}
    updates = {rule.op for rule in RULES.values()} | {"ema_update", "running_update", "add_scaled"}
    assert _backward_ops() | updates | {"finite_flag", "clip_scale"} <= places
    passes = ("backward", "forward_tangent", "backward_tangent")
    own = {
        f"{name}.{which}"
        for module in (layers, base, net)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and kind.__module__.startswith(module.__name__)
        for which in passes
        if which in vars(kind)
    }
    # BatchNorm's backward is chosen by its forward; Layer has none; Net's hand on to its root.
    assert own - places == {"BatchNorm.backward", *(f"{name}.{which}" for name in ("Layer", "Net") for which in passes)}
    assert {"bent", "_normalised", "Penalty.add", "Penalty.due", "PENALTIES", "Task.drawn"} <= places
    assert {"BatchNorm.forward", "GAN.d_step", "GAN.g_step", "Optimizer.guard", "Optimizer.step", "LOSSES"} <= places
    assert {"CycleGAN.d_step", "CycleGAN.g_step", "CycleGAN._there_and_back", "CycleGAN._identity"} <= places
    factors = {SCHEDULES[name].__name__ for name in SCHEDULES}
    assert factors - places == {"constant"}


def test_the_list_in_docs_is_current() -> None:
    assert DOC.read_text("utf-8") == seeded_bugs.document(), "run: python tests/seeded_bugs.py"
