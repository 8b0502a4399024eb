"""The CycleGAN step: what each half may touch, and that it stands what a run asks of every task.

The tests of the step are plain functions, so that test_seeded_bugs.py can run them against a seeded bug.
"""

import json
from pathlib import Path

import cycles
import numpy as np
import pytest
from cycles import batch, small
from runs import assert_same, state, timeless

import minigan
from minigan.backends import load
from minigan.backends.clock import CLIP, HOST_WORDS
from minigan.backends.proxies import Finite, NotFinite
from minigan.errors import ConfigError, ShapeError
from minigan.losses import LOSSES, Features
from minigan.tasks.cyclegan import CycleGAN
from minigan.training import preview
from minigan.training.trainer import Silent, Trainer

ops = load("numpy")
G, D = ("g_ab", "g_ba"), ("d_a", "d_b")


def ready(*overrides: str) -> CycleGAN:
    """The clock set, and gradients that are not zero, as in the middle of a run."""
    task = cycles.make(ops, "train.dtype=float64", *overrides)
    ops.copyto(task.clock.array[:HOST_WORDS], task.clock.words(0, 0, [task.opt_d, task.opt_g]))
    task.clock.array[CLIP : CLIP + 2] = 1.0
    for net in task.nets.values():
        net.dp[...] = 0.5
    return task


def stepped(task: CycleGAN, player: str, update: bool = True) -> dict[str, float]:
    """One player's step on a fixed batch."""
    x_a, x_b = np.split(batch(0).astype(np.float64), 2, axis=-1)
    made = task.ab.G.forward(x_a), task.ba.G.forward(x_b)
    record = {"d": task.d_step, "g": task.g_step}[player](x_a, x_b, made, update)
    return {key: float(a) for key, a in record.items()}


def slabs(task: CycleGAN) -> dict[str, bytes]:
    out = {f"{name}.{key}": getattr(net, key).tobytes() for name, net in task.nets.items() for key in ("p", "dp")}
    return out | {
        f"{k.partition('/')[2]}.{k}": a.tobytes() for o in task.optimizers.values() for k, a in o.tensors().items()
    }


def test_a_player_leaves_the_other_bitwise() -> None:
    for player, own in (("d", D), ("g", G)):
        task = ready()
        before = slabs(task)
        stepped(task, player)
        after = slabs(task)
        changed = [name for name in before if before[name] != after[name]]
        moved = {name.partition(".")[0] for name in changed}
        assert moved == set(own), f"{player} moved {moved}"


def test_without_update_no_weight_moves() -> None:
    task = ready()
    before = {name: net.p.copy() for name, net in task.nets.items()}
    for player in "dg":
        stepped(task, player, update=False)
    for name, p in before.items():
        np.testing.assert_array_equal(task.nets[name].p, p)


def test_a_step_lowers_the_loss_of_its_player() -> None:
    """Along minus the gradient, by about lr ||gradient||^2."""
    keys = {"d": ("loss_d",), "g": ("loss_g", "cycle", "identity")}
    weights = {"loss_d": 1.0, "loss_g": 1.0, "cycle": 2 * 10.0, "identity": 2 * 2.0}  # of means over both ways
    for player in "dg":
        lr = 1e-6
        task = ready(*(f"{p}.{key}" for p in "dg" for key in ("rule=sgd", f"lr={lr}", "momentum=0", "l2=0")))
        before, after = stepped(task, player), stepped(task, player, update=False)
        change = sum(weights[key] * (after[key] - before[key]) for key in keys[player])
        expected = -lr * before[f"grad_norm2_{player}"]
        assert change == pytest.approx(expected, rel=1e-3), player


def test_without_identity_none_is_computed() -> None:
    task = ready("task.identity=0")
    assert "identity" not in stepped(task, "g") and "identity" in stepped(ready(), "g")


def test_the_translations_of_the_d_part_serve_the_g_part() -> None:
    task = cycles.make(ops)
    calls: list[str] = []
    for name in G:
        forward = task.nets[name].forward
        task.nets[name].forward = lambda x, *rest, f=forward, n=name, **how: calls.append(n) or f(x, *rest, **how)  # type: ignore[method-assign]
    task.step([batch(1)], 0)
    assert sorted(calls) == ["g_ab"] * 3 + ["g_ba"] * 3  # there, back, identity
    assert task.made is None and task.counters() == {"d": 1, "g": 1}


@pytest.mark.parametrize("loss", [name for name, row in LOSSES.items() if not isinstance(row, Features)])
def test_every_loss_trains(loss: str) -> None:
    task = cycles.make(ops, f"loss.name={loss}", "model.norm_d=spectral", "task.translator=unet")
    records = [task.step([batch(k)], k) for k in range(2)]
    assert all(np.isfinite(a).all() for record in records for a in record.values()) and not task.bad()


def test_a_batch_that_is_not_finite_is_named_and_moves_nothing() -> None:
    task = cycles.make(ops)
    before = {name: net.p.copy() for name, net in task.nets.items()}
    x = batch(0)
    x[1, 2, 2, 0] = np.nan
    with np.errstate(all="ignore"):
        task.step([x], 0)
        assert task.bad() and task.failed == 0
        with pytest.raises(NotFinite, match=r"^step, loss: split, input 0 is not finite$"):
            task.replay([x], 0, Finite(ops))
    for name, p in before.items():
        np.testing.assert_array_equal(task.nets[name].p, p)


def test_a_gradient_that_is_not_finite_in_the_g_part_is_found_again() -> None:
    task = cycles.make(ops, "task.cycle=1e38")
    before = {name: task.nets[name].p.copy() for name in G}
    with np.errstate(all="ignore"):
        task.step([batch(0)], 0)
        assert task.bad() and task.failed == 1
        with pytest.raises(NotFinite, match=r"^step, update: sum_squares, output 0 is not finite$"):
            task.replay([batch(0)], 0, Finite(ops))
    for name, p in before.items():
        np.testing.assert_array_equal(task.nets[name].p, p)


def test_items_are_two_pictures() -> None:
    with pytest.raises(ShapeError, match=r"two domains side by side, \(H,W,2C\), but is given \(8, 8, 3\)"):
        CycleGAN(small(), ops, (8, 8, 3))
    with pytest.raises(ConfigError, match=r"feature-matching matches features inside D, which task\.name cyclegan"):
        cycles.make(ops, "loss.name=feature-matching")
    with pytest.raises(ShapeError, match="smaller than D needs: its 4 halvings want 16 pixels"):
        cycles.make(ops, "model.widths_d=[2, 2, 2, 2]")


REFUSED = {
    "data.other=''": "task.name cyclegan translates between two domains; give data.other",
    "model.output=none": "task.name cyclegan makes pictures of a range; give model.output tanh or sigmoid",
    "train.n_critic=2": "train.n_critic means nothing to task.name cyclegan; leave it out",
    "train.augment=['colour']": "train.augment means nothing to task.name cyclegan; leave it out",
    "penalty.name=r1": "penalty means nothing to task.name cyclegan; leave it out",
    "task.name=gan": "task.width is for task.name cyclegan and superres, not for gan; leave it out",
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_does_not_go_together_is_refused(words: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[words]):
        small(words)


def test_domain_b_is_for_cyclegan() -> None:
    with pytest.raises(ConfigError, match=r"data\.other is for task\.name cyclegan, not for gan; leave it out"):
        minigan.config.load("digits", ["data.other=outlined"])


# -------------------------------------------------------------------------------------------------------- as a run


def test_a_short_run_of_the_preset_moves_every_net_and_writes_its_pictures(tmp_path: Path) -> None:
    short = ["data.name=digits", "task.depth=1", "train.steps=12", "train.batch_size=4", "train.log_every=6"]
    trainer = Trainer(minigan.config.load("cyclegan-digits", short), tmp_path / "run", False, Silent())
    first = {name: trainer.parts.ops.to_numpy(net.p).copy() for name, net in trainer.task.nets.items()}
    trainer.run()
    for name, net in trainer.task.nets.items():
        assert not np.array_equal(first[name], trainer.parts.ops.to_numpy(net.p)), name
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [6, 12]
    assert all(np.isfinite(v) for line in lines for v in line.values())
    assert (tmp_path / "run" / "losses.png").is_file() and (tmp_path / "run" / "samples.png").is_file()


def test_resume_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    cycles.run(tmp_path / "whole")
    cycles.run(tmp_path / "cut", "train.steps=4")
    cycles.run(tmp_path / "cut", resume=True)
    assert_same(state(tmp_path / "whole"), state(tmp_path / "cut"))
    assert timeless(tmp_path / "whole") == timeless(tmp_path / "cut")


@pytest.mark.parametrize("backend", ["numpy", "cpp"])
def test_a_verified_run_has_the_bits_of_one_that_is_not(backend: str, tmp_path: Path) -> None:
    words = [f"train.backend={backend}", "train.steps=3"]
    minigan.train(small(*words), tmp_path / "plain")
    minigan.train(small(*words), tmp_path / "verified", verify=2)
    assert_same(state(tmp_path / "plain"), state(tmp_path / "verified"))


def test_a_preview_shows_all_four_nets() -> None:
    shown = preview.preview(small())
    assert [row[0] for row in shown.layers if row[1] == "input"] == [*G, *D]
    assert [row[2] for row in shown.layers if row[0] == "d_b.3"] == ["(4, 2, 2, 1)"]
    assert "898 x 8x8x2" in shown.title


def test_the_picture_has_both_ways_beside_each_other() -> None:
    task = cycles.make(ops)
    real = batch(3, 9)
    picture = task.picture("grid", 64, real).reshape(6, 6, *cycles.SIDE)
    a, b = np.split(real[:6], 2, axis=-1)
    ab, ba = (task.drawn(task.translator(way), x) for way, x in (("a-b", a), ("b-a", b)))
    back_a, back_b = (task.drawn(task.translator(way), x) for way, x in (("b-a", ab), ("a-b", ba)))
    for column, expected in enumerate((a, ab, back_a, b, ba, back_b)):
        np.testing.assert_array_equal(picture[:, column], expected)
    assert not np.array_equal(ab, task.drawn(task.nets["g_ba"], a))
