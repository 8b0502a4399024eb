"""docs/backprop, docs/fast, docs/second-order.md, executed: every snippet, shown output, figure and link.

How snippets are run, pages.py says. The figures of a folder are what its figures.py writes into the folder that it is
given.
"""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Result
from pages import blocks, commands, prose, run_page, shown_in_order

DOCS = Path(__file__).resolve().parents[1] / "docs"
FOLDERS = [DOCS / name for name in ("backprop", "fast") if (DOCS / name).is_dir()]
PAGES = [DOCS / "second-order.md", *sorted(page for folder in FOLDERS for page in folder.glob("*.md"))]
SCRIPTS = sorted(folder / "figures.py" for folder in FOLDERS if (folder / "figures.py").exists())
LONGEST = 250  # lines of a page

# GitHub shows formulas with MathJax, and refuses what could define or load something, or reach outside the formula.
REFUSED = r"\\(operatorname|newcommand|renewcommand|def|let|require|href|url|label|tag|class|style|cssId|unicode)\b"


def _id(path: Path) -> str:
    return str(path.relative_to(DOCS))


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_the_snippets_run_and_print_what_is_shown(page: Path) -> None:
    run_page(page.read_text(), str(page))


CONSOLES = [(page, words, shown) for page in PAGES for words, shown in commands(page.read_text())]


@pytest.mark.parametrize(("page", "words", "shown"), CONSOLES, ids=[f"{_id(p)}: {words}" for p, words, _ in CONSOLES])
def test_the_commands_print_what_is_shown(
    minigan: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, page: Path, words: str, shown: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    result = minigan(*words.split())
    assert shown_in_order(shown, result.out + result.err) is None, f"{_id(page)}: minigan {words}"


@pytest.mark.parametrize("script", SCRIPTS, ids=_id)
def test_the_figures_are_what_their_script_writes(script: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, script, tmp_path], check=True)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {
        path.name: path.read_bytes() for ending in ("svg", "png") for path in script.parent.glob(f"*.{ending}")
    }
    assert written.keys() == committed.keys(), f"run {_id(script)} in docs"
    assert [name for name in written if written[name] != committed[name]] == [], f"run {_id(script)} again"


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_the_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", prose(page.read_text()))
    assert [link for link, _ in links if not (page.parent / link).exists()] == []
    sections = [(link, section, page.parent / link if link else page) for link, section in links if section]
    assert [f"{link}#{section}" for link, section, there in sections if section not in _sections(there)] == []


def _sections(page: Path) -> set[str]:
    """What GitHub calls the page's headings in a link."""
    headings = re.findall(r"^#+ (.*)", prose(page.read_text()), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("folder", FOLDERS, ids=_id)
def test_every_page_and_figure_is_on_the_way_through(folder: Path) -> None:
    way = (folder / "README.md").read_text()
    text = "".join(page.read_text() for page in folder.glob("*.md"))
    assert [page.name for page in folder.glob("*.md") if page.name != "README.md" and f"({page.name})" not in way] == []
    assert [svg.name for svg in folder.glob("*.svg") if f"({svg.name})" not in text] == []


@pytest.mark.parametrize("folder", FOLDERS, ids=_id)
def test_no_page_is_long(folder: Path) -> None:
    lines = {page.name: len(page.read_text().splitlines()) for page in folder.glob("*.md")}
    assert [name for name, count in lines.items() if count > LONGEST] == []


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_the_formulas_are_shown_by_github(page: Path) -> None:
    text = page.read_text()
    assert re.findall(REFUSED, text) == []
    fences = re.findall(r"^```", text, re.M)
    assert len(fences) == 2 * len(blocks(text)), "a fence is open, or indented"
    words = prose(text)
    inline = re.findall(r"\$`(.*?)`\$", words)
    assert words.count("$`") == words.count("`$") == len(inline), "a formula in a line is $`...`$, on one line"
    assert re.findall(r"[\w-]\$`.*?`\$", words) == [], (
        "GitHub shows no formula right behind a letter, a digit or a hyphen"
    )
    formulas = [*inline, *(block.text for block in blocks(text) if block.language == "math")]
    assert [formula for formula in formulas if "<" in formula] == [], "give \\lt: < begins a tag"


PAGE = """
```python
x = 2
```
```python
assert x == 2
print(x / 3)
```

prints

```text
0.666...
```
"""

# what is wrong with a page -> the change that makes it so
FAULTY = {
    "another output": lambda page: page.replace("0.666", "0.667"),
    "output that is not shown": lambda page: page.replace("```text", "```"),
    "output that is not printed": lambda page: page.replace("print(x / 3)", "x / 3"),
    "a failing assertion": lambda page: page.replace("assert x == 2", "assert x == 3"),
    "a name of no earlier block": lambda page: page.replace("x = 2\n", "\n"),
}


def test_a_page_without_fault_runs() -> None:
    run_page(PAGE, "page.md")


@pytest.mark.parametrize("fault", FAULTY)
def test_a_fault_of_a_page_is_seen(fault: str) -> None:
    faulty = FAULTY[fault](PAGE)
    assert faulty != PAGE
    with pytest.raises((AssertionError, NameError)):
        run_page(faulty, "page.md")


def test_a_raising_snippet_is_placed() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        run_page(PAGE.replace("x / 3", "x / 0"), "page.md")
    last = raised.traceback[-1]
    assert (str(last.path), last.lineno + 1) == ("page.md", 7)
