"""Products of scalars: powers of the same scalar brought together, fractions cleared."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

from gdiff.derivation.tree import SCALAR, Call, Node, Number, Power, Product, Sum, add, inverse, number, product, split

Factor = tuple[Node, Fraction]  # a scalar, its exponent


def settled(
    coefficient: Fraction, scalars: Iterable[Node], is_positive: Callable[[Node], bool] = lambda _: False
) -> tuple[Fraction, tuple[Node, ...]]:
    """The number, and every scalar once: norm(x)/norm(x) is 1, and 1/(1 + q/n)/n is 1/(n + q). Divisors come last."""
    found: dict[Node, Fraction] = {}
    for scalar in scalars:
        own, factors = powers(scalar, Fraction(1), is_positive)
        coefficient *= own
        for base, exponent in factors:
            found[base] = found.get(base, Fraction(0)) + exponent
    for base in [b for b, k in found.items() if isinstance(b, Call) and b.function == "abs" and k % 2 == 0]:
        inner = base.arguments[0]  # |a|^2 is a^2
        found[inner] = found.get(inner, Fraction(0)) + found.pop(base)
    for base in [b for b, k in found.items() if isinstance(b, Sum) and k == -1]:
        for other in [b for b, k in found.items() if k <= -1]:
            cleared = _cleared(base, other)
            if cleared is not None:
                del found[base]
                found[other] += 1
                found[cleared] = found.get(cleared, Fraction(0)) - 1
                break
    made = [(k < 0, replace(raised(base, k), shape=SCALAR)) for base, k in found.items() if k]
    return coefficient, tuple(node for _, node in sorted(made, key=lambda pair: pair[0]))


def powers(scalar: Node, k: Fraction, is_positive: Callable[[Node], bool]) -> tuple[Fraction, list[Factor]]:
    """A scalar to the power k as a number and powers of others: (2*s)^-2 is 1/4 and s^-2."""
    whole = k.denominator == 1
    match scalar:
        case Number(value) if whole and (value or k > 0):
            return value ** int(k), []
        case Power(base, Number(exponent)) if whole or exponent.numerator % 2 or is_positive(base):
            return powers(base, k * exponent, is_positive)  # (a^2)^(1/2) is |a|, and stays
        case Call("sqrt", (inner,)) if inner.is_scalar:
            return powers(inner, k / 2, is_positive)
        case Product(factors) if all(f.is_scalar for f in factors) and (whole or all(map(is_positive, factors))):
            coefficient, out = Fraction(1), list[Factor]()
            for factor in factors:
                own, found = powers(factor, k, is_positive)
                coefficient, out = coefficient * own, out + found
            return coefficient, out
        case Product((Number(value), *rest)) if whole and not all(f.is_scalar for f in rest):
            return value ** int(k), [(replace(product(1, rest), shape=SCALAR), k)]
    return Fraction(1), [(scalar, k)]


def raised(base: Node, k: Fraction) -> Node:
    """A scalar to a power, the square root as such."""
    if abs(k) == Fraction(1, 2):
        root = Call("sqrt", (base,), shape=SCALAR)
        return root if k > 0 else replace(inverse(root), shape=SCALAR)
    return base if k == 1 else Power(base, number(k), shape=SCALAR)


def _cleared(total: Sum, denominator: Node) -> Node | None:
    """The sum times the denominator, if every fraction over it goes away: (1 + q/n)*n is n + q."""
    out, gone = [], False
    for term in total.terms:
        coefficient, rest = split(term)
        factors = list(rest.factors) if isinstance(rest, Product) else [] if rest is None else [rest]
        over = [f for f in factors if f.is_scalar and f == Power(denominator, number(-1))]
        if over:
            factors.remove(over[0])
            gone = True
            made = product(coefficient, factors)
        else:
            made = product(coefficient, [denominator, *factors])
        out.append(replace(made, shape=SCALAR))
    return replace(add(out), shape=SCALAR) if gone else None
