"""The differential of an expression by its rules, round by round, each with its reasons.

A part that waits for its differential is d(...); nothing here is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gdiff.derivation.algebra import Algebra
from gdiff.derivation.constants import ZERO, shaped
from gdiff.derivation.rules import LINEARITY, OPERATIONS, Rule
from gdiff.derivation.structure import Structure
from gdiff.derivation.tree import (
    Call,
    Extent,
    Node,
    Power,
    Product,
    Shape,
    Sum,
    Symbol,
    children,
    symbols,
)

_MOST_ROUNDS = 200


@dataclass(frozen=True)
class Reason:
    """Why a line follows from the one before it: the name of what was done, its source, and a plain sentence."""

    name: str
    source: str
    words: str


def d_of(name: str, shape: Shape) -> Symbol:
    """The differential of a name."""
    return Symbol(f"d{name}", shape=shape)


def pending(node: Node) -> Iterator[Call]:
    """The parts whose differential is not worked out yet."""
    if isinstance(node, Call) and node.function == "d":
        yield node
        return
    for child in children(node):
        yield from pending(child)


class Differentiation:
    """Applies the rules to an expression, for one variable."""

    def __init__(self, wrt: str, shape: Shape, structure: Structure) -> None:
        self.wrt, self.step = wrt, d_of(wrt, shape)
        self.algebra = Algebra(structure.with_differential(wrt))

    def d(self, node: Node) -> Node:
        """The differential of a part, to be worked out; 0 without the variable, dX of the variable."""
        if self.wrt not in symbols(node):
            return shaped(ZERO, node.shape)
        if isinstance(node, Symbol):
            return self.step
        return Call("d", (node,), shape=node.shape)

    def lines(self, node: Node) -> Iterator[tuple[Node, tuple[Reason, ...]]]:
        """The differential of an expression, from d(f) to the one without any d(...) left, a line for each round."""
        return self._rounds(self.d(node))

    def worked_out(self, node: Node) -> Node:
        """An expression with d(...) in it, each of them worked out."""
        rounds = [made for made, _ in self._rounds(node)]
        return rounds[-1] if rounds else node

    def _rounds(self, current: Node) -> Iterator[tuple[Node, tuple[Reason, ...]]]:
        for _ in range(_MOST_ROUNDS):
            if not any(pending(current)):
                return
            used: dict[str, Rule] = {}
            made = self._expanded(current, LINEARITY, used)
            while made != current and any(self._rule(p.arguments[0], LINEARITY) for p in pending(made)):
                made = self._expanded(made, LINEARITY, used)
            if not used:
                made = self._expanded(current, OPERATIONS, used)
            current = made
            yield current, tuple(Reason(rule.name, rule.source, rule.words) for rule in used.values())
        raise RecursionError("the differential is too long")

    def _rule(self, node: Node, rules: Sequence[Rule]) -> Rule | None:
        if rules is LINEARITY and isinstance(node, Product):
            moving = [part for part in self.algebra.parts(node) if self.wrt in symbols(part)]
            constant = [part for part in self.algebra.parts(node) if self.wrt not in symbols(part)]
            if len(moving) == 1 and all(part.is_scalar for part in constant):
                return _CONSTANT_FACTOR
            return None
        return next((rule for rule in rules if rule.applies(node)), None)

    def _expanded(self, node: Node, rules: Sequence[Rule], used: dict[str, Rule]) -> Node:
        """The expression with every d(...) that a rule is about taken apart."""
        if isinstance(node, Call) and node.function == "d":
            (inner,) = node.arguments
            rule = self._rule(inner, rules)
            if rule is None:
                if rules is OPERATIONS:
                    raise Unknown(inner)
                return node
            used[rule.name] = rule
            return shaped(rule.apply(inner, self.algebra, self.d), node.shape)
        a = self.algebra
        match node:
            case Sum(terms):
                return a.add(*(self._expanded(term, rules, used) for term in terms))
            case Product():
                return shaped(a.times(*(self._expanded(part, rules, used) for part in a.parts(node))), node.shape)
            case Power(base, exponent):
                return a.power(self._expanded(base, rules, used), exponent)
            case Call(name, arguments) if arguments and not any(isinstance(x, Extent) for x in arguments):
                return a.call(name, *(self._expanded(x, rules, used) for x in arguments))
        return node


class Unknown(ValueError):
    """An operation that no rule is about."""

    def __init__(self, node: Node) -> None:
        name = node.function if isinstance(node, Call) else type(node).__name__
        super().__init__(f"there is no rule for the differential of `{name}`")


_PRODUCT = next(rule for rule in OPERATIONS if rule.name == "product")
_CONSTANT_FACTOR = Rule(
    "constant factor", "Cookbook (33), (34)", "A constant factor stays in front.", _PRODUCT.applies, _PRODUCT.apply
)
