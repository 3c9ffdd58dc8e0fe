"""Products with their number and their scalars in front, and what is done with them: powers, diagonals, determinants.

A monomial is lazy: a matrix in it is not multiplied, nor the identity written out, before somebody needs the array.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from gdiff.derivation.chains import Chain, Chains, Factor
from gdiff.derivation.steps import Facts, Step, Value
from gdiff.derivation.tree import SCALAR, Shape

_MOST_FACTORS = 8  # of a power that is a chain; higher powers are squared again and again


@dataclass(frozen=True)
class Monomial:
    """coefficient * scalars * chain; no chain is the identity, or 1 where the shape is that of a scalar."""

    shape: Shape
    coefficient: Fraction = Fraction(1)
    scalars: tuple[tuple[Value, int], ...] = ()  # with exponents 1 and -1
    chain: Chain = ()

    def with_chain(self, *chain: Factor) -> Monomial:
        """The same number and scalars in front of other matrices."""
        return replace(self, chain=chain)


class Monomials(Chains):
    """A program that computes with monomials."""

    def settled(self, m: Monomial) -> Value:
        """The array that a monomial is."""
        coefficient, factor = self.split(m)
        return self.scaled(coefficient, factor)

    def scaled(self, coefficient: Fraction, f: Factor) -> Value:
        """The array that a number times a factor is."""
        if coefficient == 0 and f.shape != SCALAR:
            return self.full(0, f.shape)
        return self.linear([(coefficient, self.identity(f) if self.is_multiple(f) else self.value_of(f))])

    def split(self, m: Monomial) -> tuple[Fraction, Factor]:
        """A monomial as a number and one factor; a multiple of the identity is a diagonal factor that is a scalar."""
        above = [value for value, k in m.scalars if k > 0]
        below = [value for value, k in m.scalars if k < 0]
        coefficient, scalar = m.coefficient, None
        for value in above:
            scalar = value if scalar is None else self.times(scalar, value)
        if below:
            divisor = below[0]
            for value in below[1:]:
                divisor = self.times(divisor, value)
            if scalar is None:
                coefficient, scalar = Fraction(1), self.number(m.coefficient)
            scalar = self.divide(scalar, divisor)
        if not m.chain:
            scalar = self.number(1) if scalar is None else scalar
            return coefficient, Factor(scalar, m.shape, "dense" if m.shape == SCALAR else "diagonal")
        if m.coefficient == 0:
            return m.coefficient, replace(m.chain[0], shape=m.shape)
        factor = self.product(m.chain)
        if scalar is None:
            return coefficient, factor
        if factor.kind == "diagonal":
            return coefficient, replace(factor, value=self.times(scalar, factor.value))
        return coefficient, self.factor(self.times(scalar, self.value_of(factor)), m.shape)

    def is_multiple(self, f: Factor) -> bool:
        """Whether a factor is a multiple of the identity."""
        return f.kind == "diagonal" and self.rank(f.value) == 0

    def identity(self, f: Factor) -> Value:
        """A multiple of the identity as an array."""
        eye = self.emit("eye", detail=(f.shape[0],), rank=2, facts=Facts(True, 2))
        return self.times(f.value, eye)

    def full(self, entry: int, shape: Shape) -> Value:
        """An array of zeros or ones."""
        rank = 2 if 1 not in shape else 1
        sizes = shape if rank == 2 else shape[:1] if shape[1] == 1 else shape[1:]
        return self.emit("full", detail=(entry, *sizes), rank=rank, facts=Facts(rank == 2, int(entry == 1)))

    def as_monomial(self, value: Value, shape: Shape) -> Monomial:
        """A value alone."""
        if shape == SCALAR:
            return Monomial(shape, scalars=((value, 1),))
        return Monomial(shape, chain=(self.factor(value, shape),))

    def as_diagonal(self, v: Value, shape: Shape) -> Monomial:
        """The diagonal matrix with a vector on its diagonal."""
        return Monomial(shape, chain=(Factor(v, shape, "diagonal"),))

    def repeated(self, m: Monomial, k: int) -> Monomial:
        """The power k > 0 of a square matrix."""
        if len(m.chain) == 1 and m.chain[0].kind == "diagonal":
            (f,) = m.chain
            powered = m.with_chain(replace(f, value=self.power(f.value, Fraction(k))))
        elif k <= _MOST_FACTORS or not m.chain:
            powered = m.with_chain(*m.chain * k)
        else:
            half = self.product(self.repeated(m, k // 2).chain)
            powered = m.with_chain(self.product((half, half)), *m.chain * (k % 2))
        return replace(powered, coefficient=m.coefficient**k, scalars=m.scalars * k)

    def reciprocal(self, m: Monomial) -> Monomial:
        """The inverse; that of a product, block by square block in reverse."""
        if not m.coefficient:
            m = self.as_monomial(self.settled(m), m.shape)
        chain = tuple(self.inverse(self.product(block)) for block in reversed(blocks(m.chain)))
        return Monomial(m.shape, 1 / m.coefficient, tuple((v, -k) for v, k in m.scalars), chain)

    def diagonal_part(self, m: Monomial) -> Value:
        """The diagonal of a square matrix as a vector."""
        column = m.shape[0], 1
        if not m.coefficient:
            return self.full(0, column)
        v = self.diagonal_of(m.chain) if m.chain else self.full(1, column)
        return self.times(self.front(m), v)

    def front(self, m: Monomial) -> Value:
        """What is in front of the matrices of a monomial."""
        return self.settled(replace(m, chain=(), shape=SCALAR))

    def size(self, shape: Shape) -> Value:
        """The number of rows."""
        if isinstance(shape[0], int):
            return self.number(shape[0])
        return self.emit("size", detail=(shape[0],), facts=Facts(sign=2))

    # --- determinants -----------------------------------------------------------------------------------------------

    def det(self, m: Monomial) -> Value:
        """The determinant, block by block, with the scalars in front to the power of the size."""
        scalar = self.front(m)
        parts = [self.det_of(self.product(block)) for block in blocks(m.chain)]
        if self.steps[scalar] != Step("number", (), (Fraction(1),)):
            size = self.size(m.shape)
            known = self.steps[size].detail[0] if self.steps[size].operation == "number" else size
            parts.insert(0, self.power(scalar, known))
        value = self.number(1)
        for part in parts:
            value = self.times(value, part)
        return value

    def det_of(self, f: Factor) -> Value:
        """The determinant of a factor, from its one factorisation."""
        if f.kind == "inverse":
            return self.divide(self.number(1), self.det_of(replace(f, kind="dense")))
        if f.kind == "diagonal":
            return self.emit("prod", f.value, facts=Facts(sign=self.sign(f)))
        if self.facts[f.value].triangular:
            return self.emit("prod", self.diagonal(f.value))
        if self.is_positive(f.value):
            root = self.emit("prod", self.diagonal(self.cholesky(f.value)), facts=Facts(sign=2))
            return self.power(root, Fraction(2))
        return self.emit("lu_det", self.lu(f.value))

    def log_det_of(self, m: Monomial) -> Value:
        """log det(c A B) = d log c + log det A + log det B where all but one of them are known to be positive."""
        scalar = self.front(m)
        factors = [self.product(block) for block in blocks(m.chain)]
        unsure = [f for f in factors if f.kind == "diagonal" or not self.is_positive(f.value)]
        if self.facts[scalar].sign < 2 or len(unsure) > 1:
            coefficient, f = self.split(m)
            diagonal = f.kind == "diagonal" and not self.is_multiple(f)
            whole = replace(f, value=self.linear([(coefficient, f.value)])) if diagonal else None
            factors = [whole or self.factor(self.scaled(coefficient, f), m.shape)]
            scalar = self.number(1)
        logs = [self.log_det_factor(f) for f in factors]
        if self.steps[scalar] != Step("number", (), (Fraction(1),)):
            logs.insert(0, self.times(self.size(m.shape), self.entrywise("log", scalar)))
        return self.linear([(Fraction(1), value) for value in logs])

    def log_det_factor(self, f: Factor) -> Value:
        """The logarithm of the determinant of a factor, NaN where that is not positive."""
        if f.kind == "inverse":
            return self.linear([(Fraction(-1), self.log_det_factor(replace(f, kind="dense")))])
        if f.kind == "dense" and self.is_positive(f.value):
            logs = self.entrywise("log", self.diagonal(self.cholesky(f.value)))
            return self.linear([(Fraction(2), self.total(logs))])
        if f.kind == "dense" and not self.facts[f.value].triangular:
            return self.emit("lu_log_det", self.lu(f.value))
        v = f.value if f.kind == "diagonal" else self.diagonal(f.value)
        return self.emit("log_prod", v)


def blocks(chain: Chain) -> list[Chain]:
    """Cut a chain of square shape into square parts, as short as they come."""
    blocks, begin = [], 0
    for i, f in enumerate(chain):
        if f.shape[1] == chain[begin].shape[0]:
            blocks.append(chain[begin : i + 1])
            begin = i + 1
    return blocks
