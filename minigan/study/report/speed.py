"""Where a step's time goes, measured now on this machine: the roofline, the timeline of a step, the profile's table."""

from typing import Any

from minigan.study import profile_text
from minigan.study import trace as tracing
from minigan.study.profile import Profile, measurable, profile
from minigan.study.recording import Recording, Step
from minigan.study.report.opened import Opened

STEPS = 10  # whole, and as many taken apart


def speed(run: Opened) -> dict[str, Any] | None:
    """None where kernels run in a simulator, whose times say nothing."""
    if not measurable(run.parts.ops):
        return None
    recording = Recording(run.parts)
    recording.number = run.step
    found = profile(recording, STEPS, lambda share: None)
    return {
        "header": list(profile_text.header(found)),
        "closing": list(profile_text.closing(found)),
        "columns": profile_text.COLUMNS,
        "rows": [profile_text.cells(found, row) for row in found.rows],
        "roofline": _roofline(found),
        "timeline": _timeline(_usual(recording.steps), found),
    }


def _roofline(found: Profile) -> dict[str, Any] | None:
    """Each op by what it does per byte and how fast, and the ceilings above."""
    if not found.roofs:
        return None
    ops = [
        {
            "name": row.name,
            "intensity": row.intensity,
            "gflop_per_s": row.rate("done_flops"),
            "share": found.share(row),
            "roof": row.roof,
            "bound": row.bound,
        }
        for row in found.rows
        if row.bytes and row.done_flops and row.rate("done_flops")
    ]
    levels = [{"name": level.name, "gb_per_s": level.gb_per_s} for level in found.roofs.levels]
    return {"ops": ops, "peak": found.roofs.peak(found.facts["isa"]), "levels": levels} if ops else None


def _usual(steps: list[Step]) -> Step:
    """The one of median length, of those from which the system took no core away where there are any."""
    order = sorted([step for step in steps if step.quiet] or steps, key=lambda step: step.elapsed_s)
    return order[len(order) // 2]


def _timeline(step: Step, found: Profile) -> list[dict[str, Any]]:
    """Spans with their depth, in the order they began; each lies within the one above it."""
    spans: list[dict[str, Any]] = []
    ends: list[float] = []  # of the spans that are open
    events = tracing.trace([step], found.facts)["traceEvents"][1:]
    for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
        while ends and event["ts"] >= ends[-1] - 1e-6:
            ends.pop()
        arrays = " ".join(event["args"].get("arrays", ()))
        spans.append(
            {
                "name": event["name"],
                "pass": event["args"].get("pass", ""),
                "arrays": arrays,
                "start_us": round(event["ts"], 3),
                "elapsed_us": round(event["dur"], 3),
                "depth": len(ends),
            }
        )
        ends.append(event["ts"] + event["dur"])
    return spans
