"""Charts of the newest result of `python -m benchmarks.fast`: the same result gives the same bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drawing import BLUE, GREEN, GRID, LARGE, ORANGE, PURPLE, RED, SMALL, WIDE, Svg

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "benchmarks" / "results"


def newest() -> dict[str, Any]:
    """The newest result of benchmarks.fast."""
    return json.loads(max(RESULTS.glob("*-fast.json")).read_text(encoding="utf-8"))


def found(result: dict[str, Any], page: str, op: str, shape: str) -> list[dict[str, Any]]:
    """The rows that were measured for a page, of an op of these sizes."""
    return next(work["rows"] for work in result["pages"][page] if (work["op"], work["shape"]) == (op, shape))


def where(result: dict[str, Any]) -> str:
    """The line below a measurement."""
    return (
        f"{result['cpu']}, one thread, {result['date'][:10]}; minigan profile --op, medians, 20 to 80 % as whiskers. "
        "Ratios within a figure count."
    )


def name_of(row: dict[str, Any]) -> str:
    """Who computed it."""
    if row["backend"] == "numpy":
        return "numpy: the oracle"
    return " ".join(filter(None, [row["isa"], row["implementation"]]))


Bar = tuple[str, float, float, float, str, str]  # label, value, its 20th and 80th percentile, what is said, colour

LEFT_PX, BAR_PX = 210, 380  # for names and for bars; what is left of WIDE is for what is said of a bar


def bars(title: str, groups: list[tuple[str, list[Bar]]], foot: str, unit: str) -> Svg:
    """Groups of bars that begin at 0, a scale for each group."""
    height = 66 + sum(30 + 22 * len(rows) for _, rows in groups)
    svg = Svg(WIDE, height, title)
    svg.text(12, 24, title, LARGE)
    y = 40.0
    for heading, rows in groups:
        svg.text(12, y + 14, heading)
        y += 24
        scale = BAR_PX / max(high for _, _, _, high, _, _ in rows)
        for label, value, low, high, said, colour in rows:
            svg.text(LEFT_PX - 8, y + 13, label, SMALL, "end")
            svg.box(LEFT_PX, y + 2, value * scale, 14, colour, colour)
            svg.line(LEFT_PX + low * scale, y + 9, LEFT_PX + high * scale, y + 9)
            svg.text(LEFT_PX + high * scale + 8, y + 13, f"{value:.3g} {unit}{said}", SMALL)
            y += 22
        y += 6
    svg.text(12, height - 10, foot, SMALL)
    return svg


def _bar(row: dict[str, Any], colour: str, said: str = "", label: str = "") -> Bar:
    ms = [1e3 * row[key] for key in ("median_s", "p20_s", "p80_s")]
    return (label or name_of(row), *ms, said, colour)


COLOURS = {"direct": BLUE, "im2col": ORANGE, "fft": GREEN, "": PURPLE}


def _done(row: dict[str, Any]) -> str:
    """Rate and share of the roof."""
    least = max(row["compute_s"], row["memory_s"])
    return f", {row['done_flops'] / row['median_s'] / 1e9:.0f} GFLOP/s done, {least / row['median_s']:.0%} of the roof"


def _every(result: dict[str, Any], page: str, works: list[tuple[str, str, str]], title: str) -> Svg:
    groups = []
    for op, shape, words in works:
        rows = found(result, page, op, shape)
        heading = f"{words}: {rows[0]['flops'] / 1e9:.3g} GFLOP by the formula"
        groups.append((heading, [_bar(row, COLOURS[row["implementation"]], _done(row)) for row in rows]))
    return bars(title, groups, where(result), "ms")


def loops_measured(result: dict[str, Any]) -> Svg:
    """Implementations of two convolutions."""
    works = [
        ("conv2d", "n64h28w28c1k5o64s2", "1 channel: 64 x 28x28x1, kernel 5, stride 2, to 64 channels"),
        ("conv2d", "n64h14w14c64k5o128s2", "64 channels: 64 x 14x14x64, kernel 5, stride 2, to 128 channels"),
    ]
    return _every(result, "loops", works, "One convolution, by every implementation and instruction set")


def gemm_measured(result: dict[str, Any]) -> Svg:
    """The dense layer by instruction set."""
    works = [("linear", "n128c784o256", "128 x 784 times 784 x 256")]
    return _every(result, "gemm", works, "One matrix product (numpy: its BLAS)")


def stride_measured(result: dict[str, Any]) -> Svg:
    """Phases beside zeros between the pixels."""
    rows = found(result, "stride-two", "conv2d_dgrad", "n64h14w14c64k5o128s2")
    zeros = found(result, "stride-two", "conv2d", "n64h14w14c128k5o64s1")[0]
    best = [row for row in rows if row["isa"] == result["isa"]]
    drawn = [_bar(row, COLOURS[row["implementation"]], _done(row)) for row in best]
    drawn.append(_bar(zeros, RED, _done(zeros), "zeros between pixels, direct"))
    heading = "64 x 7x7x128 to 64 x 14x14x64, kernel 5, stride 2"
    return bars("A transposed convolution of stride 2", [(heading, drawn)], where(result), "ms")


def frequency_measured(result: dict[str, Any]) -> Svg:
    """The spectra of a large layer."""
    works = [("conv2d_dgrad", "n64h7w7c128k5o256s1", "64 x 7x7x256 to 64 x 7x7x128, kernel 5, stride 1")]
    return _every(result, "frequency", works, "The DCGAN's largest layer: a transposed convolution of stride 1")


def _gain(result: dict[str, Any], op: str, shape: str, label: str) -> Bar:
    rows = {row["implementation"]: row for row in found(result, "frequency", op, shape)}
    direct, fft = rows["direct"], rows["fft"]
    ratio = direct["median_s"] / fft["median_s"]
    spread = direct["p20_s"] / fft["p80_s"], direct["p80_s"] / fft["p20_s"]
    said = f": {1e3 * direct['median_s']:.3g} ms by direct, {1e3 * fft['median_s']:.3g} ms by fft"
    return label, ratio, *spread, said, GREEN if ratio > 1 else RED


def frequency_pays(result: dict[str, Any]) -> Svg:
    """How many times as fast fft is as direct, over kernels and channels."""
    groups = [
        (
            f"64 images of 14x14x64, to 64 channels, stride {s}",
            [_gain(result, "conv2d", f"n64h14w14c64k{k}o64s{s}", f"kernel {k}x{k}") for k in (1, 3, 5, 7)],
        )
        for s in (1, 2)
    ]
    channels = [_gain(result, "conv2d", f"n64h14w14c{c}k5o{c}s1", f"{c} channels to {c}") for c in (16, 32, 64, 128)]
    groups.append(("64 images of 14x14, kernel 5x5, stride 1", channels))
    title = f"How many times as fast the frequency domain is ({result['isa']})"
    return bars(title, groups, where(result), "times")


def threads_measured(result: dict[str, Any]) -> Svg:
    """One thread beside all."""
    groups = []
    for work in result["pages"]["threads"]:
        rows = sorted(work["rows"], key=lambda row: row["threads"])
        alone = rows[0]["median_s"]
        drawn = [_bar(rows[0], BLUE, label="1 thread")]
        for row in rows[1:]:
            said = f", {alone / row['median_s']:.2f} times as fast"
            drawn.append(_bar(row, ORANGE, said, f"{row['threads']} threads"))
        groups.append((f"{work['op']} {work['shape']}", drawn))
    foot = where(result).replace("one thread", f"{result['threads']} CPUs")
    return bars(f"One thread beside {result['threads']} ({result['isa']})", groups, foot, "ms")


def gpu_compiled(result: dict[str, Any]) -> Svg:
    """What the compiler says of the kernels."""
    found_ = result["gpu"]["compiled"]
    names = [name for name, rows in found_.items() if rows[0]["shared_bytes"] or name.startswith("fft")]
    columns = [20, 250, 350, 450, 550, 650]
    svg = Svg(WIDE, 78 + 22 * len(names), "Registers and shared memory of the GPU's kernels")
    svg.text(20, 24, "What the compiler gives a kernel", LARGE)
    capabilities = ["registers, {}.{}".format(*row["capability"]) for row in found_[names[0]]]
    for x, words in zip(columns, ["kernel", "threads", "shared bytes", *capabilities], strict=True):
        svg.text(x, 46, words, SMALL)
    svg.line(20, 52, WIDE - 20, 52, GRID)
    for i, name in enumerate(names):
        rows = found_[name]
        cells = [name, rows[0]["threads"], rows[0]["shared_bytes"], *(row["registers"] for row in rows)]
        for x, cell in zip(columns, cells, strict=True):
            svg.text(x, 70 + 22 * i, str(cell), SMALL)
    spilled = sum(row["spilled_bytes"] for name in names for row in found_[name])
    words = f"By compute capability; registers of a thread, of which {spilled} bytes are spilled to memory."
    svg.text(20, 72 + 22 * len(names), words, SMALL)
    return svg


def gpu_launches(result: dict[str, Any]) -> Svg:
    """Kernels of a step."""
    drawn: list[Bar] = [
        (preset, *[float(count)] * 3, f", {kinds} different ones", BLUE)
        for preset, (count, kinds) in result["gpu"]["launches"].items()
    ]
    foot = "Counted in the simulator, whose tiles are smaller and which has no cuBLAS: a GPU's counts are near these."
    return bars("Kernels that one training step launches", [("by preset", drawn)], foot, "kernels")


MEASURED: dict[str, Callable[[dict[str, Any]], Svg]] = {
    "loops-measured": loops_measured,
    "gemm-measured": gemm_measured,
    "stride-measured": stride_measured,
    "frequency-measured": frequency_measured,
    "frequency-pays": frequency_pays,
    "threads-measured": threads_measured,
    "gpu-compiled": gpu_compiled,
    "gpu-launches": gpu_launches,
}
