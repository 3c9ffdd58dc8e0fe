"""What a name may turn out to be: a scalar, a vector or a matrix, at what price.

The letter is free. A lower-case letter may turn out to be a scalar or a vector (`n*log(det(S))`, `y - X*b`); a capital
one, at a higher price, a count (N) or a random vector (Y). What is transposed, inverted or traced never turns into a
scalar, so that a slip in a formula is an error and not a formula about numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from gdiff.derivation.grammar import Syntax
from gdiff.derivation.tree import Call, Node, Number, Power, Product, Shape, Sum, Symbol, symbols, walk
from gdiff.derivation.vocabulary import differential_of, kind_of

# Their argument is a vector or a matrix, or the person would not have written them.
_STRUCTURAL = frozenset({"tr", "det", "ddiag", "diagonal", "vech", "t", "diag", "vec", "kron", "had", "norm", "sum"})
# Capital letters that people use for counts and constants.
_COUNTS = frozenset("CKMNT")
# Capital letters that people use for random vectors: (X - mu)'*inv(S)*(X - mu), Y - X*b.
_LATE = frozenset("UVWXYZ")

# Expectations of a derivative are alternatives as well, under names that no text can contain; so is what 1 + v means.
GOALS: dict[str, list[tuple[float, str]]] = {
    ":expression": [(0, "scalar"), (5, "free")],
    ":ones": [(0, "refused"), (1.5, "added to every entry")],
    ":claim": [(0, "gradient"), (1.25, "transposed"), (1.5, "hessian"), (1.75, "free")],
}


class Search:
    """What stays the same from one reading to the next."""

    def __init__(
        self,
        syntaxes: Sequence[Syntax],
        declared: Mapping[str, Shape],
        wrt: str | None,
        symmetric: Collection[str],
        expected: Shape | None,
    ) -> None:
        self.syntaxes = syntaxes
        self.expected = expected
        self.declared = declared
        self.wrt = wrt
        self.symmetric = frozenset(symmetric)
        found = symbols(*(syntax.node for syntax in syntaxes))
        self.names = tuple(dict.fromkeys((*found, *((wrt,) if wrt else ()), *symmetric)))
        every = [node for syntax in syntaxes for node in walk(syntax.node)]
        self.size = len(every)
        self.structured = {
            name
            for node in every
            if isinstance(node, Call) and node.function in _STRUCTURAL | {"bars"}
            for argument in node.arguments
            for name in _carriers(argument)
            if node.function != "bars" or name[0].isupper()
        }
        self.powered = {node.base.name for node in every if isinstance(node, Power) and isinstance(node.base, Symbol)}
        self.taken = {name for name in self.names if len(name) == 1}

    def options(self, name: str) -> Sequence[tuple[float, str]]:
        """List what a name may be, with the price of each; the first costs nothing."""
        if name in GOALS:
            return GOALS[name]
        if name in self.declared or differential_of(name) in self.names:
            return [(0, "declared")]
        if name in self.symmetric:
            return [(0, "matrix")]
        match kind_of(name) or ("matrix" if name[0].isupper() else "vector"):
            case "scalar" if name in self.structured:
                return [(0, "vector"), (2, "matrix"), (3, "scalar")]
            case "scalar":
                return [(0, "scalar"), (1, "vector")]
            case "vector" if name in self.structured:
                return [(0, "vector")]
            case "vector":
                return [(0, "vector"), (1, "scalar")]
        if name in _COUNTS - self.structured - self.powered:
            return [(0, "matrix"), (3, "scalar")]
        return [(0, "matrix"), (4, "vector")] if name[0] in _LATE else [(0, "matrix")]


def _carriers(node: Node) -> Iterator[str]:
    """Names that have the shape of the node itself: x and m of `2*(x - m)`."""
    match node:
        case Symbol(name):
            yield name
        case Sum(terms):
            for term in terms:
                yield from _carriers(term)
        case Product((Number(), factor)):
            yield from _carriers(factor)
        case Call("t", (argument,)):
            yield from _carriers(argument)
