"""Steps taken apart as a trace that Perfetto (https://ui.perfetto.dev) and chrome://tracing open.

Complete events ("ph": "X") on one track, strictly nested:   step > data, part > layer and pass > op
Source: Chrome's "Trace Event Format".
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from minigan.backends.proxies import Event
from minigan.study.profile import role
from minigan.study.recording import Step

MOST_STEPS = 20  # the last ones: enough to look at, small enough to open


def trace(steps: list[Step], facts: dict[str, Any]) -> dict[str, Any]:
    """The file's content; times in microseconds since the first step shown began."""
    shown = steps[-MOST_STEPS:]
    zero = shown[0].start_s
    events = [_complete(event, zero) for k, step in enumerate(shown) for event in _spans(step, k)]
    named = {"ph": "M", "pid": 1, "tid": 1, "name": "thread_name", "args": {"name": f"{facts['preset']} step"}}
    return {"displayTimeUnit": "ms", "otherData": facts, "traceEvents": [named, *events]}


Span = tuple[str, float, float, dict[str, Any]]


def _spans(step: Step, number: int) -> Iterator[Span]:
    """Parents before their children."""
    yield f"step {number}", step.start_s, step.end_s, {}
    yield "data", step.start_s, step.fetched_s, {}
    for k, (start, end) in enumerate(step.parts):
        yield f"part {k}", start, end, {}
        yield from _layers([e for e in step.events if start <= e.start_s < end])
    inside = {id(e) for start, end in step.parts for e in step.events if start <= e.start_s < end}
    yield from _layers([e for e in step.events if id(e) not in inside])


def _layers(events: list[Event]) -> Iterator[Span]:
    """Calls in a row by the same layer in the same pass, below a span of their own."""
    for (where, which), group in groupby(events, key=lambda e: (e.where, e.which if e.where else "")):
        calls = list(group)
        if where:
            yield f"{where} {which}".strip(), calls[0].start_s, calls[-1].end_s, {}
        for e in calls:
            shapes = ["x".join(map(str, s)) for s in e.shapes if s is not None]
            yield e.op, e.start_s, e.end_s, {"pass": role(e), "arrays": shapes}


def _complete(span: Span, zero: float) -> dict[str, Any]:
    name, start, end, args = span
    times = {"ts": 1e6 * (start - zero), "dur": 1e6 * (end - start)}
    return {"ph": "X", "pid": 1, "tid": 1, "name": name, "cat": "minigan", **times, "args": args}
