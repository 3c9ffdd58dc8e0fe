"""Square matrices whose entries are equal along a pattern of places: Toeplitz, symmetric Toeplitz, circulant."""

from dataclasses import dataclass

import numpy as np

from gdiff.domains.base import Domain, entry_scales, square, typical_entry


@dataclass(frozen=True)
class Toeplitz(Domain):
    """Toeplitz matrices (d, d): one number a diagonal. Entries that are equal move together."""

    def places(self, d: int) -> np.ndarray:
        """By entry, which of the numbers stands there: (d, d) of integers from 0."""
        rows, columns = np.indices((d, d))
        return rows - columns + d - 1

    def _groups(self, shape: tuple[int, ...]) -> np.ndarray:
        """The patterns, one matrix of zeros and ones a number."""
        places = self.places(square(shape, type(self).__name__))
        return (places == np.arange(np.max(places, initial=-1) + 1)[:, None, None]).astype(float)

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002
        """Standard normal numbers times scale."""
        groups = self._groups(shape)
        return np.asarray(scale * np.tensordot(rng.normal(size=len(groups)), groups, axes=1))

    def tangent_basis(self, point):
        """One direction a number, as long as the number (no less than a tenth of a typical one)."""
        point = np.asarray(point, dtype=float)
        return entry_scales(point) * self._groups(point.shape)

    def normal_basis(self, point):
        """Differences within each group of entries that are equal."""
        point = np.asarray(point, dtype=float)
        typical, out = typical_entry(point), []
        for group in self._groups(point.shape):
            first, *others = np.flatnonzero(group)
            for other in others:
                direction = np.zeros(point.size)
                direction[first], direction[other] = typical, -typical
                out.append(direction.reshape(point.shape))
        return np.stack(out) if out else np.zeros((0, *point.shape))

    def project(self, array):
        """The mean along each pattern."""
        array = np.asarray(array, dtype=float)
        groups = self._groups(array.shape[-2:])
        means = np.einsum("...ij,gij->...g", array, groups) / groups.sum(axis=(1, 2))
        return np.einsum("...g,gij->...ij", means, groups)

    def contains(self, array):
        """Finite, and equal along the patterns up to rounding."""
        array = np.asarray(array, dtype=float)
        size = np.sqrt(np.finfo(float).eps) * np.max(np.abs(array), initial=0.0)
        return super().contains(array) and bool(np.all(np.abs(array - self.project(array)) <= size))

    def perturb(self, rng, point, size, draws=()):
        """Every number moved by at most `size`, relative to itself; zeros move too."""
        point = np.asarray(point, dtype=float)
        basis = self.tangent_basis(point)
        return point + np.tensordot(rng.uniform(-1.0, 1.0, size=(*draws, len(basis))) * size, basis, axes=1)


@dataclass(frozen=True)
class SymmetricToeplitz(Toeplitz):
    """Symmetric Toeplitz matrices: one number a pair of diagonals."""

    def places(self, d):
        """|i - j|."""
        rows, columns = np.indices((d, d))
        return np.abs(rows - columns)


@dataclass(frozen=True)
class Circulant(Toeplitz):
    """Circulant matrices: each row the one above, shifted by one place and wrapped."""

    def places(self, d):
        """(i - j) mod d."""
        rows, columns = np.indices((d, d))
        return (rows - columns) % max(d, 1)
