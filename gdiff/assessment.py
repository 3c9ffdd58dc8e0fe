"""An identity x dimensions x real data -> one verdict."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from types import MappingProxyType
from typing import Any

import numpy as np

from gdiff.claim import Claim, Hypothesis
from gdiff.dataset import Dataset
from gdiff.diagnosis import Diagnosis, Kind
from gdiff.oracles import Batched, each, judging
from gdiff.reduction import problem, whole_arguments
from gdiff.tolerance import question, tolerance
from gdiff.truth import NotEstablished, Truth, establish
from gdiff.verdict import Verdict
from gdiff.verify import Term, judge

DIMENSIONS = (1, 3)  # 1 tells a mistake of sign from one of convention: for symmetric arguments
_DEFINITENESS_POINTS = 6
_DRAWS = 8  # points tried until the function is finite at one


def sizes(d: int) -> dict[str, int]:
    """What the named dimensions of arguments are: all different for d > 1, so that a transpose shows."""
    return {"d": d, "n": d + 2, "m": d + 1, "p": max(1, d - 1), "q": d, "r": d + 1, "k": d * (d + 1) // 2}


def dimensions_of(claim: Claim) -> tuple[int, ...]:
    """The dimensions that a claim is judged in by default: d = 1 too where a differentiated argument is symmetric."""
    return DIMENSIONS if any(claim.arguments[i].domain.is_symmetric for i in claim.wrt) else DIMENSIONS[-1:]


def draw(claim: Claim, d: int, rng: np.random.Generator, condition: float = 10.0) -> tuple[np.ndarray, ...]:
    """A point in the claim's domains, its dimensions those of `sizes`."""
    named = sizes(d)
    shapes = [tuple(named[s] if isinstance(s, str) else s for s in a.shape) for a in claim.arguments]
    return tuple(a.domain.sample(rng, s, condition=condition) for a, s in zip(claim.arguments, shapes, strict=True))


def verify_identity(
    entry: Claim,
    seed: int = 0,
    *,
    data: Dataset | None = None,
    dtype: Any = np.float64,
    dimensions: Sequence[int] | None = None,
) -> Verdict:
    """Judge one entry of the catalogue: at random points of each dimension d, and on data where one is given.

    `dimensions` is by default the entry's own, else that of `dimensions_of`.

    `dtype` is the one in which the claim runs; the oracles run in float64. The verdict is that of `verify_gradient`,
    the worst over all dimensions; a convention that only d > 1 can tell is the one that d > 1 told.
    """
    return _assess_group([entry], seed, data, dtype, dimensions)[0].verdict


@dataclass(frozen=True)
class Assessment:
    """One entry, its verdict, and the seconds that it took (its share, where entries share a truth)."""

    entry: Claim
    verdict: Verdict
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether its status is the one that it is known to have."""
        return self.verdict.status == self.entry.expected


def assess(
    entries: Sequence[Claim],
    seed: int = 0,
    *,
    data: Dataset | None = None,
    dtype: Any = np.float64,
    dimensions: Sequence[int] | None = None,
) -> Iterator[Assessment]:
    """Judge many entries, in order, as each is done. Entries about one derivative of one function share its truth."""
    groups: dict[Any, list[Claim]] = {}
    for entry in entries:
        groups.setdefault(subject(entry), []).append(entry)
    done: dict[str, Assessment] = {}
    for entry in entries:
        if entry.name not in done:
            group = groups[subject(entry)]
            done |= {a.entry.name: a for a in _assess_group(group, seed, data, dtype, dimensions)}
        yield done[entry.name]


def subject(entry: Claim) -> Any:
    """What entries must share to share a truth."""
    return entry.function, entry.wrt, entry.kind, entry.arguments, entry.dimensions


def _assess_group(
    group: Sequence[Claim], seed: int, data: Dataset | None, dtype: Any, dimensions: Sequence[int] | None
) -> list[Assessment]:
    """Entries that share function, arguments and order: each point's truth is established once."""
    start = perf_counter()
    dimensions = group[0].dimensions or dimensions or dimensions_of(group[0])
    verdicts = _judged(group, seed, data, dtype, dimensions)
    seconds = (perf_counter() - start) / len(group)
    out = []
    for entry, verdict in zip(group, verdicts, strict=True):
        start = perf_counter()
        verdict = _with_hypotheses(entry, verdict, seed, dtype, dimensions)
        out.append(Assessment(entry, verdict, seconds + perf_counter() - start))
    return out


def _judged(
    group: Sequence[Claim], seed: int, data: Dataset | None, dtype: Any, dimensions: Sequence[int]
) -> list[Verdict]:
    """The claims as they stand, at random points of each dimension and at the data."""
    first = group[0]
    parts: list[list[Verdict]] = [[] for _ in group]
    given = data.arguments(first.arguments) if data is not None else None

    if first.kind == "negative definite":
        points = [draw(first, d, np.random.default_rng([seed, d])) for d in dimensions]
        points += [given] if given is not None else []
        return [combine([_definite(first, point, seed) for point in points])] * len(group)
    truths = [established(first, d, seed, briefly=d < max(dimensions)) for d in dimensions]  # in the largest, by all
    truths += [establish_at(first, given, seed, fresh=False)] if given is not None else []  # real data is one point
    for truth in truths:
        for entry, part in zip(group, parts, strict=True):
            part.append(judge_at(entry, truth, dtype))
    return [combine(part) for part in parts]


def established(entry: Claim, d: int, seed: int = 0, briefly: bool = False) -> Truth:
    """The truth about an entry's derivative at a random point of dimension d, and at others of its shapes."""
    rng = np.random.default_rng([seed, d])
    for attempt in range(_DRAWS):
        try:
            return establish_at(entry, draw(entry, d, rng), seed, briefly=briefly)
        except NotEstablished:  # the logarithm of a negative determinant, say
            if attempt + 1 == _DRAWS:
                raise
    raise AssertionError


def _with_hypotheses(entry: Claim, verdict: Verdict, seed: int, dtype: Any, dimensions: Sequence[int]) -> Verdict:
    """The status of a claim once the hypotheses that it leaves unsaid were tried, each in the largest dimensions."""
    largest = sorted(dimensions)[-2:]

    def under(hypothesis: Hypothesis) -> Verdict:
        return _judged([entry.under(hypothesis)], seed, None, dtype, largest)[0]

    if verdict.refuted:
        return replace(verdict, hypotheses=tuple(h.text for h in entry.holds_if if under(h).holds))
    if not verdict.holds:
        return verdict
    missing = tuple(h.text for h in entry.fails_unless if _fails(under, h))
    if missing:
        return replace(verdict, status="holds under hypotheses", hypotheses=missing)
    symmetric = any(entry.arguments[i].domain.is_symmetric for i in entry.wrt)
    derivative = entry.kind in ("gradient", "hessian", "jacobian")
    if derivative and symmetric and entry.convention is None and verdict.convention in ("full", "symmetric"):
        return replace(verdict, status="convention dependent")
    return verdict


def _fails(judged: Callable[[Hypothesis], Verdict], hypothesis: Hypothesis) -> bool:
    """Whether a claim is wrong there, or cannot be said: its shapes do not fit."""
    try:
        return judged(hypothesis).refuted
    except NotEstablished:
        return False  # there is no derivative to be wrong about
    except (TypeError, ValueError):
        return True


def establish_at(
    entry: Claim,
    point: Sequence[np.ndarray],
    seed: int = 0,
    *,
    others: Sequence[Sequence[np.ndarray]] = (),
    fresh: bool = True,
    briefly: bool = False,
) -> Truth:
    """The truth about an entry's derivative at one point, at `others`, and, if `fresh`, at drawn ones of its shapes."""
    own = problem(entry, point)
    return establish(
        own.function,
        [own.point(p) for p in (point, *others)],
        argnums=own.wrt[0] if len(own.wrt) == 1 else own.wrt,
        domains=own.domains,
        order=own.order,
        seed=seed,
        names=own.names,
        fresh=fresh,
        evaluation=own.evaluation,
        briefly=briefly,
    )


def claimed_by(entry: Claim, truth: Truth, dtype: Any = np.float64) -> Callable[..., Any]:
    """The entry's derivative as a claim about what `establish_at` established, its arithmetic in `dtype`."""
    return problem(entry, _as_given(entry, truth), dtype).derivative


def _as_given(entry: Claim, truth: Truth) -> tuple[np.ndarray, ...]:
    """The first point of a truth, as arguments of the entry."""
    leaves = truth.points[0].leaves
    return whole_arguments(entry, leaves[1:] if entry.kind == "value" else leaves)


def convention_asked(entry: Claim, truth: Truth) -> str | None:
    """The convention to judge an entry in: its own; "full" where a reduction made symmetric arguments of others."""
    if truth.conventions == (None,):
        return None
    return problem(entry, _as_given(entry, truth)).convention


def judge_at(entry: Claim, truth: Truth, dtype: Any = np.float64) -> Verdict:
    """The entry's own derivative held against a truth about it."""
    return judge(
        truth,
        claimed_by(entry, truth, dtype),
        convention=convention_asked(entry, truth),
        terms=_terms(entry),
        library=entry.expected == "holds",  # of what is known to be wrong, a counter-example is enough
    )


def _terms(entry: Claim) -> list[Term]:
    """The entry's own terms, as functions of the arguments by name."""
    names = [a.name for a in entry.arguments]
    return [(text, lambda by_name, f=f: f(*(by_name[n] for n in names))) for text, f in entry.terms]


def _definite(entry: Claim, point: Sequence[np.ndarray], seed: int) -> Verdict:
    """Are the eigenvalues of the function negative, at the point and at others of its shapes?"""
    rng = np.random.default_rng(seed)
    points = [tuple(point)]
    for number in range(_DEFINITENESS_POINTS):
        points.append(
            tuple(
                a.domain.sample(rng, np.shape(p), condition=10.0 ** (number % 4))
                for a, p in zip(entry.arguments, point, strict=True)
            )
        )
    with judging():
        (matrices,) = Batched(each(entry.function))([np.stack(leaves) for leaves in zip(*points, strict=True)])
    worst, counter = -np.inf, None
    for args, matrix in zip(points, matrices, strict=True):
        root = np.sqrt(np.abs(np.diag(matrix)))
        root = np.where(root > 0, root, 1)
        scaled = matrix / root / root[:, None]
        largest = float(np.max(np.linalg.eigvalsh((scaled + scaled.T) / 2), initial=-np.inf))
        if largest > worst:
            worst, counter = largest, args
    bound = tolerance(np.float64, conditioning=1 / question())  # of eigenvalues of a matrix with unit diagonal
    settled = {
        "max_error": MappingProxyType({"largest eigenvalue": worst}),
        "bound": bound,
        "checks": len(points),
        "points": len(points),
    }
    if worst < -bound:
        return Verdict("holds", explanation="every eigenvalue is negative, at every point.", **settled)
    if worst <= bound:
        return Verdict("inconclusive", explanation="an eigenvalue is zero to rounding.", **settled)
    message = f"an eigenvalue is positive: {worst:.3g}, with the diagonal scaled to one."
    names = [a.name for a in entry.arguments]
    return Verdict(
        "refuted", diagnosis=Diagnosis(Kind.UNKNOWN, message, dict(zip(names, counter or (), strict=False))), **settled
    )


_RANK = ("refuted", "inconclusive", "convention dependent", "holds under hypotheses", "holds")


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict from those of several dimensions: the worst status, the largest errors, all the checks."""
    parts = list(verdicts)
    if not parts:
        raise ValueError("combine: got no verdicts; zero checks are never a pass.")
    # of those refuted, one that has a name for the mistake; and a large one, since at d = 1 many mistakes look alike
    worst = min(parts, key=lambda v: (_RANK.index(v.status), v.kind is Kind.UNKNOWN, -v.checks))
    told = [v.convention for v in parts if v.convention not in (None, "either")]
    errors: dict[str, float] = {}
    for part in parts:
        for oracle, error in part.max_error.items():
            errors[oracle] = max(errors.get(oracle, error), error)
    return replace(
        worst,
        convention=told[0] if told else worst.convention,
        max_error=MappingProxyType(errors),
        bound=max(v.bound for v in parts),
        checks=sum(v.checks for v in parts),
        points=sum(v.points for v in parts),
        notes=tuple(dict.fromkeys(note for v in parts for note in v.notes)),
    )
