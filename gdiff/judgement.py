"""One claim held against one established truth, in NumPy: many claims can be judged against a truth cheaply."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gdiff.claimed import ClaimFunction, ClaimValues, read_claim
from gdiff.comparison import Comparison, Held
from gdiff.diagnosis import Case, Diagnosis, Kind, Sample, convention_message, diagnose
from gdiff.domains import Diagonal, Domain, LowerTriangular
from gdiff.layouts import describe
from gdiff.symmetric.coordinates import check_convention
from gdiff.truth import Truth
from gdiff.verdict import Verdict

_STATIONARY = "the derivative is zero there, up to rounding: move off the stationary point, unless f is constant."
_NOT_SMOOTH = "the derivative jumps there when the arguments move by a rounding: f is not smooth at this point."

Term = tuple[str, Callable[..., Any]]


def _case(held: Held, outcome: Comparison, block: int, conventions: tuple[str | None, ...], terms: Any) -> Case:
    """What a diagnosis works from, for one block."""
    truth = held.truth
    swapped = held.values.swapped() if held.values.swapped is not None else {}
    reading, by_rows = held.readings[block], held.readings[block].by_rows

    def sample(
        n: int,
        claimed: np.ndarray,
        frames: tuple[np.ndarray, np.ndarray],
        bound: np.ndarray,
        entry_bound: np.ndarray | None = None,
    ) -> Sample:
        point, own = truth.points[n], truth.points[n].blocks[block]
        there = n < held.count
        array = np.asarray(held.values.arrays[n][block], dtype=float) if there else None
        return Sample(
            claimed=claimed,
            truth=own.tensor,
            rows=frames[0],
            columns=frames[1],
            bound=bound,
            entry_bound=entry_bound,
            arguments=dict(zip(truth.arguments.names, point.leaves, strict=True)),
            value=point.value,
            fresh=point.role == "fresh",
            by_rows=by_rows(array) if by_rows is not None and array is not None else None,
            swapped={name: reading.read(np.asarray(arrays[n][block], dtype=float)) for name, arrays in swapped.items()},
        )

    (rows, columns), entry_bounds = outcome.frames[block], outcome.entry_bounds[block]
    samples = [
        sample(
            n,
            held.raw[block][n],
            (rows[n], columns[n]),
            outcome.bounds[block][n],
            None if entry_bounds is None else entry_bounds[n],
        )
        for n in range(held.count)
    ]
    support = []
    for n, point in enumerate(truth.points):
        own = point.blocks[block]
        bound = np.min([e for _, e in own.estimates.values()], axis=0)
        nothing = np.full_like(own.tensor, np.nan)
        entry_bound = None if own.entry_noise is None else held.truth_bound(own.entry_noise)
        support.append(sample(n, nothing, (own.rows.matrix, own.columns.matrix), bound, entry_bound))
    first, second = truth.axes[block]
    arguments = truth.arguments
    counts = [x.shape[0] for x in truth.points[0].leaves if x.ndim == 2 and x.shape[0] != x.shape[1]]
    return Case(
        first=first,
        second=second,
        samples=samples,
        support=support,
        memory=truth.memory,
        conventions=conventions if second.is_symmetric or first.is_symmetric else (None,),
        name=arguments.names[arguments.wrt[block % len(arguments.wrt)]],
        order=truth.order,
        count=counts[0] if counts else None,
        is_printed=held.half is not None,
        terms=tuple(terms),
        structures={n: _structure(d) for n, d in zip(arguments.names, arguments.domains, strict=True)},
    )


def _structure(domain: Domain) -> str:
    if domain.is_symmetric:
        return "symmetric"
    if isinstance(domain, LowerTriangular):
        return "lower"
    return "diagonal" if isinstance(domain, Diagonal) else "general"


def judge(
    truth: Truth,
    claimed: Any,
    *,
    convention: str | None = None,
    digits: Any = None,
    terms: Sequence[Term] = (),
    function: ClaimFunction | None = None,
    explain: bool = True,
    library: bool = True,
) -> Verdict:
    """Hold one claim against an established truth; `explain=False` leaves the diagnosis out (it costs more).

    `library=False` leaves out the dear part of it, the search among terms that derivatives are made of.

    `claimed` is a callable of the arguments, an array (or a tuple of them), or `ClaimValues` read before. `terms` are
    extra library terms (text, function of the named arguments) for the diagnosis.
    """
    if convention is not None:
        check_convention(convention)
        if convention == "symmetric" and truth.conventions == (None,):
            raise ValueError(
                "convention='symmetric' is about a symmetric argument: declare it, domains=PositiveDefinite()."
            )
    values = read_claim(truth, claimed, digits=digits, function=function)
    with np.errstate(all="ignore"):  # what is not finite in a claim is refuted, not warned about
        return _judge(truth, values, convention, terms, explain, library)


def _judge(
    truth: Truth, values: ClaimValues, convention: str | None, terms: Sequence[Term], explain: bool, library: bool
) -> Verdict:
    held = Held(truth, values)
    conventions: tuple[str | None, ...] = truth.conventions
    if convention is not None and conventions != (None,):
        conventions = (convention,)
    outcomes = [held.compare(c) for c in conventions]
    notes = truth.notes
    if not held.count or not any(o.checks for o in outcomes):
        return Verdict("inconclusive", oracles=truth.oracles, notes=notes, explanation="there was nothing to compare.")
    transposed = [r for r in held.readings if r.transposed]
    right = [o for o in outcomes if not o.refuted]
    best = min(right or outcomes, key=lambda o: (o.disagreement, max(o.max_error.values(), default=0.0)))
    common: dict[str, Any] = {
        "max_error": best.max_error,
        "bound": best.bound,
        "checks": best.checks,
        "points": held.count,
        "oracles": truth.oracles,
        "notes": notes,
        "hypotheses": truth.hypotheses,
    }
    if held.is_flat():
        return Verdict("inconclusive", explanation=_STATIONARY, **common)
    if right and transposed:
        return Verdict(
            "refuted",
            diagnosis=Diagnosis(
                Kind.LAYOUT,
                "right numbers in the transposed layout: one row for each output and one column for each entry of the "
                f"argument is wanted, {describe(transposed[0].first, transposed[0].second)}.",
                {"instead": "the transposed array"},
            ),
            **common,
        )
    if right:
        name = "either" if len(right) == 2 else best.convention
        if best.disagreement:
            return Verdict(
                "inconclusive",
                explanation="the oracles disagree with each other: automatic derivatives are not those of the "
                "function's values. A derivative rule of its own (custom_jvp, custom_vjp) may be wrong, or it is not "
                "smooth here.",
                **common,
            )
        wanted = held.count if values.moved is None else max(1, held.count // 2)
        if best.conclusive < wanted:
            return Verdict(
                "inconclusive",
                convention=name,
                explanation=_NOT_SMOOTH
                if best.bound > 1 and held.is_kinked()
                else _STATIONARY
                if best.bound > 1
                else f"the noise, {best.bound:.1e} relative, is above the question, {held.question:.0e}: "
                "give better conditioned points.",
                **common,
            )
        if conventions == (None,) or all(a.size == 1 for _, a in truth.axes):
            text = ""
        elif name == "either":
            text = "the derivative is diagonal, or the argument 1 x 1."
        else:
            block = next(b for b, (_, a) in enumerate(truth.axes) if a.is_symmetric)
            text = convention_message(_case(held, best, block, conventions, ()), str(name))
        status: Any = "holds under hypotheses" if truth.hypotheses else "holds"
        # one convention was asked for, and the other would do as well
        if name != "either" and len(conventions) == 1 and conventions != (None,):
            other = held.compare("symmetric" if name == "full" else "full")
            name = "either" if not other.refuted else name
        return Verdict(status, convention=name, explanation=text, **common)
    if best.by_a_hair and values.moved is not None:
        return Verdict(
            "inconclusive",
            explanation=f"it differs from the derivative by {max(best.max_error.values(), default=0.0):.1e} at most, "
            "relative: more than rounding was measured to explain, and far less than a wrong formula would: "
            "give better conditioned points.",
            **common,
        )
    found = None
    if explain:
        found = _together(
            [diagnose(_case(held, best, b, conventions, terms), library) for b in best.failing], best.failing, truth
        )
        if found is not None and transposed:
            found = replace(found, message=f"in the transposed layout, and: {found.message}")
    return Verdict("refuted", diagnosis=found, **common)


def _together(found: Sequence[Diagnosis], blocks: Sequence[int], truth: Truth) -> Diagnosis | None:
    """One diagnosis of several blocks: what is the same is said once."""
    if not found or len(truth.axes) == 1:
        return found[0] if found else None
    pairs = list(zip(found, blocks, strict=True))
    told = [(d, b) for d, b in pairs if "hair" not in d.evidence] or pairs  # rounding only where it is all
    groups: dict[Any, list[tuple[Diagnosis, int]]] = {}
    for diagnosis, b in told:
        same = diagnosis.evidence.get("ratio", diagnosis.message)
        groups.setdefault((diagnosis.kind, same), []).append((diagnosis, b))
    parts = []
    for group in groups.values():
        message = min((d.message for d, _ in group), key=len)
        everywhere = len(group) == len(truth.axes)
        where = "every block" if everywhere else f"with respect to {'; '.join(truth.labels[b] for _, b in group)}"
        parts.append(f"{where}: {message}")
    return replace(told[0][0], message=" ".join(parts))


def case_of(truth: Truth, claimed: Any, *, block: int = 0, convention: str | None = None) -> Case:
    """What a diagnosis of one block of a claim works from, whether the claim holds or not."""
    held = Held(truth, read_claim(truth, claimed))
    conventions = truth.conventions if convention is None or truth.conventions == (None,) else (convention,)
    return _case(held, held.compare(conventions[0]), block, conventions, ())
