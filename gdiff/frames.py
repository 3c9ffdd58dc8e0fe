"""What is known of a derivative at one point, and the directions that it is known along."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gdiff.oracles import Leaves


@dataclass(frozen=True)
class Frame:
    """Directions of one side of a derivative at a point: the tangent ones first, then the normal ones."""

    matrix: np.ndarray  # (tangent + normal, size)
    tangent: int

    def reach(self) -> np.ndarray:
        """How far an error of one in every direction can reach in each entry."""
        if np.count_nonzero(self.matrix) == len(self.matrix):  # a direction an entry
            return 1 / np.abs(self.matrix).max(axis=0)
        return np.abs(np.linalg.pinv(self.matrix)).sum(axis=1)

    def pad(self, array: np.ndarray, axis: int, value: float = 0.0) -> np.ndarray:
        """Extend an array over the tangent directions to all of them."""
        if len(self.matrix) == self.tangent:
            return array
        widths = [(0, 0)] * array.ndim
        widths[axis] = (0, len(self.matrix) - self.tangent)
        return np.pad(array, widths, constant_values=value)


@dataclass(frozen=True)
class BlockTruth:
    """One block of the derivative at one point."""

    rows: Frame
    columns: Frame
    tensor: np.ndarray  # (first, second), Frobenius: projected on the tangent space
    estimates: Mapping[str, tuple[np.ndarray, np.ndarray]]  # by oracle, value and bound, each (rows, columns)
    noise: np.ndarray  # how the truth answers to a few units of rounding in the inputs, in absolute units
    entry_noise: np.ndarray | None = None  # the same for the entries of `tensor`; None for differences alone


@dataclass(frozen=True)
class PointTruth:
    """One point, with every block of the derivative there."""

    leaves: Leaves
    value: np.ndarray
    blocks: tuple[BlockTruth, ...]
    role: str  # "given", "fit" or "fresh"


@dataclass(frozen=True)
class Stack:
    """One block at n points, along a first axis; of K oracles along one before it."""

    names: tuple[str, ...]  # of the oracles
    present: np.ndarray  # (K, n), whether an oracle judged at a point
    values: np.ndarray  # (K, n, r, c), NaN where it did not
    bounds: np.ndarray  # (K, n, r, c), infinite where it did not
    rows: np.ndarray  # (n, r, first)
    columns: np.ndarray  # (n, c, second)
    tensor: np.ndarray  # (n, first, second)
    noise: np.ndarray  # (n, r, c)
    entry_noise: np.ndarray | None  # (n, first, second)

    @classmethod
    def of(cls, blocks: Sequence[BlockTruth]) -> "Stack":
        """The block as it is at each point."""
        names = tuple(dict.fromkeys(name for block in blocks for name in block.estimates))
        shape = blocks[0].noise.shape
        nothing = np.full(shape, np.nan), np.full(shape, np.inf)
        estimates = [[block.estimates.get(name, nothing) for block in blocks] for name in names]
        values, bounds = (np.array([[e[i] for e in row] for row in estimates], dtype=float) for i in (0, 1))
        noises = [block.entry_noise for block in blocks if block.entry_noise is not None]
        return cls(
            names,
            np.array([[name in block.estimates for block in blocks] for name in names]),
            values,
            bounds,
            np.stack([block.rows.matrix for block in blocks]),
            np.stack([block.columns.matrix for block in blocks]),
            np.stack([block.tensor for block in blocks]),
            np.stack([block.noise for block in blocks]),
            np.stack(noises) if noises else None,
        )

    def first(self, count: int) -> "Stack":
        """At the first points only."""
        if count == len(self.tensor):
            return self
        return replace(
            self,
            present=self.present[:, :count],
            values=self.values[:, :count],
            bounds=self.bounds[:, :count],
            rows=self.rows[:count],
            columns=self.columns[:count],
            tensor=self.tensor[:count],
            noise=self.noise[:count],
            entry_noise=None if self.entry_noise is None else self.entry_noise[:count],
        )
