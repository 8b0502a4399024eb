"""`minigan toy`: steps that are the run's own, pictures that show what D and G compute, films, keys."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Result
from PIL import Image
from runs import state
from terminal import Terminal

from minigan import config as configs
from minigan import rng
from minigan.backends.proxies import NotFinite
from minigan.study import toy as toys
from minigan.study import toy_picture
from minigan.study.toy import QUANTILES, Frame, Toy, film
from minigan.training.parts import prepare
from minigan.training.trainer import train

SMALL = (
    "train.backend=numpy", "model.widths_g=[8]", "model.widths_d=[8, 8]", "train.batch_size=16", "train.log_every=1",
    "train.grid_every=1000", "data.range=raw",
)  # fmt: skip
SMOOTH = ("train.dtype=float64", "model.act_d=tanh", "model.act_g=tanh")
KINDS = {
    "wgan-gp": ("penalty.weight=1",),
    "plain": ("loss.name=non-saturating", "penalty.name=none", "train.n_critic=1"),
    "saturating": ("loss.name=minimax", "penalty.name=none"),
    "pairs": ("loss.name=relativistic", "penalty.name=r1"),
    "packed": ("loss.name=non-saturating", "penalty.name=none", "model.packing=2"),
    "spectral": ("loss.name=hinge", "penalty.name=none", "model.norm_d=spectral"),
    "features": ("loss.name=feature-matching", "penalty.name=none"),
    "shared": ("loss.name=non-saturating", "penalty.name=none", "train.share_fake=true"),
}
BROKEN = ("g.lr=1e6", "d.lr=1e6", "penalty.name=none", "loss.name=non-saturating", "model.widths_d=[8, 8, 8, 8]")
TINY = [part for text in SMALL for part in ("--set", text)]


def config(*overrides: str) -> configs.Config:
    return configs.load("wgan-gp-ring8", [*SMALL, *overrides])


def opened(*overrides: str) -> Toy:
    return Toy(prepare(config(*overrides)))


def bits(toy: Toy) -> dict[str, bytes]:
    task = toy.task
    slabs = {f"{name} d": net.dp for name, net in task.nets.items() if name != "g"}  # G's gradient is zeroed anew
    return {name: task.ops.to_numpy(a).tobytes() for name, a in (task.tensors() | slabs).items()}


def moved(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    """Whose tensors differ: "d" and "g", "opt/d" and "opt/g", and D's gradient, "d d"."""
    return {"/".join(name.split("/")[: 1 + name.startswith("opt")]) for name in before if before[name] != after[name]}


# --------------------------------------------------------------------------------------------------------------- steps


@pytest.mark.parametrize("kind", ["wgan-gp", "spectral", "shared"])
def test_whole_steps_are_those_of_training(kind: str, tmp_path: Path) -> None:
    """Also with frames between them, which so change nothing; and a run is gone on with as by --resume."""
    run, _ = train(config(*KINDS[kind], "train.steps=6"), tmp_path / "run")
    toy = opened(*KINDS[kind])
    for _ in film(toy, 6, 2):
        pass
    saved = state(run)
    for name, value in saved.tensors.items():
        assert value.tobytes() == toy.task.ops.to_numpy(toy.task.tensors()[name]).tobytes(), name
    assert toy.task.counters() == saved.meta["counters"] and toy.number == 6
    train(config(*KINDS[kind], "train.steps=8"), run, resume=True)
    again = toys.opened(str(run), [])
    assert again.number == 8
    for _ in range(2):
        toy.step()
    assert bits(toy).items() >= {k: v for k, v in bits(again).items() if not k.endswith(" d")}.items()


@pytest.mark.parametrize("kind", KINDS)
def test_each_half_moves_its_own_net_alone(kind: str) -> None:
    toy = opened(*KINDS[kind])
    toy.step()
    for who in "dggd":
        before, counts = bits(toy), toy.task.counters()
        toy.step(who)
        assert moved(before, bits(toy)) == {who, f"opt/{who}"} | ({"d d"} if who == "d" else set())
        want = toy.task.batches_per_step if who == "d" else 1
        assert toy.task.counters() == {**counts, who: counts[who] + want}
        assert f"loss_{who}" in toy.record
    assert toy.number == 5


def test_a_half_step_is_the_half_of_a_step() -> None:
    """D's part and then G's on the same data and draws are a step, to the last bit."""
    whole, halves = opened(), opened()
    whole.step()
    halves.step("d")
    halves.number -= 1
    halves.step("g")
    assert bits(whole) == bits(halves)


def test_each_step_takes_fresh_data_and_z() -> None:
    toy = opened()
    seen = []
    part = toy.task.part
    toy.task.part = lambda batches, *rest, **more: (seen.append(batches[0].tobytes()), part(batches, *rest, **more))[1]  # type: ignore[method-assign]
    for who in "gdg":
        toy.step(who)
    assert len(set(seen)) == 3


def test_what_is_not_finite_moves_no_weight() -> None:
    toy = opened(*BROKEN)
    with pytest.raises(NotFinite, match=r"step \d was not finite, and moved no weight; lower g\.lr and d\.lr"):
        for _ in range(9):
            toy.step()


# -------------------------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("kind", KINDS)
def test_looking_changes_nothing(kind: str) -> None:
    toy = opened(*KINDS[kind])
    toy.step()
    before, clock = bits(toy), toy.task.clock.array.tobytes()[:4]
    first, second = toy.frame(), toy.frame()
    assert bits(toy) == before and toy.task.clock.array.tobytes()[:4] == clock
    for a, b in zip(first[2:], second[2:], strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_the_field_is_what_d_says_there(kind: str) -> None:
    """Square by square, the lowest row first, to the bit of D called on those points."""
    toy = opened(*KINDS[kind])
    for _ in range(3):
        toy.step()
    field, (low, high), m = toy.frame(6).field, toy.limits, toy.task.packing
    size = (high - low) / 6
    points = [[low + (k + 0.5) * size, low + (row + 0.5) * size] for row in range(6) for k in range(6)]
    x = np.asarray([point * m for point in points], np.float32)
    y, _ = toy.task.D.forward(x, mode="running")
    want = 1 / (1 + np.exp(-np.float64(y))) if toy.task.loss.probability else y
    assert field.shape == (6, 6) and np.ptp(field) > 0
    if toy.task.loss.probability:
        np.testing.assert_allclose(field.ravel(), want.ravel(), rtol=1e-6)
    else:
        assert field.tobytes() == y.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_arrows_are_the_gradient_of_gs_loss_by_the_points(kind: str) -> None:
    """Against central differences of the loss that g_step itself reports, in float64."""
    toy = opened(*KINDS[kind], *SMOOTH)
    for _ in range(3):
        toy.step()
    frame, task = toy.frame(4), toy.task
    real = toy.real[: len(frame.fakes)].astype(np.float64)
    task.D.normalise_weights(iterate=False)

    def loss(x: np.ndarray) -> float:
        G: Any = task.G
        G.backward = lambda *args, **more: None
        try:
            return float(task.g_step(None, update=False, made=(x, None), x_real=real)["loss_g"])
        finally:
            del G.backward

    numeric = np.zeros_like(frame.fakes)
    for at in np.ndindex(numeric.shape):
        step = np.zeros_like(frame.fakes)
        step[at] = 1e-6
        numeric[at] = (loss(frame.fakes + step) - loss(frame.fakes - step)) / 2e-6
    assert np.abs(numeric).max() > 1e-6
    np.testing.assert_allclose(frame.gradient, numeric, rtol=1e-5, atol=1e-6 * np.abs(numeric).max())


def test_the_gradient_is_what_g_itself_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a g_step on the very z of the frame."""
    toy = opened("loss.name=non-saturating", "penalty.name=none")
    toy.step()
    frame, task = toy.frame(), toy.task
    z = task.z("toy", 0, 16)
    handed = []
    backward = task.G.backward
    monkeypatch.setattr(
        task.G, "backward", lambda dy, *rest, **more: (handed.append(dy.copy()), backward(dy, *rest, **more))[1]
    )
    task.g_step(z, update=False)
    assert np.array_equal(frame.gradient, handed[0])


def test_the_net_is_what_g_makes_of_straight_lines() -> None:
    toy = opened("model.noise=uniform")
    lines = toy.net()
    assert lines is not None and lines.shape == (22, 41, 2)
    at = np.linspace(-0.98, 0.98, 11)
    z = np.stack([np.full(41, at[2]), np.linspace(-0.98, 0.98, 41)], axis=1)
    for line, along in ((lines[2], z), (lines[11 + 2], z[:, ::-1])):
        y, _ = toy.task.G.forward(np.ascontiguousarray(along, np.float32), mode="running")
        np.testing.assert_allclose(line, y, atol=1e-6)
    assert opened("model.z=3").net() is None and opened("model.z=3").frame(4).net is None


@pytest.mark.parametrize("noise", rng.NOISE)
def test_quantiles_are_those_of_each_noise(noise: str) -> None:
    z = rng.draw_z(0, "test", 0, 100_000, 1, noise)
    for share in (0.01, 0.2, 0.5, 0.9):
        assert (z <= QUANTILES[noise](share)).mean() == pytest.approx(share, abs=0.006), share


# ------------------------------------------------------------------------------------------------------------ pictures


def _frame(**more: Any) -> Frame:
    """Of two points, and a field that is 0 in the lower left quarter and else 1."""
    field = np.array([[0.0, 0.0, 1.0, 1.0]] * 2 + [[1.0] * 4] * 2)
    fakes, gradient = np.array([[-0.85, 0.85], [0.15, 0.15]]), np.array([[0.0, 2.0], [-1.0, 0.0]])
    return Frame(12, {"loss_d": 0.5, "loss_g": 1.25}, field, fakes, gradient, None)._replace(**more)


def test_arrows_go_against_the_gradient_by_one_scale() -> None:
    moves = toy_picture.arrows(_frame(), (-1.0, 1.0))
    lengths = np.linalg.norm(moves, axis=1)
    np.testing.assert_allclose(moves / lengths[:, None], [[0, -1], [1, 0]], atol=1e-12)
    assert lengths[0] == pytest.approx(2 * toy_picture.REACH) and lengths[1] == pytest.approx(lengths[0] / 2, rel=0.1)
    assert not toy_picture.arrows(_frame(gradient=np.zeros((2, 2))), (-1.0, 1.0)).any()


def test_shades_and_words_say_what_is_there() -> None:
    assert toy_picture.shades(_frame(field=np.array([[0.25, 0.5]])), True).tolist() == [[0.25, 0.5]]
    assert toy_picture.shades(_frame(field=np.array([[-3.0, 1.0, 0.0]])), False).tolist() == [[0, 1, 0.75]]
    assert toy_picture.shades(_frame(field=np.full((1, 2), 7.0)), False).tolist() == [[0.5, 0.5]]
    assert toy_picture.words(_frame()) == "step 12  loss D 0.500  loss G 1.250  |gradient| 3"


def test_pictures_show_points_field_and_net_where_they_are() -> None:
    toy = opened("train.batch_size=2")
    toy.limits, toy.real, toy.probability = (-1.0, 1.0), np.array([[0.95, -0.95]]), True
    flat = _frame(gradient=np.zeros((2, 2)), net=np.array([[[-0.55, -0.55], [0.55, -0.55]]]))
    small = toy_picture.raster(flat, toy, 20)
    assert small.shape == (20, 41, 3)
    black, green = ((small == colour).all(axis=2) for colour in ((0, 0, 0), (0x1B, 0x78, 0x37)))
    black[:, 20] = False  # the line between the halves
    assert np.argwhere(black).tolist() == [[1, 1], [1, 22], [8, 11], [8, 32]]
    assert np.argwhere(green).tolist() == [[19, 19], [19, 40]]
    blue = [(small[at][2] > small[at][0]).item() for at in ((15, 5), (15, 15), (5, 5), (5, 15))]
    assert blue == [False, True, True, True], "red is 0, blue is 1"
    bent = (small == (0x8F, 0x8A, 0xC0)).all(axis=2)
    assert set(np.argwhere(bent)[:, 0]) == {15} and bent.sum() == 12 and not bent[:, :20].any()

    large = np.asarray(toy_picture.Drawer(toy, "a title")(flat))
    height, width = large.shape[:2]
    assert (height, width) == (369, 648)
    found = [large[height * y // 8, width * x // 16].astype(int) for y, x in ((6, 2), (6, 6), (3, 2), (3, 6))]
    assert [bool(colour[2] > colour[0]) for colour in found] == [False, True, True, True], found
    assert large[:40].min() < 100, "words above"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures as small as can be, for tests that count them."""
    monkeypatch.setattr(toy_picture.Drawer.__init__, "__defaults__", (1.0, 40))


def test_a_film_has_the_frames_promised(minigan: Callable[..., Result], counted: None) -> None:
    assert [frame.step for frame in film(opened(), 7, 3)] == [0, 3, 6, 7]
    shown = minigan("toy", "wgan-gp-ring8", *TINY, "--steps", "7", "--every", "3", "--out", "a.gif")
    assert shown.status == 0 and "a.gif: 4 frames, to step 7" in shown.out, shown.err
    with Image.open("a.gif") as gif:
        assert gif.n_frames == 4 and gif.info["loop"] == 0
        durations = [gif.seek(k) or gif.info["duration"] for k in range(4)]
    assert durations == [100, 100, 100, 2000], "it rests on the last"
    shown = minigan("toy", "wgan-gp-ring8", *TINY, "--steps", "4", "--every", "2", "--out", "frames")
    assert shown.status == 0 and "frames: 3 frames, to step 4" in shown.out, shown.err
    assert sorted(path.name for path in Path("frames").iterdir()) == ["00000.png", "00001.png", "00002.png"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("digits",), "is a gan on items of shape (8, 8, 1); give a GAN on 2-D points, as wgan-gp-ring8"),
        (("wgan-gp-ring8", "--set", "model.condition=projection"), "with labels D has a field for each of them"),
        (("wgan-gp-ring8", "--out", "a.mp4"), "--out 'a.mp4': give a .gif, or a folder without a suffix"),
        (("wgan-gp-ring8", "--out", "no/a.gif"), "give the name of a file, in a folder that is there"),
        (("wgan-gp-ring8", "--steps", "600", "--every", "1"), "601 frames are more than 500; give a larger --every"),
        (("wgan-gp-ring8", "--keys", "--steps", "9"), "--steps is for a film, and with --keys you make the steps"),
        (("wgan-gp-ring8", "--keys"), "--keys needs a terminal to draw on and to read keys from"),
        (("ring9",), "ring9"),
    ],
)
def test_what_cannot_be_filmed_is_refused_at_once(
    minigan: Callable[..., Result], tmp_path: Path, words: tuple[str, ...], error: str
) -> None:
    refused = minigan("toy", *words)
    assert refused.status == 2 and error in refused.err and refused.err.count("\n") == 1, refused.err
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_breaks_writes_nothing(minigan: Callable[..., Result], tmp_path: Path) -> None:
    keys = [part for text in BROKEN for part in ("--set", text)]
    broken = minigan("toy", "wgan-gp-ring8", *TINY, *keys, "--steps", "9", "--every", "9")
    assert broken.status == 1 and "was not finite" in broken.err and broken.err.count("\n") == 1, broken.err
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------------------------- keys


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(*words: str) -> Terminal:
        made.append(Terminal(tmp_path, "toy", "wgan-gp-ring8", *TINY, "--keys", *words, MINIGAN_NUM_THREADS="1"))
        return made[-1]

    yield start
    for one in made:
        one.close()


def test_keys_step_d_g_or_both_and_save(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    screen = terminal("--every", "3", "--out", "here.gif")
    at = screen.wait_for("3 steps a key")
    assert screen.settings() != screen.before, "keys come without Enter"
    for key, step, said in (("d", 3, "D moved"), ("g", 6, "G moved"), ("b", 9, "D and G moved"), (" ", 12, "both")):
        screen.press(key)
        at = screen.wait_for(f"step {step} ", at)
        assert said in screen.seen[screen.seen.rindex("wgan-gp-ring8", 0, at) :] or said == "both", screen.seen[-3000:]
    assert "loss D" in screen.seen[at:] or screen.wait_for("loss D", at)
    screen.press("x\x1b[A?")  # no keys of ours
    screen.press("s")
    screen.wait_for("here-000012.png: saved", at)
    with Image.open(tmp_path / "here-000012.png") as image:
        assert image.size == (648, 369)
    screen.press("q")
    assert screen.end() == 0 and screen.settings() == screen.before
    assert "▀" in screen.seen and screen.seen.rindex("\x1b[?25h") > screen.seen.rindex("\x1b[?25l")
    assert "step 13" not in screen.seen and not (tmp_path / "here.gif").exists()


def test_ctrl_c_and_a_breakdown_give_the_terminal_back(terminal: Callable[..., Terminal]) -> None:
    screen = terminal()
    screen.wait_for("q quit")
    screen.press("\x03")
    assert screen.end() == 130 and screen.settings() == screen.before
    broken = terminal("--every", "20", *(part for text in BROKEN for part in ("--set", text)))
    broken.wait_for("q quit")
    broken.press("b")
    assert broken.end() == 1 and "was not finite" in broken.seen and broken.settings() == broken.before
    assert broken.seen.rindex("\x1b[?25h") > broken.seen.rindex("\x1b[?25l")
