"""One command line, run in this process."""

import sys

import pytest

from minigan import cli


class Result:
    """What one command did."""

    def __init__(self, status: int, out: str, err: str):
        self.status, self.out, self.err = status, out, err


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    """`minigan WORDS`, as a shell would see it."""
    monkeypatch.setattr(sys, "argv", ["minigan", *words])
    monkeypatch.setattr(cli, "out_console", cli.Console(soft_wrap=True))
    with pytest.raises(SystemExit) as end:
        cli.main()
    captured = capsys.readouterr()
    code = end.value.code
    return Result(code if isinstance(code, int) else 0 if code is None else 1, captured.out, captured.err)
