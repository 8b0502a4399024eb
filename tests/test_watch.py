"""`minigan train --watch`: what the board shows is so, fits the terminal, changes no bit, and is left behind."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from command_line import Result
from rich.console import Console
from runs import SMALL, assert_same, run, small, state, timeless
from terminal import Terminal

from minigan import config as configs
from minigan.errors import MiniganError
from minigan.study import watch
from minigan.study.blocks import ASCII_HEIGHTS, ASCII_SHADES, HEIGHTS, SHADES, HalfBlocks, levels, sparkline
from minigan.study.board import Board, Curve, histories
from minigan.study.thumbnail import FAKE, REAL, Thumbnail
from minigan.training import checkpoint, log
from minigan.training.parts import prepare
from minigan.training.trainer import Trainer, train

TINY = [part for text in SMALL for part in ("--set", text)]
NUMPY = ("train.backend=numpy", "data.name=digits", "train.log_every=2")
TASKS = {  # a few steps of each task, on the oracle
    "gan": ("digits", *NUMPY, *SMALL, "train.steps=10"),
    "with labels": ("digits", *NUMPY, *SMALL, "train.steps=10", "model.condition=acgan"),
    "frozen, shared, spectral": (
        "digits", *NUMPY, "train.steps=4", "train.share_fake=true", "model.norm_d=spectral", 'g.freeze=["g.0"]',
        "model.dropout=0",
    ),
    "points": ("wgan-gp-ring8", "train.steps=4", "train.log_every=2", "train.backend=numpy"),
    "signals": (
        "wave", "train.backend=numpy", "data.window=64", "model.z=3", "model.width=2", "model.kernel=9",
        "train.batch_size=8", "train.log_every=1", "train.steps=2",
    ),
    "vae": ("vae-mnist", *NUMPY, "model.widths_g=[24]", "model.widths_d=[24]", "train.batch_size=50", "train.steps=4"),
    "classifier": ("classifier-mnist", *NUMPY, "model.widths_d=[8]", "train.batch_size=50", "train.steps=4"),
    "cyclegan": (
        "cyclegan-digits", *NUMPY, "task.width=2", "task.depth=1", "task.blocks=1", "model.widths_d=[2, 3]",
        "train.batch_size=4", "train.steps=4",
    ),
    "superres": (
        "srgan-mnist", *NUMPY, "task.factor=2", "task.width=4", "task.blocks=1", "task.l2_steps=1",
        "model.widths_d=[2, 3]", "train.batch_size=8", "train.steps=4",
    ),
}  # fmt: skip


def console(width: int = 120, lines: int = 40, **options: Any) -> Console:
    """A terminal without one."""
    made = Console(file=io.StringIO(), force_terminal=True, width=width, height=lines, _environ={}, **options)
    return made


def drawn(board: Any, width: int = 120, lines: int = 40, **options: Any) -> list[str]:
    """What is shown, line by line, without colours."""
    made = console(width, lines, record=True, **({"color_system": "truecolor"} | options))
    made.print(board)
    return made.export_text().splitlines()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look after each step, and samples in each."""
    monkeypatch.setattr(watch, "NUMBERS", (0.0, 1e9))
    monkeypatch.setattr(watch, "SAMPLES", (0.0, 1e9))


# ---------------------------------------------------------------------------------------------------------- characters


def test_two_pixels_are_a_character_in_their_own_colours() -> None:
    image = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]], [[13, 14, 15], [16, 17, 18]]], np.uint8)
    made = console(color_system="truecolor")
    made.print(HalfBlocks(image))
    cells = re.findall(r"\x1b\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀", made.file.getvalue())  # type: ignore[attr-defined]
    assert [tuple(map(int, cell)) for cell in cells] == [
        (1, 2, 3, 7, 8, 9), (4, 5, 6, 10, 11, 12), (13, 14, 15, 0, 0, 0), (16, 17, 18, 0, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "shades"),
    [({"color_system": None}, SHADES), ({"color_system": "truecolor", "no_color": True}, SHADES)],
    ids=["no colours", "NO_COLOR"],
)
def test_without_colours_pixels_are_shades(options: dict[str, Any], shades: str) -> None:
    image = np.repeat(np.linspace(0, 255, len(shades)).astype(np.uint8)[None, :, None], 3, axis=2).repeat(2, axis=0)
    assert drawn(HalfBlocks(image), **options) == [shades]


def test_without_unicode_all_is_ascii() -> None:
    made = Console(file=_Ascii(), force_terminal=True, width=110, height=40, color_system="truecolor", _environ={})
    board = Board("run", 5, 10, curves={"loss": _curve([1, 2, 3])}, norms={"g": {"g.0": 1.0, "g.1": 1e-3}})
    board.samples = Thumbnail(np.zeros((4, 8, 8, 1)), (-1, 1), np.zeros((0,)))
    made.print(board)
    text = made.file.getvalue()  # type: ignore[attr-defined]
    text.encode("ascii")
    assert "_=#" in text and ASCII_SHADES[len(ASCII_SHADES) // 2] * 8 in text, text


class _Ascii(io.StringIO):
    encoding = "ascii"


def test_levels_and_sparklines_say_where_a_number_lies() -> None:
    assert levels(np.array([0, 0.124, 0.126, 0.5, 0.999, 1.0, 7.0, -1.0]), HEIGHTS) == "▁▁▂▅███▁"
    assert sparkline(np.array([2.0, 3.0, np.nan, np.inf, 4.0])) == "▁▅  █"
    assert sparkline(np.array([5.0, 5.0])) == "▅▅" and sparkline(np.array([])) == ""
    assert sparkline(np.array([1.0, 2.0]), ASCII_HEIGHTS) == "_#"


def _curve(values: Any) -> Curve:
    curve = Curve()
    for value in values:
        curve.add(float(value))
    return curve


@pytest.mark.parametrize("n", [1, 7, 512, 513, 5000])
def test_a_curve_holds_the_means_of_any_number_of_values(n: int) -> None:
    values = np.random.default_rng(n).standard_normal(n)
    curve = _curve(values)
    assert curve.last == values[-1] and len(curve.means(10**6)) <= 512
    whole = n // curve.per
    want = values[: whole * curve.per].reshape(whole, curve.per).mean(axis=1)
    np.testing.assert_allclose(curve.means(10**6)[:whole], want, rtol=0, atol=1e-12)
    assert len(curve.means(5)) == min(5, n)
    assert len(Curve().means(5)) == 0


# --------------------------------------------------------------------------------------------------------------- board


def test_the_board_says_what_it_was_told() -> None:
    board = Board("minigan train digits, cpp avx2", 3450, 17000, 123.25, 26400.4, 3725.2)
    plots = {"loss": {"loss_d": "loss of D"}, "D": {"d_real": "mean D(x)", "absent": "never"}}
    lines = [{"loss_d": 2.5 - k, "d_real": 0.5} for k in range(3)]
    board.curves = {words: curve for words, curve in histories(plots, lines).values()}
    board.norms = {"g": {"g.0": 1.5, "g.1": 0.02, "g.2": None}, "d": {"d.0": 0.0}}
    text = "\n".join(drawn(board, 90))
    for said in (
        "minigan train digits, cpp avx2", "step 3,450 of 17,000  1:02:05 left  26,400 images/s  epoch 123.2",
        "loss of D       0.5  █▅▁", "0.5 to 2.5", "mean D(x)       0.5  ▅▅▅", "g.0 █ 1.5e+00", "g.1 ▆ 2.0e-02",
        "g.2   frozen", "d.0   0.0e+00",
    ):  # fmt: skip
        assert said in text, f"{said!r} is not in\n{text}"
    assert "never" not in text
    board.ended = "stopped"
    assert "stopped" in "".join(drawn(board, 90)) and "left" not in "".join(drawn(board, 90))


@pytest.mark.parametrize("width", [20, 38, 60, 95, 96, 130, 220])
@pytest.mark.parametrize("lines", [4, 8, 14, 24, 60])
def test_the_board_fits_the_terminal(width: int, lines: int) -> None:
    curves = {f"mean of {k}": _curve(np.sin(np.arange(900) / (k + 5))) for k in range(4)}
    norms: Any = {net: {f"{net}.{k}.body": 10.0 ** -(k % 9) for k in range(30)} for net in "gd"}
    board = Board("a run with a name that is long " * 3, 7, 10**6, 1.0, 1e6, 1e5, "", curves, norms)
    for shape in ((64, 28, 28, 1), (64, 32, 32, 3), (64, 1, 64, 2), (100, 2)):
        x = np.random.default_rng(0).uniform(-1, 1, shape)
        board.samples = Thumbnail(x, (-1.0, 1.0), x[:5])
        text = drawn(board, width, lines)
        assert len(text) <= lines - 1, f"{len(text)} lines on a terminal of {lines}:\n" + "\n".join(text)
        assert max(map(len, text)) <= width
        room = (lines >= 60 and width >= 60) or (lines >= 14 and width >= 96)
        assert "step 7 of" in text[1] and ("samples at step" in "".join(text)) == room, "\n".join(text)


def test_images_keep_their_place_and_values_in_a_thumbnail() -> None:
    x = np.linspace(-1, 1, 9 * 64).reshape(9, 8, 8, 1)
    image = Thumbnail(x, (-1.0, 1.0), x).fit(100, 20).image
    assert image.shape == (26, 26, 3), "three rows of three images of 8 pixels, a pixel between them"
    for k in range(9):
        row, column = 9 * (k // 3), 9 * (k % 3)
        want = np.rint((x[k, :, :, 0] + 1) * 127.5)
        assert (image[row : row + 8, column : column + 8, 0] == want).all(), k
    less = Thumbnail(x, (-1.0, 1.0), x).fit(17, 9).image
    assert less.shape == (18, 17, 3), "what there is no room for is left out: two columns and rows are shown"
    assert (less[9:17, 9:, 0] == np.rint((x[4, :, :, 0] + 1) * 127.5)).all(), "the second image of the second row"


def test_points_stand_where_they_belong() -> None:
    corner, middle, beyond = [0.9, 0.9], [0.05, -0.05], [3.0, 0.0]
    image = Thumbnail(np.array([corner, beyond]), (-1.0, 1.0), np.array([middle])).fit(10, 5).image
    found = {(int(r), int(c)): tuple(map(int, image[r, c])) for r, c in np.argwhere(image.any(axis=2))}
    assert found == {(0, 9): FAKE, (5, 5): REAL}


# --------------------------------------------------------------------------------------------------------------- a run


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    words = ["train.backend=numpy", "data.name=digits", "train.steps=2", "model.widths_d=[4, 4]"]
    return train(configs.load("classifier-mnist", words), tmp_path_factory.mktemp("watch") / "classifier")[0]


@pytest.mark.parametrize("name", TASKS)
def test_watching_changes_no_bit_and_shows_each_task(
    name: str, tmp_path: Path, classifier: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset, *words = TASKS[name]
    words += [f"task.features={classifier}"] if name == "superres" else []
    config = configs.load(preset, words)
    plain, _ = train(config, tmp_path / "plain")
    shown = watch.Watch(console(color_system="truecolor"))
    looks = _counted(shown, monkeypatch)
    watched, _ = train(config, tmp_path / "watched", reporter=shown)
    assert looks["look"].call_count == looks["_draw"].call_count == config.train.steps
    assert_same(state(plain), state(watched))
    assert timeless(plain) == timeless(watched)
    text = "\n".join(drawn(shown.board))
    last = log.read(watched)[-1]
    for label, keys in shown.parts.task.plots.items():
        for key, words_ in keys.items():
            said = f"{label}, {words_}" if name == "classifier" and "held-out" in words_ else words_
            assert re.search(rf"{re.escape(said)} +{re.escape(format(last[key], '.4g'))}  ", text), f"{said}:\n{text}"
    task, norms = shown.parts.task, shown.board.norms
    for optimizer, moved in task.optimizers.items():
        layers = [norms[key] for key, net in task.nets.items() if any(net is one for one in moved.nets)]
        norm = np.sqrt(sum((norm or 0.0) ** 2 for net in layers for norm in net.values()))
        assert norm == pytest.approx(last[f"grad_norm_{optimizer}"], rel=1e-5) and norm > 0, optimizer
        assert all(layer in text for net in layers for layer in net), text
    assert ("frozen" in text) == ("frozen" in name)
    assert "done" in text and "samples at step" in text


def _counted(shown: watch.Watch, monkeypatch: pytest.MonkeyPatch) -> dict[str, Mock]:
    made = {name: Mock(wraps=getattr(shown, name)) for name in ("look", "_draw")}
    for name, mock in made.items():
        monkeypatch.setattr(shown, name, mock)
    return made


def test_a_resumed_run_shows_its_whole_history(tmp_path: Path, eager: None) -> None:
    whole = run(tmp_path / "whole", "train.steps=20")
    cut = run(tmp_path / "cut", "train.steps=10")
    shown = watch.Watch(console())
    train(small("train.steps=20"), cut, resume=True, reporter=shown)
    assert_same(state(whole), state(cut))
    values = [line["loss_d"] for line in log.read(whole)]
    assert shown.board.curves["loss of D"].means(99).tolist() == values and len(values) == 4
    assert "step 20 of 20" in "".join(drawn(shown.board))


def test_what_takes_long_is_done_less_often() -> None:
    pace = watch.Pace(0.25, 0.02)
    pace.took(10.0, 10.001)
    assert pace.next_s == 10.25
    pace.took(10.0, 10.1)
    assert pace.next_s == pytest.approx(15.0), "0.1 s is 2 % of 5 s"


def test_looks_are_rare_in_a_run_of_quick_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 1e6, 0.01))  # each reading of the clock is a hundredth of a second after the last
    monkeypatch.setattr(watch.time, "perf_counter", lambda: float(next(clock)))
    shown = watch.Watch(console())
    mocks = _counted(shown, monkeypatch)
    shown.opened(prepare(small()), [], {})
    shown.start(0, 1000, ("", ""))
    for step in range(1, 1001):
        shown.step(step)
    shown.stop()
    seconds, looks = next(clock), {name: mock.call_count for name, mock in mocks.items()}
    assert 0.25 * seconds < looks["look"] < 2 + 0.02 * seconds / 0.01, "a look of one reading costs 2 % at most"
    assert 0.25 * seconds < looks["_draw"] < 2 + 0.01 * seconds / 0.01, looks
    assert shown.board.samples_step == 1000, "the last samples are those of the end"


def test_an_exception_leaves_a_still_board_and_the_cursor(tmp_path: Path, eager: None) -> None:
    made = console()
    trainer = Trainer(small("train.steps=9"), tmp_path / "run", False, watch.Watch(made))
    step = trainer.task.step

    def failing(batches: Any, number: int, labels: Any) -> Any:
        if number == 6:
            raise MiniganError("planted")
        return step(batches, number, labels)

    trainer.task.step = failing  # type: ignore[method-assign]
    with pytest.raises(MiniganError, match="planted"):
        trainer.run()
    out = made.file.getvalue()  # type: ignore[attr-defined]
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "step 6 of 9  stopped" in out[out.rindex("╭") :]


# ------------------------------------------------------------------------------------------------------ a command line


def test_without_a_terminal_one_line_says_so(minigan: Callable[..., Result]) -> None:
    shown = minigan("train", *TINY, "--steps", "10", "--backend", "numpy", "--watch")
    assert shown.status == 0 and shown.out.count("--watch draws on a terminal") == 1, shown.err
    assert "step 10 " in shown.out and "done: runs/digits-001" in shown.out and "╭" not in shown.out


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*words: str, **options: Any) -> Terminal:
        opened.append(Terminal(tmp_path, *words, MINIGAN_NUM_THREADS="1", **options))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_on_a_terminal_ctrl_c_saves_and_leaves_the_board(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    made = terminal("train", *TINY, "--steps", "1000000", "--watch", "--out", "run")
    made.wait_for("╰", made.wait_for("samples at step", made.wait_for("images/s")))
    text = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", made.seen[: made.seen.rindex("\n")])
    borders = [line for line in re.split(r"[\r\n]+", text) if line.startswith(("│", "╭", "╰"))]
    assert len(borders) > 10 and {len(line) for line in borders} == {100}, borders
    made.press("\x03")
    assert made.end() == 130, made.seen[-2000:]
    saved = checkpoint.load(checkpoint.resolve(tmp_path / "run"))
    assert f"step {saved.step:,} of 1,000,000  stopped" in made.seen
    assert "\x1b[38;2;" in made.seen and "▀" in made.seen, "true colours"
    tail = made.seen[made.seen.rindex("\x1b[?25h") :]
    assert "interrupted and saved" in tail and "╭" not in tail
    assert made.settings() == made.before
