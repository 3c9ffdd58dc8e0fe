"""An identity x dimensions x real data -> one verdict."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gdiff.claim import Argument, Claim
from gdiff.dataset import Dataset
from gdiff.diagnosis import Diagnosis, Kind
from gdiff.domains import General, Vector
from gdiff.oracles import Batched, judging
from gdiff.tolerance import question, tolerance
from gdiff.truth import Truth, establish
from gdiff.verdict import Verdict
from gdiff.verify import Term, judge

DIMENSIONS = (1, 2, 3, 5)
_DEFINITENESS_POINTS = 6


def draw(claim: Claim, d: int, rng: np.random.Generator, condition: float = 10.0) -> tuple[np.ndarray, ...]:
    """A point in the claim's domains, `n` a little above d."""
    sizes = {"d": d, "n": d + 2}
    return tuple(a.domain.sample(rng, _shape(a, sizes), condition=condition) for a in claim.arguments)


def _shape(argument: Argument, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(sizes[s] if isinstance(s, str) else s for s in argument.shape)


def verify_identity(
    entry: Claim,
    seed: int = 0,
    *,
    data: Dataset | None = None,
    dtype: Any = np.float64,
    dimensions: Sequence[int] = DIMENSIONS,
) -> Verdict:
    """Judge one entry of the catalogue: at random points of each dimension d, and on data where one is given.

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
        """Whether it holds, or is refuted where it is kept for being false."""
        return self.verdict.refuted if self.entry.expected == "refuted" else self.verdict.holds


def assess(
    entries: Sequence[Claim],
    seed: int = 0,
    *,
    data: Dataset | None = None,
    dtype: Any = np.float64,
    dimensions: Sequence[int] = DIMENSIONS,
) -> Iterator[Assessment]:
    """Judge many entries, in order, as each is done. Entries about one derivative of one function share its truth."""
    groups: dict[Any, list[Claim]] = {}
    for entry in entries:
        groups.setdefault(_subject(entry), []).append(entry)
    done: dict[str, Assessment] = {}
    for entry in entries:
        if entry.name not in done:
            group = groups[_subject(entry)]
            done |= {a.entry.name: a for a in _assess_group(group, seed, data, dtype, dimensions)}
        yield done[entry.name]


def _subject(entry: Claim) -> Any:
    """What entries must share to share a truth."""
    return entry.function, entry.wrt, entry.kind, entry.arguments


def _assess_group(
    group: Sequence[Claim], seed: int, data: Dataset | None, dtype: Any, dimensions: Sequence[int]
) -> list[Assessment]:
    """Entries that share function, arguments and order: each point's truth is established once."""
    start = perf_counter()
    first = group[0]
    points = [(draw(first, d, np.random.default_rng([seed, d])), True) for d in dimensions]
    if data is not None and (given := data.arguments(first.arguments)) is not None:
        points.append((given, False))  # real data is one point
    parts: list[list[Verdict]] = [[] for _ in group]
    for point, fresh in points:
        if first.kind == "negative definite":
            verdicts = [_definite(first, point, seed)] * len(group)
        else:
            truth = establish_at(first, point, seed, fresh=fresh)
            verdicts = [judge_at(entry, truth, dtype) for entry in group]
        for part, verdict in zip(parts, verdicts, strict=True):
            part.append(verdict)
    seconds = (perf_counter() - start) / len(group)
    return [Assessment(entry, combine(part), seconds) for entry, part in zip(group, parts, strict=True)]


def establish_at(
    entry: Claim,
    point: Sequence[np.ndarray],
    seed: int = 0,
    *,
    others: Sequence[Sequence[np.ndarray]] = (),
    fresh: bool = True,
) -> Truth:
    """The truth about an entry's derivative at one point, at `others`, and, if `fresh`, at drawn ones of its shapes."""
    domains = tuple(a.domain for a in entry.arguments)
    names = [a.name for a in entry.arguments]
    if entry.kind != "value":
        wrt = entry.wrt[0] if len(entry.wrt) == 1 else entry.wrt
        return establish(
            entry.function,
            [point, *others],
            argnums=wrt,
            domains=domains,
            order=entry.order,
            seed=seed,
            names=names,
            fresh=fresh,
        )
    # A value F is the gradient of <w, F> in w.
    with judging():
        shape = jax.eval_shape(entry.function, *point).shape
    weight = np.ones(shape)
    return establish(
        lambda w, *args: jnp.sum(w * entry.function(*args)),
        [(weight, *p) for p in (point, *others)],
        domains=(General() if len(shape) > 1 else Vector(), *domains),
        seed=seed,
        names=["w", *names],
        fresh=fresh,
    )


def claimed_by(entry: Claim, dtype: Any = np.float64) -> Callable[..., Any]:
    """The entry's derivative as a claim about what `establish_at` established, its arithmetic in `dtype`."""
    assert entry.derivative is not None
    derivative = entry.derivative

    def claimed(*args: Any) -> Any:
        return derivative(*(jnp.asarray(a).astype(dtype) for a in args))

    return (lambda _, *args: claimed(*args)) if entry.kind == "value" else claimed


def judge_at(entry: Claim, truth: Truth, dtype: Any = np.float64) -> Verdict:
    """The entry's own derivative held against a truth about it."""
    asked = entry.convention if truth.conventions != (None,) else None
    return judge(truth, claimed_by(entry, dtype), convention=asked, terms=_terms(entry))


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
        (matrices,) = Batched(entry.function)([np.stack(leaves) for leaves in zip(*points, strict=True)])
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


_RANK = ("refuted", "inconclusive", "holds under hypotheses", "holds")


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
