"""Symmetric matrices: any, positive definite, correlations; and skew ones."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gdiff.domains.base import (
    Domain,
    floored,
    orthogonal,
    spectrum,
    spread,
    square,
    square_points,
    stack,
    typical_entry,
    unit,
)


@dataclass(frozen=True)
class Symmetric(Domain):
    """Symmetric matrices (..., d, d), definite or not."""

    is_symmetric: ClassVar[bool] = True

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """Q diag(s) Q', Q random orthogonal, s log-spaced with random signs."""
        return self._sample(rng, shape, condition, scale, signs=True)

    def _sample(self, rng, shape, condition, scale, signs):
        d = square(shape, type(self).__name__)
        out = np.empty(shape)
        for index in np.ndindex(*shape[:-2]):
            q = orthogonal(rng, d) if d else np.zeros((0, 0))
            s = self._spectrum(rng, d, condition) if d else np.zeros(0)
            if signs:
                s = s * rng.choice([-1.0, 1.0], size=d)
            m = scale * (q * s) @ q.T
            out[index] = m / 2 + m.T / 2
        return out

    def _spectrum(self, rng, d, condition):
        return spectrum(rng, d, condition)

    def _factor(self, m: np.ndarray) -> np.ndarray:
        """F with F F' = |M|: the Cholesky factor of a positive definite matrix, Q sqrt|s| otherwise."""
        try:
            return np.linalg.cholesky(m)
        except np.linalg.LinAlgError:
            s, q = np.linalg.eigh(m / 2 + m.T / 2)
            return q * np.sqrt(floored(np.abs(s)))

    def tangent_basis(self, point):
        """F E F', E the orthonormal basis of the symmetric matrices and F F' = |S|: dS = L E L' where definite."""
        return self._basis(point, 1.0)

    def normal_basis(self, point):
        """F E F', E the orthonormal basis of the skew-symmetric matrices."""
        return self._basis(point, -1.0)

    def _basis(self, point, sign):
        point = np.asarray(point, dtype=float)
        d = square(point.shape, type(self).__name__)
        flat = point.reshape(-1, d, d)
        directions = []
        for m in flat:
            f = self._factor(m)
            units = []
            for j in range(d):
                for i in range(j, d):
                    if i == j:
                        if sign > 0:
                            units.append(unit((d, d), (i, i)))
                    else:
                        units.append((unit((d, d), (i, j)) + sign * unit((d, d), (j, i))) / np.sqrt(2))
            basis = f @ stack(units, (d, d)) @ f.T
            directions.append((basis + sign * np.swapaxes(basis, -1, -2)) / 2)
        return spread(directions, point.shape)

    def degenerate(self, shape):
        """Zero, rank one, and those of the positive definite matrices."""
        if len(shape) != 2:
            return {}
        d = square(shape, type(self).__name__)
        ramp = 1.0 + np.arange(d)
        return {"0": np.zeros(shape), "of rank 1": np.outer(ramp, ramp)} | square_points(d)

    def project(self, array):
        """sym(G) = (G + G')/2."""
        array = np.asarray(array, dtype=float)
        return array / 2 + np.swapaxes(array, -1, -2) / 2

    def contains(self, array):
        """Finite, and symmetric up to rounding."""
        array = np.asarray(array, dtype=float)
        if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not np.all(np.isfinite(array)):
            return False
        scale = np.sqrt(np.abs(np.diagonal(array, axis1=-2, axis2=-1)))
        size = np.maximum(scale[..., :, None] * scale[..., None, :], np.abs(array))
        return bool(np.all(np.abs(array - np.swapaxes(array, -1, -2)) <= np.sqrt(np.finfo(float).eps) * size))


@dataclass(frozen=True)
class PositiveDefinite(Symmetric):
    """Symmetric positive definite matrices (..., d, d)."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """Q diag(s) Q', Q random orthogonal, s log-spaced: exactly symmetric, of this condition number."""
        return self._sample(rng, shape, condition, scale, signs=False)

    def degenerate(self, shape):
        """Equal eigenvalues, no off-diagonals."""
        return square_points(square(shape, type(self).__name__)) if len(shape) == 2 else {}

    def perturb(self, rng, point, size, draws=()):
        """S_ij moved by at most about size * sqrt(S_ii S_jj), as the rounding of a Cholesky factorisation does."""
        point = np.asarray(point, dtype=float)
        scale = np.sqrt(np.abs(np.diagonal(point, axis1=-2, axis2=-1)))
        noise = rng.uniform(-1.0, 1.0, size=(*draws, *point.shape)) * size
        return point + self.project(noise * scale[..., :, None] * scale[..., None, :])

    def contains(self, array):
        """Finite, symmetric up to rounding, and the Cholesky factorisation succeeds."""
        if not super().contains(array):
            return False
        try:
            np.linalg.cholesky(Symmetric.project(self, array))
        except np.linalg.LinAlgError:
            return False
        return True


@dataclass(frozen=True)
class Correlation(PositiveDefinite):
    """Correlation matrices: positive definite, the diagonal fixed at 1."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002 - the diagonal sets the scale
        """A positive definite draw, scaled to a unit diagonal."""
        m = super().sample(rng, shape, condition=condition)
        root = np.sqrt(np.diagonal(m, axis1=-2, axis2=-1))
        out = m / (root[..., :, None] * root[..., None, :])
        index = np.arange(shape[-1])
        out[..., index, index] = 1.0
        return out

    def tangent_basis(self, point):
        """One direction a pair i > j, scaled to whitened length 1."""
        point = np.asarray(point, dtype=float)
        d = square(point.shape, type(self).__name__)
        directions = []
        for m in point.reshape(-1, d, d):
            inverse = np.linalg.inv(self._factor(m))
            units = [unit((d, d), (i, j)) + unit((d, d), (j, i)) for j in range(d) for i in range(j + 1, d)]
            directions.append(stack([e / np.linalg.norm(inverse @ e @ inverse.T, 2) for e in units], (d, d)))
        return spread(directions, point.shape)

    def normal_basis(self, point):
        """The diagonal, and the skew-symmetric matrices."""
        point = np.asarray(point, dtype=float)
        d = square(point.shape, type(self).__name__)
        units = [unit((d, d), (i, i)) for i in range(d)]
        units += [(unit((d, d), (i, j)) - unit((d, d), (j, i))) / np.sqrt(2) for j in range(d) for i in range(j + 1, d)]
        return spread([stack(units, (d, d))] * int(np.prod(point.shape[:-2], dtype=int)), point.shape)

    def degenerate(self, shape):
        """No correlation; all the same."""
        if len(shape) != 2:
            return {}
        d = square(shape, type(self).__name__)
        return {"the identity": np.eye(d), "of equal correlations": (np.eye(d) + np.ones((d, d))) / 2}

    def project(self, array):
        """sym(G) without its diagonal."""
        array = super().project(array).copy()
        index = np.arange(array.shape[-1])
        array[..., index, index] = 0.0
        return array

    def contains(self, array):
        """Positive definite, with a unit diagonal up to rounding."""
        diagonal = np.diagonal(np.asarray(array), axis1=-2, axis2=-1) if np.ndim(array) >= 2 else np.zeros(1)
        return bool(np.all(np.abs(diagonal - 1) <= np.sqrt(np.finfo(float).eps))) and super().contains(array)


@dataclass(frozen=True)
class RepeatedSpectrum(PositiveDefinite):
    """Positive definite matrices whose two smallest eigenvalues are equal; for d = 1 any."""

    def _spectrum(self, rng, d, condition):
        s = np.sort(super()._spectrum(rng, d, condition))
        s[1:2] = s[:1]
        return s


@dataclass(frozen=True)
class SingularSymmetric(Symmetric):
    """Symmetric matrices one short of full rank; every symmetric direction is one to step in."""

    def _sample(self, rng, shape, condition, scale, signs):
        s, q = np.linalg.eigh(super()._sample(rng, shape, condition, scale, signs))
        s[..., :1] = 0.0
        m = (q * s[..., None, :]) @ np.swapaxes(q, -1, -2)
        return m / 2 + np.swapaxes(m, -1, -2) / 2

    def _factor(self, m):
        return np.sqrt(max(float(np.max(np.abs(m), initial=0.0)), 1e-3)) * np.eye(len(m))


@dataclass(frozen=True)
class DefinitePart(Domain):
    """Square matrices whose symmetric part is positive definite: x'Ax > 0."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """A positive definite matrix plus a skew one."""
        definite = PositiveDefinite().sample(rng, shape, condition=condition, scale=scale)
        return definite + Skew().sample(rng, shape, scale=scale)

    def tangent_basis(self, point):
        """L E L' over the unit matrices E, L the factor of the symmetric part."""
        point = np.asarray(point, dtype=float)
        d = square(point.shape, type(self).__name__)
        root = np.linalg.cholesky(point / 2 + point.T / 2)
        return root @ stack([unit((d, d), (i, j)) for i in range(d) for j in range(d)], (d, d)) @ root.T

    def contains(self, array):
        """Finite, and the symmetric part positive definite."""
        return PositiveDefinite().contains(Symmetric().project(array))


@dataclass(frozen=True)
class Skew(Domain):
    """Skew-symmetric matrices (d, d): A' = -A."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002 - odd ones are singular
        """(Z - Z')/2, Z of standard normal entries times scale."""
        square(shape, type(self).__name__)
        return self.project(scale * rng.normal(size=shape))

    def _pairs(self, point, sign):
        point = np.asarray(point, dtype=float)
        d = square(point.shape, type(self).__name__)
        units = [unit((d, d), (i, j)) + sign * unit((d, d), (j, i)) for j in range(d) for i in range(j + 1, d)]
        if sign > 0:
            units += [unit((d, d), (i, i)) for i in range(d)]
        return typical_entry(point) * stack(units, (d, d))

    def tangent_basis(self, point):
        """One direction a pair i > j."""
        return self._pairs(point, -1.0)

    def normal_basis(self, point):
        """The symmetric matrices."""
        return self._pairs(point, 1.0)

    def project(self, array):
        """(G - G')/2."""
        array = np.asarray(array, dtype=float)
        return array / 2 - np.swapaxes(array, -1, -2) / 2

    def contains(self, array):
        """Finite, and skew up to rounding."""
        array = np.asarray(array, dtype=float)
        return super().contains(array) and bool(
            np.all(
                np.abs(array + np.swapaxes(array, -1, -2))
                <= np.sqrt(np.finfo(float).eps) * np.max(np.abs(array), initial=0.0)
            )
        )
