"""A worker process: one side of the comparison, with a thread pool of its own, asleep in a read while others run.

    python -m benchmarks.worker SIDE SETTINGS          SIDE: a module of benchmarks with `about` and `prepare`

Each line on standard input is a request, each line on standard output its answer, both JSON:

    ["about"]            -> {"ok": versions and settings}
    ["prepare", work]    -> {"ok": {"seconds": one warm call, and facts of the side}}     replaces the work before it
    ["run", n]           -> {"ok": [seconds of n calls, after an untimed one]}
    ["take", n]          -> {"ok": what the work gathered in its last n calls}       for works that have `take`
    whatever goes wrong  -> {"failed": "one line"}
"""

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

WARM_CALLS, WARM_S = 4, 0.3
LONG_S = 2.0  # what takes so long is warm after two calls


def timed(call: Callable[[], Any], n: int) -> list[float]:
    """Seconds of n calls. The one before them, untimed, wakes the threads and fetches back what others drove out."""
    call()
    seconds = []
    for _ in range(n):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


class Answers:
    """What a worker does for each request."""

    def __init__(self, side: str, settings: dict[str, Any]):
        self.side, self.settings = importlib.import_module(f"benchmarks.{side}"), settings
        self.call: Any = lambda: None

    def about(self) -> dict[str, Any]:
        return self.side.about(self.settings)

    def prepare(self, work: dict[str, Any]) -> dict[str, Any]:
        self.call, facts = self.side.prepare(self.settings, work)
        seconds = timed(self.call, 1)  # a compiler works in the first call
        while (passed := sum(seconds)) < WARM_S or (len(seconds) < WARM_CALLS and passed < LONG_S):
            seconds += timed(self.call, 1)
        return facts | {"seconds": min(seconds)}

    def run(self, n: int) -> list[float]:
        return timed(self.call, n)

    def take(self, n: int) -> Any:
        return self.call.take(n)


def main() -> None:
    """Answers until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    answers: Answers | None = None
    for line in sys.stdin:
        what, *args = json.loads(line)
        try:
            answers = answers or Answers(sys.argv[1], json.loads(sys.argv[2]))
            answer = {"ok": getattr(answers, what)(*args)}
        except Exception as e:
            kind = "" if type(e).__module__.startswith("minigan") else f"{type(e).__name__}: "
            answer = {"failed": kind + " ".join(str(e).split())[:300]}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
