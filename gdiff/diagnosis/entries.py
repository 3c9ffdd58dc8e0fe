"""Mistakes in some of the entries: on or off the diagonal, one triangle, the skew part, a block.

Each rule tries one, and reports it only if undoing it holds everywhere.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from math import isclose, sqrt

import numpy as np

from gdiff.diagnosis.case import Case, constant_ratio, evidence, fraction, simple_fraction
from gdiff.diagnosis.kinds import Diagnosis, Kind
from gdiff.tolerance import question

_PRESENT = 1e-6  # an entry below this share of the largest says nothing about its ratio


def in_convention(case: Case, convention: str | None) -> str:
    """The convention in words, where it is not the one that the claim was held against."""
    return "" if convention in case.conventions and len(case.conventions) == 1 else f", in the {convention} convention"


def multiple(ratio: float) -> str:
    """A ratio in words that never round to 1."""
    return f"1 {'+' if ratio > 1 else '-'} {abs(ratio - 1):.1g}" if isclose(ratio, 1, rel_tol=5e-7) else fraction(ratio)


def candidates(ratio: float, *more: float) -> tuple[float, ...]:
    """Numbers that a measured ratio may stand for, the simplest first."""
    near = float(Fraction(ratio).limit_denominator(24))
    rounded = (float(f"{ratio:.{digits}g}") for digits in (7, 8))
    known = [v for v in (near, *more, *rounded) if isclose(v, ratio, rel_tol=0.05) or v == near == 0]
    return tuple(dict.fromkeys((*known, ratio)))


def _classes(case: Case) -> np.ndarray:
    """How many of an entry's indices stand off the diagonal: 0, 1 or 2."""
    second = case.second.off_diagonal().astype(int)[None, :]
    first = case.first.off_diagonal().astype(int)[:, None] if case.order == 2 else np.zeros((case.first.size, 1), int)
    return np.broadcast_to(first + second, (case.first.size, case.second.size))


def diagonal_or_not(case: Case, convention: str | None) -> Diagnosis | None:
    """Right on the diagonal and a multiple off it, or the other way about."""
    if case.is_trivial:
        return None
    classes = _classes(case)
    options: dict[int, tuple[float, ...]] = {}
    for level in (int(k) for k in np.unique(classes)):
        mask = classes == level
        ratio = constant_ratio([c * mask for c in case.claimed], [t * mask for t in case.targets(convention)])
        options[level] = (1.0,) if ratio is None else candidates(ratio, sqrt(2), sqrt(0.5), -sqrt(2), -sqrt(0.5))
    choices = (dict(zip(options, choice, strict=True)) for choice in product(*options.values()))
    ratios = next((choice for choice in choices if _classes_hold(case, convention, classes, choice)), None)
    if ratios is None:
        return None
    on, off = ratios.get(0, 1.0), ratios.get(1, 1.0)
    if on == off:
        return None
    where = "" if convention is None else in_convention(case, convention)
    found = evidence(case, convention, on_diagonal=on, off_diagonal=off)
    if on == 1.0 and off is not None:
        why = {2.0: ": each pair was counted twice", 0.5: ": only one of each pair was counted"}.get(off, "")
        if any(isclose(abs(off), r, rel_tol=1e-3) for r in (sqrt(2), sqrt(0.5))):
            why = ": derivatives along unit directions of the symmetric matrices carry the root of two"
        times = "zero" if off == 0 else f"{multiple(off)} times the derivative"
        return Diagnosis(Kind.OFF_DIAGONAL_FACTOR, f"right on the diagonal, off it {times}{where}{why}.", found)
    if off == 1.0 and on is not None:
        times = "zero" if on == 0 else f"{multiple(on)} times the derivative"
        return Diagnosis(
            Kind.DIAGONAL_FACTOR,
            f"right off the diagonal, on it {times}{where}: look at the term with ∘I.",
            found,
        )
    return None


def _classes_hold(case: Case, convention: str | None, classes: np.ndarray, ratios: Mapping[int, float]) -> bool:
    """Whether the entries of each class are that multiple of the derivative, everywhere.

    The claim is divided, not pieced together with the derivative: its rounding errors belong together.
    """
    lost = np.isin(classes, [level for level, ratio in ratios.items() if ratio == 0])
    if any(np.any(c * lost) for c in case.claimed):
        return False
    divisor = np.ones(classes.shape)
    for level, ratio in ratios.items():
        divisor[classes == level] = ratio or 1.0
    corrected = [c / divisor for c in case.claimed]
    if not lost.any():
        return case.holds(corrected, convention)
    by_entries = case.entrywise()
    filled = [np.where(lost, t, c) for c, t in zip(corrected, case.targets(convention), strict=True)]
    return case.holds(filled, convention) or (by_entries is not None and by_entries.holds(filled, convention))


def one_triangle(case: Case, convention: str | None) -> Diagnosis | None:
    """One triangle filled in, zeros in the other."""
    if case.first.size != 1 or case.is_trivial:
        return None
    shape = case.second.shape
    for cut, name, rest in ((np.tril, "lower", "above"), (np.triu, "upper", "below")):
        mask = cut(np.ones(shape)).reshape(1, -1)
        if all(not np.any(c * (1 - mask)) for c in case.claimed) and any(
            np.any(t * (1 - mask)) for t in case.targets(convention)
        ):
            grids = [c.reshape(shape) for c in case.claimed]
            filled = [(g + g.T - g * np.eye(len(g))).reshape(1, -1) for g in grids]
            if case.holds(filled, convention):
                where = "" if convention is None else f" of the derivative in the {convention} convention"
                return Diagnosis(
                    Kind.LOWER_TRIANGLE,
                    f"only the {name} triangle{where} is there, zeros {rest} the diagonal: mirror it.",
                    evidence(case, convention, instead=f"the {name} triangle, mirrored"),
                )
    return None


def symmetrised(case: Case) -> list[np.ndarray]:
    """The claim, symmetrised on every symmetric side."""
    tensors = []
    for claimed in case.claimed:
        out = claimed
        for side, axis in ((0, case.first), (1, case.second)):
            if axis.is_symmetric:
                swap = np.swapaxes(np.arange(axis.size).reshape(axis.shape), -1, -2).reshape(-1)
                out = (out + np.take(out, swap, axis=side)) / 2
        tensors.append(out)
    return tensors


def symmetric_part(case: Case, convention: str | None) -> Diagnosis | None:
    """Right after symmetrising."""
    if case.conventions == (None,):
        return None
    tensors = symmetrised(case)
    if case.holds(tensors, convention):
        name = case.name
        return Diagnosis(
            Kind.SYMMETRIC_PART_RIGHT,
            f"its symmetric part is right{in_convention(case, convention)}, the rest is not zero: the entries of "
            f"{name} were treated as free. (G + G')/2 holds."
            + (" For a Hessian, write N H N." if case.order == 2 else ""),
            evidence(case, convention, instead="(G + G')/2"),
        )
    return None


def part(case: Case, convention: str | None) -> Diagnosis | None:
    """One simple multiple on some entries, the others right: a block of an information, a part of a vector."""
    size = case.first.size * case.second.size
    if size == 1 or not all(np.all(np.isfinite(c)) for c in case.claimed):
        return None
    claimed = np.stack([c.reshape(-1) for c in case.claimed])
    target = np.stack([t.reshape(-1) for t in case.targets(convention)])
    scale = np.max(np.abs(target), axis=1, keepdims=True)
    there = np.abs(target) > _PRESENT * scale
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(there, claimed / target, np.nan)
    told = there.any(axis=0)
    typical = np.ones(size)
    typical[told] = np.nanmedian(ratios[:, told], axis=0)
    wrong = np.abs(typical - 1) > question()
    multiples = {simple_fraction(r, 24, question()) for r in typical[wrong]}
    if wrong.all() or len(multiples) != 1 or None in multiples:
        return None
    (share,) = multiples
    assert share is not None
    ratio = float(share)
    wrong_entries = wrong.reshape(case.claimed[0].shape)
    if not _classes_hold(case, convention, wrong_entries.astype(int), {0: 1.0, 1: ratio}):
        return None
    which = _places(case, np.flatnonzero(wrong))
    kind = Kind.SIGN if ratio == -1 else Kind.MISSING_TERM if ratio == 0 else Kind.FACTOR
    how = "zero and should not be" if ratio == 0 else f"{multiple(ratio)} times the derivative"
    return Diagnosis(
        kind,
        f"{which} {'is' if wrong.sum() == 1 else 'are'} {how}{in_convention(case, convention)}; the rest is right.",
        evidence(case, convention, ratio=ratio, entries=np.argwhere(wrong_entries).tolist()),
    )


def _places(case: Case, flat: np.ndarray) -> str:
    """Entries as people count them: a range, a block, or how many and the first."""
    shape = case.second.shape if case.first.size == 1 else (case.first.size, case.second.size)
    places = np.unravel_index(flat, shape)
    spans = [sorted({int(i) for i in axis}) for axis in places]
    solid = all(span == list(range(span[0], span[-1] + 1)) for span in spans)
    first = "[" + ",".join(str(int(axis[0]) + 1) for axis in places) + "]"
    if len(flat) == 1:
        return f"entry {first}"
    if solid and len(flat) == math.prod(len(span) for span in spans):
        ranges = [f"{span[0] + 1} to {span[-1] + 1}" if len(span) > 1 else f"{span[0] + 1}" for span in spans]
        if len(ranges) == 1:
            return f"entries {ranges[0]}"
        if len(ranges) == 2:
            return f"the entries in rows {ranges[0]}, columns {ranges[1]},"
    return f"{len(flat)} of {math.prod(shape)} entries, {first} the first,"
