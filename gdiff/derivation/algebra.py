"""Matrix algebra on trees: every operation returns its result in the form in which a person writes it.

On top of arithmetic, the named functions: a trace is turned until it is a product where it is one, tr(A*x*x') is
x'*A*x; numbers and scalars come out of what is linear. Nothing is multiplied out unless that is asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from math import prod

from gdiff.derivation.arithmetic import Arithmetic, plainness
from gdiff.derivation.constants import (
    ONE,
    ZERO,
    identity,
    is_call,
    ones,
    result_shape,
    shaped,
    size_times,
    untransposed,
    written_out,
)
from gdiff.derivation.structure import chain_of
from gdiff.derivation.tree import SCALAR, Call, Extent, Node, Number, Power, Product, Sum, number, product, split

# functions with f(a + b) = f(a) + f(b), f(c a) = c f(a)
LINEAR = frozenset({"t", "tr", "sum", "diag", "ddiag", "diagonal", "tril", "vec", "vech"})
_MOST_TERMS = 24  # of a product that is multiplied out
_BILINEAR = frozenset({"had", "kron"})


class Algebra(Arithmetic):
    """Arithmetic, the named functions, and whole trees."""

    def call(self, name: str, *arguments: Node) -> Node:
        """A named function of its arguments."""
        if name == "t":
            return self.t(arguments[0])
        if name not in LINEAR | _BILINEAR | {"d"}:
            arguments = tuple(map(written_out, arguments))
        if name in LINEAR:
            (argument,) = arguments
            if isinstance(argument, Number) and not argument.value:
                return shaped(ZERO, result_shape(name, arguments))
            if argument.is_scalar:
                return argument
            term = self.term(argument)
            if (term.coefficient, term.scalars) != (1, ()):
                inner = self._made(Fraction(1), (), term.chain, argument.shape)
                return self.times(term.coefficient, *term.scalars, self.call(name, inner))
        if name in _BILINEAR:
            terms = [self.term(argument) for argument in arguments]
            shape = result_shape(name, arguments)
            if any(isinstance(argument, Number) and not argument.value for argument in arguments):
                return shaped(ZERO, shape)
            if any((term.coefficient, term.scalars) != (1, ()) for term in terms):
                bare = [self._made(Fraction(1), (), x.chain, a.shape) for x, a in zip(terms, arguments, strict=True)]
                front = [part for x in terms for part in (number(x.coefficient), *x.scalars)]
                return self.times(*front, self.call(name, *bare))
        special = getattr(self, f"_{name}", None)
        made = special(*arguments) if special else None
        return made if made is not None else shaped(Call(name, arguments), result_shape(name, arguments))

    def _tr(self, a: Node) -> Node | None:
        if isinstance(a, Sum):
            return self.add(*(self.call("tr", term) for term in a.terms))
        if is_call(a, "t"):
            return self.call("tr", a.arguments[0])
        if is_call(a, "eye"):
            return number(a.shape[0]) if isinstance(a.shape[0], int) else None
        if is_call(a, "kron") and all(x.shape[0] == x.shape[1] for x in a.arguments):
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
        turned = min(([*way[i:], *way[:i]] for way in ways for i in range(len(way))), key=plainness)
        size = turned[0].shape[0]
        return shaped(Call("tr", (shaped(product(1, turned), (size, size)),)), SCALAR)

    def _sum(self, a: Node) -> Node | None:
        if a.is_scalar:
            return a
        if isinstance(a, Sum):
            return self.add(*(self.call("sum", term) for term in a.terms))
        if is_call(a, "t"):
            return self.call("sum", a.arguments[0])
        if is_call(a, "ddiag") or is_call(a, "diagonal"):
            return self.call("tr", a.arguments[0])
        if is_call(a, "had") and a.arguments[0].shape[1] == 1:
            return self.times(self.t(a.arguments[0]), a.arguments[1])
        return None

    def _det(self, a: Node) -> Node | None:
        if is_call(a, "eye"):
            return ONE
        if is_call(a, "t"):
            return self.call("det", a.arguments[0])
        base, k = self.whole_power(a)
        return self.power(self.call("det", base), k) if k < 0 else None

    def _had(self, a: Node, b: Node) -> Node | None:
        if a.is_scalar:
            return self.times(a, b)
        for one, other in ((a, b), (b, a)):
            if is_call(one, "ones"):
                return other
            if is_call(one, "eye") and self.structure.is_diagonal(other):
                return other
        if is_call(a, "eye"):
            return self.call("had", b, a)
        x, j = _entry_power(a)
        y, k = _entry_power(b)
        if j < 0 < k and not is_call(b, "eye"):
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
        if is_call(a, "eye") and is_call(b, "eye"):
            return identity((size_times(a.shape[0], b.shape[0]),) * 2)
        return None

    def _ddiag(self, a: Node) -> Node | None:
        if isinstance(a, Sum) and any(self.structure.is_diagonal(term) for term in a.terms):
            return self.add(*(self.call("ddiag", term) for term in a.terms))
        return a if self.structure.is_diagonal(a) else self.call("ddiag", a.arguments[0]) if is_call(a, "t") else None

    def _tril(self, a: Node) -> Node | None:
        if self.structure.is_lower(a):
            return a
        return self.call("ddiag", a) if self.structure.is_lower(self.t(a)) else None

    def _diagonal(self, a: Node) -> Node | None:
        if is_call(a, "diag"):
            return a.arguments[0]
        if is_call(a, "t"):
            return self.call("diagonal", a.arguments[0])
        if is_call(a, "eye"):
            return ones((a.shape[0], 1))
        if isinstance(a, Product):
            for i in range(1, len(a.factors)):
                if a.factors[i].shape[0] == 1:  # diagonal(u*v') = u∘v
                    return self.call("had", self.times(*a.factors[:i]), self.t(self.times(*a.factors[i:])))
            for i in range(1, len(a.factors) - 1):
                middle = a.factors[i]
                if is_call(middle, "diag"):  # diagonal(A*diag(v)*B) = (A∘B')*v
                    left, right = self.times(*a.factors[:i]), self.t(self.times(*a.factors[i + 1 :]))
                    return self.times(self.call("had", left, right), middle.arguments[0])
        return None

    def _diag(self, a: Node) -> Node | None:
        if is_call(a, "diagonal"):
            return self.call("ddiag", a.arguments[0])
        return identity((a.shape[0], a.shape[0])) if is_call(a, "ones") else None

    def _vec(self, a: Node) -> Node | None:
        return a if a.shape[1] == 1 else None

    def _pinv(self, a: Node) -> Node | None:
        if is_call(a, "t"):
            return self.t(self.call("pinv", a.arguments[0]))
        return a.arguments[0] if is_call(a, "pinv") else None

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
        inner = untransposed(part)
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


def _entry_power(node: Node) -> tuple[Node, Fraction]:
    """An array as an entrywise power of another."""
    if isinstance(node, Call) and node.function == "hadpow" and isinstance(node.arguments[1], Number):
        return node.arguments[0], node.arguments[1].value
    return node, Fraction(1)
