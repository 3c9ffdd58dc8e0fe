"""An expression, or its gradient, as a sum of terms: in these words a person is told what is wrong with a formula."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from gdiff.derivation.lines import plain_gradient
from gdiff.derivation.reader import Expression
from gdiff.derivation.structure import Structure
from gdiff.derivation.tidy import presented
from gdiff.derivation.tree import SCALAR, Call, Node, Number, Product, Shape, Sum, Symbol, number, product, split, walk

_MOST_PIECES = 24  # of a product of sums that is multiplied out

Term = tuple[Fraction, Expression]


def gradient_terms(expression: Expression, wrt: str) -> tuple[Term, ...]:
    """List the terms of the gradient of a scalar expression, with the numbers in front; none where out of reach.

    Nothing is checked: whoever prints them holds them against numbers.

    >>> from gdiff.derivation import parse
    >>> f = parse("log(det(S)) + x'*inv(S)*x", symmetric=["S"])
    >>> [(str(c), term.text) for c, term in gradient_terms(f, "S")]
    [('1', 'inv(S)'), ('-1', "inv(S)*x*x'*inv(S)")]
    """
    if expression.node.shape != SCALAR or wrt not in expression.shapes:
        return ()
    structure, shape = Structure(dict.fromkeys(expression.symmetric, "symmetric")), expression.all_shapes[wrt]
    try:
        g = plain_gradient(expression.node, wrt, shape, structure)
        found = [split(term) for term in (g.terms if isinstance(g, Sum) else (g,))]
        like = replace(expression, node=Symbol(wrt, shape=shape))
        terms = [
            (c, replace(expression, node=presented(number(1) if rest is None else rest))) for c, rest in found if c
        ]
        return tuple((c, like.combine([(1, term)])) for c, term in terms)
    except (ValueError, RecursionError):
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
            choices = [(c, Structure().transposed(n) if inner is not factor else n) for c, n in found]
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
