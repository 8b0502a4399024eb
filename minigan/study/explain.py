"""One op, layer, loss or penalty, explained from the code itself: what `minigan explain` prints.

Nothing here is written for one of them. The formula is its docstring, the sources are found by name (sources.py), the
terms of the example by probing (terms.py), what it costs and which ops it calls from a proxy that watches the example
run, and the proof is that of `minigan gradcheck`.
"""

import inspect
from typing import Any, NamedTuple

import numpy as np

from minigan import losses, penalties
from minigan.backends import costs, load, oracle
from minigan.backends.proxies import Timed
from minigan.errors import BackendError
from minigan.models import layers
from minigan.study import gradcheck, registry, sources, sources_cpp
from minigan.study.differences import Result
from minigan.study.example import on, output, worked
from minigan.study.registry import LAYER, LOSS, OP, PLUMBING, Named
from minigan.study.sources import Listing
from minigan.study.terms import Arrays, Entry


class Call(NamedTuple):
    """An op that the example runs, with its arrays' shapes, and what the call costs."""

    which: str  # the pass, "" outside of a net
    op: str
    shapes: str
    flops: int
    bytes: int


class Explanation(NamedTuple):
    """`own` is the oracle's source, or the layer's, the loss', the penalty's; `kernel` the backend's, of ops alone."""

    named: Named
    formula: list[str]
    own: list[Listing]
    kernel: list[Listing]
    inputs: Arrays
    entries: dict[str, list[Entry]]
    compared: str
    calls: list[Call]
    checks: list[str]


_KERNELS = {"cpp": sources_cpp.cpp, "cuda": sources.cuda}


def explain(name: str, backend: str = "cpp") -> Explanation:
    """What there is to say of `name`; `backend` is whose kernel is shown, and whose numbers are held against the
    oracle's. Raises ConfigError and BackendError on an unknown one.
    """
    named = registry.find(name)
    known = _KERNELS.get(backend)
    if known is None and backend != "numpy":
        load(backend)  # raises, and names those that there are
    formula, own = _told(named)
    kernel = known(name) if known and named.kind in (OP, PLUMBING) else []
    if named.example is None:
        return Explanation(named, formula, own, kernel, {}, {}, "", [], [])
    used = _used(named)
    entries = worked(oracle, named.example, named.outs)
    compared = "" if backend == "numpy" else _compared(named, backend)
    return Explanation(named, formula, own, kernel, used, entries, compared, _calls(named), _rows(named))


def checked(explanation: Explanation) -> list[Result]:
    """Its gradient checks, run now."""
    return [gradcheck.check_row(row) for row in explanation.checks]


def _told(named: Named) -> tuple[list[str], list[Listing]]:
    """What docstrings say of it, and its own source."""
    name, kind = named.name, named.kind
    if kind in (OP, PLUMBING):
        return [_doc(getattr(oracle, name)), sources.family(name)], sources.oracle(name)
    if kind == LAYER:
        module = getattr(layers, name).__module__
        return [_doc(getattr(layers, name))], sources.python(module, name)
    if kind == LOSS:
        module, table, works = losses, "LOSSES", type(losses.make_loss(name)).__name__
    else:
        module, table, works = penalties, "PENALTIES", "Penalty"
    own = sources.entry(module.__name__, table, name)
    formulas = [_doc(module), _doc(oracle.logit_loss if kind == LOSS else oracle.norm_loss)]
    return formulas, [*own, sources.python(module.__name__, works)[0]]


def _doc(of: Any) -> str:
    return inspect.cleandoc(of.__doc__ or "")


def _used(named: Named) -> Arrays:
    """The inputs that its outputs read."""
    assert named.example is not None
    given = on(oracle, named.example.inputs)
    for out in named.outs:
        named.example.outs[out].run(oracle, given)
    return {key: a for key, a in named.example.inputs.items() if key in given.read and key != "clock"}


def _compared(named: Named, backend: str) -> str:
    """How far a backend's numbers of the example are from the oracle's."""
    example = named.example
    assert example is not None
    try:
        ops = load(backend)
    except BackendError as e:
        return f"the example was not run on {backend}: {e}"
    off = max(
        float(np.abs(output(ops, example, out, example.inputs) - output(oracle, example, out, example.inputs)).max())
        for out in named.outs
    )
    return f"{backend} gives the same numbers" if off == 0 else f"{backend} gives these numbers within {off:.1e}"


def _calls(named: Named) -> list[Call]:
    """The ops that its outputs call, each once: what they do and move, by costs.py."""
    example = named.example
    assert example is not None
    found: dict[Any, Call] = {}
    for out in named.outs:
        timed = Timed(oracle)
        output(timed, example, out, example.inputs)
        for (_, which, op, shapes), calls in timed.calls.items():
            words = " ".join("x".join(map(str, shape)) or "()" for shape in shapes)
            cost = costs.flops(op, *calls.args), costs.bytes_moved(op, *calls.args)
            found.setdefault((which, op, words), Call(which, op, words, *cost))
    calls_ = list(found.values())
    return [call for call in calls_ if named.kind != OP or call.op in _ops(named)]


def _ops(named: Named) -> set[str]:
    assert named.example is not None
    return {named.example.outs[out].op for out in named.outs}


def _rows(named: Named) -> list[str]:
    """The rows of the gradient table that cover it."""
    assert named.example is not None
    rows = named.example.rows
    mine = (named.name,) if named.name in rows else rows
    mine += (f"tangent.{named.name}",) if named.kind == LAYER else ()
    known = {*gradcheck.ROWS, *(name.rpartition(".")[0] for name in gradcheck.ROWS)}
    return list(dict.fromkeys(row for part in mine if part in known for row in gradcheck.select(part)))


def places(op: str) -> str:
    """Where an op is: in the oracle, in C++ and in CUDA."""
    return ", ".join(f"{a.file}:{a.line}" for a in (find(op)[0] for find in (sources.oracle, *_KERNELS.values())))
