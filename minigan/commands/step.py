"""`minigan step`: one past training step of a run, made again and shown from inside."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table

_BLOCKS = "▁▂▃▄▅▆▇█"
_NUMBERS = ("min", "mean", "max", "std", "norm")


def step(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    at: Annotated[int, typer.Option("--at", metavar="N", help="Which step, as the log counts: from 1.", min=1)],
    layer: Annotated[str, typer.Option(metavar="NAME", help="One layer, as g.3, array by array.")] = "",
    dump: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write numbers, pictures and --layer's arrays (.npy).")
    ] = None,
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help="Where the run's data lies now.")] = "",
) -> None:
    """Make a past step of a run again, bit for bit, and show what went through its layers, forward and back."""
    from minigan.errors import ConfigError, nearest
    from minigan.study import step_files
    from minigan.study.replay import Replay

    if dump:
        step_files.check(dump, run)
    sys.path.insert(0, "")  # a user's own module:function lies where the user is
    replay = Replay(run, at, [("data.name", data)] if data else [])
    names = replay.layers
    if layer and layer not in names:
        raise ConfigError(f"--layer {layer!r}: no such layer; {nearest(layer, names)}")
    for text in replay.notes:
        _say(ctx.obj, text)
    content = (_layer if layer else _overview)(ctx.obj, replay, layer)
    if dump:
        step_files.write(dump, content())
        _say(ctx.obj, f"{dump}: written")


Content = Callable[[], dict[str, Callable[[Path], None]]]  # what --dump writes


def _made(console: Any, replay: Any, see: Callable[[Any], None]) -> tuple[str, list[Any]]:
    """Makes the step, which `see` watches; what the log says to it, and what moved."""
    from minigan.progress import counting
    from minigan.study.passes import Watch

    with counting(console, "steps", replay.at - replay.start) as advance:
        replay.forward(advance)
        watch = Watch(replay.task, see)
        with watch.on():
            record = replay.step()
        advance()
    said = replay.verdict(record)
    _say(console, said)
    return said, watch.moved


def _overview(console: Any, replay: Any, _: str) -> Content:
    from minigan.study import step as study
    from minigan.study import step_files

    overview = study.Overview()
    said, moved = _made(console, replay, overview.see)
    rows = overview.rows(list(replay.layers.values()), moved)
    numbers = ("|| w ||", "|| dw ||", "update : w", "mean y", "std y", "dead %")
    table = Table("layer", "kind", "w is", *(_right(word) for word in numbers))
    for row in rows:
        norms = (_short(row.weight), _short(row.gradient), _short(row.ratio))
        dead = "" if row.dead is None else f"{100 * row.dead:.0f}"
        kind = f"{row.kind}{', frozen' if row.frozen else ''}"
        table.add_row(row.layer, kind, row.parameter, *norms, _short(row.mean), _short(row.std), dead)
    console.print(table)
    _say(console, "norms of a layer's first parameter, as the step's last update of its net found and moved it;")
    _say(console, "y in all forward passes of the step; dead: units that give one and the same number in all of them")
    odd = list(study.odd(rows))
    for line in odd or ["nothing is odd"]:
        _say(console, f"odd: {line}" if odd else line)
    facts = {**replay.facts, "said": said, "layers": [vars(row) for row in rows], "odd": odd}
    return lambda: step_files.overview(rows, facts)


def _layer(console: Any, replay: Any, name: str) -> Content:
    from minigan.errors import ConfigError
    from minigan.study import step as study
    from minigan.study import step_files

    kept: list[Any] = []
    said, moved = _made(console, replay, lambda seen: kept.append(seen) if seen.layer.name == name else None)
    if not kept:
        raise ConfigError(f"{name} takes no part in step {replay.at}; leave --layer out to see which layers do")
    words = [study.purpose(replay.parts.config.task.name, seen.during) for seen in kept]
    layer = replay.layers[name]
    _say(console, f"{name} {type(layer).__name__}: {layer.in_shape} -> {layer.out_shape}, without N")
    for text, seen in zip(words, kept, strict=True):
        _print(console, f"sub-step {seen.during.sub + 1} ({seen.during.part}): {text}", seen.arrays)
    for one in moved:
        arrays = step_files.parameters(name, one)
        if arrays:
            _print(console, f"sub-step {one.sub + 1} ({one.part}): update of {one.net}", arrays)
            for key in layer.params:
                _, _, ratio = study.norms(one, f"{name}.{key}")
                _say(console, f"|| update of {key} || : || {key} || = {ratio:.3g}")
    seen = list(zip(words, kept, strict=True))
    facts = {**replay.facts, "said": said, "layer": name}
    return lambda: step_files.of_layer(replay.net_of(name), layer, seen, moved, facts)


def _print(console: Any, title: str, arrays: dict[str, Any]) -> None:
    from minigan.study.step import numbers

    words = (_right(word) for word in (*_NUMBERS, "zeros %"))
    table = Table("array", "shape", *words, Column("histogram", no_wrap=True), title=title, title_justify="left")
    for key, a in arrays.items():
        n = numbers(a)
        cells = (_short(getattr(n, word)) for word in _NUMBERS)
        bad = f"  {n.bad} not finite" if n.bad else ""
        table.add_row(key, str(n.shape), *cells, f"{100 * n.zeros:.1f}", _bars(n.counts) + bad)
    console.print(table)


def _bars(counts: tuple[int, ...]) -> str:
    """A block for each bin, its height by the root of its count, so that tails are seen; a blank where none fell."""
    most = max(counts) or 1
    heights = (round((count / most) ** 0.5 * (len(_BLOCKS) - 1)) for count in counts)
    return "".join(_BLOCKS[h] if count else " " for h, count in zip(heights, counts, strict=True))


def _say(console: Any, text: str) -> None:
    console.print(text, markup=False, highlight=False)


def _right(word: str) -> Column:
    return Column(word, justify="right", no_wrap=True)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
