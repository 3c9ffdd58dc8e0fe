"""How people lay out a derivative: as the argument's array, as vec or vech of it, joint or in blocks.

A claimed array is read into one *tensor*: outputs or rows first, one axis for each argument, entries of an argument in
C order. In the "symmetric" convention the array holds partial derivatives in the distinct entries (B); it is carried
to the Frobenius form (A = (B + B∘I)/2) on every symmetric axis. Host code: NumPy, float64.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gdiff.symmetric.coordinates import lower_indices, vech_size


@dataclass(frozen=True)
class Axis:
    """One side of a derivative: the shape of the argument (or of the output) and whether it is symmetric."""

    shape: tuple[int, ...]
    is_symmetric: bool = False

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def vech_size(self) -> int | None:
        """k = d(d+1)/2 for a symmetric matrix, None for anything else."""
        return vech_size(self.shape[-1]) if self.is_symmetric and len(self.shape) == 2 else None

    def from_vec(self) -> np.ndarray:
        """Where in vec (columns stacked) each entry, in C order, stands."""
        if len(self.shape) != 2:
            return np.arange(self.size)
        m, n = self.shape
        return np.arange(m * n).reshape(n, m).T.reshape(-1)

    def from_vech(self, by_rows: bool = False) -> np.ndarray:
        """Where in vech each entry, in C order, stands; `by_rows` for the row-by-row order of numpy.tril_indices."""
        d = self.shape[-1]
        rows, columns = np.tril_indices(d) if by_rows else lower_indices(d)
        position = np.empty((d, d), dtype=int)
        position[rows, columns] = position[columns, rows] = np.arange(len(rows))
        return position.reshape(-1)

    def halve_off_diagonal(self, tensor: np.ndarray, axis: int) -> np.ndarray:
        """B -> A = (B + B∘I)/2 along one axis, for symmetric arguments; others unchanged."""
        return self.scale_off_diagonal(tensor, axis, 0.5)

    def scale_off_diagonal(self, tensor: np.ndarray, axis: int, factor: float) -> np.ndarray:
        """The entries of a matrix argument that stand off its diagonal, times a factor, along one axis."""
        if not self.is_symmetric:
            return tensor
        shape = [1] * tensor.ndim
        shape[axis] = self.size
        return tensor * np.where(self.off_diagonal(), factor, 1.0).reshape(shape)

    def off_diagonal(self) -> np.ndarray:
        """Which entries, in C order, stand off the diagonal; none for what is not a square matrix."""
        if len(self.shape) < 2 or self.shape[-1] != self.shape[-2]:
            return np.zeros(self.size, dtype=bool)
        return np.broadcast_to(~np.eye(self.shape[-1], dtype=bool), self.shape).reshape(-1)


Reader = Callable[[np.ndarray], np.ndarray]


def _positions(axis: Axis, length: int, by_rows: bool) -> np.ndarray | None:
    """Where the entries of an argument stand along an axis of this length, None if it has no such coordinates."""
    if length == axis.size and not (length == 1 == axis.vech_size):
        return np.arange(axis.size) if by_rows else axis.from_vec()
    return axis.from_vech(by_rows) if length == axis.vech_size else None


def reader(shape: tuple[int, ...], first: Axis, second: Axis, *, by_rows: bool = False) -> Reader | None:
    """A function that reads an array of this shape into the (first.size, second.size) tensor; None if no layout fits.

    Layouts: the two shapes concatenated; a matrix in vec or vech coordinates on either side; a side of size one may
    be left out. `by_rows=True` reads the same coordinates row by row, the common mistake.
    """
    plain = not by_rows
    if plain and shape == first.shape + second.shape:
        return lambda array: array.reshape(first.size, second.size)
    if len(shape) == 2:
        rows, columns = _positions(first, shape[0], by_rows), _positions(second, shape[1], by_rows)
        if rows is not None and columns is not None:
            return lambda array: array[np.ix_(rows, columns)]
    for axis, other, lead in ((first, second, True), (second, first, False)):
        if axis.size != 1:
            continue
        squeezed = tuple(n for n in shape if n != 1) if len(other.shape) < 2 else shape
        length = squeezed[0] if len(squeezed) == 1 else 1 if not squeezed else None
        if plain and (shape == other.shape or (len(other.shape) == 1 and squeezed == tuple(other.shape))):
            positions: np.ndarray | None = np.arange(other.size)
        elif length is not None:
            positions = _positions(other, length, by_rows)
        else:
            positions = None
        if positions is not None:
            index = positions
            return lambda array: (
                array.reshape(-1)[index][None, :] if lead else array.reshape(-1)[index][:, None]  # noqa: B023
            )
    return None


def describe(first: Axis, second: Axis) -> str:
    """The layouts that `reader` knows, for a message."""
    options = [f"{first.shape + second.shape}"]
    rows = [first.size] + ([first.vech_size] if first.vech_size else [])
    columns = [second.size] + ([second.vech_size] if second.vech_size else [])
    if first.size == 1:
        options += [f"({c},)" for c in columns]
    else:
        options += [f"({r}, {c})" for r in rows for c in columns]
    return " or ".join(dict.fromkeys(options))
