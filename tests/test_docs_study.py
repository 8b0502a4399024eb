"""docs/study.md, executed: what its consoles show is what the commands print."""

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Result

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "study.md").read_text()
COMMANDS = [
    (line.removeprefix("$ minigan "), shown)
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.S)
    for line, *shown in (part.splitlines() for part in re.split(r"^(?=\$ )", block, flags=re.M) if part)
]


@pytest.mark.parametrize(("words", "shown"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_the_page_shows_what_is_printed(
    minigan: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, words: str, shown: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    result = minigan(*words.split())
    printed = iter((result.out + result.err).replace("┃", "│").splitlines())
    for line in shown:
        assert any(there.startswith(line.replace("┃", "│")) for there in printed), line


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.S))
def test_the_python_of_the_page_runs(code: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    wanted = re.findall(r"# (db.*)", code) or [": ok; "]
    assert all(line in out.getvalue() for line in wanted)
