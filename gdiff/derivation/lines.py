"""A derivation, line by line: the differential by its rules, then the derivative read off it.

    df = d(...)                  each rule applied to all parts that wait for it
    df = tr(G' dX)               the trace is cyclic, and every product around dX goes to its left
    G                            read off; then the convention of a symmetric argument

Nothing here is checked: whoever shows a line holds it against numbers first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from gdiff.derivation.constants import ZERO, identity, is_zero, ones, shaped, size_times, zero_map
from gdiff.derivation.differential import Differentiation, Reason
from gdiff.derivation.readoff import gradient, jacobian
from gdiff.derivation.structure import Structure
from gdiff.derivation.tidy import presented, symmetric_correction, tidiest, tidy
from gdiff.derivation.tree import (
    SCALAR,
    Call,
    Extent,
    Node,
    Number,
    Product,
    Shape,
    Sum,
    product,
)

Quantity = Literal["f", "df", "gradient", "jacobian", "d gradient", "bilinear", "hessian"]


@dataclass(frozen=True)
class Line:
    """One line: which quantity it is about, what that is, and why. `convention` marks G as sym(G) or as B."""

    quantity: Quantity
    node: Node
    reasons: tuple[Reason, ...] = ()
    convention: str | None = None


_CYCLIC = Reason(
    "cyclic trace",
    "tr(AB) = tr(BA), tr(A') = tr(A)",
    "Under a trace factors are turned until {d} stands at the end; a number is its own trace and transpose.",
)
_COLLECT = Reason(
    "collect", "a'b = b'a", "A number is its own transpose, so that {d} can stand at the end of each term."
)
_READ_OFF = Reason("read off", "df = {form}", "What multiplies {d} in the inner product is the gradient.")
_VEC = Reason("vec", "vec(A X B) = (B'⊗A) vec(X)", "The matrix that multiplies vec({d}) is the derivative.")
_SECOND = Reason(
    "second differential", "d2f = tr(dG' dX)", "The differential of the gradient, in the inner product again."
)
_HESSIAN = Reason("read off", "dg = H {d}", "What multiplies {d} is the Hessian.")
_FULL = Reason(
    "symmetric part",
    "tr(G' dS) = tr(sym(G)' dS)",
    "{d} is symmetric, so only the symmetric part of G counts: the gradient in the full convention.",
)
_SYMMETRIC = Reason(
    "correction for symmetry",
    "B = 2 sym(G) - G∘I, vech(B) = D' vec(G)",
    "Off the diagonal two entries move together, so that their derivatives add up: the symmetric convention.",
)
_PATTERN = Reason(
    "pattern", "entries that are always 0 do not move", "Only the entries that can move have a derivative."
)


def plain_gradient(f: Node, wrt: str, shape: Shape, structure: Structure) -> Node:
    """G of a scalar expression, as it comes out: every term by itself, in no convention.

    Raises Unsupported or Unknown (ValueErrors) where an operation is out of reach.
    """
    rules = Differentiation(wrt, shape, structure)
    return gradient(rules.worked_out(rules.d(rules.algebra.simplify(f))), rules.step, rules.algebra)


def derivation(
    f: Node, wrt: str, shape: Shape, structure: Structure, convention: str = "full", order: int = 1
) -> tuple[Line, ...]:
    """All lines, from f to its derivative of order 1 or 2 with respect to a name of the given shape.

    Raises Unsupported or Unknown (ValueErrors) where an operation is out of reach.
    """
    work = _Derivation(wrt, shape, structure, convention, order)
    lines = [Line("f", f), *work.first(f)]
    if order == 2:
        lines += work.second(lines[-1].node)
    return tuple(lines)


class _Derivation:
    def __init__(self, wrt: str, shape: Shape, structure: Structure, convention: str, order: int) -> None:
        self.wrt, self.shape, self.structure, self.convention, self.order = wrt, shape, structure, convention, order
        self.rules = Differentiation(wrt, shape, structure)
        self.a, self.step = self.rules.algebra, self.rules.step
        words = {"diagonal": "ddiag", "lower_triangular": "tril"}
        self.pattern = words.get(structure.of.get(wrt, ""), "")  # what keeps the entries that can move
        self.is_symmetric = wrt in structure.symmetric and not structure.declares(wrt, "diagonal")

    def said(self, reason: Reason) -> Reason:
        """The reason with the name of the differential in it."""
        d = self.step.name
        form = f"g {d}" if self.shape == SCALAR else f"g' {d}" if self.shape[1] == 1 else f"tr(G' {d})"
        source, words = (text.format(form=form, d=d) for text in (reason.source, reason.words))
        return Reason(reason.name, source, words)

    def shown(self, node: Node) -> Node:
        return presented(tidiest(node, self.a))

    def first(self, f: Node) -> Iterator[Line]:
        """From f to its first derivative."""
        f = self.a.simplify(f)
        made = self.rules.d(f)
        for made, reasons in self.rules.lines(f):
            yield Line("df", presented(made), reasons)
        if f.is_scalar:
            yield from self._gradient(made)
        else:
            yield from self._jacobian(made)

    def _gradient(self, differential: Node) -> Iterator[Line]:
        g = gradient(differential, self.step, self.a)
        shown = self.shown(g)
        collected = self.inner(shown)
        if self.shape != SCALAR and presented(differential) != collected:
            reason = _CYCLIC if self.shape[1] != 1 else _COLLECT
            yield Line("df", collected, (self.said(reason),))
        yield Line("gradient", shown, (self.said(_READ_OFF),))
        yield from self._in_structure(g)

    def inner(self, g: Node) -> Node:
        """tr(G' dX), as it is written for numbers, vectors and matrices."""
        if self.shape == SCALAR:
            return self.a.times(g, self.step)
        turned = self.a.t(g) if not isinstance(g, Number) else g
        if isinstance(turned, Number):
            return ZERO
        if self.shape[1] == 1:
            return shaped(Product((*_flat(turned), self.step)), SCALAR)
        scalars = [factor for factor in _flat(turned) if isinstance(factor, Number) or factor.is_scalar]
        chain = [factor for factor in _flat(turned) if factor not in scalars and not _is_identity(factor)]
        matrix = shaped(product(1, [*chain, self.step]), (self.shape[1], self.shape[1]))
        return shaped(product(1, [*scalars, Call("tr", (matrix,), shape=SCALAR)]), SCALAR)

    def _in_structure(self, g: Node) -> Iterator[Line]:
        """G for an argument that is symmetric, diagonal or triangular."""
        a = self.a
        if self.is_symmetric and self.convention == "symmetric" and self.order == 1:
            yield Line("gradient", presented(symmetric_correction(g, a)), (self.said(_SYMMETRIC),), "symmetric")
        elif self.is_symmetric:
            if not a.structure.is_symmetric(g):
                yield Line("gradient", self.shown(self.symmetric_part(g)), (self.said(_FULL),), "full")
        elif self.pattern and self.order == 1:
            restricted = self.each(self.pattern, g)
            if restricted != g:
                yield Line("gradient", self.shown(restricted), (self.said(_PATTERN),))

    def each(self, name: str, g: Node) -> Node:
        """A linear function of a sum, term by term where that leaves a term as it is."""
        terms = g.terms if isinstance(g, Sum) else (g,)
        kept = [t for t in terms if self.a.call(name, t) == t]
        rest = [t for t in terms if t not in kept]
        return self.a.add(*kept, *([self.a.call(name, tidy(self.a.add(*rest), self.a))] if rest else []))

    def symmetric_part(self, g: Node) -> Node:
        """(G + G')/2, term by term."""
        terms = g.terms if isinstance(g, Sum) else (g,)
        out = []
        for term in terms:
            symmetric = self.a.structure.is_symmetric(term)
            half = Fraction(1, 2)
            out += [term] if symmetric else [self.a.times(half, term), self.a.times(half, self.a.t(term))]
        return self.a.add(*out)

    def _jacobian(self, differential: Node) -> Iterator[Line]:
        j = jacobian(differential, self.step, self.a)
        if is_zero(j):
            j = zero_map(differential.shape, self.shape)
        yield Line("jacobian", self.shown(j), (self.said(_VEC),))
        if self.pattern:
            yield Line("jacobian", self.shown(self.a.times(j, self.moving())), (self.said(_PATTERN),))
        if self.is_symmetric:
            reason = self.said(_coordinates(self.convention))
            yield Line("jacobian", self.shown(self.a.times(j, self.coordinates())), (reason,), self.convention)

    def moving(self) -> Node:
        """The diagonal matrix with a 1 for each entry of vec(X) that can move."""
        return self.a.call("diag", self.a.call("vec", self.a.call(self.pattern, ones(self.shape))))

    def coordinates(self) -> Node:
        """N = (I + K)/2, or the duplication matrix D."""
        d = self.shape[0]
        if not isinstance(d, int | str):
            raise ValueError(f"a matrix of {d} rows has no name for its duplication matrix")
        n = size_times(d, d)
        if self.convention == "symmetric":
            columns = d * (d + 1) // 2 if isinstance(d, int) else ("triangle", d)
            return Call("duplication", (Extent(d),), shape=(n, columns))
        k = Call("commutation", (Extent(d), Extent(d)), shape=(n, n))
        return self.a.times(Fraction(1, 2), self.a.add(identity((n, n)), k))

    def second(self, g: Node) -> Iterator[Line]:
        """From the gradient G, in the full convention, to the Hessian: dG, d2f = tr(dG' dX), vec(dG) = H vec(dX)."""
        made: Node = shaped(ZERO, g.shape)
        for made, reasons in self.rules.lines(self.a.simplify(g)):
            yield Line("d gradient", presented(made), reasons)
        if self.shape[1] != 1:
            yield Line("bilinear", presented(self.a.call("tr", self.a.times(self.a.t(made), self.step))), (_SECOND,))
        h = self._hessian(made)
        if is_zero(h) and self.shape != SCALAR:
            yield from self._zero_hessian()
            return
        yield Line("hessian", self.shown(h), (self.said(_VEC if self.shape[1] != 1 else _HESSIAN),))
        if self.is_symmetric:
            reason = self.said(_coordinates(self.convention))
            yield Line("hessian", self.shown(self._in_coordinates(h)), (reason,), self.convention)
        if self.pattern:
            moving = self.moving()
            yield Line("hessian", self.shown(self.a.times(moving, h, moving)), (self.said(_PATTERN),))

    def _zero_hessian(self) -> Iterator[Line]:
        """Zeros of the right shape."""
        h = zero_map(self.shape, self.shape)
        if self.is_symmetric and self.convention == "symmetric":
            d = self.coordinates()
            h = Product((self.a.t(d), h, d), shape=(d.shape[1], d.shape[1]))
        convention = self.convention if self.is_symmetric else None
        yield Line("hessian", h, (self.said(_VEC if self.shape[1] != 1 else _HESSIAN),), convention)

    def _hessian(self, made: Node) -> Node:
        if self.shape == SCALAR:
            return gradient(made, self.step, self.a)
        return jacobian(made, self.step, self.a)

    def _in_coordinates(self, h: Node) -> Node:
        """D' H D, or N H N; N once where the terms commute with K, not at all where they are symmetric matrices' vecs.

        K (A⊗B) K = B⊗A, and K vec(A) = vec(A').
        """
        a, m = self.a, self.coordinates()
        if self.convention == "symmetric":
            return a.times(a.t(m), h, m)
        h = a.expand(h)
        terms = list(h.terms) if isinstance(h, Sum) else [h]
        fixed = [term for term in terms if self._is_fixed(term)]
        rest = [term for term in terms if term not in fixed]
        swapped = [self._swapped(term) for term in rest]
        if not rest:
            return h
        moved = a.add(*rest)
        commutes = all(s in rest for s in swapped)
        return a.add(*fixed, a.times(m, moved) if commutes else a.times(m, moved, m))

    def _is_fixed(self, term: Node) -> bool:
        """vec(A) vec(B)' of symmetric matrices."""
        chain = self.a.term(term).chain
        inner = [f.arguments[0] if isinstance(f, Call) and f.function == "t" else f for f in chain]
        return len(chain) == 2 and all(
            isinstance(f, Call) and f.function == "vec" and self.a.structure.is_symmetric(f.arguments[0]) for f in inner
        )

    def _swapped(self, term: Node) -> Node | None:
        own = self.a.term(term)
        if len(own.chain) == 1 and isinstance(own.chain[0], Call) and own.chain[0].function == "kron":
            x, y = own.chain[0].arguments
            return self.a.times(own.coefficient, *own.scalars, self.a.call("kron", y, x))
        return None


def _coordinates(convention: str) -> Reason:
    if convention == "symmetric":
        return Reason("vech", "vec(dS) = D vech(dS)", "A symmetric {d} has the entries of its vech: D duplicates them.")
    return Reason(
        "symmetric part", "vec(dS) = N vec(dS), N = (I + K)/2", "{d} is symmetric: N takes the symmetric part."
    )


def _is_identity(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "eye"


def _flat(node: Node) -> tuple[Node, ...]:
    return node.factors if isinstance(node, Product) else (node,)
