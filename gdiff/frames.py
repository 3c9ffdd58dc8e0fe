"""What is known of a derivative at one point, and the directions that it is known along."""

from collections.abc import Mapping
from dataclasses import dataclass

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
