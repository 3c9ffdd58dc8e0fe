"""The record of a judgement: does the claim hold, in which convention, under which hypotheses, and what is wrong."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from gdiff.diagnosis import Diagnosis, Kind
from gdiff.display import Table, matrix_html, number

_RIGHT = re.compile(r"^right(, in the \w+ convention)?[;:,] ")  # how an explanation begins that stands alone

Status = Literal["holds", "holds under hypotheses", "convention dependent", "refuted", "inconclusive"]


class Refuted(AssertionError):
    """A claim that does not hold; the message is the diagnosis."""


@dataclass(frozen=True)
class Verdict:
    """Does a claimed derivative hold?

    `convention` is "full", "symmetric", "either" (they coincide), or None for arguments not declared symmetric; for
    complex arguments "wirtinger", "conjugate", "nabla" or "jax".
    `hypotheses` are what had to be assumed beyond what was declared. `max_error` is, by oracle, the largest relative
    difference seen (relative to the largest component at its point, in whitened coordinates), `bound` the largest
    relative error that was allowed against the tightest oracle. `checks` counts the components compared.
    """

    status: Status
    convention: str | None = None
    hypotheses: tuple[str, ...] = ()
    diagnosis: Diagnosis | None = None
    max_error: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    bound: float = 0.0
    checks: int = 0
    points: int = 0
    oracles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    explanation: str = ""

    @property
    def holds(self) -> bool:
        """True if the claim holds, with or without further hypotheses; False when inconclusive."""
        return self.checks > 0 and self.status in ("holds", "holds under hypotheses", "convention dependent")

    def __bool__(self) -> bool:
        return self.holds

    @property
    def inconclusive(self) -> bool:
        """The noise is above the question, or the oracles disagree: neither held nor refuted."""
        return self.status == "inconclusive"

    @property
    def refuted(self) -> bool:
        """The claim is wrong."""
        return self.status == "refuted"

    @property
    def kind(self) -> Kind | None:
        """The kind of mistake, None where there is no diagnosis."""
        return None if self.diagnosis is None else self.diagnosis.kind

    @property
    def reason(self) -> str:
        """The diagnosis in words; without one, what a verdict that holds or is inconclusive has to say."""
        return self.explanation if self.diagnosis is None else self.diagnosis.message

    @property
    def message(self) -> str:
        """One paragraph for a person: the verdict, and why."""
        head: str = self.status
        if self.hypotheses:
            head = f"holds if {' and '.join(self.hypotheses)}" if self.holds else head
        if self.holds and self.convention is not None:
            coincide = self.convention == "either"
            head += " (the two conventions coincide)" if coincide else f", in the {self.convention} convention"
        body = self.reason
        if self.holds and self.diagnosis is None:  # the head has said so
            body = _RIGHT.sub("", body)
        return f"{head}: {body}" if body else head

    def raise_if_refuted(self) -> "Verdict":
        """The verdict itself, unless refuted: then an AssertionError whose message is the diagnosis."""
        if self.refuted:
            raise Refuted(self._full_text())
        return self

    def raise_unless_holds(self) -> "Verdict":
        """As `raise_if_refuted`, and an inconclusive verdict raises too."""
        if not self.holds:
            raise Refuted(self._full_text())
        return self

    def _full_text(self) -> str:
        kind = f"{self.diagnosis.kind.value}: " if self.diagnosis is not None else ""
        body = self.reason
        return "\n".join([f"{self.status}: {kind}{body}", self._figures(), *self.notes])

    def _figures(self) -> str:
        errors = ", ".join(f"{name} {number(error, 3)}" for name, error in self.max_error.items())
        return (
            f"largest relative error: {errors or 'none'}; allowed {number(self.bound, 3)}; "
            f"{self.checks} comparisons at {self.points} points."
        )

    def __repr__(self) -> str:
        kind = f", diagnosis={self.diagnosis.kind.value!r}" if self.diagnosis is not None else ""
        hypotheses = f", hypotheses={self.hypotheses!r}" if self.hypotheses else ""
        return f"<Verdict {self.status!r}, convention={self.convention!r}{hypotheses}{kind}, checks={self.checks}>"

    def __str__(self) -> str:
        return "\n".join([self.message, self._figures(), *self.notes])

    def table(self) -> Table:
        """Errors by oracle, as a table."""
        rows = [(name, number(error, 3), number(self.bound, 3)) for name, error in self.max_error.items()]
        return Table(("oracle", "largest relative error", "allowed"), rows, title=self.message)

    def _repr_html_(self) -> str:
        out = [f"<p>{html.escape(self.message)}</p>", Table(*self._html_table()).html()]
        shown = self.diagnosis.evidence if self.diagnosis is not None else {}
        for key in ("claimed", "true", "ratios"):
            if key in shown:
                out.append(f"<p>{key}</p>{matrix_html(shown[key])}")
        return "".join(out)

    def _html_table(self) -> tuple[Any, Any]:
        table = self.table()
        return table.columns, table.rows

    def plot(self) -> Any:
        """Claimed, true and their ratio side by side, as a matplotlib figure (extra `plot`)."""
        if self.diagnosis is None or "claimed" not in self.diagnosis.evidence:
            raise ValueError("nothing to plot: a verdict that holds has no claimed and true arrays side by side.")
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("Verdict.plot needs matplotlib: pip install gdiff[plot]") from error
        figure = Figure(figsize=(9, 3), layout="constrained")
        axes = figure.subplots(1, 3)
        shown = [np.atleast_2d(self.diagnosis.evidence[key]) for key in ("claimed", "true", "ratios")]
        limit = max(float(np.max(np.abs(a[np.isfinite(a)]), initial=0.0)) for a in shown[:2]) or 1.0
        for axis, array, title in zip(axes, shown, ("claimed", "true", "claimed / true"), strict=True):
            span = {"vmin": -limit, "vmax": limit} if title != "claimed / true" else {"vmin": -2, "vmax": 2}
            image = axis.imshow(array, cmap="RdBu_r", **span)
            axis.set_title(title)
            figure.colorbar(image, ax=axis, shrink=0.8)
        return figure
