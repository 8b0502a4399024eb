"""Judging runs: real rows, features, metrics of deliberately bad samples, records, and what a user meets."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from bars import Bars
from onnx import TensorProto, helper
from PIL import Image
from runs import run, small
from scipy.ndimage import gaussian_filter

from minigan import cli, data
from minigan import config as configs
from minigan.errors import ConfigError, DataError
from minigan.evaluate import features, figures, report, store, table
from minigan.evaluate.during import TABLE
from minigan.evaluate.evaluate import evaluate
from minigan.evaluate.extractors import open_extractor
from minigan.evaluate.items import FEWEST, as_floats, as_items, real_rows
from minigan.evaluate.judge import Judge
from minigan.evaluate.table import METRICS, SAYS
from minigan.training.run import load

CONFIG = small("train.backend=auto")
SHAPE, VALUES = (8, 8, 1), (0.0, 1.0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache folder of the tests' own, and a short recipe for the classifier."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("MINIGAN_DATA", raising=False)
        patch.setattr(features, "_STEPS", 60)
        yield patch


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("evaluate") / "run", "train.steps=10", "data.range=0..1", "model.output=sigmoid")


# Real rows


def test_both_real_sets_are_of_the_data_have_no_row_in_common_and_begin_alike_whatever_n_is() -> None:
    real, few = real_rows(CONFIG, SHAPE, VALUES), real_rows(CONFIG, SHAPE, VALUES, n=60)
    assert real.n == len(real.held) == 1797 // 2 and few.n == 60
    assert np.array_equal(few.train, real.train[:60]) and np.array_equal(few.held, real.held[:60])
    assert len(real.training) == 898 and not {*real.training} & {*range(1797)} - {*real.training}
    rows = [row.tobytes() for row in np.concatenate([real.train, real.held])]
    every = [row.tobytes() for row in as_items(data.load("digits", value_range=VALUES).read(np.arange(1797)), VALUES)]
    assert len(set(rows)) == len(rows) and set(rows) <= set(every)
    assert real.split == "other rows of the same data"


@pytest.mark.parametrize("n", [1, 49, 899, 1797])
def test_more_rows_than_there_are_or_too_few_are_refused(n: int) -> None:
    with pytest.raises(ConfigError, match=rf"--n {n}: digits has 898 rows .* give 50 to 898"):
        real_rows(CONFIG, SHAPE, VALUES, n=n)


def test_images_are_compared_as_eight_bits_and_vectors_as_they_are() -> None:
    x = np.array([-1.0, 0.0, 1.0, 1.5]).reshape(1, 2, 2, 1)
    assert as_items(x, (-1.0, 1.0)).reshape(-1).tolist() == [0, 128, 255, 255]
    assert np.allclose(as_floats(as_items(x, (-1.0, 1.0)), -1.0, 1.0), x.clip(-1, 1), atol=1.001 / 255)  # half a level
    assert as_items(x.reshape(2, 2), (0.0, 1.0)).tolist() == x.reshape(2, 2).tolist()
    signal = as_items(x.reshape(1, 1, 2, 2), (-1.0, 1.0))
    assert signal.dtype == np.float32 and signal.tolist() == x.reshape(1, 4).tolist()  # whose features are of vectors


def test_signals_are_cut_as_the_run_cut_them(tmp_path: Path) -> None:
    given = (np.random.default_rng(0).integers(-128, 129, (3, 50 * 64)) / 128).astype(np.float32)
    np.save(tmp_path / "signals.npy", given)
    config = configs.load("wave", [f"data.name={tmp_path / 'signals.npy'}", "data.window=64", "model.width=2"])
    real = real_rows(config, (1, 64, 1), (-1.0, 1.0), n=60)
    rows = {row.tobytes() for row in given.reshape(-1, 64)}
    assert real.train.shape == (60, 64) and all(row.tobytes() in rows for row in real.train)


# Features


@pytest.mark.parametrize("word", ["random", "pixels"])
def test_features_without_labels_see_a_row_alike_whoever_stands_beside_it(word: str, cache: Any) -> None:
    real = real_rows(CONFIG, SHAPE, VALUES, n=300)
    eyes, again = (open_extractor(word, CONFIG, real) for _ in range(2))
    seen = eyes.see(real.held)
    assert seen.probabilities is None and np.isfinite(seen.features).all() and seen.features.std() > 0
    assert np.allclose(eyes.see(real.held[:7]).features, seen.features[:7], rtol=1e-5, atol=1e-6)
    assert np.array_equal(again.see(real.held).features, seen.features) and again.digest == eyes.digest
    assert seen.features.shape == (300, {"random": 128, "pixels": 64}[word])


def test_pixels_keep_distances_where_all_components_are_kept() -> None:
    real = real_rows(CONFIG, SHAPE, VALUES, n=300)
    x = open_extractor("pixels", CONFIG, real).see(real.held).features
    flat = as_floats(real.held).reshape(300, -1)
    assert np.linalg.norm(x[0] - x[1]) == pytest.approx(np.linalg.norm(flat[0] - flat[1]), rel=1e-3)
    assert np.abs(open_extractor("pixels", CONFIG, real).see(real.train).features.mean(axis=0)).max() < 1e-5


def onnx_file(path: Path, shape: list[Any], kind: int = TensorProto.FLOAT, pooled: bool = True) -> Path:
    """A file whose features are the means of its channels, for either layout; unpooled: its input."""
    axes = [2, 3] if shape[1] in (1, 3) else [1, 2]
    given = helper.make_tensor_value_info("x", kind, shape)
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    to = helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
    pool = helper.make_node("ReduceMean", ["f"] if pooled else ["f", "none"], ["y"], axes=axes, keepdims=0)
    last = pool if pooled else helper.make_node("Identity", ["f"], ["y"])
    graph = helper.make_graph([to, last], "features", [given], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("shape", "range_", "kind", "of"),
    [
        (["n", 1, 8, 8], "0..1", TensorProto.FLOAT, lambda u: u / 255),
        (["n", 8, 8, 1], "-1..1", TensorProto.FLOAT, lambda u: u / 127.5 - 1),
        ([16, 3, 8, 8], "0..255", TensorProto.UINT8, lambda u: u),
    ],
)
def test_a_users_network_gets_its_layout_range_channels_and_batch(
    tmp_path: Path, shape: list[Any], range_: str, kind: int, of: Callable[[Any], Any]
) -> None:
    real = real_rows(CONFIG, SHAPE, VALUES, n=70)
    eyes = open_extractor(f"{onnx_file(tmp_path / 'f.onnx', shape, kind)},{range_}", CONFIG, real)
    want = of(real.held.astype(np.float64)).mean(axis=(1, 2))
    assert np.allclose(eyes.see(real.held).features, np.broadcast_to(want, (70, 3 if 3 in shape else 1)), atol=1e-4)
    assert eyes.about["layout"] == ("NHWC" if shape[3] == 1 else "NCHW") and eyes.about["resize"] == "none"
    assert eyes.about["onnxruntime"] == onnxruntime.__version__


def test_a_users_network_of_another_size_gets_resized_pictures(tmp_path: Path) -> None:
    real = real_rows(CONFIG, SHAPE, VALUES, n=70)
    eyes = open_extractor(f"{onnx_file(tmp_path / 'f.onnx', ['n', 3, 20, 20])},0..1", CONFIG, real)
    assert np.allclose(eyes.see(real.held).features, real.held.mean(axis=(1, 2)) / 255, atol=0.01)
    assert "bicubic" in eyes.about["resize"] and eyes.about["size"] == [20, 20]


BAD_FILES = [
    ((["n", 1, 8, 8], TensorProto.FLOAT, True), "", r"say what black and white are .* as .*f\.onnx,-1\.\.1"),
    ((["n", 1, 8, 8], TensorProto.FLOAT, True), ",0..2", r"say what black and white are"),
    ((["n", 1, 8, 1], TensorProto.FLOAT, True), ",0..1", r"at axis 1 \(NCHW\) or at axis 3 \(NHWC\), and not at both"),
    ((["n", 8, 8, 8], TensorProto.FLOAT, True), ",0..1", r"at axis 1 \(NCHW\) or at axis 3 \(NHWC\), and not at both"),
    ((["n", 1, 64], TensorProto.FLOAT, False), ",0..1", r"expected one, with four axes"),
    ((["n", 1, 8, 8], TensorProto.UINT8, True), ",0..1", r"expected float32, or uint8 in 0\.\.255"),
    ((["n", 1, 8, 8], TensorProto.FLOAT, False), ",0..1", r"first output is float32 \(64, 1, 8, 8\); expected float"),
]


@pytest.mark.parametrize(("file", "range_", "said"), BAD_FILES)
def test_a_file_that_does_not_serve_is_refused_in_a_line(
    tmp_path: Path, file: tuple[list[Any], int, bool], range_: str, said: str
) -> None:
    path = onnx_file(tmp_path / "f.onnx", *file)
    with pytest.raises((ConfigError, DataError), match=said):
        open_extractor(f"{path}{range_}", CONFIG, real_rows(CONFIG, SHAPE, VALUES, n=70))


def test_no_file_no_network_and_an_unknown_word_are_refused(tmp_path: Path) -> None:
    real = real_rows(CONFIG, SHAPE, VALUES, n=70)
    (tmp_path / "torn.onnx").write_bytes(b"no network")
    for word, said in (
        (f"{tmp_path}/none.onnx,0..1", "there is no such file"),
        (f"{tmp_path}/torn.onnx,0..1", "onnxruntime cannot open it"),
        ("pixel", "did you mean 'pixels'"),
    ):
        with pytest.raises((ConfigError, DataError), match=said):
            open_extractor(word, CONFIG, real)


# What the metrics see of bad samples, through the classifier's eyes

N = 400


@pytest.fixture(scope="module")
def judge(cache: Any) -> Judge:
    names = ["fid", "score", "manifold", "classes", "ms-ssim", "nearest", "transfer", "one-nearest"]
    return Judge(CONFIG, real_rows(CONFIG, SHAPE, VALUES, n=N), names, table=TABLE)


def _judged(judge: Judge, items: Any) -> dict[str, float]:
    return judge.measure(judge.side(items)).values


def _class_missing(judge: Judge) -> Any:
    kept = judge.real.held[judge.real.held_labels != 3]
    return np.concatenate([kept, kept])[:N]


def _duplicated(judge: Judge) -> Any:
    return np.repeat(judge.real.held[:10], N // 10, axis=0)


def _blurred(judge: Judge) -> Any:
    return gaussian_filter(judge.real.held, sigma=(0, 1, 1, 0))


def _copies(judge: Judge) -> Any:
    return judge.real.train[:N]


def _noise(judge: Judge) -> Any:
    return np.random.default_rng(0).integers(0, 256, judge.real.held.shape).astype(np.uint8)


# what samples are, and what must then be so of their numbers (x) against those of real held-out rows (real)
BAD: list[tuple[Callable[[Judge], Any], Callable[[Any, Any], list[bool]]]] = [
    (
        _class_missing,
        lambda x, real: [x["classes"] == 9, real["classes"] == 10, x["coverage"] < real["coverage"] - 0.05,
                         x["classes_kl"] > 0.05, x["fid"] > 1.5 * real["fid"]],
    ),
    (
        _duplicated,
        lambda x, real: [x["coverage"] < 0.3, x["recall"] < 0.5, x["ms_ssim"] > real["ms_ssim"] + 0.1,
                         x["tstr"] < real["tstr"] - 0.05, x["one_nearest"] > 0.9],
    ),
    (
        _blurred,
        lambda x, real: [x["fid"] > 5 * real["fid"], x["score"] < 0.5 * real["score"], x["recall"] < 0.1,
                         x["coverage"] < 0.5, x["one_nearest"] > 0.9, x["nearest"] > 1.3],
    ),
    (_copies, lambda x, real: [x["copied"] == 1.0, x["nearest"] == 0.0, x["fid"] < 1e-6, x["one_nearest"] < 0.1]),
    (
        _noise,
        lambda x, real: [x["fid"] > 5 * real["fid"], x["precision"] < 0.1, x["density"] < 0.1, x["coverage"] < 0.1,
                         x["nearest"] > 1.5, x["copied"] < 0.01, x["trts"] < real["trts"] - 0.1],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("make", "moved"), BAD, ids=lambda a: getattr(a, "__name__", ""))
def test_bad_samples_move_the_metrics_that_should_see_them(judge: Judge, make: Any, moved: Any) -> None:
    x, floor = _judged(judge, make(judge)), judge.floor()
    assert all(moved(x, floor)), (moved(x, floor), x, floor)


def test_real_rows_in_the_samples_place_get_the_floor_and_that_is_good(judge: Judge) -> None:
    floor, x = judge.floor(), _judged(judge, judge.real.held)
    assert x["fid"] == pytest.approx(floor["fid"], rel=1e-9) and x["classes"] == 10
    assert floor["coverage"] > 0.9 and floor["one_nearest"] == pytest.approx(0.5, abs=0.07)
    assert floor["tstr"] == floor["trts"] > 0.9 and x["nearest"] == 1.0


def test_labels_of_a_conditional_run_stand_in_for_the_classifiers(judge: Judge) -> None:
    told = judge.real.held_labels
    assert np.array_equal(judge.side(judge.real.held, told).labels, told)
    wrong = (told + 1) % 10
    assert judge.measure(judge.side(judge.real.held, wrong)).values["tstr"] < 0.1


def test_the_real_rows_are_looked_at_once_and_a_damaged_file_is_made_anew(judge: Judge, cache: Any) -> None:
    again = Judge(CONFIG, judge.real, judge.metrics, table=TABLE)
    assert again.name == judge.name and again.floors_missing() == 0
    path = store._folder() / f"real-{judge.name}.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    third = Judge(CONFIG, judge.real, judge.metrics, table=TABLE)
    assert np.array_equal(third.against.held.features, judge.against.held.features)
    assert len(path.read_bytes()) > 1000


def test_what_the_real_rows_are_to_each_other_is_measured_once(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _judged(judge, judge.real.held)
    real = {id(judge.against.train.features), id(judge.against.held.features)}
    asked = []
    for name in ("within", "nearest_training", "memorisation", "near"):
        plain = getattr(table, name)

        def watched(*args: Any, name: str = name, plain: Any = plain, **words: Any) -> Any:
            asked.append((name, id(args[0]) in real))
            return plain(*args, **words)

        monkeypatch.setattr(table, name, watched)
    assert _judged(judge, judge.real.held.copy()) == before
    assert sorted(asked) == [("memorisation", False), ("near", True)]  # near(real, samples) for two metrics


# Records


def test_a_record_says_all_it_depends_on_and_is_kept(trained: Path, cache: Any, monkeypatch: Any) -> None:
    made = evaluate(trained, ["fid-infinity", "manifold"], n=100, features="pixels")
    said = json.loads(json.dumps(made.record))["protocol"]
    assert (said["samples"]["n"], said["samples"]["seed"], said["samples"]["weights"]) == (100, 0, "ema")
    assert said["features"]["name"] == "pixels" and said["features"]["digest"]
    assert said["real"]["train"]["fingerprint"] == data.load("digits", value_range=VALUES).fingerprint
    assert said["checkpoint"]["step"] == 10 and said["versions"]["scikit-learn"] and said["classifier"] is None
    assert {"date", "threads", "seconds", "backend", "seconds_in_all"} <= made.record.keys()
    assert {"fid_infinity", "precision"} <= made.record["values"].keys() and made.record["floor"]["coverage"] > 0.8
    more = evaluate(trained, ["fid-infinity", "fid"], n=100, features="pixels")  # one of them is known
    assert not more.cached and more.record["values"]["precision"] == made.record["values"]["precision"]
    assert not evaluate(trained, ["manifold"], n=100, seed=1, features="pixels").cached
    monkeypatch.setattr("minigan.evaluate.evaluate.draw", None)  # nothing is drawn any more
    known = evaluate(trained, ["fid", "manifold"], n=100, features="pixels")
    assert known.cached and known.record["values"] == more.record["values"]
    (trained / store.RECORDS).write_text("torn{\n" + (trained / store.RECORDS).read_text())
    assert evaluate(trained, ["fid"], n=100, features="pixels").cached


def test_samples_are_those_of_minigan_sample(trained: Path, cache: Any) -> None:
    made = evaluate(trained, ["fid"], n=70, features="pixels", seed=5)
    assert np.array_equal(made.side().items, load(trained).sample(70, 5, "uint8"))


def test_points_in_the_plane_have_their_modes_counted(tmp_path: Path, cache: Any) -> None:
    words = ["data.name=ring8", "model.family=mlp", "model.output=none", "model.widths_g=[8]", "model.widths_d=[8]",
             "model.dropout=0.0", "train.steps=2", "train.n_critic=1", "train.grid_every=9"]  # fmt: skip
    made = evaluate(run(tmp_path / "run", *words), ["modes", "manifold"], n=200)
    assert made.record["values"]["modes"] < 8 == made.record["floor"]["modes"]
    assert made.record["floor"]["high_quality"] > 0.95 and made.record["protocol"]["features"]["name"] == "pixels"


def test_every_metric_has_its_numbers_in_words_and_every_row_of_a_report_its_floor(judge: Judge) -> None:
    assert {key for metric in METRICS.values() for key in metric.says} == SAYS.keys()
    names = [name for name in judge.metrics if name != "fid"]  # here without its interval
    rows = report.rows({"values": _judged(judge, judge.real.held), "floor": judge.floor()}, names)
    assert len(rows) == sum(len(METRICS[name].says) for name in names) and all(row[1] and row[2] for row in rows)


# Pictures


def test_metrics_are_drawn_over_the_steps_of_records_that_differ_in_nothing_else(tmp_path: Path, cache: Any) -> None:
    out = run(tmp_path / "run", "train.steps=10", "train.checkpoint_every=5", "data.range=0..1", "model.output=sigmoid")
    first, last = sorted((out / "checkpoints").iterdir())

    def drawn(path: Path, names: list[str], n: int = 100) -> Any:
        made = evaluate(path, names, n=n, features="pixels")
        return figures.metrics(made, made.side())

    assert drawn(first, ["fid"]) is None  # one step is no curve
    assert drawn(last, ["kid"]) is None and drawn(last, ["fid", "kid"], n=60) is None
    one = drawn(last, ["fid"])
    four = drawn(first, ["fid", "manifold"]) and drawn(last, ["fid", "manifold"])
    assert one.size == (1200, 250) and four.size == (1200, 500)  # fid; fid, precision, recall, density, coverage


def test_the_fewest_samples_have_pictures_too(trained: Path, cache: Any, tmp_path: Path) -> None:
    made = evaluate(trained, ["fid"], n=FEWEST, features="pixels")
    assert "real-generated.png" in figures.write(made, tmp_path)
    with Image.open(tmp_path / "real-generated.png") as picture:
        assert picture.size == (17 * 58 + 2, FEWEST // 8 * 58 + 2)  # 8 pixels seven times as large, two apart


def test_real_rows_samples_and_pictures_have_each_a_bar_of_their_own_that_fills(
    trained: Path, cache: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where nothing is known of real rows yet
    bars = Bars()

    for n in (60, 60):  # measured, and then known
        made = evaluate(trained, ["fid", "nearest"], n=n, seed=7, features="pixels", counting=bars.counting)
        figures.write(made, tmp_path / "pictures", bars.counting)
    first = ["looking at real rows", "looking at training rows", "evaluating", "drawing pictures"]
    assert bars.whole == [*first, "drawing pictures"]


# The command


@pytest.fixture
def minigan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Any) -> Any:
    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["minigan", "evaluate", *words])
        monkeypatch.setattr(cli, "out_console", cli.Console(soft_wrap=True, width=140))
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return int(end.value.code or 0), captured.out, captured.err

    return call


def test_the_command_prints_a_table_and_writes_record_and_pictures(minigan: Any, trained: Path, tmp_path: Path) -> None:
    status, out, err = minigan(
        str(trained), "-n", "200", "--metrics", "fid,nearest,classes", "--json", "r.json", "--out", "p"
    )
    assert status == 0, err
    assert "Frechet distance" in out and "lower" in out and "200 samples of step 10 (ema, seed 0)" in out
    assert "right on held-out rows" in out and "docs/evaluate.md" in out
    written = sorted(p.name for p in (tmp_path / "p").iterdir())
    assert written == ["by-class.png", "curves.png", "features.png", "nearest.png", "real-generated.png"]
    assert json.loads((tmp_path / "r.json").read_text())["values"]["classes_of"] == 10
    status, out, _ = minigan(str(trained), "-n", "200", "--metrics", "fid")
    assert status == 0 and "taken from this run's records" in out


MISTAKES = [
    (["--metrics", "fdi"], r"metric 'fdi' is unknown; did you mean 'fid'\?"),
    (["--metrics", "modes"], r"metric modes needs data whose modes are known, ring8 or grid25; leave it out"),
    (["-n", "100000"], r"--n 100000: digits has 898 rows"),
    (["--features", "inception"], r"--features 'inception' is unknown"),
    (["--best"], r"has no best checkpoint: it was not trained with --eval-every and --keep-best"),
    (["--json", "no/r.json"], r"--json 'no/r.json': give the name of a file, in a folder that is there"),
    (["--data", "ring8"], r"ring8 holds items of \(2,\), the run makes \(8, 8, 1\)"),
]


@pytest.mark.parametrize(("words", "said"), MISTAKES)
def test_a_users_mistake_is_one_line_and_nothing_is_written(
    minigan: Any, trained: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    before = sorted(tmp_path.iterdir())
    status, out, err = minigan(str(trained), *words)
    assert status == 2 and out == "" and err.count("\n") == 1
    assert pytest.importorskip("re").search(said, err), err
    assert sorted(tmp_path.iterdir()) == before
