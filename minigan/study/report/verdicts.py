"""What there is to say about a run's health: the one place where a diagnosis enters the report."""

from minigan.study.report.opened import Opened


def verdict(run: Opened) -> str | None:
    """The verdict in a few lines, the first of which is it; None where there is none."""
    return None
