"""The terms of a gradient, in the notation of the expression, by going backwards through its tree.

Every path from the expression to an occurrence of the variable gives one product. That is the vocabulary in which a
person is told what is missing from a formula; it is no derivation, and whoever prints it holds it against numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from gdiff.derivation.reader import Expression
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
    Symbol,
    add,
    inverse,
    number,
    product,
    split,
    symbols,
    walk,
)

_MOST_PIECES = 24  # of a product of sums that is multiplied out

Term = tuple[Fraction, Expression]


class _Unsupported(Exception):
    """An operation whose adjoint is not written here."""


@dataclass(frozen=True)
class _Adjoint:
    """coefficient * scalars * factors, a matrix product; no factors is the identity, or 1 for a scalar."""

    coefficient: Fraction = Fraction(1)
    scalars: tuple[Node, ...] = ()
    factors: tuple[Node, ...] = ()

    def times(self, coefficient: Fraction | int, *scalars: Node) -> _Adjoint:
        kept = [s for s in scalars if not isinstance(s, Number)]
        for s in scalars:
            coefficient *= s.value if isinstance(s, Number) else 1
        return replace(self, coefficient=self.coefficient * coefficient, scalars=(*self.scalars, *kept))

    def between(self, left: Sequence[Node], right: Sequence[Node]) -> _Adjoint:
        return replace(self, factors=(*left, *self.factors, *right))


def gradient_terms(expression: Expression, wrt: str) -> tuple[Term, ...]:
    """List the terms of the gradient of a scalar expression, with the numbers in front; none where out of reach.

    >>> from gdiff.derivation import parse
    >>> f = parse("log(det(S)) + x'*inv(S)*x", symmetric=["S"])
    >>> [(str(c), term.text) for c, term in gradient_terms(f, "S")]
    [('1', 'inv(S)'), ('-1', "inv(S)*x*x'*inv(S)")]
    """
    if expression.node.shape != SCALAR or wrt not in expression.shapes:
        return ()
    engine = _Engine(wrt, expression.symmetric)
    try:
        engine.back(expression.node, _Adjoint())
        shape = expression.all_shapes[wrt]
        like = replace(expression, node=Symbol(wrt, shape=shape))
        terms = [(c, replace(expression, node=node)) for node, c in engine.collected(shape).items() if c]
        return tuple((c, like.combine([(1, term)])) for c, term in terms)
    except (_Unsupported, ValueError, RecursionError):
        return ()


def pieces(expression: Expression, *, whole: Iterable[Node] = (), squares_only: bool = False) -> tuple[Term, ...]:
    """Multiply products of sums out, but for the sums in `whole`; with `squares_only`, sums of square matrices alone.

    >>> from gdiff.derivation import parse
    >>> [(str(c), term.text) for c, term in pieces(parse("inv(S)*(x - y)"))]
    [('1', 'inv(S)*x'), ('-1', 'inv(S)*y')]
    """
    kept = frozenset(whole)
    out: dict[Node, Fraction] = {}
    for c, node in _expanded(expression.node, kept, squares_only):
        out[node] = out.get(node, Fraction(0)) + c
    try:
        return tuple((c, expression.combine([(1, replace(expression, node=node))])) for node, c in out.items() if c)
    except ValueError:
        return ((Fraction(1), expression),)


def sums(expression: Expression) -> frozenset[Node]:
    """Collect the sums within an expression, other than the expression itself."""
    return frozenset(node for node in walk(expression.node) if isinstance(node, Sum))


def _expanded(node: Node, whole: frozenset[Node], squares_only: bool) -> list[tuple[Fraction, Node]]:
    coefficient, rest = split(node)
    if rest is None:
        return [(coefficient, number(1))]
    if isinstance(rest, Sum):
        return [(coefficient * c, n) for term in rest.terms for c, n in _expanded(term, whole, squares_only)]
    if not isinstance(rest, Product):
        return [(coefficient, rest)]
    made: list[tuple[Fraction, tuple[Node, ...]]] = [(coefficient, ())]
    for factor in rest.factors:
        inner = factor.arguments[0] if isinstance(factor, Call) and factor.function == "t" else factor
        square = factor.shape[0] == factor.shape[1] != 1
        if isinstance(inner, Sum) and inner not in whole and (square or not squares_only):
            found = _expanded(inner, whole, squares_only)
            choices = [(c, _transposed(n, frozenset()) if inner is not factor else n) for c, n in found]
        elif isinstance(factor, Product) and (square or not squares_only):
            choices = _expanded(factor, whole, squares_only)
        else:
            choices = [(Fraction(1), factor)]
        if len(made) * len(choices) > _MOST_PIECES:
            choices = [(Fraction(1), factor)]
        made = [(a * b, (*head, *_flat(n))) for a, head in made for b, n in choices]
    return [(c, _shaped(product(1, factors), node.shape)) for c, factors in made]


def _shaped(node: Node, shape: Shape) -> Node:
    return node if isinstance(node, Number) else replace(node, shape=shape)


def _flat(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Number):
        return () if node.value == 1 else (node,)
    return node.factors if isinstance(node, Product) and not node.is_scalar else (node,)


def _transposed(node: Node, symmetric: frozenset[str]) -> Node:
    """The transpose, pushed inwards where that is what a person would write; S for a symmetric S."""
    if node.is_scalar or is_symmetric(node, symmetric):
        return node
    rows, columns = node.shape
    match node:
        case Call("t", (inner,)):
            return inner
        case Product(factors):
            turned = product(1, [_transposed(f, symmetric) for f in reversed(factors)])
            return replace(turned, shape=(columns, rows))
    return replace(Call("t", (node,)), shape=(columns, rows))


def is_symmetric(node: Node, symmetric: frozenset[str]) -> bool:
    """Whether a matrix is symmetric by the way it is written."""
    if node.is_scalar:
        return True
    match node:
        case Symbol(name):
            return name in symmetric
        case Power(base, _):
            return is_symmetric(base, symmetric)
        case Sum(terms):
            return all(is_symmetric(term, symmetric) for term in terms)
        case Call("t", (inner,)):
            return is_symmetric(inner, symmetric)
        case Call("eye" | "ddiag" | "diag", _):
            return True
        case Call("had", arguments):
            return all(is_symmetric(argument, symmetric) for argument in arguments)
        case Product(factors):
            chain = [f for f in factors if not f.is_scalar]
            return _chain(chain) == _chain([_transposed(f, symmetric) for f in reversed(chain)])
    return False


def _chain(factors: Iterable[Node]) -> list[Node]:
    return [part for factor in factors for part in (factor.factors if isinstance(factor, Product) else (factor,))]


class _Engine:
    """Goes back from a node to the variable, one product at a time."""

    def __init__(self, wrt: str, symmetric: frozenset[str]) -> None:
        self.wrt, self.symmetric = wrt, symmetric
        self.found: list[_Adjoint] = []

    def t(self, nodes: Sequence[Node]) -> tuple[Node, ...]:
        return tuple(_chain(_transposed(node, self.symmetric) for node in reversed(nodes)))

    def back(self, node: Node, g: _Adjoint) -> None:
        if self.wrt not in symbols(node):
            return
        match node:
            case Symbol():
                self.found.append(g)
            case Sum(terms):
                for term in terms:
                    self.back(term, g)
            case Product():
                self.product(node, g)
            case Power():
                self.power(node, g)
            case Call():
                self.call(node, g)

    def product(self, node: Product, g: _Adjoint) -> None:
        runs = list(_runs(node.factors))
        coefficient = node.coefficient
        scalars = [run for run in runs if run[0].shape[0] == 1 and run[-1].shape[1] == 1]
        matrix = next((run for run in runs if run not in scalars), ())
        for i, run in enumerate(scalars):
            others = [product(1, list(other)) for j, other in enumerate(scalars) if j != i]
            others = [replace(o, shape=SCALAR) for o in others]
            own = g.times(coefficient, *others)
            if matrix:  # df = tr(G' dM): the scalar in front of M answers by tr(G' M)
                inner = (*self.t(g.factors), *matrix)
                own = replace(own, factors=()).times(1, _scalar(product(1, list(inner)), inner))
            self.run(run, own)
        if matrix:
            self.run(matrix, g.times(coefficient, *(replace(product(1, list(s)), shape=SCALAR) for s in scalars)))

    def run(self, run: Sequence[Node], g: _Adjoint) -> None:
        for i, factor in enumerate(run):
            self.back(factor, g.between(self.t(run[:i]), self.t(run[i + 1 :])))

    def power(self, node: Power, g: _Adjoint) -> None:
        base, exponent = node.base, node.exponent
        if self.wrt in symbols(exponent):
            raise _Unsupported
        if base.is_scalar:
            lowered = _lowered(base, exponent)
            self.back(base, g.times(1, exponent, *lowered))
            return
        if not isinstance(exponent, Number):
            raise _Unsupported
        k = int(exponent.value)
        if k < 0:
            self.inverse(base, g, -k)
        else:
            self.run((base,) * k, g)

    def inverse(self, base: Node, g: _Adjoint, times: int) -> None:
        made = replace(inverse(base), shape=base.shape)
        outer = self.t((made,))
        for i in range(times):
            left, right = (made,) * i, (made,) * (times - 1 - i)
            self.back(base, g.between(self.t(left), self.t(right)).times(-1).between(outer, outer))

    def call(self, node: Call, g: _Adjoint) -> None:
        a = node.arguments[0]
        match node.function:
            case "t":
                self.back(a, replace(g, factors=self.t(g.factors)))
            case "tr":
                self.back(a, g)
            case "det":
                self.back(a, g.times(1, node).between(self.t((replace(inverse(a), shape=a.shape),)), ()))
            case "log" if isinstance(a, Call) and a.function == "det":
                m = a.arguments[0]
                self.back(m, g.between(self.t((replace(inverse(m), shape=m.shape),)), ()))
            case "log" if isinstance(a, Product) and all(factor.is_scalar for factor in a.factors):
                for factor in a.factors:
                    self.back(replace(node, arguments=(factor,)), g)
            case "log" if isinstance(a, Power) and a.base.is_scalar and self.wrt not in symbols(a.exponent):
                self.back(replace(node, arguments=(a.base,)), g.times(1, a.exponent))
            case "log" | "exp" | "sqrt":
                self.entrywise(node, a, g)
            case "norm":
                self.back(a, g.times(1, inverse(node)).between((a,), ()))
            case "sum":
                self.back(a, g.between((_ones(a.shape),), ()))
            case "had":
                b = node.arguments[1]
                for one, other in ((a, b), (b, a)):
                    self.back(one, replace(g, factors=(self.had(g, node.shape, other),)))
            case "diag":
                self.back(a, replace(g, factors=(self.of("diagonal", g, node.shape, a.shape),)))
            case "diagonal":
                self.back(a, replace(g, factors=(self.of("diag", g, node.shape, a.shape),)))
            case "ddiag":
                self.back(a, replace(g, factors=(self.of("ddiag", g, node.shape, a.shape),)))
            case _:
                raise _Unsupported

    def entrywise(self, node: Call, a: Node, g: _Adjoint) -> None:
        one = number(-1)
        if node.is_scalar:
            slopes = {"log": (Power(a, number(-1)),), "exp": (node,), "sqrt": (inverse(node),)}
            half = Fraction(1, 2) if node.function == "sqrt" else 1
            self.back(a, g.times(half, *slopes[node.function]))
            return
        slope = {"log": Call("hadpow", (a, one)), "exp": node, "sqrt": Call("hadpow", (node, one))}[node.function]
        half = Fraction(1, 2) if node.function == "sqrt" else 1
        made = self.had(g, node.shape, replace(slope, shape=node.shape))
        self.back(a, replace(g.times(half), factors=(made,)))

    def matrix(self, g: _Adjoint, shape: Shape) -> Node:
        return replace(product(1, list(g.factors)), shape=shape) if g.factors else replace(Call("eye"), shape=shape)

    def had(self, g: _Adjoint, shape: Shape, other: Node) -> Node:
        own = g.factors
        if len(own) == 1 and isinstance(own[0], Call) and own[0].function == "ones":
            return other
        return Call("had", (self.matrix(g, shape), other), shape=shape)

    def of(self, function: str, g: _Adjoint, shape: Shape, result: Shape) -> Node:
        return Call(function, (self.matrix(g, shape),), shape=result)

    def collected(self, shape: Shape) -> dict[Node, Fraction]:
        out: dict[Node, Fraction] = {}
        for g in self.found:
            number_in_front, scalars = _merged(g.scalars)
            g = replace(g, scalars=scalars, coefficient=g.coefficient * number_in_front)
            matrix = g.factors or ((replace(Call("eye"), shape=shape),) if shape != SCALAR else ())
            made = replace(product(1, [*g.scalars, *matrix]), shape=shape)
            coefficient, node = split(replace(product(g.coefficient, [made]), shape=shape))
            node = replace(node if node is not None else number(1), shape=shape)
            out[node] = out.get(node, Fraction(0)) + coefficient
        return out


def _runs(factors: Iterable[Node]) -> Iterator[tuple[Node, ...]]:
    """Cut a product where it becomes a scalar: x'*A*x*B is the number x'*A*x times B."""
    run: list[Node] = []
    for factor in factors:
        if isinstance(factor, Number):
            continue
        if factor.is_scalar:
            yield (factor,)
            continue
        run.append(factor)
        if run[0].shape[0] == 1 and factor.shape[1] == 1:
            yield tuple(run)
            run = []
    if run:
        yield tuple(run)


def _scalar(node: Node, chain: Sequence[Node]) -> Node:
    """tr(chain), by the product itself where that is a scalar, cyclically turned where that makes it one."""
    if chain[0].shape[0] == 1 and chain[-1].shape[1] == 1:
        return replace(node, shape=SCALAR)
    return Call("tr", (replace(node, shape=(chain[0].shape[0], chain[-1].shape[1])),), shape=SCALAR)


def _lowered(base: Node, exponent: Node) -> tuple[Node, ...]:
    """base^(exponent - 1)."""
    if not isinstance(exponent, Number):
        return (Power(base, add((exponent, number(-1)))),)
    k = exponent.value - 1
    return () if k == 0 else (base,) if k == 1 else (Power(base, number(k)),)


def _merged(scalars: Iterable[Node]) -> tuple[Fraction, tuple[Node, ...]]:
    """The number, and powers of the same scalar brought together: norm(x)/norm(x) is 1, 1/(1 + q/n)/n is 1/(n + q)."""
    coefficient, powers = Fraction(1), dict[Node, Fraction]()
    for scalar in scalars:
        own, found = _powers(scalar, Fraction(1))
        coefficient *= own
        for base, exponent in found:
            powers[base] = powers.get(base, Fraction(0)) + exponent
    for base in [b for b, k in powers.items() if isinstance(b, Sum) and k == -1]:
        for other in [b for b, k in powers.items() if k <= -1]:
            cleared = _cleared(base, other)
            if cleared is not None:
                del powers[base]
                powers[other] += 1
                powers[cleared] = powers.get(cleared, Fraction(0)) - 1
                break
    made = [(k < 0, replace(_raised(base, k), shape=SCALAR)) for base, k in powers.items() if k]
    return coefficient, tuple(node for _, node in sorted(made, key=lambda pair: pair[0]))


def _powers(scalar: Node, k: Fraction) -> tuple[Fraction, list[tuple[Node, Fraction]]]:
    """A scalar to the power k as a number and powers of others: (2*s)^-2 is 1/4 and s^-2."""
    match scalar:
        case Number(value) if k.denominator == 1 and value:
            return value ** int(k), []
        case Power(base, Number(exponent)):
            return _powers(base, k * exponent)
        case Call("sqrt", (inner,)) if inner.is_scalar:
            return _powers(inner, k / 2)
        case Product(factors) if k.denominator == 1 and all(factor.is_scalar for factor in factors):
            coefficient, out = Fraction(1), list[tuple[Node, Fraction]]()
            for factor in factors:
                own, found = _powers(factor, k)
                coefficient, out = coefficient * own, out + found
            return coefficient, out
    return Fraction(1), [(scalar, k)]


def _raised(base: Node, k: Fraction) -> Node:
    if abs(k) == Fraction(1, 2):
        root = Call("sqrt", (base,), shape=SCALAR)
        return root if k > 0 else inverse(root)
    return base if k == 1 else Power(base, number(k))


def _cleared(total: Sum, denominator: Node) -> Node | None:
    """The sum times the denominator, if every fraction over it goes away: (1 + q/n)*n is n + q."""
    out, gone = [], False
    for term in total.terms:
        coefficient, rest = split(term)
        factors = list(rest.factors) if isinstance(rest, Product) else [] if rest is None else [rest]
        over = [f for f in factors if f.is_scalar and _powers(f, Fraction(1)) == (1, [(denominator, Fraction(-1))])]
        if over:
            factors.remove(over[0])
            gone = True
            made = product(coefficient, factors)
        else:
            made = product(coefficient, [denominator, *factors])
        out.append(replace(made, shape=SCALAR))
    return replace(add(out), shape=SCALAR) if gone else None


def _ones(shape: Shape) -> Node:
    rows, columns = shape
    if not all(isinstance(size, int | str) for size in shape):
        raise _Unsupported
    extents = (Extent(rows),) if columns == 1 else (Extent(rows), Extent(columns))  # type: ignore[arg-type]
    return Call("ones", extents, shape=shape)
