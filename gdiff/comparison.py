"""Claim and truth side by side: in whitened coordinates, entry by entry, each comparison with its bound.

In whitened coordinates (L'(C - T)L for a positive definite argument) everything is commensurate; a comparison carries
the bound of the oracle and that of the claim's own rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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


def exceeds(error: np.ndarray, bound: np.ndarray, hair: float) -> np.ndarray:
    """Where an error is over its bound: by more than the bound may be mistaken, or by more than a hair."""
    return (error > bound) & ((error > _SLACK * bound) | (error > hair))


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
    bounds: tuple[tuple[np.ndarray, ...], ...]  # by point and block, in the coordinates of `frames`
    frames: tuple[tuple[tuple[np.ndarray, np.ndarray], ...], ...]
    entry_bounds: tuple[tuple[np.ndarray | None, ...], ...]
    by_a_hair: bool  # no error anywhere comes near the question


class Held:
    """One claim against one truth."""

    def __init__(self, truth: Truth, values: ClaimValues) -> None:
        self.truth, self.values = truth, values
        self.points = truth.points[: len(values.arrays)]
        shapes = [a.shape for a in values.arrays[0]] if values.arrays else []
        self.readings = [
            Reading(shape, first, second, label)
            for shape, (first, second), label in zip(shapes, truth.axes, truth.labels, strict=True)
        ]
        self.raw = [self._read(arrays) for arrays in values.arrays]
        self.moved = None if values.moved is None else [[self._read(w) for w in g] for g in values.moved]
        self.half = None if values.half_units is None else self._read(values.half_units)
        self.question: float = max(question(truth.dtype), question(values.dtype))

    def _read(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [r.read(np.asarray(a, dtype=float)) for r, a in zip(self.readings, arrays, strict=True)]

    def frobenius(self, tensor: np.ndarray, block: int, convention: str | None) -> np.ndarray:
        """A claimed tensor of that convention, in Frobenius form."""
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
            changes = np.stack([self.frobenius(w[b], b, convention) for w in self.moved[n]]) - tensor
            if frames is not None:
                changes = frames[0] @ changes @ frames[1].T
            noise = stored + pooled(np.max(np.abs(changes), axis=0))
        return np.asarray(tolerance(self.values.dtype, conditioning=noise / u))

    def truth_bound(self, noise: np.ndarray) -> np.ndarray:
        """The bound on the truth's own rounding, entry by entry."""
        return np.asarray(tolerance(self.truth.dtype, conditioning=noise / unit_roundoff(self.truth.dtype)))

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
        bound = self.truth_bound(block.entry_noise) + self.claim_bound(n, b, convention, tensor, None)
        error = np.abs(tensor - block.tensor)
        size = float(np.max(np.abs(block.tensor), initial=0.0)) or 1.0
        largest = float(np.max(bound, initial=0.0)) / size
        hair = _HAIR * self.question * size
        over = not np.all(np.isfinite(error)) or bool(np.any(exceeds(error, bound, hair)))
        return over, float(np.max(error, initial=0.0)) / size, largest, bound

    def is_flat(self) -> bool:
        """Whether oracles and claim see no derivative: next to the function's values it is rounding, at every point."""
        small = unit_roundoff(self.truth.dtype) ** 0.5
        for point, tensors in zip(self.points, self.raw, strict=True):
            most = small * np.max(np.abs(point.value), initial=0.0)
            for block, tensor in zip(point.blocks, tensors, strict=True):
                claimed = block.rows.matrix @ tensor @ block.columns.matrix.T
                seen = [claimed, *(value for value, _ in block.estimates.values())]
                if not all(np.max(np.abs(s), initial=0.0) <= most for s in seen):
                    return False
        return True

    def is_kinked(self) -> bool:
        """Whether somewhere the derivative answers to rounding as it should to a step, and differences are clean."""
        for point in self.points:
            for block in point.blocks:
                if DIFFERENCES not in block.estimates:
                    continue
                _, bound = block.estimates[DIFFERENCES]
                size = max(float(np.max(np.abs(v), initial=0.0)) for v, _ in block.estimates.values())
                if np.max(block.noise, initial=0.0) > _JUMP * size >= np.max(bound, initial=0.0) and size > 0:
                    return True
        return False

    def compare(self, convention: str | None) -> Comparison:
        """The claim against every oracle at every point, taken as one of that convention."""
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
                hair = 0.0 if self.half is not None else _HAIR * self.question * scale
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
                    over.append(not finite or bool(np.any(exceeds(error, bound + claim + given, hair))))
                    informative = float(np.max(bound + claim, initial=0.0)) <= self.question**0.5 * scale
                    if over[-1] or informative:  # an oracle's error says nothing where its own noise is as large
                        errors[name] = max(errors.get(name, 0.0), by_entry[1] if by_entry and finite else relative)
                    most = max(most, relative if not by_entry or not finite else by_entry[1])
                pairs = list(estimates.values())
                agree = not any(
                    np.any(exceeds(np.abs(v - w), e + g, hair))
                    for i, (v, e) in enumerate(pairs)
                    for w, g in pairs[i + 1 :]
                )
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
        return Comparison(
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


def _largest_errors(by_point: Sequence[dict[str, float]], refuted: bool) -> dict[str, float]:
    """By oracle, over all points; of a refuted claim over those that all judged, so that the figures compare."""
    names = dict.fromkeys(name for errors in by_point for name in errors)
    common = [errors for errors in by_point if len(errors) == len(names)] if refuted else []
    shown = common or by_point
    return {name: max(errors[name] for errors in shown if name in errors) for name in names}
