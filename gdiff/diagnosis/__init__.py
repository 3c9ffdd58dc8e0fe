"""Pure functions from claimed and true arrays to a named suspicion.

Siblings in order, each importing only from those before it: `kinds` (what can be wrong), `case` (the evidence),
`entries` (mistakes in some of the entries), `rules` (all that need no library), `words` (products of the arguments),
`library` (terms that derivatives are made of), `fit` (which of them are missing, surplus or wrong).
"""

from dataclasses import replace

import numpy as np

from gdiff.diagnosis.case import Case as Case
from gdiff.diagnosis.case import Sample as Sample
from gdiff.diagnosis.entries import symmetrised
from gdiff.diagnosis.fit import decompose as decompose
from gdiff.diagnosis.fit import terms
from gdiff.diagnosis.fit import written as written
from gdiff.diagnosis.kinds import Diagnosis as Diagnosis
from gdiff.diagnosis.kinds import Kind as Kind
from gdiff.diagnosis.rules import BEFORE_TERMS, FIRST, by_a_hair, unknown, varying_factor
from gdiff.diagnosis.rules import convention_message as convention_message


def diagnose(case: Case, library: bool = True) -> Diagnosis:
    """The first suspicion whose undoing makes the claim hold at every point; `unknown` when there is none.

    `library=False` leaves out the search for terms, which is dear where there are many arguments.
    """
    if not library:
        ruled = _by_rules(case)
        return by_a_hair(case) or (ruled[0] if ruled is not None else unknown(case))
    found = by_a_hair(case) or _diagnose(case)
    by_entries = case.entrywise() if found is None else None
    if by_entries is not None and not any(by_entries.holds(by_entries.claimed, c) for c in case.conventions):
        found = _diagnose(by_entries)
    return found or _of_symmetric_part(case) or unknown(case)


def _of_symmetric_part(case: Case) -> Diagnosis | None:
    """What is wrong beside the entries of a symmetric argument having been treated as free."""
    if case.conventions == (None,):
        return None
    samples = [replace(s, claimed=c) for s, c in zip(case.samples, symmetrised(case), strict=True)]
    if all(np.array_equal(s.claimed, own.claimed) for s, own in zip(samples, case.samples, strict=True)):
        return None
    found = _diagnose(replace(case, samples=samples))
    if found is None:
        return None
    text = f"the entries of {case.name} were treated as free, and of the symmetric part, (G + G')/2: {found.message}"
    return replace(found, message=text)


def _by_rules(case: Case) -> tuple[Diagnosis, str | None] | None:
    """What the rules that need no library find, and in which convention."""
    asked = list(case.conventions)
    others: list[str | None] = [] if asked == [None] else [c for c in ("full", "symmetric") if c not in asked]
    for rules, conventions in ((FIRST, others), (BEFORE_TERMS, asked), (BEFORE_TERMS, others)):
        for rule in rules:
            for convention in conventions:
                found = rule(case, convention)
                if found is not None:
                    return found, convention
    return None


def _diagnose(case: Case) -> Diagnosis | None:
    ruled = _by_rules(case)
    if ruled is not None:
        found, convention = ruled
        return _with_formula(case, convention, found) if found.kind is Kind.TRANSPOSE else found
    return terms(case) or next(filter(None, (varying_factor(case, c) for c in case.conventions)), None)


def _with_formula(case: Case, convention: str | None, found: Diagnosis) -> Diagnosis:
    """A transposed claim, with what holds instead spelled out where the library of terms reaches it."""
    decomposition = decompose(case, convention) if case.order == 1 and case.first.size == 1 else None
    if not decomposition:
        return found
    text = written(decomposition)
    return replace(
        found,
        message=found.message.replace("its transpose holds", f"`{text}` holds"),
        evidence={**found.evidence, "instead": text},
    )
