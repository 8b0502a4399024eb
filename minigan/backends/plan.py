"""Which implementation serves which convolution: a function of op and shapes alone, never of clock, load or threads.

    direct   one product per tap, zeros of the padding left out     csrc/conv.inl
    im2col   windows copied into rows, for few channels             csrc/im2col.inl
    fft      products of spectra, less work for large kernels       csrc/fft.inl; not exact on integers

The rule below was measured (benchmarks/ops.py). MINIGAN_PLAN forces implementations, for all three ops ("direct") or by
op ("conv2d=fft,conv2d_wgrad=direct"); a forced one that cannot serve a shape is an error, not replaced.
"""

import os
from functools import cache

from minigan.errors import BackendError, nearest
from minigan.models.shapes import Pair, Shape

OPS = ("conv2d", "conv2d_dgrad", "conv2d_wgrad")
ALGORITHMS = ("direct", "im2col", "fft")
INEXACT = {"fft"}
FEW_CHANNELS = 8  # of the image: a tap alone is too short a sum
FFT_STRIDE, FFT_TAPS = 2, 7
FFT_KERNEL, FFT_CHANNELS, FFT_BATCH = 5, 32, 16  # from here on the spectra are worth their transforms
FFT_BATCH_PREPARED = {1: 1, 2: 4}  # by stride, where the kernel's spectrum is ready and ...
FFT_IN_CACHE = 1 << 15  # ... I x O is at most this: 16 MB, which the third cache holds


def _forced() -> dict[str, str]:
    """op -> implementation, from MINIGAN_PLAN. Raises BackendError on a word it does not know."""
    given = os.environ.get("MINIGAN_PLAN", "")
    chosen: dict[str, str] = {}
    for part in filter(None, given.split(",")):
        op, _, name = part.rpartition("=")
        if name not in ALGORITHMS or (op and op not in OPS):
            word, known = (name, ALGORITHMS) if name not in ALGORITHMS else (op, OPS)
            raise BackendError(f"MINIGAN_PLAN={given!r}: {word!r} is unknown; {nearest(word, known)}")
        chosen |= {op: name} if op else dict.fromkeys(OPS, name)
    return chosen


FORCED = _forced()


@cache
def choose(op: str, image: Shape, w: Shape, stride: Pair, prepared: bool = False) -> str:
    """`image` (N,H,W,C): x of conv2d and its weight gradient, dy of the data gradient; w (KH,KW,I,O).

    `prepared`: w is made ready once for many calls, and spectra cost no more than the memory that they fill.
    """
    serves_fft = max(stride) <= FFT_STRIDE and max(w[:2]) <= FFT_TAPS
    forced = FORCED.get(op)
    if forced == "fft" and not serves_fft:
        raise BackendError(
            f"MINIGAN_PLAN forces fft on {op}, which takes strides to {FFT_STRIDE} and kernels to {FFT_TAPS}, but this "
            f"one has stride {stride} and a {w[0]}x{w[1]} kernel; force it on other ops alone"
        )
    if forced:
        return forced
    if w[2] <= FEW_CHANNELS:
        return "im2col"
    batch = FFT_BATCH if not prepared or w[2] * w[3] > FFT_IN_CACHE else FFT_BATCH_PREPARED[max(stride)]
    large = min(w[:2]) >= FFT_KERNEL and min(w[2:]) >= FFT_CHANNELS and image[0] >= batch
    return "fft" if serves_fft and large else "direct"
