"""Straight-line programs: a tuple of steps, each one operation on earlier values, no two of them the same.

`Program` collects steps. It knows a little of every value (symmetric, positive, triangular), which decides how a matrix
is factorised, and it keeps numbers out of products, so that they meet once, in a linear combination.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple, TypeAlias

from gdiff.derivation.tree import Shape, Size

Value: TypeAlias = int  # the position of the step that computes it

# What an argument may be declared to be.
Structure: TypeAlias = Literal[
    "general", "symmetric", "positive_definite", "diagonal", "lower_triangular", "orthogonal"
]

_SIZED = frozenset({"size", "eye", "full", "commutation", "duplication"})  # steps that take sizes
_ONE = Fraction(1)


@dataclass(frozen=True)
class Step:
    """One operation. `detail` has what is known before any array is: numbers, sizes, a name, whether transposed.

    `rank` is the number of axes: scalars have none, vectors one, be they rows or columns, matrices two.
    """

    operation: str
    operands: tuple[Value, ...] = ()
    detail: tuple = ()
    rank: int = 0

    @property
    def sizes(self) -> tuple[str, ...]:
        """The dimensions that the step must know."""
        extents = self.detail[1:] if self.operation == "full" else self.detail
        return tuple(_dimensions(extents)) if self.operation in _SIZED else ()


def _dimensions(sizes: Iterable[Size]) -> Iterator[str]:
    for size in sizes:
        if isinstance(size, str):
            yield size
        elif isinstance(size, tuple):
            yield from _dimensions(size[1:])


class Facts(NamedTuple):
    """What is known of a value: `sign` 2 is positive (definite), 1 not negative, 0 unknown; of a vector, every entry.

    A matrix has a sign only if it is symmetric.
    """

    symmetric: bool = False
    sign: int = 0
    triangular: bool = False
    orthogonal: bool = False


UNKNOWN = Facts()


@dataclass(frozen=True)
class Plan:
    """A program with what it needs to be run or written down: its arguments, and the shape of its result."""

    steps: tuple[Step, ...]
    shapes: Mapping[str, Shape]
    structure: Mapping[str, Structure]
    shape: Shape

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names that the program needs for their values, or for a size, in the order of the shapes."""
        used = {step.detail[0] for step in self.steps if step.operation == "argument"}
        for size in (size for step in self.steps for size in step.sizes):
            having = [name for name in self.shapes if size in self.shapes[name]]
            if used.isdisjoint(having):
                used.update(having[:1])
        return tuple(name for name in self.shapes if name in used)

    @property
    def result(self) -> Value:
        """The value that is returned: that of the last step."""
        return len(self.steps) - 1

    def uses(self) -> list[int]:
        """Count how often each value is an operand."""
        counts = [0] * len(self.steps)
        for step in self.steps:
            for operand in step.operands:
                counts[operand] += 1
        return counts


class Program:
    """Steps in the making; `emit` returns the value that is there already, if the same step is."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.facts: list[Facts] = []
        self._places: dict[Step, Value] = {}

    def emit(
        self, operation: str, *operands: Value, detail: tuple = (), rank: int = 0, facts: Facts = UNKNOWN
    ) -> Value:
        """Add a step, if it is new."""
        step = Step(operation, operands, detail, rank)
        place = self._places.setdefault(step, len(self.steps))
        if place == len(self.steps):
            self.steps.append(step)
            self.facts.append(facts)
        return place

    def has(self, operation: str, *operands: Value, detail: tuple = (), rank: int = 0) -> bool:
        """Whether a step is there."""
        return Step(operation, operands, detail, rank) in self._places

    def learn(self, value: Value, facts: Facts) -> None:
        """Keep what is found out of a value later."""
        self.facts[value] = facts

    def rank(self, *values: Value) -> int:
        """The number of axes that values have when they are combined entry by entry."""
        return max(self.steps[value].rank for value in values)

    # --- entry by entry ---------------------------------------------------------------------------------------------

    def number(self, value: Fraction | int) -> Value:
        """An exact number."""
        sign = 2 if value > 0 else 1 if value == 0 else 0
        return self.emit("number", detail=(Fraction(value),), facts=Facts(sign=sign))

    def linear(self, terms: Iterable[tuple[Fraction, Value]]) -> Value:
        """sum_i c_i v_i, like terms collected, and a number that is common to all in front of the bracket."""
        collected: dict[Value, Fraction] = {}
        constant = Fraction(0)
        for coefficient, value in terms:
            step = self.steps[value]
            if step.operation == "linear" and len(step.operands) == 1:
                (value,), coefficient = step.operands, coefficient * step.detail[0]
                step = self.steps[value]
            if step.operation == "number":
                constant += coefficient * step.detail[0]
            else:
                collected[value] = collected.get(value, Fraction(0)) + coefficient
        kept = {value: coefficient for value, coefficient in collected.items() if coefficient}
        if not kept:
            return self.number(constant)
        if constant:
            kept[self.number(1)] = constant
        size = {abs(c) for c in kept.values()}
        if len(kept) > 1 and (size != {_ONE} or max(kept.values()) < 0) and len(size) == 1:
            common = size.pop() * (-1 if max(kept.values()) < 0 else 1)
            return self.linear([(common, self.linear([(c / common, v) for v, c in kept.items()]))])
        (first, coefficient), *rest = kept.items()
        if coefficient == 1 and not rest:
            return first
        facts = [self.facts[value] for value in kept]
        signs = [f.sign if c > 0 else 0 for f, c in zip(facts, kept.values(), strict=True)]
        known = Facts(all(f.symmetric for f in facts), max(signs) if min(signs) else 0)
        return self.emit("linear", *kept, detail=tuple(kept.values()), rank=self.rank(*kept), facts=known)

    def times(self, a: Value, b: Value) -> Value:
        """A b, entry by entry: arrays of one shape, or a scalar and an array."""
        for one, other in ((a, b), (b, a)):
            step = self.steps[one]
            if step.operation == "number":
                return self.linear([(step.detail[0], other)])
            if step.operation == "linear" and len(step.operands) == 1:
                return self.linear([(step.detail[0], self.times(step.operands[0], other))])
            if step.operation == "power" and step.detail == (-1,) and self.rank(one) == self.rank(a, b):
                return self.divide(other, step.operands[0])
        if a == b:
            return self.power(a, Fraction(2))
        rank = self.rank(a, b)
        if self.has("times", b, a, rank=rank):
            a, b = b, a
        return self.emit("times", a, b, rank=rank, facts=self._product_facts(a, b))

    def divide(self, a: Value, b: Value) -> Value:
        """A / b, entry by entry, or by a scalar."""
        step = self.steps[b]
        if step.operation == "number" and step.detail[0]:
            return self.linear([(1 / step.detail[0], a)])
        known = self._product_facts(a, b)
        known = known._replace(sign=0) if self.rank(b) == 2 else known
        return self.emit("divide", a, b, rank=self.rank(a, b), facts=known)

    def _product_facts(self, a: Value, b: Value) -> Facts:
        """An entrywise product of positive definite matrices is positive definite (Schur)."""
        matrices = [self.facts[value] for value in (a, b) if self.rank(value) == 2]
        symmetric = bool(matrices) and all(f.symmetric for f in matrices)
        return Facts(symmetric, min(self.facts[a].sign, self.facts[b].sign))

    def power(self, a: Value, exponent: Fraction | Value) -> Value:
        """a^k, entry by entry: k a number that is known (Fraction), or a scalar."""
        rank, known = self.rank(a), self.facts[a]
        if not isinstance(exponent, Fraction):
            return self.emit("power", a, exponent, rank=rank, facts=Facts(sign=known.sign if rank < 2 else 0))
        if exponent == 1:
            return a
        if exponent == -1 and rank == 0:
            return self.divide(self.number(1), a)
        even = exponent.denominator == 1 and exponent.numerator % 2 == 0 and exponent > 0
        sign = 0 if rank == 2 else known.sign if known.sign == 2 else 1 if even else known.sign
        return self.emit("power", a, detail=(exponent,), rank=rank, facts=Facts(known.symmetric, sign))

    def entrywise(self, function: str, a: Value) -> Value:
        """Exp, log, sqrt or abs of every entry."""
        rank, known = self.rank(a), self.facts[a]
        sign = {"exp": 2, "abs": max(1, known.sign), "sqrt": max(1, known.sign), "log": 0}[function]
        return self.emit(function, a, rank=rank, facts=Facts(known.symmetric, sign if rank < 2 else 0))

    # --- of one array -----------------------------------------------------------------------------------------------

    def transpose(self, a: Value) -> Value:
        """A'; A itself if it is symmetric."""
        step, known = self.steps[a], self.facts[a]
        if known.symmetric:
            return a
        if step.operation == "transpose":
            return step.operands[0]
        return self.emit("transpose", a, rank=2, facts=Facts(orthogonal=known.orthogonal))

    def total(self, a: Value) -> Value:
        """The sum of all entries."""
        sign = self.facts[a].sign  # 1'A1 of a positive definite A, too
        return self.emit("total", a, facts=Facts(sign=sign))

    def diagonal(self, a: Value) -> Value:
        """The diagonal of a matrix, as a vector."""
        step = self.steps[a]
        if step.operation == "diag_matrix":
            return step.operands[0]
        return self.emit("diagonal", a, rank=1, facts=Facts(sign=self.facts[a].sign))

    def diag_matrix(self, v: Value) -> Value:
        """The matrix with a vector on its diagonal."""
        return self.emit("diag_matrix", v, rank=2, facts=Facts(True, self.facts[v].sign))

    # --- done -------------------------------------------------------------------------------------------------------

    def finish(self, result: Value) -> tuple[Step, ...]:
        """The steps that the result needs. A factor that is used once leaves it to the function that has it inside."""
        needed = {result}
        for place in range(result, -1, -1):
            if place in needed:
                needed.update(self.steps[place].operands)
        uses = dict.fromkeys(needed, 0)
        for place in needed:
            for operand in self.steps[place].operands:
                uses[operand] += 1
        made, moved = Program(), dict[Value, Value]()
        for place in sorted(needed):
            step = self.steps[place]
            operation, operands, detail = step.operation, [moved[o] for o in step.operands], step.detail
            if operation == "lu" and uses[place] == 1:
                moved[place] = operands[0]
                continue
            if operation.startswith("lu_") and uses[step.operands[0]] == 1:
                operation = operation.removeprefix("lu_")
                if detail == (True,):
                    operands[0] = made.transpose(operands[0])
                detail = ()
            moved[place] = made.emit(operation, *operands, detail=detail, rank=step.rank)
        return tuple(made.steps)
