"""A process that measures steps or single ops for `minigan profile`:   python -P -m minigan.study.worker

Each line on standard input is a request, each line on standard output its answer, both JSON (workers.py):

    ["open", name, overrides, cold]     -> seconds of a warm step
    ["whole", n], ["apart", n]          -> null: makes n steps as they are, taken apart
    ["profile"]                         -> the profile of all those steps
    ["op", work, backend, impl]         -> its number, facts and the seconds of a warm call
    ["run", number, n]                  -> n calls of that op: [seconds, whether no other process took the core]
"""

import json
import os
import signal
import sys
from typing import Any

from minigan import backends
from minigan.study import measure, one_op, recording
from minigan.study import profile as profiles


class Answers:
    """What is done for each request."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def open(self, name: str, overrides: list[Any], cold: bool) -> float:
        sys.path.insert(0, "")
        pairs = [given if isinstance(given, str) else tuple(given) for given in overrides]
        self.recording = recording.Recording(recording.prepared(name, pairs), cold)
        return recording.warmed(self.recording)

    def whole(self, n: int) -> None:
        self.recording.whole(n)

    def apart(self, n: int) -> None:
        self.recording.apart(n)

    def profile(self) -> dict[str, Any]:
        return profiles.to_dict(profiles.made(self.recording))

    def op(self, work: dict[str, Any], backend: str, impl: str) -> dict[str, Any]:
        call, facts = one_op.prepared(work, backends.load(backend), impl)
        self.calls.append(call)
        return facts | {"number": len(self.calls) - 1, "seconds": min(one_op.timed(call, 3)).seconds}

    def run(self, number: int, n: int) -> list[measure.Call]:
        return one_op.timed(self.calls[number], n)


def main() -> None:
    """Answers until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    answers = Answers()
    for line in sys.stdin:
        what, *args = json.loads(line)
        try:
            answer = {"ok": getattr(answers, what)(*args)}
        except Exception as e:
            kind = "" if type(e).__module__.startswith("minigan") else f"{type(e).__name__}: "
            answer = {"failed": kind + " ".join(str(e).split())[:500]}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
