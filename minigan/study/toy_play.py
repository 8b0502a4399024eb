"""A GAN in the plane in a terminal, where a key makes D's part of a step, G's, or both."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from minigan.study.blocks import HalfBlocks
from minigan.study.keys import keys
from minigan.study.toy import Toy
from minigan.study.toy_picture import Drawer, raster, words
from minigan.training import pictures

WHO = {"g": "g", "d": "d", "b": "both", " ": "both"}
MOVED = {"g": "G moved", "d": "D moved", "both": "D and G moved"}
HELP = "g G's part  d D's part  b, space both  s save  q quit"
_SMALLEST, _TEXTS = 8, 3  # pixels of a half, at least; lines that are no picture


class _Screen:
    """What the terminal shows, as large as it is."""

    def __init__(self, toy: Toy, title: str, every: int):
        self.toy, self.said = toy, title
        self.help = HELP if every == 1 else f"{HELP}  ({every} steps a key)"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        side = max(_SMALLEST, min((options.max_width - 1) // 2, 2 * (console.size.height - 1 - _TEXTS)))
        frame = self.toy.frame(side)
        for text in (self.said, words(frame)):
            yield Text(text, no_wrap=True, overflow="ellipsis")
        yield HalfBlocks(raster(frame, self.toy, side))
        yield Text(self.help, "dim", no_wrap=True, overflow="ellipsis")


def play(toy: Toy, console: Console, terminal: int, title: str, every: int, named: Callable[[int], Path]) -> None:
    """Makes `every` steps a key, until q. Key s saves a picture under the name that `named` has for the step.

    Draws when no further key waits, so that a key held down never lags. Raises NotFinite; the terminal is then as it
    was before.
    """
    screen = _Screen(toy, title, every)
    with keys(terminal) as (pressed, waits), Live(screen, console=console, auto_refresh=False) as live:
        live.refresh()
        while (key := pressed()) not in ("q", ""):
            if key in WHO:
                for _ in range(every):
                    toy.step(WHO[key])
                screen.said = f"{title}: {MOVED[WHO[key]]}"
            if key == "s":
                pictures.save(Drawer(toy, title)(toy.frame()), path := named(toy.number))
                screen.said = f"{path}: saved"
            if not waits():
                live.refresh()
