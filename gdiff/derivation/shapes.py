"""From a tree to a tree that knows its shapes.

A name starts with the shape of its letter (the table in `vocabulary`); the operations then say what sizes are equal.
Where they contradict each other the letters give way, at the prices of `roles`. The cheapest reading without a
contradiction is taken; if there is none, the contradiction of the first reading is the error.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, TypeAlias

from gdiff.derivation.dimensions import Dimensions, Term, Unknown, substitute
from gdiff.derivation.errors import ReadError
from gdiff.derivation.grammar import Syntax
from gdiff.derivation.printer import shape_text, to_text
from gdiff.derivation.roles import GOALS, Search
from gdiff.derivation.tree import (
    SCALAR,
    Call,
    Extent,
    Node,
    Number,
    Power,
    Product,
    Shape,
    Size,
    Sum,
    Symbol,
    children,
    inverse,
    number,
    product,
    symbols,
    with_children,
)
from gdiff.derivation.vocabulary import SIZED, differential_of

_OpenShape: TypeAlias = tuple[Term, Term]

_MAX_READINGS = 60
_MAX_WORK = 20_000  # nodes looked at, so that a long text is answered soon
_ENTRYWISE = frozenset({"exp", "log", "sqrt", "abs"})
PRODUCT_NOTE = "`*` is read as the matrix product; `.*` or `∘` is entrywise"


@dataclass(frozen=True)
class Reading:
    """Trees with shapes, and the shape of every name."""

    nodes: tuple[Node, ...]
    shapes: dict[str, Shape]
    notes: tuple[str, ...]


class _Conflict(Exception):
    """Two shapes that do not fit, and the names that could give way."""

    def __init__(self, text: int, at: int, problem: str, names: Collection[str], advice: str = "") -> None:
        super().__init__(problem)
        self.text, self.at, self.problem, self.names, self.advice = text, at, problem, names, advice


def infer(
    syntaxes: Sequence[Syntax],
    declared: Mapping[str, Shape],
    wrt: str | None = None,
    symmetric: Collection[str] = (),
    expected: Shape | None = None,
) -> Reading:
    """Find the shapes of several texts that share their names.

    With `wrt`, the first is taken to be a scalar and the others derivatives of it, as far as that is possible; a claim
    with the differential of `wrt` in it (dS) is the differential of the expression.
    With `expected`, every text has that shape.
    """
    search = Search(syntaxes, declared, wrt, symmetric, expected)
    frontier: list[tuple[float, int, dict[str, str]]] = [(0.0, 0, {})]
    seen: set[frozenset[tuple[str, str]]] = set()
    first: tuple[_Conflict, _Attempt] | None = None
    count = 0
    limit = min(_MAX_READINGS, max(2, _MAX_WORK // search.size))
    while frontier and len(seen) < limit:
        cost, _, changes = heapq.heappop(frontier)
        key = frozenset(changes.items())
        if key in seen:
            continue
        seen.add(key)
        attempt = _Attempt(search, changes)
        try:
            return attempt.run()
        except _Conflict as conflict:
            first = first or (conflict, attempt)
            for name in conflict.names:
                for price, kind in search.options(name)[1:]:
                    if name not in changes:
                        count += 1
                        heapq.heappush(frontier, (cost + price, count, {**changes, name: kind}))
    assert first is not None
    reason, attempt = first
    advice = " ".join(part for part in (reason.advice, attempt.as_read()) if part)
    raise ReadError(syntaxes[reason.text].text, reason.at, reason.problem, "", advice)


# --- one reading --------------------------------------------------------------------------------------------------


class _Attempt:
    """One reading: every name has a shape, perhaps of unknown size, and the operations must fit."""

    def __init__(self, search: Search, changes: Mapping[str, str]) -> None:
        self.search = search
        self.changes = changes
        self.sizes = Dimensions()
        self.notes: list[str] = []
        self.text = 0
        self.symbols: dict[str, _OpenShape] = {}
        for name in sorted(search.names, key=lambda name: differential_of(name) in search.names):
            self.symbols[name] = self._shape_of_name(name)

    def _shape_of_name(self, name: str) -> _OpenShape:
        if name in self.search.declared:
            rows, columns = self.search.declared[name]
            shape: _OpenShape = self._size(rows), self._size(columns)
            if name in self.search.symmetric:
                self.sizes.unify(*shape)
            return shape
        original = differential_of(name)
        if original in self.symbols:
            return self.symbols[original]
        kind = self._choice(name)
        if kind == "scalar":
            return SCALAR
        length = self.sizes.fresh()
        if kind == "vector":
            return length, 1
        return length, length if name in self.search.symmetric else self.sizes.fresh()

    def _choice(self, name: str) -> str:
        return self.changes.get(name) or self.search.options(name)[0][1]

    def _size(self, size: Size) -> Term:
        if isinstance(size, tuple):
            return (str(size[0]), *(self._size(part) for part in size[1:]))
        return size if isinstance(size, int) else self.sizes.named(size)

    def run(self) -> Reading:
        nodes: list[Node] = []
        for index, syntax in enumerate(self.search.syntaxes):
            self.text = index  # the text that an error is about
            nodes.append(self.of(syntax.node))
            if self.search.expected is not None:
                rows, columns = self.search.expected
                if not self._fits(nodes[-1].shape, (self._size(rows), self._size(columns))):
                    wanted = shape_text(self.search.expected)
                    raise _Conflict(self.text, nodes[-1].at, f"the result is not {wanted}", symbols(syntax.node))
        if self.search.wrt is not None:
            nodes = self._derivatives(nodes, self.symbols[self.search.wrt])
        names = self._names()
        notes = [note for syntax in self.search.syntaxes for note in syntax.notes] + self.notes
        changes = {name: kind for name, kind in self.changes.items() if name not in GOALS}
        notes += [f"`{name}` is read as a {kind}: nothing else fits" for name, kind in changes.items()]
        return Reading(
            tuple(self._finish(node, names) for node in nodes),
            {name: self._final(shape, names) for name, shape in self.symbols.items()},
            tuple(dict.fromkeys(notes)),
        )

    def _derivatives(self, nodes: list[Node], wrt: _OpenShape) -> list[Node]:
        expression, *claims = nodes
        goal = self._choice(":expression")
        if goal == "scalar" and not self.is_scalar(expression):
            self.text = 0
            raise self._conflict(expression, "the expression to differentiate is not a scalar", ":expression")
        made = [expression]
        for index, claim in enumerate(claims, 1):
            self.text = index
            if claim == number(0) and goal == "scalar":
                claim = Call("zeros", (), at=claim.at, shape=wrt)  # type: ignore[arg-type]
            rows, columns = wrt
            entries: Term = ("times", rows, columns)
            values: Term = entries if self.is_scalar(expression) else ("times", *expression.shape)
            wanted: dict[str, _OpenShape] = {
                "gradient": (rows, columns),
                "transposed": (columns, rows),
                "hessian": (values, entries),
            }
            shape = wanted.get(self._choice(":claim"))
            if any(differential_of(name) == self.search.wrt for name in symbols(claim)):
                shape = self.shape(expression)  # df = tr(inv(S)*dS)
            if shape is not None and not self._fits(claim.shape, shape):
                raise self._conflict(claim, "the derivative does not have the shape of what it is taken by", ":claim")
            made.append(claim)
        return made

    def _fits(self, a: _OpenShape, b: _OpenShape) -> bool:
        return self.sizes.unify(a[0], b[0]) and self.sizes.unify(a[1], b[1])

    def _conflict(self, node: Node, problem: str, goal: str) -> _Conflict:
        return _Conflict(self.text, node.at, problem, (*self.search.names, goal))

    # --- the operations -----------------------------------------------------------------------------------------

    def shape(self, node: Node) -> _OpenShape:
        return self.sizes.resolve(node.shape[0]), self.sizes.resolve(node.shape[1])

    def is_scalar(self, node: Node) -> bool:
        return self.shape(node) == SCALAR

    def of(self, node: Node) -> Node:
        """Give a node and everything below it their shapes."""
        match node:
            case Symbol(name):
                return _shaped(node, self.symbols[name])
            case Sum():
                return self._sum(node)
            case Product():
                return self._product(node)
            case Power():
                return self._power(node)
            case Call():
                return self._call(node)
        return node

    def _sum(self, node: Sum) -> Node:
        first, *rest = terms = self._with_ones([self.of(term) for term in node.terms])
        for index, (term, operator) in enumerate(zip(rest, node.operators[1:], strict=True), 1):
            if not self._fits(first.shape, term.shape):
                one = any(isinstance(t, Number) for t in (first, term))
                advice = "A number is added to a matrix as `2*I`, to every entry as `2*ones(d, d)`." if one else ""
                advice += " A product that is a scalar needs brackets around it." if self._loose(term) else ""
                involved = node.terms[: index + 1]
                self._refuse(operator.spelling, operator.at, (first, term), involved, advice.strip(), (":ones",) * one)
        return _shaped(replace(node, terms=tuple(terms)), first.shape)

    def _with_ones(self, terms: list[Node]) -> list[Node]:
        """1 + v with a vector v: the number is added to every entry, which is all that it can mean."""
        shape = next((s for s in map(self.shape, terms) if s[1] == 1 and s != SCALAR), None)
        numbers = any(isinstance(term, Number) for term in terms)
        if shape is None or not numbers or self._choice(":ones") == "refused":
            return terms
        self.notes.append("a number added to a vector is added to every entry")
        ones = Call("ones", (), shape=shape)  # type: ignore[arg-type]
        return [_shaped(product(1, (t, ones)), shape) if isinstance(t, Number) else t for t in terms]

    def _loose(self, term: Node) -> bool:
        return isinstance(term, Product) and len(term.factors) > 2

    def _product(self, node: Product) -> Node:
        factors = [self.of(factor) for factor in node.factors]
        shape: _OpenShape = SCALAR
        for index, (factor, operator) in enumerate(zip(factors, node.operators, strict=True)):
            if shape == SCALAR:
                shape = self.shape(factor)
            elif not self.is_scalar(factor):
                left = _shaped(Product(tuple(factors[:index])) if index > 1 else factors[0], shape)
                before = factors[index - 1]
                if isinstance(before, Call) and before.bare:
                    problem = "an entrywise or Kronecker product and then a product can be read in two ways"
                    names = [name for name in symbols(node.factors[index]) if name[0].islower()]
                    raise _Conflict(self.text, operator.at, problem, names, "Use brackets: (A∘B)*C or A∘(B*C).")
                self._align(before, factor)
                if not self.sizes.unify(shape[1], factor.shape[0]):
                    spelling = operator.spelling or "product"
                    self._refuse(spelling, operator.at or factor.at, (left, factor), node.factors[: index + 1], "")
                rows, columns = shape[0], self.shape(factor)[1]
                if operator.spelling == "*" and 1 not in (*self.shape(left), columns):
                    self.notes.append(PRODUCT_NOTE)
                shape = rows, columns
            shape = self.sizes.resolve(shape[0]), self.sizes.resolve(shape[1])
        return _shaped(product(1, factors, node.operators, node.at), shape)

    def _align(self, before: Node, factor: Node) -> None:
        """(P⊗Q) vec(X) is vec(Q X P'): each factor has a side of X, which the product of sizes alone leaves open."""
        inner = before.arguments[0] if isinstance(before, Call) and before.function == "t" else before
        if all(isinstance(v, Call) and v.function == "vec" for v in (inner, factor)):
            self._fits(inner.arguments[0].shape, factor.arguments[0].shape)  # type: ignore[attr-defined]
        for kron, vec, side in ((before, factor, 1), (factor, inner, 0)):
            kron = kron.base if isinstance(kron, Power) else kron
            if isinstance(kron, Call) and kron.function == "kron" and isinstance(vec, Call) and vec.function == "vec":
                (p, q), x = kron.arguments, vec.arguments[0]
                if self.sizes.unify(q.shape[side], x.shape[0]):
                    self.sizes.unify(p.shape[side], x.shape[1])

    def _power(self, node: Power) -> Node:
        base, exponent = self.of(node.base), self.of(node.exponent)
        made = replace(node, base=base, exponent=exponent)
        if not self.is_scalar(exponent):
            self._refuse("an exponent", exponent.at, (exponent,), (node.exponent,), "An exponent is a scalar.")
        if self.is_scalar(base):
            return inverse(base, node.at) if made.is_inverse else _shaped(made, SCALAR)
        if not self.sizes.unify(*base.shape):
            advice = "Only a square matrix or a scalar has a power; entrywise it is `.^`, the square of a norm is x'*x."
            self._refuse("a power", node.at, (base,), (node.base,), advice)
        if not (isinstance(exponent, Number) and exponent.value.denominator == 1):
            advice = "Matrices have whole powers only."
            self._refuse("this power", node.at, (base,), (node.base, node.exponent), advice)
        return _shaped(made, base.shape)

    def _call(self, node: Call) -> Node:
        arguments = tuple(self.of(argument) for argument in node.arguments)
        node = replace(node, arguments=arguments)
        name = node.function
        if name in ("had", "kron") and any(self.is_scalar(argument) for argument in arguments):
            a, b = arguments
            made = product(1, arguments, (), node.at)
            return _shaped(made, self.shape(b if self.is_scalar(a) else a))
        if name == "had":
            if not self._fits(arguments[0].shape, arguments[1].shape):
                self._refuse("the entrywise product", node.at, arguments, arguments, "")
            return _shaped(node, arguments[0].shape)
        if name == "kron":
            (m, n), (p, q) = arguments[0].shape, arguments[1].shape
            return _shaped(node, (("times", m, p), ("times", n, q)))
        if name in SIZED:
            return self._constant(node)
        if name in ("cbind", "rbind"):
            return self._bound(node)
        if not arguments:
            return node
        argument = arguments[0]
        rows, columns = self.shape(argument)
        if name == "bars":
            name = "abs" if self.is_scalar(argument) else "norm" if columns == 1 else "det"
            node = replace(node, function=name)
        if name == "d":
            return _shaped(node, argument.shape)
        if name == "hadpow" and not self.is_scalar(arguments[1]):
            self._refuse("an exponent", arguments[1].at, arguments[1:], arguments[1:], "An exponent is a scalar.")
        if self.is_scalar(argument):
            return self._of_scalar(node, argument)
        if name == "t":
            return _shaped(node, (columns, rows))
        if name in _ENTRYWISE:
            if 1 not in (rows, columns):
                self.notes.append(f"`{name}` of a matrix is read entry by entry")
            return _shaped(node, argument.shape)
        if name == "hadpow":
            return _shaped(node, argument.shape)
        if name in ("sum", "norm"):
            return _shaped(node, SCALAR)
        if name == "pinv":
            return _shaped(node, (columns, rows))
        if name == "vec":
            return argument if columns == 1 else _shaped(node, (("times", rows, columns), 1))
        if name == "diag" and columns == 1:
            return _shaped(node, (rows, rows))
        if not self.sizes.unify(rows, columns):
            self._refuse(f"`{name}`", node.at, (argument,), (argument,), "Its argument is a square matrix.")
        rows = self.sizes.resolve(rows)
        if name in ("tr", "det"):
            return _shaped(node, SCALAR)
        if name == "diagonal":
            return _shaped(node, (rows, 1))
        if name == "vech":
            return _shaped(node, (("triangle", rows), 1))
        return _shaped(node if name == "tril" else replace(node, function="ddiag"), (rows, rows))  # diag(M) = M∘I

    def _bound(self, node: Call) -> Node:
        """Matrices side by side, or one below the other: equal sizes there, and a sum of sizes here."""
        along = 1 if node.function == "cbind" else 0
        first = node.arguments[0]
        for index, other in enumerate(node.arguments[1:], 2):
            if not self.sizes.unify(first.shape[1 - along], other.shape[1 - along]):
                self._refuse(f"`{node.function}`", node.at, (first, other), node.arguments[:index], "")
        total = self.sizes.resolve(("plus", *(argument.shape[along] for argument in node.arguments)))
        rows, columns = (first.shape[0], total) if along else (total, first.shape[1])
        return _shaped(node, (rows, columns))

    def _of_scalar(self, node: Call, argument: Node) -> Node:
        """At d = 1 the trace, the determinant, the transpose ... of a number are the number."""
        if node.function == "hadpow":
            return _shaped(Power(argument, node.arguments[1], at=node.at), SCALAR)
        if node.function == "norm":
            return _shaped(replace(node, function="abs"), SCALAR)
        if node.function == "pinv":
            return inverse(argument, node.at)
        return _shaped(node, SCALAR) if node.function in _ENTRYWISE else argument

    def _constant(self, node: Call) -> Node:
        extents = [self._size(a.size) for a in node.arguments if isinstance(a, Extent)]
        rows = extents[0] if extents else self.sizes.fresh(may_be_one=node.function == "eye")
        if node.function == "eye":
            return _shaped(node, (rows, rows))
        if node.function == "duplication":
            return _shaped(node, (("times", rows, rows), ("triangle", rows)))
        if node.function == "commutation":
            every = self.sizes.resolve(("times", rows, extents[-1]))
            return _shaped(node, (every, every))
        return _shaped(node, (rows, extents[1] if len(extents) > 1 else 1))

    # --- messages and the result --------------------------------------------------------------------------------

    def _refuse(
        self,
        what: str,
        at: int,
        operands: Sequence[Node],
        involved: Sequence[Node],
        advice: str,
        goals: Sequence[str] = (),
    ) -> NoReturn:
        names = self._names([size for operand in operands for size in operand.shape])
        read = " and ".join(_described(self._finish(operand, names)) for operand in operands)
        what = f"`{what}`" if len(what) <= 3 else what
        problem = f"the shapes do not fit: {what} {'between' if len(operands) > 1 else 'of'} {read}"
        raise _Conflict(self.text, at, problem, (*symbols(*involved), *goals), advice)

    def as_read(self) -> str:
        """Say what shapes this reading gave the names."""
        names = self._names()
        read = ", ".join(f"{n}: {shape_text(self._final(s, names))}" for n, s in self.symbols.items())
        return f"Shapes as read: {read}. To say otherwise: --shape x=3,1 (in Python, shapes={{...}})." if read else ""

    def _names(self, more: Sequence[Term] = ()) -> dict[Unknown, str]:
        order = [size for name in self.search.names for size in self.symbols[name]]
        return self.sizes.names([*order, *more], self.search.taken)

    def _final(self, shape: _OpenShape, names: dict[Unknown, str]) -> Shape:
        rows, columns = (self.sizes.resolve(size) for size in shape)
        for unknown, name in self.sizes.names((rows, columns), {*self.search.taken, *names.values()}).items():
            names.setdefault(unknown, name)  # the identity alone: a size that no name has
        return substitute(rows, names), substitute(columns, names)

    def _finish(self, node: Node, names: dict[Unknown, str]) -> Node:
        """Put the sizes that were found into the tree."""
        shape = self._final(node.shape, names)
        match node:
            case Call("zeros", ()) if shape[1] != 1:
                node = replace(node, arguments=tuple(Extent(s) for s in shape if isinstance(s, int | str)))
            case Call("ones", ()) if shape != SCALAR and isinstance(shape[0], int | str):
                node = replace(node, arguments=(Extent(shape[0]),))
            case _:
                node = with_children(node, [self._finish(child, names) for child in children(node)])
        return _shaped(node, shape)


def _shaped(node: Node, shape: _OpenShape) -> Node:
    return replace(node, shape=shape)  # type: ignore[arg-type]


def _described(node: Node) -> str:
    rows, columns = node.shape
    text = to_text(node)
    shown = f"`{text}`" if len(text) <= 40 else f"`{text[:37]}...`"
    if node.is_scalar:
        return f"the scalar {shown}"
    if columns == 1:
        return f"the vector {shown} of length {shape_text(node.shape)}"
    return f"the {shape_text(node.shape)} matrix {shown}"
