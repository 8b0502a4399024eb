"""The search in z and what restores pictures by it: masks, errors, pictures, commands."""

import sys
from pathlib import Path

import numpy as np
import pytest
import runs
from datafiles import idx_bytes, mnist_folder
from gan_steps import DCGAN, TINY, make
from PIL import Image

from minigan import cli, data
from minigan.backends import load
from minigan.errors import ConfigError, ShapeError
from minigan.evaluate import masks, restore
from minigan.tasks.gan import GAN
from minigan.tasks.search import LIMITS, Search, Settings, moves

ops = load("numpy")
MLP = ("model.family=mlp", "model.z=4", "model.widths_g=[16]", "model.widths_d=[8]", "model.init=he", "train.ema=0.0")
QUICK = Settings(steps=150, restarts=3, lr=0.1)


def gan(*overrides: str) -> GAN:
    """An untrained GAN whose pictures differ well with z."""
    return make(ops, [*MLP, *overrides])


def drawn(task: GAN, n: int) -> np.ndarray:
    """Pictures that G can make, of z that no search begins from."""
    return task.samples(task.z("test", 0, n), "g")


def test_a_picture_that_g_can_make_is_found_from_half_of_its_pixels() -> None:
    task = gan()
    x = drawn(task, 3)
    w = masks.known("half", 3, task.shape)
    z, y = Search(task, "g", QUICK).run(np.where(w > 0, x, np.nan), w)  # the missing half is not read
    assert z.shape == (3, 4) and ((y - x) ** 2).mean() < 0.01 * x.var()


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    task = gan()
    x, w = drawn(task, 3), masks.known("centre", 3, task.shape)
    search = Search(task, "g", Settings(steps=5, restarts=2, pull=0.5))
    all_three, alone = search.run(x, w)[1], search.run(x[:1], w[:1])[1]
    np.testing.assert_allclose(all_three[:1], alone, rtol=0, atol=1e-5)


def test_images_that_are_too_many_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    task = gan()
    x, w = drawn(task, 5), masks.known("centre", 5, task.shape)
    search = Search(task, "g", Settings(steps=5, restarts=2))
    whole = search.run(x, w)[0]
    monkeypatch.setattr("minigan.tasks.search.AT_ONCE", 4)
    moved: list[int] = []
    np.testing.assert_allclose(search.run(x, w, advance=lambda: moved.append(1))[0], whole, rtol=0, atol=1e-5)
    assert len(moved) == moves(search.settings, 5) == 15  # what a progress bar counts: three turns of two images


def test_the_best_of_the_restarts_is_kept() -> None:
    task = gan()
    x, w = drawn(task, 4), np.ones((4, *task.shape), np.float32)

    def off(restarts: int) -> np.ndarray:
        _, y = Search(task, "g", Settings(steps=1, restarts=restarts, lr=1e-6)).run(x[:1], w[:1])
        return ((y - x[:1]) ** 2).mean()

    assert off(8) < off(1)


def test_no_weight_moves_and_the_same_seed_finds_the_same() -> None:
    task = make(
        ops, [*DCGAN, *TINY, "loss.name=hinge", "model.norm_d=spectral"]
    )  # with batchnorm, dropout, a moving average
    x, w = drawn(task, 2), masks.known("random:0.5", 2, task.shape, seed=3)
    before = {key: a.tobytes() for key, a in task.tensors().items()}
    search = Search(task, "g", Settings(steps=3, prior=0.1, pull=0.1))
    first, again, other = (search.run(x, w, seed)[0] for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert {key: a.tobytes() for key, a in task.tensors().items()} == before


@pytest.mark.parametrize("noise", LIMITS)
def test_z_stays_where_its_distribution_has_it(noise: str) -> None:
    task = gan(f"model.noise={noise}")
    x = np.full((2, *task.shape), 5.0, np.float32)  # a picture that no z makes
    z, _ = Search(task, "g", Settings(steps=60, lr=0.5)).run(x, np.ones_like(x))
    assert np.abs(z).max() == LIMITS[noise]


def test_a_search_that_runs_away_says_so_and_the_next_one_works() -> None:
    task = gan()
    x, w = drawn(task, 1), np.ones((1, *task.shape), np.float32)
    with np.errstate(all="ignore"), pytest.raises(ConfigError, match=r"give a learning rate below 0\.05"):
        Search(task, "g", Settings(steps=2, pull=1e38)).run(x, w)
    assert np.isfinite(Search(task, "g", Settings(steps=2)).run(x, w)[0]).all() and not task.bad()


def test_a_prior_wants_a_verdict_on_one_sample() -> None:
    for key, words in (
        ("loss.name=relativistic", "samples against real ones"),
        ("model.packing=2", "packs of samples"),
    ):
        more = ["train.batch_size=50"] if "packing" in key else []
        task = gan(key, *more)
        with pytest.raises(ConfigError, match=words):
            Search(task, "g", Settings(prior=0.1))
        Search(task, "g", Settings())
    with pytest.raises(ConfigError, match="samples against real ones"):
        Search(gan("loss.name=feature-matching"), "g", Settings(prior=0.1))
    with pytest.raises(ShapeError, match="w has shape"):
        Search(gan(), "g", Settings()).run(drawn(gan(), 2), np.ones((1, 8, 8, 1)))


# ----------------------------------------------------------------------------------------------------------- masks


def test_masks_by_hand() -> None:
    centre, half = (masks.known(word, 2, (8, 8, 3)) for word in ("centre", "half"))
    assert centre.shape == (2, 8, 8, 3) and centre[:, 2:6, 2:6].max() == 0 and centre.sum() == 2 * 3 * (64 - 16)
    assert half[:, :, 4:].max() == 0 and half[:, :, :4].min() == 1
    random = masks.known("random:0.3", 4, (16, 16, 3), seed=1)
    assert (random == random[..., :1]).all() and (random[0] != random[1]).any()
    assert abs((1 - random).mean() - 0.3) < 4 * (0.3 * 0.7 / (4 * 256)) ** 0.5
    assert (random == masks.known("random:0.3", 4, (16, 16, 3), seed=1)).all()


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("middle", "unknown"),
        ("random", "expected a share between 0 and 1"),
        ("random:1.5", "expected a share between 0 and 1"),
        ("random:x", "expected a share between 0 and 1"),
        ("half:0.5", "expected nothing but half"),
    ],
)
def test_a_bad_mask_says_what_is_expected(word: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        masks.known(word, 1, (8, 8, 1))


def test_a_mask_that_misses_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="leaves nothing to restore, or nothing to go by, in 1x1 pixels"):
        masks.known("centre", 1, (1, 1, 1))


# -------------------------------------------------------------------------------------------------------- commands


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.run(tmp_path_factory.mktemp("restore") / "run", "train.steps=10")


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["minigan", *map(str, words)])
    monkeypatch.setattr(cli, "out_console", cli.Console(soft_wrap=True))
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def test_the_commands_write_pictures_and_say_the_errors(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for word, more in (("inpaint", ("--mask", "half")), ("denoise", ("--noise", "0.2"))):
        out = tmp_path / f"{word}.png"
        status, said, err = call(monkeypatch, capsys, word, run, *more, "-n", 3, "--steps", 2, "--out", out)
        assert status == 0 and "3 pictures" in said and "mean squared error 0." in said, err
        with Image.open(out) as image:
            assert image.width == image.height  # three pictures in three rows


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("inpaint", "--mask", "middle"), "--mask 'middle' is unknown"),
        (("inpaint", "--out", "x.gif"), "give a .png"),
        (("denoise", "--noise", "0"), "--noise 0 must lie above 0"),
        (("denoise", "--noise", "100"), "and below 100"),
        (("denoise", "--data", "ring8"), "holds items of (2,), the run makes (8, 8, 1)"),
    ],
)
def test_a_mistake_is_one_line(
    words: tuple[str, ...], says: str, run: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    status, _, err = call(monkeypatch, capsys, words[0], run, *words[1:], "--steps", 2)
    assert status == 2 and says in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_errors_by_hand(run: Path) -> None:
    opened = restore.load(run, "numpy")
    quick = Settings(steps=2, restarts=1)
    made = restore.inpaint_data(opened, "", "half", 4, quick)
    missing = np.s_[:, :, 4:]
    np.testing.assert_array_equal(made.restored[:, :, :4], made.original[:, :, :4])
    span = opened.picture_range[1] - opened.picture_range[0]
    assert made.error == pytest.approx(((made.restored - made.original)[missing] ** 2).mean() / span**2, rel=1e-5)
    low, high = opened.picture_range
    np.testing.assert_array_equal(made.damaged[:, :, :4], made.original[:, :, :4])
    assert (made.damaged[missing] == (low + high) / 2).all()
    mean = data.load("digits", value_range=opened.picture_range).read(range(1797)).mean(axis=0)
    assert made.before == pytest.approx(((mean - made.original)[missing] ** 2).mean() / span**2, rel=1e-5)
    noisy = restore.denoise_data(opened, "", 0.5, 4, quick)
    assert low <= noisy.damaged.min() and noisy.damaged.max() <= high
    assert noisy.before == pytest.approx(((noisy.damaged - noisy.original) ** 2).mean() / span**2, rel=1e-5)


def test_noise_is_of_the_range_from_black_to_white(run: Path) -> None:
    opened = restore.load(run, "numpy")
    noisy = restore.denoise_data(opened, "", 0.05, 40, Settings(steps=1, restarts=1))
    low, high = opened.picture_range
    inside = (noisy.original > low + 0.6) & (noisy.original < high - 0.6)  # 6 standard deviations from either
    noise = (noisy.damaged - noisy.original)[inside] / (high - low)
    assert noise.size > 300 and noise.std() == pytest.approx(0.05, rel=4 / (2 * noise.size) ** 0.5)


def test_pictures_are_of_the_test_files_and_drawn_by_the_seed(run: Path, tmp_path: Path) -> None:
    g = np.random.default_rng(0)
    mnist_folder(tmp_path, g.integers(0, 100, (30, 8, 8), np.uint8), (np.arange(30) % 3).astype(np.uint8))
    tests = g.integers(200, 256, (9, 8, 8), np.uint8)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(tests))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes((np.arange(9) % 3).astype(np.uint8)))
    opened = restore.load(run, "numpy")
    whole, x = restore.some(opened, str(tmp_path), 9, seed=0)
    assert len(whole) == 30 and x.min() > 0.5, "the training images are dark"
    assert len(np.unique(x, axis=0)) == 9
    some, again, other = (restore.some(opened, str(tmp_path), 3, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(some, again)
    assert not np.array_equal(some, other)
    with pytest.raises(ConfigError, match=r"-n 10 pictures were asked for, and .* holds 9; give fewer"):
        restore.some(opened, str(tmp_path), 10, seed=0)


def test_a_run_that_is_none_to_search_is_refused(tmp_path: Path) -> None:
    points = runs.run(tmp_path / "points", "data.name=ring8", "model.output=none", "model.family=mlp", "train.steps=1")
    with pytest.raises(ConfigError, match=r"is of task gan on items of shape \(2,\); pictures are restored by a run"):
        restore.open_run(points, tmp_path / "x.png")
    with pytest.raises(ConfigError, match=r"G is told more than z \(model.condition projection\), which the search"):
        Search(gan("model.condition=projection"), "g", Settings())


def test_settings_are_changed_where_they_are_given() -> None:
    own = Settings(steps=7, restarts=3, lr=0.1)
    assert restore.changed(own, None, None) == own
    assert restore.changed(own, 5, 2) == Settings(steps=5, restarts=2, lr=0.1)
