"""A profile as one static page: how it was measured, the rooflines with every op on them, the table. No script."""

import io
import re
from html import escape

from minigan.study import profile_text
from minigan.study.profile import Profile, Row

_STYLE = """
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif }
body { max-width: 110rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .1rem .6rem; text-align: right; white-space: nowrap }
th:nth-child(-n+5), td:nth-child(-n+5) { text-align: left }
tr:nth-child(even) { background: #8881 }
td.share { background: linear-gradient(to right, #49f6 var(--share), transparent var(--share)) }
.wide { overflow-x: auto } svg { max-width: 100%; height: auto; background: white }
"""


def page(given: Profile) -> str:
    """The whole file."""
    title = f"profile of {given.facts['preset']}, batch {given.facts['batch']}"
    closing = [f"<li>{escape(text)}</li>" for text in profile_text.closing(given)]
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width">',
            f"<style>{_STYLE}</style><h1>{escape(title)}</h1>",
            *(f"<div>{escape(line)}</div>" for line in profile_text.header(given)),
            f"<ul>{''.join(closing)}</ul>",
            _roofline(given) if given.roofs else "",
            f'<div class="wide"><table><tr>{"".join(f"<th>{escape(c)}</th>" for c in profile_text.COLUMNS)}</tr>',
            *(_row(given, row) for row in given.rows),
            "</table></div></html>",
        ]
    )


def _row(given: Profile, row: Row) -> str:
    cells = profile_text.cells(given, row)
    share = profile_text.COLUMNS.index("share")
    bar = f' class="share" style="--share: {cells[share].replace(" ", "")}"' if cells[share] else ""
    tds = [f"<td{bar if i == share else ''}>{escape(cell)}</td>" for i, cell in enumerate(cells)]
    return f"<tr>{''.join(tds)}</tr>"


def _roofline(given: Profile) -> str:
    """Rates over intensity: the roofs as lines, each op as a disc as large as its share of the step."""
    import matplotlib.pyplot as plt
    import numpy as np

    assert given.roofs
    rows = [row for row in given.rows if row.bytes and row.done_flops and row.rate("done_flops")]
    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    intensity = np.geomspace(0.02, 500, 100)
    peak = given.roofs.peak(given.facts["isa"])
    for level in given.roofs.levels:
        axes.loglog(intensity, np.minimum(peak, intensity * level.gb_per_s), label=level.name, linewidth=1)
    x, y = ([getter(row) for row in rows] for getter in (lambda r: r.intensity, lambda r: r.rate("done_flops")))
    axes.scatter(x, y, s=[15 + 2000 * given.share(row) for row in rows], alpha=0.5, color="black", linewidth=0)
    for row in sorted(rows, key=given.share, reverse=True)[:6]:
        axes.annotate(row.name, (row.intensity or 0, row.rate("done_flops") or 0), fontsize=7)
    axes.set(xlabel="operations per byte", ylabel="GFLOP/s", title="Rooflines, and every op of the step")
    axes.legend(fontsize=8)
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    plt.close(figure)
    return re.sub(r"^.*?(?=<svg)", "", out.getvalue(), flags=re.DOTALL)
