"""The syntax tree of an expression: its kinds of node, and the constructors that keep them in one form.

Every spelling of the same thing is the same tree: `inv(S)`, `S^-1` and `solve(S)` are all
`Power(Symbol("S"), Number(-1))`. Brackets are kept where they group (`A*(B*C)`), since shapes may depend on them;
numbers move to the front of their product, so that `x/2` and `1/2*x` are the same.

Neither JAX nor SymPy is needed here: bad text is answered before either loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import TypeAlias, TypeVar

# A size is a number, the name of a dimension, or made from others: ("times", m, n) rows of a vec or a Kronecker
# product, ("triangle", d) rows of a vech, ("plus", m, n) rows of one matrix below another.
Size: TypeAlias = "int | str | tuple[str | Size, ...]"
Shape: TypeAlias = tuple[Size, Size]

SCALAR: Shape = (1, 1)


@dataclass(frozen=True)
class Node:
    """One operation: where it stands in the text, and its shape once shapes are known (neither enters equality)."""

    at: int = field(default=0, compare=False, repr=False, kw_only=True)
    shape: Shape = field(default=SCALAR, compare=False, repr=False, kw_only=True)

    @property
    def is_scalar(self) -> bool:
        """Whether the shape is 1 x 1: there is no other kind of scalar here."""
        return self.shape == SCALAR


@dataclass(frozen=True)
class Number(Node):
    """An exact rational: `1/2`, `0.1` and `1e-3` lose nothing."""

    value: Fraction


@dataclass(frozen=True)
class Symbol(Node):
    """A name: `x`, `S_1`, `Sigma`."""

    name: str


@dataclass(frozen=True)
class Extent(Node):
    """A size that is written out, in `eye(3)` and `ones(n, d)`: a number, or the name of a dimension."""

    size: int | str


@dataclass(frozen=True)
class Operator:
    """An infix operator as typed: errors point at it, and `*` between two matrices is worth a remark."""

    spelling: str = ""
    at: int = 0


@dataclass(frozen=True)
class Sum(Node):
    """Two or more terms; a term that is subtracted carries the number -1."""

    terms: tuple[Node, ...]
    operators: tuple[Operator, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        """Terms that were not typed have operators all the same."""
        if not self.operators:
            object.__setattr__(self, "operators", tuple(Operator("+") for _ in self.terms))


@dataclass(frozen=True)
class Product(Node):
    """Factors from left to right; a number, if there is one, comes first."""

    factors: tuple[Node, ...]
    operators: tuple[Operator, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        """Factors that were not typed have operators all the same."""
        if not self.operators:
            object.__setattr__(self, "operators", tuple(Operator() for _ in self.factors))

    @property
    def coefficient(self) -> Fraction:
        """The number in front."""
        first = self.factors[0]
        return first.value if isinstance(first, Number) else Fraction(1)


@dataclass(frozen=True)
class Power(Node):
    """A power; the inverse of a matrix is the power -1."""

    base: Node
    exponent: Node

    @property
    def is_inverse(self) -> bool:
        """Whether the exponent is -1."""
        return self.exponent == Number(Fraction(-1))


@dataclass(frozen=True)
class Call(Node):
    """A named function of its arguments, the transpose (`t`) and the entrywise product (`had`) included."""

    function: str
    arguments: tuple[Node, ...] = ()
    # An infix operator that mixes with products in a way people read differently: A∘B*C.
    bare: bool = field(default=False, compare=False, repr=False)


AnyNode = TypeVar("AnyNode", bound=Node)


def at(node: AnyNode, position: int) -> AnyNode:
    """Return the node, placed at a position of the text."""
    return replace(node, at=position)


def number(value: Fraction | int, position: int = 0) -> Number:
    """Make a number."""
    return Number(Fraction(value), at=position)


def product(
    coefficient: Fraction | int, factors: Sequence[Node], operators: Sequence[Operator] = (), position: int = 0
) -> Node:
    """Make a product with its number in front, or the lone factor it comes to."""
    if any(isinstance(factor, Number) for factor in factors):
        kept = [i for i, factor in enumerate(factors) if not isinstance(factor, Number)]
        coefficient *= prod(factor.value for factor in factors if isinstance(factor, Number))
        factors = [factors[i] for i in kept]
        operators = [operators[i] for i in kept] if operators else ()
    if not factors:
        return number(coefficient, position)
    if len(factors) == 1 and coefficient != 1 and isinstance(factors[0], Product):
        return scale(coefficient, factors[0])
    if coefficient == 1 and len(factors) == 1:
        return factors[0]
    front = () if coefficient == 1 else (number(coefficient, position),)
    operators = tuple(operators) or tuple(Operator() for _ in factors)
    return Product((*front, *factors), (*(Operator() for _ in front), *operators), at=position)


def add(terms: Sequence[Node], operators: Sequence[Operator] = (), position: int = 0) -> Node:
    """Make a sum, or the lone term it comes to."""
    if len(terms) == 1:
        return terms[0]
    return Sum(tuple(terms), tuple(operators), at=position)


def split(node: Node) -> tuple[Fraction, Node | None]:
    """Split off the number in front: (-1/2, inv(S)); the rest of a lone number is None."""
    if isinstance(node, Number):
        return node.value, None
    if isinstance(node, Product) and isinstance(node.factors[0], Number):
        rest = product(1, node.factors[1:], node.operators[1:], node.at)
        return node.coefficient, replace(rest, shape=node.shape) if isinstance(rest, Product) else rest
    return Fraction(1), node


def scale(factor: Fraction | int, node: Node) -> Node:
    """Multiply by a number, merging it with the number in front."""
    coefficient, rest = split(node)
    coefficient *= factor
    if rest is None:
        return number(coefficient, node.at)
    if isinstance(rest, Product) and isinstance(node, Product):
        made = product(coefficient, rest.factors, rest.operators, node.at)
    else:
        made = product(coefficient, (rest,), (), node.at)
    return replace(made, shape=node.shape)


def inverse(node: Node, position: int = 0) -> Node:
    """Make the inverse of a matrix, or the reciprocal of a scalar."""
    if isinstance(node, Number) and node.value:
        return number(1 / node.value, position)
    return Power(node, number(-1, position), at=position)


def transpose(node: Node, position: int = 0) -> Node:
    """Make the transpose; two cancel."""
    if isinstance(node, Call) and node.function == "t":
        return node.arguments[0]
    return Call("t", (node,), at=position)


def children(node: Node) -> tuple[Node, ...]:
    """List the operands of a node."""
    match node:
        case Sum(terms):
            return terms
        case Product(factors):
            return factors
        case Power(base, exponent):
            return (base, exponent)
        case Call(_, arguments):
            return arguments
    return ()


def with_children(node: AnyNode, operands: Sequence[Node]) -> AnyNode:
    """Put other operands in the place of those that `children` lists."""
    match node:
        case Sum():
            return replace(node, terms=tuple(operands))
        case Product():
            return replace(node, factors=tuple(operands))
        case Power():
            return replace(node, base=operands[0], exponent=operands[1])
        case Call():
            return replace(node, arguments=tuple(operands))
    return node


def walk(node: Node) -> Iterator[Node]:
    """Go through the tree in the order of the text, without recursion."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def symbols(*nodes: Node) -> tuple[str, ...]:
    """List the names, each once, in order of appearance."""
    return tuple(dict.fromkeys(node.name for root in nodes for node in walk(root) if isinstance(node, Symbol)))


def depth(node: Node) -> int:
    """Count the levels of the tree."""
    levels, stack = 0, [(node, 1)]
    while stack:
        node, level = stack.pop()
        levels = max(levels, level)
        stack.extend((child, level + 1) for child in children(node))
    return levels
