"""Is a hand-written gradient right? Compared, entry by entry, with how the output really changes.

Central differences   n = <dy, y(x + eps e) - y(x - eps e)> / (2 eps)    float64, any function
Complex step          c = Im <dy, y(x + i h e)> / h,  h = 1e-30          complex128, without cancellation, analytic ones

Sources: Griewank & Walther 2008, "Evaluating Derivatives"; Squire & Trapp 1998, "Using complex variables to estimate
derivatives of real functions".
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigan.errors import ShapeError
from minigan.models.shapes import Array

EPS = 1e-6
BOUND, BOUND_COMPLEX = 1e-6, 1e-10
ZERO, ZERO_COMPLEX = 1e-8, 1e-14  # both values below: the derivative is zero
_STEP = 1e-30
_STREAM = 0x6763  # so that dy is not drawn like inputs that the caller drew from the same seed
_FLOOR = 1e-3  # entries below this part of their input's largest derivative are measured against it
_KINKS = 0.01  # part of the points that may lie on a kink
_ROUNDINGS = 4  # of an ulp of each moved output, in a difference
_MOSTLY = 0.9  # part of zeros from which a check proves nothing


class Result(NamedTuple):
    """One row of the table. `verdict` is "ok" or what is wrong; `where` names the worst entry."""

    op: str
    points: int
    worst: float
    where: str
    analytic: float
    numeric: float
    kinks: int
    worst_complex: float | None
    verdict: str

    @property
    def ok(self) -> bool:
        """Whether the gradients are proven right."""
        return self.verdict == "ok"

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        by_complex = "" if self.worst_complex is None else f", complex step {self.worst_complex:.1e}"
        place = f"{self.where}: analytic {self.analytic:.9g}, numeric {self.numeric:.9g}"
        found = f"{self.points} points, worst {self.worst:.1e} at {place}, kinks {self.kinks}{by_complex}"
        return f"{self.op}: {self.verdict}; {found}"


class _Entry(NamedTuple):
    error: float
    where: str
    analytic: float
    numeric: float
    kink: bool = False
    noisy: bool = False


def gradcheck(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[Array] | Mapping[str, Array],
    *,
    eps: float = EPS,
    points: int | None = 40,
    seed: int = 0,
    op: str = "gradcheck",
    smooth: bool = False,
    analytic: bool = False,
) -> Result:
    """Holds backward against forward at `points` random entries of every input (None: at all of them).

    forward(*inputs) -> y, an array or a tuple of arrays; backward(dy, *inputs) -> a gradient per input, None: skip it
    inputs are float64, in order, or by name; integers (labels) are passed on unchanged and need None.

    Error of an entry: |a - n| / max(|a|, |n|, 1e-3 max|n|), at most 1e-6; two values below 1e-8 count as zero.
    A *kink* is an entry whose analytic value lies between the one-sided differences, which disagree: at most 1 % of the
    points, none when `smooth`. `analytic` adds the complex step, bound 1e-10; forward then takes complex128.
    A difference carries rounding of about 2^-52 sum |dy y| / eps: a gradient that is only wrong within it is "lost in
    rounding", not proven; values of y near 1 mend that.
    Verdicts: ok, wrong, wrong (complex step), too many kinks, lost in rounding, inputs changed, untrusted (over 90 %
    zeros, or a gradient whose entries are all below 1e-8 without being zero).
    Raises ShapeError when the inputs are no float64, or backward's answer does not fit them.
    """
    if isinstance(inputs, np.ndarray):
        raise ShapeError(f"inputs is an array of shape {inputs.shape}; give a list of arrays, one for each argument")
    names = list(inputs) if isinstance(inputs, Mapping) else [f"input {i}" for i in range(len(inputs))]
    values = [np.array(a) for a in (inputs.values() if isinstance(inputs, Mapping) else inputs)]
    _check_inputs(names, values)
    g = np.random.default_rng((seed, _STREAM))
    kept = [a.copy() for a in values]
    out = forward(*values)
    y = _copies(out)
    if any(a.dtype != np.float64 for a in y):
        raise ShapeError(
            f"forward returned {', '.join(str(a.dtype) for a in y)}, but differences need float64 throughout"
        )
    dys = tuple(g.choice([-1.0, 1.0], a.shape) * g.uniform(0.5, 1.5, a.shape) for a in y)
    dy_kept = [a.copy() for a in dys]
    gradients = _gradients(backward, dys if isinstance(out, tuple) else dys[0], names, values)
    changed = any(not np.array_equal(a, b) for a, b in zip([*values, *dys], [*kept, *dy_kept], strict=True))

    entries: list[_Entry] = []
    by_complex: list[_Entry] = []
    tiny = False
    for i, da in enumerate(gradients):
        if da is None:
            continue
        flat = g.permutation(kept[i].size)[:points]
        at = [np.unravel_index(k, kept[i].shape) for k in flat]
        exact = [float(da[k]) for k in at]
        places = [f"{names[i]}[{', '.join(map(str, k))}]" for k in at]
        sides = [_one_sided(forward, kept, i, k, eps, y, dy_kept) for k in at]
        entries += _compare(places, exact, sides, ZERO, BOUND)
        tiny = tiny or max(ZERO_COMPLEX, *(noise for *_, noise in sides)) < max(map(abs, exact)) <= ZERO
        if analytic:
            numbers = [_complex_step(forward, kept, i, k, dy_kept) for k in at]
            by_complex += _compare(places, exact, [(c, c, 0.0) for c in numbers], ZERO_COMPLEX, BOUND_COMPLEX)
    if not entries:
        raise ShapeError(f"{op}: backward returned None for every input, so there is nothing to check")

    kinks = sum(e.kink for e in entries)
    noisy = any(e.noisy for e in entries)
    worst = max((e for e in entries if not e.kink and not e.noisy), key=lambda e: e.error, default=entries[0])
    worst_complex = max(by_complex, key=lambda e: e.error, default=None)
    checked = [a for a in gradients if a is not None]
    findings = {
        "inputs changed": changed,
        "wrong": not worst.error <= BOUND,
        "wrong (complex step)": worst_complex is not None and not worst_complex.error <= BOUND_COMPLEX,
        "too many kinks": kinks > (0 if smooth else _KINKS * len(entries)),
        "lost in rounding": noisy,
        "untrusted": tiny or _zeros(y, 0.0) > _MOSTLY or _zeros(checked, ZERO) > _MOSTLY,
    }
    verdict = next((word for word, found in findings.items() if found), "ok")
    shown = worst_complex if verdict == "wrong (complex step)" and worst_complex else worst
    complex_error = None if worst_complex is None else worst_complex.error
    return Result(
        op, len(entries), worst.error, shown.where, shown.analytic, shown.numeric, kinks, complex_error, verdict
    )


def _check_inputs(names: list[str], values: list[Array]) -> None:
    for name, a in zip(names, values, strict=True):
        if a.dtype != np.float64 and a.dtype.kind not in "iub":
            raise ShapeError(f"{name} is {a.dtype}, but differences need float64; give {name}.astype(numpy.float64)")
        if a.size == 0:
            raise ShapeError(f"{name} has shape {a.shape}; an axis of size 0 holds no data")


def _copies(y: Any) -> list[Array]:
    return [np.array(a) for a in (y if isinstance(y, tuple) else (y,))]


def _gradients(backward: Callable[..., Any], dy: Any, names: list[str], values: list[Array]) -> list[Array | None]:
    out = backward(dy, *values)
    out = out if isinstance(out, tuple | list) else (out,)
    if len(out) != len(values):
        raise ShapeError(
            f"backward returned {len(out)} gradients for {len(values)} inputs ({', '.join(names)}); give one for each"
        )
    for name, value, da in zip(names, values, out, strict=True):
        if da is None:
            continue
        if value.dtype.kind in "iub":
            raise ShapeError(
                f"backward returned a gradient for {name}, which is {value.dtype}; give None, or {name} as float64"
            )
        if np.shape(da) != value.shape:
            raise ShapeError(f"the gradient of {name} has shape {np.shape(da)}, expected {value.shape} as {name}")
        if np.asarray(da).dtype != np.float64:
            raise ShapeError(f"the gradient of {name} is {np.asarray(da).dtype}, expected float64 as {name}")
    return [None if da is None else np.array(da) for da in out]


def _moved(values: list[Array], i: int, at: tuple[Any, ...], by: complex, dtype: Any) -> list[Array]:
    moved = [a.astype(dtype) if a.dtype.kind == "f" else a.copy() for a in values]
    moved[i][at] += by
    return moved


def _one_sided(
    forward: Callable[..., Any], values: list[Array], i: int, at: Any, eps: float, y: list[Array], dys: list[Array]
) -> tuple[float, float, float]:
    """(left, right) differences, their rounding; each output is subtracted on its own: what rests cancels exactly."""
    up = _copies(forward(*_moved(values, i, at, eps, np.float64)))
    down = _copies(forward(*_moved(values, i, at, -eps, np.float64)))
    left = sum(float((dy * (b - a)).sum()) for dy, a, b in zip(dys, down, y, strict=True))
    right = sum(float((dy * (b - a)).sum()) for dy, a, b in zip(dys, y, up, strict=True))
    size = sum(float(np.abs(dy * a)[a != b].sum()) for dy, a, b in zip(dys, down, up, strict=True))
    return left / eps, right / eps, _ROUNDINGS * 2.0**-52 * size / eps


def _complex_step(forward: Callable[..., Any], values: list[Array], i: int, at: Any, dys: list[Array]) -> float:
    y = _copies(forward(*_moved(values, i, at, 1j * _STEP, np.complex128)))
    return sum(float((dy * a.imag).sum()) for dy, a in zip(dys, y, strict=True)) / _STEP


def _compare(
    places: list[str], analytic: list[float], sides: list[tuple[float, float, float]], zero: float, bound: float
) -> list[_Entry]:
    numeric = [(left + right) / 2 for left, right, _ in sides]
    floor = _FLOOR * max(map(abs, numeric))
    entries = []
    for place, a, n, (left, right, noise) in zip(places, analytic, numeric, sides, strict=True):
        nothing = abs(a) <= zero and abs(n) <= max(zero, noise)
        error = 0.0 if nothing else abs(a - n) / max(abs(a), abs(n), floor)
        error = error if np.isfinite(error) else np.inf
        noisy = error > bound and abs(a - n) <= noise
        kink = error > bound and not noisy and left != right and min(left, right) - zero <= a <= max(left, right) + zero
        entries.append(_Entry(error, place, a, n, kink, noisy))
    return entries


def _zeros(arrays: list[Array], zero: float) -> float:
    """Which part of all entries is zero."""
    return sum(int((np.abs(a) <= zero).sum()) for a in arrays) / sum(a.size for a in arrays)
