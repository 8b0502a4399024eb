"""`minigan toy`: a GAN on points in the plane, filmed, or stepped by key."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minigan.errors import ConfigError

if TYPE_CHECKING:
    from PIL.Image import Image

STEPS, EVERY = 2000, 40
MOST_FRAMES = 500


def toy(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="PRESET|RUN", help="A GAN on 2-D points, or a run of one.")],
    steps: Annotated[int | None, typer.Option(metavar="N", help=f"Steps to film, {STEPS} by default.", min=1)] = None,
    every: Annotated[
        int | None, typer.Option(metavar="K", help=f"Steps per frame, {EVERY}; with --keys per key, 1.", min=1)
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="Step D, G or both by key, in the terminal.")] = False,
    out: Annotated[Path, typer.Option(help="A .gif, or a folder of PNGs; --keys names its pictures after it.")] = Path(
        "toy.gif"
    ),
    set_: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key: data.name=moons.")
    ] = [],  # noqa: B006
) -> None:
    """Film a GAN on points in the plane: D's field, the gradients that G gets, how G bends z; or step it by key."""
    from minigan.study import toy as toys

    console = ctx.obj
    if keys and steps:
        raise ConfigError("--steps is for a film, and with --keys you make the steps; leave one of them out")
    _check(console, steps or STEPS, every or EVERY, keys, out)
    sys.path.insert(0, "")
    title = Path(name).stem
    opened = toys.opened(name, [*set_])
    if keys:
        from minigan.study.toy_play import play

        play(opened, console, sys.stdin.fileno(), title, every or 1, lambda k: out.with_name(f"{out.stem}-{k:06d}.png"))
        return
    written = _film(console, opened, title, steps or STEPS, every or EVERY, out)
    console.print(f"{out}: {written} frames, to step {opened.number}", markup=False, highlight=False)


def _check(console: Any, steps: int, every: int, keys: bool, out: Path) -> None:
    """Raises ConfigError or CheckpointError on what cannot be done, before anything is."""
    from minigan.training.export import check_folder
    from minigan.training.plans import check_writable

    if keys and not (console.is_terminal and not console.is_dumb_terminal and sys.stdin.isatty()):
        raise ConfigError("--keys needs a terminal to draw on and to read keys from; without it a film is written")
    if out.suffix.lower() not in _WRITERS:
        raise ConfigError(f"--out {str(out)!r}: give a .gif, or a folder without a suffix")
    if not keys and (frames := -(-steps // every) + 1) > MOST_FRAMES:
        raise ConfigError(f"{frames} frames are more than {MOST_FRAMES}; give a larger --every or fewer --steps")
    if out.suffix:
        check_writable(out)
    elif not keys:
        check_folder(out)


def _film(console: Any, opened: Any, title: str, steps: int, every: int, out: Path) -> int:
    from minigan.progress import counting
    from minigan.study.toy import film
    from minigan.study.toy_picture import Drawer

    drawer = Drawer(opened, title)
    with counting(console, "steps", steps) as advance:
        return _WRITERS[out.suffix.lower()]((drawer(frame) for frame in film(opened, steps, every, advance)), out)


def _gif(frames: "Iterator[Image]", out: Path) -> int:
    from minigan.training import pictures

    kept = [pictures.few_colours(frame) for frame in frames]
    pictures.save_film(kept, out)
    return len(kept)


def _folder(frames: "Iterator[Image]", out: Path) -> int:
    from minigan.training import pictures
    from minigan.training.atomic import reported

    with reported("created", out):
        out.mkdir(parents=True, exist_ok=True)
    n = 0
    for n, frame in enumerate(frames, 1):
        pictures.save(frame, out / f"{n - 1:05d}.png")
    return n


_WRITERS: "dict[str, Callable[[Iterator[Image], Path], int]]" = {".gif": _gif, "": _folder}
