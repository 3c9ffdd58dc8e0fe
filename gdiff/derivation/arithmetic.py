"""The arithmetic of matrices on trees: products, sums, transposes and powers, as a person writes what they come to.

A product is one number, then scalars, then a chain of matrices. In a chain transposes are pushed inwards, inverses of
products are split and pairs cancelled; a part of it that is a number, x'*A*x in x'*A*x*B, becomes a scalar. Like terms
of a sum are collected.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gdiff.derivation.constants import ONE, ZERO, extent, identity, is_call, is_zero, shaped, untransposed
from gdiff.derivation.powers import raised, settled
from gdiff.derivation.printer import to_text
from gdiff.derivation.structure import Structure, chain_of
from gdiff.derivation.tree import SCALAR, Call, Node, Number, Power, Product, Shape, Sum, Symbol, number, product, split
from gdiff.derivation.vocabulary import differential_of


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


class Arithmetic(ABC):
    """The operations, under what is declared of the names."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure

    @abstractmethod
    def call(self, name: str, *arguments: Node) -> Node:
        """A named function of its arguments."""

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
        reduced = self._reduced(chain)
        scalars = [*scalars, *(factor for factor in reduced if factor.is_scalar)]  # a block picked out can be one
        found, runs = _without_runs([factor for factor in reduced if not factor.is_scalar])
        if any(is_call(untransposed(factor), "zeros") for factor in (*found, *itertools.chain(*runs))):
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
        first, last = untransposed(run[0]), run[-1]
        if len(run) > 2 and is_call(first, "ones") and is_call(last, "ones"):
            return self.call("sum", self.times(*run[1:-1]))
        if len(run) == 2:
            for one, other in ((first, last), (last, first)):
                if isinstance(one, Call) and one.function == "ones":
                    return self.call("sum", other)
            if is_call(first, "vec") and is_call(last, "vec"):
                return self.call("tr", self.times(self.t(first.arguments[0]), last.arguments[0]))
            if first == last and is_call(first, "ones"):
                return self.call("sum", first)
        here = shaped(product(1, run), SCALAR)
        there = shaped(product(1, chain_of(self.t(f) for f in reversed(run))), SCALAR)
        return min((here, there), key=lambda node: plainness(node.factors))  # type: ignore[attr-defined]

    def _reduced(self, chain: Iterable[Node]) -> list[Node]:
        """The chain without identities, with neighbours that cancel or merge taken together."""
        out: list[Node] = []
        for factor in chain_of(chain):
            if is_call(factor, "eye"):
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
        if base == other and base.shape[0] == base.shape[1] and not is_call(base, "d"):
            return 2, [self.power(base, j + k)] if j + k else []
        if self.structure.is_orthogonal(a) and b == self.t(a):
            return 2, []
        for size in range(2, len(out)):  # inv(X'*A*X) before and after the whole of X'*A*X
            for inner, whole in ((out[-size - 1], out[-size:]), (out[-1], out[-size - 1 : -1])):
                if isinstance(inner, Power) and inner.is_inverse and inner.base == product(1, whole):
                    return size + 1, []
        if len(out) > 2 and out[-3] == b and (_pinv_of(a) == b or _pinv_of(b) == a):
            return 3, [b]  # the first two of Penrose's conditions
        for x, other in ((untransposed(b), a), (untransposed(a), b)):
            if is_call(other, "t") and _pinv_of(other.arguments[0]) == x and is_call(b if other is a else a, "t"):
                # the other two: X X^+ and X^+ X are symmetric
                return 2, [x, self.call("pinv", x)] if other is a else [self.call("pinv", x), x]
        if is_call(a, "diag") and b.shape[1] == 1:
            return 2, [self.call("had", a.arguments[0], b)]
        if is_call(a, "kron") and is_call(b, "kron"):
            (p, q), (r, s) = a.arguments, b.arguments
            if p.shape[1] == r.shape[0] and q.shape[1] == s.shape[0]:
                return 2, [self.call("kron", self.times(p, r), self.times(q, s))]
        if is_call(a, "kron") and is_call(b, "vec"):
            (p, q), x = a.arguments, b.arguments[0]
            if q.shape[1] == x.shape[0] and p.shape[1] == x.shape[1]:
                return 2, [self.call("vec", self.times(q, x, self.t(p)))]
        if is_call(a, "cbind") and is_call(b, "rbind") and len(a.arguments) == len(b.arguments):
            pairs = list(zip(a.arguments, b.arguments, strict=True))
            if all(x.shape[1] == y.shape[0] for x, y in pairs):
                made = [m for m in (self.times(x, y) for x, y in pairs) if not is_zero(m)]
                if len(made) == 1:  # a block, picked out
                    return 2, chain_of(made)
        if is_call(a, "commutation") and is_call(b, "vec") and a.arguments[0] == extent(b.arguments[0].shape[0]):
            return 2, [self.call("vec", self.t(b.arguments[0]))]
        if is_call(a, "commutation") and is_call(b, "commutation") and a.arguments == b.arguments[::-1]:
            return 2, []
        if is_call(a, "commutation") and is_call(b, "duplication"):
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
        if is_call(node, "t"):
            inner = node.arguments[0]
            base, k = self.whole_power(inner)
            if base is not inner:
                return self.t(base), k
        return node, Fraction(1)

    def _inverse(self, base: Node, k: int) -> Node:
        if is_call(base, "eye"):
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
        if is_call(base, "t"):
            return self.t(self._inverse(base.arguments[0], k))
        if is_call(base, "kron") and all(a.shape[0] == a.shape[1] for a in base.arguments):
            return self.call("kron", *(self.power(a, -k) for a in base.arguments))
        if is_call(base, "diag"):
            return self.call("diag", self.call("hadpow", base.arguments[0], number(-k)))
        return shaped(Power(base, number(-k)), base.shape)


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


def _shape_of(nodes: Sequence[Node]) -> Shape:
    matrices = [node for node in nodes if not node.is_scalar]
    return (matrices[0].shape[0], matrices[-1].shape[1]) if matrices else SCALAR


def plainness(factors: Sequence[Node]) -> tuple[int, bool, str]:
    """What is written with few transposes, a differential at the end, and in one order of two, comes first."""
    steps = [is_differential(factor) for factor in factors]
    transposes = sum(is_call(f, "t") for f in factors)
    return transposes, any(steps) and not steps[-1], to_text(product(1, factors))


def is_differential(node: Node) -> bool:
    """Whether a factor is dX, d(...), or the transpose of one."""
    inner = untransposed(node)
    return is_call(inner, "d") or (isinstance(inner, Symbol) and differential_of(inner.name) is not None)
