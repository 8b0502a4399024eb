"""Of which terms is a gradient entry the sum? Found by probing the op itself, so that there is no second formula.

An output that is linear in some arrays is a sum of coefficients times entries, and a coefficient is what comes out when
those entries are 1 and all others 0. Two arrays that stand in a product (x and dy in dw) are probed in pairs:

    dw = wgrad(dy, x):   c[j,k] = wgrad(e_j, e_k), e_j being 1 at entry j alone, and dw = sum_jk c[j,k] dy[j] x[k]

Every backward pass is linear in dy, whatever its layer does, and its coefficients by dy are the local derivatives.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Arrays = dict[str, Numbers]
Run = Callable[[Arrays], Numbers]


class Product(NamedTuple):
    """The output holds a sum of products of one entry of each of these arrays; ("x", "x") are squares and cross terms.

    With the other products' arrays at zero, it is linear in each of them.
    """

    names: tuple[str, ...]


class Alone(NamedTuple):
    """The output is a mean, or a sum, over samples: of what each row of these arrays gives when it is a batch alone."""

    names: tuple[str, ...]
    mean: bool = True


Group = Product | Alone


class Term(NamedTuple):
    """coefficient * factors, each with the name of where it stands."""

    coefficient: float
    factors: tuple[tuple[str, float], ...]

    @property
    def value(self) -> float:
        return float(np.prod([self.coefficient, *(value for _, value in self.factors)]))

    def words(self) -> str:
        """The term by names: 0.25 dy[0,1]"""
        names = " ".join(name for name, _ in self.factors)
        sign = {1.0: "", -1.0: "-"}.get(self.coefficient)
        return f"{self.coefficient:g} {names}" if sign is None else f"{sign}{names}"

    def numbers(self) -> str:
        """The term by numbers: 0.25*(-4)"""
        factors = [f"{v:g}" if v >= 0 else f"({v:g})" for _, v in self.factors]
        sign = {1.0: "", -1.0: "-"}.get(self.coefficient)
        return "*".join([f"{self.coefficient:g}", *factors]) if sign is None else sign + "*".join(factors)


class Entry(NamedTuple):
    """An output's entry: its value, as the op gave it, and the terms that it is the sum of; () where it is no sum."""

    place: str
    value: float
    terms: tuple[Term, ...]

    @property
    def total(self) -> float:
        """The sum of the terms."""
        return sum(term.value for term in self.terms)

    def __str__(self) -> str:
        if not self.terms:
            return f"{self.place} = {self.value:g}"
        words = _joined([term.words() for term in self.terms])
        return f"{self.place} = {words} = {_joined([term.numbers() for term in self.terms])} = {self.value:g}"


def _joined(terms: Sequence[str]) -> str:
    return " + ".join(terms).replace("+ -", "- ")


def place(name: str, at: tuple[int, ...]) -> str:
    """name[i,j,...], the bare name of a 0-d array"""
    return f"{name}[{','.join(map(str, at))}]" if at else name


def entries(name: str, run: Run, arrays: Arrays, groups: Sequence[Group] | None, rest: str = "") -> list[Entry]:
    """Every entry of run(arrays) with its terms by `groups`; None: without any. What no group explains, the value that
    is left where all their arrays are zero, is one more term, called `rest`.
    """
    value = run(arrays)
    found: dict[tuple[int, ...], list[Term]] = {at: [] for at in np.ndindex(value.shape)}
    for at, term in _terms(run, arrays, groups, rest) if groups is not None else ():
        found[at].append(term)
    return [Entry(place(name, at), float(value[at]), tuple(terms)) for at, terms in found.items()]


def _terms(run: Run, arrays: Arrays, groups: Sequence[Group], rest: str) -> Iterator[tuple[tuple[int, ...], Term]]:
    still = {name for group in groups if isinstance(group, Product) for name in group.names}
    zeros = arrays | {name: np.zeros_like(arrays[name]) for name in still}
    base = run(zeros) if still else np.zeros(())
    for group in groups:
        if isinstance(group, Alone):
            yield from _alone(run, arrays, group)
        elif len(group.names) == 2 and len(set(group.names)) == 1:
            yield from _squares(run, arrays, zeros, base, group.names[0])
        else:
            yield from _products(run, arrays, zeros, base, group.names)
    for at in np.argwhere(base):
        yield tuple(map(int, at)), Term(1.0, ((rest, float(base[tuple(at)])),))


def _unit(like: Numbers, *ats: tuple[int, ...]) -> Numbers:
    e = np.zeros_like(like)
    for at in ats:
        e[at] += 1
    return e


def _products(
    run: Run, arrays: Arrays, zeros: Arrays, base: Numbers, names: tuple[str, ...]
) -> Iterator[tuple[tuple[int, ...], Term]]:
    for ats in product(*(np.ndindex(arrays[name].shape) for name in names)):
        units = {name: _unit(arrays[name], at) for name, at in zip(names, ats, strict=True)}
        c = run(zeros | units) - base
        factors = tuple((place(name, at), float(arrays[name][at])) for name, at in zip(names, ats, strict=True))
        for to in np.argwhere(c):
            yield tuple(map(int, to)), Term(float(c[tuple(to)]), factors)


def _squares(
    run: Run, arrays: Arrays, zeros: Arrays, base: Numbers, name: str
) -> Iterator[tuple[tuple[int, ...], Term]]:
    """A quadratic form: c[j,j] from e_j, and c[j,k] from what e_j + e_k gives beyond that."""
    a = arrays[name]
    ats = list(np.ndindex(a.shape))
    own = {at: run(zeros | {name: _unit(a, at)}) - base for at in ats}
    for i, j in enumerate(ats):
        for k in ats[i:]:
            both = own[j] if j == k else run(zeros | {name: _unit(a, j, k)}) - base - own[j] - own[k]
            factors = ((place(name, j), float(a[j])), (place(name, k), float(a[k])))
            for to in np.argwhere(both):
                yield tuple(map(int, to)), Term(float(both[tuple(to)]), factors)


def _alone(run: Run, arrays: Arrays, group: Alone) -> Iterator[tuple[tuple[int, ...], Term]]:
    """Row n of an output that has rows comes from row n alone; any other output from all rows."""
    rows = len(arrays[group.names[0]])
    whole = run(arrays).shape
    share = 1 / rows if group.mean else 1.0
    for n in range(rows):
        own = run(arrays | {name: arrays[name][n : n + 1] for name in group.names})
        by_row = own.shape != whole
        for at in np.ndindex(own.shape):
            to = (n, *at[1:]) if by_row else at
            yield to, Term(share, ((f"(by sample {n} alone)", float(own[at])),))
