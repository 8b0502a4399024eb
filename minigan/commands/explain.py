"""`minigan explain`: an op, layer, loss or penalty, from its formula to its proof."""

from typing import Annotated, Any

import typer
from rich.syntax import Syntax
from rich.table import Column, Table
from rich.text import Text

SIDE_BY_SIDE = 180  # columns of a terminal in which two listings of 88 stand beside each other


def explain(
    ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[OP|LAYER|LOSS|PENALTY]", help="Which; without it, what there is.")
    ] = None,
    backend: Annotated[
        str, typer.Option(metavar="numpy|cpp|cuda", help="Whose kernel is shown beside the oracle, and run.")
    ] = "cpp",
) -> None:
    """Explain an op, layer, loss or penalty: formula, sources, an example term by term, costs, mistakes, proof."""
    from minigan.study import explain as study

    console = ctx.obj
    if name is None:
        _list(console)
        return
    with console.status("working out the terms"):
        said = study.explain(name, backend)
    _title(console, f"{said.named.kind} {said.named.name}")
    for text in said.formula:
        _say(console, f"{text}\n")
    _sources(console, said, backend)
    if said.entries:
        _example(console, said)
        _costs(console, said)
    _title(console, "usual mistakes")
    for mistake in said.named.mistakes:
        _say(console, f"- {mistake}")
    _title(console, "gradient check")
    with console.status("checking"):
        results = study.checked(said)
    for result in results:
        by_complex = "" if result.worst_complex is None else f", by the complex step {result.worst_complex:.1e}"
        _say(console, f"{result.op}: {result.verdict}; {result.points} points, worst {result.worst:.1e}{by_complex}")
    if not results:
        _say(console, "none: it has no backward pass of its own")
    if not all(results):
        raise typer.Exit(1)


def _list(console: Any) -> None:
    from minigan.study.registry import names

    for kind, known in names().items():
        _title(console, kind)
        console.print("  ".join(known), markup=False, highlight=False, soft_wrap=False)
    _say(console, "\nfor one of them: minigan explain NAME")


def _say(console: Any, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _title(console: Any, text: str) -> None:
    console.print(Text(f"\n{text}", style="bold"), soft_wrap=True)


def _sources(console: Any, said: Any, backend: str) -> None:
    from minigan.study.explain import places

    if said.kernel and console.width >= SIDE_BY_SIDE:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=1)
        table.add_column(ratio=1)
        listed = [_listings(listings) for listings in (said.own, said.kernel)]
        for row in range(max(map(len, listed))):
            table.add_row(*(column[row] if row < len(column) else "" for column in listed))
        console.print(table)
        return
    for listings in (said.own, said.kernel):
        for at, text, language in _texts(listings):
            _title(console, at)
            if console.is_terminal and language:
                console.print(Syntax(text, language, background_color="default", word_wrap=True))
            else:
                _say(console, text)
    ops = dict.fromkeys(call.op for call in said.calls) if not said.kernel and backend != "numpy" else ()
    if ops:
        _title(console, "the kernels of its ops, in the oracle, C++ and CUDA")
    for op in ops:
        _say(console, f"{op}: {places(op)}; see minigan explain {op}")


def _texts(listings: Any) -> list[tuple[str, str, str]]:
    """(where, text, language) of what is shown, and last the places of what is not."""
    from minigan.study.sources import shortened

    shown, left = shortened(listings)
    texts = [(a.at, a.text, "python" if a.file.endswith(".py") else "cpp") for a in shown]
    return texts + ([("and further on", ", ".join(a.at for a in left), "")] if left else [])


def _listings(listings: Any) -> list[Any]:
    return [
        Syntax(f"{'#' if language == 'python' else '//'} {at}\n{text}", language or "text", word_wrap=True)
        for at, text, language in _texts(listings)
    ]


def _example(console: Any, said: Any) -> None:
    _title(console, "example")
    for key, a in said.inputs.items():
        whole = a.astype(int) if (a == a.astype(int)).all() else a
        _say(console, f"{key} {a.shape} = {whole.tolist()}")
    for entries in said.entries.values():
        _say(console, "\n" + "\n".join(map(str, entries)))
    if said.compared:
        _say(console, f"\n{said.compared}")


def _costs(console: Any, said: Any) -> None:
    _title(console, "cost of the example, by minigan/backends/costs.py")
    right = [Column(words, justify="right") for words in ("FLOP", "bytes", "FLOP/byte")]
    table = Table(Column("op", no_wrap=True), "arrays", "pass", *right)
    for call in said.calls:
        per_byte = f"{call.flops / call.bytes:.2f}" if call.bytes else "-"
        table.add_row(call.op, call.shapes, call.which, f"{call.flops:,}", f"{call.bytes:,}", per_byte)
    console.print(table if said.calls else "nothing: it calls no op")
