"""Whom `minigan train` tells how it goes, with and without `--watch`."""

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from minigan import progress
    from minigan.study.watch import Watch


def reporter(console: Console, watch: bool = False) -> "progress.Bar | progress.Lines | Watch":
    """The board where it is asked for and can be drawn, else the bar on a terminal and lines elsewhere."""
    from minigan import progress

    usual = progress.reporter(console)
    if not watch:
        return usual
    if not console.is_terminal or console.is_dumb_terminal:
        usual.note("--watch draws on a terminal, and this is none that it can draw on; the usual lines instead")
        return usual
    from minigan.study.watch import Watch

    return Watch(console)
