"""One claim held against one established truth, in NumPy: many claims can be judged against a truth cheaply.

Claim and truth are compared in whitened coordinates (L'(C - T)L for a positive definite argument), where everything is
commensurate, and entry by entry; each comparison carries the bound of the oracle and of the claim's own rounding.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gdiff.claimed import ClaimFunction, ClaimValues, read_claim
from gdiff.diagnosis import Case, Diagnosis, Kind, Sample, convention_message, diagnose
from gdiff.domains import Diagonal, Domain, LowerTriangular
from gdiff.layouts import Axis, describe, reader
from gdiff.oracles import DIFFERENCES
from gdiff.symmetric.coordinates import check_convention
from gdiff.tolerance import question, tolerance, unit_roundoff
from gdiff.truth import Truth, pooled
from gdiff.verdict import Verdict

_HAIR = 1e-2  # of the question: a function that is off by less than this is no other formula, but badly rounded

Term = tuple[str, Callable[..., Any]]


class _Reading:
    """How the arrays of one block of a claim are read into tensors."""

    def __init__(self, shape: tuple[int, ...], first: Axis, second: Axis, label: str) -> None:
        self.first, self.second, self.transposed = first, second, False
        read = reader(shape, first, second)
        if read is None and shape:
            flipped = reader(shape[::-1], first, second)
            if flipped is not None and len(shape) == 2:
                self.transposed, inner = True, flipped
                read = lambda array: inner(array.T)  # noqa: E731
            elif shape == second.shape + first.shape:
                self.transposed = True
                read = lambda array: array.reshape(second.size, first.size).T  # noqa: E731
        if read is None:
            raise ValueError(
                f"the claim with respect to {label}: got the shape {shape}, wanted {describe(first, second)}."
            )
        self.read = read
        self.by_rows = reader(shape, first, second, by_rows=True) if not self.transposed else None


@dataclass(frozen=True)
class _Comparison:
    """One convention's outcome."""

    convention: str | None
    refuted: bool
    disagreement: bool
    conclusive: int
    max_error: dict[str, float]
    bound: float
    checks: int
    failing: tuple[int, ...]
    bounds: tuple[tuple[np.ndarray, ...], ...]  # by point and block, in the coordinates of `frames`
    frames: tuple[tuple[tuple[np.ndarray, np.ndarray], ...], ...]
    entry_bounds: tuple[tuple[np.ndarray | None, ...], ...]
    by_a_hair: bool  # no error anywhere comes near the question


class _Judge:
    """One claim against one truth."""

    def __init__(self, truth: Truth, values: ClaimValues) -> None:
        self.truth, self.values = truth, values
        self.points = truth.points[: len(values.arrays)]
        shapes = [a.shape for a in values.arrays[0]] if values.arrays else []
        self.readings = [
            _Reading(shape, first, second, label)
            for shape, (first, second), label in zip(shapes, truth.axes, truth.labels, strict=True)
        ]
        self.raw = [self._read(arrays) for arrays in values.arrays]
        self.moved = None if values.moved is None else [[self._read(w) for w in g] for g in values.moved]
        self.half = None if values.half_units is None else self._read(values.half_units)
        self.question: float = max(question(truth.dtype), question(values.dtype))

    def _read(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [r.read(np.asarray(a, dtype=float)) for r, a in zip(self.readings, arrays, strict=True)]

    def frobenius(self, tensor: np.ndarray, block: int, convention: str | None) -> np.ndarray:
        if convention != "symmetric":
            return tensor
        first, second = self.truth.axes[block]
        tensor = first.halve_off_diagonal(tensor, 0) if self.truth.order == 2 else tensor
        return second.halve_off_diagonal(tensor, 1)

    def claim_bound(
        self, n: int, b: int, convention: str | None, tensor: np.ndarray, frames: tuple[np.ndarray, np.ndarray] | None
    ) -> np.ndarray:
        """The bound on the claim's own rounding, in the coordinates of the frames, or entry by entry."""
        block, u = self.points[n].blocks[b], unit_roundoff(self.values.dtype)
        truth_noise = block.noise if frames is not None else block.entry_noise
        stored = u * np.abs(tensor)
        if frames is not None:
            stored = np.abs(frames[0]) @ stored @ np.abs(frames[1]).T
        if self.moved is None:
            assert truth_noise is not None
            noise = stored + truth_noise * (u / unit_roundoff(self.truth.dtype))
        else:
            changes = [self.frobenius(w[b], b, convention) - tensor for w in self.moved[n]]
            if frames is not None:
                changes = [frames[0] @ c @ frames[1].T for c in changes]
            noise = stored + pooled(np.max(np.abs(changes), axis=0))
        return np.asarray(tolerance(self.values.dtype, conditioning=noise / u))

    def _entries(
        self, n: int, b: int, convention: str | None, tensor: np.ndarray
    ) -> tuple[bool, float, float, np.ndarray] | None:
        """Entry by entry: is it over the bound, the relative error, the relative bound, the bound.

        The whitened coordinates see mistakes in small eigenvalues' directions, and lose the square of the condition
        number in storing a Hessian's entries; the entries themselves do not.
        """
        block = self.points[n].blocks[b]
        if block.entry_noise is None or self.half is not None:
            return None
        u = unit_roundoff(self.truth.dtype)
        bound = np.asarray(tolerance(self.truth.dtype, conditioning=block.entry_noise / u))
        bound = bound + self.claim_bound(n, b, convention, tensor, None)
        error = np.abs(tensor - block.tensor)
        size = float(np.max(np.abs(block.tensor), initial=0.0)) or 1.0
        largest = float(np.max(bound, initial=0.0)) / size
        over = not np.all(np.isfinite(error)) or bool(np.any(error > bound))
        return over, float(np.max(error, initial=0.0)) / size, largest, bound

    def compare(self, convention: str | None) -> _Comparison:
        disagreement = False
        conclusive = checks = 0
        worst: list[dict[str, float]] = []
        largest = most = 0.0
        failing: set[int] = set()
        failing_by_all: set[int] = set()
        bounds, frames, entry_bounds = [], [], []
        for n, point in enumerate(self.points):
            scale = max(
                (float(np.max(np.abs(next(iter(b.estimates.values()))[0]), initial=0.0)) for b in point.blocks),
                default=0.0,
            )
            point_clear = True
            own_bounds, own_frames, own_entries = [], [], []
            errors: dict[str, float] = {}
            for b, block in enumerate(point.blocks):
                tensor = self.frobenius(self.raw[n][b], b, convention)
                rows, columns = block.rows.matrix, block.columns.matrix
                estimates = dict(block.estimates)
                claim = self.claim_bound(n, b, convention, tensor, (rows, columns))
                given = np.zeros_like(claim)
                if self.half is not None:  # printed digits are a matter of entries, not of whitened coordinates
                    left, right = np.abs(np.linalg.pinv(rows)), np.abs(np.linalg.pinv(columns))
                    rows, columns = np.eye(rows.shape[1]), np.eye(columns.shape[1])
                    estimates = {k: (block.tensor, left @ e @ right.T) for k, (_, e) in estimates.items()}
                    claim = left @ claim @ right.T
                    given = np.abs(self.frobenius(self.half[b], b, convention)) * (1 + 1e-9)
                    scale = max(scale, float(np.max(np.abs(block.tensor), initial=0.0)))
                components = rows @ tensor @ columns.T
                over = []
                tightest = np.min([e for _, e in estimates.values()], axis=0) + claim
                clear = bool(np.max(tightest, initial=0.0) <= self.question * scale)
                entries = self._entries(n, b, convention, tensor)
                by_entry = entries if entries is not None and entries[2] <= self.question and not clear else None
                for name, (value, bound) in estimates.items():
                    error = np.abs(components - value)
                    checks += error.size
                    finite = np.all(np.isfinite(error))
                    relative = float(np.max(error, initial=0.0)) / (scale or 1.0) if finite else float("inf")
                    over.append(not finite or bool(np.any(error > bound + claim + given)))
                    informative = float(np.max(bound + claim, initial=0.0)) <= self.question**0.5 * scale
                    if over[-1] or informative:  # an oracle's error says nothing where its own noise is as large
                        errors[name] = max(errors.get(name, 0.0), by_entry[1] if by_entry and finite else relative)
                    most = max(most, relative if not by_entry or not finite else by_entry[1])
                pairs = list(estimates.values())
                agree = all(np.all(np.abs(v - w) <= e + g) for i, (v, e) in enumerate(pairs) for w, g in pairs[i + 1 :])
                disagreement |= not agree
                if any(over) or (entries is not None and entries[0]):
                    failing.add(b)
                if all(over) and DIFFERENCES in estimates:
                    failing_by_all.add(b)
                relative_bound = float(np.max(tightest + given, initial=0.0)) / (scale or 1.0)
                largest = max(largest, by_entry[2] if by_entry else relative_bound)
                point_clear &= clear or by_entry is not None
                own_bounds.append(tightest + given)
                own_frames.append((rows, columns))
                own_entries.append(entries[3] if entries is not None else None)
                most = max(most, entries[1] if entries is not None else 0.0)
            worst.append(errors)
            conclusive += point_clear
            bounds.append(tuple(own_bounds))
            frames.append(tuple(own_frames))
            entry_bounds.append(tuple(own_entries))
        if disagreement:  # then only what every oracle denies is wrong for sure
            failing = failing_by_all
        return _Comparison(
            convention,
            bool(failing),
            disagreement,
            conclusive,
            _largest_errors(worst, bool(failing)),
            largest,
            checks,
            tuple(sorted(failing)),
            tuple(bounds),
            tuple(frames),
            tuple(entry_bounds),
            most <= self.question * _HAIR,
        )

    def case(self, outcome: _Comparison, block: int, conventions: tuple[str | None, ...], terms: Any) -> Case:
        """What a diagnosis works from, for one block."""
        truth = self.truth
        swapped = self.values.swapped() if self.values.swapped is not None else {}
        reading, by_rows = self.readings[block], self.readings[block].by_rows

        def sample(
            n: int,
            claimed: np.ndarray,
            frames: tuple[np.ndarray, np.ndarray],
            bound: np.ndarray,
            entry_bound: np.ndarray | None = None,
        ) -> Sample:
            point, own = truth.points[n], truth.points[n].blocks[block]
            there = n < len(self.points)
            array = np.asarray(self.values.arrays[n][block], dtype=float) if there else None
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
                swapped={
                    name: reading.read(np.asarray(arrays[n][block], dtype=float)) for name, arrays in swapped.items()
                },
            )

        samples = [
            sample(
                n,
                self.raw[n][block],
                outcome.frames[n][block],
                outcome.bounds[n][block],
                outcome.entry_bounds[n][block],
            )
            for n in range(len(self.points))
        ]
        support = []
        for n, point in enumerate(truth.points):
            own = point.blocks[block]
            bound = np.min([e for _, e in own.estimates.values()], axis=0)
            nothing = np.full_like(own.tensor, np.nan)
            support.append(sample(n, nothing, (own.rows.matrix, own.columns.matrix), bound))
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
            is_printed=self.half is not None,
            terms=tuple(terms),
            structures={n: _structure(d) for n, d in zip(arguments.names, arguments.domains, strict=True)},
        )


def _largest_errors(by_point: Sequence[dict[str, float]], refuted: bool) -> dict[str, float]:
    """By oracle, over all points; of a refuted claim over those that all judged, so that the figures compare."""
    names = dict.fromkeys(name for errors in by_point for name in errors)
    common = [errors for errors in by_point if len(errors) == len(names)] if refuted else []
    shown = common or by_point
    return {name: max(errors[name] for errors in shown if name in errors) for name in names}


def _is_flat(truth: Truth) -> bool:
    """Whether no oracle sees a derivative: next to the function's values it is rounding, at every point."""
    small = unit_roundoff(truth.dtype) ** 0.5
    return all(
        np.max(np.abs(value), initial=0.0) <= small * np.max(np.abs(p.value), initial=0.0)
        for p in truth.points
        for b in p.blocks
        for value, _ in b.estimates.values()
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
) -> Verdict:
    """Hold one claim against an established truth; `explain=False` leaves the diagnosis out (it costs more).

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
        return _judge(truth, values, convention, terms, explain)


def _judge(truth: Truth, values: ClaimValues, convention: str | None, terms: Sequence[Term], explain: bool) -> Verdict:
    held = _Judge(truth, values)
    conventions: tuple[str | None, ...] = truth.conventions
    if convention is not None and conventions != (None,):
        conventions = (convention,)
    outcomes = [held.compare(c) for c in conventions]
    notes = truth.notes
    if not held.points or not any(o.checks for o in outcomes):
        return Verdict("inconclusive", oracles=truth.oracles, notes=notes, explanation="there was nothing to compare.")
    transposed = [r for r in held.readings if r.transposed]
    right = [o for o in outcomes if not o.refuted]
    best = min(right or outcomes, key=lambda o: (o.disagreement, max(o.max_error.values(), default=0.0)))
    common: dict[str, Any] = {
        "max_error": best.max_error,
        "bound": best.bound,
        "checks": best.checks,
        "points": len(held.points),
        "oracles": truth.oracles,
        "notes": notes,
        "hypotheses": truth.hypotheses,
    }
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
        if best.disagreement and _is_flat(truth):
            return Verdict("inconclusive", explanation="the derivative is zero there, up to rounding.", **common)
        if best.disagreement:
            return Verdict(
                "inconclusive",
                explanation="the oracles disagree with each other: automatic derivatives are not those of the "
                "function's values. A derivative rule of its own (custom_jvp, custom_vjp) may be wrong, or it is not "
                "smooth here.",
                **common,
            )
        wanted = len(held.points) if values.moved is None else max(1, len(held.points) // 2)
        if best.conclusive < wanted:
            return Verdict(
                "inconclusive",
                convention=name,
                explanation="the derivative is zero there, up to rounding: move off the stationary point."
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
            text = convention_message(held.case(best, block, conventions, ()), str(name))
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
        found = _together([diagnose(held.case(best, b, conventions, terms)) for b in best.failing], best.failing, truth)
        if found is not None and transposed:
            found = replace(found, message=f"in the transposed layout, and: {found.message}")
    return Verdict("refuted", diagnosis=found, **common)


def _together(found: Sequence[Diagnosis], blocks: Sequence[int], truth: Truth) -> Diagnosis | None:
    """One diagnosis of several blocks: what is the same is said once."""
    if not found or len(truth.axes) == 1:
        return found[0] if found else None
    groups: dict[Any, list[tuple[Diagnosis, int]]] = {}
    for diagnosis, b in zip(found, blocks, strict=True):
        same = diagnosis.evidence.get("ratio", diagnosis.message)
        groups.setdefault((diagnosis.kind, same), []).append((diagnosis, b))
    parts = []
    for group in groups.values():
        message = min((d.message for d, _ in group), key=len)
        everywhere = len(group) == len(truth.axes)
        where = "every block" if everywhere else f"with respect to {'; '.join(truth.labels[b] for _, b in group)}"
        parts.append(f"{where}: {message}")
    return replace(found[0], message=" ".join(parts))


def case_of(truth: Truth, claimed: Any, *, block: int = 0, convention: str | None = None) -> Case:
    """What a diagnosis of one block of a claim works from, whether the claim holds or not."""
    held = _Judge(truth, read_claim(truth, claimed))
    conventions = truth.conventions if convention is None or truth.conventions == (None,) else (convention,)
    return held.case(held.compare(conventions[0]), block, conventions, ())
