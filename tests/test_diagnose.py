"""The verdict on a GAN: signs with closed answers, the table of verdicts, runs made to fail, and what a user meets."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bars import Bars
from command_line import Result
from runs import Notes

from minigan import config as configs
from minigan import data
from minigan.backends import oracle
from minigan.errors import DataError
from minigan.evaluate import features
from minigan.evaluate.diagnose import copies, diagnose, even, moved, spread
from minigan.losses import make_loss
from minigan.training import log
from minigan.training.run import load
from minigan.training.signs import LEAST_LINES, LOG_SIGNS, STAKES, of_log
from minigan.training.trainer import train
from minigan.training.verdicts import ROWS, findings, in_short, verdict

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own, and a short recipe for the classifier."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.delenv("MINIGAN_DATA", raising=False)
        patch.setattr(features, "_STEPS", 100)
        yield folder


def config(*keys: str) -> configs.Config:
    return configs.load("digits", list(keys))


def lines(gradients: Any, loss_d: Any = 1.0) -> list[dict[str, Any]]:
    """Log lines of G's gradients (N,) and D's losses (N,) or one."""
    both = np.broadcast_arrays(np.asarray(gradients, float), np.asarray(loss_d, float))
    return [{"step": k + 1, "grad_norm_g": g, "loss_d": d} for k, (g, d) in enumerate(zip(*both, strict=True))]


# Signs of a log


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("name", STAKES)
def test_the_scale_of_ds_loss_ends_where_the_loss_itself_does(name: str, smoothing: float) -> None:
    bce = name in ("minimax", "non-saturating", "feature-matching")
    loss = make_loss(name, smoothing if bce else 0.0)

    def critic(real: float, fake: float) -> float:
        return float(loss.critic(oracle, *(np.full((1, 1), x) for x in (real, fake)))[0])

    grid = np.linspace(-3, 3, 121)
    least, blind = STAKES[name](smoothing if bce else 0.0)
    assert blind == pytest.approx(min(critic(c, c) for c in grid), abs=1e-3)
    assert least == pytest.approx(min(critic(a, b) for a in (*grid[60:], 30) for b in (0, -1, -30)), abs=1e-3)


def test_ds_loss_is_the_median_of_the_last_quarter_on_that_scale() -> None:
    loss_d = np.r_[np.full(30, 2.0), np.full(9, 0.2), 50.0]  # hinge: 2 is blind; one wild batch
    assert of_log(config(), lines(np.ones(40), loss_d)).values["d_loss"] == pytest.approx(0.1)


def test_a_smoothed_loss_has_its_own_scale() -> None:
    for loss, expected in zip(STAKES["minimax"](0.2), (0.0, 1.0), strict=True):
        values = of_log(config("loss.name=minimax", "loss.smoothing=0.2"), lines(np.ones(40), loss)).values
        assert values["d_loss"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("gradients", "expected"),
    [
        (np.ones(40), 1.0),
        (np.r_[np.full(20, 4.0), np.full(20, 0.04)], 0.01),
        (np.linspace(1, 8, 40), np.median(np.linspace(1, 8, 40)[-10:]) / np.median(np.linspace(1, 8, 40)[-5:])),
        (np.zeros(40), 0.0),
        (np.r_[1e6, np.ones(39)], 1.0),  # one wild batch is no length that it had
    ],
)
def test_gs_gradient_is_held_against_the_best_eighth_of_the_run(gradients: Any, expected: float) -> None:
    assert of_log(config(), lines(gradients)).values["g_gradient"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("gradients", "expected"),
    [
        (np.ones(40), 0.0),
        (np.exp(np.linspace(3, -5, 40)), 0.0),  # a trend is no swing
        (np.exp(np.tile([2.0, -2.0, -2.0, 2.0], 20)), 2.0),
        (np.r_[np.exp(np.tile([2.0, -2.0, -2.0, 2.0], 10)), np.ones(40)], 0.0),  # that was in the first half
        (np.tile([1.0, 0.0, 0.0, 1.0], 20), 0.5 * np.log(1e6)),  # no gradient at all is short, not infinitely so
    ],
)
def test_a_swing_is_about_the_trend_of_the_last_half(gradients: Any, expected: float) -> None:
    assert of_log(config(), lines(gradients)).values["g_swing"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (
            ["loss.name=wasserstein", "train.weight_clip=0.01"],
            "loss.name wasserstein has no value at which D is always right",
        ),
        (["d.l2=1e-4"], r"loss_d holds lambda \|\|theta\|\|\^2"),
        (["model.condition=acgan"], "loss_d holds that of D's second head"),
    ],
)
def test_where_ds_loss_says_nothing_the_reason_is_said(keys: list[str], why: str) -> None:
    signs = of_log(config(*keys), lines(np.ones(40)))
    assert signs.values.keys() == {"g_gradient", "g_swing"}
    assert pytest.importorskip("re").search(why, signs.missing["d_loss"]), signs.missing


def test_a_short_log_says_nothing_and_how_long_it_must_be() -> None:
    signs = of_log(config(), lines(np.ones(LEAST_LINES - 1)))
    assert signs.values == {} and set(signs.missing) == set(LOG_SIGNS)
    assert of_log(config(), lines(np.ones(LEAST_LINES))).missing == {}
    assert in_short(config(), lines([1.0])).startswith("by its log not known: the log has 1 lines, 24 are needed")


# Signs of samples


def test_evenly_filled_classes_are_their_share_and_the_missing_ones_are_named() -> None:
    real = np.repeat(np.arange(10), 50)
    assert even(np.repeat([1, 4, 5, 7], 30), real, 10) == (pytest.approx(0.4), [0, 2, 3, 6, 8, 9])
    assert even(real[::-1], real, 10) == (pytest.approx(1.0), [])
    uneven = np.r_[np.zeros(90, int), np.arange(10)]  # nine in ten are of one class, and a stray of each other
    q = np.array([0.91] + [0.01] * 9)
    assert even(uneven, real, 10)[0] == pytest.approx(np.exp(-np.sum(q * np.log(q * 10))))
    assert even(np.repeat([0, 1], 50), np.repeat([0, 0, 1], 50), 2)[0] < 0.95  # the data's own shares are even here


def test_spread_is_within_classes_and_of_those_that_samples_have() -> None:
    x, labels = RNG.standard_normal((400, 5)), np.repeat([0, 1], 200)
    far = 100.0 * labels[:, None]
    assert spread(0.25 * x + far, labels, x, labels) == pytest.approx(0.25, rel=0.05)
    assert spread(np.repeat(x[:2], 200, axis=0) + far, labels, x, labels) == pytest.approx(0.0, abs=1e-6)
    assert spread(x[:200], labels[:200], x, labels) == pytest.approx(1.0)
    assert spread(x[:2], np.array([0, 1]), x, labels) is None


def test_copies_are_near_and_unseen_rows_as_far_as_training_rows_from_each_other() -> None:
    rows, unseen = RNG.standard_normal((300, 6)), RNG.standard_normal((300, 6))
    assert copies(rows[:100], rows) == 0.0
    assert copies(unseen, rows) == pytest.approx(1.0, abs=0.1)
    assert copies(rows + 0.01, rows) == pytest.approx(0.01 * np.sqrt(6) / np.median(_nearest_others(rows)), rel=1e-3)
    assert copies(unseen, np.repeat(rows, 2, axis=0)) is None


def _nearest_others(rows: Any) -> Any:
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


def test_moved_is_the_share_that_changed_whoever_changed_places() -> None:
    before = np.repeat([0, 1, 2], [50, 30, 20])
    assert moved(before, before[::-1], 4) == 0.0
    assert moved(before, np.repeat([0, 1, 3], [50, 30, 20]), 4) == pytest.approx(0.2)
    assert moved(before, np.full(100, 3), 4) == pytest.approx(1.0)


# The table


HEALTHY = {"g_gradient": 0.5, "g_swing": 0.2, "even": 0.95, "spread": 0.9, "copies": 1.2, "moved": 0.05, "d_loss": 0.5}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.verdict}-{row.sign}-{row.threshold:g}")
def test_a_sign_past_its_threshold_is_the_verdict_and_one_before_it_is_not(row: Any) -> None:
    past, before = (row.threshold * (1 + s if row.above else 1 - s) for s in (0.01, -0.01))
    assert verdict(HEALTHY) == "healthy" and findings(HEALTHY) == []
    found = findings(HEALTHY | {row.sign: past})
    assert [finding.row for finding in found] == [row] and verdict(HEALTHY | {row.sign: past}) == row.verdict
    assert row not in [finding.row for finding in findings(HEALTHY | {row.sign: before})]
    said = found[0].as_dict()
    assert said["try"] and said["threshold"] == row.threshold and "{" not in said["says"]
    assert any(character.isdigit() for character in said["says"])  # the figure that says so


def test_the_first_row_that_speaks_is_the_verdict_and_the_others_stand_beside_it() -> None:
    values = dict.fromkeys(HEALTHY, 0.0) | {"moved": 0.9}
    assert [f.row.sign for f in findings(values)] == ["g_gradient", "even", "moved", "spread", "copies", "d_loss"]
    assert verdict(values) == "vanishing gradients"
    assert verdict({"d_loss": 0.01}) == "D too strong" and verdict({"d_loss": 0.9}) == "healthy"
    assert verdict({}) == "not known"


def test_details_stand_beside_the_figure() -> None:
    (found, *_) = findings({"even": 0.2}, {"even": "3 of 8 missing: mode 1, mode 2, mode 5"})
    assert str(found) == "samples fill 20% of the classes or modes evenly (3 of 8 missing: mode 1, mode 2, mode 5)"


def test_a_log_in_short_says_the_verdict_its_figure_and_what_was_not_looked_at() -> None:
    said = in_short(config(), lines(np.ones(40), 0.002))
    assert said.startswith("by its log D too strong: D pays 0.001 of what a D pays that cannot tell; samples were not")
    assert in_short(config(), lines(np.ones(40))).startswith("by its log healthy: d_loss 0.5, g_gradient 1, g_swing ")
    assert in_short(configs.load("vae-mnist"), lines(np.ones(40))) == ""


# Runs that were made to fail, and one that was not

SMALL = ("model.widths_g=[128, 128]", "model.widths_d=[128, 64]", "train.batch_size=32", "train.grid_every=999",
         "train.log_every=10", "train.checkpoint_every=100")  # fmt: skip
MADE: dict[str, tuple[str, ...]] = {
    "healthy": ("train.steps=1200", "train.checkpoint_every=200", "train.ema=0.99"),
    "D too strong": ("loss.name=non-saturating", "g.lr=1e-5", "d.lr=2e-3", "train.n_critic=2", "train.steps=500",
                     "model.dropout=0", "train.ema=0"),
    "vanishing gradients": ("loss.name=minimax", "g.rule=sgd", "g.lr=1e-3", "d.lr=2e-3", "train.steps=800",
                            "model.dropout=0", "train.ema=0"),
    "G collapsed": ("loss.name=non-saturating", "g.lr=2e-3", "d.lr=1e-5", "train.steps=400", "train.ema=0"),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Notes]]:
    """Trains the run of a verdict, once."""
    known: dict[str, tuple[Path, Notes]] = {}

    def train_once(what: str) -> tuple[Path, Notes]:
        if what not in known:
            notes = Notes()
            out = tmp_path_factory.mktemp("made") / "run"
            known[what] = train(config(*SMALL, *MADE[what]), out, reporter=notes)[0], notes
        return known[what]

    return train_once


@pytest.mark.parametrize("what", MADE)
def test_a_run_that_was_made_so_gets_that_verdict(made: Callable[[str], tuple[Path, Notes]], what: str) -> None:
    said = diagnose(made(what)[0], n=300)
    assert said["verdict"] == what, said
    assert set(said["not_looked_at"]) <= {"even", "moved"}, said  # of samples that are like no digit
    assert "a classifier, right on" in said["protocol"]["sorted_by"] and said["protocol"]["n"] == 300
    assert json.loads(json.dumps(said, allow_nan=False)) == said


RING = ("data.name=ring8", "model.output=none", "model.dropout=0", "model.z=2", "model.widths_g=[64, 64]",
        "model.widths_d=[64, 64]", "loss.name=non-saturating", "train.batch_size=64", "train.ema=0",
        "train.log_every=10", "train.grid_every=999")  # fmt: skip


def test_a_collapsed_run_names_the_modes_that_are_missing(tmp_path: Path) -> None:
    keys = (*RING, "g.lr=1e-3", "d.lr=2e-5", "train.steps=800", "train.checkpoint_every=400")
    said = diagnose(train(config(*keys), tmp_path / "run")[0])
    found = said["findings"][0]
    assert said["verdict"] == "G collapsed" and found["sign"] == "even", said
    missing = found["says"].partition("missing: ")[2].rstrip(")").split(", ")
    assert set(missing) < {f"mode {k}" for k in range(8)} and f"({len(missing)} of 8 missing" in found["says"]
    x = load(tmp_path / "run").sample(1000)
    by_hand = np.bincount(np.round(np.arctan2(x[:, 1], x[:, 0]) / (np.pi / 4)).astype(int) % 8, minlength=8)
    assert {f"mode {k}" for k in range(8) if by_hand[k] < 12.5} == set(missing)
    assert said["protocol"]["sorted_by"] == "the known modes"
    assert said["not_looked_at"] == {"copies": "points in the plane lie too densely to tell a copy"}


def test_the_last_line_of_training_is_the_verdict_of_its_log(made: Callable[[str], tuple[Path, Notes]]) -> None:
    for what in ("healthy", "D too strong", "vanishing gradients"):
        assert made(what)[1].notes[-1].startswith(f"by its log {what}: "), what
        assert made(what)[1].notes[-1].endswith("samples were not looked at: minigan diagnose does")


def test_the_earlier_checkpoint_is_the_nearest_one_that_is_far_enough(
    made: Callable[[str], tuple[Path, Notes]], tmp_path: Path
) -> None:
    run = shutil.copytree(made("healthy")[0], tmp_path / "run")
    first, second = sorted((run / "checkpoints").iterdir())
    assert (first.name, second.name) == ("step-00001000.safetensors", "step-00001200.safetensors")
    first.unlink()
    said = diagnose(run, n=100)
    assert said["not_looked_at"] == {"moved": "no checkpoint of 100 steps before is kept: lower train.checkpoint_every"}
    assert said["verdict"] == "healthy"  # of what was looked at


def test_a_checkpoint_by_itself_is_judged_by_samples_and_an_earlier_one_by_the_log_until_then(
    made: Callable[[str], tuple[Path, Notes]], tmp_path: Path
) -> None:
    first, second = sorted((made("healthy")[0] / "checkpoints").iterdir())
    shutil.copy(second, tmp_path / second.name)
    said = diagnose(tmp_path / second.name, n=100)
    assert set(said["not_looked_at"]) == {*LOG_SIGNS, "moved"} and "even" in said["signs"]
    assert diagnose(first, n=100)["protocol"]["log_lines"] == 100 < len(log.read(made("healthy")[0]))


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A short run on 200 pictures without labels, and the pictures (200,8,8,1) uint8."""
    folder = tmp_path_factory.mktemp("unlabelled")
    digits = data.load("digits", value_range=(0.0, 1.0)).read(np.arange(200))
    pictures = np.round(255 * digits).astype(np.uint8)
    np.save(folder / "x.npy", pictures)
    return train(config(*SMALL, f"data.name={folder / 'x.npy'}", "train.steps=2"), folder / "run")[0], pictures


DRAWN: list[tuple[Callable[[Any], Any], str, dict[str, Any]]] = [
    (lambda x: x[:150], "memorising", {"copies": 0.0, "even": pytest.approx(1, abs=0.1)}),
    (lambda x: np.repeat(x[:1], 150, axis=0), "G collapsed", {"copies": 0.0, "spread": pytest.approx(0, abs=1e-3)}),
    (lambda x: 255 - x[:150], "healthy", {"spread": pytest.approx(1, abs=0.2)}),  # far off, which no sign is about
]


@pytest.mark.parametrize(("drawn", "said", "signs"), DRAWN)
def test_pictures_without_labels_are_sorted_into_cells(
    unlabelled: tuple[Path, Any], drawn: Callable[[Any], Any], said: str, signs: dict[str, Any]
) -> None:
    run, pictures = unlabelled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigan.evaluate.diagnose._drawn", lambda opened, weights, n: drawn(pictures))
        found = diagnose(run, n=150)
    assert found["protocol"]["sorted_by"] == "10 cells of k-means" and found["protocol"]["rows"] == 200
    assert found["verdict"] == said and {key: found["signs"][key] for key in signs} == signs, found
    assert set(found["not_looked_at"]) >= {*LOG_SIGNS} and "moved" in found["not_looked_at"]


def test_samples_like_no_row_are_not_sorted(made: Callable[[str], tuple[Path, Notes]]) -> None:
    said = diagnose(made("D too strong")[0], n=100)
    assert said["signs"]["copies"] > 1.8 and not {"even", "moved"} & said["signs"].keys()
    assert "samples are too far off the data to be sorted" in said["not_looked_at"]["even"]
    assert 0.5 < said["signs"]["spread"] < 2  # of noise, all of it together


def test_one_class_is_no_class_and_too_few_rows_are_refused(tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    np.savez(tmp_path / "one.npz", x=x, y=np.zeros(40, np.int64))
    np.savez(tmp_path / "few.npz", x=x[:9])
    keys = (*SMALL, "train.steps=2", "train.batch_size=8")
    one, few = (
        train(config(*keys, f"data.name={tmp_path / name}.npz"), tmp_path / f"{name}-run")[0] for name in ("one", "few")
    )
    assert diagnose(one, n=60)["protocol"]["sorted_by"] == "10 cells of k-means"
    with pytest.raises(DataError, match="has 9 rows, too few to hold samples against; give 10"):
        diagnose(few, n=60)


def test_no_two_bars_are_shown_at_once(
    made: Callable[[str], tuple[Path, Notes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = Bars()

    def extractor(*args: Any) -> Any:
        assert bars.shown == []  # a classifier that trains has a bar
        return features.extractor(*args)

    monkeypatch.setattr("minigan.evaluate.diagnose.extractor", extractor)
    for what in ("healthy", "D too strong"):  # whose samples are sorted, and are not
        diagnose(made(what)[0], n=60, counting=bars.counting)
    assert bars.whole == ["reading rows", "looking at samples"] * 2


# The command


def test_the_command_says_the_verdict_what_to_try_and_every_figure(
    minigan: Callable[..., Result],
    made: Callable[[str], tuple[Path, Notes]],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    run = made("D too strong")[0]
    done = minigan("diagnose", str(run), "-n", "100")
    assert done.status == 0, done.err  # a verdict is an answer, not an error
    assert f"{run}, step 500: D too strong" in done.out and "try a lower d.lr" in done.out
    assert "D's loss" in done.out and "below 0.05" in done.out and "50 log lines; 100 samples (seed 0, g)" in done.out
    done = minigan("diagnose", str(run), "-n", "100", "--json")
    said = json.loads(done.out)
    assert done.status == 0 and said["verdict"] == "D too strong" and said["format"] == "minigan-diagnosis-1"


def test_a_users_mistake_is_one_line(
    minigan: Callable[..., Result], made: Callable[[str], tuple[Path, Notes]], tmp_path: Path
) -> None:
    words = ("train.steps=2", "train.log_every=1", "data.name=digits", "model.widths_g=[8]", "model.widths_d=[8]")
    train(configs.load("vae-mnist", list(words)), tmp_path / "vae")
    for given, said in (
        (["vae"], "is a run of task vae; a verdict is on the game of a GAN's two nets"),
        (["nowhere"], "nowhere"),
        ([str(made("G collapsed")[0]), "-n", "49"], "-n 49: so few samples say nothing; give 50 or more"),
    ):
        done = minigan("diagnose", *given)
        assert done.status == 2 and done.out == "" and done.err.count("\n") == 1 and said in done.err, done.err


def test_other_data_than_the_runs_is_refused(tmp_path: Path, minigan: Callable[..., Result]) -> None:
    path = tmp_path / "x.npy"
    np.save(path, RNG.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8))
    train(config(*SMALL, f"data.name={path}", "train.steps=2", "train.batch_size=16"), tmp_path / "run")
    np.save(path, RNG.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8))
    done = minigan("diagnose", "run")
    assert done.status == 2 and "x.npy is not what run/checkpoints" in done.err, done.err
