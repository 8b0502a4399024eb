"""Classifiers under examination: levels of difficulty, a user's models, records, pictures, and what a user meets."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command_line import call
from onnx import TensorProto, helper, numpy_helper

from minigan import config as configs
from minigan.errors import ConfigError, DataError
from minigan.evaluate import evaluate_model as examining
from minigan.evaluate import features, model_figures, model_report
from minigan.evaluate.evaluate_model import evaluate_models
from minigan.evaluate.levels import LEVELS, NOISE, PLAIN, Exam, Level, mixed, noisy
from minigan.evaluate.models import Model
from minigan.training.run import load
from minigan.training.trainer import train

N = 60
CLASSES = tuple("0123456789")
TINY = ("model.widths_g=[16]", "model.widths_d=[16]", "train.steps=3", "train.batch_size=32", "train.ema=0.0")
BY_NORMS = (
    *("model.family=dcgan", "model.widths_g=[4]", "model.strides_g=[2]", "model.widths_d=[4]", "model.kernel=3"),
    *("model.condition=acgan", "model.condition_g=batchnorm", "train.steps=3", "train.batch_size=32"),
)

MODELS = """
import numpy as np
from minigan.config import Data
from minigan.evaluate.features import extractor

seen = []

def judge(x):
    seen.append(x)
    return extractor(Data("digits", range="0..1")).see(x).probabilities

def zeros(x):
    return np.eye(10)[np.zeros(len(x), int)]

def brightness(x):
    return np.stack([k * x.mean(axis=(1, 2, 3)) for k in range(10)], axis=1)

def nine(x):
    return np.ones((len(x), 9))

def one(x):
    return np.ones(len(x))

def short(x):
    return np.ones((1, 10))

def nan(x):
    return np.full((len(x), 10), np.nan)

def words(x):
    return np.full((len(x), 10), "seven")

def raises(x):
    raise RuntimeError("no weights\\nhere")

def unsteady(x):
    p = np.full((len(x), 10), 0.1)
    return p if len(x) == 64 else 3 * p

constant = 3
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache folder of the tests' own, a short recipe for the classifier, and a module with models."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "judged_here.py").write_text(MODELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.delenv("MINIGAN_DATA", raising=False)
        patch.setattr(features, "_STEPS", 60)
        patch.syspath_prepend(str(folder))
        yield folder
    sys.modules.pop("judged_here", None)


def trained(out: Path, *words: str) -> Path:
    return train(configs.load("digits", [*TINY, *words]), out)[0]


@pytest.fixture(scope="module")
def run(home: Path) -> Path:
    return trained(home / "run", "model.condition=embedding")


@pytest.fixture(scope="module")
def judge(run: Path) -> None:
    """The classifier of the data is there, so that nothing trains it, and says so, in the middle of a test."""
    features.extractor(load(run).config.data)


@pytest.fixture(scope="module")
def made(run: Path) -> examining.Examination:
    return evaluate_models(["judged_here:zeros", "judged_here:judge", "judged_here:brightness"], run, N)


# Levels


def test_plain_samples_are_those_of_minigan_sample_and_every_level_begins_alike_whatever_n_is(run: Path) -> None:
    opened = load(run)
    many, few = Exam(opened, 130, 3), Exam(opened, 70, 3)
    assert np.array_equal(many.plain, opened.sample(130, 3, "uint8"))
    assert np.array_equal(many.labels, opened.labels(130))
    for level in LEVELS:
        assert np.array_equal(many.at(level)[:70], few.at(level)), level
        assert (level == PLAIN) == np.array_equal(many.at(level), many.plain), level


def test_truncation_multiplies_z(run: Path) -> None:
    exam, task = Exam(load(run), 20, 0), load(run).task
    want = task.samples((0.5 * exam.z).astype(np.float32), "g", exam.labels)
    assert np.array_equal(exam.at(Level("truncation", 0.5)), np.rint(127.5 * (want + 1)).astype(np.uint8))


@pytest.mark.parametrize("words", [("model.condition=projection",), BY_NORMS], ids=["embedding", "batchnorm"])
def test_between_classes_lies_what_both_ends_are_and_the_tables_are_put_back(
    home: Path, words: tuple[str, ...]
) -> None:
    opened = load(trained(home / words[-1].replace("=", "-"), *words))
    task, net = opened.task, opened.task.nets[opened.weights]
    told = [layer for layer in net.layers if hasattr(layer, "classes")]
    for table in (getattr(layer, name) for layer in told for name in layer.params):
        table += np.random.default_rng(0).standard_normal(table.shape).astype(table.dtype)  # 3 steps move them little
    z, labels = task.z("sample", 0, 10, 0), np.arange(10)
    drawn = [task.samples(z, opened.weights, (labels + k) % 10) for k in range(10)]
    before = {name: a.copy() for name, a in net.tensors().items()}
    for share, shift, want in ((0.0, 3, drawn[0]), (1.0, 3, drawn[3]), (1.0, 9, drawn[9])):
        with mixed(net, share, shift):
            assert np.array_equal(task.samples(z, opened.weights, labels), want), (share, shift)
    with mixed(net, 0.5, 1):
        half = task.samples(z, opened.weights, labels)
    assert not np.allclose(half, drawn[0], atol=1e-3) and not np.allclose(half, drawn[1], atol=1e-3)
    assert all(np.array_equal(a, before[name]) for name, a in net.tensors().items())


def test_each_other_class_has_its_turn_between(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shifts = []
    monkeypatch.setattr(
        "minigan.evaluate.levels.mixed", lambda net, share, shift: shifts.append(shift) or mixed(net, share, shift)
    )
    exam = Exam(load(run), 90, 0)
    exam.at(Level("between", 0.3))
    assert shifts == [*range(1, 10)]


def test_noise_is_of_its_standard_deviation_and_the_same_for_every_level() -> None:
    grey = np.full((200, 8, 8, 1), 128, np.uint8)
    weak, strong = noisy(grey, 0.05, 0).astype(float) - 128, noisy(grey, 0.1, 0).astype(float) - 128
    assert weak.std() == pytest.approx(0.05 * 255, rel=0.02) and abs(weak.mean()) < 0.5
    assert np.abs(strong - 2 * weak).max() <= 1.5  # rounded to whole levels
    assert not np.array_equal(noisy(grey, 0.05, 0), noisy(grey, 0.05, 1))
    black, white = (noisy(np.full_like(grey, level), 0.05, 0) for level in (0, 255))
    assert black.max() < 100 and white.min() > 155  # clipped, not wrapped round


# Models


def test_a_function_gets_channels_last_floats_in_its_range(home: Path) -> None:
    import judged_here

    items = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8, 1)
    for suffix, want in (("", items / 255), (",-1..1", items / 127.5 - 1), (",0..255", items)):
        judged_here.seen.clear()
        Model(f"judged_here:judge{suffix}", items, CLASSES)
        (x,) = judged_here.seen
        assert x.dtype == np.float32 and x.shape == (3, 8, 8, 1) and np.allclose(x, want, atol=1e-6), suffix


def test_scores_that_are_no_probabilities_go_through_a_softmax(home: Path) -> None:
    items = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8, 1)
    model = Model("judged_here:brightness", items, CLASSES)
    scores = np.arange(10) * (items / 255).mean(axis=(1, 2, 3))[:, None]
    want = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert np.allclose(model(items), want, atol=1e-6) and model.about["scores"] == "logits, by softmax"
    plain = Model("judged_here:zeros", items, CLASSES)
    assert plain.about["scores"] == "probabilities" and np.array_equal(plain(items)[:, 0], np.ones(3))


def onnx_file(path: Path, layout: str, classes: int = 10, labelled: bool = False) -> Path:
    """Logits W x of 8x8 pictures, W random, the pixels counted row by row in either layout."""
    shape = ["n", 1, 8, 8] if layout == "NCHW" else ["n", 8, 8, 1]
    w = np.random.default_rng(0).standard_normal((64, classes)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["x"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["y"])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])]
    if labelled:  # as exporters of scikit-learn put them: the class first
        nodes.append(helper.make_node("ArgMax", ["y"], ["label"], axis=1, keepdims=0))
        outputs.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "classifier", [given], outputs, [numpy_helper.from_array(w, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_an_onnx_file_is_fed_as_its_input_says(tmp_path: Path, layout: str) -> None:
    items = np.random.default_rng(1).integers(0, 256, (70, 8, 8, 1)).astype(np.uint8)
    w = np.random.default_rng(0).standard_normal((64, 10)).astype(np.float32)
    for suffix, x in (("", items / 255), (",-1..1", items / 127.5 - 1)):
        model = Model(f"{onnx_file(tmp_path / 'c.onnx', layout, labelled=True)}{suffix}", items, CLASSES)
        scores = x.reshape(70, 64) @ w
        want = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        assert np.allclose(model(items), want, atol=1e-4) and model.about["layout"] == layout


# Records


def test_the_judge_as_a_model_is_right_where_the_judge_agrees(made: examining.Examination) -> None:
    for level in LEVELS:
        numbers = made.record["synthetic"][level.name]
        assert level in NOISE or numbers["accuracy"][1] == numbers["judge_agrees"], level
        assert numbers["accuracy"][0] == 0.1, level  # which always says 0
        assert numbers["judge_agrees"] == made.record["synthetic"]["plain"]["judge_agrees"] or level not in NOISE
    real = made.record["real"]["plain"]["accuracy"]
    assert real[1] == made.record["protocol"]["judge"]["accuracy"] > 0.6
    assert real[0] == pytest.approx(np.mean(made.real[PLAIN].rows.labels == 0))


def test_noise_makes_real_rows_harder_too_and_every_answer_is_held_against_its_own_label(
    made: examining.Examination,
) -> None:
    accuracy = [made.record["real"][level.name]["accuracy"][1] for level in (PLAIN, *NOISE)]
    assert accuracy[0] > accuracy[2] > accuracy[4]
    for side, record in ((made.real, made.record["real"]), (made.synthetic, made.record["synthetic"])):
        for level, answered in side.items():
            right = [np.mean(p.argmax(axis=1) == answered.rows.labels) for p in answered.probabilities]
            assert record[level.name]["accuracy"] == pytest.approx(right, rel=1e-12), level


def test_models_are_named_in_short_unless_two_would_have_one_name(made: examining.Examination, run: Path) -> None:
    assert made.names == ["zeros", "judge", "brightness"]
    words = ["judged_here:zeros", "judged_here:zeros,-1..1"]
    assert evaluate_models(words, run, N).names == words


def test_ranks_are_of_the_models_accuracies(made: examining.Examination) -> None:
    order = [made.record[side]["plain"]["accuracy"] for side in ("real", "synthetic")]
    assert order[0][1] > max(order[0][0], order[0][2])
    signs = np.array([[np.sign(a[i] - a[j]) for i in range(3) for j in range(i)] for a in order])
    want = (signs[0] * signs[1]).sum() / np.sqrt(np.abs(signs).sum(axis=1).prod())
    assert made.record["synthetic"]["plain"]["rank"]["tau"] == pytest.approx(want, rel=1e-12)
    assert {"rank", "rank_of_noisy"} <= made.record["synthetic"]["noise 0.2"].keys()
    assert "rank_of_noisy" not in made.record["synthetic"]["between 0.2"]
    assert -1 <= made.record["rank_of_real_halves"] <= 1


def test_a_record_is_json_says_all_it_depends_on_and_comes_out_again(made: examining.Examination, run: Path) -> None:
    record = json.loads(json.dumps(made.record, allow_nan=False))
    said = record["protocol"]
    assert (said["samples"]["n"], said["samples"]["seed"], said["samples"]["labels"]) == (N, 0, "as asked of G")
    assert said["samples"]["condition"] == "embedding" and said["checkpoint"]["step"] == 3
    assert said["real"]["rows"] == 179 and "which the run learned from too" in said["real"]["from"]
    assert said["models"][1]["model"] == "judged_here:judge" and len(said["models"][1]["source_blake2b"]) == 16
    assert record["synthetic"].keys() == {level.name for level in LEVELS} and said["versions"]["scikit-learn"]
    words = [model["model"] for model in said["models"]]
    again = evaluate_models(words, run, N).record
    assert [again[key] for key in ("protocol", "real", "synthetic")] == [
        made.record[key] for key in ("protocol", "real", "synthetic")
    ]
    alone = evaluate_models(words[1:2], run, N).record
    assert alone["synthetic"]["plain"]["accuracy"] == record["synthetic"]["plain"]["accuracy"][1:2]
    assert alone["rank_of_real_halves"] is None and "rank" not in alone["synthetic"]["plain"]
    columns, rows = model_report.accuracies(alone, ["judge"])
    assert columns == ("% right", "judge agrees", "judge") and all(len(row) == 3 for row in rows)


# Pictures


def test_failures_are_shown_the_surest_first_and_none_where_there_are_none(made: examining.Examination) -> None:
    real = made.real[PLAIN]
    wrong = model_figures._surest(real, 1)
    p, told = real.probabilities[1], real.probabilities[1].argmax(axis=1)
    assert len(wrong) == min(10, (~real.right[1]).sum()) and (told[wrong] != real.rows.labels[wrong]).all()
    sure = p.max(axis=1)
    assert (np.diff(sure[wrong]) <= 0).all() and sure[wrong[-1]] >= np.sort(sure[~real.right[1]])[-len(wrong)]
    picture = model_figures.failures(made, 0)
    assert picture is not None and picture.height == 20 + 76 * (len(made.real) + len(made.synthetic))  # zeros: all fail
    flawless = {level: a._replace(probabilities=np.eye(10)[a.rows.labels][None]) for level, a in made.real.items()}
    none = examining.Examination(made.record, ["x"], CLASSES, flawless, dict.fromkeys(LEVELS, flawless[PLAIN]))
    assert model_figures.failures(none, 0) is None


# The command


@pytest.fixture
def minigan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    return lambda *words: call(capsys, monkeypatch, "evaluate-model", *words)


def test_the_command_prints_tables_and_writes_record_and_pictures(minigan: Any, run: Path, tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "my net.onnx", "NCHW")
    done = minigan(str(path), "judged_here:zeros", "--run", str(run), "-n", "50", "--json", "r.json", "--out", "p")
    assert done.status == 0, done.err
    for words in ("samples, truncation 1.5", "real, noise 0.4",
                  "50 samples a level of step 3 (g, seed 0)",
                  "about the most that a model can reach", "docs/evaluate-model.md"):  # fmt: skip
        assert words in done.out, words
    names = sorted(p.name for p in (tmp_path / "p").iterdir())
    assert names == ["failures-1-my-net-onnx.png", "failures-2-zeros.png", "levels.png", "reliability.png"]
    assert json.loads((tmp_path / "r.json").read_text())["protocol"]["models"][0]["layout"] == "NCHW"


MISTAKES = [
    ("judged_here:nine", r"judged_here:nine gives 9 scores for a picture, but the run has 10 classes; expected .*0, 1"),
    ("judged_here:one", r"gave shape \(64,\) for 64 pictures; expected \(64, K\)"),
    ("judged_here:short", r"gave shape \(1, 10\) for 64 pictures"),
    ("judged_here:nan", r"judged_here:nan gives float64 scores that are NaN, infinite or no numbers"),
    ("judged_here:words", r"judged_here:words gives <U5 scores that are NaN, infinite or no numbers"),
    ("judged_here:raises", r"failed on float32 \(64, 8, 8, 1\) in 0\.\.1 \(RuntimeError: no weights here\); mend it"),
    ("judged_here:unsteady", r"gave probabilities for the first 64 real rows, but for others scores"),
    ("judged_here:constant", r"'judged_here:constant' is a int; name a function of pictures"),
    ("judged_here:nowhere", r"'judged_here:nowhere' cannot be imported"),
    ("no_such_module:f", r"'no_such_module:f' cannot be imported"),
    ("classifier", r"'classifier' is no model; give a FILE\.onnx, or module:function"),
    ("judged_here:nine,0..7", r"'judged_here:nine,0\.\.7': 0\.\.7 is no range; known: 0\.\.1, -1\.\.1, 0\.\.255"),
    ("none.onnx,0..7", r"'none\.onnx,0\.\.7': 0\.\.7 is no range; known"),
    ("none.onnx", r"none\.onnx: there is no such file; give the \.onnx of your classifier"),
]


@pytest.mark.parametrize(("model", "said"), MISTAKES)
def test_a_model_that_does_not_serve_is_one_line_and_nothing_is_written(
    minigan: Any, run: Path, judge: None, tmp_path: Path, model: str, said: str
) -> None:
    done = minigan(model, "--run", str(run), "-n", "50", "--json", "r.json", "--out", "p")
    assert (done.status, done.err.count("\n")) == (2, 1)  # out may tell how the judge was trained, where it is not yet
    assert re.search(said, done.err), done.err
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_can_be_no_file_is_refused_by_its_option(minigan: Any, run: Path, tmp_path: Path) -> None:
    done = minigan("judged_here:zeros", "--run", str(run), "--json", "no/r.json")
    assert (done.status, done.out) == (2, "") and "--json 'no/r.json': give the name of a file" in done.err, done.err
    assert list(tmp_path.iterdir()) == []


def test_an_onnx_file_of_other_classes_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gives 7 scores for a picture, but the run has 10 classes"):
        evaluate_models([str(onnx_file(tmp_path / "c.onnx", "NHWC", classes=7))], run, N)


def test_a_run_that_says_nothing_of_classifiers_is_refused(home: Path, run: Path) -> None:
    for words, said in (
        (("model.condition=none",), "draws no samples of known classes .model.condition none."),
        (
            ("model.condition=infogan", "model.code_classes=10"),
            "draws no samples of known classes .model.condition infogan.",
        ),
        (("model.condition=embedding", "data.name=ring8", "model.output=none"), "only pictures"),
    ):
        with pytest.raises(ConfigError, match=said):
            evaluate_models(["judged_here:zeros"], trained(home / words[0][-7:] / words[-1][-4:], *words), N)
    for n in (1, 10_001):
        with pytest.raises(ConfigError, match=f"--n {n}: give 50 to 10000 samples a level"):
            evaluate_models(["judged_here:zeros"], run, n)
    with pytest.raises(ConfigError, match="judged_here:zeros is named twice"):
        evaluate_models(["judged_here:zeros", "judged_here:zeros"], run, N)


# The page


def exam_of_the_page(minigan: Any, capsys: Any, monkeypatch: Any, tmp_path: Path, steps: str, n: str) -> dict[str, Any]:
    """What docs/evaluate-model.md says, done: the module saved, both commands given, with other steps and samples."""
    page = (Path(__file__).resolve().parents[1] / "docs" / "evaluate-model.md").read_text()
    (tmp_path / "judged.py").write_text(re.findall(r"```python\n(.*?)```", page, re.S)[0])
    block = re.findall(r"\n```\n(minigan train .*?)```", page, re.S)[0]
    training, examining_ = block.replace("\\\n", " ").strip().splitlines()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    words = training.replace("--steps 6000", f"--steps {steps}").split()[1:]
    assert call(capsys, monkeypatch, *words).status == 0
    done = minigan(*examining_.split()[2:], "-n", n)
    assert done.status == 0, done.err
    sys.modules.pop("judged", None)
    assert len(list((tmp_path / "exam").iterdir())) == 8
    return json.loads((tmp_path / "exam.json").read_text())


def test_the_page_does_what_it_says(minigan: Any, capsys: Any, monkeypatch: Any, tmp_path: Path) -> None:
    record = exam_of_the_page(minigan, capsys, monkeypatch, tmp_path, "20", "50")
    real = record["real"]["plain"]["accuracy"]
    assert real == sorted(real[:4]) + real[4:] and min(real[4:]) > 0.97  # as its table has them


@pytest.mark.slow
def test_a_good_run_puts_models_in_the_order_of_real_rows(
    minigan: Any, capsys: Any, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr(features, "_STEPS", 1000)
    record = exam_of_the_page(minigan, capsys, monkeypatch, tmp_path, "6000", "1000")
    plain = record["synthetic"]["plain"]
    assert plain["judge_agrees"] > 0.98 and plain["rank"]["tau"] > 0.6
    assert record["synthetic"]["noise 0.4"]["rank_of_noisy"]["tau"] > 0.8
