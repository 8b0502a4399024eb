"""What this installation can do, and what is missing in one line each."""

from collections.abc import Iterator

from minigan import backends
from minigan.backends import plan
from minigan.data import describe
from minigan.errors import BackendError
from minigan.training import environment


def report() -> Iterator[tuple[str, str]]:
    """(topic, finding) rows. Never raises for something that is missing."""
    facts = environment.record("")
    for key in ("minigan", "python", "numpy", "blas", "cpu"):
        yield key, str(facts[key])
    yield "simd", " ".join(facts["simd"])
    yield (
        "threads",
        f"{facts['threads']}; beside other work set OPENBLAS_NUM_THREADS=1: BLAS threads that wait for a core spin",
    )
    for name in backends.BACKENDS:
        try:
            module = backends.load(name)
            yield name, "complete"
        except BackendError as e:
            yield name, str(e)
        else:
            yield from ((name, line) for line in (module.describe() if hasattr(module, "describe") else ()))
            if hasattr(module, "ISA"):
                yield from (("plan", line) for line in getattr(module, "explain", plan.explain)(module.ISA))
    yield "auto", backends.choose()[1]
    for row in describe():
        yield "data", f"{row.name}: {row.where or f'not here; minigan data fetch {row.name}'}"
