"""Which implementation serves which product on a GPU: a pure function of op, shapes, stride and the GPU's model.

    numba         tiles through shared memory, windows read where they lie        cuda/gemm.py, cuda/implicit.py
    cublas        NVIDIA's product, over windows copied into rows                 cuda/cublas.py, cuda/im2col.py
    cublas_tf32   the same on tensor cores: factors are rounded to 11 bits, sums stay float32
    cublas_bf16   the same, rounded to 8 bits
    fft           products of spectra, stride 1; not exact on integers            cuda/fft.py

Never of clock or load. MINIGAN_PLAN forces one ("cublas_tf32") for all ops or by op, as on a CPU (backends/plan.py);
else the rule of the GPU decides. What rounds its inputs is never the rule's choice. The numbers of the rule come from
counting multiplications and bytes; they are not measured yet.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from minigan.backends import plan
from minigan.errors import BackendError
from minigan.models.shapes import Pair, Shape

ALGORITHMS = plan.GPU_ALGORITHMS
ONE: Pair = (1, 1)  # the stride of a dense layer


class Rule(NamedTuple):
    """Where one implementation ends and the next begins."""

    cublas: bool = True  # is it there?
    small: int = 1 << 20  # multiplications: below, one launch of numba's is over before cuBLAS has its rows
    fft_kernel: int = 5  # from here on
    fft_side: int = 14  # of the image, up to here
    fft_channels: int = 32
    fft_batch: int = 16


WITHOUT = " without cuBLAS"  # ends a model's name
GPU, PLAIN = Rule(), Rule(cublas=False)


def rule(isa: str) -> Rule:
    """The rule of a GPU's model; the simulator has no cuBLAS."""
    return PLAIN if isa == "simulator" or isa.endswith(WITHOUT) else GPU


@cache
def require(name: str, op: str, w: Shape, stride: Pair, isa: str, by: str) -> str:
    """`name`, when it is an implementation that can serve; `by` says who asks for it. Raises BackendError."""
    if name not in ALGORITHMS:
        raise BackendError(f"{by} asks for {name} on {op}: the cuda backend has {', '.join(ALGORITHMS)}")
    if why := lacking(name, w, stride, isa):
        raise BackendError(f"{by} asks for {name} on {op}: {why}; leave this one out, or ask for another")
    return name


def lacking(name: str, w: Shape, stride: Pair, isa: str) -> str:
    """Why the implementation cannot serve kernel w (KH,KW,I,O) or (I,O) at this stride; "" when it can."""
    if name.startswith("cublas") and not rule(isa).cublas:
        return "the simulator has no cuBLAS" if isa == "simulator" else "cuBLAS is not installed"
    if name == "fft" and (len(w) != 4 or stride != ONE):
        return f"fft serves convolutions of stride (1, 1), but this has {f'stride {stride}' if len(w) == 4 else 'none'}"
    return ""


@cache
def choose(op: str, image: Shape, w: Shape, stride: Pair, isa: str) -> str:
    """`image` (N,H,W,C): x of conv2d and its weight gradient, dy of the data gradient; w (KH,KW,I,O). Dense layers:
    (N,I) or (N,O), and (I,O)."""
    if forced := plan.FORCED.get(op):
        return require(forced, op, w, stride, isa, "MINIGAN_PLAN")
    r = rule(isa)
    if not r.cublas:
        return "numba"
    if not lacking("fft", w, stride, isa) and (
        min(w[:2]) >= r.fft_kernel
        and max(image[1:3]) <= r.fft_side
        and min(w[2:]) >= r.fft_channels
        and image[0] >= r.fft_batch
    ):
        return "fft"
    return "numba" if multiplications(image, w) < r.small else "cublas"


def multiplications(image: Shape, w: Shape) -> int:
    """Of a dense layer, or of a convolution of this image, as if it had stride 1."""
    count = image[0]
    for size in (*image[1:-1], *w):
        count *= size
    return count


def explain(isa: str) -> Iterator[str]:
    """The built-in plan of a GPU in words, a line per finding."""
    r = rule(isa)
    if not r.cublas:
        yield f"{isa}: numba for all products"
    else:
        yield (
            f"{isa}, convolutions of stride 1 with kernels from {r.fft_kernel}, sides to {r.fft_side}, channels from "
            f"{r.fft_channels} and batches from {r.fft_batch} on: fft"
        )
        yield f"{isa}, products of less than {r.small} multiplications: numba"
        yield f"{isa}, all else: cublas; cublas_tf32 and cublas_bf16 where MINIGAN_PLAN asks for them"
    yield from plan.forced()
