"""The evidence that a diagnosis works from: claimed and true arrays at several points, nothing that computes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from gdiff.layouts import Axis
from gdiff.tolerance import question

_SLACK = 4.0  # a corrected claim is judged with this multiple of the claim's bound: it was scaled and summed
_TELLING = 1e-3  # a bound beyond this share of the derivative tells nothing


@dataclass(frozen=True)
class Sample:
    """One point: the claimed tensor as laid out, the true Frobenius one, the frames and bound of their comparison."""

    claimed: np.ndarray  # (first, second), in the convention that the claimant used, whichever it is
    truth: np.ndarray  # (first, second), Frobenius
    rows: np.ndarray  # (r, first)
    columns: np.ndarray  # (c, second)
    bound: np.ndarray  # (r, c)
    arguments: Mapping[str, np.ndarray]
    value: np.ndarray  # f there, flattened
    fresh: bool = True  # False where library terms are fitted, True where they are confirmed
    entry_bound: np.ndarray | None = None  # (first, second): the bound on the entries themselves, where there is one
    by_rows: np.ndarray | None = None  # the claim, its coordinates read row by row
    swapped: Mapping[str, np.ndarray] = field(default_factory=dict)  # the claim with one argument inverted or negated

    @property
    def is_told_by_entries(self) -> bool:
        """Whether the entries are known well enough to judge by."""
        largest = np.max(np.abs(self.truth), initial=0.0)
        return self.entry_bound is not None and bool(np.max(self.entry_bound, initial=0.0) <= question() * largest)

    def by_entries(self) -> "Sample":
        """The point with its entries for components."""
        assert self.entry_bound is not None
        rows, columns = np.eye(self.truth.shape[0]), np.eye(self.truth.shape[1])
        return replace(self, rows=rows, columns=columns, bound=self.entry_bound, entry_bound=None)

    def components(self, tensor: np.ndarray) -> np.ndarray:
        """A Frobenius tensor in the coordinates of the comparison."""
        return self.rows @ tensor @ self.columns.T


@dataclass(frozen=True)
class Case:
    """One block of a refuted claim, at all points."""

    first: Axis
    second: Axis
    samples: Sequence[Sample]
    conventions: tuple[str | None, ...]  # those that the claim was held against; (None,) for general arguments
    name: str = "X"
    order: int = 1
    count: int | None = None  # the number of observations, where an argument has a leading axis of them
    terms: Sequence[tuple[str, Callable[[Mapping[str, np.ndarray]], np.ndarray]]] = ()
    structures: Mapping[str, str] = field(default_factory=dict)  # by argument, as the library of terms knows them
    view: str = "whitened"  # or "entries"
    is_printed: bool = False  # numbers read from text, which have so many digits
    support: Sequence[Sample] = ()  # the truth at points where the claim was not evaluated: `claimed` is NaN there
    memory: dict[Any, Any] = field(default_factory=dict, compare=False)  # what was found about the truth, not the claim

    def frobenius(self, tensor: np.ndarray, convention: str | None) -> np.ndarray:
        """A tensor of that convention, in Frobenius form."""
        if convention != "symmetric":
            return tensor
        first = tensor if self.order == 1 else self.first.halve_off_diagonal(tensor, 0)
        return self.second.halve_off_diagonal(first, 1)

    def target(self, sample: Sample, convention: str | None) -> np.ndarray:
        """What should have been claimed, in that convention."""
        return sample.truth if convention != "symmetric" else self.in_distinct_entries(sample.truth)

    def in_distinct_entries(self, tensor: np.ndarray) -> np.ndarray:
        """A Frobenius tensor as partial derivatives in the distinct entries."""
        first = tensor if self.order == 1 else self.first.scale_off_diagonal(tensor, 0, 2.0)
        return self.second.scale_off_diagonal(first, 1, 2.0)

    def targets(self, convention: str | None) -> list[np.ndarray]:
        """`target` at every point."""
        return [self.target(s, convention) for s in self.samples]

    def holds(
        self, tensors: Sequence[np.ndarray], convention: str | None, *, amplified: Sequence[float] | None = None
    ) -> bool:
        """Whether these would have held in that convention, at every point.

        `amplified` is, by point, how much the correction magnified rounding; where that leaves less than three digits
        the point tells nothing, and at least half of them must tell.
        """
        telling = 0
        for n, (sample, tensor) in enumerate(zip(self.samples, tensors, strict=True)):
            bound = _SLACK * sample.bound
            if amplified is not None:
                bound = bound * amplified[n]
                if not np.max(bound, initial=0.0) <= _TELLING * np.max(np.abs(sample.components(sample.truth))):
                    continue
            difference = self.frobenius(tensor, convention) - sample.truth
            if not np.all(np.abs(sample.components(difference)) <= bound):
                return False
            if sample.entry_bound is not None:
                larger = _SLACK * sample.entry_bound * (1.0 if amplified is None else amplified[n])
                if not np.all(np.abs(difference) <= larger):
                    return False
            telling += 1
        return 2 * telling >= max(len(self.samples), 1)

    def entrywise(self) -> "Case | None":
        """The same case judged by its entries alone, at the points where they tell; None where too few do.

        A correction made of parts has the rounding of each of them; in whitened coordinates, where the parts of a
        badly conditioned derivative cancel, that is more than the bound of a claim that was computed in one piece.
        """
        told = [s for s in self.samples if s.is_told_by_entries]
        if self.view != "whitened" or 2 * len(told) < max(len(self.samples), 1) or not told:
            return None
        support = [s.by_entries() for s in self.support if s.is_told_by_entries]
        return replace(self, samples=[s.by_entries() for s in told], support=support, view="entries")

    @property
    def claimed(self) -> list[np.ndarray]:
        """The claimed tensors."""
        return [s.claimed for s in self.samples]

    @property
    def is_trivial(self) -> bool:
        """No off-diagonal entries, so that neither a transpose nor a convention can show."""
        return not (self.second.off_diagonal().any() or self.first.off_diagonal().any())


def constant_ratio(claimed: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> float | None:
    """c with claimed = c * target in the least-squares sense at most points, None where the target vanishes."""
    sizes = [np.max(np.abs(t), initial=0.0) for t in target]
    scaled = [(c / s, t / s) for c, t, s in zip(claimed, target, sizes, strict=True) if s > 0]
    ratios = [float(np.sum(c * t) / np.sum(t * t)) for c, t in scaled]
    middle = float(np.median(ratios)) if ratios else np.nan  # a few points may be all noise
    return middle if np.isfinite(middle) else None


def fraction(value: float, limit: int = 24) -> str:
    """A number as a simple fraction where it is one, else in seven digits.

    >>> fraction(0.5), fraction(-2.0), fraction(2 / 3), fraction(1.000001)
    ('1/2', '-2', '2/3', '1.000001')
    """
    simple = simple_fraction(value, limit)
    return str(simple) if simple is not None else f"{value:.7g}"


def simple_fraction(value: float, limit: int = 24, tolerance: float = 1e-8) -> Fraction | None:
    """The fraction of a small denominator that the number is, up to rounding; None if it is none."""
    if not np.isfinite(value):
        return None
    near = Fraction(value).limit_denominator(limit)
    return near if abs(float(near) - value) <= tolerance * max(abs(value), 1e-3) else None


def entry_name(axis: Axis, index: int) -> str:
    """The place of an entry as people count: [2,1]; empty for a scalar.

    >>> entry_name(Axis((3, 3)), 3)
    '[2,1]'
    """
    if not axis.shape:
        return ""
    return "[" + ",".join(str(int(i) + 1) for i in np.unravel_index(index, axis.shape)) + "]"


def worst_entry(case: Case, convention: str | None, sample: Sample | None = None) -> dict[str, Any]:
    """Where claimed and true differ most, as a share of the largest entry, at the first point."""
    sample = sample or case.samples[0]
    target = case.target(sample, convention)
    difference = np.abs(sample.claimed - target)
    difference = np.where(np.isfinite(difference), difference, np.inf)
    i, j = (int(k) for k in np.unravel_index(int(np.argmax(difference)), difference.shape))
    name = (entry_name(case.first, i) if case.first.size > 1 else "") + entry_name(case.second, j)
    return {"entry": name, "index": (i, j), "claimed": float(sample.claimed[i, j]), "true": float(target[i, j])}


def evidence(case: Case, convention: str | None, **more: Any) -> dict[str, Any]:
    """The ratio table, the worst entry, the arguments at that point, and what a rule adds."""
    sample = case.samples[0]
    target = case.target(sample, convention)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = sample.claimed / target
    shape = case.second.shape if case.first.size == 1 else ratios.shape
    return {
        "worst": worst_entry(case, convention),
        "claimed": sample.claimed.reshape(shape),
        "true": target.reshape(shape),
        "ratios": ratios.reshape(shape),
        "arguments": dict(sample.arguments),
        **more,
    }
