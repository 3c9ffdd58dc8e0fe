"""Sizes that are not known yet, and what is learned about them: union-find over the rows and columns of everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isqrt, prod
from typing import TypeAlias

from gdiff.derivation.tree import Size

_LETTERS = ("n", "p", "m", "q", "r", "s", "k", "l", "u", "v", "w")


@dataclass(frozen=True)
class Unknown:
    """A size to be found; 1 only if it says so: a matrix that was a vector all along must be declared so."""

    index: int
    label: str = ""
    may_be_one: bool = False


Term: TypeAlias = "Size | Unknown | tuple[str | Term, ...]"


class Dimensions:
    """The sizes of one reading.

    >>> sizes = Dimensions()
    >>> rows, columns = sizes.fresh(), sizes.fresh()
    >>> sizes.unify(rows, columns), sizes.unify(columns, 3), sizes.resolve(rows), sizes.unify(rows, 4)
    (True, True, 3, False)
    """

    def __init__(self) -> None:
        self._found: dict[Unknown, Term] = {}
        self._labels: dict[str, Unknown] = {}
        self._count = 0

    def fresh(self, label: str = "", *, may_be_one: bool = False) -> Unknown:
        """Make an unknown size."""
        self._count += 1
        return Unknown(self._count, label, may_be_one)

    def named(self, label: str) -> Unknown:
        """Return the size that the person named."""
        return self._labels.setdefault(label, self.fresh(label))

    def resolve(self, size: Term) -> Term:
        """Say what is known of a size."""
        while isinstance(size, Unknown) and size in self._found:
            size = self._found[size]
        if not isinstance(size, tuple):
            return size
        parts = [self.resolve(part) for part in size[1:]]
        if size[0] == "triangle":
            (d,) = parts
            return d * (d + 1) // 2 if isinstance(d, int) else ("triangle", d)
        kind = size[0]
        flat = [p for part in parts for p in (part[1:] if isinstance(part, tuple) and part[0] == kind else (part,))]
        if kind == "plus":
            known, rest = sum(p for p in flat if isinstance(p, int)), [p for p in flat if not isinstance(p, int)]
            summands = ([known] if known or not rest else []) + sorted(rest, key=repr)
            return summands[0] if len(summands) == 1 else ("plus", *summands)
        known = prod(part for part in flat if isinstance(part, int))
        rest = sorted((part for part in flat if not isinstance(part, int)), key=repr)
        factors = ([known] if known != 1 or not rest else []) + rest
        return factors[0] if len(factors) == 1 else ("times", *factors)

    def unify(self, a: Term, b: Term) -> bool:
        """Take two sizes to be equal; False if they cannot be."""
        a, b = self.resolve(a), self.resolve(b)
        if a == b:
            return True
        if isinstance(b, Unknown) and (not isinstance(a, Unknown) or not b.label):
            a, b = b, a
        if isinstance(a, Unknown):
            if isinstance(b, Unknown) and b.may_be_one and not a.may_be_one:
                a, b = b, a
            if (b == 1 and not a.may_be_one) or a in _unknowns(b):
                return False
            self._found[a] = b
            return True
        if isinstance(a, int):
            a, b = b, a
        if not isinstance(a, tuple):
            return False
        if isinstance(b, int):
            return self._solve(a, b)
        if not isinstance(b, tuple) or a[0] != b[0]:
            return False
        common = Counter(a[1:]) & Counter(b[1:])
        left = list((Counter(a[1:]) - common).elements())
        right = list((Counter(b[1:]) - common).elements())
        return len(left) == len(right) and all(self.unify(x, y) for x, y in zip(left, right, strict=True))

    def _solve(self, made: tuple[str | Term, ...], value: int) -> bool:
        """Solve d*(d+1)/2 = 6, 2*n = 6 and n*n = 9; n*m = 6 stays open."""
        if made[0] == "triangle":
            d = (isqrt(8 * value + 1) - 1) // 2
            return d * (d + 1) // 2 == value and self.unify(made[1], d)
        if made[0] == "plus":
            value -= sum(part for part in made[1:] if isinstance(part, int))
            rest = [part for part in made[1:] if not isinstance(part, int)]
            return value >= len(rest) and (len(rest) > 1 or self.unify(rest[0], value))
        known = prod(part for part in made[1:] if isinstance(part, int))
        rest = [part for part in made[1:] if not isinstance(part, int)]
        if value % known or value == 1:
            return False
        value //= known
        if len(rest) == 1:
            return self.unify(rest[0], value)
        if len(rest) == 2 and rest[0] == rest[1]:
            return isqrt(value) ** 2 == value and self.unify(rest[0], isqrt(value))
        return True

    def names(self, sizes: Iterable[Term], taken: Iterable[str] = ()) -> dict[Unknown, str]:
        """Name the sizes that stay unknown: `d` if there is one, else `n`, `p`, ..., in the order given."""
        unknowns = list(dict.fromkeys(u for size in sizes for u in _unknowns(self.resolve(size))))
        used = {*taken, *self._labels}
        letters = (*(("d",) if len(unknowns) == 1 else ()), *_LETTERS, *(f"n{i}" for i in range(len(unknowns))))
        free = (letter for letter in letters if letter not in used)
        return {u: u.label or next(free, f"n_{u.index}") for u in unknowns}


def substitute(size: Term, names: dict[Unknown, str]) -> Size:
    """Replace the unknowns of a resolved size by their names."""
    if isinstance(size, Unknown):
        return names[size]
    if isinstance(size, tuple):
        return (str(size[0]), *(substitute(part, names) for part in size[1:]))
    return size


def _unknowns(size: Term) -> Iterator[Unknown]:
    if isinstance(size, Unknown):
        yield size
    elif isinstance(size, tuple):
        for part in size[1:]:
            yield from _unknowns(part)
