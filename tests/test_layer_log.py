"""layers.jsonl: held against the log, against checkpoints, and against a step that is watched by other means."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import assert_same, run, small, state

from minigan.models.layers import Layer
from minigan.models.shapes import Array
from minigan.training import checkpoint, layer_log, log
from minigan.training.layer_log import LayerLog
from minigan.training.parts import prepare
from minigan.training.wrapping import wrapped

EACH = ("train.log_every=1", "train.checkpoint_every=1", "train.keep=20")


def lines(out: Path) -> list[dict[str, Any]]:
    return log.read(out, name=layer_log.NAME)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six steps, each logged and each saved."""
    return run(tmp_path_factory.mktemp("six") / "run", *EACH, "train.steps=6")


def test_a_net_is_the_sum_of_its_layers(six: Path) -> None:
    """grad_norm is what guards and clips the step: another sum, over the slab."""
    assert [line["step"] for line in lines(six)] == [1, 2, 3, 4, 5, 6]
    for line, whole in zip(lines(six), log.read(six), strict=True):
        for net in "gd":
            of_layers = math.hypot(*(v for name, v in line["gradient"].items() if name.startswith(net)))
            assert of_layers == pytest.approx(whole[f"grad_norm_{net}"], rel=1e-5), (net, line["step"])


def test_an_update_is_what_lies_between_two_checkpoints(six: Path) -> None:
    saved = {step: checkpoint.load(path).tensors for step in range(1, 7) if (path := _file(six, step))}
    for line in lines(six)[1:]:
        after, before = saved[line["step"]], saved[line["step"] - 1]
        assert set(line["update"]) == {name.rpartition(".")[0][2:] for name in before if name.startswith(("g/", "d/"))}
        for layer, found in line["update"].items():
            names = (name for name in before if name.startswith(f"{layer[0]}/{layer}."))
            of = [name for name in names if not name.endswith((".mean", ".var"))]
            was, moved = (np.concatenate([a[name].ravel() for name in of]) for a in (before, after))
            expected = np.linalg.norm(moved - was) / np.linalg.norm(was)
            assert found == pytest.approx(expected, rel=1e-4), (layer, line["step"], of)


def _file(out: Path, step: int) -> Path:
    return out / checkpoint.FOLDER / f"step-{step:08d}.safetensors"


def test_activations_are_those_of_the_steps_forward_passes(six: Path) -> None:
    """The third step again from its checkpoint, every layer's forward replaced by one that keeps y."""
    parts = prepare(small(*EACH, "train.steps=6"))
    saved = checkpoint.load(_file(six, 2))
    parts.task.restore(saved.tensors, saved.meta["counters"])
    given: dict[str, list[Array]] = {}

    def keeping(layer: Layer) -> Any:
        def forward(x: Array, how: Any) -> Any:
            y, ctx = type(layer).forward(layer, x, how)
            given.setdefault(layer.name, []).append(y)
            return y, ctx

        return forward

    for name in "gd":
        for layer in parts.task.nets[name].layers:
            vars(layer)["forward"] = keeping(layer)
    parts.task.step([parts.batches.at(k)[0].astype(np.float32) for k in (4, 5)], 2)
    found = lines(six)[2]["activation"]
    assert found.keys() == given.keys() and len(given["d.0"]) == 5  # twice in each D step, once in G's
    for name, ys in given.items():
        expected = math.sqrt(np.mean([np.mean(y.astype(np.float64) ** 2) for y in ys]))
        assert found[name] == pytest.approx(expected, rel=1e-5), name


def test_watching_changes_no_bit_and_leaves_nothing_behind(
    six: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def blind(self: LayerLog, wanted: bool) -> Iterator[None]:
        yield

    monkeypatch.setattr(LayerLog, "of", blind)
    monkeypatch.setattr(LayerLog, "append", lambda self, step: None)
    unwatched = run(tmp_path / "run", *EACH, "train.steps=6")
    assert_same(state(unwatched), state(six))
    layer = prepare(small()).task.nets["g"].layers[0]
    with wrapped([layer], "forward", lambda layer, forward: forward):
        assert "forward" in vars(layer)
    assert "forward" not in vars(layer)


def test_a_resumed_run_has_the_same_lines(six: Path, tmp_path: Path) -> None:
    out = run(tmp_path / "run", *EACH, "train.steps=4")
    with (out / layer_log.NAME).open("a") as file:
        file.write('{"step": 5, "gradient": {}}\n{"st')  # what a killed process would leave
    run(out, *EACH, "train.steps=6", resume=True)
    assert lines(out) == lines(six)


def test_frozen_layers_have_activations_alone(tmp_path: Path) -> None:
    out = run(tmp_path / "run", *EACH, "train.steps=1", 'g.freeze=["g.0"]')
    (line,) = lines(out)
    assert "g.0" not in line["gradient"] and "g.0" not in line["update"] and line["activation"]["g.0"] > 0


def test_what_is_no_number_is_left_out() -> None:
    assert layer_log._roots({"a": 4.0, "b": math.inf, "c": math.nan}) == {"a": 2.0}
