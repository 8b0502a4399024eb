"""Arrays that do not fit: every op says so before it writes, in a line with the given and the expected."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cases import ROWS, Row

from minigan.backends import oracle
from minigan.errors import ShapeError
from minigan.models.layers import Conv2d, ConvTranspose2d
from minigan.models.shapes import Act, Array, Pads, conv_out, make_act, pads, pair

Wrong = tuple[str, dict[int, Array]]  # what was done, the arguments that it replaces


def _letters(row: Row, args: tuple[Any, ...]) -> dict[int, list[str]]:
    """The letter of every axis of every array argument; "-" for an axis of free size."""
    out = {}
    for i, (words, a) in enumerate(zip(row.shapes.split(" | "), args, strict=True)):
        if words != "-" and isinstance(a, np.ndarray):
            names = words.split()
            free = a.ndim - len(names) + 1
            at = names.index("...") if "..." in names else len(names)
            out[i] = names[:at] + [f"...{k}" for k in range(free if at < len(names) else 0)] + names[at + 1 :]
    return out


def _grown(a: Array, axis: int) -> Array:
    return np.concatenate([a, np.take(a, [0], axis)], axis)


def _wrong(row: Row, args: tuple[Any, ...]) -> Iterator[Wrong]:
    """One axis longer than the others of its name, one axis too many, and N = 0 everywhere."""
    letters = _letters(row, args)
    names = [name for each in letters.values() for name in each]
    for i, each in letters.items():
        for axis, name in enumerate(each):
            if name != "-" and (names.count(name) > 1 or name.endswith("*")):
                yield f"argument {i} with one more along {name}", {i: _grown(args[i], axis)}
        if "..." not in row.shapes.split(" | ")[i]:
            yield f"argument {i} with an axis more", {i: args[i][None]}
    if "N" in names:
        batch = {i: each.index("N") for i, each in letters.items() if "N" in each}
        yield "N = 0", {i: np.take(args[i], np.zeros(0, int), axis) for i, axis in batch.items()}


def _raises_and_leaves_all(op: Callable[..., Any], args: tuple[Any, ...], case: str) -> str:
    before = [a.copy() if isinstance(a, np.ndarray) else None for a in args]
    try:
        op(*args)
    except ShapeError as e:
        message = str(e)
    except Exception as e:
        raise AssertionError(f"{case}: {type(e).__name__} ({e}), expected a ShapeError") from e
    else:
        raise AssertionError(f"{case}: accepted, expected a ShapeError")
    for i, (a, b) in enumerate(zip(args, before, strict=True)):
        assert b is None or np.array_equal(a, b, equal_nan=b.dtype.kind == "f"), (
            f"{case}: wrote argument {i}, then raised"
        )
    return message


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_shapes_that_do_not_fit_are_refused(row: Row) -> None:
    for seed in range(8):
        args = row.args(seed, np.float32, integer=True)
        for what, replaced in _wrong(row, args):
            wrong = tuple(replaced.get(i, a) for i, a in enumerate(args))
            case = f"case({row.name!r}, seed={seed}), {what}: {[getattr(a, 'shape', a) for a in wrong]}"
            message = _raises_and_leaves_all(getattr(oracle, row.op), wrong, case)
            assert "\n" not in message and re.search(r"expected|holds no data|does not fit|cut in", message), (
                f"{case}: {message}"
            )


IMAGE = np.zeros((2, 5, 6, 3), np.float32)
LABELS = np.array([0, 3], np.int32)
VALID: Pads = ((0, 0), (0, 0))

# what: (call, what its message says)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "kernel too large": (
        lambda: oracle.conv2d(IMAGE, np.zeros((7, 2, 3, 4), np.float32), None, (1, 1), ((1, 0), (0, 0))),
        "a 7x2 kernel does not fit an input of 5x6 with padding ((1, 0), (0, 0)); "
        "give larger images, more padding or a smaller kernel",
    ),
    "channels": (
        lambda: oracle.conv2d(IMAGE, np.zeros((2, 2, 4, 4), np.float32), None, (1, 1), VALID),
        "x has shape (2, 5, 6, 3), expected (any, any, any, 4)",
    ),
    "out_hw": (
        lambda: oracle.conv2d_dgrad(IMAGE, np.zeros((2, 2, 4, 3), np.float32), None, (1, 1), VALID, (5, 6)),
        "dy has shape (2, 5, 6, 3), expected (any, 4, 5, 3)",
    ),
    "no samples": (
        lambda: oracle.linear(np.zeros((0, 3)), np.zeros((3, 4)), None),
        "x has shape (0, 3), expected (any, 3); an axis of size 0 holds no data",
    ),
    "odd image": (lambda: oracle.avgpool2x(IMAGE), "an image of 5x6 cannot be cut in 2x2 blocks; give even sizes"),
    "split at 0": (lambda: oracle.split(IMAGE, 0), "cannot split 3 channels after 0"),
    "split at the end": (lambda: oracle.split(IMAGE, 3), "cannot split 3 channels after 3"),
    "group": (lambda: oracle.minibatch_stddev(IMAGE, 3, 1e-8), "a batch of 2 cannot be cut in groups of 3"),
    "group 0": (lambda: oracle.minibatch_stddev(IMAGE, 0, 1e-8), "a batch of 2 cannot be cut in groups of 0"),
    "label": (lambda: oracle.embedding(LABELS, np.zeros((3, 4))), "labels lie in [0, 3], expected [0, 2]"),
    "negative label": (lambda: oracle.embedding(-LABELS, np.zeros((5, 4))), "labels lie in [-3, 0], expected [0, 4]"),
    "class": (
        lambda: oracle.softmax_cross_entropy(np.zeros((2, 3)), LABELS), "labels lie in [0, 3], expected [0, 2]",
    ),
    "gather": (
        lambda: oracle.gather_pixels(IMAGE, np.array([[30], [0]], np.int32)),
        "index lies in [0, 30], expected [-1, 29]",
    ),
    "gather below": (
        lambda: oracle.gather_pixels(IMAGE, np.array([[-2], [0]], np.int32)),
        "index lies in [-2, 0], expected [-1, 29]",
    ),
    "gather backward": (
        lambda: oracle.gather_pixels_backward(np.zeros((2, 1, 3)), np.array([[30], [0]], np.int32), (5, 6)),
        "index lies in [0, 30], expected [-1, 29]",
    ),
    "padding larger than dy": (
        lambda: oracle.pad_backward(IMAGE, ((3, 2), (0, 0))),
        "dy has shape (2, 5, 6, 3), too small to hold padding ((3, 2), (0, 0)), expected at least 6x1",
    ),
    "loss kind": (
        lambda: oracle.logit_loss(IMAGE, "bec", 1.0),
        "loss kind 'bec' is unknown; known: bce, mse, hinge, linear, minimax",
    ),
    "strings": (
        lambda: oracle.asarray(["a"]),
        "an array of <U1 was given; the numpy backend takes float32, float64 or integers",
    ),
    "half": (
        lambda: oracle.asarray(np.zeros(2, np.float16)),
        "an array of float16 was given; the numpy backend takes float32, float64 or integers",
    ),
    "activation": (lambda: make_act("rely"), "activation 'rely' is unknown; known: relu, leaky_relu, tanh, sigmoid"),
    "slope": (
        lambda: make_act("leaky_relu", -0.1),
        "leaky_relu got slope -0.1, but its backward reads only y, so slope must be >= 0",
    ),
    "NaN slope": (
        lambda: make_act("leaky_relu", float("nan")),
        "leaky_relu got slope nan, but its backward reads only y, so slope must be >= 0",
    ),
    "stride": (lambda: pair((2, 0), "stride"), "stride (2, 0) must be at least 1 in both directions"),
    "padding word": (
        lambda: pads("full", (3, 3), (1, 1), (5, 5)),
        "padding 'full' is unknown; give 'same', 'valid', an int or ((top, bottom), (left, right))",
    ),
    "negative padding": (
        lambda: pads(((0, -1), (0, 0)), (3, 3), (1, 1), (5, 5)),
        "padding ((0, -1), (0, 0)) must be two pairs of numbers >= 0",
    ),
    "three pads": (
        lambda: pads((1, 2, 3), (3, 3), (1, 1), (5, 5)), "padding (1, 2, 3) must be two pairs of numbers >= 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_error_text(what: str) -> None:
    call, text = REFUSED[what]
    with pytest.raises(ShapeError) as e:
        call()
    assert str(e.value) == text


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(s, k, t) for s in range(1, 30) for k in range(1, 8) for t in (1, 2, 3)]
)
def test_same_padding_is_that_of_keras(size: int, kernel: int, stride: int) -> None:
    """ceil(size / stride) outputs, no more padding than that takes, the odd row at the bottom."""
    (before, after), _ = pads("same", (kernel, 1), (stride, 1), (size, 1))
    out, _ = conv_out((size, 1), (kernel, 1), (stride, 1), ((before, after), (0, 0)))
    assert out == -(-size // stride)
    assert after - before in (0, 1)
    assert before + after == 0 or (out - 1) * stride + kernel == size + before + after


def test_words_of_padding() -> None:
    assert pads("same", (5, 5), (2, 2), (28, 28)) == ((1, 2), (1, 2))
    assert pads("valid", (5, 3), (2, 2), (28, 28)) == VALID
    assert pads(2, (5, 3), (1, 1), (9, 9)) == ((2, 2), (2, 2))
    assert pads((1, 2), (5, 3), (1, 1), (9, 9)) == ((1, 1), (2, 2))
    assert pads(((1, 2), (3, 4)), (5, 3), (1, 1), (9, 9)) == ((1, 2), (3, 4))
    assert pair(3, "kernel") == (3, 3) and pair([1, 2], "kernel") == (1, 2)
    assert make_act(None) is None
    assert make_act("leaky_relu", 0.1) == Act("leaky_relu", 0.1) and make_act("relu", 0.1) == Act("relu", 0.0)


@pytest.mark.parametrize("layer", [Conv2d, ConvTranspose2d])
def test_layers_name_themselves(layer: type) -> None:
    with pytest.raises(ShapeError, match=r"^g\.3 \(\w+2d\) takes images \(H,W,C\), but is given \(7,\)$"):
        layer(4, 3).attach("g.3", (7,))
