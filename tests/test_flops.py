"""What the C++ convolutions say they really do, against the same source run with a vector that counts."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from minigan.backends import costs

_cpp = pytest.importorskip("minigan._cpp")

HERE = Path(__file__).resolve().parent
COMPILER = (os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "c++").split()[0]
ALGORITHMS, OPS = ("direct", "im2col", "fft"), ("conv2d", "conv2d_dgrad", "conv2d_wgrad")

# x, w, stride, padding. Whole vectors of 4 channels and a batch of at least 6: then no lane and no tile is filled up.
SHAPES: dict[str, tuple[Any, ...]] = {
    "one tile, 5x5": ((8, 7, 7, 8), (5, 5, 8, 12), (1, 1), ((2, 2), (2, 2))),
    "stride 2, phases": ((8, 14, 14, 4), (5, 5, 4, 8), (2, 2), ((1, 2), (1, 2))),
    "strides differ": ((6, 14, 13, 4), (3, 4, 4, 8), (2, 1), ((1, 0), (2, 1))),
    "many tiles": ((6, 20, 17, 4), (3, 3, 4, 4), (1, 1), ((1, 1), (1, 1))),
    "several pieces": ((16, 48, 48, 32), (3, 3, 32, 16), (1, 1), ((1, 1), (1, 1))),
}
RAGGED = ((6, 14, 13, 5), (3, 4, 5, 7), (2, 1), ((1, 0), (2, 1)))  # spectra are filled up to whole vectors


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[Any, ...], list[int]]:
    """(shape, implementation, op) -> operations counted, and those told: of products, of transforms."""
    if shutil.which(COMPILER) is None:
        pytest.skip(f"{COMPILER} is not installed")
    program = tmp_path_factory.mktemp("counted") / "counted_flops"
    flags = ["-std=c++17", "-O1", "-fno-strict-aliasing", f"-I{HERE.parent / 'csrc'}"]
    subprocess.run([COMPILER, *flags, str(HERE / "counted_flops.cpp"), "-o", str(program)], check=True, timeout=300)
    every = [*SHAPES.values(), RAGGED]
    lines = [[*x, *w[:2], w[3], *stride, *padding[0], *padding[1]] for x, w, stride, padding in every]
    text = "\n".join(" ".join(map(str, line)) for line in lines)
    out = subprocess.run([str(program)], input=text, capture_output=True, text=True, check=True, timeout=300).stdout
    keys = [(shape, name, op) for shape in every for name in ALGORITHMS for op in OPS]
    found = [line.split() for line in out.splitlines()]
    assert [(name, op) for name, op, *_ in found] == [key[1:] for key in keys]
    return {key: [int(n) for n in numbers] for key, (_, _, *numbers) in zip(keys, found, strict=True)}


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_what_is_told_is_what_is_done(counted: Any, shape: tuple[Any, ...], name: str, op: str) -> None:
    done, products, transforms = counted[shape, name, op]
    scalar = transforms if name == "im2col" else 0  # windows are added up without vectors: held by the next test
    assert done == products + transforms - scalar > 0


@pytest.mark.parametrize("op", OPS)
def test_spectra_filled_up_to_whole_vectors_are_counted(counted: Any, op: str) -> None:
    done, products, transforms = counted[RAGGED, "fft", op]
    assert done == products + transforms > 0


def arguments(op: str, x: Any, w: Any, stride: Any, padding: Any) -> tuple[Any, ...]:
    """The op's arguments as shapes."""
    p, q = ((x[1 + a] + sum(padding[a]) - w[a]) // stride[a] + 1 for a in (0, 1))
    y = (x[0], p, q, w[3])
    return {
        "conv2d": (x, w, None, stride, padding),
        "conv2d_dgrad": (y, w, None, stride, padding, x[1:3]),
        "conv2d_wgrad": (y, x, w, None, stride, padding),
    }[op]


@pytest.mark.parametrize("isa", _cpp.isas())
@pytest.mark.parametrize("shape", [*SHAPES.values(), RAGGED], ids=[*SHAPES, "ragged"])
def test_direct_and_im2col_agree_with_the_table_of_costs(isa: str, shape: tuple[Any, ...]) -> None:
    kernels, w = _cpp.kernels(isa), shape[1]
    for op in OPS:
        args = arguments(op, *shape)
        touched = costs.touched_flops(op, *args)
        assert kernels.conv_flops("direct", op, *shape) == (touched, 0)
        scattered = touched // (2 * w[3]) if op == "conv2d_dgrad" else 0  # one addition per channel and touched tap
        assert kernels.conv_flops("im2col", op, *shape) == (costs.flops(op, *args), scattered)


@pytest.mark.parametrize("isa", _cpp.isas())
@pytest.mark.parametrize("op", OPS)
def test_spectra_of_the_largest_layer_of_the_dcgan(isa: str, op: str) -> None:
    """9x9 transforms: 121 planes of a 64x256 by 256x128 product, 14 % of what the taps that touch data take."""
    shape = ((64, 7, 7, 128), (5, 5, 128, 256), (1, 1), ((2, 2), (2, 2)))
    products, transforms = _cpp.kernels(isa).conv_flops("fft", op, *shape)
    assert products == 2 * 121 * 64 * 256 * 128
    assert 0 < transforms < products / 8


def test_work_of_tells_the_chosen_implementation() -> None:
    from minigan.backends import cpp

    shape = SHAPES["stride 2, phases"]
    for op in OPS:
        args = arguments(op, *shape)
        name, flops = cpp.work_of(op, *args)
        assert name == cpp.chosen(op, args[1 if op == "conv2d_wgrad" else 0], shape[1], shape[2])
        assert flops == sum(cpp.table.kernels.conv_flops(name, op, *shape))
    assert cpp.work_of("linear", (2, 3), (3, 4), None) is None


@pytest.mark.parametrize(
    ("name", "op", "shape"),
    [
        ("winograd", "conv2d", SHAPES["one tile, 5x5"]),
        ("fft", "linear", SHAPES["one tile, 5x5"]),
        ("fft", "conv2d", ((6, 30, 30, 4), (3, 3, 4, 4), (3, 3), ((0, 0), (0, 0)))),
        ("fft", "conv2d", ((6, 30, 30, 4), (13, 13, 4, 4), (1, 1), ((0, 0), (0, 0)))),
        ("direct", "conv2d", ((6, 3, 3, 4), (5, 5, 4, 4), (1, 1), ((0, 0), (0, 0)))),
        ("direct", "conv2d", ((6, 9, 9, 8), (5, 5, 4, 4), (1, 1), ((0, 0), (0, 0)))),
    ],
    ids=["name", "op", "stride", "kernel", "fit", "channels"],
)
def test_what_cannot_be_served_is_refused(name: str, op: str, shape: tuple[Any, ...]) -> None:
    with pytest.raises(_cpp.Refused):
        _cpp.kernels("baseline").conv_flops(name, op, *shape)
