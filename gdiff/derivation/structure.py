"""What names are declared to be, and what follows for the formulas that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from gdiff.derivation.tree import Call, Extent, Node, Number, Power, Product, Sum, Symbol, walk

STRUCTURES = (
    *("general", "symmetric", "positive_definite", "diagonal", "lower_triangular", "orthogonal", "positive"),
    "constant",
)
_SYMMETRIC = frozenset({"symmetric", "positive_definite", "diagonal"})
SQUARE = _SYMMETRIC | {"lower_triangular", "orthogonal"}


@dataclass(frozen=True)
class Structure:
    """The declared structure of names: `{"S": "positive_definite"}`; a name that is not in it is general."""

    of: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse words that are not a structure."""
        for name, word in self.of.items():
            if word not in STRUCTURES:
                raise ValueError(f"`{name}` is declared {word!r}; want one of {', '.join(STRUCTURES)}")

    @property
    def symmetric(self) -> frozenset[str]:
        """The names that are symmetric in any way."""
        return frozenset(name for name, word in self.of.items() if word in _SYMMETRIC)

    def declares(self, name: str, *words: str) -> bool:
        """Whether a name is declared to be one of these."""
        return self.of.get(name, "general") in words

    def with_differential(self, name: str) -> Structure:
        """Add the differential of a name: dS is symmetric, diagonal, triangular where S is."""
        inherited = {"positive_definite": "symmetric", "orthogonal": "general", "positive": "general"}
        word = self.of.get(name, "general")
        return replace(self, of={**self.of, f"d{name}": inherited.get(word, word)})

    def is_symmetric(self, node: Node) -> bool:
        """Whether a matrix is symmetric by the way it is written."""
        if node.is_scalar:
            return True
        if node.shape[0] != node.shape[1]:
            return False
        match node:
            case Number(value):
                return value == 0
            case Symbol(name):
                return name in self.symmetric
            case Power(base, _):
                return self.is_symmetric(base)
            case Sum(terms):
                return all(map(self.is_symmetric, terms)) or self._sum_is_symmetric(terms)
            case Call("eye" | "ddiag" | "diag" | "ones" | "zeros", _):
                return True
            case Call("d", (Symbol(name),)):
                return name in self.symmetric
            case Call("d" | "t" | "pinv" | "exp" | "log" | "sqrt" | "abs", (inner,)):
                return self.is_symmetric(inner)
            case Call("hadpow", (inner, _)):
                return self.is_symmetric(inner)
            case Call("had", (a, b)):
                # M∘I has nothing off the diagonal
                return any(self.is_diagonal(x) for x in (a, b)) or (self.is_symmetric(a) and self.is_symmetric(b))
            case Call("kron", arguments):
                return all(map(self.is_symmetric, arguments))
            case Call("rbind", _) if grid := _grid(node):
                square = len(grid) == len(grid[0])
                pairs = ((i, j) for i in range(len(grid)) for j in range(i + 1))
                return square and all(grid[i][j] == self.transposed(grid[j][i]) for i, j in pairs)
            case Product(factors):
                chain = chain_of(factor for factor in factors if not factor.is_scalar)
                return chain == chain_of(self.transposed(f) for f in reversed(chain))
        return False

    def _sum_is_symmetric(self, terms: Sequence[Node]) -> bool:
        """A + A', a sum whose terms are each other's transposes."""
        turned = [self.transposed(term) for term in terms]
        return all(t in terms for t in turned) and all(turned.count(t) == terms.count(t) for t in turned)

    def is_diagonal(self, node: Node) -> bool:
        """Whether a matrix is diagonal by the way it is written."""
        match node:
            case Symbol(name):
                return self.declares(name, "diagonal")
            case Power(base, _):
                return not node.is_scalar and self.is_diagonal(base)
            case Sum(terms):
                return all(map(self.is_diagonal, terms))
            case Call("eye" | "ddiag", _):
                return True
            case Call("diag", (inner,)):
                return inner.shape[1] == 1
            case Call("had", arguments):
                return any(map(self.is_diagonal, arguments))
            case Call("t" | "tril" | "d", (inner,)):
                return self.is_diagonal(inner)
            case Product(factors):
                return all(factor.is_scalar or self.is_diagonal(factor) for factor in factors)
        return False

    def is_lower(self, node: Node) -> bool:
        """Whether a matrix is lower triangular by the way it is written."""
        match node:
            case Symbol(name):
                return self.declares(name, "lower_triangular", "diagonal")
            case Power(base, _):
                return not node.is_scalar and self.is_lower(base)
            case Sum(terms):
                return all(map(self.is_lower, terms))
            case Call("tril", _):
                return True
            case Product(factors):
                return all(factor.is_scalar or self.is_lower(factor) for factor in factors)
        return self.is_diagonal(node)

    def is_orthogonal(self, node: Node) -> bool:
        """Whether a matrix is orthogonal: a name declared so, or its transpose."""
        inner = node.arguments[0] if isinstance(node, Call) and node.function == "t" else node
        return isinstance(inner, Symbol) and self.declares(inner.name, "orthogonal")

    def is_positive(self, node: Node) -> bool:
        """Whether a scalar is positive by the way it is written."""
        match node:
            case Number(value):
                return value > 0
            case Symbol(name):
                return self.declares(name, "positive")
            case Call("norm" | "exp" | "sqrt" | "pi", _):
                return True
            case Call("det", (matrix,)):
                return isinstance(matrix, Symbol) and self.declares(matrix.name, "positive_definite")
            case Power(base, Number(exponent)):
                return self.is_positive(base) or exponent.numerator % 2 == 0
            case Sum(operands) | Product(operands):
                return all(part.is_scalar and self.is_positive(part) for part in operands)
        return False

    def transposed(self, node: Node) -> Node:
        """The transpose, pushed inwards where that is what a person would write; S for a symmetric S."""
        if node.is_scalar or self.is_symmetric(node):
            return node
        shape = node.shape[1], node.shape[0]
        match node:
            case Number():
                return replace(node, shape=shape)
            case Call("t", (inner,)):
                return inner
            case Product(factors):
                scalars = [factor for factor in factors if factor.is_scalar]
                turned = [self.transposed(f) for f in reversed(factors) if not f.is_scalar]
                return Product((*scalars, *chain_of(turned)), shape=shape)
            case Sum(terms) if 1 not in shape:
                apart = Sum(tuple(self.transposed(term) for term in terms), shape=shape)
                if _transposes(apart) <= _transposes(node) + 1:  # (A + A')', but (X - M)' stays together
                    return apart
            case Call("had" | "kron" as name, (a, b)):
                return Call(name, (self.transposed(a), self.transposed(b)), shape=shape)
            case Call("hadpow", (a, exponent)):
                return Call("hadpow", (self.transposed(a), exponent), shape=shape)
            case Call("zeros", (n,)):
                return Call("zeros", (Extent(1), n), shape=shape)
            case Call("ones" | "zeros" as name, (m, n)):
                return Call(name, (n,) if shape[1] == 1 else (n, m), shape=shape)
            case Call("commutation", (m, n)):
                return Call("commutation", (n, m), shape=shape)
            case Call("rbind", _) if grid := _grid(node):
                columns = [[self.transposed(row[j]) for row in grid] for j in range(len(grid[0]))]
                rows = [Call("cbind", tuple(c), shape=(c[0].shape[0], node.shape[0])) for c in columns]
                return Call("rbind", tuple(rows), shape=shape)
            case Call("cbind" | "rbind" as name, blocks):
                other = "rbind" if name == "cbind" else "cbind"
                return Call(other, tuple(self.transposed(block) for block in blocks), shape=shape)
            case Power(base, exponent) if isinstance(base, Call) and base.function == "t":
                return replace(Power(base.arguments[0], exponent), shape=shape)
        return Call("t", (node,), shape=shape)


def _transposes(node: Node) -> int:
    return sum(isinstance(part, Call) and part.function == "t" for part in walk(node))


def _grid(node: Node) -> list[tuple[Node, ...]]:
    """The rows of a matrix of blocks, each of as many; none for anything else."""
    rows = node.arguments if isinstance(node, Call) and node.function == "rbind" else ()
    grid = [row.arguments for row in rows if isinstance(row, Call) and row.function == "cbind"]
    return grid if len(grid) == len(rows) and len({len(row) for row in grid}) == 1 else []


def chain_of(factors: Iterable[Node]) -> list[Node]:
    """The factors of a product of products, one after the other."""
    return [
        part
        for factor in factors
        for part in (factor.factors if isinstance(factor, Product) and not factor.is_scalar else (factor,))
    ]
