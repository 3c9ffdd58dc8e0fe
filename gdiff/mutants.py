"""Deliberately wrong formulas: what a verifier must refute, and name.

Each mutant turns the right arrays of a derivative into wrong ones, and says which kinds of mistake it may truly be
called. `trials` holds them all against a truth.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gdiff.diagnosis import Case, Kind, decompose
from gdiff.diagnosis.library import Term, stages
from gdiff.diagnosis.rules import EXPONENT_RANGE
from gdiff.symmetric.coordinates import lower_indices
from gdiff.tolerance import question
from gdiff.truth import Truth
from gdiff.verify import case_of, judge, read_claim

_SLIGHT = question()  # the smallest mistake that must be seen, relative to what it is made in


@dataclass(frozen=True)
class Setting:
    """What a mutant may look at: one point, the derivative's shape and convention, its decomposition into terms."""

    case: Case
    point: int
    convention: str | None
    decomposition: Sequence[tuple[Term, float]]
    surplus: Term | None = None

    @property
    def is_square(self) -> bool:
        """Whether the derivative is laid out as a square matrix, one entry for each of the argument's."""
        shape = self.case.second.shape
        return self.case.order == 1 and self.case.first.size == 1 and len(shape) == 2 and shape[0] == shape[1] > 1

    @property
    def is_symmetric(self) -> bool:
        """Whether there are two conventions, and off-diagonal entries that tell them apart."""
        return self.is_square and self.convention is not None

    def term(self, index: int) -> np.ndarray:
        """One term of the derivative, with its coefficient, in the layout of the claim."""
        term, coefficient = self.decomposition[index]
        return coefficient * term.compute(self.case.samples[self.point])

    def laid_out(self, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """A (first, second) tensor as the claim lays it out: in the argument's shape, or in vec or vech coordinates."""
        first, second = self.case.first, self.case.second
        if self.case.order == 1 or shape == first.shape + second.shape:
            return tensor.reshape(shape)
        for side, axis in ((0, first), (1, second)):
            if shape[side] == axis.size:
                order = np.argsort(axis.from_vec())
            else:
                rows, columns = lower_indices(axis.shape[-1])
                order = rows * axis.shape[-1] + columns
            tensor = np.take(tensor, order, axis=side)
        return tensor


Change = Callable[[np.ndarray, Setting], np.ndarray]


@dataclass(frozen=True)
class Mutant:
    """A name, the kinds it may truly be called, the change, and where it applies."""

    name: str
    kinds: tuple[Kind, ...]
    change: Change
    applies: Callable[[Setting], bool] = lambda setting: True  # noqa: E731, ARG005


def _off(a: np.ndarray, factor: float) -> np.ndarray:
    return np.where(np.eye(len(a), dtype=bool), a, factor * a)


def _on(a: np.ndarray, factor: float) -> np.ndarray:
    return np.where(np.eye(len(a), dtype=bool), factor * a, a)


def _at(a: np.ndarray, index: int, factor: float) -> np.ndarray:
    out = np.array(a, dtype=float)
    out.flat[index] *= factor
    return out


def _largest(a: np.ndarray) -> int:
    return int(np.argmax(np.abs(a)))


def _row(a: np.ndarray, factor: float) -> np.ndarray:
    out = np.array(a, dtype=float)
    out[_largest(a) // (a.size // len(a))] *= factor
    return out


def _part(a: np.ndarray, factor: float) -> np.ndarray:
    out = np.array(a, dtype=float)
    out[len(a) // 2 :] *= factor
    return out


def _swapped_entries(a: np.ndarray) -> np.ndarray:
    out = np.array(a, dtype=float)
    out.flat[0], out.flat[a.size - 1] = a.flat[a.size - 1], a.flat[0]
    return out


def _lower(a: np.ndarray) -> np.ndarray:
    return a[np.tril_indices(len(a))]


def _plus(index: int, factor: float) -> Change:
    def change(a: np.ndarray, s: Setting) -> np.ndarray:
        return a + factor * s.laid_out(s.term(index), np.shape(a))

    return change


def _surplus(a: np.ndarray, s: Setting) -> np.ndarray:
    assert s.surplus is not None
    return a + s.laid_out(s.surplus.compute(s.case.samples[s.point]), np.shape(a))


def _scaled(factor: float) -> Change:
    return lambda a, s: factor * a  # noqa: ARG005


def _square(s: Setting) -> bool:
    return s.is_square


def _symmetric(s: Setting) -> bool:
    return s.is_symmetric


def _general(s: Setting) -> bool:
    return s.is_square and not s.is_symmetric


def _has_terms(s: Setting) -> bool:
    return len(s.decomposition) > 1


def _has_surplus(s: Setting) -> bool:
    return s.surplus is not None and len(s.decomposition) > 0


def _counted(s: Setting) -> bool:
    return s.case.count is not None and s.case.count > 1


def _many(s: Setting) -> bool:
    return s.case.order == 1 and s.case.second.size > 1


def _parted(s: Setting) -> bool:
    return _many(s) and not s.is_symmetric and s.case.second.shape[0] > 2


def _scalar(s: Setting) -> bool:
    return s.case.samples[s.point].value.size == 1


def _has_exponential(s: Setting) -> bool:
    return _scalar(s) and abs(_value(s)) < EXPONENT_RANGE


def _has_value(s: Setting) -> bool:
    return _scalar(s) and abs(_value(s)) > np.exp(-EXPONENT_RANGE)


def _value(s: Setting) -> float:
    return float(s.case.samples[s.point].value[0])


_FACTOR = (Kind.FACTOR,)
_OFF = (Kind.OFF_DIAGONAL_FACTOR, Kind.OTHER_CONVENTION)
_COEFFICIENT = (Kind.WRONG_COEFFICIENT,)

MUTANTS: tuple[Mutant, ...] = (
    Mutant("sign", (Kind.SIGN,), _scaled(-1.0)),
    Mutant("double", _FACTOR, _scaled(2.0)),
    Mutant("half", _FACTOR, _scaled(0.5)),
    Mutant("triple", _FACTOR, _scaled(3.0)),
    Mutant("minus half", _FACTOR, _scaled(-0.5)),
    Mutant("factor, slightly", _FACTOR, _scaled(1 + _SLIGHT)),
    Mutant("transpose", (Kind.TRANSPOSE,), lambda a, s: a.T, _square),  # noqa: ARG005
    Mutant("doubled off-diagonal", _OFF, lambda a, s: _off(a, 2.0), _symmetric),  # noqa: ARG005
    Mutant("halved off-diagonal", _OFF, lambda a, s: _off(a, 0.5), _symmetric),  # noqa: ARG005
    Mutant("off-diagonal times root two", _OFF, lambda a, s: _off(a, 2**0.5), _symmetric),  # noqa: ARG005
    Mutant("off-diagonal sign", _OFF, lambda a, s: _off(a, -1.0), _symmetric),  # noqa: ARG005
    Mutant("off-diagonal lost", _OFF, lambda a, s: _off(a, 0.0), _symmetric),  # noqa: ARG005
    Mutant("doubled diagonal", (Kind.DIAGONAL_FACTOR,), lambda a, s: _on(a, 2.0), _symmetric),  # noqa: ARG005
    Mutant("halved diagonal", (Kind.DIAGONAL_FACTOR,), lambda a, s: _on(a, 0.5), _symmetric),  # noqa: ARG005
    Mutant("diagonal lost", (Kind.DIAGONAL_FACTOR,), lambda a, s: _on(a, 0.0), _symmetric),  # noqa: ARG005
    Mutant("lower triangle", (Kind.LOWER_TRIANGLE,), lambda a, s: np.tril(a), _symmetric),  # noqa: ARG005
    Mutant("upper triangle", (Kind.LOWER_TRIANGLE,), lambda a, s: np.triu(a), _symmetric),  # noqa: ARG005
    Mutant(
        "other convention",
        (Kind.OTHER_CONVENTION,),
        lambda a, s: _off(a, 2.0 if s.convention == "full" else 0.5),
        _symmetric,
    ),
    Mutant(
        "skew part",
        (Kind.SYMMETRIC_PART_RIGHT,),
        lambda a, s: a + 0.3 * np.max(np.abs(a)) * (np.tril(np.ones_like(a), -1) - np.triu(np.ones_like(a), 1)),  # noqa: ARG005
        _symmetric,
    ),
    Mutant("vech by rows", (Kind.WRONG_ORDER,), lambda a, s: _lower(a), _symmetric),  # noqa: ARG005
    Mutant("vec by rows", (Kind.WRONG_ORDER, Kind.TRANSPOSE), lambda a, s: a.reshape(-1), _general),  # noqa: ARG005
    Mutant("one entry, slightly", (Kind.UNKNOWN,), lambda a, s: _at(a, _largest(a), 1 + _SLIGHT), _many),  # noqa: ARG005
    Mutant("last entry, slightly", (Kind.UNKNOWN,), lambda a, s: _at(a, a.size - 1, 1 + _SLIGHT), _many),  # noqa: ARG005
    Mutant("one row, slightly", (Kind.UNKNOWN,), lambda a, s: _row(a, 1 + _SLIGHT), _many),  # noqa: ARG005
    Mutant("entries swapped", (Kind.UNKNOWN,), lambda a, s: _swapped_entries(a), _many),  # noqa: ARG005
    Mutant(
        "offset, slightly",
        (Kind.UNKNOWN,),
        lambda a, s: a + _SLIGHT * np.max(np.abs(a)),  # noqa: ARG005
        _many,
    ),
    Mutant("a part doubled", (Kind.FACTOR,), lambda a, s: _part(a, 2.0), _parted),  # noqa: ARG005
    Mutant("a part's sign", (Kind.SIGN,), lambda a, s: _part(a, -1.0), _parted),  # noqa: ARG005
    Mutant("inverse", (Kind.INVERSE_EXCHANGED,), lambda a, s: np.linalg.inv(a), _square),  # noqa: ARG005
    Mutant("mean for sum", (Kind.COUNT_FACTOR,), lambda a, s: a / (s.case.count or 1), _counted),
    Mutant("sum for mean", (Kind.COUNT_FACTOR,), lambda a, s: a * (s.case.count or 1), _counted),
    Mutant("density for its log", (Kind.DENSITY_NOT_LOG,), lambda a, s: a * np.exp(_value(s)), _has_exponential),
    Mutant("log for the density", (Kind.DENSITY_NOT_LOG,), lambda a, s: a / _value(s), _has_value),
    Mutant("first term lost", (Kind.MISSING_TERM,), _plus(0, -1.0), _has_terms),
    Mutant("last term lost", (Kind.MISSING_TERM,), _plus(-1, -1.0), _has_terms),
    Mutant("first term doubled", _COEFFICIENT, _plus(0, 1.0), _has_terms),
    Mutant("last term doubled", _COEFFICIENT, _plus(-1, 1.0), _has_terms),
    Mutant("first term halved", _COEFFICIENT, _plus(0, -0.5), _has_terms),
    Mutant("first term's sign", _COEFFICIENT, _plus(0, -2.0), _has_terms),
    Mutant("last term's sign", _COEFFICIENT, _plus(-1, -2.0), _has_terms),
    Mutant("first coefficient, slightly", _COEFFICIENT, _plus(0, _SLIGHT), _has_terms),
    Mutant("last coefficient, slightly", _COEFFICIENT, _plus(-1, _SLIGHT), _has_terms),
    Mutant("a term too many", (Kind.SURPLUS_TERM,), _surplus, _has_surplus),
)


def _kinds(mutant: Mutant, setting: Setting) -> tuple[Kind, ...]:
    """What a mutant may truly be called here: two names are one mistake where they coincide."""
    if mutant.name == "triple" and setting.case.count == 3:
        return (*mutant.kinds, Kind.COUNT_FACTOR)
    last = setting.decomposition[-1][0].text if setting.decomposition else ""
    if mutant.name.startswith("last") and len(setting.decomposition) == 2 and last.startswith("had("):
        return (*mutant.kinds, Kind.DIAGONAL_FACTOR)  # inv(S) and had(inv(S), I): the second is the diagonal
    return mutant.kinds


@dataclass(frozen=True)
class Trial:
    """What became of a mutant: "named", "misnamed", "missed", "inconclusive" or "indistinguishable"."""

    mutant: str
    outcome: str
    expected: tuple[Kind, ...]
    found: Kind | None = None
    message: str = ""


def trials(
    truth: Truth,
    claimed: object,
    *,
    convention: str | None = None,
    explain: bool = True,
    library: bool = True,
    block: int = 0,
) -> tuple[Trial, ...]:
    """Every mutant that applies to a true claim, held against the truth.

    A mutant is indistinguishable if it equals the claim at every point (the transpose of a symmetric result, a factor
    of two of zero), or changes it by less than a tenth of the smallest mistake that a verdict is asked about.
    The claim is taken in the argument's own layout. `library=False` leaves out the mutants of single terms: finding
    what terms a claim is made of takes longer than all the others.
    """
    with np.errstate(all="ignore"):  # what a mutant makes infinite is refuted, not warned about
        return tuple(_trials(truth, claimed, convention, explain, library, block))


def _trials(
    truth: Truth, claimed: object, convention: str | None, explain: bool, library: bool, block: int
) -> Iterator[Trial]:
    values = read_claim(truth, claimed)
    case = case_of(truth, values, block=block, convention=convention)
    asked = case.conventions[0]
    decomposition = (decompose(case, asked) or []) if library else []
    surplus = _a_term_too_many(case, asked, decomposition) if decomposition else None
    settings = [Setting(case, n, asked, decomposition, surplus) for n in range(len(values.arrays))]
    for mutant in MUTANTS:
        if not all(mutant.applies(s) for s in settings):
            continue
        kinds = _kinds(mutant, settings[0])

        def change(array: np.ndarray, point: int, b: int, mutant: Mutant = mutant) -> np.ndarray:
            return mutant.change(np.asarray(array, dtype=float), settings[point]) if b == block else array

        try:
            wrong = values.mapped(change)
        except np.linalg.LinAlgError:
            continue
        pairs = zip(values.arrays, wrong.arrays, settings, strict=True)
        if all(_slight(a[block], w[block], s) for a, w, s in pairs):
            yield Trial(mutant.name, "indistinguishable", kinds)
            continue
        verdict = judge(truth, wrong, convention=convention, explain=explain)
        if verdict.holds:
            yield Trial(mutant.name, "missed", kinds)
        elif verdict.inconclusive:
            yield Trial(mutant.name, "inconclusive", kinds)
        else:
            found = verdict.diagnosis.kind if verdict.diagnosis is not None else None
            named = found in kinds or not explain
            message = verdict.diagnosis.message if verdict.diagnosis is not None else ""
            yield Trial(mutant.name, "named" if named else "misnamed", kinds, found, message)


def _slight(right: np.ndarray, wrong: np.ndarray, setting: Setting) -> bool:
    """Equal, or different by less than a tenth of what a verdict is asked about, in its coordinates."""
    a, b = np.asarray(right, dtype=float), np.asarray(wrong, dtype=float)
    if a.shape != b.shape:
        columns, rows = np.triu_indices(setting.case.second.shape[-1])
        a = a.T.reshape(-1) if b.size == a.size else a[rows, columns]
        return bool(np.all(np.abs(a - b) <= _SLIGHT / 10 * np.max(np.abs(a), initial=0.0)))
    sample = setting.case.samples[setting.point]
    if a.size != sample.truth.size:
        return bool(np.all(np.abs(a - b) <= _SLIGHT / 10 * np.max(np.abs(a), initial=0.0)))
    difference = setting.case.frobenius((b - a).reshape(sample.truth.shape), setting.convention)
    scale = np.max(np.abs(sample.components(sample.truth)), initial=0.0)
    seen = np.max(np.abs(sample.components(difference)), initial=0.0) > _SLIGHT / 10 * scale
    return not seen and bool(np.all(np.abs(a - b) <= _SLIGHT / 10 * np.max(np.abs(a), initial=0.0)))


def _a_term_too_many(case: Case, convention: str | None, decomposition: Sequence[tuple[Term, float]]) -> Term | None:
    """A library term that the derivative does not have."""
    true = [t.compute(case.samples[0]) for t, _ in decomposition]
    for terms in stages(case, convention):
        for term in terms:
            try:
                array = term.compute(case.samples[0])
            except np.linalg.LinAlgError:
                continue
            basis = np.stack([t.reshape(-1) for t in true], axis=1)
            rest = array.reshape(-1) - basis @ np.linalg.lstsq(basis, array.reshape(-1), rcond=None)[0]
            if np.linalg.norm(rest) > 0.1 * np.linalg.norm(array) and np.linalg.norm(array) > 0:
                return term
    return None
