"""Products of matrices, in the cheapest order, with inverses that are never formed if a solve will do.

A `Factor` is a matrix or vector before it is decided how to compute with it: the inverse of a value, a diagonal matrix
of which only the diagonal is there, a transpose that may cancel. Rows are columns that are marked as transposed, so
x'*inv(S) and inv(S)*x are one solve.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from gdiff.derivation.evaluate import size_of
from gdiff.derivation.steps import Facts, Program, Value
from gdiff.derivation.tree import SCALAR, Shape, Size

# What a dimension is taken to be when the orders of a product are compared: people name those that may be large.
_NOMINAL = 100


@dataclass(frozen=True)
class Factor:
    """A factor of a product: a value, its inverse, or the diagonal matrix that has the value on its diagonal."""

    value: Value
    shape: Shape
    kind: Literal["dense", "inverse", "diagonal"] = "dense"
    transposed: bool = False


Chain: TypeAlias = tuple[Factor, ...]


class _Nominal(dict[str, int]):
    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> int:
        return _NOMINAL


class Chains(Program):
    """A program that multiplies."""

    def __init__(self) -> None:
        super().__init__()
        self._products: dict[Chain, Factor] = {}

    # --- factors ----------------------------------------------------------------------------------------------------

    def factor(self, value: Value, shape: Shape) -> Factor:
        """A value as a factor; it lies as its shape says."""
        return Factor(value, shape, transposed=shape[0] == 1 != shape[1])

    def turned(self, f: Factor) -> Factor:
        """The transpose."""
        if f.kind == "diagonal" or f.shape == SCALAR or (self.rank(f.value) == 2 and self.facts[f.value].symmetric):
            return f
        return replace(f, shape=f.shape[::-1], transposed=not f.transposed)

    def turned_chain(self, chain: Chain) -> Chain:
        """The factors of the transpose of a product."""
        return tuple(self.turned(f) for f in reversed(chain))

    def inverse(self, f: Factor) -> Factor:
        """The inverse, which costs nothing yet."""
        if f.kind == "diagonal":
            return replace(f, value=self.divide(self.number(1), f.value))
        if f.kind == "inverse":
            return replace(f, kind="dense")
        if self.facts[f.value].orthogonal:
            return self.turned(f)
        return replace(f, kind="inverse")

    def value_of(self, f: Factor) -> Value:
        """The factor as an array, a vector as one of one axis."""
        if f.kind == "diagonal":
            return self.diag_matrix(f.value)
        value = self._explicit_inverse(f) if f.kind == "inverse" else f.value
        return self.transpose(value) if f.transposed and self.rank(value) == 2 else value

    def sign(self, f: Factor) -> int:
        """What is known of the sign of a factor."""
        return self.facts[f.value].sign

    # --- factorisations ---------------------------------------------------------------------------------------------

    def is_positive(self, matrix: Value) -> bool:
        """Whether a matrix that has an inverse must be positive definite: A'A is, if it has one."""
        known = self.facts[matrix]
        return known.symmetric and known.sign > 0

    def cholesky(self, matrix: Value) -> Value:
        """The lower factor."""
        return self.emit("cholesky", matrix, rank=2, facts=Facts(triangular=True))

    def lu(self, matrix: Value) -> Value:
        """The factors, of a matrix without structure, with the order of its rows."""
        return self.emit("lu", matrix, rank=2)

    def solve(self, f: Factor, b: Value) -> Value:
        """The inverse that f is, times b, by the one factorisation that there is of the matrix.

        Also where the inverse is formed anyway: a product with it is less accurate, and the gradient of a Gaussian at
        d = 100 would take 208 instead of 223 us in float32, 242 instead of 317 in float64 (2 cores, one BLAS thread).
        """
        rank = self.rank(b)
        if self.facts[f.value].triangular:
            return self.emit("solve_triangular", f.value, b, detail=(f.transposed,), rank=rank)
        if self.is_positive(f.value):
            return self.emit("cholesky_solve", self.cholesky(f.value), b, rank=rank)
        return self.emit("lu_solve", self.lu(f.value), b, detail=(f.transposed,), rank=rank)

    def _explicit_inverse(self, f: Factor) -> Value:
        known = self.facts[f.value]
        if known.triangular:
            eye = self.emit("eye", detail=(f.shape[0],), rank=2)
            return self.emit("solve_triangular", f.value, eye, detail=(False,), rank=2, facts=Facts(triangular=True))
        facts = Facts(known.symmetric, known.sign)
        if self.is_positive(f.value):
            return self.emit("cholesky_inverse", self.cholesky(f.value), rank=2, facts=facts)
        return self.emit("lu_inverse", self.lu(f.value), rank=2, facts=facts)

    # --- products ---------------------------------------------------------------------------------------------------

    def product(self, chain: Chain) -> Factor:
        """The product of a chain, in the cheapest order, given what has been computed before."""
        if len(chain) == 1:
            return chain[0]
        known = self._known(chain)
        if known is not None:
            return known
        _, at = self._effort(chain, {})
        made = self._multiply(self.product(chain[:at]), self.product(chain[at:]))
        if made.kind == "dense" and chain == self.turned_chain(chain):
            middle = self.sign(chain[len(chain) // 2]) if len(chain) % 2 else 1
            known_sign = max(min(middle, 1), self.sign(made))
            self.learn(made.value, Facts(made.shape != SCALAR, known_sign))
            made = replace(made, transposed=False)
        self._products[chain] = made
        return made

    def effort(self, chain: Chain) -> float:
        """About how many operations a product costs."""
        return self._effort(chain, {})[0]

    def _known(self, chain: Chain) -> Factor | None:
        if chain in self._products:
            return self._products[chain]
        turned = self._products.get(self.turned_chain(chain))
        return None if turned is None else self.turned(turned)

    def _effort(self, chain: Chain, memo: dict[Chain, tuple[float, int]]) -> tuple[float, int]:
        """The cost of the cheapest order, and where it cuts first."""
        if len(chain) == 1 or self._known(chain) is not None:
            return 0.0, 0
        if chain not in memo:
            memo[chain] = min(self._cut(chain, at, memo) for at in range(1, len(chain)))
        return memo[chain]

    def _cut(self, chain: Chain, at: int, memo: dict[Chain, tuple[float, int]]) -> tuple[float, int]:
        left, right = chain[:at], chain[at:]
        own = self._effort(left, memo)[0]
        if right not in (left, self.turned_chain(left)):
            own += self._effort(right, memo)[0]
        return own + self._step_effort(left, right), at

    def _step_effort(self, left: Chain, right: Chain) -> float:
        m, n, p = (nominal(size) for size in (left[0].shape[0], left[-1].shape[1], right[-1].shape[1]))
        kinds = [part[0].kind if len(part) == 1 else "dense" for part in (left, right)]
        if kinds == ["diagonal", "diagonal"]:
            return n
        if "diagonal" in kinds:
            return m * p + (n**3 if "inverse" in kinds else 0)
        return 2 * m * n * p + (3 * n**3 if kinds == ["inverse", "inverse"] else 0)

    def _multiply(self, left: Factor, right: Factor) -> Factor:
        a, b = left.value, right.value
        shape = left.shape[0], right.shape[1]
        if SCALAR in (left.shape, right.shape):
            return self.factor(self.times(a, b), shape)
        if shape == SCALAR:
            return Factor(self.dot(a, b), SCALAR)
        if left.shape[1] == 1:
            return Factor(self.outer(a, b), shape)
        if left.shape[0] == 1 or (right.kind == "inverse" and left.kind == "dense"):
            return self.turned(self._multiply(self.turned(right), self.turned(left)))
        if left.kind == "diagonal":
            if right.kind == "diagonal":
                return Factor(self.times(a, b), shape, "diagonal")
            b = self.value_of(right)
            if self.rank(b) == 1:
                return Factor(self.times(a, b), shape)
            return Factor(self.emit("scale_rows", a, b, rank=2), shape)
        if right.kind == "diagonal":
            return Factor(self.emit("scale_columns", self.value_of(left), b, rank=2), shape)
        if left.kind == "inverse":
            return Factor(self.solve(left, self.value_of(right)), shape)
        a, b = self.value_of(left), self.value_of(right)
        if self.is_ones(b) and self.rank(b) == 1:
            return Factor(self.emit("row_sums", a, rank=1), shape)
        return Factor(self.emit("matmul", a, b, rank=self.rank(b)), shape)

    def is_ones(self, value: Value) -> bool:
        """Whether all entries are 1, by construction."""
        step = self.steps[value]
        return step.operation == "full" and step.detail[0] == 1

    def dot(self, u: Value, v: Value) -> Value:
        """u'v."""
        for one, other in ((u, v), (v, u)):
            if self.is_ones(one):
                return self.total(other)
        if self.has("dot", v, u):
            u, v = v, u
        return self.emit("dot", u, v, facts=Facts(sign=int(u == v)))

    def outer(self, u: Value, v: Value) -> Value:
        """U v'."""
        return self.emit("outer", u, v, rank=2, facts=Facts(u == v, int(u == v)))

    # --- what needs a part of a product only ------------------------------------------------------------------------

    def trace(self, chain: Chain) -> Value:
        """tr(A B) = sum of A∘B', for the cheapest two parts of the cycle; at a vector the cycle opens into a scalar."""
        rotations = [chain[i:] + chain[:i] for i in range(len(chain))]
        opened = next((r for r in rotations if r[0].shape[0] == 1), None)
        if opened is not None:
            return self.product(opened).value
        scaled = next((r for r in rotations if r[0].kind == "diagonal"), None)
        if scaled is not None:
            v = scaled[0].value
            return self.dot(v, self.diagonal_of(scaled[1:])) if scaled[1:] else self.total(v)
        halves = self._cheapest_halves(rotations)
        if halves is None:
            value = self.value_of(self.product(chain))
            return self.emit("trace", value, facts=Facts(sign=self.facts[value].sign))
        left, right = halves
        return self.total(self.times(self.value_of(left), self.value_of(self.turned(right))))

    def diagonal_of(self, chain: Chain) -> Value:
        """The diagonal of A B, the sums of the rows of A∘B'."""
        if len(chain) == 1 and chain[0].kind == "diagonal":
            return chain[0].value
        halves = self._cheapest_halves([chain])
        if halves is None:
            return self.diagonal(self.value_of(self.product(chain)))
        left, right = halves
        both = self.times(self.value_of(left), self.value_of(self.turned(right)))
        return both if self.rank(both) == 1 else self.emit("row_sums", both, rank=1)

    def _cheapest_halves(self, chains: Iterable[Chain]) -> tuple[Factor, Factor] | None:
        """Two parts that are there when all but the last product is done; an inverse is no part, unless it is there."""
        there = [(left, right) for left, right in cut(chains) if self._is_there(left) and self._is_there(right)]
        if not there:
            return None
        left, right = min(there, key=lambda halves: self._halves_effort(*halves))
        return self.product(left), self.product(right)

    def _halves_effort(self, left: Chain, right: Chain) -> float:
        entrywise = nominal(left[0].shape[0]) * nominal(right[0].shape[0])
        return self.effort(left) + self.effort(right) + entrywise

    def _is_there(self, chain: Chain) -> bool:
        if len(chain) > 1 or chain[0].kind == "dense":
            return True
        if chain[0].kind == "diagonal":
            return False
        factored = next((s for s in ("cholesky", "lu") if self.has(s, chain[0].value, rank=2)), None)
        if factored is None:
            return False
        return self.has(f"{factored}_inverse", self.emit(factored, chain[0].value, rank=2), rank=2)


def cut(chains: Iterable[Chain]) -> Iterator[tuple[Chain, Chain]]:
    """Cut chains in two, in every place."""
    for chain in chains:
        for at in range(1, len(chain)):
            yield chain[:at], chain[at:]


def nominal(size: Size) -> float:
    """About how large a size may be."""
    return float(size_of(size, _Nominal()))
