"""The command line. Every user's mistake ends in one line on standard error and exit status 2, nothing half-written."""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Column, Table

from minigan.commands import ALL
from minigan.commands.options import Seed
from minigan.commands.watch import reporter
from minigan.errors import MiniganError

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, help="Train small GANs without a deep-learning framework."
)
data_app = typer.Typer(invoke_without_command=True, help="Show the known data sets, or fetch one.")
app.add_typer(data_app, name="data")


class _Console(Console):
    """Wide where no terminal says how wide; once its reader is gone it says nothing more, and the work goes on."""

    def __init__(self) -> None:
        terminal = sys.stdout is not None and sys.stdout.isatty()
        super().__init__(soft_wrap=True, width=None if terminal else PIPE_COLUMNS)

    def print(self, *objects: Any, **options: Any) -> None:
        try:
            super().print(*objects, **options)
        except OSError:  # nobody reads, or the disk behind it is full
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


PIPE_COLUMNS = 140
out_console = _Console()

INTERRUPTED = 130
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder or a checkpoint file.")]
PictureData = Annotated[str, typer.Option("--data", metavar="NAME|PATH", help="Whose pictures; the run's own.")]
Pictures = Annotated[int, typer.Option("-n", metavar="N", help="How many pictures.", min=1, max=256)]
SearchSteps = Annotated[int | None, typer.Option("--steps", metavar="N", help="Steps of the search in z.", min=1)]
Restarts = Annotated[int | None, typer.Option(metavar="N", help="How many z a picture begins from.", min=1, max=100)]
Class = Annotated[str | None, typer.Option("--class", metavar="NAME|N", help="Of this class, by name or number.")]


def main() -> NoReturn:
    """`minigan` and `python -m minigan`."""
    try:
        from minigan.backends.checked import Breach
        from minigan.backends.proxies import NotFinite
    except MiniganError as e:  # a MINIGAN_PLAN that is none is refused on import
        _fail(str(e), 2)

    if sys.stdout is None:  # closed by the shell
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        status = app(sys.argv[1:] or ["--help"], prog_name="minigan", standalone_mode=False)
    except (Breach, NotFinite) as e:
        _fail(str(e), 1)
    except MiniganError as e:
        _fail(str(e), 2)
    except MemoryError as e:
        _fail(f"there is not enough memory ({e}); ask for less at a time", 2)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except Exception as e:
        if not hasattr(e, "format_message"):  # what typer raises for a mistyped option has it
            raise
        command = next((word for word in sys.argv[1:2] if word in COMMANDS), "")
        _fail(f"{e.format_message().rstrip('.')}. See {' '.join(['minigan', command, '--help']).replace('  ', ' ')}", 2)
    raise SystemExit(status if isinstance(status, int) else 0)


def _fail(text: str, status: int) -> NoReturn:
    print(f"minigan: {' '.join(text.split())}", file=sys.stderr)
    raise SystemExit(status) from None


def _say(text: str) -> None:
    out_console.print(text, markup=False, highlight=False)


def _version(asked: bool) -> None:
    if asked:
        from minigan import __version__

        print(f"minigan {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, help="Print the version.")] = False,
) -> None:
    """Train small GANs without a deep-learning framework."""
    ctx.obj = out_console


@app.command()
def train(
    preset: Annotated[str, typer.Argument(metavar="[PRESET]", help="A preset's name or a TOML file.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show shapes, memory and time; write nothing.")] = False,
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help="A data set's name, or its file or folder.")] = "",
    out: Annotated[Path | None, typer.Option(help="The run folder; a new one under runs/ by default.")] = None,
    backend: Annotated[str, typer.Option(help="auto, numpy, cpp or cuda.")] = "",
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Total epochs, resumed ones included.", min=1)] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Total steps, resumed ones included.", min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Samples per batch.", min=1)] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="A run is a function of its seed.", min=0)] = None,
    verify: Annotated[int | None, typer.Option(metavar="N", help="Check every N-th step on the oracle.", min=1)] = None,
    plan: Annotated[Path | None, typer.Option(metavar="FILE", help="Follow the plan that minigan tune wrote.")] = None,
    no_graph: Annotated[bool, typer.Option("--no-graph", help="cuda: call each step, without a CUDA graph.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show curves, gradients and samples as they come.")] = False,
    eval_every: Annotated[int | None, typer.Option(metavar="N", help="Judge every so many steps.", min=1)] = None,
    keep_best: Annotated[str, typer.Option(metavar="NAME", help="Keep the checkpoint best by this, as fid.")] = "",
    init_from: Annotated[str, typer.Option(metavar="RUN", help="Begin with what fits of a run, or of weights.")] = "",
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key: g.lr=1e-4.")] = [],  # noqa: B006
) -> None:
    """Train a GAN. Without arguments: real handwritten digits that minigan carries, in about half a minute."""
    from minigan import config as configs
    from minigan.errors import ConfigError
    from minigan.evaluate import asked
    from minigan.evaluate import upscale as upscale_
    from minigan.training import plans, preview, trainer

    sys.path.insert(0, "")  # a user's own module:function lies where the user is; sample and the rest import none
    if epochs and steps:
        raise ConfigError("--epochs and --steps are both totals; give one of them")
    given: dict[str, Any] = {
        "data.name": data,
        "train.backend": backend,
        "train.batch_size": batch_size,
        "train.seed": seed,
        "train.steps": steps,
        "train.epochs": epochs,
        "train.graph": False if no_graph else None,
        "train.init_from": init_from,
        "evaluate.every": eval_every,
        "evaluate.best": keep_best,
    }
    overrides: list[configs.Override] = [*set_, *((k, v) for k, v in given.items() if v not in (None, ""))]
    overrides += plans.read(plan) if plan else []
    if resume and init_from:
        raise ConfigError("--init-from begins a new run, and --resume goes on with one; leave one of them out")
    if resume:
        if out is None:
            raise ConfigError("--resume needs --out RUN, the run to go on with")
        recorded = trainer.recorded(out)
        config = configs.from_dict(recorded.to_dict(), str(out), overrides)
        if preset and (different := trainer.unlike(recorded, configs.load(preset, overrides))):
            raise ConfigError(f"{out} is not as {preset} says: {', '.join(different)}; leave PRESET out to go on")
    else:
        config = configs.load(preset or "digits", overrides)
        out = out or trainer.fresh_folder(Path("runs"), Path(config.preset).stem)
    if dry_run:
        _show_preview(preview.preview(config, resume))
        return
    config = upscale_.with_features(config, reporter(out_console))
    judging = asked.judging(config, reporter(out_console))
    folder, done = trainer.train(config, out, resume, reporter(out_console, watch), verify or 0, judging)
    if not done:
        _say(f"interrupted and saved; go on with: minigan train --resume --out {shlex.quote(str(folder))}")
        raise typer.Exit(INTERRUPTED)
    _say(f"done: {folder} ({', '.join(sorted(p.name for p in folder.iterdir()))})")


def _show_preview(p: Any) -> None:
    columns = ["layer", "kind", "output", "parameters", "forward, dX, dW"]
    wide = len(columns) if any(row[-1] for row in p.layers) else len(columns) - 1
    table = Table(*columns[:wide], title=p.title, title_justify="left")
    for row in p.layers:
        table.add_row(*row[:wide])
    out_console.print(table)
    for line in p.lines:
        _say(line)


@app.command()
def sample(
    run: RunPath,
    n: Annotated[int, typer.Option("-n", metavar="N", help="How many.", min=1, max=10**7)] = 64,
    seed: Seed = 0,
    label: Class = None,
    best: Annotated[bool, typer.Option("--best", help="Of the checkpoint that train --keep-best kept.")] = False,
    out: Annotated[
        Path,
        typer.Option(help="grid.png; samples.npy (uint8 images, float32 points, signals); a folder of PNGs, WAVs."),
    ] = Path("grid.png"),
) -> None:
    """Draw samples from a run: a PNG grid, an .npy array, or a folder of PNG or WAV files."""
    from minigan.training import export as export_
    from minigan.training import run as runs

    opened = runs.load(run, best=best)
    export_.samples(opened, n, seed, out, label)
    _say(f"{out}: {n} samples of step {opened.step}, drawn from {export_.WEIGHTS[opened.weights]}")


@app.command()
def interpolate(
    run: RunPath,
    out: Annotated[Path, typer.Option(help="walk.gif or walk.png.")] = Path("walk.gif"),
    seed: Seed = 0,
    label: Class = None,
    code: Annotated[int | None, typer.Option(metavar="K", help="infogan: along code K, every class.", min=0)] = None,
) -> None:
    """Walk through the space of z, or along a code: a looping GIF, or a PNG with a row per leg or class."""
    from minigan.training import export as export_
    from minigan.training import run as runs

    export_.walk(runs.load(run), seed, out, label, code)
    _say(f"{out}: a walk {'through 8 points of z' if code is None else f'along code {code}'}")


@app.command()
def inpaint(
    run: RunPath,
    mask: Annotated[str, typer.Option(help="What is missing: random:SHARE, centre, or half.")] = "random:0.5",
    data: PictureData = "",
    n: Pictures = 16,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="A PNG of three rows: pictures, damaged, restored.")] = Path("inpaint.png"),
    steps: SearchSteps = None,
    restarts: Restarts = None,
) -> None:
    """Fill in missing pixels: search the run's generator for the picture that fits the known ones."""
    from minigan.evaluate import restore
    from minigan.progress import counting
    from minigan.tasks.search import moves

    settings = restore.changed(restore.SETTINGS, steps, restarts)
    opened = restore.open_run(run, out)
    with counting(out_console, "moves of z", moves(settings, n)) as advance:
        made = restore.inpaint_data(opened, data, mask, n, settings, seed, advance)
    restore.draw(opened, made, out)
    _say(f"{out}: {n} pictures; the missing pixels' mean squared error {made.error:.4f}, mean image {made.before:.4f}")


@app.command()
def denoise(
    run: RunPath,
    noise: Annotated[float, typer.Option(help="Standard deviation of the noise; white minus black is 1.")] = 0.3,
    data: PictureData = "",
    n: Pictures = 16,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="A PNG of three rows: pictures, noisy, restored.")] = Path("denoise.png"),
    steps: SearchSteps = None,
    restarts: Restarts = None,
) -> None:
    """Take noise out of pictures: search the run's generator for the nearest picture that it can make."""
    from minigan.evaluate import restore
    from minigan.progress import counting
    from minigan.tasks.search import moves

    settings = restore.changed(restore.SETTINGS, steps, restarts)
    opened = restore.open_run(run, out)
    with counting(out_console, "moves of z", moves(settings, n)) as advance:
        made = restore.denoise_data(opened, data, noise, n, settings, seed, advance)
    restore.draw(opened, made, out)
    _say(f"{out}: {n} pictures; mean squared error {made.error:.4f}, of the noisy ones {made.before:.4f}")


@app.command()
def upscale(
    run: RunPath,
    data: PictureData = "",
    n: Pictures = 16,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="A PNG: small, bicubic, by the run, original.")] = Path("upscale.png"),
) -> None:
    """Make pictures small, and large again by a superres run, beside bicubic interpolation."""
    from minigan.evaluate import upscale as upscale_

    for line in upscale_.to_file(run, data, n, seed, out):
        _say(line)


@app.command()
def translate(
    run: RunPath,
    direction: Annotated[str, typer.Option(metavar="a-b|b-a", help="From domain A to B, or back.")] = "a-b",
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help="Other pictures than the run's own.")] = "",
    n: Annotated[int, typer.Option("-n", metavar="N", help="How many, from the first on.", min=1)] = 16,
    out: Annotated[
        Path, typer.Option(help="grid.png, with the way back; translated.npy (uint8); a folder of PNGs.")
    ] = Path("grid.png"),
) -> None:
    """Translate pictures by a cyclegan run: a PNG grid, an .npy array, or a folder of PNG files."""
    from minigan.training import run as runs
    from minigan.training import translating

    opened = runs.load(run)
    done = translating.translations(opened, direction, data, n, out)
    _say(f"{out}: {done} pictures, translated {direction} by step {opened.step}")


@app.command()
def export(
    run: RunPath,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="generator.onnx, or weights.safetensors.")],
    net: Annotated[
        str, typer.Option(metavar="NAME", help="The net, as g_ab of a cyclegan; the generator if left out.")
    ] = "",
) -> None:
    """Write a run for other programs: its generator as ONNX, or its weights in PyTorch's layouts."""
    from minigan.training import export as export_
    from minigan.training import run as runs

    _say(f"{out}: {export_.run_itself(runs.load(run), out, net)}")


@app.command()
def gradcheck(
    op: Annotated[str | None, typer.Option(help="One op, layer, loss or net only.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Every entry of every input, more shapes.")] = False,
) -> None:
    """Prove the gradients on this machine: central differences and complex steps in float64."""
    from minigan.study import gradcheck as checks

    table = Table(Column("op", no_wrap=True), "points", "worst relative error", "complex step", "kinks", "verdict")
    with out_console.status("checking") as status:
        results = checks.run(op, full, lambda r: status.update(f"checked {r.op}"))
    for r in results:
        by_complex = "" if r.worst_complex is None else f"{r.worst_complex:.1e}"
        table.add_row(r.op, str(r.points), f"{r.worst:.1e}", by_complex, str(r.kinks), r.verdict)
    out_console.print(table)
    failed = [r for r in results if not r.ok]
    for r in failed:
        _say(str(r))
    _say(f"{len(results) - len(failed)} of {len(results)} pass, bound 1e-6 (complex step 1e-10)")
    _say("kinks: points left out because an activation's corner lies between the two differences")
    if failed:
        raise typer.Exit(1)


@app.command()
def tune(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="A preset's name or a TOML file.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The plan file to write.")] = Path("plan.json"),
    data: Annotated[str, typer.Option(metavar="NAME|PATH", help="A data set's name, or its file or folder.")] = "",
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Samples per batch.", min=1)] = None,
    set_: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key: model.z=64.")] = [],  # noqa: B006
) -> None:
    """Time every implementation of a preset's convolutions on this machine, and write a plan for train --plan."""
    from minigan import config as configs
    from minigan.backends.plan import ALGORITHMS
    from minigan.progress import counting
    from minigan.study import tune as tuning
    from minigan.training import plans

    sys.path.insert(0, "")
    plans.check_writable(out)
    given: dict[str, Any] = {"data.name": data, "train.batch_size": batch_size}
    overrides: list[configs.Override] = [*set_, *((k, v) for k, v in given.items() if v not in (None, ""))]
    parts, calls = tuning.prepared(configs.load(preset, overrides))
    with counting(out_console, "rounds", tuning.ROUNDS * len(calls)) as advance:
        made, rows = tuning.tune(parts.ops, calls, advance)
    plans.write(out, made)
    table = Table("op", "image", "kernel", "stride", *(f"{name} ms" for name in ALGORITHMS), "chosen", "built-in")
    for row in rows:
        op, *sizes = row.key
        times = (f"{1000 * row.seconds[name]:.3f}" if name in row.seconds else "-" for name in ALGORITHMS)
        table.add_row(op, *("x".join(map(str, s)) for s in sizes), *times, row.chosen, row.built_in)
    out_console.print(table)
    built_in, chosen = (1000 * sum(row.seconds[getattr(row, how)] for row in rows) for how in ("built_in", "chosen"))
    _say(f"each shape once: {built_in:.2f} ms by the built-in plan, {chosen:.2f} ms by this one")
    command = shlex.join(["minigan", "train", preset, "--plan", str(out)])
    _say(f"{out}: {len(rows)} rows for {made.isa}; follow it with: {command}")


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(metavar="[PRESET]", help="Show this one whole.")] = None,
) -> None:
    """List the presets; with a name, print its whole configuration as TOML, every key with its meaning."""
    from minigan import config as configs

    if name:
        print(configs.load(name).to_toml(), end="")
        return
    table = Table(Column("preset", no_wrap=True), "data", "family or task", "z", "G", "D", "length", "time")
    for preset in configs.presets():
        c = configs.load(preset)
        length = f"{c.train.steps} steps" if c.train.steps else f"{c.train.epochs} epochs"
        kind = c.model.family if c.task.name == "gan" else c.task.name
        draws = (str(c.model.z), str(list(c.model.widths_g))) if c.task.name in ("gan", "vae") else ("", "")
        table.add_row(preset, c.data.name, kind, *draws, str(list(c.model.widths_d)), length, configs.time_of(preset))
    out_console.print(table)
    _say("time: about, on two cores where no other number stands, with the C++ backend; here: train PRESET --dry-run")


@data_app.callback()
def data(ctx: typer.Context) -> None:
    """The data sets by name: what, how many, licence, and whether they are here."""
    from minigan.data import describe

    if ctx.invoked_subcommand:
        return
    rows = describe()
    table = Table(Column("name", no_wrap=True), "what", "source and licence", "where")
    for row in rows:
        where = row.where or f"not here: minigan data fetch {row.name}"
        table.add_row(row.name, f"{row.what}, {row.size}", f"{row.source}, {row.licence}", where)
    out_console.print(table)


@data_app.command()
def fetch(name: Annotated[str, typer.Argument(metavar="mnist|fashion-mnist")]) -> None:
    """Download a data set, checked by SHA-256, into minigan's cache folder."""
    from minigan import data as sets
    from minigan.progress import downloading

    with downloading(out_console) as progress:
        path = sets.fetch(name, progress)
    _say(f"{name}: {path}")


@app.command()
def doctor() -> None:
    """Say what this installation has: versions, processor, backends and why not others, data."""
    from minigan.training import doctor as checks

    for key, value in checks.report():
        _say(f"{key:<10} {value}")


for command in ALL:
    app.command()(command)

COMMANDS = {c.callback.__name__.replace("_", "-") for c in app.registered_commands if c.callback} | {"data"}
