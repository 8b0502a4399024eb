"""Pages of docs/ as what they claim: Python that runs, output that is printed, commands that say what is shown.

The ```python blocks of a page run in order, in one namespace. What such a block prints is shown by the ```text block
that comes next, where "..." stands for anything (doctest's ELLIPSIS): for digits that are rounding, for times. A block
that is followed by no ```text block prints nothing. Commands in ```console blocks print the lines that are shown, in
order; what else they print is left out. Blocks of other languages, and of none, are not run.
"""

import contextlib
import doctest
import io
import re
from itertools import pairwise
from typing import NamedTuple


class Block(NamedTuple):
    """A fenced block: its language, its text, and the number of its first line in the page."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", page, re.S | re.M)
    return [Block(m[1], m[2], page.count("\n", 0, m.start(2))) for m in found]


def prose(page: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page, flags=re.S | re.M)


def run_page(text: str, name: str) -> None:
    """Runs the page's Python. Raises what a snippet raises, with its line, and AssertionError on other output."""
    namespace: dict[str, object] = {"__name__": name}
    found = blocks(text)
    for block, following in pairwise([*found, Block("", "", 0)]):
        if block.language != "python":
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile("\n" * block.line + block.text, name, "exec"), namespace)
        wanted = following.text if following.language == "text" else ""
        same = doctest.OutputChecker().check_output(wanted, out.getvalue(), doctest.ELLIPSIS)
        assert same, f"{name}:{block.line + 1} prints\n{out.getvalue()}\nbut the page shows\n{wanted}"


def commands(page: str) -> list[tuple[str, list[str]]]:
    """(words behind `minigan`, lines shown below) of every command in the ```console blocks of a page."""
    return [
        (line.removeprefix("$ minigan "), shown)
        for block in re.findall(r"^```console\n(.*?)^```$", page, re.S | re.M)
        for line, *shown in (part.splitlines() for part in re.split(r"^(?=\$ )", block, flags=re.M) if part)
    ]


def shown_in_order(shown: list[str], printed: str) -> str | None:
    """The first line shown that begins no line printed behind the one before, None where there is none."""
    there = iter(printed.replace("┃", "│").splitlines())
    return next((line for line in shown if not any(p.startswith(line.replace("┃", "│")) for p in there)), None)
