"""From a formula to a straight-line program that computes it without waste.

One factorisation for each matrix that is inverted or whose determinant is taken: Cholesky where it is positive definite
by declaration or by the way it is written, LU otherwise. Inverses become solves, products are taken in the cheapest
order, of a trace or a diagonal only the part that is needed is computed, and nothing is computed twice.

The program does not know that arguments of a declared structure have it: a symmetric one is symmetrised as S/2 + S'/2,
of a diagonal one the diagonal is taken and of a lower triangular one that triangle. So derivatives with respect to them
are projected onto the same structure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import get_args

from gdiff.derivation.chains import Factor
from gdiff.derivation.monomials import Monomial, Monomials
from gdiff.derivation.steps import Facts, Plan, Step, Structure, Value
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
    product,
)

__all__ = ["Plan", "Step", "Structure", "plan"]

_ENTRYWISE = frozenset({"exp", "log", "sqrt", "abs"})
_MOST_PIECES = 16  # of a product of sums that is multiplied out


def plan(node: Node, shapes: Mapping[str, Shape], structure: Mapping[str, Structure] | None = None) -> Plan:
    """Plan the computation of a tree with shapes; `structure` says what the matrices are that it names.

    A name that is not in `structure` is general; a scalar that is "positive_definite" is positive. A structure that
    is not known, or of a matrix that is not square, raises ValueError.

    >>> from gdiff.derivation import parse
    >>> formula = parse("inv(S)*x*x'*inv(S)")
    >>> made = plan(formula.node, formula.all_shapes, {"S": "positive_definite"})
    >>> [step.operation for step in made.steps]
    ['argument', 'symmetrize', 'argument', 'cholesky', 'cholesky_solve', 'outer']
    """
    given = dict(structure or {})
    for name, kind in given.items():
        if kind not in get_args(Structure):
            raise ValueError(f"the structure of `{name}` is {kind!r}; want one of {', '.join(get_args(Structure))}")
        rows, columns = shapes.get(name, SCALAR)
        if rows != columns and kind != "general":
            raise ValueError(f"`{name}` is declared {kind}, but is not square")
    planner = _Planner(given)
    result = planner.value(node)
    if node.shape[0] == 1 != node.shape[1]:
        result = planner.emit("row", result, rank=2)
    return Plan(planner.finish(result), dict(shapes), given, node.shape)


class _Planner(Monomials):
    def __init__(self, structure: Mapping[str, Structure]) -> None:
        super().__init__()
        self.structure = structure

    def value(self, node: Node) -> Value:
        """The array that a node is; columns and rows have one axis."""
        return self.settled(self.monomial(node))

    def matrix(self, node: Node) -> Value:
        """The array with two axes, for what does not care whether it is a vector."""
        value = self.value(node)
        if self.rank(value) == 2:
            return value
        operation = "cell" if node.is_scalar else "column" if node.shape[1] == 1 else "row"
        return self.emit(operation, value, rank=2)

    def unmatrix(self, value: Value, shape: Shape) -> Monomial:
        return self.as_monomial(self.emit("ravel", value, rank=1) if 1 in shape else value, shape)

    # --- nodes ------------------------------------------------------------------------------------------------------

    def monomial(self, node: Node) -> Monomial:
        match node:
            case Number(value):
                return Monomial(SCALAR, value)
            case Symbol():
                return self.symbol(node)
            case Sum(terms):
                return self.sum(terms, node.shape)
            case Product():
                return self.of_product(node)
            case Power():
                return self.of_power(node)
            case Call():
                return self.call(node)
        raise TypeError(f"{type(node).__name__} has no value")

    def symbol(self, node: Symbol) -> Monomial:
        shape, structure = node.shape, self.structure.get(node.name, "general")
        rank = 0 if shape == SCALAR else 2 if 1 not in shape else 1
        positive = structure == "positive_definite" and rank == 0
        known = Facts(sign=2 if positive else 0, orthogonal=structure == "orthogonal")
        value = self.emit("argument", detail=(node.name,), rank=rank, facts=known)
        if rank == 2 and structure == "diagonal":
            return self.as_diagonal(self.diagonal(value), shape)
        if rank == 2 and structure == "lower_triangular":
            value = self.emit("tril", value, rank=2, facts=Facts(triangular=True))
        if rank == 2 and structure in ("symmetric", "positive_definite"):
            sign = 2 if structure == "positive_definite" else 0
            value = self.emit("symmetrize", value, rank=2, facts=Facts(True, sign))
        return self.as_monomial(value, shape)

    def sum(self, terms: Sequence[Node], shape: Shape) -> Monomial:
        full: list[tuple[Fraction, Value]] = []
        diagonal: list[tuple[Fraction, Factor]] = []
        for term in terms:
            coefficient, f = self.split(self.monomial(term))
            if coefficient == 0:
                continue
            if f.kind == "diagonal":
                diagonal.append((coefficient, f))
            else:
                full.append((coefficient, self.value_of(f)))
        if not full and not diagonal:
            return Monomial(shape, Fraction(0))
        if full and diagonal:
            full.append((Fraction(1), self.scaled(Fraction(1), self.diagonals(diagonal, shape))))
        if not full:
            f = self.diagonals(diagonal, shape)
            return Monomial(shape, scalars=((f.value, 1),)) if self.is_multiple(f) else Monomial(shape, chain=(f,))
        value = self.linear(full)
        if self.steps[value].operation == "number":
            constant = self.steps[value].detail[0]
            return Monomial(shape, constant if shape == SCALAR else Fraction(0))
        return self.as_monomial(value, shape)

    def diagonals(self, terms: Sequence[tuple[Fraction, Factor]], shape: Shape) -> Factor:
        """A sum of diagonal matrices and multiples of the identity."""
        return Factor(self.linear((c, f.value) for c, f in terms), shape, "diagonal")

    def of_product(self, node: Product) -> Monomial:
        pieces = _pieces(node) if any(_is_vector(factor) for factor in node.factors) else ()
        if pieces:
            return self.sum(pieces, node.shape)
        made = Monomial(SCALAR)
        for factor in node.factors:
            m = self.monomial(factor)
            shape = made.shape if factor.is_scalar else m.shape
            if made.shape != SCALAR and not factor.is_scalar:
                shape = made.shape[0], m.shape[1]
            scalars, chain = made.scalars + m.scalars, made.chain + m.chain
            coefficient = made.coefficient * m.coefficient
            if chain and shape == SCALAR and coefficient:  # x'*A*x*B is the number x'*A*x times B
                scalars, chain = (*scalars, (self.product(chain).value, 1)), ()
            made = Monomial(shape, coefficient, scalars, chain)
        return made if made.coefficient else Monomial(made.shape, Fraction(0))

    def of_power(self, node: Power) -> Monomial:
        exponent = node.exponent
        base = self.monomial(node.base)
        whole = isinstance(exponent, Number) and exponent.value.denominator == 1
        if node.base.is_scalar:
            if isinstance(exponent, Number) and exponent.value == -1 and base.coefficient:
                return self.reciprocal(base)
            given = exponent.value if isinstance(exponent, Number) else self.value(exponent)
            return self.as_monomial(self.power(self.settled(base), given), SCALAR)
        if not isinstance(exponent, Number) or not whole:
            raise ValueError("matrices have whole powers only")
        k = int(exponent.value)
        if k == 0:
            return Monomial(node.shape)
        base = self.reciprocal(base) if k < 0 else base
        return self.repeated(base, abs(k))

    # --- functions --------------------------------------------------------------------------------------------------

    def call(self, node: Call) -> Monomial:
        function, arguments, shape = node.function, node.arguments, node.shape
        if shape == SCALAR and function in ("eye", "ones", "zeros", "commutation", "duplication"):
            return Monomial(shape, Fraction(function != "zeros"))
        match function:
            case "pi":
                return self.as_monomial(self.emit("pi", facts=Facts(sign=2)), shape)
            case "eye":
                return Monomial(shape)
            case "zeros":
                return Monomial(shape, Fraction(0))
            case "ones":
                return self.as_monomial(self.full(1, shape), shape)
            case "commutation" | "duplication":
                sizes = [a.size for a in arguments if isinstance(a, Extent)]
                detail = (sizes[0], sizes[-1]) if function == "commutation" else tuple(sizes)
                return self.as_monomial(self.emit(function, detail=detail, rank=2), shape)
            case "t":
                m = self.monomial(arguments[0])
                return replace(m, shape=shape, chain=self.turned_chain(m.chain))
            case "tr":
                return self.trace_of(arguments[0])
            case "det":
                return self.as_monomial(self.det(self.monomial(arguments[0])), shape)
            case "log" if (log_det := self.log_det(arguments[0])) is not None:
                return self.as_monomial(log_det, shape)
            case "had":
                return self.had(arguments[0], arguments[1], shape)
            case "hadpow":
                base, exponent = arguments
                given = exponent.value if isinstance(exponent, Number) else self.value(exponent)
                return self.as_monomial(self.power(self.value(base), given), shape)
            case "kron" | "cbind" | "rbind":
                values = [self.matrix(argument) for argument in arguments]
                symmetric = function == "kron" and all(self.facts[v].symmetric for v in values)
                known = Facts(symmetric, min(self.facts[v].sign for v in values) if symmetric else 0)
                return self.unmatrix(self.emit(function, *values, rank=2, facts=known), shape)
            case "pinv":
                return self.unmatrix(self.emit("pinv", self.matrix(arguments[0]), rank=2), shape)
            case "diag":
                return self.as_diagonal(self.value(arguments[0]), shape)
            case "ddiag" | "diagonal":
                v = self.diagonal_part(self.monomial(arguments[0]))
                return self.as_diagonal(v, shape) if function == "ddiag" else self.as_monomial(v, shape)
        value = self.value(arguments[0])
        if function in _ENTRYWISE:
            return self.as_monomial(self.entrywise(function, value), shape)
        match function:
            case "sum":
                return self.as_monomial(self.total(value), shape)
            case "norm":
                square = self.dot(value, value) if self.rank(value) == 1 else self.total(self.times(value, value))
                return self.as_monomial(self.entrywise("sqrt", square), shape)
            case "tril":
                return self.as_monomial(self.emit("tril", value, rank=2, facts=Facts(triangular=True)), shape)
            case "vec":
                return self.as_monomial(value if self.rank(value) == 1 else self.emit("vec", value, rank=1), shape)
            case "vech":
                return self.as_monomial(self.emit("vech", value, rank=1), shape)
        raise TypeError(f"`{function}` has no value")

    def had(self, a: Node, b: Node, shape: Shape) -> Monomial:
        """A∘B; with a diagonal matrix only diagonals are multiplied."""
        first, second = self.monomial(a), self.monomial(b)
        for one, other in ((first, second), (second, first)):
            if not one.chain or (len(one.chain) == 1 and one.chain[0].kind == "diagonal"):
                coefficient, f = self.split(one)
                v = self.times(f.value, self.diagonal_part(other))
                return replace(self.as_diagonal(v, shape), coefficient=coefficient)
        (c, f), (k, g) = self.split(first), self.split(second)
        value = self.times(self.value_of(f), self.value_of(g))
        return replace(self.as_monomial(value, shape), coefficient=c * k)

    def trace_of(self, node: Node) -> Monomial:
        """The trace, term by term; of the inverses in it no more is formed than it needs."""
        if isinstance(node, Sum):
            return self.sum([Call("tr", (term,)) for term in node.terms], SCALAR)
        pieces = _pieces(node) if isinstance(node, Product) else ()
        if pieces:
            return self.sum([Call("tr", (piece,)) for piece in pieces], SCALAR)
        m = self.monomial(node)
        value = self.trace(m.chain) if m.chain else self.size(m.shape)
        return replace(m, shape=SCALAR, chain=(), scalars=(*m.scalars, (value, 1)))

    def log_det(self, node: Node) -> Value | None:
        """log(det(S)^k) is k times the logarithm, which neither overflows nor underflows."""
        match node:
            case Call("det", (matrix,)):
                return self.log_det_of(self.monomial(matrix))
            case Power(Call("det", _) as det, Number(k)) if k.numerator % 2 or k.denominator != 1:
                value = self.log_det(det)
                return None if value is None else self.linear([(k, value)])
        return None


def _is_vector(node: Node) -> bool:
    return 1 in node.shape and not node.is_scalar


def _pieces(node: Product) -> tuple[Node, ...]:
    """Multiply out the sums with terms that are cheaper one by one: an inverse that need not be formed, x*y'."""
    choices = [_terms(factor) for factor in node.factors]
    count = prod(map(len, choices))
    if not 1 < count <= _MOST_PIECES:
        return ()
    made: list[tuple[Node, ...]] = [()]
    for terms in choices:
        made = [(*before, term) for before in made for term in terms]
    return tuple(replace(product(1, factors), shape=node.shape) for factors in made)


def _terms(node: Node) -> tuple[Node, ...]:
    """The terms of a matrix that are worth multiplying out; else the matrix alone."""
    if isinstance(node, Call) and node.function == "t":
        inner = _terms(node.arguments[0])
        turned = tuple(Call("t", (term,), shape=term.shape[::-1]) for term in inner)
        return turned if len(turned) > 1 else (node,)
    if not isinstance(node, Sum) or 1 in node.shape or not any(map(_is_dear, node.terms)):
        return (node,)
    return node.terms


def _is_dear(term: Node) -> bool:
    """Whether a term has an inverse in it, or is an outer product."""
    factors = term.factors if isinstance(term, Product) else (term,)
    inverses = any(isinstance(f, Power) and not f.is_scalar and _is_negative(f.exponent) for f in factors)
    return inverses or any(map(_is_vector, factors))


def _is_negative(node: Node) -> bool:
    return isinstance(node, Number) and node.value < 0
