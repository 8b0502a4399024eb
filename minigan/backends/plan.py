"""Which implementation serves which convolution: a pure function of op, shapes, stride and instruction set.

    direct   one product per tap, zeros of the padding left out     csrc/conv.inl
    im2col   windows copied into rows, for few channels             csrc/im2col.inl
    fft      products of spectra, less work for large kernels       csrc/fft.inl; not exact on integers

Never of clock, load or threads. The first of these that has an answer decides:
1. MINIGAN_PLAN forces implementations, for all three ops ("direct") or by op ("conv2d=fft,conv2d_wgrad=direct");
2. the rows of a plan file, in a run that has one (backends/planned.py; `minigan tune` writes it);
3. the rule of the instruction set, RULES, measured by benchmarks/ops.py: the built-in plan.
One that cannot serve a shape is an error, never replaced.
"""

import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from minigan.errors import BackendError, nearest
from minigan.models.shapes import Pair, Shape

# op -> where its image, its kernel and its stride stand among its arguments
OPS = {"conv2d": (0, 1, 3), "conv2d_dgrad": (0, 1, 3), "conv2d_wgrad": (1, 2, 4)}
DENSE = {"linear": (0, 1), "linear_dgrad": (0, 1), "linear_wgrad": (1, 2)}  # image and kernel; planned on a GPU only
ALGORITHMS = ("direct", "im2col", "fft")
GPU_ALGORITHMS = ("numba", "cublas", "cublas_tf32", "cublas_bf16", "fft")  # backends/plan_gpu.py
INEXACT = {"fft"}
COARSE = {"cublas_tf32": 2.0**-10, "cublas_bf16": 2.0**-8}  # factors lose bits first (rounded or cut off): how much
FFT_STRIDE, FFT_TAPS = 2, 7

Key = tuple[str, Shape, Shape, Pair]  # op, image (N,H,W,C), kernel (KH,KW,I,O), stride: what a plan decides by


class Rule(NamedTuple):
    """Where one implementation ends and the next begins, on one instruction set."""

    im2col_channels: int  # of the image: up to here a tap alone is too short a sum
    fft_kernel: Pair  # at stride 1 and 2: from these four on the spectra are worth their transforms
    fft_side: int  # of the smaller one of the two images
    fft_channels: int
    fft_batch: int
    fft_batch_ready: Pair  # at stride 1 and 2: where the kernel is ready beforehand (Net.prepare) and ...
    fft_ready: int  # ... I x O is at most this, so that the third cache holds its spectrum (121 planes of 9 x 9 places)


_NARROW = Rule(  # measured on AVX2; not yet on wider vectors
    im2col_channels=8, fft_kernel=(3, 5), fft_side=6, fft_channels=32, fft_batch=16,
    fft_batch_ready=(1, 4), fft_ready=1 << 15,
)  # fmt: skip
_WIDE = Rule(
    im2col_channels=8, fft_kernel=(5, 5), fft_side=1, fft_channels=32, fft_batch=16,
    fft_batch_ready=(16, 16), fft_ready=0,
)  # fmt: skip
RULES = {"avx512": _WIDE, "avx2": _NARROW, "baseline": _NARROW}


def key(op: str, args: tuple[Any, ...]) -> Key:
    """What a plan decides a call by: op(*args)."""
    if op in DENSE:
        image, w = DENSE[op]
        return op, args[image].shape, args[w].shape, (1, 1)
    image, w, stride = OPS[op]
    return op, args[image].shape, args[w].shape, args[stride]


def _forced() -> dict[str, str]:
    """op -> implementation, from MINIGAN_PLAN. Raises BackendError on a word it does not know."""
    given = os.environ.get("MINIGAN_PLAN", "")
    chosen: dict[str, str] = {}
    for part in filter(None, given.split(",")):
        op, _, name = part.rpartition("=")
        ops = OPS | (DENSE if name in GPU_ALGORITHMS and name != "fft" else {})
        _known(f"MINIGAN_PLAN={given!r}", [(name, {*ALGORITHMS, *GPU_ALGORITHMS}), *([(op, ops)] if op else [])])
        chosen |= {op: name} if op else dict.fromkeys(ops, name)
    return chosen


def _known(where: str, words: list[tuple[str, Iterable[str]]]) -> None:
    for word, known in words:
        if word not in known:
            raise BackendError(f"{where}: {word!r} is unknown; {nearest(word, known)}")


FORCED = _forced()


def lacking(name: str, w: Shape, stride: Pair) -> str:
    """Why the implementation cannot serve kernel w (KH,KW,I,O) at this stride; "" when it can."""
    if name != "fft" or (max(stride) <= FFT_STRIDE and max(w[:2]) <= FFT_TAPS):
        return ""
    return (
        f"fft takes strides to {FFT_STRIDE} and kernels to {FFT_TAPS}, "
        f"but this one has stride {stride} and a {w[0]}x{w[1]} kernel"
    )


@cache
def require(name: str, op: str, w: Shape, stride: Pair, by: str) -> str:
    """`name`, when it is an implementation that can serve; `by` says who asks for it. Raises BackendError."""
    _known(by, [(name, ALGORITHMS)])
    if why := lacking(name, w, stride):
        raise BackendError(f"{by} asks for {name} on {op}: {why}; leave this one out, or ask for another")
    return name


@cache
def choose(op: str, image: Shape, w: Shape, stride: Pair, isa: str, ready: bool = False) -> str:
    """`image` (N,H,W,C): x of conv2d and its weight gradient, dy of the data gradient; w (KH,KW,I,O); `ready`: w was
    made ready beforehand, so that its spectrum costs no more than reading it."""
    if forced := FORCED.get(op):
        return require(forced, op, w, stride, "MINIGAN_PLAN")
    rule = RULES[isa]
    if w[2] <= rule.im2col_channels:
        return "im2col"
    if lacking("fft", w, stride):
        return "direct"
    batch = rule.fft_batch_ready[max(stride) - 1] if ready and w[2] * w[3] <= rule.fft_ready else rule.fft_batch
    smaller = min(image[1:3]) // (1 if op == "conv2d_dgrad" else max(stride))
    large = (
        min(w[:2]) >= rule.fft_kernel[max(stride) - 1]
        and smaller >= rule.fft_side
        and min(w[2:]) >= rule.fft_channels
        and image[0] >= batch
    )
    return "fft" if large else "direct"


def explain(isa: str) -> Iterator[str]:
    """The built-in plan of an instruction set in words, a line per finding."""
    rule = RULES[isa]
    yield f"{isa}, images of at most {rule.im2col_channels} channels: im2col"
    yield (
        f"{isa}, else kernels of {rule.fft_kernel[0]} to {FFT_TAPS} at stride 1, of {rule.fft_kernel[1]} to {FFT_TAPS} "
        f"at stride 2, with sides from {rule.fft_side}, channels from {rule.fft_channels} and batches from "
        f"{rule.fft_batch} on: fft"
    )
    if rule.fft_ready:
        yield (
            f"{isa}, where many samples are drawn with kernels made ready, of up to {rule.fft_ready} numbers per tap: "
            f"fft from batches of {rule.fft_batch_ready[0]} at stride 1 and {rule.fft_batch_ready[1]} at stride 2 on"
        )
    yield f"{isa}, all else: direct"
    yield from forced()


def forced() -> Iterator[str]:
    """What MINIGAN_PLAN forces, in a line, if it forces anything."""
    if FORCED:
        names = ", ".join(f"{op} by {name}" for op, name in FORCED.items())
        yield f"MINIGAN_PLAN={os.environ.get('MINIGAN_PLAN')} forces {names}, whatever a plan says"


_SIZES = re.compile(r"[1-9]\d{0,8}(x[1-9]\d{0,8})*")
_WORDS = "op image kernel stride implementation, as in 'conv2d 64x28x28x1 5x5x1x64 2x2 im2col'"


def text(row: Key, name: str) -> str:
    """One row of a plan as a line of text; `rows` reads it back."""
    op, *sizes = row
    return " ".join([op, *("x".join(map(str, s)) for s in sizes), name])


def rows(texts: Iterable[str], where: str) -> dict[Key, str]:
    """The rows of a plan from their lines; `where` names it in errors.

    Raises BackendError on a line that is no row, a word it does not know, an implementation that cannot serve the
    row's shape, and a shape that stands there twice.
    """
    found: dict[Key, str] = {}
    for line in texts:
        words = line.split()
        sizes = [tuple(map(int, word.split("x"))) for word in words[1:4] if _SIZES.fullmatch(word)]
        if len(words) != 5 or [len(s) for s in sizes] != [4, 4, 2]:
            raise BackendError(f"{where}: row {line[:200]!r} must read {_WORDS}")
        op, name = words[0], words[4]
        _known(f"{where}: row {line!r}", [(op, OPS), (name, ALGORITHMS)])
        row: Any = (op, *sizes)
        if row in found:
            raise BackendError(f"{where}: row {line!r} names a shape that an earlier row names; keep one of them")
        found[row] = require(name, op, row[2], row[3], f"{where}: row {line!r}")
    return found
