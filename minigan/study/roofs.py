"""The ceilings of this machine, measured: multiply-adds a second, and bytes a second from each level of its memory.

    a call of F operations on B bytes takes at least   max(F / peak, sum over levels of B_level / bandwidth_level)

where the bytes lie as near as they fit: first in the first cache, what is more in the second, and so on. What a call
takes beyond that is what better code could win. Measured once and kept in minigan's cache folder.
Source: Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance model".
"""

import dataclasses
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigan import __version__
from minigan.data.mirrors import cache_folder
from minigan.training import environment
from minigan.training.atomic import atomic_text

FORMAT = "minigan-roofs-1"
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_SUFFIX = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_EACH_S = 0.3
_MEMORY_BYTES, _MOST_BYTES = 64 << 20, 512 << 20
_GEMM_SIDE = {"cuda": 8192, "": 512}


@dataclasses.dataclass(frozen=True)
class Level:
    """A level of memory: how many bytes fit (None: all), and GB/s of a copy, of reading alone, of an update in place.

    A byte that is updated counts once as read and once as written.
    """

    name: str
    bytes: int | None
    copy_gb_per_s: float
    read_gb_per_s: float
    update_gb_per_s: float

    @property
    def gb_per_s(self) -> float:
        """The ceiling: no mix of reading and writing is taken to be faster than the fastest of the three."""
        return max(self.copy_gb_per_s, self.read_gb_per_s, self.update_gb_per_s)


@dataclasses.dataclass(frozen=True)
class Roofs:
    """`peaks`: GFLOP/s by instruction set, or of the largest product ("gemm"); `levels`, the nearest first."""

    device: str
    threads: int
    date: str
    peaks: dict[str, float]
    levels: tuple[Level, ...]

    def peak(self, isa: str) -> float:
        """GFLOP/s of the instruction set, or the highest that was measured for code that does not say its own."""
        return self.peaks.get(isa) or max(self.peaks.values())

    def compute_s(self, flops: float, isa: str) -> float:
        """The seconds that so many operations take at least."""
        return flops / self.peak(isa) / 1e9

    def memory_s(self, size: float, cold: bool = False) -> float:
        """The seconds that so many bytes take at least; all come from memory when caches are `cold`."""
        seconds = 0.0
        for level in self.levels[-1:] if cold else self.levels:
            here = size if level.bytes is None else min(size, level.bytes)
            seconds += here / level.gb_per_s / 1e9
            size -= here
        return seconds

    def level(self, size: float) -> str:
        """The name of the nearest level that holds so many bytes."""
        return next(level.name for level in self.levels if level.bytes is None or level.bytes >= size)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)


def from_dict(found: dict[str, Any]) -> Roofs:
    """What `to_dict` gave. Raises KeyError or TypeError on anything else."""
    return Roofs(**{**found, "levels": tuple(Level(**level) for level in found["levels"])})


def extension() -> Any:
    """The C++ extension, or None where there is none."""
    try:
        from minigan import _cpp
    except ImportError:
        return None
    return _cpp


def roofs(ops: Any) -> Roofs:
    """The ceilings of the backend's device: from the cache folder, else measured, in a few seconds, and kept there."""
    cpp = extension()
    gpu = ops.NAME == "cuda"
    device = ops.ISA if gpu else environment.cpu()
    threads = 1 if gpu else cpp.threads() if cpp else 1
    cpus = environment.threads()  # threads that share a CPU are measured, too, but say nothing of a later run
    crowded = [f"on {cpus}"] if cpus < threads else []
    made_by = " ".join([device, str(threads), *crowded, __version__, "cuda" if gpu else "cpp" if cpp else "numpy"])
    path = cache_folder("roofs") / f"{re.sub(r'[^a-z0-9.]+', '-', made_by.lower())}.json"
    if (kept := _kept(path)) is not None:
        return kept
    peaks, levels = _of_gpu(ops) if gpu else _of_cpp(cpp, threads) if cpp else _of_numpy()
    date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    found = Roofs(device, threads, date, peaks, levels)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_text(path, json.dumps({"format": FORMAT, **found.to_dict()}, indent=1) + "\n")
    return found


def _kept(path: Path) -> Roofs | None:
    """What an earlier call has measured; None when there is none, or the file is of another version."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return from_dict({k: v for k, v in found.items() if k != "format"}) if found["format"] == FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def caches() -> Iterator[tuple[str, int, int]]:
    """(name, bytes, CPUs that share it) of each data cache, as Linux tells; none where it does not."""
    for index in sorted(_CACHES.glob("index*")):
        kind, size, level, shared = (
            (index / key).read_text().strip() for key in ("type", "size", "level", "shared_cpu_list")
        )
        if kind == "Instruction":
            continue
        spans = [[int(n) for n in part.split("-")] for part in shared.split(",")]
        yield (
            f"L{level}",
            int(size.rstrip("KMG")) * _SUFFIX[size.lstrip("0123456789")],
            sum(s[-1] - s[0] + 1 for s in spans),
        )


def _of_cpp(cpp: Any, threads: int) -> tuple[dict[str, float], tuple[Level, ...]]:
    peaks = {isa: cpp.kernels(isa).fma_peak(_EACH_S) for isa in cpp.isas()}
    return peaks, tuple(_levels((cpp.copy_peak, cpp.read_peak, cpp.update_peak), threads))


def _of_numpy() -> tuple[dict[str, float], tuple[Level, ...]]:
    """Without the extension: a product by BLAS, and NumPy's copy and sum, one thread each."""
    x = np.ones((_GEMM_SIDE[""],) * 2, np.float32)
    peak = 2 * len(x) ** 3 / _best(lambda: x @ x, _EACH_S) / 1e9

    def copy(size: int, seconds: float) -> float:
        a, b = (np.ones(size // 8, np.float32) for _ in range(2))
        return size / _best(lambda: np.copyto(b, a), seconds) / 1e9

    def read(size: int, seconds: float) -> float:
        a = np.ones(size // 4, np.float32)
        return size / _best(a.max, seconds) / 1e9

    def update(size: int, seconds: float) -> float:
        a = np.ones(size // 8, np.float32)
        return size / _best(lambda: np.negative(a, out=a), seconds) / 1e9

    return {"gemm": peak}, tuple(_levels((copy, read, update), 1))


def _levels(ways: tuple[Callable[[int, float], float], ...], threads: int) -> Iterator[Level]:
    """Each way is given bytes of each thread and seconds to take, and gives GB/s."""
    last = 0
    for name, size, sharing in caches():
        last = size * -(-threads // sharing)  # of all threads: caches of one's own count once each
        each = last // threads // 2  # half full, so that what else lies there stays
        yield Level(name, last, *(way(each, _EACH_S) for way in ways))
    each = min(max(_MEMORY_BYTES, 4 * last), _MOST_BYTES) // threads
    yield Level("memory", None, *(way(each, 2 * _EACH_S) for way in ways))


def _of_gpu(ops: Any) -> tuple[dict[str, float], tuple[Level, ...]]:
    """A square product, and a copy and a sum of squares of 512 MiB."""
    side = _GEMM_SIDE["cuda"]
    x, large = ops.zeros((side, side)), ops.zeros((_MOST_BYTES // 4,))
    target = ops.empty(large.shape)

    def seconds(call: Callable[[], object]) -> float:
        def run() -> None:
            call()
            ops.synchronize()

        run()
        return _best(run, _EACH_S)

    peak = 2 * side**3 / seconds(lambda: ops.linear(x, x, None)) / 1e9
    copy = 2 * _MOST_BYTES / seconds(lambda: ops.copyto(target, large)) / 1e9
    read = _MOST_BYTES / seconds(lambda: ops.sum_squares(large)) / 1e9
    update = 2 * _MOST_BYTES / seconds(lambda: ops.clip(large, 1.0)) / 1e9
    return {"gemm": peak}, (Level("memory", None, copy, read, update),)


def _best(call: Callable[[], object], seconds: float) -> float:
    """The seconds of the fastest call, of as many as fit into `seconds`."""
    best, end = float("inf"), time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        call()
        best = min(best, time.perf_counter() - start)
    return best
