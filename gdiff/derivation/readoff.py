"""From a differential to a derivative: df = tr(G' dX) is read as G, vec(dF) = J vec(dX) as J.

A differential is linear in dX: each operation around dX is turned over to the other side of the inner product (its
adjoint), or written as a matrix that multiplies vec(dX).
"""

from __future__ import annotations

from gdiff.derivation.algebra import Algebra
from gdiff.derivation.constants import ONE, ZERO, identity, ones, shaped, size_times, zeros
from gdiff.derivation.errors import Unsupported
from gdiff.derivation.printer import to_text
from gdiff.derivation.tree import SCALAR, Call, Extent, Node, Product, Shape, Sum, Symbol, symbols


def gradient(differential: Node, step: Symbol, algebra: Algebra) -> Node:
    """G with df = tr(G' dX), of a scalar differential; `step` is dX.

    Raises Unsupported where G has no formula in the language.
    """
    reader = _Adjoint(step, algebra)
    reader.back(differential, ONE)
    return algebra.add(*reader.found) if reader.found else zeros(step.shape) if step.shape != SCALAR else ZERO


class _Adjoint:
    """Goes from the differential to dX, and turns every operation over."""

    def __init__(self, step: Symbol, algebra: Algebra) -> None:
        self.step, self.a = step, algebra
        self.found: list[Node] = []

    def back(self, node: Node, g: Node) -> None:
        """Take <g, node> apart; g has the shape of the node."""
        if self.step.name not in symbols(node):
            return
        if isinstance(g, Sum) and not isinstance(node, Symbol):
            for term in g.terms:
                self.back(node, term)
            return
        match node:
            case Symbol():
                self.found.append(g)
            case Sum(terms):
                for term in terms:
                    self.back(term, g)
            case Product():
                self.product(node, g)
            case Call():
                self.call(node, g)
            case _:
                raise Unsupported(f"`{to_text(node)}` is not linear in {self.step.name}")

    def product(self, node: Product, g: Node) -> None:
        a, parts = self.a, self.a.parts(node)
        scalars = [part for part in parts if part.is_scalar]
        chain = [part for part in parts if not part.is_scalar]
        moving = next(i for i, part in enumerate(parts) if self.step.name in symbols(part))
        part = parts[moving]
        if part.is_scalar:
            others = [s for s in scalars if s is not part]
            inner = self.inner(g, a.times(*chain)) if chain and not node.is_scalar else a.times(g, *chain)
            self.back(part, a.times(*others, inner))
            return
        i = next(i for i, factor in enumerate(chain) if factor is part)
        left, right = a.times(*map(a.t, reversed(chain[:i]))), a.times(*map(a.t, reversed(chain[i + 1 :])))
        self.back(part, a.times(*scalars, *self.between(left, g, right, part.shape)))

    def between(self, left: Node, g: Node, right: Node, shape: Shape) -> tuple[Node, ...]:
        """Left' g right'; of a row times a column, or a trace, g is a number, and the order is right as well."""
        return (g, left, right) if g.is_scalar and shape != SCALAR else (left, g, right)

    def inner(self, g: Node, m: Node) -> Node:
        """<g, m> = tr(g' m)."""
        return self.a.call("tr", self.a.times(self.a.t(g), m)) if not m.is_scalar else self.a.times(g, m)

    def call(self, node: Call, g: Node) -> None:
        a, x = self.a, node.arguments[0]
        match node.function:
            case "t":
                self.back(x, a.t(g))
            case "tr":
                self.trace(x, g)
            case "sum":
                self.back(x, a.times(g, ones(x.shape)))
            case "had":
                for one, other in (node.arguments, node.arguments[::-1]):
                    if self.step.name in symbols(one):
                        self.back(one, a.call("had", g, other))
            case "diag":
                self.back(x, a.call("diagonal", g))
            case "diagonal":
                self.back(x, a.call("diag", g))
            case "ddiag" | "tril":
                self.back(x, a.call(node.function, g))
            case "cbind" | "rbind":
                self.blocks(node, g)
            case "kron":
                self.kronecker(node, g)
            case "vec":
                self.unstacked(x, g)
            case _:
                raise self.unsupported(node)

    def trace(self, x: Node, g: Node) -> None:
        """tr(A dX B) = <A' B', dX>, without the identity in between."""
        a = self.a
        if isinstance(x, Product):
            parts = a.parts(x)
            moving = next(part for part in parts if self.step.name in symbols(part))
            if not moving.is_scalar:
                chain = [part for part in parts if not part.is_scalar]
                i = next(i for i, factor in enumerate(chain) if factor is moving)
                around = [*chain[i + 1 :], *chain[:i]]
                scalars = [part for part in parts if part.is_scalar]
                self.back(moving, a.times(g, *scalars, *map(a.t, reversed(around))))
                return
        self.back(x, a.times(g, identity(x.shape)))

    def blocks(self, node: Call, g: Node) -> None:
        """The part of g beside a block, picked by a matrix of zeros and an identity."""
        a, axis = self.a, 1 if node.function == "cbind" else 0
        for index, block in enumerate(node.arguments):
            if self.step.name not in symbols(block):
                continue
            size = block.shape[axis]
            picks = [
                identity((size, size)) if i == index else zeros((other.shape[axis], size))
                for i, other in enumerate(node.arguments)
            ]
            pick = a.call("rbind", *picks)
            self.back(block, a.times(g, pick) if axis else a.times(a.t(pick), g))

    def kronecker(self, node: Call, g: Node) -> None:
        """<P⊗Q, A⊗dX> = tr(P'A) tr(Q'dX)."""
        a, (x, y) = self.a, node.arguments
        term = a.term(g)
        own = term.chain[0] if len(term.chain) == 1 else None
        if isinstance(own, Call) and own.function == "kron" and own.arguments[0].shape == x.shape:
            p, q = own.arguments
        elif not term.chain and x.shape[0] == x.shape[1] and y.shape[0] == y.shape[1]:
            p, q = identity(x.shape), identity(y.shape)
        else:
            raise self.unsupported(node)
        front = a.times(term.coefficient, *term.scalars)
        if self.step.name in symbols(y):
            self.back(y, a.times(front, self.inner(p, x), q))
        if self.step.name in symbols(x):
            self.back(x, a.times(front, self.inner(q, y), p))

    def unstacked(self, x: Node, g: Node) -> None:
        """<vec(M), vec(dX)> = <M, dX>."""
        term = self.a.term(g)
        own = term.chain[0] if len(term.chain) == 1 else None
        if isinstance(own, Call) and own.function == "vec":
            self.back(x, self.a.times(term.coefficient, *term.scalars, own.arguments[0]))
            return
        raise self.unsupported(Call("vec", (x,)))

    def unsupported(self, node: Call) -> Unsupported:
        shown = to_text(node)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return Unsupported(
            f"the derivative through `{node.function}` in `{shown}` has no formula in this notation; "
            "the operations that can be turned over are products, transposes, traces, sums, inverses, determinants, "
            "entrywise and diagonal ones, blocks, and Kronecker products within a trace of such"
        )


def jacobian(differential: Node, step: Symbol, algebra: Algebra) -> Node:
    """J with vec(dF) = J vec(dX); `step` is dX.

    Raises Unsupported where J has no formula in the language.
    """
    return _Linear(step, algebra).of(differential)


class _Linear:
    """Writes an operation on dX as a matrix that multiplies vec(dX)."""

    def __init__(self, step: Symbol, algebra: Algebra) -> None:
        self.step, self.a = step, algebra

    def of(self, node: Node) -> Node:
        a = self.a
        entries = size_times(*self.step.shape)
        shape = size_times(*node.shape), entries
        if self.step.name not in symbols(node):
            return shaped(ZERO, shape)
        if node.is_scalar:
            row = a.t(a.call("vec", gradient(node, self.step, a)))
            return shaped(row, shape)
        if node.shape[0] == 1:
            return self.of(a.t(node))
        match node:
            case Symbol():
                return identity((entries, entries))
            case Sum(terms):
                return a.add(*(shaped(self.of(term), shape) for term in terms))
            case Product():
                return self.product(node)
            case Call("t", (x,)):
                return a.times(self.commutation(x.shape), self.of(x)) if 1 not in x.shape else self.of(x)
            case Call("vec", (x,)):
                return self.of(x)
            case Call("ddiag" | "tril" as name, (x,)):
                return a.times(a.call("diag", a.call("vec", a.call(name, ones(x.shape)))), self.of(x))
            case Call("had", (x, y)):
                one, other = (x, y) if self.step.name in symbols(x) else (y, x)
                return a.times(a.call("diag", a.call("vec", other)), self.of(one))
        raise Unsupported(
            f"the derivative of `{to_text(node)}` by the entries of {self.step.name[1:]} has no formula in "
            "this notation"
        )

    def product(self, node: Product) -> Node:
        a, parts = self.a, self.a.parts(node)
        scalars = [part for part in parts if part.is_scalar]
        chain = [part for part in parts if not part.is_scalar]
        moving = next(part for part in parts if self.step.name in symbols(part))
        if moving.is_scalar:
            others = [s for s in scalars if s is not moving]
            return a.times(*others, a.call("vec", a.times(*chain)), self.of(moving))
        i = next(i for i, factor in enumerate(chain) if factor is moving)
        left, right = chain[:i], chain[i + 1 :]
        if right and isinstance(moving, Call) and moving.function == "diag":  # diag(v) r = r∘v
            column = a.times(*right)
            if column.shape[1] == 1:
                return a.times(*scalars, *left, a.call("diag", column), self.of(moving.arguments[0]))
        if not right and (moving.shape[1] == 1 or not left):
            return a.times(*scalars, *left, self.of(moving))
        ahead = a.times(*left) if left else identity((moving.shape[0],) * 2)
        behind = a.t(a.times(*right)) if right else identity((moving.shape[1],) * 2)
        return a.times(*scalars, self.kron(behind, ahead), self.of(moving))

    def kron(self, x: Node, y: Node) -> Node:
        """X⊗Y, but Y for a 1 x 1 identity X, and the column x for x⊗1."""
        for one, other in ((x, y), (y, x)):
            if one.is_scalar:
                return self.a.times(one, other) if not _is_one(one) else other
        return self.a.call("kron", x, y)

    def commutation(self, shape: Shape) -> Node:
        """K_mn of an m x n matrix."""
        m, n = shape
        if not isinstance(m, int | str) or not isinstance(n, int | str):
            raise Unsupported(f"the commutation matrix of a matrix with {m} rows and {n} columns has no name")
        every = size_times(m, n)
        return Call("commutation", (Extent(m), Extent(n)), shape=(every, every))


def _is_one(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "eye"
