"""Matrix algebra on trees: every operation returns its result in the form in which a person writes it.

A product is one number, then scalars, then a chain of matrices. In a chain transposes are pushed inwards, inverses of
products are split and pairs cancelled; a part of it that is a number, x'*A*x in x'*A*x*B, becomes a scalar. A trace is
turned until it is a product where it is one: tr(A*x*x') is x'*A*x. Sums collect like terms. Nothing is multiplied out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import TypeGuard

from gdiff.derivation.powers import raised, settled
from gdiff.derivation.printer import to_text
from gdiff.derivation.structure import Structure, chain_of
from gdiff.derivation.tree import (
    SCALAR,
    Call,
    Extent,
    Node,
    Number,
    Power,
    Product,
    Shape,
    Size,
    Sum,
    Symbol,
    number,
    product,
    split,
)
from gdiff.derivation.vocabulary import differential_of

ZERO = number(0)
ONE = number(1)

# functions with f(a + b) = f(a) + f(b), f(c a) = c f(a)
LINEAR = frozenset({"t", "tr", "sum", "diag", "ddiag", "diagonal", "tril", "vec", "vech"})
_MOST_TERMS = 24  # of a product that is multiplied out
_BILINEAR = frozenset({"had", "kron"})


def shaped(node: Node, shape: Shape) -> Node:
    """The node, with its shape."""
    return node if node.shape == shape else replace(node, shape=shape)


@dataclass(frozen=True)
class Term:
    """coefficient * scalars * chain; no chain is the number 1 of a scalar, or an identity matrix."""

    coefficient: Fraction
    scalars: tuple[Node, ...]
    chain: tuple[Node, ...]
    shape: Shape

    @property
    def rest(self) -> tuple[Node, ...]:
        """All but the number in front."""
        return (*self.scalars, *self.chain)


class Algebra:
    """The operations, under what is declared of the names."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure

    # --- products -------------------------------------------------------------------------------------------------

    def times(self, *factors: Node | Fraction | int) -> Node:
        """The product, from left to right."""
        nodes = [number(f) if isinstance(f, int | Fraction) else f for f in factors]
        shape = _shape_of(nodes)
        coefficient, scalars, chain = Fraction(1), list[Node](), list[Node]()
        for node in nodes:
            term = self.term(node)
            coefficient *= term.coefficient
            if node.is_scalar and term.chain:
                scalars += [*term.scalars, shaped(product(1, term.chain), SCALAR)]
            else:
                scalars += term.scalars
                chain += term.chain
        return self._made(coefficient, scalars, chain, shape)

    def term(self, node: Node) -> Term:
        """Take a product apart; a matrix that is none is a chain of one."""
        if isinstance(node, Number):
            return Term(node.value, (), (), node.shape)
        if isinstance(node, Call) and node.function == "eye":
            return Term(Fraction(1), (), (), node.shape)
        if isinstance(node, Product):
            coefficient, rest = split(node)
            factors = rest.factors if isinstance(rest, Product) else () if rest is None else (rest,)
            if node.is_scalar and not all(f.is_scalar for f in factors):
                outer = tuple(f for f in factors if f.is_scalar)
                inner = [f for f in factors if not f.is_scalar]
                return Term(coefficient, (*outer, shaped(product(1, inner), SCALAR)), (), SCALAR)
            scalars = tuple(f for f in factors if f.is_scalar)
            return Term(coefficient, scalars, tuple(f for f in factors if not f.is_scalar), node.shape)
        if node.is_scalar:
            return Term(Fraction(1), (node,), (), SCALAR)
        return Term(Fraction(1), (), (node,), node.shape)

    def _made(self, coefficient: Fraction, scalars: Iterable[Node], chain: Sequence[Node], shape: Shape) -> Node:
        found, runs = _without_runs(self._reduced(chain))
        if any(_is_call(_untransposed(factor), "zeros") for factor in (*found, *itertools.chain(*runs))):
            return shaped(ZERO, shape)
        extra = [self._number_of(run) for run in runs]
        coefficient, settled_scalars = settled(coefficient, [*scalars, *extra], self.structure.is_positive)
        if not coefficient:
            return shaped(ZERO, shape)
        if not found and shape != SCALAR:
            found = [identity(shape)]
        node = product(coefficient, [*settled_scalars, *found])
        if isinstance(node, Number):
            return shaped(node, shape)
        return shaped(node, shape)

    def _number_of(self, run: Sequence[Node]) -> Node:
        """A row times ... times a column, as a scalar: x'*y, sum(x) for ones'*x, tr(A'*B) for vec(A)'*vec(B)."""
        first, last = _untransposed(run[0]), run[-1]
        if len(run) > 2 and _is_call(first, "ones") and _is_call(last, "ones"):
            return self.call("sum", self.times(*run[1:-1]))
        if len(run) == 2:
            for one, other in ((first, last), (last, first)):
                if isinstance(one, Call) and one.function == "ones":
                    return self.call("sum", other)
            if _is_call(first, "vec") and _is_call(last, "vec"):
                return self.call("tr", self.times(self.t(first.arguments[0]), last.arguments[0]))
            if first == last and _is_call(first, "ones"):
                return self.call("sum", first)
        here = shaped(product(1, run), SCALAR)
        there = shaped(product(1, chain_of(self.t(f) for f in reversed(run))), SCALAR)
        return min((here, there), key=lambda node: _plainness(node.factors))  # type: ignore[attr-defined]

    def _reduced(self, chain: Iterable[Node]) -> list[Node]:
        """The chain without identities, with neighbours that cancel or merge taken together."""
        out: list[Node] = []
        for factor in chain_of(chain):
            if _is_call(factor, "eye"):
                continue
            out.append(factor)
            while len(out) > 1:
                met = self._met(out)
                if met is None:
                    break
                used, made = met
                out[len(out) - used :] = made
        return out

    def _met(self, out: Sequence[Node]) -> tuple[int, list[Node]] | None:
        """What the last factors come to, and how many they are; None if nothing is to be done."""
        a, b = out[-2:]
        (base, j), (other, k) = self.whole_power(a), self.whole_power(b)
        if base == other and base.shape[0] == base.shape[1] and not _is_call(base, "d"):
            return 2, [self.power(base, j + k)] if j + k else []
        if self.structure.is_orthogonal(a) and b == self.t(a):
            return 2, []
        for size in range(2, len(out)):  # inv(X'*A*X) before and after the whole of X'*A*X
            for inner, whole in ((out[-size - 1], out[-size:]), (out[-1], out[-size - 1 : -1])):
                if isinstance(inner, Power) and inner.is_inverse and inner.base == product(1, whole):
                    return size + 1, []
        if len(out) > 2 and out[-3] == b and (_pinv_of(a) == b or _pinv_of(b) == a):
            return 3, [b]  # the first two of Penrose's conditions
        for x, other in ((_untransposed(b), a), (_untransposed(a), b)):
            if _is_call(other, "t") and _pinv_of(other.arguments[0]) == x and _is_call(b if other is a else a, "t"):
                # the other two: X X^+ and X^+ X are symmetric
                return 2, [x, self.call("pinv", x)] if other is a else [self.call("pinv", x), x]
        if _is_call(a, "kron") and _is_call(b, "kron"):
            (p, q), (r, s) = a.arguments, b.arguments
            if p.shape[1] == r.shape[0] and q.shape[1] == s.shape[0]:
                return 2, [self.call("kron", self.times(p, r), self.times(q, s))]
        if _is_call(a, "kron") and _is_call(b, "vec"):
            (p, q), x = a.arguments, b.arguments[0]
            if q.shape[1] == x.shape[0] and p.shape[1] == x.shape[1]:
                return 2, [self.call("vec", self.times(q, x, self.t(p)))]
        if _is_call(a, "cbind") and _is_call(b, "rbind") and len(a.arguments) == len(b.arguments):
            pairs = list(zip(a.arguments, b.arguments, strict=True))
            if all(x.shape[1] == y.shape[0] for x, y in pairs):
                made = [m for m in (self.times(x, y) for x, y in pairs) if not is_zero(m)]
                if len(made) == 1:  # a block, picked out
                    return 2, chain_of(made)
        if _is_call(a, "commutation") and _is_call(b, "vec") and a.arguments[0] == _extent(b.arguments[0].shape[0]):
            return 2, [self.call("vec", self.t(b.arguments[0]))]
        if _is_call(a, "commutation") and _is_call(b, "commutation") and a.arguments == b.arguments[::-1]:
            return 2, []
        if _is_call(a, "commutation") and _is_call(b, "duplication"):
            return 2, [b]
        return None

    def parts(self, node: Product) -> list[Node]:
        """The factors of a product, each of which may move: scalars one by one, then the chain."""
        term = self.term(node)
        if node.is_scalar and not term.chain and len(term.scalars) == 1 and isinstance(term.scalars[0], Product):
            return [number(term.coefficient), *term.scalars[0].factors]
        return [number(term.coefficient), *term.rest]

    # --- sums -----------------------------------------------------------------------------------------------------

    def add(self, *terms: Node) -> Node:
        """The sum, like terms collected, in the order of the terms given."""
        shape = terms[0].shape
        found: dict[Node, Fraction] = {}
        for term in terms:
            for coefficient, rest in self._summands(Fraction(1), term):
                found[rest] = found.get(rest, Fraction(0)) + coefficient
        made = [shaped(product(c, [rest]), shape) for rest, c in found.items() if c]
        if not made:
            return shaped(ZERO, shape)
        return made[0] if len(made) == 1 else shaped(Sum(tuple(made)), shape)

    def _summands(self, coefficient: Fraction, node: Node) -> Iterable[tuple[Fraction, Node]]:
        value, rest = split(node)
        coefficient *= value
        if not coefficient:
            return
        if isinstance(rest, Sum):
            for term in rest.terms:
                yield from self._summands(coefficient, term)
        else:
            yield coefficient, shaped(ONE if rest is None else rest, node.shape)

    def subtract(self, a: Node, b: Node) -> Node:
        """The difference."""
        return self.add(a, self.times(-1, b))

    # --- the other operations -------------------------------------------------------------------------------------

    def t(self, node: Node) -> Node:
        """The transpose."""
        turned = self.structure.transposed(node)
        return self.add(*turned.terms) if isinstance(turned, Sum) else turned

    def inverse(self, node: Node) -> Node:
        """The inverse of a square matrix, or the reciprocal of a scalar."""
        return self.power(node, -1)

    def power(self, base: Node, exponent: Fraction | int | Node) -> Node:
        """A whole power of a matrix, any power of a scalar."""
        if isinstance(exponent, Node) and not isinstance(exponent, Number):
            return shaped(Power(base, exponent), SCALAR)
        k = exponent.value if isinstance(exponent, Number) else Fraction(exponent)
        if base.is_scalar:
            coefficient, scalars = settled(Fraction(1), [raised(base, k)] if k else [], self.structure.is_positive)
            return shaped(product(coefficient, scalars), SCALAR)
        if k == 1:
            return base
        if k == 0:
            return identity(base.shape)
        found, own = self.whole_power(base)
        if found is not base:
            return self.power(found, own * k)
        if k < 0:
            return self._inverse(base, int(-k))
        return shaped(Power(base, number(k)), base.shape)

    def whole_power(self, node: Node) -> tuple[Node, Fraction]:
        """A matrix as a whole power of another: (S, -1) for inv(S)."""
        if isinstance(node, Power) and isinstance(node.exponent, Number):
            return node.base, node.exponent.value
        if _is_call(node, "t"):
            inner = node.arguments[0]
            base, k = self.whole_power(inner)
            if base is not inner:
                return self.t(base), k
        return node, Fraction(1)

    def _inverse(self, base: Node, k: int) -> Node:
        if _is_call(base, "eye"):
            return base
        if self.structure.is_orthogonal(base):
            return self.power(self.t(base), k)
        term = self.term(base)
        if (term.coefficient, term.scalars) != (1, ()):
            if not term.chain:
                return self.times(self.power(self.times(term.coefficient, *term.scalars), -k), identity(base.shape))
            inner = self._inverse(shaped(product(1, term.chain), base.shape), k)
            return self.times(self.power(self.times(term.coefficient, *term.scalars), -k), inner)
        if len(term.chain) > 1 and all(f.shape == base.shape for f in term.chain):
            turned = [self.inverse(f) for f in reversed(term.chain)]
            return self.times(*turned * k)
        if _is_call(base, "t"):
            return self.t(self._inverse(base.arguments[0], k))
        if _is_call(base, "kron") and all(a.shape[0] == a.shape[1] for a in base.arguments):
            return self.call("kron", *(self.power(a, -k) for a in base.arguments))
        if _is_call(base, "diag"):
            return self.call("diag", self.call("hadpow", base.arguments[0], number(-k)))
        return shaped(Power(base, number(-k)), base.shape)

    def call(self, name: str, *arguments: Node) -> Node:
        """A named function of its arguments."""
        if name == "t":
            return self.t(arguments[0])
        if name not in LINEAR | _BILINEAR | {"d"}:
            arguments = tuple(map(written_out, arguments))
        if name in LINEAR:
            (argument,) = arguments
            if isinstance(argument, Number) and not argument.value:
                return shaped(ZERO, _result_shape(name, arguments))
            if argument.is_scalar:
                return argument
            term = self.term(argument)
            if (term.coefficient, term.scalars) != (1, ()):
                inner = self._made(Fraction(1), (), term.chain, argument.shape)
                return self.times(term.coefficient, *term.scalars, self.call(name, inner))
        if name in _BILINEAR:
            terms = [self.term(argument) for argument in arguments]
            shape = _result_shape(name, arguments)
            if any(isinstance(argument, Number) and not argument.value for argument in arguments):
                return shaped(ZERO, shape)
            if any((term.coefficient, term.scalars) != (1, ()) for term in terms):
                bare = [self._made(Fraction(1), (), x.chain, a.shape) for x, a in zip(terms, arguments, strict=True)]
                front = [part for x in terms for part in (number(x.coefficient), *x.scalars)]
                return self.times(*front, self.call(name, *bare))
        special = getattr(self, f"_{name}", None)
        made = special(*arguments) if special else None
        return made if made is not None else shaped(Call(name, arguments), _result_shape(name, arguments))

    def _tr(self, a: Node) -> Node | None:
        if isinstance(a, Sum):
            return self.add(*(self.call("tr", term) for term in a.terms))
        if _is_call(a, "t"):
            return self.call("tr", a.arguments[0])
        if _is_call(a, "eye"):
            return number(a.shape[0]) if isinstance(a.shape[0], int) else None
        if _is_call(a, "kron") and all(x.shape[0] == x.shape[1] for x in a.arguments):
            return self.times(*(self.call("tr", x) for x in a.arguments))
        if not isinstance(a, Product):
            return None
        chain = list(a.factors)
        for i in range(1, len(chain)):
            if chain[i].shape[0] == 1:  # x*y'*A: y'*A*x
                return self.times(*chain[i:], *chain[:i])
        for i in range(len(chain)):  # inv(S)*A*S: A
            turned = self._reduced([*chain[i:], *chain[:i]])
            if len(turned) < len(chain):
                size = chain[i].shape[0]
                return self.call("tr", self._made(Fraction(1), (), turned, (size, size)))
        ways = (chain, chain_of(self.t(f) for f in reversed(chain)))
        turned = min(([*way[i:], *way[:i]] for way in ways for i in range(len(way))), key=_plainness)
        size = turned[0].shape[0]
        return shaped(Call("tr", (shaped(product(1, turned), (size, size)),)), SCALAR)

    def _sum(self, a: Node) -> Node | None:
        if a.is_scalar:
            return a
        if isinstance(a, Sum):
            return self.add(*(self.call("sum", term) for term in a.terms))
        if _is_call(a, "t"):
            return self.call("sum", a.arguments[0])
        if _is_call(a, "had") and a.arguments[0].shape[1] == 1:
            return self.times(self.t(a.arguments[0]), a.arguments[1])
        return None

    def _det(self, a: Node) -> Node | None:
        if _is_call(a, "eye"):
            return ONE
        if _is_call(a, "t"):
            return self.call("det", a.arguments[0])
        base, k = self.whole_power(a)
        return self.power(self.call("det", base), k) if k < 0 else None

    def _had(self, a: Node, b: Node) -> Node | None:
        if a.is_scalar:
            return self.times(a, b)
        for one, other in ((a, b), (b, a)):
            if _is_call(one, "ones"):
                return other
            if _is_call(one, "eye") and self.structure.is_diagonal(other):
                return other
        if _is_call(a, "eye"):
            return self.call("had", b, a)
        x, j = _entry_power(a)
        y, k = _entry_power(b)
        if j < 0 < k:
            return self.call("had", b, a)  # b./a
        if x == y and (j < 0 or k < 0 or j + k == 0):
            return self.call("hadpow", x, number(j + k))
        return None

    def _hadpow(self, a: Node, exponent: Node) -> Node | None:
        if not isinstance(exponent, Number):
            return None
        x, j = _entry_power(a)
        k = j * exponent.value
        if k.denominator != 1 and j.numerator % 2 == 0:
            return None
        if k == 0:
            return ones(a.shape)
        return x if k == 1 else shaped(Call("hadpow", (x, number(k))), a.shape)

    def _kron(self, a: Node, b: Node) -> Node | None:
        if _is_call(a, "eye") and _is_call(b, "eye"):
            return identity((size_times(a.shape[0], b.shape[0]),) * 2)
        return None

    def _ddiag(self, a: Node) -> Node | None:
        if isinstance(a, Sum) and any(self.structure.is_diagonal(term) for term in a.terms):
            return self.add(*(self.call("ddiag", term) for term in a.terms))
        return a if self.structure.is_diagonal(a) else self.call("ddiag", a.arguments[0]) if _is_call(a, "t") else None

    def _tril(self, a: Node) -> Node | None:
        if self.structure.is_lower(a):
            return a
        return self.call("ddiag", a) if self.structure.is_lower(self.t(a)) else None

    def _diagonal(self, a: Node) -> Node | None:
        if _is_call(a, "diag"):
            return a.arguments[0]
        if _is_call(a, "t"):
            return self.call("diagonal", a.arguments[0])
        if _is_call(a, "eye"):
            return ones((a.shape[0], 1))
        if isinstance(a, Product):
            for i in range(1, len(a.factors)):
                if a.factors[i].shape[0] == 1:  # diagonal(u*v') = u∘v
                    return self.call("had", self.times(*a.factors[:i]), self.t(self.times(*a.factors[i:])))
            for i in range(1, len(a.factors) - 1):
                middle = a.factors[i]
                if _is_call(middle, "diag"):  # diagonal(A*diag(v)*B) = (A∘B')*v
                    left, right = self.times(*a.factors[:i]), self.t(self.times(*a.factors[i + 1 :]))
                    return self.times(self.call("had", left, right), middle.arguments[0])
        return None

    def _diag(self, a: Node) -> Node | None:
        if _is_call(a, "diagonal"):
            return self.call("ddiag", a.arguments[0])
        return identity((a.shape[0], a.shape[0])) if _is_call(a, "ones") else None

    def _vec(self, a: Node) -> Node | None:
        return a if a.shape[1] == 1 else None

    def _pinv(self, a: Node) -> Node | None:
        if _is_call(a, "t"):
            return self.t(self.call("pinv", a.arguments[0]))
        return a.arguments[0] if _is_call(a, "pinv") else None

    def _norm(self, a: Node) -> Node | None:
        term = self.term(a)
        if (term.coefficient, term.scalars) == (1, ()):
            return None
        front = self.times(term.coefficient, *term.scalars)
        return self.times(self.absolute(front), self.call("norm", self._made(Fraction(1), (), term.chain, a.shape)))

    def absolute(self, node: Node) -> Node:
        """|a| of a scalar."""
        if isinstance(node, Number):
            return number(abs(node.value))
        value, rest = split(node)
        assert rest is not None
        return self.times(
            abs(value), rest if self.structure.is_positive(rest) else shaped(Call("abs", (rest,)), SCALAR)
        )

    def left_complement(self, x: Node) -> Node:
        """I - X X^+, which is 0 for a square X of full rank."""
        m = x.shape[0]
        return self.subtract(identity((m, m)), self.times(x, self.call("pinv", x)))

    def right_complement(self, x: Node) -> Node:
        """I - X^+ X."""
        n = x.shape[1]
        return self.subtract(identity((n, n)), self.times(self.call("pinv", x), x))

    # --- whole trees ----------------------------------------------------------------------------------------------

    def simplify(self, node: Node) -> Node:
        """The same expression, every operation of it made anew."""
        match node:
            case Sum(terms):
                return self.add(*map(self.simplify, terms))
            case Product(factors):
                return self.times(*self._grouped(factors))
            case Power(base, exponent):
                return self.power(self.simplify(base), self.simplify(exponent))
            case Call("eye", _):
                return identity(node.shape)
            case Call(name, arguments) if arguments and not any(isinstance(a, Extent) for a in arguments):
                return self.call(name, *map(self.simplify, arguments))
        return node

    def expand(self, node: Node) -> Node:
        """The same expression with products of sums multiplied out, like terms collected; as it is if that is long."""
        if isinstance(node, Sum):
            return self.add(*map(self.expand, node.terms))
        if not isinstance(node, Product):
            return node
        choices = [self._alternatives(part) for part in self.parts(node)]
        if prod(map(len, choices)) > _MOST_TERMS:
            return node
        made = [shaped(self.times(*chosen), node.shape) for chosen in itertools.product(*choices)]
        return self.add(*map(self.expand, made)) if len(made) > 1 else node

    def _alternatives(self, part: Node) -> list[Node]:
        """The terms of a factor that is a sum, or the transpose of one."""
        inner = _untransposed(part)
        if not isinstance(inner, Sum) or part.is_scalar:
            return [part]
        return [term if inner is part else self.t(term) for term in inner.terms]

    def _grouped(self, factors: Sequence[Node]) -> list[Node]:
        """The factors made anew, a part of the product that is a number taken as one."""
        out: list[Node] = []
        run: list[Node] = []
        for factor in map(self.simplify, factors):
            if factor.is_scalar:
                out.append(factor)
                continue
            run.append(factor)
            if run[0].shape[0] == 1 and factor.shape[1] == 1:
                out.append(self.times(*run))
                run = []
        return out + run


def identity(shape: Shape) -> Node:
    """The identity matrix of a shape; the number 1 for a scalar."""
    if shape == SCALAR:
        return ONE
    size = shape[0]
    return Call("eye", (Extent(size),) if isinstance(size, int | str) else (), shape=shape)


def is_zero(node: Node) -> bool:
    """Whether an expression is 0 as it is written."""
    return node == ZERO or _is_call(node, "zeros")


def written_out(node: Node) -> Node:
    """zeros(d, d) for a 0 that is a matrix, where its sizes have names."""
    is_zero = isinstance(node, Number) and node.shape != SCALAR
    return zeros(node.shape) if is_zero and all(isinstance(s, int | str) for s in node.shape) else node


def ones(shape: Shape) -> Node:
    """A matrix of ones."""
    return Call("ones", extents(shape), shape=shape)


def zeros(shape: Shape) -> Node:
    """A matrix of zeros; the number 0 for a scalar."""
    if shape == SCALAR:
        return ZERO
    return Call("zeros", extents(shape), shape=shape)


def extents(shape: Shape) -> tuple[Extent, ...]:
    """The sizes of a constant matrix, written out; one for a column."""
    rows, columns = shape
    return (_extent(rows),) if columns == 1 else (_extent(rows), _extent(columns))


def _extent(size: object) -> Extent:
    assert isinstance(size, int | str), "a size that is made of others has no name"
    return Extent(size)


def _is_call(node: Node, name: str) -> TypeGuard[Call]:
    return isinstance(node, Call) and node.function == name


def _pinv_of(node: Node) -> Node | None:
    return node.arguments[0] if isinstance(node, Call) and node.function == "pinv" else None


def _without_runs(chain: Sequence[Node]) -> tuple[list[Node], list[list[Node]]]:
    """Take the parts of a chain that are numbers out of it: x'*A*x of B*u*x'*A*x."""
    left, runs = list(chain), list[list[Node]]()
    while True:
        ends = [
            (i, j)
            for i, first in enumerate(left)
            if first.shape[0] == 1
            for j in range(i, len(left))
            if left[j].shape[1] == 1
        ]
        if not ends:
            return left, runs
        i, j = min(ends, key=lambda pair: (pair[1] - pair[0], pair[0]))
        runs.append(left[i : j + 1])
        del left[i : j + 1]


def _untransposed(node: Node) -> Node:
    return node.arguments[0] if _is_call(node, "t") else node


def _entry_power(node: Node) -> tuple[Node, Fraction]:
    """An array as an entrywise power of another."""
    if isinstance(node, Call) and node.function == "hadpow" and isinstance(node.arguments[1], Number):
        return node.arguments[0], node.arguments[1].value
    return node, Fraction(1)


def _shape_of(nodes: Sequence[Node]) -> Shape:
    matrices = [node for node in nodes if not node.is_scalar]
    return (matrices[0].shape[0], matrices[-1].shape[1]) if matrices else SCALAR


def _result_shape(name: str, arguments: Sequence[Node]) -> Shape:
    a = arguments[0]
    rows, columns = a.shape
    match name:
        case "tr" | "det" | "sum" | "norm":
            return SCALAR
        case "diag":
            return rows, rows
        case "diagonal":
            return rows, 1
        case "pinv":
            return columns, rows
        case "vec":
            return size_times(rows, columns), 1
        case "vech":
            return ("triangle", rows) if not isinstance(rows, int) else rows * (rows + 1) // 2, 1
        case "kron":
            b = arguments[1]
            return size_times(rows, b.shape[0]), size_times(columns, b.shape[1])
        case "cbind":
            return rows, size_plus([b.shape[1] for b in arguments])
        case "rbind":
            return size_plus([b.shape[0] for b in arguments]), columns
    return a.shape


def size_times(*sizes: Size) -> Size:
    """The product of sizes, as a size."""
    flat = [p for s in sizes for p in (s[1:] if isinstance(s, tuple) and s[0] == "times" else (s,))]
    known = prod(p for p in flat if isinstance(p, int))
    rest = sorted((p for p in flat if not isinstance(p, int)), key=repr)
    factors = ([known] if known != 1 or not rest else []) + rest
    return factors[0] if len(factors) == 1 else ("times", *factors)


def size_plus(sizes: Sequence[Size]) -> Size:
    """The sum of sizes, as a size."""
    known = sum(s for s in sizes if isinstance(s, int))
    rest = sorted((s for s in sizes if not isinstance(s, int)), key=repr)
    summands = ([known] if known or not rest else []) + rest
    return summands[0] if len(summands) == 1 else ("plus", *summands)


def _plainness(factors: Sequence[Node]) -> tuple[int, bool, str]:
    """What is written with few transposes, a differential at the end, and in one order of two, comes first."""
    steps = [is_differential(factor) for factor in factors]
    transposes = sum(_is_call(f, "t") for f in factors)
    return transposes, any(steps) and not steps[-1], to_text(product(1, factors))


def is_differential(node: Node) -> bool:
    """Whether a factor is dX, d(...), or the transpose of one."""
    inner = _untransposed(node)
    return _is_call(inner, "d") or (isinstance(inner, Symbol) and differential_of(inner.name) is not None)
