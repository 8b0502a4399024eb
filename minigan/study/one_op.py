"""One op of given sizes, by each implementation, instruction set and backend: who is fastest, and how near the roof.

Sizes are letters with numbers, n64h7w7c256k5o128s1: samples, height, width, channels, kernel, output channels, stride.
A convolution's are those of conv2d, whichever of its gradients is asked for, with padding "same"; a dense layer's are
n, c and o; elementwise ops and norms take n, c and, for images, h and w.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from minigan import backends, rng
from minigan.backends import costs, plan
from minigan.backends.clock import CLIP, HOST_WORDS, WORDS, host_words
from minigan.errors import BackendError, ConfigError, nearest
from minigan.models.shapes import Act, conv_out, pads
from minigan.study import measure
from minigan.study.roofs import extension, roofs
from minigan.study.work import cost

ROUNDS = 15
LETTERS = {
    "n": "samples", "h": "height", "w": "width", "c": "channels", "k": "kernel", "o": "output channels", "s": "stride",
}  # fmt: skip
_MOST = 1 << 28  # numbers of an array: a gibibyte
EPS, RATE, SLOPE = 1e-5, 0.3, 0.2
Sizes = dict[str, int]
Side = tuple[str, str, tuple[str, ...]]  # backend, instruction set ("": the best), implementations ("": the plan's)
Make = Callable[..., Any]


def _x(z: Sizes) -> tuple[int, ...]:
    return (z["n"], z["h"], z["w"], z["c"]) if "h" in z else (z["n"], z["c"])


def _conv(z: Sizes) -> tuple[Any, ...]:
    """(shape of x, of w, of y, stride, padding)"""
    kernel, stride = (z["k"],) * 2, (z["s"],) * 2
    padding = pads("same", kernel, stride, (z["h"], z["w"]))
    out = conv_out((z["h"], z["w"]), kernel, stride, padding)
    return _x(z), (*kernel, z["c"], z["o"]), (z["n"], *out, z["o"]), stride, padding


def _conv2d(make: Make, z: Sizes) -> tuple[Any, ...]:
    x, w, _, stride, padding = _conv(z)
    return make(*x), make(*w), None, stride, padding


def _conv2d_dgrad(make: Make, z: Sizes) -> tuple[Any, ...]:
    x, w, y, stride, padding = _conv(z)
    return make(*y), make(*w), None, stride, padding, x[1:3]


def _conv2d_wgrad(make: Make, z: Sizes) -> tuple[Any, ...]:
    x, w, y, stride, padding = _conv(z)
    return make(*y), make(*x), make(*w), None, stride, padding


def _norm_backward(make: Make, z: Sizes, groups: Callable[[Sizes], tuple[int, ...]]) -> tuple[Any, ...]:
    x, c = _x(z), z["c"]
    return (make(*x), make(*x), make(c), make(*groups(z)), make(*groups(z), positive=True), EPS, make(c), make(c))


def _adam(make: Make, z: Sizes) -> tuple[Any, ...]:
    clock = np.zeros(WORDS, np.float32)
    clock[:HOST_WORDS] = host_words(0, 0, [(2e-4, 1.0, 1.0)], np.float32)
    clock[CLIP] = 1
    given = *(make(z["n"]) for _ in range(3)), make(z["n"], positive=True)
    return *given, make.of(clock), 0, 0.5, 0.999, 1e-8, 0.0  # type: ignore[attr-defined]


def _dropout(make: Make, z: Sizes) -> tuple[Any, ...]:
    return make(*_x(z)), RATE, make.of(np.zeros(WORDS, np.float32)), 1  # type: ignore[attr-defined]


# op -> the letters it needs (h and w beside n and c may be left out where in brackets), and its arguments
OPS: dict[str, tuple[str, Callable[[Make, Sizes], tuple[Any, ...]]]] = {
    "linear": ("nco", lambda make, z: (make(z["n"], z["c"]), make(z["c"], z["o"]), None)),
    "linear_dgrad": ("nco", lambda make, z: (make(z["n"], z["o"]), make(z["c"], z["o"]))),
    "linear_wgrad": ("nco", lambda make, z: (make(z["n"], z["o"]), make(z["n"], z["c"]), make(z["c"], z["o"]), None)),
    "conv2d": ("nhwckos", _conv2d),
    "conv2d_dgrad": ("nhwckos", _conv2d_dgrad),
    "conv2d_wgrad": ("nhwckos", _conv2d_wgrad),
    "bias_grad": ("n[hw]c", lambda make, z: (make(*_x(z)), make(z["c"]))),
    "activation": ("n[hw]c", lambda make, z: (make(*_x(z)), Act("leaky_relu", SLOPE))),
    "activation_backward": ("n[hw]c", lambda make, z: (make(*_x(z)), make(*_x(z)), Act("leaky_relu", SLOPE))),
    "batchnorm": ("n[hw]c", lambda make, z: (make(*_x(z)), make(z["c"]), make(z["c"]), EPS)),
    "batchnorm_backward": ("n[hw]c", lambda make, z: _norm_backward(make, z, lambda z: (z["c"],))),
    "layernorm": ("n[hw]c", lambda make, z: (make(*_x(z)), make(z["c"]), make(z["c"]), EPS)),
    "layernorm_backward": ("n[hw]c", lambda make, z: _norm_backward(make, z, lambda z: (z["n"],))),
    "instancenorm": ("nhwc", lambda make, z: (make(*_x(z)), make(z["c"]), make(z["c"]), EPS)),
    "instancenorm_backward": ("nhwc", lambda make, z: _norm_backward(make, z, lambda z: (z["n"], z["c"]))),
    "dropout": ("n[hw]c", _dropout),
    "dropout_backward": ("n[hw]c", _dropout),
    "axpby": ("n[hw]c", lambda make, z: (0.5, make(*_x(z)), 2.0, make(*_x(z)))),
    "mul": ("n[hw]c", lambda make, z: (make(*_x(z)), make(*_x(z)))),
    "exp": ("n[hw]c", lambda make, z: (make(*_x(z)),)),
    "sum_squares": ("n[hw]c", lambda make, z: (make(*_x(z)),)),
    "upsample2x": ("nhwc", lambda make, z: (make(*_x(z)),)),
    "avgpool2x": ("nhwc", lambda make, z: (make(*_x(z)),)),
    "adam_step": ("n", _adam),
}


class _Maker:
    """Arrays of a backend, of normal numbers that are the same each time."""

    def __init__(self, ops: Any):
        self._ops, self._host = ops, rng.host(0, "profile")

    def __call__(self, *shape: int, positive: bool = False) -> Any:
        x = self._host.standard_normal(shape, np.float32)
        return self._ops.asarray(np.abs(x) + 0.1 if positive else x)

    def of(self, host: Any) -> Any:
        return self._ops.asarray(host)


def work(op: str, shape: str) -> dict[str, Any]:
    """What the words of the command line ask for. Raises ConfigError on an unknown op, or sizes that it cannot take."""
    if op not in OPS:
        raise ConfigError(f"--op {op!r} is none that can be given sizes; {nearest(op, OPS)}")
    letters = OPS[op][0]
    usage = f"{op} takes {letters}, as in --shape {_example(letters)}"
    found = re.findall(r"([a-z])(\d+)", shape)
    sizes = {letter: int(number) for letter, number in found}
    if "".join(letter + number for letter, number in found) != shape or len(found) != len(sizes):
        raise ConfigError(f"--shape {shape!r} is no list of letters with numbers; {usage}")
    if "s" in letters:
        sizes.setdefault("s", 1)
    if "w" in letters and "h" in sizes:
        sizes.setdefault("w", sizes["h"])
    needed, known = set(re.sub(r"\[.*\]", "", letters)), set(letters) - set("[]")
    if missing := [letter for letter in letters if letter in needed - sizes.keys()]:
        raise ConfigError(f"--shape {shape!r} lacks {missing[0]} ({LETTERS[missing[0]]}); {usage}")
    if more := sorted(sizes.keys() - known):
        raise ConfigError(f"--shape {shape!r} gives {more[0]}, which {op} has not; {usage}")
    if not all(sizes.values()) or np.prod([float(v) for v in sizes.values()]) > _MOST * 1e6:
        raise ConfigError(f"--shape {shape!r} gives sizes that are 0 or too large; {usage}")
    return {"op": op, "sizes": sizes}


def _example(letters: str) -> str:
    sizes = {"n": 64, "h": 14, "w": 14, "c": 128, "k": 5, "o": 64, "s": 2}
    return "".join(f"{letter}{sizes[letter]}" for letter in letters if letter in sizes)


def prepared(given: dict[str, Any], ops: Any, impl: str) -> tuple[Callable[[], Any], dict[str, Any]]:
    """The call, by `impl` or as the plan has it, and facts: who serves it, costs, the seconds at the roof.

    Raises BackendError when `impl` cannot serve it.
    """
    op = given["op"]
    args = OPS[op][1](_Maker(ops), given["sizes"])
    call = partial(ops.by, impl, op, *args) if impl else partial(getattr(ops, op), *args)

    def run() -> None:
        call()
        ops.synchronize()

    run()
    counted = cost(ops, op, *args)
    planned = impl in ("", counted["implementation"])
    if impl:
        by, done = ops.work_of(op, *costs.shapes(args), impl=impl)
        counted |= {"implementation": by, "done_flops": done}
    isa = getattr(ops, "ISA", "")
    simulated = getattr(ops, "SIMULATED", False)
    found = None if simulated else roofs(ops)
    memory_s = found.memory_s(counted["bytes"]) if found else None
    compute_s = found.compute_s(counted["done_flops"], isa) if found else None
    facts = {"backend": ops.NAME, "isa": isa, "planned": planned, "threads": found.threads if found else None}
    return run, facts | counted | {"memory_s": memory_s, "compute_s": compute_s}


def timed(call: Callable[[], object], n: int) -> list[measure.Call]:
    """n calls, after one that is not counted."""
    call()
    calls = []
    for _ in range(n):
        before = measure.switches()
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        calls.append(measure.Call(seconds, measure.switches() == before))
    return calls


def sides(op: str, backend: str, all_impl: bool) -> Iterator[Side]:
    """What every process measures."""
    if not all_impl:
        yield (backend if backend not in ("", "auto") else backends.choose()[0].NAME), "", ("",)
        return
    yield "numpy", "", ("",)
    if cpp := extension():
        for isa in cpp.isas():
            yield "cpp", isa, plan.ALGORITHMS if op in plan.OPS else ("",)
    try:
        backends.load("cuda")
    except BackendError:
        return
    yield "cuda", "", plan.GPU_ALGORITHMS if op in {*plan.OPS, *plan.DENSE} else ("",)


def measured(
    given: dict[str, Any], by: Iterable[Side], on_round: Callable[[], None], rounds: int = ROUNDS,
    threads: Sequence[int] = (0,),
) -> list[dict[str, Any]]:  # fmt: skip
    """A row per implementation that can serve the call, on each of these numbers of threads (0: as many as there are),
    in turns; fastest first."""
    from minigan.study.against import HERE, worker
    from minigan.study.workers import Failed

    rows: list[dict[str, Any]] = []
    runs: dict[str, Callable[[int], list[tuple[float, bool]]]] = {}
    counts: dict[str, int] = {}
    with ExitStack() as stack:
        for (name, isa, impls), count in product(by, threads):
            variables = dict.fromkeys(("MINIGAN_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(count)) if count else {}
            process = stack.enter_context(worker(HERE, **variables, **({"MINIGAN_ISA": isa} if isa else {})))
            for impl in impls:
                try:
                    facts = process.ask("op", given, name, impl)
                except Failed:
                    if len(impls) == 1:
                        raise
                    continue  # one of several that cannot serve these sizes
                key = str(len(rows))
                rows.append(facts)
                if facts["memory_s"] is not None:
                    runs[key] = partial(process.ask, "run", facts["number"])
                    counts[key] = measure.calls_per_block(facts["seconds"])
        blocks = measure.interleave(runs, counts, rounds, on_round)
    for key, block in blocks.items():
        calls = [measure.Call(*call) for part in block for call in part]
        rows[int(key)] |= measure.spread([call.seconds for call in measure.quiet(calls)])._asdict()
        rows[int(key)] |= {"calls": len(calls), "quiet_calls": sum(call.quiet for call in calls)}
    return sorted(({k: v for k, v in row.items() if k not in ("number", "seconds")} for row in rows), key=_order)


def _order(row: dict[str, Any]) -> float:
    return row.get("median_s", float("inf"))


def lines(given: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[str]:
    """The table."""
    sizes = "".join(f"{letter}{number}" for letter, number in given["sizes"].items())
    yield f"{given['op']} {sizes}: {rows[0]['flops'] / 1e9:.4f} GFLOP direct, {rows[0]['bytes'] / 1e6:.3f} MB"
    yield f"{'by':<32} {'ms':>9} {'20-80 %':>19} {'GFLOP/s':>9} {'done':>9} {'GB/s':>7} {'roof':>6}  bound"
    for row in rows:
        by = _by(row)
        if "median_s" not in row:
            yield f"{by:<32} not timed: kernels run in a simulator"
            continue
        seconds = row["median_s"]
        least = least_s(row)
        rates = (row[key] / seconds / 1e9 for key in ("flops", "done_flops", "bytes"))
        spread = f"{1e3 * row['p20_s']:.4f}-{1e3 * row['p80_s']:.4f}"
        shown = "{:>9.2f} {:>9.2f} {:>7.2f}".format(*rates)
        bound = "compute" if row["compute_s"] >= row["memory_s"] else "memory"
        yield f"{by:<32} {1e3 * seconds:>9.4f} {spread:>19} {shown} {100 * least / seconds:>4.0f} %  {bound}"
    for row in too_fast(rows):
        share = 100 * least_s(row) / row["median_s"]
        yield f"error of counting: {_by(row)} reaches {share:.0f} % of its roof; its costs, or the ceilings, are wrong"
    yield "*: what the built-in plan takes"
    loud = sum(row.get("quiet_calls", measure.ENOUGH_QUIET) < measure.ENOUGH_QUIET for row in rows)
    if loud:
        yield f"other processes took the core during nearly all calls of {loud} of these rows: measure again"


def least_s(row: dict[str, Any]) -> float:
    """What the roofs leave at least."""
    return float(max(row["compute_s"], row["memory_s"]))


def too_fast(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those beyond their roof: something is counted wrong."""
    return [row for row in rows if "median_s" in row and least_s(row) > row["median_s"]]


def _by(row: dict[str, Any]) -> str:
    return " ".join(filter(None, [row["backend"], row["isa"], row["implementation"], "*" * row["planned"]]))
