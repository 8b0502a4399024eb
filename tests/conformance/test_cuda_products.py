"""Dense layers and convolutions of the cuda backend, by every implementation: tilings, parts of K, cuBLAS's arguments.

What cuBLAS itself computes, only a GPU can show; here a fake of it reads the same addresses, by columns as it does.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import ROWS, Row, compare
from cublas_fake import Fake
from draws import Convolution, Draw

from minigan.backends import oracle, plan, plan_gpu
from minigan.backends.checked import Checked
from minigan.errors import BackendError
from minigan.models.shapes import Act

PLANNED = [row for row in ROWS if row.op in {*plan.OPS, *plan.DENSE}]
CONVS = [row for row in ROWS if row.op in plan.OPS]
FEW = 4
SAME5 = ((2, 2), (2, 2))


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What MINIGAN_PLAN forces, to be filled in."""
    names: dict[str, str] = {}
    monkeypatch.setattr(plan, "FORCED", names)
    plan_gpu.choose.cache_clear()
    yield names
    plan_gpu.choose.cache_clear()


@pytest.fixture
def fake(simulated: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """The simulator with a cuBLAS, and a plan that knows of it."""
    library = Fake()
    caches = (simulated.cublas.cublas, plan_gpu.choose, plan_gpu.require)
    monkeypatch.setattr(simulated.cublas, "library", lambda: library)
    monkeypatch.setattr(plan_gpu, "PLAIN", plan_gpu.GPU)
    for cached in caches:
        cached.cache_clear()
    yield library
    for cached in caches:
        cached.cache_clear()


# ------------------------------------------------------------------------------------------------------- numba's tiles

# In the simulator a tile is 8 x 8 and 4 deep, and K is cut from 128 on
BIG = (
    Row("linear/tiles", lambda d: (d.array(19, 37), d.array(37, 21), d.array(21), Act("leaky_relu", 0.25)), ""),
    Row("linear/parts", lambda d: (d.array(3, 521), d.array(521, 2), d.array(2), Act("relu")), ""),
    Row("linear_dgrad/parts", lambda d: (d.array(9, 300), d.array(10, 300)), ""),
    Row("linear_wgrad/parts", lambda d: (d.array(259, 9), d.array(259, 3), d.array(3, 9), d.array(9)), ""),
    Row("conv2d/parts", lambda d: (d.array(3, 4, 4, 17), d.array(4, 4, 17, 1), None, (1, 1), ((0, 0), (0, 0))), ""),
    Row(
        "conv2d_wgrad/parts",
        lambda d: (d.array(5, 7, 6, 2), d.array(5, 7, 6, 3), d.array(3, 3, 3, 2), None, (1, 1), ((1, 1), (1, 1))),
        "",
    ),
    Row("bias_grad/parts", lambda d: (d.array(2, 70, 2, 35), d.array(35)), ""),
)


@pytest.mark.parametrize("row", BIG, ids=lambda row: row.name)
def test_products_of_many_tiles_and_parts(row: Row, simulated: Any) -> None:
    for integer in (True, False):
        compare(simulated, row, 0, np.float32, integer)


FULL = {"a b": (False, False, 65, 3, 33), "a b^T": (False, True, 3, 66, 17), "a^T b": (True, False, 66, 2, 20)}


@pytest.mark.parametrize("name", FULL)
def test_tiles_of_the_size_that_a_gpu_gets(name: str, simulated: Any) -> None:
    *turned, rows, columns, k = FULL[name]
    gemm, matrices, launch = simulated.gemm, simulated.matrices, simulated.launch
    operands = matrices._A_TURNED if turned[0] else matrices._A, matrices._B_TURNED if turned[1] else matrices._B
    kernel = gemm.product("full", 5, *operands, matrices._part, matrices._place, gemm.FULL)
    del launch.KERNELS[kernel.name]
    d = Draw(1, rows, np.float32, True)
    a, b, bias = d.array(rows, k), d.array(k, columns), d.array(columns)
    given = [np.ascontiguousarray(x.T if t else x) for x, t in zip((a, b), turned, strict=True)]
    c = simulated.zeros((rows, columns))
    assert kernel.block == (16, 16, 1) and kernel.grid((rows, columns, 1)) == (-(-rows // 64), -(-columns // 64), 1)
    gemm.once(kernel, *given, c, (rows, columns, k, k, 0), (rows, columns, 1), bias, Act("relu"))
    assert np.array_equal(c, np.maximum(a @ b + bias, 0))


def test_how_k_is_cut_depends_on_the_shape_alone_and_fills_a_gpu(simulated: Any) -> None:
    parts, full = simulated.gemm.parts, simulated.gemm.FULL
    assert parts(64, 1, 6272, full) == (24, 272)  # one tile
    assert parts(12544, 64, 1600, full) == (1, 1600)  # 196 tiles
    assert parts(64, 64, 255, full) == (1, 256)
    for k in (1, 16, 255, 256, 511, 512, 100_000):
        count, chunk = parts(128, 128, k, full)
        assert chunk % full.depth == 0 and (count - 1) * chunk < k <= count * chunk


# ---------------------------------------------------------------------------------------------- the frequency domain


class StrideOne(Draw):
    """As a draw, but of convolutions those of stride 1."""

    def __init__(self, like: Draw):
        vars(self).update(vars(like))

    def convolution(self) -> Convolution:
        while (drawn := super().convolution()).stride != (1, 1):
            pass
        return drawn


@pytest.mark.parametrize("row", CONVS, ids=lambda row: row.name)
def test_fft_is_within_its_bound(row: Row, simulated: Any, forced: dict[str, str]) -> None:
    forced |= dict.fromkeys(plan.OPS, "fft")
    for seed in range(FEW):
        compare(simulated, row._replace(draw=lambda d: row.draw(StrideOne(d))), seed, np.float32, False, inexact=True)


WIDE = ((3, 3), (3, 2))  # more padding than kernel: the result is longer than the cycle
GAN_FFT = (
    Row("conv2d/wide", lambda d: (d.array(2, 3, 4, 3), d.array(1, 2, 3, 5), None, (1, 1), WIDE), ""),
    Row("conv2d_dgrad/wide", lambda d: (d.array(2, 9, 8, 5), d.array(1, 2, 3, 5), None, (1, 1), WIDE, (3, 4)), ""),
    Row(
        "conv2d_wgrad/wide",
        lambda d: (d.array(2, 9, 8, 5), d.array(2, 3, 4, 3), d.array(1, 2, 3, 5), None, (1, 1), WIDE),
        "",
    ),
    Row("conv2d/7", lambda d: (d.array(1, 7, 7, 3), d.array(5, 5, 3, 33), d.array(33), (1, 1), SAME5, Act("relu")), ""),
    Row("conv2d_dgrad/7", lambda d: (d.array(2, 7, 7, 2), d.array(5, 5, 33, 2), None, (1, 1), SAME5, (7, 7)), ""),
    Row(
        "conv2d_wgrad/8x6",
        lambda d: (d.array(2, 8, 6, 5), d.array(2, 8, 6, 4), d.array(5, 4, 4, 5), None, (1, 1), ((2, 2), (1, 2))),
        "",
    ),
)


@pytest.mark.parametrize("row", GAN_FFT, ids=lambda row: row.name)
def test_fft_of_layers_as_nets_have_them_and_of_a_wide_padding(
    row: Row, simulated: Any, forced: dict[str, str]
) -> None:
    forced |= dict.fromkeys(plan.OPS, "fft")
    compare(simulated, row, 0, np.float32, False, inexact=True)


# --------------------------------------------------------------------------------------------------- cuBLAS's arguments


@pytest.mark.parametrize("row", PLANNED, ids=lambda row: row.name)
def test_cublas_is_asked_for_the_product_that_is_due(
    row: Row, simulated: Any, fake: Fake, forced: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forced[row.op] = "cublas"
    for most in (simulated.im2col.MOST_NUMBERS, 300):  # all images at once, then a few at a time
        monkeypatch.setattr(simulated.im2col, "MOST_NUMBERS", most)
        for seed in range(3 * FEW):
            fake.calls.clear()
            for integer in (True, False):
                compare(simulated, row, seed, np.float32, integer)
            assert {call for call in fake.calls if call[0] == "gemm"} == {("gemm", 68)}


@pytest.mark.parametrize(
    ("x", "w"), [((3, 5, 4, 6), (1, 1, 6, 7)), ((3, 5, 4, 6), (5, 4, 6, 7))], ids=["one pixel", "whole image"]
)
def test_windows_that_are_the_image_are_not_copied(
    x: tuple[int, ...], w: tuple[int, ...], simulated: Any, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for copies in ("_gather", "_add_up"):
        monkeypatch.setattr(simulated.im2col, copies, None)
    d = Draw(2, 0, np.float32, True)
    image, kernel, b, rest = d.array(*x), d.array(*w), d.array(6), ((1, 1), ((0, 0), (0, 0)))
    y = oracle.conv2d(image, kernel, None, *rest)
    assert np.array_equal(simulated.by("cublas", "conv2d", image, kernel, None, *rest), y)
    want = oracle.conv2d_dgrad(y, kernel, b, *rest, x[1:3], Act("relu"))
    assert np.array_equal(simulated.by("cublas", "conv2d_dgrad", y, kernel, b, *rest, x[1:3], Act("relu")), want)
    dw = d.array(*w)
    its = dw.copy()
    oracle.conv2d_wgrad(y, image, its, None, *rest)
    simulated.by("cublas", "conv2d_wgrad", y, image, dw, None, *rest)
    assert np.array_equal(dw, its)


@pytest.mark.parametrize("w", [(1, 1, 6, 7), (5, 4, 6, 7)])
def test_windows_of_a_padded_image_are_copied(w: tuple[int, ...], simulated: Any, fake: Fake) -> None:
    d = Draw(3, 0, np.float32, True)
    image, kernel, rest = d.array(3, 5, 4, 6), d.array(*w), (None, (1, 1), ((1, 0), (0, 2)))
    y = oracle.conv2d(image, kernel, *rest)
    assert np.array_equal(simulated.by("cublas", "conv2d", image, kernel, *rest), y)
    dx = simulated.by("cublas", "conv2d_dgrad", y, kernel, *rest, (5, 4))
    assert np.array_equal(dx, oracle.conv2d_dgrad(y, kernel, *rest, (5, 4)))


def test_the_products_of_spectra_go_to_cublas_where_it_is(simulated: Any, fake: Fake, forced: dict[str, str]) -> None:
    forced |= dict.fromkeys(plan.OPS, "fft")
    for row in GAN_FFT:
        fake.calls.clear()
        compare(simulated, row, 0, np.float32, False, inexact=True)
        assert [call for call in fake.calls if call[0] in ("gemm", "batch")] == [("batch", 68)]


def test_the_handle_has_our_stream_then_its_workspace(simulated: Any, fake: Fake) -> None:
    x = np.ones((2, 3), np.float32)
    for mode in ("cublas", "cublas_tf32", "cublas_bf16"):
        simulated.by(mode, "linear", x, np.ones((3, 4), np.float32), None)
    made = [
        ("create", None),
        ("stream", (42, None)),
        ("workspace", (42, 32 << 20, fake.calls[2][1][2])),
        ("math", (42, 0)),
    ]
    assert fake.calls == [*made, ("gemm", 68), ("gemm", 77), ("gemm", 75)]


def test_what_cublas_refuses_is_an_error(simulated: Any, fake: Fake) -> None:
    fake.refuses = "gemm"
    with pytest.raises(BackendError, match="cuBLAS refused cublasGemmEx with status 15; force another"):
        simulated.by("cublas", "linear_dgrad", np.ones((2, 3), np.float32), np.ones((4, 3), np.float32))


# ------------------------------------------------------------------------------------------------------------ the plan

H100 = "NVIDIA H100 80GB HBM3"


def test_the_plan_of_a_gpu(forced: dict[str, str]) -> None:
    def chosen(
        op: str = "conv2d",
        image: Any = (64, 14, 14, 64),
        w: Any = (5, 5, 64, 128),
        stride: Any = (1, 1),
        isa: str = H100,
    ) -> str:
        return plan_gpu.choose(op, image, w, stride, isa)

    assert chosen() == "fft" and chosen(stride=(2, 2)) == chosen(w=(3, 3, 64, 128)) == "cublas"
    for change in (
        {"image": (15, 14, 14, 64)}, {"image": (64, 15, 14, 64)}, {"image": (64, 14, 14, 31), "w": (5, 5, 31, 128)},
    ):  # fmt: skip
        assert chosen(**change) == "cublas", change
    assert chosen("linear", (64, 100), (100, 6272)) == "cublas" and chosen("linear", (64, 128), (128, 1)) == "numba"
    for isa in ("simulator", H100 + plan_gpu.WITHOUT):
        assert chosen(isa=isa) == "numba"
        assert list(plan_gpu.explain(isa)) == [f"{isa}: numba for all products"]
    words = " ".join(plan_gpu.explain(H100))
    assert all(name in words for name in plan_gpu.ALGORITHMS) and f"below {plan_gpu.GPU.small}" not in words
    forced["conv2d"] = "cublas_tf32"
    plan_gpu.choose.cache_clear()
    assert chosen() == "cublas_tf32" and chosen("conv2d_dgrad") == "fft"


@pytest.mark.parametrize(
    ("impl", "w", "stride", "words"),
    [
        ("direct", (3, 3, 1, 1), (1, 1), "the call asks for direct on conv2d: the cuda backend has numba, cublas"),
        (
            "cublas_tf32",
            (3, 3, 1, 1),
            (1, 1),
            "the call asks for cublas_tf32 on conv2d: the simulator has no cuBLAS; leave",
        ),
        ("fft", (3, 3, 1, 1), (2, 1), r"fft serves convolutions of stride \(1, 1\), but this has stride \(2, 1\)"),
    ],
)
def test_what_cannot_serve_is_an_error(impl: str, w: Any, stride: Any, words: str, simulated: Any) -> None:
    x = np.ones((1, 5, 5, 1), np.float32)
    with pytest.raises(BackendError, match=words):
        simulated.by(impl, "conv2d", x, np.ones(w, np.float32), None, stride, ((0, 0), (0, 0)))


def test_fft_on_a_dense_layer_is_an_error(simulated: Any) -> None:
    with pytest.raises(
        BackendError, match=r"fft on linear: fft serves convolutions of stride \(1, 1\), but this has none"
    ):
        simulated.by("fft", "linear", np.ones((2, 3), np.float32), np.ones((3, 4), np.float32), None)


def test_verify_allows_what_rounding_the_factors_costs(simulated: Any, fake: Fake, forced: dict[str, str]) -> None:
    """Factors cut to TF32's 11 bits are within the bound of cublas_tf32, and beyond that of cublas."""

    def cut(a: np.ndarray) -> np.ndarray:
        return (a.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)

    x, w = (np.random.default_rng(k).standard_normal(s).astype(np.float32) for k, s in ((0, (9, 40)), (1, (40, 8))))
    y = {name: oracle.linear(cut(x), cut(w), None) for name in ("cublas", "cublas_tf32")}

    class Ops:
        PLANNED, chosen, to_numpy = simulated.PLANNED, staticmethod(simulated.chosen), staticmethod(np.asarray)

        def __init__(self, name: str):
            self.linear = lambda *args: y[name]

    for name, held in (("cublas_tf32", True), ("cublas", False)):
        forced["linear"] = name
        plan_gpu.choose.cache_clear()
        try:
            Checked(Ops(name), oracle).linear(x, w, None, None)
            assert held, "a coarse result passed as a float32 one"
        except ArithmeticError:
            assert not held


def _terms(in_hw: Any, out_hw: Any, kernel: Any, stride: Any, padding: Any) -> int:
    """Pairs of an output pixel and a tap whose product the data gradient adds up or, at the border, takes for zero."""
    total = 1
    for size, k, s, (before, _) in zip(in_hw, kernel, stride, padding, strict=True):
        total *= sum((h + before - i) % s == 0 for h in range(size) for i in range(k))
    return total


def test_work_of_tells_what_the_chosen_implementation_does(simulated: Any, fake: Fake, forced: dict[str, str]) -> None:
    x, w, y, stride, padding = (3, 9, 8, 4), (5, 4, 4, 6), (3, 5, 4, 6), (2, 2), ((2, 2), (1, 2))
    calls = {
        "conv2d": (x, w, None, stride, padding),
        "conv2d_dgrad": (y, w, None, stride, padding, (9, 8)),
        "conv2d_wgrad": (y, x, w, None, stride, padding),
    }
    direct = 2 * 3 * 5 * 4 * 5 * 4 * 4 * 6
    for name in ("numba", "cublas"):
        forced |= dict.fromkeys(plan.OPS, name)
        plan_gpu.choose.cache_clear()
        for op, args in calls.items():
            done = (
                2 * 3 * 4 * 6 * _terms((9, 8), (5, 4), (5, 4), stride, padding)
                if (name, op[7:]) == ("numba", "dgrad")
                else direct
            )
            assert simulated.work_of(op, *args) == (name, done), op
    forced.clear()
    plan_gpu.choose.cache_clear()
    x, w, y, rest = (64, 14, 14, 64), (5, 5, 64, 64), (64, 14, 14, 64), ((1, 1), SAME5)
    direct, products = 2 * 64 * 14 * 14 * 25 * 64 * 64, 8 * 16 * 9 * 64 * 64 * 64
    for op, args in {"conv2d": (x, w, None, *rest), "conv2d_dgrad": (y, w, None, *rest, (14, 14))}.items():
        name, done = simulated.work_of(op, *args)
        assert name == "fft" and products < done < 2 * products < direct
    assert simulated.work_of("linear_wgrad", (5, 7), (5, 6), (6, 7), None) == ("numba", 2 * 5 * 6 * 7)
    assert simulated.work_of("scale", (5,), 2.0) is None
