"""`minigan inspect`: counts by hand, measured memory, fields held against gradients, and what a checkpoint says."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Result
from runs import run, small

from minigan import config as configs
from minigan.backends import oracle
from minigan.models.layers import (
    AvgPool2x,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    InstanceNorm,
    Linear,
    Reshape,
    Upsample2x,
)
from minigan.models.net import Net
from minigan.models.trees import Chain, Heads, Residual, Skip
from minigan.study import checkpoints, fields
from minigan.study import inspect as study
from minigan.tasks import make_task
from minigan.training import checkpoint, preview

N = 50  # samples of a batch of `small`


def rows(*overrides: str, shape: tuple[int, ...] = (8, 8, 1)) -> dict[str, study.Row]:
    found = study.rows(make_task(small(*overrides), oracle, shape, 0))
    assert len({row.layer for row in found}) == len(found)
    return {row.layer: row for row in found}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("inspected") / "run", "train.steps=3")


def test_a_dense_layer_by_hand() -> None:
    """g.0: 5 -> 24 features without bias; dX also has the activation's 2 operations per number where there is one."""
    row = rows()["g.0"]
    assert (row.kind, row.shape, row.dtype, row.parameters) == ("Linear", (N, 24), "float32", 5 * 24)
    assert (row.macs, row.flops_forward, row.flops_dx, row.flops_dw) == (N * 120, *(3 * [2 * N * 120]))
    assert (row.activation_bytes, row.saved_bytes) == (4 * N * 24, 4 * N * (5 + 24))
    assert row.field is None


def test_a_convolution_by_hand() -> None:
    """d.0: a 3x3 kernel, stride 2, on 8x8x1, 4 channels, a bias and leaky_relu; d.1 is dropout, which saves nothing."""
    of = rows()
    row, work = of["d.0"], N * 4 * 4 * 9 * 4
    assert (row.shape, row.parameters, row.macs, row.flops_forward) == ((N, 4, 4, 4), 40, work, 2 * work)
    assert (row.flops_dx, row.flops_dw, row.field) == (2 * work + 2 * N * 64, 2 * work, (3, 3))
    assert row.saved_bytes == 4 * N * (64 + 64)
    assert (of["d.1"].saved_bytes, of["d.1"].macs) == (0, 0)
    assert of["d.2"].field == (7, 7) and of["d.5"].field == (8, 8) and of["d.5"].kind == "Linear"


def test_a_norms_backward_is_its_own() -> None:
    """Its op lies in the context of the forward pass, and counts as backward all the same."""
    row = rows()["g.1"]
    assert (row.flops_forward, row.flops_dx, row.flops_dw) == (8 * N * 24, 15 * N * 24, 0)
    assert row.saved_bytes == 4 * (N * 24 + 2 * 24)  # y, mean and var; its x is g.0's y


def test_parameters_and_shares_add_up() -> None:
    task = make_task(small(), oracle, (8, 8, 1), 0)
    for name in "gd":
        of_net = [row for row in study.rows(task) if row.net == name]
        assert sum(row.parameters for row in of_net) == task.nets[name].parameters
        assert sum(row.share for row in of_net) == pytest.approx(1, abs=1e-12)


def test_what_is_saved_is_measured_on_the_context() -> None:
    class Hoarder(Linear):
        def forward(self, x: Any, how: Any) -> Any:
            y, ctx = super().forward(x, how)
            return y, (*ctx, np.zeros(1000), y[:1])  # a view of y is no memory of its own

        def backward(self, dy: Any, ctx: Any, need_dx: bool = True, need_dw: bool = True) -> Any:
            return super().backward(dy, ctx[:2], need_dx, need_dw)

    def measured(kind: type[Linear]) -> int:
        task = make_task(small(), oracle, (8, 8, 1), 0)
        net = Net("d", Chain(Reshape(-1), kind(3), Linear(1)), (8, 8, 1))
        task.nets["d"] = net
        net.bind(oracle, 0, np.float32, task.clock.array)
        return next(row.saved_bytes for row in study.rows(task) if row.layer == "d.1")

    assert measured(Linear) == 4 * N * (64 + 3)
    assert measured(Hoarder) == 4 * N * (64 + 3) + 8000


def test_packed_batches_are_smaller_and_joins_have_rows() -> None:
    assert rows("model.packing=2")["d.0"].shape[0] == N // 2
    narrow = ("model.family=resnet", "model.widths_g=[4]", "model.strides_g=[2]", "model.widths_d=[3,4]")
    joins = [row for row in rows(*narrow).values() if row.kind == "Residual"]
    assert joins and all(row.flops_forward == 3 * np.prod(row.shape) and row.parameters == 0 for row in joins)


def test_it_walks_as_a_dry_run_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "_TRIAL_S", 0.0)
    shown = [row[:4] for row in preview.preview(small("train.steps=3")).layers if row[1] != "input"]
    ours = [
        (r.layer, r.kind, preview.shape_words(r.shape), f"{r.parameters:,}" if r.parameters else "")
        for r in rows().values()
    ]
    assert ours == shown


# -------------------------------------------------------------------------------------------------------------- fields

TREES = {
    "strided": lambda: Chain(Conv2d(1, 5, 2), Conv2d(1, (3, 2), 1), Conv2d(1, 3, (2, 3))),
    "pooled": lambda: Chain(Conv2d(1, 3), AvgPool2x(), Conv2d(1, 3), Upsample2x(), Conv2d(1, 2)),
    "transposed": lambda: Chain(Conv2d(1, 4, 2, 1), ConvTranspose2d(1, 5, 2), ConvTranspose2d(1, 3, (2, 1))),
    "residual": lambda: Chain(Residual(Chain(Conv2d(1, 3), Dropout(0.0), Conv2d(1, 3))), Conv2d(1, 3, 2)),
    "skip": lambda: Skip(Conv2d(1, 4, 2), Chain(Conv2d(1, 3)), Chain(Upsample2x(), Conv2d(1, 3))),
}


@pytest.mark.parametrize("name", TREES)
def test_a_field_is_what_the_gradient_reaches(name: str) -> None:
    """With all weights 1 nothing cancels: dx of one output is not 0 exactly where that output can see. Twelve pixels in
    the middle are all that there is: strides repeat after six.
    """
    net = Net("t", TREES[name](), (24, 26, 1))
    net.bind(oracle, 0, np.float64, np.zeros(64))
    oracle.copyto(net.p, 1)
    y, ctx = net.forward(np.ones((1, 24, 26, 1)), "running")
    reached = [0, 0]
    for k in range(12):
        dy = np.zeros(y.shape)
        dy[0, *(max(n // 2 - 6, 0) + k % min(n, 12) for n in y.shape[1:3])] = 1
        dx = net.backward(dy, ctx, need_dw=False)[0].sum(axis=-1)
        for axis in (0, 1):
            found = np.flatnonzero(dx.any(axis=1 - axis))
            reached[axis] = max(reached[axis], int(found[-1] - found[0]) + 1)
    last = fields.fields(net)[net.layers[-1].name]
    assert last == tuple(reached)


def test_fields_of_what_has_none() -> None:
    heads = Heads(Conv2d(2, 3), Chain(Reshape(-1), Linear(1)), InstanceNorm())
    found = fields.fields(Net("t", heads, (8, 6, 1)))
    assert found["t.trunk.0"] == found["t.b.0"] == (3, 3)
    assert found["t.a.1"] == (np.inf, np.inf)
    assert fields.fields(Net("t", Linear(1), (8,))) == {}


# --------------------------------------------------------------------------------------------------------- checkpoints


def _changed(run: Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a run's newest checkpoint with other tensors."""
    saved = checkpoint.load(checkpoint.resolve(run))
    tensors = {name: a.copy() for name, a in saved.tensors.items()}
    change(tensors)
    to.mkdir()
    return checkpoint.save(to, saved.step, tensors, saved.meta, 2)


def test_only_the_header_is_read(minigan: Callable[..., Result], trained: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(checkpoint.resolve(trained), tmp_path / "step-00000003.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    shown = minigan("inspect", str(path))
    assert shown.status == 0 and "step 3," in shown.out
    shown = minigan("inspect", str(path), "--stats")
    assert (shown.status, shown.out) == (2, "") and "digest" in shown.err and shown.err.count("\n") == 1


def test_numbers_of_a_checkpoint(trained: Path, tmp_path: Path) -> None:
    def spoil(tensors: dict[str, Any]) -> None:
        tensors["d/d.0.b"][:] = [1, 2, 6, np.nan]
        tensors["d/d.2.b"][:] = np.inf

    saved = checkpoint.load(_changed(trained, tmp_path / "bad", spoil))
    found = {row.name: row for row in checkpoints.tensors(saved)}
    assert found["d/d.0.b"] == ("d/d.0.b", "float32", (4,), 1.0, 3.0, 6.0, 1, 0)
    assert np.isnan(found["d/d.2.b"].mean) and found["d/d.2.b"].infinite == 6
    assert len(found) == len(saved.tensors)


def test_dead_units(trained: Path, tmp_path: Path) -> None:
    """Channels 0 and 2 of d.0 get weights and biases of 0: they give the same number everywhere."""

    def kill(tensors: dict[str, Any]) -> None:
        tensors["d/d.0.w"][..., [0, 2]] = 0
        tensors["d/d.0.b"][[0, 2]] = 0

    subject = study.open_subject(str(_changed(trained, tmp_path / "dead", kill)))
    checkpoints.loaded(subject)
    found, left = checkpoints.units(subject.task)
    of = {row.layer: row for row in found}
    assert left == [] and of["d.0"] == ("d.0", 4, 2) and of["d.1"].dead == 2
    assert of["g.0"].dead == of["d.2"].dead == 0 and of["g.0"].units == 24
    subject = study.open_subject(str(trained))
    checkpoints.loaded(subject)
    assert [row.layer for row in checkpoints.units(subject.task)[0] if row.dead] == []


def test_nets_that_nothing_drawn_fits_are_named() -> None:
    task = make_task(configs.load("classifier-mnist", ["train.backend=numpy"]), oracle, (28, 28, 1), 10)
    assert checkpoints.units(task) == ([], ["d"])


def test_two_checkpoints_apart(minigan: Callable[..., Result], trained: Path, tmp_path: Path) -> None:
    def move(tensors: dict[str, Any]) -> None:
        tensors["d/d.0.b"] = tensors["d/d.0.b"] + np.float32([0, 4, 0, -3])
        tensors["d/d.2.b"] = tensors["d/d.2.b"][:2]
        del tensors["g/g.0.w"]
        tensors["new"] = np.zeros(2)

    other = _changed(trained, tmp_path / "moved", move)
    words, found = checkpoints.apart(trained, other)
    of = {row.name: row for row in found}
    size = np.linalg.norm(checkpoint.load(checkpoint.resolve(trained)).tensors["d/d.0.b"])
    assert of["d/d.0.b"].largest == pytest.approx(4, rel=1e-6)
    assert of["d/d.0.b"].relative == pytest.approx(5 / size, rel=1e-6)
    assert of["d/d.2.b"] == ("d/d.2.b", (6,), (2,), None, None)
    assert of["g/g.0.w"].shape_b is None and of["new"].shape_a is None
    assert sum(row.largest != 0 for row in found) == 4 and words[-1] == "configured alike"
    shown = minigan("inspect", str(trained), str(other)).out
    assert "only in A: g/g.0.w" in shown and "only in B: new" in shown and "d/d.2.b" in shown
    said = minigan("inspect", str(trained), str(trained)).out.splitlines()
    assert said[-1] == f"{len(of) - 1} of the {len(of) - 1} tensors that both have are equal"


def test_of_zeros_no_relative_difference(tmp_path: Path) -> None:
    found = checkpoints._difference("x", np.zeros(2), np.ones(2))
    assert found.relative == np.inf and checkpoints._difference("x", np.zeros(2), np.zeros(2)).relative == 0


# --------------------------------------------------------------------------------------------------------- the command


def test_the_command_shows_tables_and_json(
    minigan: Callable[..., Result], trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    shown = minigan("inspect", str(trained), "--stats").out
    for text in ("step 3,", "ConvTranspose2d", "opt/d/v/d.0.w", "dead: units", "total"):
        assert text in shown
    said = json.loads(minigan("inspect", str(trained), "--stats", "--json").out)
    assert {row["layer"] for row in said["layers"]} == set(rows())
    assert len(said["tensors"]) > 20 and said["units"] and said["not_watched"] == []
    of = {row["layer"]: row for row in said["layers"]}
    assert of["g.0"]["flops_dw"] == 2 * N * 120 and of["d.0"]["field"] == [3, 3]
    said = json.loads(minigan("inspect", "digits", "--json").out)
    assert said["title"] == "preset digits, data digits" and "tensors" not in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("digit",), "did you mean 'digits'?"),
        (("digits", "--stats"), "give a run or a checkpoint"),
        (("digits", "other", "--stats"), "leave one of them out"),
        (("nowhere", "other"), "cannot be used as a run"),
    ],
)
def test_mistakes_are_one_line(minigan: Callable[..., Result], words: tuple[str, ...], told: str) -> None:
    result = minigan("inspect", *words)
    assert (result.status, result.out) == (2, "") and result.err.count("\n") == 1 and told in result.err


def test_a_preset_is_meant_before_a_folder(minigan: Callable[..., Result]) -> None:
    Path("digits").mkdir()
    assert minigan("inspect", "digits").status == 0
    assert "no config.toml" in minigan("inspect", "./digits").err
