"""Factors of matrices: triangular and diagonal ones, with entries that are always zero, and orthogonal ones."""

from dataclasses import dataclass

import numpy as np

from gdiff.domains.base import Domain, entry_scales, orthogonal, spectrum, spread, square, stack, unit


@dataclass(frozen=True)
class LowerTriangular(Domain):
    """Lower-triangular matrices with a positive diagonal: Cholesky factors."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """L with L L' = Q diag(s^2) Q' of this condition number, s log-spaced: by QR, without squaring it."""
        d = square(shape, "LowerTriangular")
        out = np.zeros(shape)
        for index in np.ndindex(*shape[:-2]):
            r = np.linalg.qr((orthogonal(rng, d) * spectrum(rng, d, condition**0.5)).T)[1] if d else np.zeros((0, 0))
            out[index] = scale * np.tril((r * np.where(np.diag(r) < 0, -1.0, 1.0)[:, None]).T)
        return out

    def tangent_basis(self, point):
        """L E over the lower-triangular unit matrices E: keeps the triangle, scales with the diagonal."""
        point = np.asarray(point, dtype=float)
        d = square(point.shape, type(self).__name__)
        units = stack([unit((d, d), (i, j)) for j in range(d) for i in range(j, d)], (d, d))
        directions = [(m if np.all(np.diag(m)) else np.eye(d)) @ units for m in point.reshape(-1, d, d)]
        return spread([np.tril(e) for e in directions], point.shape)

    def normal_basis(self, point):
        """The entries above the diagonal."""
        point = np.asarray(point, dtype=float)
        d = square(point.shape, type(self).__name__)
        out = []
        for m in point.reshape(-1, d, d):
            scale = np.sqrt(entry_scales(np.diag(m)))
            out.append(stack([unit((d, d), (i, j)) * scale[i] * scale[j] for j in range(d) for i in range(j)], (d, d)))
        return spread(out, point.shape)

    def perturb(self, rng, point, size, draws=()):
        """L moved so that S = L L' moves by at most about size * sqrt(S_ii S_jj), and its entries by `size` of theirs.

        Whatever takes a factor forms L L': its rounding counts, cond(L) times that of the entries of L.
        """
        point = np.asarray(point, dtype=float)
        out = point + self.project(point * rng.uniform(-1.0, 1.0, size=(*draws, *point.shape)) * size)
        scale = np.sqrt(np.sum(point**2, axis=-1))
        noise = rng.uniform(-size, size, size=(*draws, *point.shape))
        noise = (noise + np.swapaxes(noise, -1, -2)) / 2 * scale[..., :, None] * scale[..., None, :]
        inner = np.linalg.solve(point, np.swapaxes(np.linalg.solve(point, noise), -1, -2))
        half = np.tril(inner) - inner * np.eye(point.shape[-1]) / 2  # dL = L Phi(L^-1 dS L^-T)
        return out + point @ half

    def degenerate(self, shape):
        """The identity, and a factor with nothing but ones."""
        d = square(shape, type(self).__name__)
        return {"the identity": np.eye(d), "of equal entries": np.tril(np.ones((d, d)))} if len(shape) == 2 else {}

    def project(self, array):
        """The lower triangle."""
        return np.tril(np.asarray(array, dtype=float))

    def contains(self, array):
        """Finite, nothing above the diagonal, a positive diagonal."""
        array = np.asarray(array, dtype=float)
        if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not np.all(np.isfinite(array)):
            return False
        return not np.any(np.triu(array, 1)) and bool(np.all(np.diagonal(array, axis1=-2, axis2=-1) > 0))


@dataclass(frozen=True)
class Diagonal(Domain):
    """Diagonal matrices with a positive diagonal, as square arrays."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):
        """A log-spaced diagonal of this condition number."""
        d = square(shape, "Diagonal")
        out = np.zeros(shape)
        for index in np.ndindex(*shape[:-2]):
            np.fill_diagonal(out[index], scale * spectrum(rng, d, condition))
        return out

    def tangent_basis(self, point):
        """One direction a diagonal entry, as long as the entry."""
        return self._units(point, diagonal=True)

    def normal_basis(self, point):
        """The entries off the diagonal."""
        return self._units(point, diagonal=False)

    def _units(self, point, diagonal):
        point = np.asarray(point, dtype=float)
        d = square(point.shape, "Diagonal")
        out = []
        for m in point.reshape(-1, d, d):
            scale = np.sqrt(np.abs(np.diag(m)))
            scale = scale if np.all(scale) else np.sqrt(entry_scales(np.diag(m)))
            pairs = [(i, j) for i in range(d) for j in range(d) if (i == j) == diagonal]
            out.append(stack([unit((d, d), (i, j)) * scale[i] * scale[j] for i, j in pairs], (d, d)))
        return spread(out, point.shape)

    def degenerate(self, shape):
        """The identity."""
        return {"the identity": np.eye(square(shape, type(self).__name__))} if len(shape) == 2 else {}

    def project(self, array):
        """The diagonal, as a matrix."""
        array = np.asarray(array, dtype=float)
        return array * np.eye(array.shape[-1])

    def contains(self, array):
        """Finite, nothing off the diagonal, a positive diagonal."""
        array = np.asarray(array, dtype=float)
        if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not np.all(np.isfinite(array)):
            return False
        diagonal = np.diagonal(array, axis1=-2, axis2=-1)
        return bool(np.all(diagonal > 0)) and not np.any(array * (1 - np.eye(array.shape[-1])))


@dataclass(frozen=True)
class Orthogonal(Domain):
    """Orthogonal matrices, Q'Q = I."""

    def sample(self, rng, shape, *, condition=10.0, scale=1.0):  # noqa: ARG002 - neither can be chosen
        """Uniform (Haar) draws."""
        d = square(shape, "Orthogonal")
        out = np.zeros(shape)
        for index in np.ndindex(*shape[:-2]):
            out[index] = orthogonal(rng, d)
        return out

    def tangent_basis(self, point):
        """Q (E_ij - E_ji), i > j."""
        return self._turned(point, -1.0)

    def normal_basis(self, point):
        """Q (E_ij + E_ji), i >= j."""
        return self._turned(point, 1.0)

    def _turned(self, point, sign):
        point = np.asarray(point, dtype=float)
        d = square(point.shape, "Orthogonal")
        pairs = [(i, j) for j in range(d) for i in range(j + (sign < 0), d)]
        units = stack([unit((d, d), (i, j)) + sign * (i != j) * unit((d, d), (j, i)) for i, j in pairs], (d, d))
        return spread([m @ units for m in point.reshape(-1, d, d)], point.shape)

    def contains(self, array):
        """Finite, and Q'Q = I to rounding."""
        array = np.asarray(array, dtype=float)
        if array.ndim < 2 or array.shape[-1] != array.shape[-2] or not np.all(np.isfinite(array)):
            return False
        apart = np.swapaxes(array, -1, -2) @ array - np.eye(array.shape[-1])
        return bool(np.all(np.abs(apart) <= np.sqrt(np.finfo(float).eps)))
