"""Claim and truth side by side: in whitened coordinates, entry by entry, each comparison with its bound.

In whitened coordinates (L'(C - T)L for a positive definite argument) everything is commensurate; a comparison carries
the bound of the oracle and that of the claim's own rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from gdiff.claimed import ClaimValues
from gdiff.layouts import Axis, describe, reader
from gdiff.oracles import DIFFERENCES
from gdiff.tolerance import question, tolerance, unit_roundoff
from gdiff.truth import Truth, pooled

_HAIR = 1e-2  # of the question: a function that is off by less than this is no other formula, but badly rounded
_SLACK = 8.0  # bounds are measured, and may be this much too small where a difference is less than a hair

_JUMP = 1e-3  # of the derivative: answering so much to a rounding of the arguments, it is no smooth function's


class Reading:
    """How the arrays of one block of a claim are read into tensors: which entry goes where."""

    def __init__(self, shape: tuple[int, ...], first: Axis, second: Axis, label: str) -> None:
        self.first, self.second, self.transposed = first, second, False
        self.ndim, places = len(shape), np.arange(math.prod(shape)).reshape(shape)
        read = reader(shape, first, second)
        if read is None and shape:
            flipped = reader(shape[::-1], first, second)
            if flipped is not None and len(shape) == 2:
                self.transposed, read, places = True, flipped, places.T
            elif shape == second.shape + first.shape:
                self.transposed = True
                read = lambda array: array.reshape(second.size, first.size).T  # noqa: E731
        if read is None:
            raise ValueError(
                f"the claim with respect to {label}: got the shape {shape}, wanted {describe(first, second)}."
            )
        self._places = read(places)
        self.by_rows = reader(shape, first, second, by_rows=True) if not self.transposed else None

    def read(self, arrays: Any) -> np.ndarray:
        """An array, or a sequence of them along leading axes, as tensors (..., first, second)."""
        arrays = np.asarray(arrays, dtype=float)
        return arrays.reshape(*arrays.shape[: arrays.ndim - self.ndim], -1)[..., self._places]


def exceeds(error: np.ndarray, bound: np.ndarray, hair: np.ndarray | float) -> np.ndarray:
    """Where an error is over its bound: by more than the bound may be mistaken, or by more than a hair."""
    return (error > bound) & ((error > _SLACK * bound) | (error > hair))


def _largest(array: np.ndarray) -> np.ndarray:
    """The largest entry in size of each tensor (..., r, c), NaN where there is one."""
    return np.max(np.abs(array), axis=(-2, -1), initial=0.0)


@dataclass(frozen=True)
class Comparison:
    """One convention's outcome."""

    convention: str | None
    refuted: bool
    disagreement: bool
    conclusive: int
    max_error: dict[str, float]
    bound: float
    checks: int
    failing: tuple[int, ...]
    bounds: tuple[np.ndarray, ...]  # by block (n, r, c), in the coordinates of `frames`
    frames: tuple[tuple[np.ndarray, np.ndarray], ...]  # by block (n, r, first) and (n, c, second)
    entry_bounds: tuple[np.ndarray | None, ...]  # by block (n, first, second)
    by_a_hair: bool  # no error anywhere comes near the question


class Entries(NamedTuple):
    """A comparison entry by entry, at n points.

    The whitened coordinates see mistakes in small eigenvalues' directions, and lose the square of the condition number
    in storing a Hessian's entries; the entries themselves do not.
    """

    over: np.ndarray  # (n,): is some entry over its bound
    error: np.ndarray  # (n,), the largest, relative
    largest: np.ndarray  # (n,), the largest bound, relative
    bound: np.ndarray  # (n, first, second)


class Held:
    """One claim against one truth, at the n points where it was evaluated."""

    def __init__(self, truth: Truth, values: ClaimValues) -> None:
        self.truth, self.values = truth, values
        self.count = len(values.arrays)
        shapes = [a.shape for a in values.arrays[0]] if values.arrays else []
        self.readings = [
            Reading(shape, first, second, label)
            for shape, (first, second), label in zip(shapes, truth.axes, truth.labels, strict=True)
        ]
        self.stacks = [s.first(self.count) for s in truth.stacks] if self.count else []
        self.raw = [r.read([a[b] for a in values.arrays]) for b, r in enumerate(self.readings)]
        self.moved: list[np.ndarray] | None = None  # (n, DRAWS, first, second)
        if values.moved is not None:
            self.moved = [
                r.read([[w[b] for w in group] for group in values.moved]) for b, r in enumerate(self.readings)
            ]
        self.half = values.half_units and [r.read(h) for r, h in zip(self.readings, values.half_units, strict=True)]
        self.question: float = max(question(truth.dtype), question(values.dtype))

    def frobenius(self, tensor: np.ndarray, block: int, convention: str | None) -> np.ndarray:
        """Claimed tensors of that convention, in Frobenius form."""
        if convention != "symmetric":
            return tensor
        first, second = self.truth.axes[block]
        tensor = first.halve_off_diagonal(tensor, -2) if self.truth.order == 2 else tensor
        return second.halve_off_diagonal(tensor, -1)

    def claim_bound(
        self, b: int, convention: str | None, tensor: np.ndarray, frames: tuple[np.ndarray, np.ndarray] | None
    ) -> np.ndarray:
        """The bound on the claim's own rounding, in the coordinates of the frames, or entry by entry."""
        u = unit_roundoff(self.values.dtype)
        truth_noise = self.stacks[b].noise if frames is not None else self.stacks[b].entry_noise
        stored = u * np.abs(tensor)
        if frames is not None:
            stored = np.abs(frames[0]) @ stored @ np.abs(frames[1]).mT
        if self.moved is None:
            assert truth_noise is not None
            noise = stored + truth_noise * (u / unit_roundoff(self.truth.dtype))
        else:
            changes = self.frobenius(self.moved[b], b, convention) - tensor[:, None]
            if frames is not None:
                changes = frames[0][:, None] @ changes @ frames[1][:, None].mT
            noise = stored + pooled(np.max(np.abs(changes), axis=1))
        return np.asarray(tolerance(self.values.dtype, conditioning=noise / u))

    def truth_bound(self, noise: np.ndarray) -> np.ndarray:
        """The bound on the truth's own rounding, entry by entry."""
        return np.asarray(tolerance(self.truth.dtype, conditioning=noise / unit_roundoff(self.truth.dtype)))

    def _entries(self, b: int, convention: str | None, tensor: np.ndarray) -> Entries | None:
        stack = self.stacks[b]
        if stack.entry_noise is None or self.half is not None:
            return None
        bound = self.truth_bound(stack.entry_noise) + self.claim_bound(b, convention, tensor, None)
        error = np.abs(tensor - stack.tensor)
        size = _largest(stack.tensor)
        size = np.where(size == 0, 1.0, size)
        hair = (_HAIR * self.question * size)[:, None, None]
        over = np.any(~np.isfinite(error) | exceeds(error, bound, hair), axis=(1, 2))
        return Entries(over, _largest(error) / size, _largest(bound) / size, bound)

    def is_flat(self) -> bool:
        """Whether oracles and claim see no derivative: next to the function's values it is rounding, at every point."""
        small = unit_roundoff(self.truth.dtype) ** 0.5
        most = np.array([small * np.max(np.abs(p.value), initial=0.0) for p in self.truth.points[: self.count]])
        for stack, tensor in zip(self.stacks, self.raw, strict=True):
            claimed = _largest(stack.rows @ tensor @ stack.columns.mT) <= most
            if not (np.all(claimed) and np.all((_largest(stack.values) <= most) | ~stack.present)):
                return False
        return True

    def is_kinked(self) -> bool:
        """Whether somewhere the derivative answers to rounding as it should to a step, and differences are clean."""
        for stack in self.stacks:
            if DIFFERENCES in stack.names:
                k = stack.names.index(DIFFERENCES)
                size = np.max(_largest(stack.values), axis=0, initial=0.0, where=stack.present)
                jumps = (_largest(stack.noise) > _JUMP * size) & (_JUMP * size >= _largest(stack.bounds[k]))
                if np.any(stack.present[k] & jumps & (size > 0)):
                    return True
        return False

    def compare(self, convention: str | None) -> Comparison:
        """The claim against every oracle at every point, taken as one of that convention."""
        disagreement = False
        checks, largest, most = 0, 0.0, 0.0
        worst: list[dict[str, float]] = [{} for _ in range(self.count)]
        failing: list[int] = []
        failing_by_all: list[int] = []
        bounds, frames, entry_bounds = [], [], []
        scale = np.max([_largest(s.values[0]) for s in self.stacks], axis=0, initial=0.0)  # (n,), over all blocks
        conclusive = np.ones(self.count, dtype=bool)
        for b, stack in enumerate(self.stacks):
            tensor = self.frobenius(self.raw[b], b, convention)
            rows, columns, values, oracle = stack.rows, stack.columns, stack.values, stack.bounds
            claim = self.claim_bound(b, convention, tensor, (rows, columns))
            given = np.zeros_like(claim)
            if self.half is not None:  # printed digits are a matter of entries, not of whitened coordinates
                left, right = np.abs(np.linalg.pinv(rows)), np.abs(np.linalg.pinv(columns)).mT
                rows, columns = (
                    np.broadcast_to(np.eye(m.shape[2]), (self.count, *[m.shape[2]] * 2)) for m in (rows, columns)
                )
                values = np.broadcast_to(stack.tensor, (len(stack.names), *stack.tensor.shape))
                oracle, claim = left @ oracle @ right, left @ claim @ right
                given = np.abs(self.frobenius(self.half[b], b, convention)) * (1 + 1e-9) + np.zeros_like(claim)
                scale = np.maximum(scale, _largest(stack.tensor))
            unit = np.where(scale == 0, 1.0, scale)
            hair = (_HAIR * self.question * scale if self.half is None else np.zeros_like(scale))[:, None, None]
            tightest = np.min(oracle, axis=0) + claim
            clear = _largest(tightest) <= self.question * scale
            entries = self._entries(b, convention, tensor)
            by_entry = np.zeros_like(clear) if entries is None else (entries.largest <= self.question) & ~clear
            error = np.abs(rows @ tensor @ columns.mT - values)
            finite = np.all(np.isfinite(error), axis=(2, 3))
            over = ~finite | np.any(exceeds(error, oracle + claim + given, hair), axis=(2, 3))
            relative = np.where(finite, _largest(error) / unit, np.inf)
            if entries is not None:
                relative = np.where(by_entry & finite, entries.error, relative)
            informative = _largest(oracle + claim) <= self.question**0.5 * scale
            told = stack.present & (over | informative)  # an error says nothing where the oracle's noise is as large
            for k, n in np.argwhere(told):
                name = stack.names[k]
                worst[n][name] = max(worst[n].get(name, 0.0), float(relative[k, n]))
            for k, j in combinations(range(len(stack.names)), 2):
                apart = exceeds(np.abs(values[k] - values[j]), oracle[k] + oracle[j], hair)
                disagreement |= bool(np.any(apart & (stack.present[k] & stack.present[j])[:, None, None]))
            if np.any(over & stack.present) or (entries is not None and np.any(entries.over)):
                failing.append(b)
            if DIFFERENCES in stack.names:
                differenced = stack.present[stack.names.index(DIFFERENCES)]
                if np.any(np.all(over | ~stack.present, axis=0) & differenced):
                    failing_by_all.append(b)
            shown = _largest(tightest + given) / unit
            if entries is not None:
                shown = np.where(by_entry, entries.largest, shown)
                most = max(most, float(np.fmax.reduce(entries.error, initial=0.0)))
            largest = max(largest, float(np.fmax.reduce(shown, initial=0.0)))
            most = max(most, float(np.max(relative, initial=0.0, where=stack.present)))
            checks += int(np.sum(stack.present)) * math.prod(claim.shape[1:])
            conclusive &= clear | by_entry
            bounds.append(tightest + given)
            frames.append((rows, columns))
            entry_bounds.append(None if entries is None else entries.bound)
        if disagreement:  # then only what every oracle denies is wrong for sure
            failing = failing_by_all
        return Comparison(
            convention,
            bool(failing),
            disagreement,
            int(np.sum(conclusive)),
            _largest_errors(worst, bool(failing)),
            largest,
            checks,
            tuple(failing),
            tuple(bounds),
            tuple(frames),
            tuple(entry_bounds),
            most <= self.question * _HAIR,
        )


def _largest_errors(by_point: Sequence[dict[str, float]], refuted: bool) -> dict[str, float]:
    """By oracle, over all points; of a refuted claim over those that all judged, so that the figures compare."""
    names = dict.fromkeys(name for errors in by_point for name in errors)
    common = [errors for errors in by_point if len(errors) == len(names)] if refuted else []
    shown = common or by_point
    return {name: max(errors[name] for errors in shown if name in errors) for name in names}
