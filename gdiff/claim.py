"""The frozen record of an identity: this expression is that derivative, on these domains, says this source."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from gdiff.domains import Domain
from gdiff.symmetric.coordinates import Convention

Kind = Literal["gradient", "hessian", "value", "negative definite"]
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
class Source:
    """Where a formula is printed: a short key for the work, its title, the edition, and equations by number."""

    work: str
    title: str
    edition: str = ""
    equations: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.work}:{','.join(map(str, self.equations))}" if self.equations else self.work


@dataclass(frozen=True)
class Claim:
    """An identity, and all that is needed to judge it.

    - "gradient", "hessian": `derivative(*arguments)` is that derivative of the scalar `function` with respect to the
      arguments `wrt`, in `convention` (None where nothing is symmetric). `function` is written without gdiff's closed
      forms, with entries free, so that autodiff and differences of it are independent of `derivative`.
    - "value": both functions return the same array.
    - "negative definite": `function(*arguments)` is negative definite; `derivative` is not used.

    `expected` is "refuted" for a claim that is kept because it is false as stated. `terms` are those of `derivative`
    that a diagnosis may name, each a text and a NumPy function of the arguments; most are found without.
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
    convention: Convention | None = None
    hypotheses: tuple[str, ...] = ()
    expected: Literal["holds", "refuted"] = "holds"
    terms: tuple[tuple[str, Callable[..., Any]], ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind != "negative definite" and self.derivative is None:
            raise ValueError(f"{self.name}: a claim of kind {self.kind!r} needs a derivative.")
        if self.kind in ("gradient", "hessian") and not self.wrt:
            raise ValueError(f"{self.name}: a claim of kind {self.kind!r} needs wrt, the positions of its arguments.")

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
        """0 for a value, 1 for a gradient, 2 for a Hessian or its definiteness."""
        return {"value": 0, "gradient": 1, "hessian": 2, "negative definite": 2}[self.kind]
