"""docs/fast names sources that are there, with their sizes; its figures are drawn to scale from what was measured."""

import importlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
from processes import PYTHON, environment

from benchmarks import fast
from minigan.study import against, measure, one_op

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "fast"
PAGES = sorted(FOLDER.glob("*.md"))
SOURCES = [*ROOT.glob("csrc/*"), *ROOT.glob("minigan/backends/**/*.py")]

# a definition of {0}, at a line's beginning or as a member: Python's, then C++'s
DEFINED = (
    r"^(?:    )?(?:(?:def|class|struct|using) {0}\b|enum \w+ \{{.*\b{0}\b"
    r"|(?!return|else|throw|new)(?:(?:constexpr|inline|static|const) )*[\w:<>]+[&*]* {0}(?:\(| = ))"
)


def links(page: Path) -> Iterator[tuple[str, Path]]:
    """(name, file) of every link whose words are code."""
    for name, target in re.findall(r"\[`([^`\]]+)`\]\(([^)#]+)\)", page.read_text()):
        yield name, (page.parent / target).resolve()


NAMED = sorted({(name, path) for page in PAGES for name, path in links(page)})


@pytest.mark.parametrize(("name", "path"), NAMED, ids=[f"{path.name}: {name}" for name, path in NAMED])
def test_what_a_page_names_is_defined_where_it_says(name: str, path: Path) -> None:
    if name == path.name:
        assert path.is_file()
    else:
        assert re.search(DEFINED.format(re.escape(name)), path.read_text(), re.M), f"{path} defines no {name}"


STATED = sorted(
    {(found, page.name) for page in PAGES for found in re.findall(r"`([A-Z_]+ = [^`]+)`", page.read_text())}
)


@pytest.mark.parametrize(("constant", "page"), STATED)
def test_a_size_that_a_page_states_is_the_sources(constant: str, page: str) -> None:
    assert any(constant in path.read_text() for path in SOURCES if path.is_file()), f"{page} says {constant}"


def test_pages_name_sources_and_state_sizes() -> None:
    assert len(NAMED) > 30 and len(STATED) > 3
    assert {page.name for page in PAGES if any(links(page))} == {page.name for page in PAGES} - {"README.md"}


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    """docs/fast/charts.py, which is no part of a package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        return importlib.import_module("charts")


def drawn(svg: Any) -> tuple[list[float], list[str]]:
    """Widths of the filled bars, and all texts, of a figure."""
    root = ElementTree.fromstring(str(svg))
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(box.attrib["width"]) for box in root.iter(f"{space}rect") if box.attrib.get("height") == "14.0"]
    return widths, [text.text or "" for text in root.iter(f"{space}text")]


def test_bars_are_to_scale_and_say_their_numbers(figures: ModuleType) -> None:
    rows = [("a", 4.0, 3.0, 5.0, ", more", "red"), ("b <c>", 1.0, 1.0, 2.0, "", "blue")]
    widths, texts = drawn(figures.bars("title", [("group", rows)], "foot", "ms"))
    assert widths[0] / widths[1] == pytest.approx(4) and widths[0] == pytest.approx(figures.BAR_PX * 4 / 5, abs=0.1)
    assert {"4 ms, more", "1 ms", "b <c>", "group", "title", "foot"} <= set(texts)


def test_measured_figures_show_every_row_of_the_newest_result(figures: ModuleType) -> None:
    result = figures.newest()
    for name, draw in figures.MEASURED.items():
        texts = " ".join(drawn(draw(result))[1])
        page = {"stride-measured": "stride-two"}.get(name, name.removesuffix("-measured"))
        works = [work for work in result["pages"].get(page, []) if name != "stride-measured"][:1]
        for row in (row for work in works for row in work["rows"]):
            assert f"{1e3 * row['median_s']:.3g} ms" in texts, name
        if not name.startswith("gpu"):
            assert result["cpu"] in texts and result["date"][:10] in texts, name


def test_what_is_drawn_is_what_is_measured(figures: ModuleType) -> None:
    result = figures.newest()
    wanted = [(page, given[:2], given[-1]) for page, given in fast.plans(result["isa"], result["threads"])]
    found = [
        (page, (work["op"], work["shape"]), sorted({row["threads"] for row in work["rows"]}))
        for page, works in result["pages"].items()
        for work in works
    ]
    assert sorted(found) == sorted(wanted)


def test_no_call_of_the_result_is_faster_than_the_roof(figures: ModuleType) -> None:
    for page, works in figures.newest()["pages"].items():
        for work in works:
            for row in work["rows"]:
                least = max(row["compute_s"], row["memory_s"])
                assert least <= row["median_s"], f"{page} {work['op']} {work['shape']}: {figures.name_of(row)}"


def test_kernels_of_a_step_are_counted() -> None:
    for package in ("numba_cuda", "greenlet"):
        pytest.importorskip(package)
    variables = environment(NUMBA_ENABLE_CUDASIM="1")
    variables["PYTHONPATH"] += f":{ROOT}"
    command = [*PYTHON, "-m", "benchmarks.fast_launches", "digits"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (count, kinds) = json.loads(done.stdout)["digits"]
    assert 40 < count < 400 and 10 < kinds < count


class FakeWorker:
    """Answers as a worker does whose calls take 1 ms, and 9 ms while another process has the core: all but `quiet`."""

    def __init__(self, quiet: int, threads: int):
        self.quiet, self.threads = quiet, threads

    def ask(self, what: str, *given: Any) -> Any:
        if what == "op":
            return {"number": 0, "seconds": 0.1, "memory_s": 0.0, "compute_s": 0.0005, "flops": 1, "done_flops": 1,
                    "bytes": 1, "backend": "numpy", "isa": "", "implementation": "", "planned": True,
                    "threads": self.threads}  # fmt: skip
        return [[1e-3, True]] * self.quiet + [[9e-3, False]] * (given[1] - self.quiet)

    def __enter__(self) -> "FakeWorker":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes all workers fake ones, with so many quiet calls in a block."""
    monkeypatch.setattr(measure, "PAUSE_S", 0)

    def fake(quiet: int) -> None:
        def started(home: Path, **variables: str) -> FakeWorker:
            return FakeWorker(quiet, int(variables.get("MINIGAN_NUM_THREADS", 0)))

        monkeypatch.setattr(against, "worker", started)

    return fake


@pytest.mark.parametrize(("quiet", "seconds", "words"), [(1, 1e-3, "*:"), (0, 9e-3, "nearly all calls of 1 of these")])
def test_calls_without_the_core_do_not_count_where_there_are_others(
    workers: Callable[[int], None], quiet: int, seconds: float, words: str
) -> None:
    workers(quiet)
    given = one_op.work("linear", "n2c3o4")
    (row,) = one_op.measured(given, [("numpy", "", ("",))], lambda: None, rounds=measure.ENOUGH_QUIET)
    assert row["median_s"] == seconds
    assert (row["calls"], row["quiet_calls"]) == (2 * measure.ENOUGH_QUIET, quiet * measure.ENOUGH_QUIET)
    assert words in list(one_op.lines(given, [row]))[-1]


def test_one_thread_and_several_take_turns(workers: Callable[[int], None]) -> None:
    workers(2)
    work = fast.work("linear", "n2c3o4", [("cpp", "", ("",))], 4, [1, 3])
    assert (work["op"], work["shape"]) == ("linear", "n2c3o4")
    assert [row["threads"] for row in work["rows"]] == [1, 3] and all("median_s" in row for row in work["rows"])


def test_one_cpu_is_kept_to_and_given_back() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system cannot be told")
    before = os.sched_getaffinity(0)
    with fast.one_cpu():
        assert os.sched_getaffinity(0) == {max(before)}
    assert os.sched_getaffinity(0) == before
