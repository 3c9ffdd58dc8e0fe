"""How a person writes a result: common factors out in front, like parts together, the correction for symmetry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import reduce
from math import gcd, lcm
from typing import Any, TypeGuard

from gdiff.derivation.algebra import Algebra
from gdiff.derivation.arithmetic import Term
from gdiff.derivation.constants import identity, shaped, written_out
from gdiff.derivation.powers import powers, raised
from gdiff.derivation.tree import (
    SCALAR,
    Call,
    Extent,
    Node,
    Number,
    Power,
    Product,
    Shape,
    Sum,
    number,
    product,
    scale,
    split,
)

_TOGETHER = frozenset({"diag", "diagonal", "ddiag", "tril"})  # f(A) + f(B) = f(A + B) is one function fewer
_WORTH = 1  # operations that a sum must save to be multiplied out: x - m stays as it was typed
_TERM_BY_TERM = 2  # terms up to which the correction for symmetry is written out for each


def operations(node: Node) -> int:
    """How many operations a person writes: sums, products, powers, transposes, functions."""
    match node:
        case Sum(terms):
            signs = sum(split(term)[0] == -1 for term in terms[1:])
            return len(terms) - 1 - signs + sum(map(operations, terms))
        case Product(factors):
            divisors = sum(isinstance(f, Power) and f.is_inverse and f.is_scalar for f in factors)
            return len(factors) - 1 - divisors + sum(map(operations, factors))
        case Power(base, exponent):
            return 1 + operations(base) + (0 if isinstance(exponent, Number) else operations(exponent))
        case Call(_, arguments):
            return bool(arguments) * (not any(isinstance(x, Extent) for x in arguments)) + sum(
                map(operations, arguments)
            )
        case Number(value):
            return int(value.denominator != 1)
    return 0


def tidiest(node: Node, algebra: Algebra) -> Node:
    """The tidiest of an expression, as it is or multiplied out; short terms of a sum first."""
    made = []
    for form in (node, algebra.expand(node)):
        terms = form.terms if isinstance(form, Sum) else (form,)
        made.append(tidy(algebra.add(*sorted(terms, key=operations)), algebra))
    as_typed, expanded = made
    return expanded if operations(expanded) < operations(as_typed) - _WORTH else as_typed


def tidy(node: Node, algebra: Algebra) -> Node:
    """The same expression with fewer operations, where factors that terms share can stand outside a bracket."""
    match node:
        case Sum(terms):
            return _factored([tidy(term, algebra) for term in terms], algebra)
        case Product():
            return shaped(algebra.times(*(tidy(part, algebra) for part in algebra.parts(node))), node.shape)
        case Power(base, exponent):
            return Power(tidy(base, algebra), tidy(exponent, algebra), shape=node.shape)
        case Call(name, arguments) if arguments and not any(isinstance(a, Extent) for a in arguments):
            return Call(name, tuple(tidy(a, algebra) for a in arguments), shape=node.shape)
    return node


def presented(node: Node, *, bare: bool = True) -> Node:
    """The tree as it is printed: divisors at the end, x/a^2 for a^-2*x, and `I` for an identity matrix.

    An identity in a Kronecker product, a trace or a block keeps its size, which nothing beside it tells.
    """
    match node:
        case Number():
            return written_out(node)
        case Sum(terms):
            return shaped(Sum(tuple(presented(t, bare=bare) for t in terms)), node.shape)
        case Product(factors):
            made = [_as_divisor(presented(f, bare=bare)) for f in factors]
            return shaped(Product(tuple(sorted(made, key=_divides))), node.shape)
        case Power(base, exponent):
            return _as_divisor(Power(presented(base), presented(exponent), shape=node.shape))
        case Call("eye", _):
            return Call("eye", (), shape=node.shape) if bare else node
        case Call(name, arguments):
            sizes = name not in ("kron", "tr", "rbind", "cbind", "vec", "sum", "det")
            return Call(name, tuple(presented(a, bare=sizes and bare) for a in arguments), shape=node.shape)
    return node


def _divides(node: Node) -> bool:
    return isinstance(node, Power) and node.is_inverse and node.is_scalar


def _as_divisor(node: Node) -> Node:
    """1/a^2 for a^-2."""
    if isinstance(node, Power) and node.is_scalar and isinstance(node.exponent, Number) and node.exponent.value < 0:
        k = -node.exponent.value
        below = node.base if k == 1 else Power(node.base, number(k), shape=node.shape)
        return Power(below, number(-1), shape=node.shape)
    return node


def content(coefficients: Iterable[Fraction]) -> Fraction:
    """The largest number that divides them all into integers, with the sign of the first."""
    every = list(coefficients)
    size = Fraction(reduce(gcd, (c.numerator for c in every)), reduce(lcm, (c.denominator for c in every)))
    return size if every[0] > 0 else -size


def _factored(terms: Sequence[Node], a: Algebra) -> Node:
    """Numbers and scalars that all terms share in front, then matrices at either end."""
    shape = terms[0].shape
    terms = _positive_first(terms)
    parts = [a.term(term) for term in terms]
    front = content(part.coefficient for part in parts)
    if abs(front) == 1 and any(part.coefficient > 0 for part in parts):
        front = Fraction(1)
    shared = _shared([part.scalars for part in parts], a)
    inner: list[Node] = []
    for part in parts:
        scalars = a.term(a.times(*part.scalars, *(a.inverse(s) for s in shared)))
        inner.append(_made(part.coefficient * scalars.coefficient / front, scalars.scalars, part.chain, shape))
    forms = [_in_front(front, shared, inner, a), shaped(Sum(tuple(terms)), shape)]
    if front != 1:
        negated = _positive_first([shaped(scale(-1, term), shape) for term in inner])
        forms.insert(1, _in_front(-front, shared, negated, a))
    return min(forms, key=lambda form: (operations(form), _begins_negative(form)))


def _begins_negative(node: Node) -> bool:
    """Whether a sum, or the sum in a product, begins with a minus."""
    inner = next((f for f in node.factors if isinstance(f, Sum)), node) if isinstance(node, Product) else node
    return isinstance(inner, Sum) and split(inner.terms[0])[0] < 0


def _in_front(front: Fraction, shared: Sequence[Node], terms: list[Node], a: Algebra) -> Node:
    """A number and scalars in front of what terms come to when they are grouped."""
    grouped = _grouped(_with_one_trace(terms, a), a)
    if isinstance(grouped, Sum):
        return shaped(product(front, [*shared, grouped]), grouped.shape)
    return a.times(front, *shared, grouped)


def _positive_first(terms: Sequence[Node]) -> list[Node]:
    """y - x for -x + y, where the signs alone differ."""
    signs = [split(term)[0] for term in terms]
    if signs[0] == -1 and Fraction(1) in signs and all(abs(s) == 1 for s in signs):
        first = signs.index(Fraction(1))
        return [terms[first], *terms[:first], *terms[first + 1 :]]
    return list(terms)


def _shared(scalars: Sequence[Sequence[Node]], a: Algebra) -> list[Node]:
    """The powers of scalars that all terms have: 1/q of 1/q and 1/q^2."""
    exponents = [
        dict(found for s in own for found in powers(s, Fraction(1), a.structure.is_positive)[1]) for own in scalars
    ]
    out = []
    for base in exponents[0]:
        every = [own.get(base, Fraction(0)) for own in exponents]
        least = min(every, key=abs)
        if least and all(e * least > 0 for e in every):
            out.append(shaped(raised(base, least), SCALAR))
    return out


def _made(coefficient: Fraction, scalars: Sequence[Node], chain: Sequence[Node], shape: Shape) -> Node:
    matrix = list(chain)
    if not matrix and shape != SCALAR:
        matrix = [identity(shape)]
    return shaped(product(coefficient, [*scalars, *matrix]), shape)


def _grouped(terms: list[Node], a: Algebra) -> Node:
    """Terms that share a part taken together, while that takes fewer operations: A*x + B*x is (A + B)*x."""
    shape = terms[0].shape
    while len(terms) > 1:
        best: tuple[int, list[int], Node] | None = None
        for members, whole in _ways(terms, shape, a):
            before = sum(operations(terms[i]) for i in members) + len(members) - 1
            gain = before - operations(whole)
            if gain > 0 and (best is None or gain > best[0]):
                best = gain, members, whole
        if best is None:
            break
        _, members, whole = best
        terms = [whole if i == members[0] else t for i, t in enumerate(terms) if i not in members[1:]]
    return terms[0] if len(terms) == 1 else shaped(Sum(tuple(terms)), shape)


def _ways(terms: Sequence[Node], shape: Shape, a: Algebra) -> Iterator[tuple[list[int], Node]]:
    """Which terms share a part, and what they are together: by either end, but for numbers, or within a function."""
    parts = [a.term(term) for term in terms]
    for first in (True, False):
        ends = _alike(part.chain[0 if first else -1] if len(part.chain) > 1 else None for part in parts)
        for end, members in ends.items():
            yield members, _outside(end, [terms[i] for i in members], first, shape, a)
    for chain, members in _alike(part.chain or None for part in parts).items():
        fronts = [a.times(parts[i].coefficient, *parts[i].scalars) for i in members]
        yield members, a.times(tidy(a.add(*fronts), a), *chain)
    for scalar in dict.fromkeys(s for part in parts for s in part.scalars):
        members = [i for i, part in enumerate(parts) if scalar in part.scalars]
        if 1 < len(members) < len(terms) or (shape == SCALAR and len(members) > 1):
            rests = [a.times(a.inverse(scalar), terms[i]) for i in members]
            yield members, a.times(scalar, _grouped(_with_one_trace(rests, a), a))
    single = [part.chain[0] if len(part.chain) == 1 else None for part in parts]
    calls = [call if isinstance(call, Call) else None for call in single]
    for name, members in _alike(c.function if c and c.function in _TOGETHER else None for c in calls).items():
        shapes = {c.arguments[0].shape for i in members if (c := calls[i])}
        if len(shapes) == 1:
            yield members, a.call(name, tidy(a.add(*(_front(parts[i], 0, a) for i in members)), a))
    for which in (0, 1):
        shared = _alike(c.arguments[which] if c and c.function == "had" else None for c in calls)
        for argument, members in shared.items():
            other = tidy(a.add(*(_front(parts[i], 1 - which, a) for i in members)), a)
            yield members, a.call("had", *((other, argument) if which else (argument, other)))


def _front(part: Term, which: int, a: Algebra) -> Node:
    """An argument of the function that a term is, with the numbers of the term in front."""
    (call,) = part.chain
    assert isinstance(call, Call)
    return a.times(part.coefficient, *part.scalars, call.arguments[which])


def _alike(keys: Iterable[Any]) -> dict[Any, list[int]]:
    """The positions of keys that come more than once; None is no key."""
    found: dict[Any, list[int]] = {}
    for index, key in enumerate(keys):
        if key is not None:
            found.setdefault(key, []).append(index)
    return {key: members for key, members in found.items() if len(members) > 1}


def _with_one_trace(terms: list[Node], a: Algebra) -> list[Node]:
    """a tr(M A) + b tr(M B) as tr(M (a A + b B)), where two traces share a matrix."""
    for i, first in enumerate(terms if terms[0].is_scalar else ()):
        for j in range(i + 1, len(terms)):
            one, other = _trace_of(first, a), _trace_of(terms[j], a)
            shared = [m for m in one if m in other] if one and other else []
            if not shared or not one or not other:
                continue
            rests = []
            for term, chain in ((first, one), (terms[j], other)):
                at = chain.index(shared[0])
                own = a.term(term)
                scalars = [s for s in own.scalars if not _is_trace(s)]
                rest = [*chain[at + 1 :], *chain[:at]] or [identity(shared[0].shape)]
                rests.append(a.times(own.coefficient, *scalars, *rest))
            joined = a.call("tr", a.times(shared[0], tidy(a.add(*rests), a)))
            made = [joined if k == i else term for k, term in enumerate(terms) if k != j]
            if sum(map(operations, made)) + len(made) < sum(map(operations, terms)) + len(terms):
                return _with_one_trace(made, a)
    return terms


def _is_trace(node: Node) -> TypeGuard[Call]:
    return isinstance(node, Call) and node.function == "tr"


def _trace_of(term: Node, a: Algebra) -> list[Node]:
    """The factors under the one trace of a term; none if there is no such trace."""
    traces = [s for s in a.term(term).scalars if _is_trace(s)]
    if len(traces) != 1:
        return []
    inner = traces[0].arguments[0]
    return list(inner.factors) if isinstance(inner, Product) else [inner]


def _outside(end: Node, terms: Sequence[Node], first: bool, shape: Shape, a: Algebra) -> Node:
    """End * (rests), or (rests) * end, tidied."""
    rests = []
    for term in terms:
        part = a.term(term)
        chain = part.chain[1:] if first else part.chain[:-1]
        rows, columns = (end.shape[1], shape[1]) if first else (shape[0], end.shape[0])
        rests.append(shaped(product(part.coefficient, [*part.scalars, *chain]), (rows, columns)))
    bracket = tidy(a.add(*rests), a)
    return a.times(end, bracket) if first else a.times(bracket, end)


def symmetric_correction(g: Node, algebra: Algebra) -> Node:
    """2 sym(G) - G∘I, of terms of G each, and simplified: 2*inv(S) - had(inv(S), I).

    For few terms it is written term by term, as Cookbook (141) does; for more around the whole of G.
    """
    a = algebra
    terms = sorted(g.terms, key=operations) if isinstance(g, Sum) else [g]
    eye = identity(g.shape)
    diagonal = [term for term in terms if a.structure.is_diagonal(term)]
    rest = [term for term in terms if term not in diagonal]
    if len(rest) <= _TERM_BY_TERM:
        parts = [part for term in terms for part in _corrected(term, term in diagonal, eye, a)]
        return _with_content(a.add(*parts), a)
    whole = a.add(*rest)
    symmetric = a.structure.is_symmetric(whole)
    coefficient = content(split(t)[0] for t in rest)
    inner = _grouped([scale(1 / coefficient, t) for t in rest], a)
    twice = a.times(2, inner) if symmetric else a.add(inner, a.t(inner))
    parts = [shaped(product(coefficient, [x]), g.shape) for x in _spread(twice)]
    corrected = [*parts, a.times(-coefficient, Call("had", (inner, eye), shape=g.shape)), *diagonal]
    return _with_content(shaped(Sum(tuple(corrected)), g.shape), a)


def _spread(node: Node) -> tuple[Node, ...]:
    return node.terms if isinstance(node, Sum) else (node,)


def _corrected(term: Node, diagonal: bool, eye: Node, a: Algebra) -> list[Node]:
    if diagonal:
        return [term]
    if a.structure.is_symmetric(term):
        return [a.times(2, term), a.times(-1, a.call("had", term, eye))]
    return [term, a.t(term), a.times(-1, a.call("had", term, eye))]


def _with_content(node: Node, a: Algebra) -> Node:
    """The number and the scalars that the terms share in front of a bracket."""
    if not isinstance(node, Sum):
        return node
    parts = [a.term(term) for term in node.terms]
    front, shared = content(part.coefficient for part in parts), _shared([part.scalars for part in parts], a)
    if front == 1 and not shared:
        return node
    divided = [a.times(1 / front, *(a.inverse(s) for s in shared), term) for term in node.terms]
    return shaped(product(front, [*shared, shaped(Sum(tuple(divided)), node.shape)]), node.shape)
