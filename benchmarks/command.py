"""What the commands share: their options, the progress bar, the result file, errors in one line."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import table
from benchmarks.processes import Failed, Worker
from minigan.errors import MiniganError
from minigan.training import environment

RESULTS = Path(__file__).parent / "results"

Backend = Annotated[str, typer.Option(metavar="NAME", help="minigan's backend: auto, numpy, cpp.")]
Rounds = Annotated[int, typer.Option(metavar="N", help="Rounds; each runs a block of every side.", min=1)]
Threads = Annotated[int, typer.Option(metavar="N", help="Threads of every side; 0: the CPUs we may run on.", min=0)]
TorchPython = Annotated[str, typer.Option(metavar="PATH", help="The Python that has PyTorch, when it is another one.")]
Only = Annotated[str, typer.Option(metavar="TEXT", help="Only rows whose name holds TEXT.")]
Out = Annotated[Path | None, typer.Option(metavar="FILE", help="Result; else benchmarks/results/DATE-CPU-NAME.json.")]


def main(command: Callable[..., None]) -> NoReturn:
    """Runs a command. A user's mistake ends in one line on standard error and exit status 2."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app(standalone_mode=False)
    except MiniganError as e:
        _fail(str(e), 2)
    except OSError as e:
        _fail(f"{e.filename}: {e.strerror}", 2)
    except KeyboardInterrupt:
        _fail("interrupted", 130)
    except Exception as e:
        if not hasattr(e, "format_message"):  # what typer raises for a mistyped option has it
            raise
        _fail(e.format_message(), 2)
    raise SystemExit(0)


def _fail(text: str, status: int) -> NoReturn:
    print(f"benchmarks: {' '.join(text.split())}", file=sys.stderr)
    raise SystemExit(status) from None


def note(text: str) -> None:
    """A line on standard error, beside the bar."""
    print(text, file=sys.stderr)


def check(rows: list[Any], only: str) -> None:
    """Raises MiniganError when --only left no row."""
    if not rows:
        raise MiniganError(f"no row's name holds {only!r}; leave --only out to see all names")


def pytorch(side: str, settings: dict[str, Any], python: str) -> dict[str, Any] | None:
    """PyTorch's versions, or None and a note when there is no PyTorch to compare with."""
    try:
        with Worker(side, settings, python) as worker:
            return worker.ask("about")
    except Failed as e:
        note(f"without PyTorch: {e}; pip install '.[bench]', or give --torch-python")
        return None


@contextmanager
def bar(total: int) -> Iterator[Callable[..., None]]:
    """A callback (description=..., advance=...) that moves the bar."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda **what: progress.update(task, **what)


def threads_or_all(threads: int) -> int:
    """`threads`, and for 0 as many as the CPUs this process may use."""
    return threads or environment.threads()


def machine(what: str, threads: int, **repeats: int) -> dict[str, Any]:
    """What a result begins with, taken before anything runs. `repeats` says how often: rounds=N or seeds=N."""
    return {
        "what": what,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": environment.cpu(),
        "threads": threads,
        "load_average_before": list(os.getloadavg()),
        **repeats,
        "variables": {k: v for k, v in sorted(os.environ.items()) if k.startswith("MINIGAN_")},
    }


def write(result: dict[str, Any], out: Path | None) -> None:
    """Writes the result."""
    if out is None:
        cpu = re.sub(r"[^a-z0-9]+", "-", result["cpu"].lower()).strip("-")
        out = RESULTS / f"{result['date'][:10]}-{cpu}-{result['what'].replace(' ', '-')}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    note(f"written: {out}")


def finish(result: dict[str, Any], out: Path | None) -> None:
    """Writes the result and prints its table."""
    print(table.text(result))
    write(result, out)
