"""The rules that need no library of terms: each tries one mistake, and reports it only if undoing it holds everywhere.

The order is the argument: a rule may assume that those before it found nothing. All are tried in the conventions that
the claim was held against before any is tried in the other.
"""

from collections.abc import Callable, Iterator, Sequence
from math import isclose

import numpy as np

from gdiff.diagnosis.case import (
    Case,
    constant_ratio,
    entry_name,
    evidence,
    fraction,
    worst_entry,
)
from gdiff.diagnosis.entries import (
    candidates,
    diagonal_or_not,
    in_convention,
    multiple,
    one_triangle,
    part,
    symmetric_part,
)
from gdiff.diagnosis.kinds import Diagnosis, Kind
from gdiff.display import number

EXPONENT_RANGE = 600.0  # exp of it is a finite, normal number, and so is exp of minus it

Rule = Callable[[Case, str | None], Diagnosis | None]  # a case, and the convention to hold it against


def convention_message(case: Case, held: str) -> str:
    """What a formula right in one convention is in the other, with an entry that shows the difference."""
    sample = case.samples[0]
    name = case.name
    if case.order == 2:
        other = "symmetric" if held == "full" else "full"
        return (
            f"right, in the {held} convention; not in the {other} one. The full Hessian is N H N, as the Frobenius "
            "inner product has it; the symmetric one is D' H D, the second partials in the distinct entries."
        )
    full, symmetric = case.target(sample, "full")[0], case.target(sample, "symmetric")[0]
    d = case.second.shape[-1]
    if d < 2:
        return f"right; for a 1 x 1 {name} the two conventions coincide."
    index = int(np.argmax(np.abs(full - symmetric).reshape(case.second.shape)[..., 1, 0])) * d * d + d
    where = entry_name(case.second, index)
    if held == "full":
        return (
            f"right, in the full convention; not the partial derivative when {name}_12 and {name}_21 move together. "
            f"Entry {where}: yours {number(full[index])}, the partial {number(symmetric[index])}. Follow A in a "
            "gradient step; `to_symmetric(A)` = 2A - A∘I for standard errors and paired finite differences."
        )
    return (
        f"right, in the symmetric convention: the partial derivative when {name}_12 and {name}_21 move together; not "
        f"the Frobenius gradient. Entry {where}: yours {number(symmetric[index])}, the Frobenius gradient has "
        f"{number(full[index])}. Use B for standard errors and paired finite differences; `to_full(B)` = (B + B∘I)/2 "
        "for a gradient step."
    )


def _not_finite(case: Case, convention: str | None) -> Diagnosis | None:
    for sample in case.samples:
        if not np.all(np.isfinite(sample.claimed)):
            return Diagnosis(Kind.UNKNOWN, "the claim is not finite where the function is.", evidence(case, convention))
    return None


def _other_convention(case: Case, convention: str | None) -> Diagnosis | None:
    if convention in case.conventions or not case.holds(case.claimed, convention):
        return None
    return Diagnosis(
        Kind.OTHER_CONVENTION,
        convention_message(case, str(convention)),
        evidence(case, case.conventions[0], instead=convention),
    )


def _transpositions(case: Case) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The claim with a matrix argument transposed on either side, or the two sides exchanged."""
    for side, axis in ((1, case.second), (0, case.first)):
        if len(axis.shape) == 2 and axis.shape[0] == axis.shape[1] > 1:
            swap = np.arange(axis.size).reshape(axis.shape).T.reshape(-1)
            yield "argument", [np.take(c, swap, axis=side) for c in case.claimed]
    if case.first.size == case.second.size > 1:
        yield "sides", [c.T for c in case.claimed]


def _transpose(case: Case, convention: str | None) -> Diagnosis | None:
    for what, tensors in _transpositions(case):
        if not case.holds(tensors, convention):
            continue
        name = case.name
        found = evidence(case, convention, instead="the transpose")
        if what == "sides":
            message = "the transpose of the derivative: rows are the outputs, columns the entries of the argument."
        else:
            message = "the transpose of the derivative: its transpose holds."
            if case.conventions == (None,):  # whether that is so, only a symmetric argument can show
                found["if_symmetric"] = (
                    f"The two agree only for symmetric {name}; if yours is, add `--symmetric {name}` "
                    "(in Python `domains=PositiveDefinite()`), and your formula holds."
                )
        return Diagnosis(Kind.TRANSPOSE, message, found)
    return None


def _scaled(case: Case, convention: str | None) -> float | None:
    """c with claimed = c * derivative at every point, None if there is none."""
    ratio = constant_ratio(case.claimed, case.targets(convention))
    if ratio is None or ratio == 0 or not np.isfinite(ratio):
        return None
    for value in candidates(ratio, *_counts(case)):  # the simple one that holds
        if (
            value not in (0, 1)
            and isclose(value, ratio, rel_tol=0.05)
            and case.holds([c / value for c in case.claimed], convention)
        ):
            return value
    return None


def _counts(case: Case) -> tuple[float, ...]:
    n = case.count or 1
    return (n, 1 / n, -n, -1 / n) if n > 1 else ()


def _count_hint(case: Case, ratio: float) -> tuple[Kind, str] | None:
    """The name of a ratio that is the number of observations or its inverse."""
    if case.count is None or case.count < 2:
        return None
    n = case.count
    for value, text in ((n, "n"), (1 / n, "1/n"), (-n, "-n"), (-1 / n, "-1/n")):
        if ratio == value:
            which = "a sum where the function has a mean" if abs(value) > 1 else "a mean where the function has a sum"
            return Kind.COUNT_FACTOR, f"every entry is {text} = {fraction(value, n)} times the derivative: {which}."
    return None


def _factor(case: Case, convention: str | None) -> Diagnosis | None:
    ratio = _scaled(case, convention)
    if ratio is None:
        return None
    where = "" if convention is None else in_convention(case, convention)
    found = evidence(case, convention, ratio=ratio, instead=f"the claim times {fraction(1 / ratio)}")
    if ratio == -1:
        return Diagnosis(
            Kind.SIGN,
            f"every entry is -1 times the derivative{where}: the gradient of the *negative* log-likelihood, or "
            "the minus of d(S⁻¹) = -S⁻¹ dS S⁻¹ got lost.",
            found,
        )
    counted = _count_hint(case, ratio)
    if counted is not None:
        return Diagnosis(*counted, found)
    why = {2.0: ": a lost 1/2", 0.5: ": a 1/2 too many, or one of two equal halves forgotten"}.get(abs(ratio), "")
    return Diagnosis(Kind.FACTOR, f"every entry is {multiple(ratio)} times the derivative{where}{why}.", found)


def _wrong_order(case: Case, convention: str | None) -> Diagnosis | None:
    tensors = [s.by_rows for s in case.samples if s.by_rows is not None]
    if len(tensors) != len(case.samples):
        return None
    if not case.holds(tensors, convention):
        return None
    axis = case.second
    if axis.vech_size is not None:
        by_columns, by_rows = axis.from_vech(), axis.from_vech(by_rows=True)
        moved = sorted({int(a) + 1 for a, b in zip(by_rows, by_columns, strict=True) if a != b})
        text = (
            "right numbers, wrong order: row by row (`numpy.tril_indices`); vech goes column by column "
            "(R's `lower.tri`)."
        )
    else:
        by_columns, by_rows = axis.from_vec(), np.arange(axis.size)
        moved = sorted({int(a) + 1 for a, b in zip(by_rows, by_columns, strict=True) if a != b})
        text = "right numbers, wrong order: row by row (NumPy's `ravel`); vec stacks the columns (R's `c`)."
    if len(moved) == 2:
        text += f" Entries {moved[0]} and {moved[1]} are swapped."
    elif moved:
        text += f" Entries {', '.join(map(str, moved[:6]))}{' ...' if len(moved) > 6 else ''} are out of place."
    return Diagnosis(Kind.WRONG_ORDER, text, evidence(case, convention, moved=moved, instead="column by column"))


def _density(case: Case, convention: str | None) -> Diagnosis | None:
    if any(s.value.size != 1 or not np.isfinite(s.value).all() for s in case.samples):
        return None
    values = np.array([float(s.value[0]) for s in case.samples])
    if np.ptp(values) <= 1e-9 * np.max(np.abs(values)) and len(values) > 1:
        return None
    targets = case.targets(convention)
    told = np.abs(values) < EXPONENT_RANGE  # beyond it exp under- or overflows, and nothing can be told
    if told.any():
        safe = np.where(told, values, 0.0)
        undone = [
            c / np.exp(v) if known else t for c, v, t, known in zip(case.claimed, safe, targets, told, strict=True)
        ]
        if case.holds(undone, convention):
            text = (
                "this is the derivative of the exponential of the function, the density and not its log: divide by the "
                "density."
            )
            return Diagnosis(Kind.DENSITY_NOT_LOG, text, evidence(case, convention))
    power = _power(case.claimed, targets, values)
    if power and case.holds([c / v**power for c, v in zip(case.claimed, values, strict=True)], convention):
        text = _POWERS.get(power, f"this is the derivative times the function to the power {power}.")
        return Diagnosis(Kind.DENSITY_NOT_LOG, text, evidence(case, convention, power=power))
    return None


_POWERS = {
    -1: "this is the derivative of the logarithm of the function: multiply by the function itself.",
    1: "this is the derivative times the function: the function was multiplied in once too often.",
}


def _power(claimed: Sequence[np.ndarray], targets: Sequence[np.ndarray], values: np.ndarray) -> int:
    """p with claimed = f^p times the derivative, as the point where f is furthest from 1 has it; 0 if there is none."""
    with np.errstate(all="ignore"):
        sizes = np.log(np.abs(values))
        n = int(np.argmax(np.where(np.isfinite(sizes), np.abs(sizes), 0.0)))
        ratio = np.sum(claimed[n] * targets[n]) / np.sum(targets[n] ** 2)
        power = float(np.log(np.abs(ratio)) / sizes[n])
    return round(power) if np.isfinite(power) and abs(power) < 4 else 0


def _inverse(case: Case, convention: str | None) -> Diagnosis | None:
    names = [name for name in case.samples[0].swapped if all(name in s.swapped for s in case.samples)]
    for name in names:
        if case.holds([s.swapped[name] for s in case.samples], convention):
            shape = np.shape(case.samples[0].arguments[name])
            if len(shape) < 2 or shape[-1] != shape[-2]:
                return Diagnosis(
                    Kind.SIGN,
                    f"with -{name} in place of {name} the formula holds: a sign is lost where {name} stands, in a "
                    "difference perhaps.",
                    evidence(case, convention, argument=name),
                )
            return Diagnosis(
                Kind.INVERSE_EXCHANGED,
                f"with inv({name}) in place of {name} the formula holds: a matrix stands where its inverse "
                "should, covariance for precision.",
                evidence(case, convention, argument=name),
            )
    shape = case.second.shape if case.first.size == 1 else (case.first.size, case.second.size)
    if len(shape) == 2 and shape[0] == shape[1] > 1:
        try:
            inverses = [np.linalg.inv(c.reshape(shape)).reshape(c.shape) for c in case.claimed]
            amplified = [float(np.linalg.cond(c.reshape(shape))) for c in case.claimed]
        except np.linalg.LinAlgError:
            return None
        for sign in (1.0, -1.0):
            if case.holds([sign * c for c in inverses], convention, amplified=amplified):
                return Diagnosis(
                    Kind.INVERSE_EXCHANGED,
                    f"the inverse of the derivative{' with the opposite sign' if sign < 0 else ''}: "
                    "covariance for precision.",
                    evidence(case, convention),
                )
    return None


def varying_factor(case: Case, convention: str | None) -> Diagnosis | None:
    """A multiple of the derivative at every point, another one at each: a scalar factor of the whole is wrong."""
    targets = case.targets(convention)
    if targets[0].size < 2 or not all(np.all(np.isfinite(c)) for c in case.claimed):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [float(np.sum(c * t) / np.sum(t * t)) for c, t in zip(case.claimed, targets, strict=True)]
        corrected = [c / r for c, r in zip(case.claimed, ratios, strict=True)]
    if not all(np.all(np.isfinite(c)) for c in corrected) or not case.holds(corrected, convention):
        return None
    return Diagnosis(
        Kind.FACTOR,
        f"every entry is the same multiple of the derivative, and the multiple varies from point to point "
        f"({number(ratios[0], 4)} here): a scalar factor of the whole is wrong.",
        evidence(case, convention, ratio=ratios[0], ratios_by_point=ratios),
    )


def by_a_hair(case: Case) -> Diagnosis | None:
    """A claim so near the derivative that a correction which changes nothing would seem to mend it."""
    for convention in case.conventions:
        if not case.holds(case.claimed, convention):
            continue
        shares = []
        for sample, target in zip(case.samples, case.targets(convention), strict=True):
            error = np.abs(sample.components(case.frobenius(sample.claimed - target, convention)))
            shares.append(float(np.max(error / np.maximum(sample.bound, np.finfo(float).tiny), initial=0.0)))
        nth = int(np.argmax(shares))
        worst = worst_entry(case, convention, case.samples[nth])
        what = f"entry {worst['entry']}" if worst["entry"] else "it"
        how = "what the digits allow" if case.is_printed else "what rounding explains"
        times = (
            f"is off by {number(shares[nth], 2)} times {how}"
            if shares[nth] > 1
            else "is off by a little more than rounding"
        )
        return Diagnosis(
            Kind.UNKNOWN,
            f"{what} {times}: yours {number(worst['claimed'], 9)}, the derivative {number(worst['true'], 9)}.",
            evidence(case, convention, hair=True),
        )
    return None


def unknown(case: Case) -> Diagnosis:
    """What is left to say: where it differs most, and by how much."""
    convention = case.conventions[0]
    worst = worst_entry(case, convention)
    target = case.target(case.samples[0], convention)
    different = int(np.sum(np.abs(case.samples[0].claimed - target) > 1e-9 * np.max(np.abs(target), initial=0.0)))
    return Diagnosis(
        Kind.UNKNOWN,
        f"no known mistake explains the difference: {different} of {target.size} entries differ; worst "
        f"{('entry ' + worst['entry']) if worst['entry'] else 'value'}: yours {number(worst['claimed'], 9)}, "
        f"the derivative {number(worst['true'], 9)}.",
        evidence(case, convention),
    )


FIRST: tuple[Rule, ...] = (_other_convention,)
BEFORE_TERMS: tuple[Rule, ...] = (
    _not_finite,
    _transpose,
    _factor,
    _wrong_order,
    diagonal_or_not,
    one_triangle,
    symmetric_part,
    _inverse,
    _density,
    part,
)
