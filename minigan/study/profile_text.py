"""A profile in words and columns: how it was measured, the table, and the three places worth work."""

from collections.abc import Iterator

from minigan.study.profile import DATA, HOST, PYTHON, UNACCOUNTED, WORDS, Profile, Row
from minigan.study.roofs import Roofs

COLUMNS = (
    "layer", "pass", "op", "arrays", "by", "calls", "ms", "20-80 %", "share", "GFLOP", "done", "GFLOP/s", "GB/s",
    "FLOP/B", "roof", "bound", "kept KiB",
)  # fmt: skip
_LEFT = 5  # so many columns of words
_MOST_UNACCOUNTED = 0.03
_LOUD = ", more than 3 %: the machine was not quiet; measure again, or more --steps"
_QUEUED = ": taken apart, every op is launched and waited for by itself; whole, it is queued or a graph"
PLACES = 3


def lines(given: Profile) -> Iterator[str]:
    """All that `minigan profile` prints."""
    yield from header(given)
    yield ""
    yield from table(given)
    yield ""
    yield from closing(given)


def header(given: Profile) -> Iterator[str]:
    """How it was measured: machine, versions, timer, caches, ceilings."""
    f = given.facts
    yield f"one step of {f['preset']} (task {f['task']}), data {f['data']}, batch {f['batch']}"
    yield f"{f['device']}, {f['threads']} thread{'s' if f['threads'] != 1 else ''}; {f['note']}"
    made = ", ".join(filter(None, [f["isa"], f["build"]]))
    yield f"minigan {f['minigan']}{f' ({made})' if made else ''}, Python {f['python']}, NumPy {f['numpy']}"
    if given.step is None:
        yield "kernels run in a simulator here, whose times say nothing of a GPU's: none are shown"
        return
    caches = "cold: flushed before every op" if f["cold"] else "as the step leaves them"
    yield f"timer {f['timer']}; caches {caches}; {f['steps']} steps whole and as many taken apart, in turns"
    if f.get("shares", 1) > 1:
        yield f"of each step taken apart one in {f['shares']} of its ops is timed, since timing them all would slow it"
    if min(f["used_whole"], f["used_apart"]) < f["steps"]:
        yield f"of these {f['used_whole']} and {f['used_apart']} count: in the others another process took the core"
    if f["other_steps"]:
        yield f"left out: {f['other_steps']} steps of another kind than most (a lazy penalty's, for one)"
    if given.roofs:
        yield from ceilings(given.roofs)


def ceilings(found: Roofs) -> Iterator[str]:
    """The measured ceilings in a line or two."""
    peaks = ", ".join(f"{name} {peak:.0f}" for name, peak in found.peaks.items())
    yield f"ceilings, measured {found.date}: GFLOP/s {peaks}"
    levels = (
        f"{x.name}{f' {_size(x.bytes)}' if x.bytes else ''} {x.copy_gb_per_s:.0f}, "
        f"{x.read_gb_per_s:.0f}, {x.update_gb_per_s:.0f}"
        for x in found.levels
    )
    yield f"GB/s copied, read alone, updated in place: {'; '.join(levels)}"


def table(given: Profile) -> Iterator[str]:
    """The rows in columns, then their sum."""
    body = [COLUMNS, *(cells(given, row) for row in given.rows)]
    if given.step:
        step = given.step
        total = ["step", "", "", "", "", "", *_times(step.median_s, step.p20_s, step.p80_s), "100.0 %"]
        body.append((*total, *[""] * (len(COLUMNS) - len(total))))
    shown = [i for i in range(len(COLUMNS)) if any(row[i] for row in body[1:])]
    widths = {i: max(len(row[i]) for row in body) for i in shown}
    for row in body:
        yield "  ".join(row[i].ljust(widths[i]) if i < _LEFT else row[i].rjust(widths[i]) for i in shown).rstrip()


def cells(given: Profile, row: Row) -> tuple[str, ...]:
    """A row's text for each of COLUMNS."""
    words = (row.layer, row.which, row.op or WORDS.get(row.layer, ""), shapes(row), row.by, str(row.calls or ""))
    costs = (_giga(row.flops), _giga(row.done_flops))
    rates = (_number(row.rate("done_flops")), _number(row.rate("bytes")), _number(row.intensity))
    kept = f"{row.saved_bytes / 1024:.0f}" if row.saved_bytes else ""
    if row.median_s is None:
        return (*words, "", "", "", *costs, "", "", _number(row.intensity), "", "", kept)
    roof = "" if row.roof is None else f"{100 * row.roof:.0f} %"
    spread = _times(row.median_s, row.p20_s or 0.0, row.p80_s or 0.0)
    return (*words, *spread, f"{100 * given.share(row):.1f} %", *costs, *rates, roof, row.bound, kept)


def _times(median_s: float, p20_s: float, p80_s: float) -> tuple[str, str]:
    return f"{1e3 * median_s:.3f}", f"{1e3 * p20_s:.3f}-{1e3 * p80_s:.3f}" if p20_s != p80_s else ""


def shapes(row: Row) -> str:
    """The arrays' shapes, as 64x7x7x256 5x5x128x256."""
    return " ".join("x".join(map(str, s)) or "1" for s in row.shapes)


def _giga(count: int) -> str:
    return "" if not count else f"{count / 1e9:.3f}" if count >= 500_000 else f"{count / 1e9:.0e}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def closing(given: Profile) -> Iterator[str]:
    """What to make of it: errors of counting, what is not accounted for, and the three places worth work."""
    if given.step is None:
        return
    for row in given.too_fast:
        assert row.roof and row.median_s
        yield (
            f"error of counting: {row.name} reaches {100 * row.roof:.0f} % of its {row.bound} roof; its costs, or the "
            "ceilings, are wrong"
        )
    left = next(row for row in given.rows if row.layer == UNACCOUNTED)
    share = given.share(left)
    why = _QUEUED if given.facts["backend"] == "cuda" else "" if abs(share) < _MOST_UNACCOUNTED else _LOUD
    yield f"unaccounted: {100 * share:.1f} % of the step{why}"
    if not given.facts["cold"]:
        shares = given.facts.get("shares", 1)
        timed = "every op" if shares == 1 else f"one op in {shares}"
        yield f"timing {timed} made the step {100 * given.overhead:+.1f} % longer"
    for number, text in enumerate(worth_work(given), 1):
        yield f"{number}. {text}"


def worth_work(given: Profile) -> list[str]:
    """The three places where most time could be won, each in words."""
    assert given.step
    ops: dict[tuple[str, str], list[Row]] = {}
    found: list[tuple[float, str]] = []
    for row in given.rows:
        if row.median_s is None or row.layer == UNACCOUNTED:
            continue
        if row.layer in _ADVICE:
            ms, share = 1e3 * row.median_s, 100 * given.share(row)
            found.append((row.median_s, f"{row.layer}: {ms:.2f} ms, {share:.0f} % of the step. {_ADVICE[row.layer]}"))
        else:
            ops.setdefault((row.layer, row.which), []).append(row)
    for rows in ops.values():
        gain = sum(max(0.0, (row.median_s or 0.0) - row.least_s) for row in rows)
        found.append((gain, _said(given, rows, gain)))
    return [text for _, text in sorted(found, key=lambda pair: -pair[0])[:PLACES]]


_ADVICE = {
    DATA: "Training reads ahead in a thread, which hides it while another core is free; else smaller files would help.",
    HOST: "Random draws and the clock on the host: a smaller z or larger batch makes it a smaller part.",
    PYTHON: "The interpreter between the ops: a larger batch spreads it over more samples, fewer layers shorten it.",
}


def _said(given: Profile, rows: list[Row], gain: float) -> str:
    """One layer's pass in words: its slowest op, how near its roof, what is to be won."""
    main = max(rows, key=lambda row: row.median_s or 0.0)
    spent = sum(row.median_s or 0.0 for row in rows)
    roof = f"at {100 * main.roof:.0f} % of its {main.bound} roof" if main.roof else "without a roof"
    small = main.median_s and main.calls and main.median_s / main.calls < 2e-5
    how = (
        "a call's fixed cost, not its work, is what it takes"
        if small
        else "wider tiles or another implementation (minigan tune) could win the rest"
        if main.bound == "compute"
        else "moving fewer bytes (a fused op, a smaller array) is what would help"
    )
    share = 100 * sum(given.share(row) for row in rows)
    return (
        f"{main.layer} {main.which}: {1e3 * spent:.2f} ms, {share:.0f} % of the step, most of it {main.op} by "
        f"{main.by}, {roof}; at the roof it would take {1e3 * gain:.2f} ms less: {how}"
    )
