"""The frozen record of an identity: this expression is that derivative, on these domains, says this source."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from gdiff.domains import Domain

Kind = Literal["gradient", "hessian", "jacobian", "differential", "value", "negative definite"]
Standing = Literal["holds", "holds under hypotheses", "convention dependent", "refuted"]
Role = Literal["observation", "sample", "mean", "covariance", "factor", "precision", "scatter"]


@dataclass(frozen=True)
class Argument:
    """One argument of an identity: the space it lives in, its shape, and what stands for it in real data.

    Dimensions are named by a letter ("d", "n"), which takes several values, or given as numbers.
    """

    name: str
    domain: Domain
    shape: tuple[str | int, ...]
    role: Role | None = None


@dataclass(frozen=True)
class Hypothesis:
    """A hypothesis that a statement leaves unsaid, and arguments that decide it, in place of those of the same names.

    Of a claim's `holds_if` they meet the hypothesis; of its `fails_unless` they do not, and the statement admits them.
    `convention` is the one to read the claim in, where that is the hypothesis.
    """

    text: str
    arguments: tuple[Argument, ...] = ()
    convention: str | None = None


@dataclass(frozen=True)
class Source:
    """Where a formula is printed: a short key for the work, its title, the edition, and equations by number.

    `place` is the section, where equations have no number.
    """

    work: str
    title: str
    edition: str = ""
    equations: tuple[int, ...] = ()
    place: str = ""

    def __str__(self) -> str:
        numbers = ",".join(map(str, self.equations)) or self.place
        return f"{self.work}:{numbers}" if numbers else self.work


@dataclass(frozen=True)
class Claim:
    """An identity, and all that is needed to judge it.

    - "gradient", "hessian": `derivative(*arguments)` is that derivative of the scalar `function` with respect to the
      arguments `wrt`, in `convention` (None where nothing is symmetric). `function` is written without gdiff's closed
      forms, with entries free, so that autodiff and differences of it are independent of `derivative`.
    - "jacobian": the same of a function of any shape; indices of the output first, then those of the argument.
    - "differential": `derivative(*arguments, *tangents)` is the differential of `function` for tangents of `wrt`.
    - "value": both functions return the same array.
    - "negative definite": `function(*arguments)` is negative definite; `derivative` is not used.

    With a complex argument `convention` is one of those of `gdiff.wirtinger`, or None where the function is
    holomorphic; `derivative` of another complex function returns the pair (dF/dZ, dF/dZ*).

    `hypotheses` are those that the source states, and the arguments' domains say the same. What it leaves unsaid is in
    `holds_if` (tried where the claim fails) and in `fails_unless` (tried where it holds): the status of the claim comes
    of what was tried. `expected` is the status that a source's formula is known to have; a run in which it comes out
    otherwise fails. `instead` is the name of the entry that is right where this one is not. `terms` are those of
    `derivative` that a diagnosis may name, each a text and a NumPy function of the arguments; most are found without.
    `text` is the function and its derivative as gdiff reads them, for claims that are written so. `dimensions` are the
    sizes d that a claim is judged in, where not all will do. `also` are other sources of the same formula.
    """

    name: str
    title: str
    statement: str
    function: Callable[..., Any]
    derivative: Callable[..., Any] | None
    arguments: tuple[Argument, ...]
    wrt: tuple[int, ...]
    source: Source
    kind: Kind = "gradient"
    convention: str | None = None
    hypotheses: tuple[str, ...] = ()
    holds_if: tuple[Hypothesis, ...] = ()
    fails_unless: tuple[Hypothesis, ...] = ()
    expected: Standing = "holds"
    instead: str = ""
    terms: tuple[tuple[str, Callable[..., Any]], ...] = ()
    note: str = ""
    text: tuple[str, str] | None = None
    dimensions: tuple[int, ...] = ()
    also: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        if self.kind != "negative definite" and self.derivative is None:
            raise ValueError(f"{self.name}: a claim of kind {self.kind!r} needs a derivative.")
        if self.kind not in ("value", "negative definite") and not self.wrt:
            raise ValueError(f"{self.name}: a claim of kind {self.kind!r} needs wrt, the positions of its arguments.")
        names = [a.name for a in self.arguments]
        for hypothesis in (*self.holds_if, *self.fails_unless):
            unknown = [a.name for a in hypothesis.arguments if a.name not in names]
            if unknown:
                raise ValueError(
                    f"{self.name}: the hypothesis {hypothesis.text!r} is about {', '.join(unknown)}; the arguments are "
                    f"{', '.join(names)}."
                )

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every source, the one that the statement follows first."""
        return (self.source, *self.also)

    @property
    def equations(self) -> tuple[int, ...]:
        """The equation numbers of the source."""
        return self.source.equations

    @property
    def edition(self) -> str:
        """The edition of the source."""
        return self.source.edition

    @property
    def order(self) -> int:
        """0 for a value, 1 for a first derivative, 2 for a Hessian or its definiteness."""
        return {"value": 0, "hessian": 2, "negative definite": 2}.get(self.kind, 1)

    def under(self, hypothesis: Hypothesis) -> "Claim":
        """The same formula for the arguments, and in the convention, of a hypothesis."""
        own = {a.name: a for a in hypothesis.arguments}
        arguments = tuple(own.get(a.name, a) for a in self.arguments)
        return replace(
            self, arguments=arguments, convention=hypothesis.convention or self.convention, holds_if=(), fails_unless=()
        )
