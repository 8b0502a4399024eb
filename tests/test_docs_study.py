"""docs/study.md, executed: what its consoles show is what the commands print."""

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Result
from pages import commands, shown_in_order

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "study.md").read_text()
COMMANDS = commands(PAGE)


@pytest.mark.parametrize(("words", "shown"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_the_page_shows_what_is_printed(
    minigan: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, words: str, shown: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    result = minigan(*words.split())
    assert shown_in_order(shown, result.out + result.err) is None


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.S))
def test_the_python_of_the_page_runs(code: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    wanted = re.findall(r"# (db.*)", code) or [": ok; "]
    assert all(line in out.getvalue() for line in wanted)
