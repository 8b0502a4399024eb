"""A run that begins with another's weights, and layers that stay as they are."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runs import Notes, assert_same, run, small, state
from safetensors.numpy import save_file

from minigan.backends.clock import HOST_WORDS
from minigan.errors import CheckpointError, ConfigError
from minigan.models.layers import Linear
from minigan.models.net import Net
from minigan.models.trees import Chain, Residual
from minigan.tasks.gan import GAN
from minigan.training import trainer, transfer, weights
from minigan.training.parts import prepare
from minigan.training.trainer import Trainer

NORMED = "model.norm_d=batch"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("source") / "run", "train.steps=6")


def task(*overrides: str) -> GAN:
    return prepare(small(*overrides)).task


def arrays(gan: GAN, net: str) -> dict[str, Any]:
    return {name: np.array(a) for name, a in gan.nets[net].tensors().items()}


def steps(n: int, *overrides: str) -> tuple[GAN, dict[str, Any], dict[str, Any]]:
    """n steps of a run; D's and G's arrays before."""
    parts = prepare(small(*overrides))
    before = arrays(parts.task, "d") | arrays(parts.task, "g")
    for step in range(n):
        batches = [parts.batches.at(step * 2 + k)[0].astype("float32") for k in range(2)]
        parts.task.step(batches, step)
    return parts.task, before, arrays(parts.task, "d") | arrays(parts.task, "g")


@pytest.mark.parametrize(
    "how",
    [
        ("g.weight_decay=0.1", "d.weight_decay=0.1", "g.l2=0.1", "d.l2=0.1"),
        ("loss.name=wasserstein", "train.weight_clip=0.001"),
        ("loss.name=wasserstein", "penalty.name=wgan-gp"),
    ],
    ids=["decay and l2", "weight clipping", "penalty"],
)
def test_frozen_layers_keep_every_bit(how: tuple[str, ...]) -> None:
    gan, before, after = steps(3, 'g.freeze=["g.0", "g.1"]', 'd.freeze=["d.2"]', *how)
    for name, a in after.items():
        if name == "d.5.b":  # which the Wasserstein loss gives no gradient: it shifts D(x) and D(G(z)) alike
            continue
        still = name.startswith(("g.0.", "g.1.gamma", "g.1.beta", "d.2."))
        assert (a.tobytes() == before[name].tobytes()) == still, name
    for name, net in (("opt/g/m", "g"), ("opt/d/v", "d")):
        moved = {key.rpartition("/")[2] for key, a in gan.tensors().items() if key.startswith(name) and np.any(a)}
        assert not moved & gan.nets[net].layout.frozen
        assert not gan.nets[net].dp[gan.nets[net].layout.segments["frozen"]].any()


@pytest.mark.parametrize("penalty", ["none", "wgan-gp"])
def test_frozen_layers_have_no_gradient_and_the_others_their_own(penalty: str) -> None:
    g = np.random.default_rng(0)
    x_real, z = g.normal(size=(4, 8, 8, 1)).astype("float32"), g.normal(size=(4, 5)).astype("float32")
    how = f"penalty.name={penalty}"
    free, frozen = task(how), task(how, 'g.freeze=["g.3"]', 'd.freeze=["d.0"]')
    for gan in (free, frozen):
        gan.d_step(x_real, z, update=False, drawn=gan.penalty_inputs(x_real))
        gan.g_step(z, update=False)
    for net in ("g", "d"):
        ours, theirs = (gan.nets[net].layout.views(gan.nets[net].dp) for gan in (frozen, free))
        for name, a in theirs.items():
            still = name in frozen.nets[net].layout.frozen
            assert a.any() and (not ours[name].any() if still else np.array_equal(ours[name], a)), name
    assert frozen.D.root.first == 2 and free.D.root.first == 0  # D's backward pass ends at the first that learns


def test_no_optimizer_takes_the_frozen_segment() -> None:
    gan = task('g.freeze=["g.0"]')
    gan.ops.copyto(gan.clock.array[:HOST_WORDS], gan.clock.words(0, 0, [gan.opt_d, gan.opt_g]))
    before = gan.G.p.copy()
    gan.G.dp[...] = 1
    gan.opt_g.guard(gan.ops, gan.ops.sum_squares(gan.G.dp), gan.clock.array)
    gan.opt_g.step(gan.ops, gan.clock.array)
    frozen, learned = gan.G.layout.segments["frozen"], gan.G.layout.learned
    assert np.array_equal(gan.G.p[frozen], before[frozen]) and (gan.G.p[learned] != before[learned]).all()


def test_the_moving_average_lies_as_g_does() -> None:
    gan, before, after = steps(1, 'g.freeze=["g.0"]')
    for name, a in arrays(gan, "ema").items():  # its decay is 1/10 after the first update
        assert np.allclose(a, 0.1 * before[name] + 0.9 * after[name], rtol=1e-6, atol=1e-9), name


def test_a_prefix_holds_all_below_it_and_no_neighbour() -> None:
    root = Chain(*(Residual(Linear(3)) for _ in range(11)), Linear(1))
    net = Net("g", root, (3,), freeze=["g.1"])
    assert [layer.name for layer in net.layers if layer.frozen] == ["g.1.body.0"]


@pytest.mark.parametrize(
    ("freeze", "words"),
    [
        ('g.freeze=["g.00"]', "g.freeze names 'g.00', which is no layer with parameters; did you mean 'g.0'?"),
        ('d.freeze=["g.0"]', "d.freeze names 'g.0', which is no layer with parameters; did you mean 'd.0'?"),
        ('g.freeze=["g.0", "g.1", "g.3", "g.4", "g.5"]', "leaves no layer of g to learn; name fewer"),
        ("g.freeze=[1]", "expected a list of texts"),
    ],
)
def test_mistakes_of_freezing(freeze: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        task(freeze)
    assert words in str(error.value)


def test_what_is_frozen_is_said(tmp_path: Path) -> None:
    notes = Notes()
    trainer.train(small("train.steps=1", 'd.freeze=["d.0"]'), tmp_path / "run", reporter=notes)
    assert "d.freeze: 40 of the 287 parameters of d stay as they are" in notes.notes


def test_a_run_begins_with_all_that_fits(source: Path, tmp_path: Path) -> None:
    began = state(source).tensors
    gan = Trainer(small(f"train.init_from={source}"), tmp_path / "run", False, Notes()).task
    for name, a in gan.tensors().items():
        net, _, key = name.partition("/")
        given = {"ema": began.get(f"g/{key}"), "opt": np.zeros_like(a)}.get(net, began[name])
        assert given is not None and a.tobytes() == given.tobytes(), name
    assert gan.counters() == {"d": 0, "g": 0}


def test_power_iterations_go_on_where_they_were(tmp_path: Path) -> None:
    source = run(tmp_path / "source", "train.steps=1", "model.norm_d=spectral")
    gan = task("model.norm_d=spectral", "train.seed=5")
    begun = transfer.begin(gan, str(source))
    assert begun is not None and begun.left == ()
    for key in ("d.0.u", "d.0.v"):
        assert np.array_equal(gan.D.tensors()[key], state(source).tensors[f"d/{key}"])


def test_what_does_not_fit_is_named_and_keeps_its_initial_value(source: Path, tmp_path: Path) -> None:
    changed = ("model.widths_d=[4, 7]", NORMED, "model.z=6")
    notes = Notes()
    gan = Trainer(small(f"train.init_from={source}", *changed), tmp_path / "run", False, notes).task
    fresh, began = task(*changed), state(source).tensors
    took, left = (next(text for text in notes.notes if text.startswith(start)) for start in ("begun from", "did not"))
    assert "step-00000006.safetensors: took g.1.gamma (24,), " in took and "d.0.w (3, 3, 1, 4)" in took
    for words in ("g.0.w (6, 24) ((5, 24) there)", "d.2.w (3, 3, 4, 7) ((3, 3, 4, 6) there)",
                  "d.3.gamma (7,) (not there)", "d.2.b (6,) (there alone)"):  # fmt: skip
        assert words in left
    assert "opt" not in left and "ema" not in left
    assert np.array_equal(gan.D.tensors()["d.2.w"], fresh.D.tensors()["d.2.w"])
    assert np.array_equal(gan.D.tensors()["d.0.w"], began["d/d.0.w"])


def test_a_resume_needs_no_source_and_equals_the_uninterrupted_run(source: Path, tmp_path: Path) -> None:
    theirs = shutil.copytree(source, tmp_path / "theirs")
    how = (f"train.init_from={theirs}", 'g.freeze=["g.0"]')
    whole = run(tmp_path / "whole", "train.steps=8", *how)
    cut = run(tmp_path / "cut", "train.steps=4", *how)
    assert (cut / "checkpoints" / "step-00000000.safetensors").exists()
    shutil.rmtree(theirs)
    (cut / "checkpoints" / "step-00000004.safetensors").unlink()  # as if killed before its first save
    run(cut, "train.steps=8", *how, resume=True)
    assert_same(state(cut), state(whole))
    assert state(cut).meta["begun"] == state(whole).meta["begun"]
    assert state(cut).meta["begun"]["source"].startswith(str(theirs))


def test_a_run_that_lost_its_beginning_is_not_begun_anew_in_silence(source: Path, tmp_path: Path) -> None:
    how = ("train.steps=1", f"train.init_from={source}")
    out = run(tmp_path / "run", *how)
    for path in (out / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(CheckpointError, match=r"was to begin from .* and ended before its first checkpoint"):
        run(out, *how, resume=True)


def _wide(path: Path, source: Path) -> Path:
    save_file({"g.0.weight": np.ones((12, 3), np.float32)}, path)
    return path


def _foreign(path: Path, source: Path) -> Path:
    save_file({"features.0.weight": np.ones((2, 3), np.float32)}, path)
    return path


def _infinite(path: Path, source: Path) -> Path:
    gan = task()
    gan.G.p[...] = np.inf
    weights.write(gan, 0, path)
    return path


def _torn(path: Path, source: Path) -> Path:
    path.write_bytes((source / "checkpoints" / "step-00000006.safetensors").read_bytes()[:-1])
    return path


def _integers(path: Path, source: Path) -> Path:
    save_file({"g.0.weight": np.ones((24, 5), np.int64)}, path)
    return path


BAD = {
    "nothing fits by shape": (_wide, "nothing in it fits this network: g.0.w (5, 24) ((3, 12) there), "),
    "nothing fits by name": (_foreign, "nothing in it fits this network: g.0.w (5, 24) (not there), "),
    "not finite": (_infinite, "g.0.w holds more than finite numbers"),
    "not floats": (_integers, "g.0.w holds more than finite numbers"),
    "damaged": (_torn, "is damaged or not a checkpoint"),
    "not there": (lambda path, source: path, "cannot be used as a run: No such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_source_that_is_no_good_is_refused_before_anything_is_written(
    source: Path, tmp_path: Path, case: str
) -> None:
    make, words = BAD[case]
    path = make(tmp_path / "bad", source)
    with pytest.raises(CheckpointError) as error:
        run(tmp_path / "out", "train.steps=1", f"train.init_from={path}")
    assert words in str(error.value) and not (tmp_path / "out").exists()


def test_half_precision_and_double_become_the_run_s_own(tmp_path: Path) -> None:
    gan = task()
    values = np.linspace(-1, 1, 120).reshape(24, 5)
    given = {"g.0.weight": values.astype(np.float16), "d.0.bias": np.ones(4), "d.2.bias": np.ones((2, 3))}
    save_file(given, tmp_path / "w.safetensors")
    begun = transfer.begin(gan, str(tmp_path / "w.safetensors"))
    assert begun is not None and begun.taken == ("g.0.w (5, 24)", "d.0.b (4,)")
    assert "d.2.b (6,) ((2, 3) there)" in begun.left
    assert np.array_equal(gan.G.tensors()["g.0.w"], values.astype(np.float16).T.astype(np.float32))
