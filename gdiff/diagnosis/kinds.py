"""What can be wrong with a derivative: an enumeration in which each member explains itself, and the record of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any


class Kind(StrEnum):
    """A kind of mistake; `.explanation` says how people come to make it."""

    explanation: str

    def __new__(cls, value: str, explanation: str = "") -> "Kind":
        """A member is its name as text, with an explanation beside it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        return member

    SIGN = "sign", "every entry has the opposite sign: a lost minus, or the negative of the function was differentiated"
    FACTOR = "factor", "every entry is the same multiple of the derivative: a lost 1/2 or a doubled term"
    TRANSPOSE = "transpose", "the transpose of the derivative; the two agree for symmetric arguments only"
    OTHER_CONVENTION = (
        "other_convention",
        "right in the other convention for a symmetric argument: A, the Frobenius gradient, "
        "and B = 2A - A∘I, the partials in the distinct entries, are both called the derivative",
    )
    OFF_DIAGONAL_FACTOR = "off_diagonal_factor", "right on the diagonal, off it a multiple: pairs counted twice or half"
    DIAGONAL_FACTOR = "diagonal_factor", "right off the diagonal, on it a multiple: the Hadamard term is wrong"
    LOWER_TRIANGLE = "lower_triangle", "only one triangle is filled in, as a Cholesky routine leaves its result"
    SYMMETRIC_PART_RIGHT = (
        "symmetric_part_right",
        "right after symmetrising: entries were treated as free although the argument is symmetric",
    )
    MISSING_TERM = "missing_term", "a term of the derivative is not there: one dependence was not differentiated"
    SURPLUS_TERM = "surplus_term", "a term is there that the derivative does not have"
    WRONG_COEFFICIENT = "wrong_coefficient", "the terms are right, a coefficient is not"
    WRONG_ORDER = "wrong_order", "the right numbers in the wrong order: row by row where columns are stacked"
    INVERSE_EXCHANGED = "inverse_exchanged", "a matrix stands where its inverse should: covariance for precision"
    COUNT_FACTOR = "count_factor", "off by the number of observations: a mean for a sum, or the other way about"
    DENSITY_NOT_LOG = "density_not_log", "the derivative of the density for that of its logarithm, or the reverse"
    LAYOUT = "layout", "the right numbers in the transposed layout: numerator for denominator layout"
    UNKNOWN = "unknown", "no known mistake explains the difference"


@dataclass(frozen=True)
class Diagnosis:
    """A named suspicion, its message to a person, and the evidence behind it.

    `evidence` has "worst" (index, claimed, true), "claimed", "true", "ratios" (claimed over true) and "arguments" at
    the first point, "instead" (what would hold), and more where a rule has more to show.
    """

    kind: Kind
    message: str
    evidence: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.message}"
