"""`minigan profile`: where a training step's time goes, or how fast one op is by each of its implementations."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from minigan.errors import ConfigError

MISCOUNTED = 1  # exit status: something took less than the least time that the ceilings allow


def profile(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="[PRESET|RUN]", help="A preset, a TOML file or a run folder.")] = "",
    backend: Annotated[str, typer.Option(help="auto, numpy, cpp or cuda.")] = "",
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help="A data set's name, or its file or folder.")] = "",
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Samples per batch.", min=1)] = None,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps whole, and as many apart; 0: some seconds.")] = 0,
    cold: Annotated[bool, typer.Option("--cold", help="Flush the caches before every op.")] = False,
    trace: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the steps for ui.perfetto.dev.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page: rooflines and the table.")] = None,
    compare: Annotated[Path | None, typer.Option(metavar="FILE", help="Hold it against an earlier --json.")] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Hold it against another checkout's build, in turns.")
    ] = None,
    op: Annotated[str, typer.Option(metavar="NAME", help="One op instead of a step, with --shape.")] = "",
    shape: Annotated[str, typer.Option(metavar="SIZES", help="n64h7w7c256k5o128s1, or n128c784o256.")] = "",
    all_impl: Annotated[
        bool, typer.Option("--all-impl", help="The op by every implementation, instruction set and backend.")
    ] = False,
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key: model.z=64.")] = [],  # noqa: B006
) -> None:
    """Show where a training step's time goes, per layer and pass, against this machine's measured ceilings."""
    from minigan.study import compare as comparing
    from minigan.training.plans import check_writable

    _check(name, op, shape, all_impl, {"--compare": compare, "--against": against, "--trace": trace, "--html": html})
    files = {"trace": trace, "json": json_, "html": html}
    for kind, path in files.items():
        if path:
            check_writable(path, f"--{kind}")
    sys.path.insert(0, "")
    say = _printer(ctx.obj)
    if op:
        if _op(ctx.obj, say, op, shape, backend, all_impl, json_):
            raise typer.Exit(MISCOUNTED)
        return
    given = {"data.name": data, "train.backend": backend, "train.batch_size": batch_size}
    overrides: list[Any] = [*set_, *((k, v) for k, v in given.items() if v not in (None, ""))]
    base = comparing.read(compare) if compare else None
    miscounted = False
    if against:
        found = _against(ctx.obj, say, against, name, overrides, steps, cold, json_)
    else:
        found, miscounted = _step(ctx.obj, say, name, overrides, steps, cold, files, base)
    if miscounted:  # before any verdict, which would go by the same counts
        raise typer.Exit(MISCOUNTED)
    if comparing.regressed(found):
        raise typer.Exit(comparing.REGRESSION)


def _check(name: str, op: str, shape: str, all_impl: bool, files: dict[str, Path | None]) -> None:
    """Raises ConfigError when the words given do not go together."""
    if bool(name) == bool(op):
        raise ConfigError("give what to profile: a preset or a run folder, or else --op NAME with --shape SIZES")
    if bool(op) != bool(shape) or (all_impl and not op):
        raise ConfigError("--op, --shape and --all-impl go together: --op conv2d --shape n64h7w7c256k5o128s1")
    given = [key for key, path in files.items() if path]
    if op and given:
        raise ConfigError(f"{given[0]} is for the step of a preset or a run; leave it out with --op")
    more = [key for key in given if key != "--against"]
    if "--against" in given and more:
        raise ConfigError(f"--against measures two builds itself; leave out {more[0]}")


def _printer(console: Any) -> Callable[[Iterable[str]], None]:
    def say(lines: Iterable[str]) -> None:
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    return say


class _Percent:
    """Turns the share that is done into calls of `advance`, one for each percent."""

    def __init__(self, advance: Callable[[], None]):
        self._advance, self._shown = advance, 0

    def __call__(self, share: float) -> None:
        while self._shown < int(100 * share):
            self._shown += 1
            self._advance()


def _step(
    console: Any, say: Any, name: str, overrides: list[Any], steps: int, cold: bool, files: dict[str, Path | None],
    base: dict[str, Any] | None,
) -> tuple[list[Any], bool]:  # fmt: skip
    """Measures, prints and writes; what --compare found, and whether a row is beyond its roof."""
    from minigan.evaluate.upscale import with_features
    from minigan.progress import counting, reporter
    from minigan.study import compare as comparing
    from minigan.study import profile as profiles
    from minigan.study import profile_html, profile_text, recording
    from minigan.study import trace as tracing
    from minigan.training.atomic import atomic_text

    parts = recording.prepared(name, overrides, lambda config: with_features(config, reporter(console)))
    if (files["trace"] or base) and not profiles.measurable(parts.ops):
        raise ConfigError("kernels run in a simulator here, without times for --trace and --compare; leave them out")
    opened = recording.Recording(parts, cold)
    if base:
        comparing.check(base["facts"], profiles.facts(opened))
    with counting(console, "percent of the steps", 100) as advance:
        found = profiles.profile(opened, steps, _Percent(advance))
    changes = comparing.changes(base, profiles.to_dict(found)) if base else []
    say(profile_text.lines(found))
    if changes:
        say(["", *comparing.lines(changes)])
    content = {
        "json": lambda: json.dumps(profiles.to_dict(found), indent=1) + "\n",
        "trace": lambda: json.dumps(tracing.trace(opened.timeline(tracing.MOST_STEPS), found.facts)) + "\n",
        "html": lambda: profile_html.page(found),
    }
    for kind, path in files.items():
        if path:
            atomic_text(path, content[kind]())
            say([f"{path}: written"])
    return changes, bool(found.too_fast)


def _against(
    console: Any, say: Any, checkout: Path, name: str, overrides: list[Any], steps: int, cold: bool, out: Path | None
) -> list[Any]:
    from minigan.progress import counting
    from minigan.study import against
    from minigan.study import compare as comparing
    from minigan.training.atomic import atomic_text

    with counting(console, "percent of the steps", 100) as advance:
        theirs, ours = against.measured(checkout, name, overrides, steps, cold, _Percent(advance))
    found = comparing.changes(theirs, ours, scaled=False)
    say([f"{checkout} -> this build, {ours['facts']['steps']} steps of each, in turns", *comparing.lines(found)])
    if out:
        atomic_text(out, json.dumps({"against": theirs, "here": ours}, indent=1) + "\n")
        say([f"{out}: written"])
    return found


def _op(console: Any, say: Any, op: str, shape: str, backend: str, all_impl: bool, out: Path | None) -> bool:
    """Measures, prints and writes; whether one is beyond its roof."""
    from minigan.progress import counting
    from minigan.study import one_op
    from minigan.training.atomic import atomic_text

    work = one_op.work(op, shape)
    with counting(console, "rounds", one_op.ROUNDS) as advance:
        rows = one_op.measured(work, one_op.sides(op, backend, all_impl), advance)
    say(one_op.lines(work, rows))
    if out:
        atomic_text(out, json.dumps({"op": op, "shape": shape, "rows": rows}, indent=1) + "\n")
        say([f"{out}: written"])
    return bool(one_op.too_fast(rows))
