"""Missing, surplus and wrong terms: the truth and the claim, each as the fewest library terms, set side by side.

The truth is fitted where its points are well conditioned and confirmed at fresh ones; only then is the claim read in
the same terms. Nothing is reported unless the corrected claim holds at every fresh point.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdiff.diagnosis.case import Case, Sample, evidence, fraction, simple_fraction
from gdiff.diagnosis.kinds import Diagnosis, Kind
from gdiff.diagnosis.library import Term, determinants, stages, times
from gdiff.tolerance import question

_MOST = 6  # terms in a fit
_BEAM = 24
_EXACT = question() / 1e3  # a fit leaves no more than this share unexplained
_SAME = question() / 10  # two coefficients closer than this are one (and what differs by the question is not)


@dataclass(frozen=True)
class _Design:
    """Library terms at the points of a fit, in the coordinates of the comparison, scaled point by point."""

    terms: Sequence[Term]
    matrix: np.ndarray  # (equations, terms), columns of length one
    lengths: np.ndarray


def _equations(
    case: Case, samples: Sequence[Sample], tensors: Sequence[np.ndarray], convention: str | None
) -> np.ndarray:
    parts = []
    for sample, tensor in zip(samples, tensors, strict=True):
        scale = np.max(np.abs(sample.components(sample.truth)), initial=0.0) or 1.0
        parts.append(sample.components(case.frobenius(tensor, convention)).reshape(-1) / scale)
    return np.concatenate(parts)


def _noise(samples: Sequence[Sample]) -> float:
    """The length of the bounds, in the units of `_equations`."""
    total = 0.0
    for sample in samples:
        scale = np.max(np.abs(sample.components(sample.truth)), initial=0.0) or 1.0
        total += float(np.sum((sample.bound / scale) ** 2))
    return total**0.5


def _design(case: Case, samples: Sequence[Sample], terms: Sequence[Term], convention: str | None) -> _Design:
    columns, kept, lengths = [], [], []
    seen: set[bytes] = set()
    for term in terms:
        try:
            with np.errstate(all="ignore"):
                column = _equations(case, samples, [term.compute(s) for s in samples], convention)
        except (np.linalg.LinAlgError, ValueError):
            continue
        length = float(np.linalg.norm(column))
        if not np.isfinite(length) or length == 0:
            continue
        unit = column / length
        lead = unit[np.argmax(np.abs(unit) > 0.5 * np.max(np.abs(unit)))]
        # terms that coincide here: the first, simplest, stays; + 0 because -0 has other bytes than 0
        key = (np.round(unit * np.sign(lead), 9) + 0.0).tobytes()
        if key in seen:
            continue
        seen.add(key)
        columns.append(unit)
        kept.append(term)
        lengths.append(length)
    matrix = np.stack(columns, axis=1) if columns else np.zeros((0, 0))
    return _Design(kept, matrix, np.array(lengths))


def _solve(
    design: _Design, wanted: np.ndarray, noise: float, forced: Sequence[int] = (), most: int = _MOST
) -> dict[int, float] | None:
    """The fewest terms that explain `wanted` up to its noise, with coefficients: a beam search, `forced` for free."""
    size = float(np.linalg.norm(wanted))
    if size == 0:
        return {}
    if not design.matrix.size:
        return None
    y, exact = wanted / size, max(_EXACT, noise / size)
    beam: list[tuple[int, ...]] = [tuple(forced)]
    for level in range(most + 1):
        scored: dict[tuple[int, ...], float] = {}
        for chosen in beam:
            q = np.linalg.qr(design.matrix[:, list(chosen)])[0] if chosen else np.zeros((len(y), 0))
            rest = y - q @ (q.T @ y)
            if float(np.linalg.norm(rest)) <= exact:
                return _coefficients(design, wanted, chosen, exact)
            left = design.matrix - q @ (q.T @ design.matrix)
            norms = np.sum(left**2, axis=0)
            gain = np.where(norms > 1e-12, (rest @ left) ** 2 / np.maximum(norms, 1e-12), 0.0)
            for j in np.argsort(-gain)[: _BEAM * 4 if level == 0 else _BEAM]:
                if gain[j] > 0:
                    scored[tuple(sorted((*chosen, int(j))))] = float(rest @ rest - gain[j])
        beam = sorted(scored, key=lambda c: scored[c])[: _BEAM * 4 if level == 0 else _BEAM]
    return None


def _coefficients(design: _Design, wanted: np.ndarray, chosen: Sequence[int], exact: float) -> dict[int, float] | None:
    """Least squares on the chosen terms, near-zero ones left out, simple fractions made exact."""
    if not chosen:
        return {}
    columns = design.matrix[:, list(chosen)]
    if np.linalg.matrix_rank(columns, tol=1e-9) < len(chosen):
        return None
    values = np.linalg.lstsq(columns, wanted, rcond=None)[0]
    size = float(np.max(np.abs(values)))
    out = {}
    for j, value in zip(chosen, values, strict=True):
        if abs(value) <= max(_SAME / 10, exact) * size:
            continue
        coefficient = float(value / design.lengths[j])
        simple = simple_fraction(coefficient, tolerance=max(_SAME / 10, 10 * exact))
        out[int(j)] = float(simple) if simple is not None else coefficient
    return out


def _assembled(samples: Sequence[Sample], terms: Sequence[Term], coefficients: Mapping[int, float]) -> list[np.ndarray]:
    out = []
    for sample in samples:
        total = np.zeros_like(sample.truth)
        for j, c in coefficients.items():
            total = total + c * terms[j].compute(sample)
        out.append(total)
    return out


def _true_terms(case: Case, convention: str | None) -> tuple[_Design, dict[int, float], list[Term]] | None:
    """The truth as library terms, confirmed at fresh points; the library that did it."""
    key = (case.view, case.first, case.second, case.name, convention, tuple(text for text, _ in case.terms))
    if key not in case.memory:
        case.memory[key] = _find_true_terms(case, convention)
    return case.memory[key]


def _find_true_terms(case: Case, convention: str | None) -> tuple[_Design, dict[int, float], list[Term]] | None:
    support = case.support or case.samples
    fits = [s for s in support if not s.fresh] or list(support)
    if len(fits) > 1:
        fits = fits[1:]  # the given point may be badly conditioned; it is judged with the fresh ones
    fresh = [s for s in support if s.fresh] or list(support)
    judged = replace(case, samples=fresh)
    for terms in stages(case, convention):
        design = _design(case, fits, terms, convention)
        wanted = _equations(case, fits, [case.target(s, convention) for s in fits], convention)
        found = _solve(design, wanted, _noise(fits))
        if found is None:
            continue
        try:
            rebuilt = _assembled(fresh, design.terms, found)
        except np.linalg.LinAlgError:
            continue
        if judged.holds(rebuilt, convention):
            return design, found, list(terms)
    return None


def decompose(case: Case, convention: str | None) -> list[tuple[Term, float]] | None:
    """The true derivative as library terms with coefficients, confirmed at fresh points; None if out of reach."""
    found = _true_terms(case, convention)
    return None if found is None else [(found[0].terms[j], c) for j, c in found[1].items()]


def written(decomposition: Sequence[tuple[Term, float]]) -> str:
    """The sum as text, in gdiff's notation: 1/2*inv(S) - x*x'."""
    text = " ".join(_signed(c, t.text) for t, c in decomposition)
    return text.removeprefix("+ ").replace("- ", "-", 1) if text.startswith("- ") else text.removeprefix("+ ")


def _claimed_terms(
    case: Case, convention: str | None, terms: Sequence[Term], true: Sequence[Term]
) -> tuple[list[Term], dict[int, float]] | None:
    """The claim in the true terms and as few others as possible."""
    fits = [s for s in case.samples if not s.fresh]
    fits = fits[1:] if len(fits) > 1 else fits or list(case.samples)
    claimed = [s.claimed for s in fits]
    names = {t.text for t in true}
    pool = [*true, *(t for t in terms if t.text not in names)]
    design = _design(case, fits, pool, convention)
    wanted = _equations(case, fits, claimed, convention)
    forced = [i for i, t in enumerate(design.terms) if t.text in names]
    if len(forced) and np.linalg.matrix_rank(design.matrix[:, forced], tol=1e-9) < len(forced):
        return None
    most = 1 if len(fits) == 1 else 3
    found = _solve(design, wanted, _noise(fits), forced, most)
    if found is None:  # |S| for log|S|: true terms times a determinant
        slips = [times(t, *factor) for t in true for factor in determinants(case)]
        design = _design(case, fits, [*true, *slips], convention)
        forced = [i for i, t in enumerate(design.terms) if t.text in names]
        found = _solve(design, wanted, _noise(fits), forced, most) if slips else None
    if found is None:
        return None
    simple = all(simple_fraction(c) is not None for c in found.values())
    if len(fits) == 1 and not simple:  # one point has few equations: only what a person would write counts
        return None
    return list(design.terms), found


def _signed(coefficient: float, text: str) -> str:
    size = fraction(abs(coefficient))
    return f"{'-' if coefficient < 0 else '+'} {text if size == '1' else f'{size}*{text}'}"


def _plain(coefficient: float, text: str) -> str:
    size = fraction(coefficient)
    return f"{size[:-1]}{text}" if size in ("1", "-1") and text[:1].isdigit() else f"{size}*{text}"


def _log_det_text(case: Case, term: Term) -> bool:
    return term.text in (f"inv({case.name})", f"inv({case.name})'")


def _quadratic(case: Case, term: Term) -> str | None:
    """x'S⁻¹x if the term is the derivative of that, in the argument's name."""
    factors = [f for f in term.factors if f not in ("had",)]
    inverse = f"inv({case.name})"
    if len(factors) == 4 and factors[0] == factors[3] == inverse and factors[2] == f"{factors[1]}'":
        return f"{factors[1]}'{case.name}⁻¹{factors[1]}"
    return None


def _forgotten(case: Case, missing: Sequence[Term], present: Sequence[Term]) -> str:
    """Which dependence on the argument was not differentiated, where the terms say so."""
    if case.order != 1 or len(missing) != 1 or len(present) != 1:
        return ""
    lost, kept = _quadratic(case, missing[0]), _quadratic(case, present[0])
    if lost and _log_det_text(case, present[0]):
        return f" You differentiated log|{case.name}| only, but {lost} depends on {case.name} too."
    if kept and _log_det_text(case, missing[0]):
        return f" You differentiated {kept} only, but log|{case.name}| depends on {case.name} too."
    return ""


def _label(case: Case, term: Term) -> str:
    if _log_det_text(case, term):
        return "the log-det term"
    quadratic = _quadratic(case, term)
    return "the quadratic-form term" if quadratic else f"the term {term.text}"


_WORDS = {2.0: "twice", 0.5: "half", -1.0: "minus", 3.0: "three times", 4.0: "four times", 0.25: "a quarter of"}


def _coefficient_message(case: Case, wrong: Sequence[tuple[Term, float, float]], right: int) -> str:
    parts = []
    for term, mine, true in wrong:
        ratio = simple_fraction(mine / true)
        known = _WORDS.get(float(ratio)) if ratio is not None else None
        how = known or f"{fraction(mine / true)} times"
        parts.append(
            f"{_label(case, term)} is {how} what it should be: you have {_plain(mine, term.text)}, the derivative has "
            f"{_plain(true, term.text)}"
        )
    others = "" if not right else "; the other term is right" if right == 1 else f"; the other {right} terms are right"
    return "; ".join(parts) + others + "."


def _exchanged(case: Case, missing: list[tuple[Term, float]], surplus: list[tuple[Term, float]]) -> Diagnosis | None:
    """A surplus term that is a missing one with a matrix inverted, factors reordered, or transposed."""
    if len(missing) != 1 or len(surplus) != 1:
        return None
    (lost, a), (extra, b) = missing[0], surplus[0]
    if abs(a - b) > _SAME * abs(a):
        return None
    for text, _ in determinants(case):
        if sorted(extra.factors) == sorted((*lost.factors, text)):
            name = text.removeprefix("det(").removesuffix(")")
            return Diagnosis(
                Kind.WRONG_COEFFICIENT,
                f"{_label(case, lost)} is {text} times what it should be: you have {_plain(b, extra.text)}, the "
                f"derivative has {_plain(a, lost.text)}. That is the derivative of |{name}|, not of log|{name}|.",
            )
    for name in case.samples[0].arguments:
        for wrong, right in ((name, f"inv({name})"), (f"inv({name})", name)):
            swapped = extra.text.replace(wrong, "\0")
            undone = ["".join(pieces) for pieces in _replacements(swapped, right, wrong)]
            if lost.text in undone:
                return Diagnosis(
                    Kind.INVERSE_EXCHANGED,
                    f"you have {_plain(b, extra.text)} where the derivative has {_plain(a, lost.text)}: a matrix "
                    "stands where its inverse should, covariance for precision.",
                )
    if sorted(lost.factors) == sorted(extra.factors) and lost.factors:
        return Diagnosis(
            Kind.WRONG_ORDER,
            f"the factors of a product are in the wrong order: you have {_plain(b, extra.text)}, the derivative has "
            f"{_plain(a, lost.text)}.",
        )
    bare = [sorted(f.rstrip("'") for f in t.factors) for t in (lost, extra)]
    if bare[0] == bare[1] and bare[0]:
        return Diagnosis(
            Kind.TRANSPOSE,
            f"a transpose is lost in one term: you have {_plain(b, extra.text)}, the derivative has "
            f"{_plain(a, lost.text)}.",
        )
    return None


def _replacements(text: str, right: str, wrong: str) -> list[list[str]]:
    """Every way to put `right` in place of some of the marked occurrences of `wrong`."""
    pieces = text.split("\0")
    gaps = len(pieces) - 1
    if not 0 < gaps <= 4:
        return []
    out = []
    for choice in itertools.product((right, wrong), repeat=gaps):
        joined = [pieces[0]]
        for filler, piece in zip(choice, pieces[1:], strict=True):
            joined += [filler, piece]
        out.append(joined)
    return out


def terms(case: Case) -> Diagnosis | None:
    """Which term is missing, surplus or wrongly weighted; None where the library does not reach."""
    best: tuple[int, Diagnosis] | None = None
    for convention in case.conventions:
        found = _in_terms(case, convention)
        if found is not None and (best is None or found[0] < best[0]):
            best = found
    return best[1] if best is not None else None


def _in_terms(case: Case, convention: str | None) -> tuple[int, Diagnosis] | None:
    truth = _true_terms(case, convention)
    if truth is None:
        return None
    design, coefficients, pool = truth
    true = [design.terms[j] for j in coefficients]
    read = _claimed_terms(case, convention, pool, true)
    if read is None:
        return None
    names, mine = read
    have = {names[j].text: (names[j], c) for j, c in mine.items()}
    want = {design.terms[j].text: (design.terms[j], c) for j, c in coefficients.items()}
    missing = [(t, c) for text, (t, c) in want.items() if text not in have]
    surplus = [(t, c) for text, (t, c) in have.items() if text not in want]
    wrong = [
        (t, have[text][1], c)
        for text, (t, c) in want.items()
        if text in have and abs(have[text][1] - c) > _SAME * abs(c)
    ]
    right = len(want) - len(missing) - len(wrong)
    if not (missing or surplus or wrong):
        return None
    fresh = [s for s in case.samples if s.fresh] or list(case.samples)
    corrected = []
    for s in fresh:
        total = s.claimed.copy()
        for t, c in missing:
            total = total + c * t.compute(s)
        for t, c in surplus:
            total = total - c * t.compute(s)
        for t, a, c in wrong:
            total = total + (c - a) * t.compute(s)
        corrected.append(total)
    if not replace(case, samples=fresh).holds(corrected, convention):
        return None
    where = f"{len(fresh)} fresh points" if any(s.fresh for s in case.samples) else "the point given"
    found = evidence(
        case,
        convention,
        changes=len(missing) + len(surplus) + len(wrong),
        claimed_terms={t: c for t, (_, c) in have.items()},
        true_terms={t: c for t, (_, c) in want.items()},
        instead=written(list(want.values())),
    )
    changes = found["changes"]
    exchanged = _exchanged(case, missing, surplus) if not wrong else None
    if exchanged is not None:
        return changes, replace(exchanged, evidence=found)
    if missing and not surplus and not wrong:
        text = " ".join(_signed(c, t.text) for t, c in missing)
        present = [t for t, _ in have.values()]
        return changes, Diagnosis(
            Kind.MISSING_TERM,
            f"you are missing {text}; with it the formula holds at {where}."
            + _forgotten(case, [t for t, _ in missing], present),
            found,
        )
    if surplus and not missing and not wrong:
        text = " ".join(_signed(c, t.text) for t, c in surplus)
        return changes, Diagnosis(
            Kind.SURPLUS_TERM,
            f"you have {text}, which the derivative does not; without it the formula holds at {where}.",
            found,
        )
    if wrong and not missing and not surplus:
        return changes, Diagnosis(Kind.WRONG_COEFFICIENT, _coefficient_message(case, wrong, right), found)
    parts = []
    if missing:
        parts.append("missing " + " ".join(_signed(c, t.text) for t, c in missing))
    if surplus:
        parts.append("surplus " + " ".join(_signed(c, t.text) for t, c in surplus))
    if wrong:
        parts.append(_coefficient_message(case, wrong, 0).rstrip("."))
    kind = Kind.MISSING_TERM if missing else Kind.SURPLUS_TERM
    return changes, Diagnosis(
        kind, f"several terms differ: {'; '.join(parts)}. The derivative is {found['instead']}.", found
    )
