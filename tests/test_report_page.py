"""The report in a real browser: it loads fast and asks for nothing, shows the run's own numbers, and can be used."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from browser import Page, opened

from minigan import config as configs
from minigan.study import report, roofs
from minigan.study.report.document import page
from minigan.training import log
from minigan.training.trainer import train

STEPS = 1000
CONFIG = (
    "train.backend=numpy", "model.z=4", "model.widths_g=[16]", "model.widths_d=[16]", "train.batch_size=16",
    "model.condition=embedding", "model.label_features=4", "train.log_every=10", "train.grid_every=2",
    f"train.steps={STEPS}",
)  # fmt: skip
NAME = "a <b>run<i> & more"
VERDICT = "healthy <i>\nD(x) 0.1"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand steps of a conditional GAN, under a name that is markup."""
    return train(configs.load("digits", CONFIG), tmp_path_factory.mktemp("page") / NAME)[0]


@pytest.fixture(scope="module")
def file(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report, with a verdict."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roofs, "_EACH_S", 1e-4)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        found = report.gather(report.open_run(run), verdict=VERDICT)
    path = tmp_path_factory.mktemp("written") / "report.html"
    path.write_text(page(run.name, found), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tab(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page in a browser, which all tests here share."""
    with opened(tmp_path_factory.mktemp("profile")) as made:
        made.emulate(1280, 900, prefers_color_scheme="light")
        made.call("Performance.enable", timeDomain="threadTicks")
        made.open(file)
        made.wait("document.documentElement.dataset.ready")
        yield made


@pytest.fixture(autouse=True)
def _quiet(tab: Page) -> Iterator[None]:
    """Whatever a test does, the page reports no error and asks nobody for anything."""
    yield
    tab.ask("1")  # takes in what was said meanwhile
    assert tab.console == [], tab.console
    outside = [url for url in tab.requests if not url.startswith(("file://", "data:", "blob:"))]
    assert outside == [] and len([url for url in tab.requests if url.startswith("file://")]) == 1


def test_it_loads_within_a_second_and_a_half(tab: Page) -> None:
    """By the page's own time on the processor, which does not depend on what else the machine does."""
    spent = {m["name"]: m["value"] for m in tab.call("Performance.getMetrics")["metrics"]}
    assert 0 < spent["TaskDuration"] < 1.5, spent


def test_every_section_is_there_once_with_its_heading(tab: Page) -> None:
    found = tab.ask(
        "[...document.querySelectorAll('main > section')].map((s) => [s.id, s.querySelector('h2').textContent])"
    )
    assert [name for name, _ in found] == [
        *("verdict", "overview", "samples", "interpolation", "nearest", "curves", "layers", "network", "speed"),
        *("configuration", "reproduce"),
    ]
    links = tab.ask("[...document.querySelectorAll('nav a')].map((a) => [a.hash.slice(1), a.textContent])")
    assert links == found and tab.ask("document.querySelector('#verdict-text').textContent") == VERDICT


def test_names_are_texts(tab: Page) -> None:
    assert tab.ask("document.querySelector('h1').textContent") == f"minigan report: {NAME}"
    assert tab.ask("document.querySelector('#facts dd').textContent") == NAME
    assert tab.ask("document.querySelectorAll('main b:not([role]), main i:not(.scale i):not(.keys i)').length") == 0


# ------------------------------------------------------------------------------------------------------------- numbers


def test_plotted_numbers_are_the_logs(tab: Page, run: Path) -> None:
    lines = log.read(run)
    assert len(lines) == STEPS // 10
    groups = tab.ask("report.data.sections.log.charts")
    for k, group in enumerate(groups):
        x, *ys = tab.ask(f"report.charts['curve-{k}'].data")
        assert x == [line["step"] for line in lines]
        assert ys == [[line[one["key"]] for line in lines] for one in group["series"]], group
    keys = [one["key"] for group in groups for one in group["series"]]
    assert sorted(keys) == sorted(lines[0].keys() - {"step", "epoch", "elapsed_s"})


def test_the_map_shows_what_layers_did(tab: Page, run: Path) -> None:
    lines = log.read(run, name="layers.jsonl")
    x, *ys = tab.ask("report.charts.ratio.data")
    assert x == [line["step"] for line in lines]
    assert ys == [[line["update"][name] for line in lines] for name in lines[0]["update"]]
    for kind in ("activation", "update", "gradient"):
        tab.click(f"#kind-{kind}")
        layers = list(lines[0][kind])
        assert tab.ask("report.charts.layers.axes[1].values()") == layers
        tab.ask("document.querySelector('#chart-layers .plot').focus()")
        tab.press("Home")
        assert _told(tab, "layers").startswith(f"{layers[0]}, step 10: ")
        tab.press("ArrowRight", "ArrowDown")
        value = lines[1][kind][layers[1]]
        words, _, number = _told(tab, "layers").rpartition(" ")
        assert words.startswith(f"{layers[1]}, step 20: ") and float(number) == pytest.approx(value, rel=1e-3)
        tab.press("ArrowUp", "ArrowUp")  # above the first there is nothing
        assert _told(tab, "layers").startswith(f"{layers[0]}, step 20: ")


def _told(tab: Page, chart: str) -> str:
    return str(tab.ask(f"document.querySelector('#chart-{chart} .told').textContent"))


def test_pixels_of_the_map_are_its_colours(tab: Page) -> None:
    """The middle of the lightest and of the darkest cell of the map, read from the canvas."""
    found = tab.ask(
        """(() => {
        const values = report.data.sections.history.values.gradient, u = report.charts.layers;
        const copy = new OffscreenCanvas(u.ctx.canvas.width, u.ctx.canvas.height);
        const pen = copy.getContext("2d", {willReadFrequently: true});
        pen.drawImage(u.ctx.canvas, 0, 0);
        const all = Object.values(values).flat(), rows = Object.keys(values);
        return [Math.max(...all), Math.min(...all)].map((v) => {
          const row = rows.findIndex((name) => values[name].includes(v));
          const step = report.data.sections.history.steps[values[rows[row]].indexOf(v)];
          const [x, y] = [u.valToPos(step, "x", true), u.valToPos(row, "y", true)].map(Math.round);
          return [...pen.getImageData(x, y, 1, 1).data].slice(0, 3);
        });
        })()"""
    )
    assert found == [[253, 231, 37], [68, 1, 84]], found


def test_the_csv_is_the_log(tab: Page, run: Path, tmp_path: Path) -> None:
    tab.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    tab.click("#chart-curve-0 figcaption button")
    file = tmp_path / f"{NAME}-curve-0.csv"
    end = time.monotonic() + 30
    while not (found := [p for p in tmp_path.iterdir() if p.suffix == ".csv"]):
        assert time.monotonic() < end, "nothing was saved"
        time.sleep(0.05)
    head, *rows = found[0].read_text().splitlines()
    assert head == "step,loss_d,loss_g", file
    assert [[float(v) for v in row.split(",")] for row in rows] == [
        [line["step"], line["loss_d"], line["loss_g"]] for line in log.read(run)
    ]


# ------------------------------------------------------------------------------------------------------------ using it


def test_the_slider_steps_through_the_runs_grids(tab: Page, run: Path) -> None:
    frames = tab.ask("report.data.sections.samples.frames")
    assert len(frames) == len(list((run / "samples").glob("*.png"))) > 3
    tab.ask("document.querySelector('#samples-step').focus()")
    shown = "[document.querySelector('#samples-image').src, document.querySelector('#samples-at').textContent]"
    for keys, frame in (((), -1), (("ArrowLeft",), -2), (("Home",), 0), (("ArrowRight",), 1), (("End",), -1)):
        tab.press(*keys)
        assert tab.ask(shown) == [
            frames[frame]["src"],
            f"step {frames[frame]['step']:,}, epoch {frames[frame]['epoch']}",
        ]
    tab.wait("document.querySelector('#samples-image').naturalWidth > 0")
    items = "[...document.querySelectorAll('#samples-classes li')]"
    names = tab.ask(f"{items}.map((li) => [li.textContent, li.offsetTop])")
    assert [name for name, _ in names] == list("0123456789")
    gaps = [b - a for (_, a), (_, b) in pairwise(names)]
    height = tab.ask("document.querySelector('#samples-image').clientHeight")
    assert all(abs(gap - height / 10) < 3 for gap in gaps), (gaps, height)  # each name beside its row


def test_a_chart_is_read_and_zoomed_by_keys(tab: Page, run: Path) -> None:
    lines = log.read(run)
    tab.ask("document.querySelector('#chart-curve-0 .plot').focus()")
    tab.press("Home", "ArrowRight", "ArrowRight")
    words = _told(tab, "curve-0").split(", ")
    assert words[0].startswith(f"step {lines[2]['step']}: loss of D ") and words[1].startswith("loss of G ")
    for text, key in zip(words, ("loss_d", "loss_g"), strict=True):
        assert float(text.rsplit(" ", 1)[1]) == pytest.approx(lines[2][key], rel=1e-3)
    span = "report.charts['curve-0'].scales.x"
    tab.press("+", "+")
    zoomed = tab.wait(f"{span}.max - {span}.min < {STEPS / 3} && [{span}.min, {span}.max]")
    assert zoomed[0] <= lines[2]["step"] <= zoomed[1]
    tab.press("0")
    tab.wait(f"{span}.min === {lines[0]['step']} && {span}.max === {STEPS}")


def test_a_chart_is_zoomed_by_dragging_and_told_by_pointing(tab: Page) -> None:
    x, y = tab.place("#chart-curve-1 .u-over")
    tab.drag((x - 100, y), (x + 50, y))
    span = "report.charts['curve-1'].scales.x"
    tab.wait(f"{span}.max - {span}.min < {STEPS / 2}")
    tab.click("#chart-curve-1 figcaption button:last-of-type")
    tab.wait(f"{span}.max === {STEPS}")
    tab.mouse("mouseMoved", *tab.place("#chart-curve-1 .u-over"))
    tab.wait("!document.querySelector('#chart-curve-1 .u-legend').textContent.includes('–')")
    tab.mouse("mouseMoved", *tab.place("#chart-timeline .u-over"))
    tab.wait("document.querySelector('#chart-timeline .told').textContent.includes('µs')")


def test_the_explorer_goes_from_layer_to_layer(tab: Page) -> None:
    layers = tab.ask("report.data.sections.network.layers")
    tab.ask("document.querySelector('[role=tab]').focus()")
    for k, layer in enumerate(layers):
        chosen = tab.ask("[...document.querySelectorAll('[role=tab]')].map((t) => t.ariaSelected === 'true')")
        assert chosen == [i == k for i in range(len(layers))]
        assert tab.ask("document.activeElement.ariaSelected") == "true"
        text = tab.ask("document.querySelector('#network-panel').innerText")
        assert text.startswith(f"{layer['layer']} {layer['kind']}")
        assert f"({', '.join(map(str, layer['shape']))}), {layer['dtype']}" in text
        assert layer["formula"].splitlines()[0] in text
        kept = layer["saved_bytes"]
        words = f"{kept / 1024:#.3g} KiB" if kept >= 1024 else f"{kept} B" if kept else "–"
        assert f"saved for backward\n{words}" in text, layer
        assert text.count("pass ") >= len(layer["passes"]) and all(op["op"] in text for op in layer["ops"])
        cells = tab.ask(
            "[...document.querySelectorAll('#network-panel tbody tr')].map((r) => r.innerText.split('\\t'))"
        )
        told = {row[0]: row for row in cells}
        for a in (a for p in layer["parameters_of"] for a in p["arrays"]):
            assert float(told[a["name"]][2]) == pytest.approx(a["rms"], rel=1e-3), a
        tab.press("ArrowDown")
    assert tab.ask("document.querySelector('[role=tab]').ariaSelected") == "true"  # round to the first
    tab.click("#tab-2")
    assert tab.ask("document.querySelector('#network-panel h3').textContent").startswith(layers[2]["layer"])


def test_the_roofline_tells_each_op(tab: Page) -> None:
    ops = sorted(tab.ask("report.data.sections.speed.roofline.ops"), key=lambda op: op["intensity"])
    tab.ask("document.querySelector('#chart-roofline .plot').focus()")
    tab.press("End")
    assert _told(tab, "roofline").startswith(f"{ops[-1]['name']}: ")
    tab.press("Home")
    assert _told(tab, "roofline").startswith(f"{ops[0]['name']}: ") and "GFLOP/s" in _told(tab, "roofline")


# ---------------------------------------------------------------------------------------------------- for every reader


def test_everything_that_takes_the_focus_has_a_name(tab: Page) -> None:
    nodes = tab.call("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node.get("ignored")]

    def focusable(node: dict[str, Any]) -> bool:
        return any(p["name"] == "focusable" and p["value"]["value"] for p in node.get("properties", []))

    def name(node: dict[str, Any]) -> str:
        return str(node.get("name", {}).get("value", ""))

    nameless = [n for n in shown if focusable(n) and not name(n) and n["role"]["value"] not in ("main", "generic")]
    assert nameless == [] and len([n for n in shown if focusable(n)]) > 40
    roles = {node["role"]["value"] for node in shown}
    assert {"banner", "navigation", "main", "contentinfo", "slider", "tablist", "tab", "tabpanel"} <= roles
    assert all(name(n) for n in shown if n["role"]["value"] in ("image", "img", "slider", "tab"))


def test_tab_leads_from_the_first_link_on(tab: Page) -> None:
    tab.ask("document.activeElement.blur(), scrollTo(0, 0)")
    tab.ask("document.querySelector('.skip').focus()")
    seen = []
    for _ in range(16):
        seen.append(
            tab.ask("document.activeElement.id || document.activeElement.hash || document.activeElement.className")
        )
        tab.press("Tab")
    assert seen[:3] == ["#main", "theme", "#verdict"] and "samples-step" in seen, seen
    named = [name for name in seen if name]
    assert len(set(named)) == len(named) > 12, seen
    assert tab.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def _paper(tab: Page) -> str:
    return str(tab.ask("getComputedStyle(document.body).backgroundColor"))


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(21, 24, 28)"


@pytest.mark.parametrize(("system", "paper"), [("dark", DARK), ("light", LIGHT)])
def test_it_is_light_or_dark_as_the_reader_likes(tab: Page, system: str, paper: str) -> None:
    tab.emulate(1280, 900, prefers_color_scheme=system)
    assert _paper(tab) == paper
    for expected in (LIGHT, DARK, paper):
        tab.click("#theme")
        assert _paper(tab) == expected
    assert tab.ask("document.querySelector('#theme').textContent") == "theme: auto"


def test_on_a_phone_nothing_stands_out_to_the_side(tab: Page) -> None:
    tab.emulate(375, 700, prefers_color_scheme="light")
    try:
        tab.wait("report.charts['curve-0'].width < 375")
        assert tab.ask("document.documentElement.scrollWidth") <= 375
        assert tab.ask("Math.max(...Object.values(report.charts).map((u) => u.width))") <= 375
    finally:
        tab.emulate(1280, 900, prefers_color_scheme="light")
        tab.wait("report.charts['curve-0'].width > 375")


def test_it_is_printed_light_whole_and_on_paper_of_its_width(tab: Page) -> None:
    tab.emulate(1280, 900, prefers_color_scheme="dark")
    before = tab.ask("[document.querySelectorAll('details[open]').length, document.documentElement.dataset.theme]")
    tab.ask(
        "window.printed = null; addEventListener('beforeprint', () => setTimeout(() => 0) && (window.printed = "
        "[document.querySelectorAll('details:not([open])').length, document.documentElement.dataset.theme, "
        "Math.max(...Object.values(report.charts).map((u) => u.width))]), {once: true})"
    )
    data = tab.pdf()
    assert data.startswith(b"%PDF") and data.count(b"/Type /Page\n") > 4
    assert tab.ask("window.printed") == [0, "light", 680]
    after = "[document.querySelectorAll('details[open]').length, document.documentElement.dataset.theme]"
    assert tab.ask(after) == before and tab.ask("report.charts['curve-0'].width") != 680
    tab.emulate(1280, 900, prefers_color_scheme="light")


def test_a_single_grid_has_no_slider(tab: Page, file: Path, tmp_path: Path) -> None:
    """There is nothing to slide to."""
    frames = tab.ask("report.data.sections.samples.frames")
    shown = {}
    for count in (1, 2):
        some = {"frames": frames[:count], "of": count, "classes": []}
        few = tmp_path / f"{count}.html"
        few.write_text(page("few", {"facts": [["run", "few"]], "samples": some}), encoding="utf-8")
        tab.open(few)
        shown[count] = tab.ask("document.querySelector('#samples-slider').checkVisibility()")
    assert shown == {1: False, 2: True}
    tab.requests.clear()
    tab.open(file)


def test_a_page_of_little_has_little(tab: Page, file: Path, tmp_path: Path) -> None:
    """What is not there has no section, and is in no one's way."""
    few = tmp_path / "few.html"
    few.write_text(page("few", {"facts": [["run", "few"]]}), encoding="utf-8")
    tab.open(few)
    assert tab.ask("[...document.querySelectorAll('main > section')].map((s) => s.id)") == ["overview"]
    assert tab.ask("Object.keys(report.charts)") == []
    tab.requests.clear()
    tab.open(file)
