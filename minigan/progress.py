"""How a run shows itself: a progress bar on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_PLAIN_LINES = 20  # about as many lines a run, so that a log file stays readable


def describe(line: dict[str, Any], words: str) -> str:
    """A log line in a task's words."""
    steep = f"  |grad D| {line['critic_grad_norm']:.3f}" if "critic_grad_norm" in line else ""
    said = words.format(**line)
    return f"step {line['step']}  epoch {line['epoch']:g}  {said}{steep}  {line['images_per_s']:.0f} images/s"


class Bar:
    """rich's bar; the newest log line stands beside it."""

    def __init__(self, console: Console):
        self.console = console
        self.progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TimeRemainingColumn(compact=True),
            TextColumn("left  {task.description}"),
            console=console,
            expand=True,
        )
        self.task: Any = None
        self.words = ""

    def opened(self, parts: Any, lines: Sequence[dict[str, Any]], plots: dict[str, dict[str, str]]) -> None: ...

    def start(self, first: int, total: int, words: tuple[str, str]) -> None:
        self.words = words[1]
        self.task = self.progress.add_task("", total=total, completed=first)
        self.progress.start()

    def step(self, step: int) -> None:
        self.progress.update(self.task, completed=step)

    def line(self, line: dict[str, Any]) -> None:
        self.progress.update(self.task, description=f"{self.words}  {{images_per_s:.0f}} images/s".format(**line))

    def note(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def stop(self) -> None:
        self.progress.stop()


class Lines:
    """Plain lines: about twenty a run."""

    def __init__(self, console: Console):
        self.console = console
        self.every, self.shown, self.words = 1, -1, ""

    def opened(self, parts: Any, lines: Sequence[dict[str, Any]], plots: dict[str, dict[str, str]]) -> None: ...

    def start(self, first: int, total: int, words: tuple[str, str]) -> None:
        self.words = words[0]
        self.every = max(1, (total - first) // _PLAIN_LINES)
        self.shown = first // self.every

    def step(self, step: int) -> None: ...

    def line(self, line: dict[str, Any]) -> None:
        if line["step"] // self.every > self.shown:
            self.shown = line["step"] // self.every
            self.note(describe(line, self.words))

    def note(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def stop(self) -> None: ...


def reporter(console: Console) -> Bar | Lines:
    """The bar on a terminal, else lines."""
    return Bar(console) if console.is_terminal else Lines(console)


@contextmanager
def counting(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A callback that counts one more of `total`, shown as a bar on a terminal and not at all elsewhere."""
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), BarColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def downloading(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A callback (file, bytes so far, bytes in all) that shows downloads."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done)

        yield show
